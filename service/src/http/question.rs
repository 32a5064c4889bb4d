//! What is asked about a player: path and query of `GET /players/{playerId}/events`, checked whole, and what is known of
//! the player, by who may say it. The same at an edge and at the origin, whose previews are to be what an edge answers.
//!
//! A player may ask only for themselves, and may give no bucketing key but their own id and no attribute: with another
//! they could choose what they get. What counts of a player who asks is what the token says, which is signed.

use std::collections::BTreeMap;

use liveevents_protocol::attribute::{Attribute, Attributes};
use liveevents_protocol::build::Build;
use liveevents_protocol::evaluate::{Asker, Keys};
use liveevents_protocol::id::RegionId;
use liveevents_protocol::model::BucketBy;

use super::{ApiError, Caller, Checks};
use crate::limits::{MAX_ATTRIBUTES, MAX_KEY, MAX_KEYS};
use crate::token::Role;

/// Who may ask.
pub const ASKERS: &[Role] = &[
    Role::Admin,
    Role::Operator,
    Role::GameDesigner,
    Role::Developer,
    Role::GameServer,
    Role::Player,
];

/// What a bucketing key is called in the query: `key.match=m-17`.
pub const KEY: &str = "key.";

/// What an attribute is called in the query: `attributes.level=12`.
pub const ATTRIBUTE: &str = "attributes.";

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Whose events.
    pub player: String,
    /// Where.
    pub region: RegionId,
    /// In which language.
    pub language: Option<String>,
    /// Of which build the game is.
    pub build: Option<Build>,
    /// With the events' configuration.
    pub include_config: bool,
    /// Why, rule by rule.
    pub explain: bool,
    /// Bucketing keys besides the player's id.
    pub keys: Vec<(String, String)>,
    /// What is known of the player.
    pub attributes: BTreeMap<String, Attribute>,
    /// What the player plays on.
    pub platform: Option<String>,
}

/// What is known of a player.
#[derive(Debug)]
pub struct Known<'a> {
    keys: Vec<(&'a str, &'a str)>,
    attributes: Attributes<'a>,
    build: Option<Build>,
}

impl Known<'_> {
    /// As evaluation wants it.
    #[must_use]
    pub fn asker(&self) -> Asker<'_> {
        Asker {
            keys: Keys(&self.keys),
            build: self.build,
            attributes: self.attributes,
        }
    }
}

impl Question {
    /// Reads the query. Parameters that nobody knows are an error, like everywhere else. `more` are others that are known
    /// here, and take what was given.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn read(
        player: String,
        query: &str,
        more: &mut [(&str, Option<String>)],
    ) -> Result<Self, ApiError> {
        let mut checks = Checks::default();
        let fits = |text: &str| !text.is_empty() && text.len() <= MAX_KEY;
        if !fits(&player) {
            checks.fault("playerId", format!("must have 1 to {MAX_KEY} bytes"));
        }
        let mut given = Given::default();
        let mut keys: Vec<(String, String)> = Vec::new();
        let mut attributes = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if let Some(key) = name.strip_prefix(KEY) {
                if key == BucketBy::PLAYER || keys.iter().any(|(known, _)| known == key) {
                    checks.fault(&*name, "is given twice, or is the player's id");
                }
                if !fits(key) || !fits(&value) {
                    checks.fault(&*name, format!("must have 1 to {MAX_KEY} bytes"));
                }
                keys.push((key.to_owned(), value.into_owned()));
            } else if let Some(attribute) = name.strip_prefix(ATTRIBUTE) {
                if !fits(attribute) || value.len() > MAX_KEY {
                    let message = format!("must have a name of 1 to {MAX_KEY} bytes, and as many");
                    checks.fault(&*name, message);
                }
                let before = attributes.insert(attribute.to_owned(), said(&value));
                if before.is_some() {
                    checks.fault(&*name, "is given twice");
                }
            } else if let Some(slot) = given.slot(&name).or_else(|| {
                let known = more.iter_mut().find(|(known, _)| *known == name);
                known.map(|(_, slot)| slot)
            }) {
                if slot.is_some() {
                    checks.fault(&*name, "is given twice");
                }
                *slot = Some(value.into_owned());
            } else {
                let more = more.iter().map(|(name, _)| format!(", {name}"));
                let more: String = more.collect();
                let message = format!("is unknown; known are {KNOWN}{more}");
                checks.fault(&*name, message);
            }
        }
        if keys.len() > MAX_KEYS {
            checks.fault("key", format!("at most {MAX_KEYS} keys may be given"));
        }
        if attributes.len() > MAX_ATTRIBUTES {
            let message = format!("at most {MAX_ATTRIBUTES} attributes may be given");
            checks.fault("attributes", message);
        }
        let well_formed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let is_tag = |text: &String| fits(text) && text.chars().all(well_formed);
        if !given.language.iter().all(is_tag) {
            let message = "must be a language tag, such as de or pt-BR";
            checks.fault("language", message);
        }
        if !given.platform.iter().all(is_tag) {
            let message = "must be letters, digits, hyphens and underscores";
            checks.fault("platform", message);
        }
        let include_config = flag(&mut checks, "includeConfig", given.include_config, true);
        let explain = flag(&mut checks, "explain", given.explain, false);
        let build = given.build.map(|build| build.parse::<Build>());
        let build = checks.take("build", build.transpose()).flatten();
        let region = match given.region {
            Some(region) => checks.take("region", region.parse::<RegionId>()),
            None => {
                checks.fault("region", "is required");
                None
            }
        };
        checks.finish()?;
        Ok(Self {
            player,
            // It is there if nothing was at fault.
            region: region.ok_or_else(|| ApiError::malformed("the query is not valid"))?,
            language: given.language,
            build,
            include_config,
            explain,
            keys,
            attributes,
            platform: given.platform,
        })
    }

    /// Passes what the caller may ask.
    ///
    /// # Errors
    /// `Forbidden` otherwise.
    pub fn permit(&self, caller: &Caller) -> Result<(), ApiError> {
        if caller.0.role != Role::Player {
            return caller.require_region(&self.region);
        }
        let refused = if caller.subject() != self.player {
            "a player may ask for their own events only"
        } else if !self.keys.is_empty() {
            "a player may not give bucketing keys"
        } else if let Some(name) = self.attributes.keys().next() {
            return Err(ApiError::Forbidden(format!(
                "a player may not give attributes, as attributes.{name:.100}: those in the token count"
            )));
        } else if self.explain {
            "a player is not told why"
        } else {
            return caller.require_region(&self.region);
        };
        Err(ApiError::Forbidden(refused.to_owned()))
    }

    /// What is known of the player: of a player who asks, what the token says, and nothing of what the player does. The
    /// platform that a player names is none of it: segments look at it too.
    #[must_use]
    pub fn known<'a>(&'a self, caller: &'a Caller) -> Known<'a> {
        let mut keys = vec![(BucketBy::PLAYER, &*self.player)];
        let claims = &caller.0;
        let attributes = if claims.role == Role::Player {
            let signed = claims.keys.iter().map(|(name, key)| (&**name, &**key));
            keys.extend(signed.filter(|(name, _)| *name != BucketBy::PLAYER));
            Attributes::new(&claims.attributes)
        } else {
            keys.extend(self.keys.iter().map(|(name, key)| (&**name, &**key)));
            Attributes::new(&self.attributes).on(self.platform.as_deref())
        };
        Known {
            keys,
            attributes,
            build: self.build,
        }
    }
}

const KNOWN: &str =
    "region, platform, language, build, includeConfig, explain, key.<name> and attributes.<name>";

/// An attribute's value: a number, `true` or `false`, or a text, which stands in quotes if it looks like one of these.
fn said(value: &str) -> Attribute {
    serde_json::from_str(value).unwrap_or_else(|_| Attribute::Text(value.to_owned()))
}

/// The parameters as they stand in the query.
#[derive(Default)]
struct Given {
    region: Option<String>,
    platform: Option<String>,
    language: Option<String>,
    build: Option<String>,
    include_config: Option<String>,
    explain: Option<String>,
}

impl Given {
    fn slot(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "region" => &mut self.region,
            "platform" => &mut self.platform,
            "language" => &mut self.language,
            "build" => &mut self.build,
            "includeConfig" => &mut self.include_config,
            "explain" => &mut self.explain,
            _ => return None,
        })
    }
}

fn flag(checks: &mut Checks, name: &str, given: Option<String>, otherwise: bool) -> bool {
    let Some(text) = given else {
        return otherwise;
    };
    checks.take(name, text.parse::<bool>()).unwrap_or(otherwise)
}

#[cfg(test)]
mod tests;
