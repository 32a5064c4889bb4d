//! `GET /api/v1/regions/{region}/events`: what a region serves now, whole. Not for players: it shows candidates and
//! salts.

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use jiff::Timestamp;
use liveevents_protocol::entry::Value;
use liveevents_protocol::id::RegionId;
use liveevents_protocol::model::{Assignment, Content};
use liveevents_protocol::segment::Segment;
use liveevents_service::http::{ApiError, Caller, Path};
use liveevents_service::token::Role;
use serde::Serialize;

use super::answer::{Tag, json, not_modified, opening};
use super::{Serving, View};
use crate::limits::INLINE_ENTRIES;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Served<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    committed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    segments: Vec<&'a Segment>,
    contents: Vec<&'a Content>,
    assignments: Vec<&'a Assignment>,
}

/// The tags of what a caller holds.
pub(super) struct Held(Option<HeaderValue>);

impl<S: Sync> FromRequestParts<S> for Held {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self(parts.headers.get(header::IF_NONE_MATCH).cloned()))
    }
}

pub(super) async fn events(
    caller: Caller,
    State(serving): State<Serving>,
    Path(region): Path<RegionId>,
    Held(held): Held,
) -> Result<Response, ApiError> {
    caller.require(&[
        Role::Admin,
        Role::Operator,
        Role::GameDesigner,
        Role::Developer,
        Role::GameServer,
    ])?;
    caller.require_region(&region)?;
    let view = View::of(serving.region(&region)?, serving.clock.now())?;
    // The same place of two histories is told apart by what led there.
    let digest = view.published.sealed().position.digest;
    let tag = Tag::of(
        &region,
        &view,
        &(view.published.cursor().version.0, digest.0),
    );
    if tag.is_met_by(held.as_ref()) {
        return Ok(not_modified(&view, tag));
    }
    let long = view.published.offers().len() > INLINE_ENTRIES;
    let print = move || print(&region, &view);
    let text = if long {
        // So that no other reader waits behind it.
        let printed = tokio::task::spawn_blocking(print).await;
        printed.map_err(ApiError::internal)??
    } else {
        print()?
    };
    Ok(json(text, Some(tag)))
}

fn print(region: &RegionId, view: &View) -> Result<Vec<u8>, ApiError> {
    let mut served = Served {
        committed_at: view.published.committed_at(),
        segments: Vec::new(),
        contents: Vec::new(),
        assignments: Vec::new(),
    };
    for (_, value) in view.published.state().values() {
        match value {
            Value::Segment(segment) => served.segments.push(segment),
            Value::Content(content) => served.contents.push(content),
            Value::Assignment(assignment) => served.assignments.push(assignment),
        }
    }
    let mut text = opening(region, view, 0)?;
    let at = text.len();
    serde_json::to_writer(&mut text, &served).map_err(ApiError::internal)?;
    // Its members go on where the others end.
    if let Some(brace) = text.get_mut(at) {
        *brace = b',';
    }
    Ok(text)
}
