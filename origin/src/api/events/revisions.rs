//! `GET /events/{id}/revisions`, one of them, and what differs between two.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use json_patch::Patch;
use liveevents_protocol::id::EventId;
use liveevents_protocol::version::Revision;
use liveevents_service::http::{ApiError, Checks, Json, Path, Query};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};

use super::find;
use super::view::{RevisionSummary, RevisionView};
use crate::api::Api;
use crate::api::page::page;
use crate::api::precondition::etag;
use crate::event::fields::EventFields;
use crate::event::record::Revised;
use crate::store::{self, revisions};

/// RFC 6902.
const JSON_PATCH: HeaderValue = HeaderValue::from_static("application/json-patch+json");

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    limit: Option<u32>,
    offset: Option<u32>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Beside {
    /// The revision to start from.
    diff: Option<Revision>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RevisionList)]
pub(super) struct Listed {
    event_id: EventId,
    /// Newest first.
    revisions: Vec<RevisionSummary>,
    total: u64,
    limit: u32,
    offset: u32,
}

/// The revisions of an event, newest first.
#[utoipa::path(
    get,
    path = "/events/{id}/revisions",
    params(("id" = EventId, Path), Asked),
    responses((status = 200, description = "A page.", body = Listed))
)]
pub(super) async fn list(
    State(api): State<Api>,
    Path(id): Path<EventId>,
    Query(asked): Query<Asked>,
) -> Result<Json<Listed>, ApiError> {
    let mut checks = Checks::default();
    let page = page(asked.limit, asked.offset, &mut checks);
    checks.finish()?;
    let mut tx = store::begin_snapshot(&api.pool).await?;
    find(&mut tx, &id).await?;
    let found = revisions::list(&mut tx, &id, page).await?;
    Ok(Json(Listed {
        event_id: id,
        revisions: found.items.into_iter().map(RevisionSummary::from).collect(),
        total: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}

/// One revision; with `diff=m`, what makes revision m into this one.
#[utoipa::path(
    get,
    path = "/events/{id}/revisions/{revision}",
    params(Beside),
    responses((status = 200, description = "The revision, or the difference as a JSON Patch.", content((RevisionView = "application/json"), (Vec<serde_json::Value> = "application/json-patch+json")), headers(("ETag" = String, description = "The revision's entity tag."))))
)]
pub(super) async fn show(
    State(api): State<Api>,
    Path((id, revision)): Path<(EventId, Revision)>,
    Query(beside): Query<Beside>,
) -> Result<Response, ApiError> {
    let mut tx = store::begin_snapshot(&api.pool).await?;
    find(&mut tx, &id).await?;
    let found = one(&mut tx, &id, revision).await?;
    if let Some(from) = beside.diff {
        let from = one(&mut tx, &id, from).await?;
        drop(tx);
        let difference = api
            .inspector
            .apart(move || difference(&from, &found))
            .await?;
        let kind: HeaderMap = [(header::CONTENT_TYPE, JSON_PATCH)].into_iter().collect();
        return Ok((kind, axum::Json(difference?)).into_response());
    }
    let view = RevisionView::new(id, found);
    Ok((etag(revision), Json(view)).into_response())
}

async fn one(
    conn: &mut PgConnection,
    id: &EventId,
    revision: Revision,
) -> Result<Revised, ApiError> {
    let found = revisions::find(conn, id, revision).await?;
    found.ok_or_else(|| ApiError::NotFound(format!("event {id} has no revision {revision}")))
}

/// Of what designers write; numbers count by their value, not by how they are written.
fn difference(from: &Revised, to: &Revised) -> Result<Patch, ApiError> {
    let tree = |revised: &Revised| {
        // By way of text: free-form JSON has no tree of its own.
        let fields: EventFields = revised.document.to_fields();
        let text = serde_json::to_string(&fields).map_err(ApiError::internal)?;
        serde_json::from_str(&text).map_err(ApiError::internal)
    };
    Ok(json_patch::diff(&tree(from)?, &tree(to)?))
}
