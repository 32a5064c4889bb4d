//! Tokens of players that a studio's own issuers have signed.
//!
//! An issuer is believed about one thing: which of its players somebody is, and what is mapped of what it says of
//! them. Whatever else such a token claims, its bearer is a [`Role::Player`], in regions that an admin has named. The
//! key that is named decides the algorithm, so a token cannot choose how it is verified.
//!
//! Their clocks are not ours: a token is good a little longer, and a little earlier, than it says.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::VerifyingKey;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use liveevents_protocol::attribute::{Attribute, Number};
use liveevents_protocol::id::{Installation, RegionId, TokenId};
use liveevents_protocol::trust::{IssuerKey, PlayerIssuer};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Builder;

use super::{Claims, Role, TokenError};
use crate::limits::{CLOCK_LEEWAY, MAX_CLAIM};

/// Everybody else who is believed about players, by the `iss` of their tokens.
#[derive(Debug)]
pub(super) struct Issuers {
    issuers: BTreeMap<String, Believed>,
    eddsa: Validation,
    es256: Validation,
    rs256: Validation,
}

#[derive(Debug)]
struct Believed {
    issuer: PlayerIssuer,
    keys: BTreeMap<String, (Algorithm, DecodingKey)>,
}

/// Whether a key can be what it says it is. One that cannot verifies nothing.
#[must_use]
pub fn is_usable(key: &IssuerKey) -> bool {
    match key {
        IssuerKey::Ed25519(key) => VerifyingKey::from_bytes(key).is_ok(),
        // One off the curve is found out when it verifies nothing.
        IssuerKey::P256 { .. } => true,
        // As the verifier takes them, and not below what is considered safe.
        IssuerKey::Rsa { n, e } => {
            let bits = |number: &[u8]| {
                let zeros = number
                    .first()
                    .map_or(0, |byte| byte.leading_zeros() as usize);
                number.len() * 8 - zeros
            };
            let odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
            (2048..=4096).contains(&bits(n)) && odd(n) && (2..=33).contains(&bits(e)) && odd(e)
        }
    }
}

impl Issuers {
    pub(super) fn new(issuers: &[PlayerIssuer]) -> Self {
        let believed = issuers.iter().map(|issuer| {
            let usable = issuer.keys.iter().filter(|(_, key)| is_usable(key));
            let believed = Believed {
                keys: usable
                    .map(|(kid, key)| (kid.clone(), decoding(key)))
                    .collect(),
                issuer: issuer.clone(),
            };
            (issuer.issuer.clone(), believed)
        });
        Self {
            issuers: believed.collect(),
            eddsa: validation(Algorithm::EdDSA),
            es256: validation(Algorithm::ES256),
            rs256: validation(Algorithm::RS256),
        }
    }

    /// Who says to have issued a token, without a look at its signature.
    pub(super) fn issuer_of(token: &str) -> Option<String> {
        #[derive(Deserialize)]
        struct Issued {
            iss: String,
        }
        let payload = token.split('.').nth(1)?;
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let issued: Issued = serde_json::from_slice(&payload).ok()?;
        Some(issued.iss)
    }

    /// The player that the issuer says its bearer is. Neither time nor revocation is judged here.
    pub(super) fn authentic(
        &self,
        issuer: &str,
        token: &str,
        (algorithm, kid): (Algorithm, &str),
        installation: &Installation,
    ) -> Result<Claims, TokenError> {
        let believed = self.issuers.get(issuer).ok_or(TokenError::WrongIssuer)?;
        let (theirs, key) = believed.keys.get(kid).ok_or(TokenError::UnknownKey)?;
        let validation = match (algorithm, theirs) {
            (Algorithm::EdDSA, Algorithm::EdDSA) => &self.eddsa,
            (Algorithm::ES256, Algorithm::ES256) => &self.es256,
            (Algorithm::RS256, Algorithm::RS256) => &self.rs256,
            _ => return Err(TokenError::WrongAlgorithm),
        };
        let said = jsonwebtoken::decode::<Map<String, Value>>(token, key, validation)
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidSignature => TokenError::BadSignature,
                _ => TokenError::Malformed,
            })?
            .claims;
        player(&believed.issuer, &said, token, installation)
    }
}

fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    // Claims are judged here, by the clock given and not by the machine's.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    validation
}

fn decoding(key: &IssuerKey) -> (Algorithm, DecodingKey) {
    match key {
        IssuerKey::Ed25519(key) => (Algorithm::EdDSA, DecodingKey::from_ed_der(key)),
        IssuerKey::P256 { x, y } => {
            // SEC 1: an uncompressed point.
            let point = [&[4], x.as_slice(), y.as_slice()].concat();
            (Algorithm::ES256, DecodingKey::from_ec_der(&point))
        }
        IssuerKey::Rsa { n, e } => (Algorithm::RS256, DecodingKey::from_rsa_raw_components(n, e)),
    }
}

fn player(
    issuer: &PlayerIssuer,
    said: &Map<String, Value>,
    token: &str,
    installation: &Installation,
) -> Result<Claims, TokenError> {
    let for_us = match said.get("aud") {
        Some(Value::String(audience)) => *audience == issuer.audience,
        Some(Value::Array(audiences)) => audiences.iter().any(|one| *one == *issuer.audience),
        _ => false,
    };
    if !for_us {
        return Err(TokenError::WrongAudience);
    }
    let leeway = SignedDuration::try_from(CLOCK_LEEWAY).unwrap_or_default();
    let expires = moment(said, "exp")?.ok_or(TokenError::Malformed)?;
    let not_before = moment(said, "nbf")?;
    let issued = moment(said, "iat")?;
    let subject = find(said, &issuer.player).and_then(text);
    let subject = subject
        .filter(|subject| !subject.is_empty() && !subject.chars().any(char::is_control))
        .ok_or(TokenError::Malformed)?;
    let attributes = issuer.attributes.iter().filter_map(|(name, path)| {
        let value = attribute(find(said, path)?)?;
        Some((name.clone(), value))
    });
    let keys = issuer.bucketing.iter().filter_map(|(name, path)| {
        let value = text(find(said, path)?)?;
        Some((name.clone(), value))
    });
    Ok(Claims {
        installation: installation.clone(),
        subject,
        role: Role::Player,
        regions: regions(issuer, said),
        id: name(token),
        issued_at: issued.unwrap_or(Timestamp::UNIX_EPOCH),
        expires_at: expires.checked_add(leeway).unwrap_or(Timestamp::MAX),
        // The judge grants the leeway.
        not_before,
        attributes: attributes.collect(),
        keys: keys.collect(),
    })
}

/// Where the player may ask: where the issuer's players may, and the token says so if it has to.
fn regions(issuer: &PlayerIssuer, said: &Map<String, Value>) -> Vec<RegionId> {
    let Some(path) = &issuer.region else {
        return issuer.regions.clone();
    };
    let named: Vec<&str> = match find(said, path) {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let permitted = issuer.regions.iter();
    permitted
        .filter(|region| named.contains(&region.as_str()))
        .cloned()
        .collect()
}

/// A token of another issuer need not have a name; its text is one.
fn name(token: &str) -> TokenId {
    let digest = Sha256::digest(token);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    TokenId(Builder::from_custom_bytes(bytes).into_uuid())
}

/// What a path leads to. A claim may have dots in its own name, such as a URL.
fn find<'a>(said: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = said.get(path) {
        return Some(value);
    }
    let (outer, inner) = path.split_once('.')?;
    find(said.get(outer)?.as_object()?, inner)
}

/// A time as RFC 7519 has it: seconds, perhaps with a fraction.
fn moment(said: &Map<String, Value>, claim: &str) -> Result<Option<Timestamp>, TokenError> {
    let Some(value) = said.get(claim) else {
        return Ok(None);
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float that is no second of any calendar saturates, and is refused"
    )]
    let seconds = value
        .as_i64()
        .or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64));
    let at = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    at.map(Some).ok_or(TokenError::Malformed)
}

/// An id: a text, or a whole number, which databases like to number players by.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        _ => return None,
    };
    (text.len() <= MAX_CLAIM).then_some(text)
}

fn attribute(value: &Value) -> Option<Attribute> {
    match value {
        Value::Bool(flag) => Some(Attribute::Flag(*flag)),
        Value::Number(number) => Number::try_from(number).ok().map(Attribute::Number),
        Value::String(text) if text.len() <= MAX_CLAIM => Some(Attribute::Text(text.clone())),
        Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests;
