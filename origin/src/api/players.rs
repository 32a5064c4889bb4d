//! `GET /players/{playerId}/events` at the origin: what an edge would answer, for previews. By the same evaluation, on the
//! region's state as the database has it, so it shows what edges show once they are current; at another moment (`at`), or
//! as if a revision were live that is not served yet (`revision`). It is not made for players by the thousand: edges are.
//!
//! What is held of a player, and its erasure, are in files of their own.

mod data;
mod erasure;

use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use liveevents_protocol::entry::{Delta, Entry};
use liveevents_protocol::evaluate::{Explanation, Moment, Offer, explain, shown};
use liveevents_protocol::id::{EventId, RegionId, SegmentId};
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::model::Assignment;
use liveevents_protocol::state::RegionState;
use liveevents_protocol::told;
use liveevents_protocol::version::{Epoch, Revision, Version};
use liveevents_service::http::question::{ASKERS, Question};
use liveevents_service::http::{ApiError, Caller, Path};
use liveevents_service::token::Role;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::Api;
use super::access::Routes;
use super::regions::served;
use crate::event::timing::moment;
use crate::store::{self, events, publications, regions, revisions};

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(ASKERS, routes!(events_of))
        .merge(data::routes())
        .merge(erasure::routes())
}

/// The parameters, for the document: [`Question`] reads them.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
#[expect(dead_code, reason = "says what there is")]
struct Asked {
    /// Where the player is.
    region: RegionId,
    /// What the player plays on; the attribute `platform` at the same time.
    platform: Option<String>,
    /// The language of texts (BCP 47).
    language: Option<String>,
    /// Of which build the game is, such as `4.12.0`.
    build: Option<String>,
    /// With the events' configuration; so if it is not said.
    include_config: Option<bool>,
    /// Say for every event which rule admitted or refused, with the values seen. Not for players.
    explain: Option<bool>,
    /// At another moment. Not for players.
    at: Option<Timestamp>,
    /// As if this revision, such as `flash-sale:3`, were live in the region. Not for players.
    revision: Option<String>,
    /// A bucketing key, such as `key.match=m-17`. Not for players.
    #[param(rename = "key.*")]
    key: Option<String>,
    /// What is known of the player, such as `attributes.level=12`. Not for players.
    #[param(rename = "attributes.*")]
    attribute: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PlayerEvents)]
struct Answer<'a> {
    region: &'a RegionId,
    epoch: Epoch,
    version: Version,
    age_ms: u64,
    stale: bool,
    /// The moment by which it was evaluated.
    time: Timestamp,
    #[schema(value_type = Vec<Object>)]
    events: Vec<JsonText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    explanations: Option<Vec<Explanation<'a>>>,
}

/// What a player is shown: a preview of what edges answer.
#[utoipa::path(
    get,
    path = "/players/{playerId}/events",
    params(("playerId" = String, Path), Asked),
    responses((status = 200, description = "In the order shown, highest priority first.", body = Answer))
)]
async fn events_of(
    State(api): State<Api>,
    caller: Caller,
    Path(player): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let mut more = [("at", None), ("revision", None)];
    let question = Question::read(player, query.as_deref().unwrap_or_default(), &mut more)?;
    let [(_, at), (_, revision)] = more;
    question.permit(&caller)?;
    if caller.0.role == Role::Player && (at.is_some() || revision.is_some()) {
        let message = "a player is told what is shown now";
        return Err(ApiError::Forbidden(message.to_owned()));
    }
    let at = match at {
        Some(at) => moment(&at).map_err(|error| ApiError::field("at", error.to_string()))?,
        None => api.clock.now(),
    };
    let region = &question.region;
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let mut state = served::state(&mut tx, region).await?;
    if let Some(revision) = revision {
        let (event, revision) = named(&revision)?;
        state = with_live(&mut tx, state, region, (&event, revision), at).await?;
    }
    drop(tx);
    let known = question.known(&caller);
    let asker = known.asker();
    let moment = Moment::fresh(at);
    let language = question.language.as_deref();
    let shown = shown(&state, &asker, moment);
    let events = shown
        .iter()
        .map(|shown| JsonText::new(told::whole(shown, language, question.include_config)));
    let answer = Answer {
        region,
        epoch: state.epoch(),
        version: state.version(),
        age_ms: 0,
        stale: false,
        time: at,
        events: events
            .collect::<Result<_, _>>()
            .map_err(ApiError::internal)?,
        explanations: question.explain.then(|| {
            let assignments = state.assignments();
            assignments
                .map(|assignment| explain(Offer::of(&state, assignment), &asker, moment))
                .collect()
        }),
    };
    let text = serde_json::to_string(&answer).map_err(ApiError::internal)?;
    let kind = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "private, no-cache"),
    ];
    Ok((kind, text).into_response())
}

/// `flash-sale:3`.
fn named(text: &str) -> Result<(EventId, Revision), ApiError> {
    let named = text.split_once(':').and_then(|(event, number)| {
        let number = number.parse().ok().filter(|number| *number > 0)?;
        Some((event.parse().ok()?, Revision(number)))
    });
    let wrong = || {
        ApiError::field(
            "revision",
            "must be an event and a number, such as flash-sale:3",
        )
    };
    named.ok_or_else(wrong)
}

/// The state as if a revision were live for everybody. What the region holds of the event besides stays; where it holds
/// nothing, the event's own times count.
async fn with_live(
    conn: &mut PgConnection,
    state: RegionState,
    region: &RegionId,
    (id, revision): (&EventId, Revision),
    at: Timestamp,
) -> Result<RegionState, ApiError> {
    let event = events::find(conn, id).await?;
    let event =
        event.ok_or_else(|| ApiError::field("revision", format!("there is no event {id}")))?;
    let content = revisions::content(conn, id, revision).await?;
    let content = content.ok_or_else(|| {
        ApiError::field("revision", format!("event {id} has no revision {revision}"))
    })?;
    let mut assignment = match state.assignment(id) {
        Some(held) => held.clone(),
        None => {
            let place = regions::find(conn, region).await?;
            let place = place.ok_or_else(|| ApiError::not_found("region", region))?;
            let expansion = event.times().expand(&place.zone, at);
            let expansion = expansion
                .map_err(|error| ApiError::field("revision", format!("event {id}: {error}")))?;
            Assignment {
                event_id: id.clone(),
                salt: event.salt.clone(),
                live: None,
                candidate: None,
                schedule: expansion.schedule,
                suspension: Default::default(),
                full: false,
            }
        }
    };
    assignment.live = Some(revision);
    assignment.candidate = None;
    let named = content
        .target_segments
        .iter()
        .chain(&content.exclude_segments);
    let lacking = named.filter(|segment| state.segment(segment).is_none());
    let lacking: Vec<SegmentId> = lacking.cloned().collect();
    let brought = publications::in_effect(conn, &lacking).await?;
    let mut entries: Vec<Entry> = brought.iter().cloned().map(Entry::from).collect();
    entries.extend([content.into(), assignment.into()]);
    let delta = Delta::of_row(state.epoch(), state.version().next(), entries);
    state.apply(&delta).map_err(ApiError::internal)
}
