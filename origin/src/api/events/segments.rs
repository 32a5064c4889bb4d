//! `POST /events/{id}/segments/{segmentId}/assign` and `DELETE …/remove`: targeting, one segment at a time. Each is an edit
//! like any other: it makes the next revision.

use axum::extract::State;
use axum::http::HeaderMap;
use liveevents_protocol::id::{EventId, SegmentId};
use liveevents_service::http::{ApiError, Caller, Json, Path};
use serde::Deserialize;
use utoipa::ToSchema;

use super::edit::revise;
use super::view::EventView;
use crate::api::Api;
use crate::api::document::IfMatch;
use crate::event::document::Document;
use crate::event::fields::EventFields;

#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = SegmentAssignment)]
pub(super) struct How {
    /// Not for the players of the segment, rather than for them.
    #[serde(default)]
    exclude: bool,
}

/// Has an event be for a segment, or not for it, which makes the next revision.
#[utoipa::path(
    post,
    path = "/events/{id}/segments/{segmentId}/assign",
    params(("id" = EventId, Path), ("segmentId" = SegmentId, Path), IfMatch),
    responses((status = 200, description = "The event as it is now.", body = EventView, headers(("ETag" = String, description = "The revision's entity tag."))))
)]
pub(super) async fn assign(
    State(api): State<Api>,
    caller: Caller,
    Path((id, segment)): Path<(EventId, SegmentId)>,
    headers: HeaderMap,
    how: Option<Json<How>>,
) -> Result<(HeaderMap, Json<EventView>), ApiError> {
    let exclude = how.is_some_and(|Json(how)| how.exclude);
    revise(&api, &caller, &id, &headers, |document| {
        let mut named = Named::of(document);
        let (list, other, is) = if exclude {
            (&mut named.excluded, &named.targets, "is for")
        } else {
            (&mut named.targets, &named.excluded, "is not for")
        };
        if other.contains(&segment) {
            return Err(ApiError::Conflict(format!(
                "event {id} {is} segment {segment}; remove it first"
            )));
        }
        if !list.contains(&segment) {
            list.push(segment.clone());
        }
        Ok(named.fields())
    })
    .await
}

/// Has an event no longer look at a segment, which makes the next revision.
#[utoipa::path(
    delete,
    path = "/events/{id}/segments/{segmentId}/remove",
    params(("id" = EventId, Path), ("segmentId" = SegmentId, Path), IfMatch),
    responses((status = 200, description = "The event as it is now.", body = EventView, headers(("ETag" = String, description = "The revision's entity tag."))))
)]
pub(super) async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Path((id, segment)): Path<(EventId, SegmentId)>,
    headers: HeaderMap,
) -> Result<(HeaderMap, Json<EventView>), ApiError> {
    revise(&api, &caller, &id, &headers, |document| {
        let mut named = Named::of(document);
        let before = named.targets.len() + named.excluded.len();
        named.targets.retain(|named| *named != segment);
        named.excluded.retain(|named| *named != segment);
        if named.targets.len() + named.excluded.len() == before {
            let message = format!("event {id} does not name segment {segment}");
            return Err(ApiError::NotFound(message));
        }
        Ok(named.fields())
    })
    .await
}

/// The segments that an event names.
struct Named {
    targets: Vec<SegmentId>,
    excluded: Vec<SegmentId>,
}

impl Named {
    fn of(document: &Document) -> Self {
        Self {
            targets: document.target_segments.clone(),
            excluded: document.exclude_segments.clone(),
        }
    }

    fn fields(self) -> EventFields {
        let names = |segments: Vec<SegmentId>| segments.iter().map(ToString::to_string).collect();
        EventFields {
            target_segments: Some(names(self.targets)),
            exclude_segments: Some(names(self.excluded)),
            ..EventFields::default()
        }
    }
}
