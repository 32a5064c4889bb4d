//! `PUT /events/{id}`: the next revision.
//!
//! Nothing served changes until a deployment brings the revision. Once the event is deployed its type is
//! fixed, and its times change by the lifecycle only, since regions hold schedules made of them. An edit
//! that changes nothing makes no revision: PUT may be repeated.

use axum::extract::State;
use axum::http::{HeaderMap, header};
use liveevents_protocol::id::EventId;
use liveevents_protocol::version::Revision;
use liveevents_service::http::{ApiError, Caller, Json, Path};

use super::view::EventView;
use super::{answer, find, lock};
use crate::api::record::record;
use crate::api::roles::DESIGNERS;
use crate::api::{Api, commit};
use crate::event::document::Document;
use crate::event::fields::EventFields;
use crate::event::lifecycle::State as Life;
use crate::event::record::Event;
use crate::store::events;

pub(super) async fn edit(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<EventId>,
    headers: HeaderMap,
    Json(fields): Json<EventFields>,
) -> Result<(HeaderMap, Json<EventView>), ApiError> {
    caller.require(DESIGNERS)?;
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let event = lock(&mut tx, &id).await?;
    check_match(&headers, event.newest.revision)?;
    if event.state.is_over() {
        return Err(ApiError::Conflict(format!("event {id} is {}", event.state)));
    }
    if fields
        .event_id
        .as_deref()
        .is_some_and(|given| given != id.as_str())
    {
        return Err(ApiError::field("eventId", "cannot be changed"));
    }
    let before = event.newest.document.to_fields();
    let merged = EventFields {
        event_id: None,
        ..fields.over(before.clone())
    };
    let document = Document::parse(&merged)?;
    if document == event.newest.document {
        return answer(&mut tx, event).await;
    }
    match event.state {
        Life::Draft => document.check_draft(now)?,
        _ => check_deployed(&event, &document)?,
    }
    let revision = Revision(event.newest.revision.0.saturating_add(1));
    events::revise(&mut tx, &id, revision, &document, caller.subject(), now).await?;
    let states = (Some(before), Some(document.to_fields()));
    record(&mut tx, &caller, ("event.edit", id.as_str()), states, now).await?;
    let event = find(&mut tx, &id).await?;
    let answer = answer(&mut tx, event).await?;
    commit(tx).await?;
    Ok(answer)
}

/// `If-Match` with a revision's tag: nobody has been faster.
fn check_match(headers: &HeaderMap, newest: Revision) -> Result<(), ApiError> {
    let tag = format!("\"{newest}\"");
    let mut asked = headers.get_all(header::IF_MATCH).iter().peekable();
    let unconditional = asked.peek().is_none();
    let matches = |value: &str| {
        value
            .split(',')
            .any(|one| [&*tag, "*"].contains(&one.trim()))
    };
    if unconditional || asked.any(|value| value.to_str().is_ok_and(matches)) {
        return Ok(());
    }
    Err(ApiError::PreconditionFailed(format!(
        "somebody was faster: the revision is {newest} now"
    )))
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
