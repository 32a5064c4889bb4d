//! What is asked about a player: path, query and `If-None-Match` of a request, checked whole.

use std::collections::BTreeMap;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use liveevents_protocol::attribute::Attribute;
use liveevents_protocol::build::Build;
use liveevents_protocol::id::RegionId;
use liveevents_protocol::model::BucketBy;
use liveevents_service::http::{ApiError, Checks, Path};

use super::Wording;
use crate::limits::{MAX_ATTRIBUTES, MAX_KEY, MAX_KEYS};

/// What a bucketing key is called in the query: `key.match=m-17`.
const KEY: &str = "key.";

/// What an attribute is called in the query: `attributes.level=12`.
const ATTRIBUTE: &str = "attributes.";

/// A request.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::serve) struct Asked {
    pub(super) player: String,
    pub(super) region: RegionId,
    pub(super) language: Option<String>,
    pub(super) build: Option<Build>,
    pub(super) include_config: bool,
    pub(super) explain: bool,
    pub(super) keys: Vec<(String, String)>,
    pub(super) attributes: BTreeMap<String, Attribute>,
    pub(super) platform: Option<String>,
    /// The tags of what the caller holds.
    pub(super) held: Option<HeaderValue>,
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(player) = Path::<String>::from_request_parts(parts, state).await?;
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self {
            held: parts.headers.get(header::IF_NONE_MATCH).cloned(),
            ..Self::read(player, query)?
        })
    }
}

impl Asked {
    pub(super) fn wording(&self) -> Wording<'_> {
        Wording {
            language: self.language.as_deref(),
            configuration: self.include_config,
        }
    }

    /// Reads the query. Parameters that nobody knows are an error, like everywhere else.
    pub(super) fn read(player: String, query: &str) -> Result<Self, ApiError> {
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
            } else if let Some(slot) = given.slot(&name) {
                if slot.is_some() {
                    checks.fault(&*name, "is given twice");
                }
                *slot = Some(value.into_owned());
            } else {
                checks.fault(&*name, format!("is unknown; known are {KNOWN}"));
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
            held: None,
        })
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
