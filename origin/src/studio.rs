//! A studio's own issuers of its players' tokens: how one is described, and what of it is told to edges.
//!
//! Pure. An issuer is configured by an admin: who it is (`iss`), for whom its tokens have to be (`aud`), what they may be
//! signed with, where its keys are (a key set's address, or the keys themselves), which claims say what of a player, and in
//! which regions its players may ask. Its players are players and nothing else.

pub mod jwk;
pub mod refresh;

use std::collections::{BTreeMap, BTreeSet};

use liveevents_protocol::id::RegionId;
use liveevents_protocol::trust::PlayerIssuer;
use serde::{Deserialize, Serialize};

use crate::event::fault::Faults;
use crate::limits::{
    MAX_CLAIM_PATH, MAX_ISSUER_KEYS, MAX_ISSUER_TEXT, MAX_MAPPED_ATTRIBUTES, MAX_MAPPED_KEYS,
    MAX_MAPPED_NAME,
};
use jwk::Jwk;
use utoipa::ToSchema;

/// What a token may be signed with. No other, and never `none` or a shared secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[schema(as = IssuerAlgorithm)]
pub enum Algorithm {
    /// Ed25519.
    EdDSA,
    /// P-256 with SHA-256.
    ES256,
    /// RSA (PKCS #1 v1.5) with SHA-256.
    RS256,
}

/// An issuer as an admin describes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = IssuerDescription)]
pub struct Description {
    /// The `iss` of its tokens.
    pub issuer: String,
    /// What its tokens must have in `aud`.
    pub audience: String,
    /// What its tokens may be signed with.
    pub algorithms: BTreeSet<Algorithm>,
    /// Where its key set is; or else `keys`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// Its keys, where there is no address for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    pub keys: Option<Vec<Jwk>>,
    /// Which claims say what.
    #[serde(default)]
    pub claims: Mapping,
    /// Where its players may ask.
    pub regions: Vec<RegionId>,
}

/// Which claims of a token say what of a player. A claim inside another is named with a dot between.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = ClaimMapping)]
pub struct Mapping {
    /// The player's id.
    #[serde(default = "sub")]
    pub player: String,
    /// What segments look at: the attribute's name, and its claim.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Bucketing keys besides the player's id: the key's name, and its claim.
    #[serde(default)]
    pub keys: BTreeMap<String, String>,
    /// Where the player may ask, of the issuer's regions: all of them if not mapped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regions: Option<String>,
}

impl Default for Mapping {
    fn default() -> Self {
        Self {
            player: sub(),
            attributes: BTreeMap::new(),
            keys: BTreeMap::new(),
            regions: None,
        }
    }
}

fn sub() -> String {
    "sub".to_owned()
}

/// Whether an issuer may have this name with us; the schema holds the same rule.
#[must_use]
pub fn is_name(id: &str) -> bool {
    let slug = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=64).contains(&id.len()) && id.chars().all(slug)
}

impl Description {
    /// Everything wrong with it that can be said without looking anything up. Whether its address may be asked, and
    /// whether its regions exist, is for others to say.
    #[must_use]
    pub fn faults(&self) -> Faults {
        let mut faults = Faults::default();
        let text = |faults: &mut Faults, field: &str, text: &str, most: usize| {
            let printable = !text.chars().any(char::is_control);
            if !printable || !(1..=most).contains(&text.len()) {
                faults.add(
                    field,
                    format!("must be 1 to {most} bytes, none of them control"),
                );
            }
        };
        text(&mut faults, "issuer", &self.issuer, MAX_ISSUER_TEXT);
        if self.issuer == "liveevents" {
            faults.add("issuer", "is what our own tokens have");
        }
        text(&mut faults, "audience", &self.audience, MAX_ISSUER_TEXT);
        if self.algorithms.is_empty() {
            faults.add(
                "algorithms",
                "must name at least one of EdDSA, ES256 and RS256",
            );
        }
        match (&self.jwks_url, &self.keys) {
            (Some(_), None) => {}
            (None, Some(keys)) => self.check_keys(keys, &mut faults),
            (None, None) => faults.add("jwksUrl", "must be given, or keys"),
            (Some(_), Some(_)) => faults.add("keys", "must be left out where jwksUrl is given"),
        }
        let claims = &self.claims;
        text(&mut faults, "claims.player", &claims.player, MAX_CLAIM_PATH);
        if let Some(path) = &claims.regions {
            text(&mut faults, "claims.regions", path, MAX_CLAIM_PATH);
        }
        let maps = [
            (
                "claims.attributes",
                &claims.attributes,
                MAX_MAPPED_ATTRIBUTES,
            ),
            ("claims.keys", &claims.keys, MAX_MAPPED_KEYS),
        ];
        for (field, map, most) in maps {
            if map.len() > most {
                faults.add(field, format!("must be {most} at most"));
            }
            for (name, path) in map {
                text(&mut faults, field, name, MAX_MAPPED_NAME);
                text(
                    &mut faults,
                    &format!("{field}.{name}"),
                    path,
                    MAX_CLAIM_PATH,
                );
            }
        }
        if claims.keys.contains_key("player") {
            faults.add(
                "claims.keys",
                "must not have player, which is the player's id",
            );
        }
        if self.regions.is_empty() {
            faults.add("regions", "must name those in which its players may ask");
        }
        faults
    }

    fn check_keys(&self, keys: &[Jwk], faults: &mut Faults) {
        if !(1..=MAX_ISSUER_KEYS).contains(&keys.len()) {
            faults.add("keys", format!("must be 1 to {MAX_ISSUER_KEYS}"));
        }
        let mut kids = BTreeSet::new();
        for (at, key) in keys.iter().enumerate() {
            let field = format!("keys[{at}]");
            match key.read() {
                Err(problem) => faults.add(&field, problem),
                Ok((_, algorithm, _)) if !self.algorithms.contains(&algorithm) => {
                    faults.add(
                        &field,
                        format!("is for {algorithm:?}, which is not among algorithms"),
                    );
                }
                Ok((kid, ..)) if !kids.insert(kid.clone()) => {
                    faults.add(&field, format!("has the kid {kid} a second time"));
                }
                Ok(_) => {}
            }
        }
    }

    /// What edges are told: who it is, and those of the keys that its tokens may be signed with.
    #[must_use]
    pub fn believed(&self, keys: &[Jwk]) -> PlayerIssuer {
        let keys = keys.iter().filter_map(|key| {
            let (kid, algorithm, key) = key.read().ok()?;
            self.algorithms.contains(&algorithm).then_some((kid, key))
        });
        PlayerIssuer {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            keys: keys.collect(),
            player: self.claims.player.clone(),
            attributes: self.claims.attributes.clone(),
            bucketing: self.claims.keys.clone(),
            region: self.claims.regions.clone(),
            regions: self.regions.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
