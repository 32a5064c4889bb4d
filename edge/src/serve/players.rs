//! `GET /api/v1/players/{playerId}/events`: what one player is shown, evaluated from memory.
//!
//! Whether it is a candidate is not told: players are not to know that they are tried on. A player may ask only for
//! themselves, and may give no bucketing key but their own id: with another they could choose what they get.

use axum::extract::{RawQuery, State};
use jiff::Timestamp;
use liveevents_protocol::evaluate::{Keys, Moment, Shown, shown};
use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::model::{BucketBy, EventType, Localization};
use liveevents_protocol::version::{Epoch, Revision, Version};
use liveevents_service::http::{ApiError, Caller, Checks, Path};
use liveevents_service::token::Role;
use serde::Serialize;

use super::{JsonBytes, Serving, View};
use crate::limits::{MAX_KEY, MAX_KEYS};

/// What a bucketing key is called in the query: `key.match=m-17`.
const KEY: &str = "key.";

/// A request's query.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    region: RegionId,
    language: Option<String>,
    include_config: bool,
    keys: Vec<(String, String)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlayerEvents<'a> {
    region: &'a RegionId,
    epoch: Epoch,
    version: Version,
    age_ms: u64,
    stale: bool,
    time: Timestamp,
    events: Vec<PlayerEvent<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PlayerEvent<'a> {
    event_id: &'a EventId,
    revision: Revision,
    #[serde(rename = "type")]
    event_type: EventType,
    display_name: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    tags: &'a [String],
    priority: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    closes: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_fields: Option<&'a JsonText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    configuration: Option<&'a JsonText>,
}

pub(super) async fn events(
    caller: Caller,
    State(serving): State<Serving>,
    Path(player): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<JsonBytes, ApiError> {
    caller.require(&[
        Role::Admin,
        Role::Operator,
        Role::GameDesigner,
        Role::Developer,
        Role::GameServer,
        Role::Player,
    ])?;
    let asked = read(&player, &query.unwrap_or_default())?;
    if caller.0.role == Role::Player {
        if caller.subject() != player {
            return Err(ApiError::Forbidden(
                "a player may ask for their own events only".to_owned(),
            ));
        }
        if !asked.keys.is_empty() {
            return Err(ApiError::Forbidden(
                "a player may not give bucketing keys".to_owned(),
            ));
        }
    }
    caller.require_region(&asked.region)?;
    let view = View::of(serving.region(&asked.region)?, serving.clock.now())?;
    let mut keys = vec![(BucketBy::PLAYER, player.as_str())];
    keys.extend(
        asked
            .keys
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    let at = Moment {
        now: view.now,
        age: view.age,
    };
    let events = shown(view.published.state(), &Keys(&keys).into(), at);
    JsonBytes::of(&PlayerEvents {
        region: &asked.region,
        epoch: view.published.state().epoch(),
        version: view.published.state().version(),
        age_ms: view.age_ms(),
        stale: view.is_stale(),
        time: view.now,
        events: events.iter().map(|shown| event(shown, &asked)).collect(),
    })
}

fn event<'a>(shown: &Shown<'a>, asked: &Asked) -> PlayerEvent<'a> {
    let content = shown.content;
    let localized = asked
        .language
        .as_deref()
        .and_then(|language| localization(&content.localizations, language));
    let display_name = localized.and_then(|texts| texts.display_name.as_deref());
    let description = localized.and_then(|texts| texts.description.as_deref());
    PlayerEvent {
        event_id: &content.event_id,
        revision: content.revision,
        event_type: content.event_type,
        display_name: display_name.unwrap_or(&content.display_name),
        description: description.unwrap_or(&content.description),
        category: content.category.as_deref(),
        tags: &content.tags,
        priority: content.priority,
        closes: shown.closes,
        custom_fields: localized.and_then(|texts| texts.custom_fields.as_ref()),
        configuration: asked.include_config.then_some(&content.configuration),
    }
}

/// The texts for a language: of the very tag, else of its primary subtag (`de` for `de-AT`). Case does not matter
/// (RFC 5646).
fn localization<'a>(
    localizations: &'a std::collections::BTreeMap<String, Localization>,
    language: &str,
) -> Option<&'a Localization> {
    let primary = language.split('-').next().unwrap_or(language);
    [language, primary].into_iter().find_map(|wanted| {
        let mut tags = localizations.iter();
        tags.find(|(tag, _)| tag.eq_ignore_ascii_case(wanted))
            .map(|(_, texts)| texts)
    })
}

/// Reads the query. Parameters that nobody knows are an error, like everywhere else.
fn read(player: &str, query: &str) -> Result<Asked, ApiError> {
    let mut checks = Checks::default();
    let fits = |text: &str| !text.is_empty() && text.len() <= MAX_KEY;
    checks.require(
        fits(player),
        "playerId",
        format!("must have 1 to {MAX_KEY} bytes"),
    );
    let (mut region, mut platform, mut language, mut include_config) = (None, None, None, None);
    let mut keys: Vec<(String, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if let Some(key) = name.strip_prefix(KEY) {
            let new = key != BucketBy::PLAYER && keys.iter().all(|(known, _)| known != key);
            checks.require(new, &*name, "is given twice, or is the player's id");
            checks.require(
                fits(key) && fits(&value),
                &*name,
                format!("must have 1 to {MAX_KEY} bytes"),
            );
            keys.push((key.to_owned(), value.into_owned()));
            continue;
        }
        let slot = match &*name {
            "region" => &mut region,
            "platform" => &mut platform,
            "language" => &mut language,
            "includeConfig" => &mut include_config,
            _ => {
                let known = "region, platform, language, includeConfig and key.<name>";
                checks.fault(&*name, format!("is unknown; known are {known}"));
                continue;
            }
        };
        checks.require(slot.is_none(), &*name, "is given twice");
        *slot = Some(value.into_owned());
    }
    checks.require(
        keys.len() <= MAX_KEYS,
        "key",
        format!("at most {MAX_KEYS} keys may be given"),
    );
    let tag = |text: &Option<String>| {
        let well_formed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        text.as_deref()
            .is_none_or(|text| fits(text) && text.chars().all(well_formed))
    };
    checks.require(
        tag(&language),
        "language",
        "must be a language tag, such as de or pt-BR",
    );
    checks.require(
        tag(&platform),
        "platform",
        "must be letters, digits, hyphens and underscores",
    );
    let include_config = checks.take(
        "includeConfig",
        include_config.as_deref().unwrap_or("true").parse::<bool>(),
    );
    let region = match region {
        Some(region) => checks.take("region", region.parse::<RegionId>()),
        None => {
            checks.fault("region", "is required");
            None
        }
    };
    checks.finish()?;
    // Both are there if nothing was at fault.
    region
        .zip(include_config)
        .map(|(region, include_config)| Asked {
            region,
            language,
            include_config,
            keys,
        })
        .ok_or_else(|| ApiError::malformed("the query is not valid"))
}

#[cfg(test)]
mod tests;
