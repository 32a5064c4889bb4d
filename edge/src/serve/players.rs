//! `GET /api/v1/players/{playerId}/events`: what one player is shown, evaluated from memory and put together from JSON
//! that is printed already.
//!
//! Whether it is a candidate is not told: players are not to know that they are tried on. Who may ask what, and say what of
//! the player, is the [`Question`](liveevents_service::http::question::Question)'s to judge. With `explain` every event is
//! there, with the rules that were asked about it.
//!
//! One player's events can be asked for so many times a minute at this edge, whoever asks.

mod asked;

use std::time::Instant;

use axum::extract::State;
use axum::response::Response;
use liveevents_protocol::evaluate::{Asker, Explanation, Moment, explain};
use liveevents_service::http::question::ASKERS;
use liveevents_service::http::{ApiError, Caller};

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
    caller.require(ASKERS)?;
    let question = &asked.question;
    question.permit(&caller)?;
    let quota = serving.quota.as_ref();
    let left = quota.map(|quota| quota.take(&question.player, started.into()));
    let left = left.transpose()?;
    let queries = &serving.metrics.queries;
    let region = serving
        .region(&question.region)
        .inspect_err(|_| queries.misdirected.inc())?;
    let view = View::of(region, serving.clock.now()).inspect_err(|_| queries.unavailable.inc())?;
    let known = question.known(&caller);
    let mut response = answer(&asked, &known.asker(), &view)?;
    if let Some(left) = left {
        left.tell(response.headers_mut());
    }
    queries.answered(1, started.elapsed());
    Ok(response)
}

fn answer(asked: &Asked, asker: &Asker<'_>, view: &View) -> Result<Response, ApiError> {
    let at = view.at;
    let offers = view.published.offers();
    let shown = offers.shown(asker, at);
    if asked.question.explain {
        return explained(asked, view, &shown, explanations(offers, asker, at));
    }
    let wording = asked.wording();
    let what = (shown.fingerprint(), wording.language, wording.configuration);
    let tag = Tag::of(&asked.question.region, view, &what);
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
    let mut text = opening(&asked.question.region, view, capacity)?;
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
