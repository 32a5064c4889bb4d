//! `PUT /events/{id}`: the next revision.
//!
//! Nothing served changes until a deployment brings the revision. Once the event is deployed its type is
//! fixed, and its times change by the lifecycle only, since regions hold schedules made of them. An edit
//! that changes nothing makes no revision: PUT may be repeated.
//!
//! An edit is judged before the event is locked, since judging may take long and a stop must never wait for it. If
//! somebody was faster it is judged once more, on what they made of the event.

use axum::extract::State;
use axum::http::HeaderMap;
use liveevents_protocol::id::EventId;
use liveevents_protocol::version::Revision;
use liveevents_service::http::{ApiError, Caller, Json, Path};

use super::create::judged;
use super::view::EventView;
use super::{answer, find, lock};
use crate::api::document::IfMatch;
use crate::api::precondition::check_match;
use crate::api::record::record;
use crate::api::{Api, commit};
use crate::event::document::Document;
use crate::event::fields::EventFields;
use crate::event::lifecycle::State as Life;
use crate::event::record::Event;
use crate::event::validation::Proposal;
use crate::inspect::Purpose;
use crate::store::events;

/// How often an edit is judged anew because somebody was faster.
const ATTEMPTS: usize = 5;

/// Changes the fields given, which makes the next revision.
#[utoipa::path(
    put,
    path = "/events/{id}",
    params(("id" = EventId, Path), IfMatch),
    responses((status = 200, description = "The event as it is now.", body = EventView, headers(("ETag" = String, description = "The revision's entity tag."))))
)]
pub(super) async fn edit(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<EventId>,
    headers: HeaderMap,
    Json(fields): Json<EventFields>,
) -> Result<(HeaderMap, Json<EventView>), ApiError> {
    revise(&api, &caller, &id, &headers, |_| Ok(fields.clone())).await
}

/// Makes the next revision of an event, changed as is said of the newest, whichever that is by then.
pub(super) async fn revise(
    api: &Api,
    caller: &Caller,
    id: &EventId,
    headers: &HeaderMap,
    change: impl Fn(&Document) -> Result<EventFields, ApiError>,
) -> Result<(HeaderMap, Json<EventView>), ApiError> {
    for _ in 0..ATTEMPTS {
        let mut conn = api.acquire().await?;
        let seen = find(&mut conn, id).await?;
        drop(conn);
        check_match(headers, seen.newest.revision)?;
        check_open(&seen)?;
        let now = api.clock.now();
        let changed = change(&seen.newest.document)?;
        let proposal = Proposal::read(&merged(&seen, changed)?);
        let document = judged(api, proposal, purpose(seen.state), now).await?;

        let mut tx = api.begin().await?;
        let event = lock(&mut tx, id).await?;
        if event.newest.revision != seen.newest.revision || event.state != seen.state {
            // Somebody was faster: what was given is to be judged on what they made.
            continue;
        }
        let document = document?;
        if document == event.newest.document {
            return answer(&mut tx, event).await;
        }
        if event.state != Life::Draft {
            check_deployed(&event, &document)?;
        }
        let revision = Revision(event.newest.revision.0.saturating_add(1));
        events::revise(&mut tx, id, revision, &document, caller.subject(), now).await?;
        let before = event.newest.document.to_fields();
        let states = (Some(before), Some(document.to_fields()));
        record(&mut tx, caller, ("event.edit", id.as_str()), states, now).await?;
        let event = find(&mut tx, id).await?;
        let answer = answer(&mut tx, event).await?;
        commit(tx).await?;
        return Ok(answer);
    }
    Err(ApiError::Conflict(format!(
        "event {id} is being edited by others all the time; try again"
    )))
}

/// What the event would say after an edit.
pub(super) fn merged(event: &Event, edit: EventFields) -> Result<EventFields, ApiError> {
    let given = edit.event_id.as_deref();
    if given.is_some_and(|given| given != event.id.as_str()) {
        return Err(ApiError::field("eventId", "cannot be changed"));
    }
    Ok(EventFields {
        event_id: None,
        ..edit.over(event.newest.document.to_fields())
    })
}

/// What an edit of an event in this state is judged for.
pub(super) fn purpose(state: Life) -> Purpose {
    match state {
        Life::Draft => Purpose::Draft,
        Life::Scheduled | Life::Active | Life::Paused | Life::Completed | Life::Cancelled => {
            Purpose::Deployed
        }
    }
}

fn check_open(event: &Event) -> Result<(), ApiError> {
    if event.state.is_over() {
        let message = format!("event {} is {}", event.id, event.state);
        return Err(ApiError::Conflict(message));
    }
    Ok(())
}

fn check_deployed(event: &Event, document: &Document) -> Result<(), ApiError> {
    let fixed = if document.event_type != event.newest.document.event_type {
        "its type is fixed"
    } else if document.timing != event.newest.document.timing {
        "its times change by lifecycle commands only"
    } else {
        return Ok(());
    };
    Err(ApiError::Conflict(format!(
        "event {} is deployed: {fixed}",
        event.id
    )))
}
