//! `GET /api/v1/players/{playerId}/events`: what one player is shown, evaluated from memory and put together from JSON
//! that is printed already.
//!
//! Whether it is a candidate is not told: players are not to know that they are tried on. A player may ask only for
//! themselves, and may give no bucketing key but their own id and no attribute: with another they could choose what they
//! get. What counts of a player who asks is what the token says, which is signed. Everybody else may ask for anybody, say
//! what is known of the player, and ask why (`explain`): then every event is there, with the rules that were asked about it.
//!
//! One player's events can be asked for so many times a minute at this edge, whoever asks.

mod asked;

#[cfg(test)]
mod tests;

use std::time::Instant;

use axum::extract::State;
use axum::response::Response;
use liveevents_protocol::attribute::Attributes;
use liveevents_protocol::evaluate::{Asker, Explanation, Keys, Moment, explain};
use liveevents_protocol::model::BucketBy;
use liveevents_service::http::{ApiError, Caller};
use liveevents_service::token::Role;

use super::answer::{Tag, json, not_modified, opening};
use super::{Serving, View};
use crate::replica::{Offers, Shown, Wording};
use asked::Asked;

/// What an event takes of an answer without its configuration: room is made for so much at once.
const TYPICAL_EVENT: usize = 256;

pub(super) async fn events(
    caller: Caller,
    State(serving): State<Serving>,
    asked: Asked,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    caller.require(&[
        Role::Admin,
        Role::Operator,
        Role::GameDesigner,
        Role::Developer,
        Role::GameServer,
        Role::Player,
    ])?;
    if caller.0.role == Role::Player {
        permit(&caller, &asked)?;
    }
    caller.require_region(&asked.region)?;
    let quota = serving.quota.as_ref();
    let left = quota.map(|quota| quota.take(&asked.player, started.into()));
    let left = left.transpose()?;
    let queries = &serving.metrics.queries;
    let region = serving
        .region(&asked.region)
        .inspect_err(|_| queries.misdirected.inc())?;
    let view = View::of(region, serving.clock.now()).inspect_err(|_| queries.unavailable.inc())?;
    let known = Known::of(&caller, &asked);
    let mut response = answer(&asked, known, &view)?;
    if let Some(left) = left {
        left.tell(response.headers_mut());
    }
    queries.answered(1, started.elapsed());
    Ok(response)
}

/// What a player may not ask.
fn permit(caller: &Caller, asked: &Asked) -> Result<(), ApiError> {
    let refused = if caller.subject() != asked.player {
        "a player may ask for their own events only"
    } else if !asked.keys.is_empty() {
        "a player may not give bucketing keys"
    } else if let Some(name) = asked.attributes.keys().next() {
        return Err(ApiError::Forbidden(format!(
            "a player may not give attributes, as attributes.{name:.100}: those in the token count"
        )));
    } else if asked.explain {
        "a player is not told why"
    } else {
        return Ok(());
    };
    Err(ApiError::Forbidden(refused.to_owned()))
}

/// What is known of the player, by who may say it.
struct Known<'a> {
    keys: Vec<(&'a str, &'a str)>,
    attributes: Attributes<'a>,
}

impl<'a> Known<'a> {
    /// Of a player who asks: what the token says, and nothing of what the player does. The platform that a player names is
    /// none of it: segments look at it too.
    fn of(caller: &'a Caller, asked: &'a Asked) -> Self {
        let mut keys = vec![(BucketBy::PLAYER, &*asked.player)];
        let claims = &caller.0;
        if claims.role == Role::Player {
            let signed = claims.keys.iter().map(|(name, key)| (&**name, &**key));
            keys.extend(signed.filter(|(name, _)| *name != BucketBy::PLAYER));
            return Self {
                keys,
                attributes: Attributes::new(&claims.attributes),
            };
        }
        keys.extend(asked.keys.iter().map(|(name, key)| (&**name, &**key)));
        Self {
            keys,
            attributes: Attributes::new(&asked.attributes).on(asked.platform.as_deref()),
        }
    }
}

fn answer(asked: &Asked, known: Known<'_>, view: &View) -> Result<Response, ApiError> {
    let asker = Asker {
        keys: Keys(&known.keys),
        build: asked.build,
        attributes: known.attributes,
    };
    let at = view.at;
    let offers = view.published.offers();
    let shown = offers.shown(&asker, at);
    if asked.explain {
        return explained(asked, view, &shown, explanations(offers, &asker, view.at));
    }
    let wording = asked.wording();
    let what = (shown.fingerprint(), wording.language, wording.configuration);
    let tag = Tag::of(&asked.region, view, &what);
    if tag.is_met_by(asked.held.as_ref()) {
        return Ok(not_modified(view, tag));
    }
    let mut text = told(asked, view, &shown)?;
    text.push(b'}');
    Ok(json(text, Some(tag)))
}

/// An object without its brace.
fn told(asked: &Asked, view: &View, shown: &Shown<'_>) -> Result<Vec<u8>, ApiError> {
    let capacity = TYPICAL_EVENT * (shown.len() + 1);
    let mut text = opening(&asked.region, view, capacity)?;
    text.extend_from_slice(br#","events":"#);
    shown.print(asked.wording(), &mut text);
    Ok(text)
}

/// Of every event, in the order in which they would be shown.
fn explanations<'a>(offers: &'a Offers, asker: &'a Asker<'a>, at: Moment) -> Vec<Explanation<'a>> {
    let events = offers.iter();
    events
        .map(|ready| explain(offers.offer(ready), asker, at))
        .collect()
}

fn explained(
    asked: &Asked,
    view: &View,
    shown: &Shown<'_>,
    explanations: Vec<Explanation<'_>>,
) -> Result<Response, ApiError> {
    let mut text = told(asked, view, shown)?;
    text.extend_from_slice(br#","explanations":"#);
    serde_json::to_writer(&mut text, &explanations).map_err(ApiError::internal)?;
    text.push(b'}');
    Ok(json(text, None))
}
