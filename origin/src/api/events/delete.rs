//! `DELETE /events/{id}`: a draft goes, with its revisions. What was once deployed stays, for the record.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use liveevents_protocol::id::EventId;
use liveevents_service::http::{ApiError, Caller, Path};

use super::lock;
use crate::api::document::IfMatch;
use crate::api::precondition::check_match;
use crate::api::record::{NOTHING, record};
use crate::api::{Api, commit};
use crate::event::lifecycle::State as Life;
use crate::store::events;

/// Removes a draft.
#[utoipa::path(
    delete,
    path = "/events/{id}",
    params(("id" = EventId, Path), IfMatch),
    responses((status = 204, description = "Gone."))
)]
pub(super) async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<EventId>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let event = lock(&mut tx, &id).await?;
    check_match(&headers, event.newest.revision)?;
    if event.state != Life::Draft {
        return Err(ApiError::Conflict(format!(
            "event {id} is {}; only a draft can be deleted, others are cancelled",
            event.state
        )));
    }
    events::delete(&mut tx, &id).await?;
    let states = (Some(event.newest.document.to_fields()), NOTHING);
    record(&mut tx, &caller, ("event.delete", id.as_str()), states, now).await?;
    commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}
