//! `GET /events/{id}/revisions` and one of them.

use axum::extract::State;
use axum::http::HeaderMap;
use liveevents_protocol::id::EventId;
use liveevents_protocol::version::Revision;
use liveevents_service::http::{ApiError, Caller, Json, Path};
use serde::Serialize;

use super::find;
use super::view::{RevisionSummary, RevisionView, etag};
use crate::api::Api;
use crate::api::roles::PEOPLE;
use crate::store::{self, revisions};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Listed {
    event_id: EventId,
    revisions: Vec<RevisionSummary>,
}

pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<EventId>,
) -> Result<Json<Listed>, ApiError> {
    caller.require(PEOPLE)?;
    let mut tx = store::begin_snapshot(&api.pool).await?;
    find(&mut tx, &id).await?;
    let revisions = revisions::list(&mut tx, &id).await?.into_iter();
    Ok(Json(Listed {
        event_id: id,
        revisions: revisions.map(RevisionSummary::from).collect(),
    }))
}

pub(super) async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path((id, revision)): Path<(EventId, Revision)>,
) -> Result<(HeaderMap, Json<RevisionView>), ApiError> {
    caller.require(PEOPLE)?;
    let mut tx = store::begin_snapshot(&api.pool).await?;
    find(&mut tx, &id).await?;
    let found = revisions::find(&mut tx, &id, revision).await?;
    let missing = || ApiError::NotFound(format!("event {id} has no revision {revision}"));
    let view = RevisionView::new(id.clone(), found.ok_or_else(missing)?);
    Ok((etag(revision), Json(view)))
}
