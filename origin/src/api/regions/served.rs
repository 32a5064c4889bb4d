//! `GET /regions/{region}/events`: what a region serves now, as the database has it. The same answer as an edge's, of which
//! it is the source: nothing here is old.

use axum::extract::State;
use jiff::Timestamp;
use liveevents_protocol::entry::Value;
use liveevents_protocol::id::RegionId;
use liveevents_protocol::model::{Assignment, Content};
use liveevents_protocol::segment::Segment;
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::{Epoch, Version};
use liveevents_service::http::{ApiError, Caller, Json, Path};
use liveevents_service::token::Role;
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::api::Api;
use crate::store::{self, snapshot};

/// Everybody but players, who are not to see candidates and salts.
pub(super) const READERS: &[Role] = &[
    Role::Admin,
    Role::Operator,
    Role::GameDesigner,
    Role::Developer,
    Role::GameServer,
];

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ServedRegion)]
pub(in crate::api) struct Served {
    region: RegionId,
    epoch: Epoch,
    version: Version,
    age_ms: u64,
    stale: bool,
    time: Timestamp,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    segments: Vec<Segment>,
    #[schema(value_type = Vec<Object>)]
    contents: Vec<Content>,
    #[schema(value_type = Vec<Object>)]
    assignments: Vec<Assignment>,
}

/// What a region serves now, whole.
#[utoipa::path(
    get,
    path = "/regions/{id}/events",
    params(("id" = RegionId, Path)),
    responses((status = 200, description = "As an edge that is current answers it.", body = Served))
)]
pub(in crate::api) async fn events(
    State(api): State<Api>,
    caller: Caller,
    Path(region): Path<RegionId>,
) -> Result<Json<Served>, ApiError> {
    caller.require_region(&region)?;
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let state = state(&mut tx, &region).await?;
    drop(tx);
    let mut served = Served {
        epoch: state.epoch(),
        version: state.version(),
        region,
        age_ms: 0,
        stale: false,
        time: api.clock.now(),
        segments: Vec::new(),
        contents: Vec::new(),
        assignments: Vec::new(),
    };
    for (_, value) in state.values() {
        match value {
            Value::Segment(segment) => served.segments.push(segment.as_ref().clone()),
            Value::Content(content) => served.contents.push(content.as_ref().clone()),
            Value::Assignment(assignment) => served.assignments.push(assignment.as_ref().clone()),
        }
    }
    Ok(Json(served))
}

/// A region's state as edges have it once they are current. Call it in a transaction of one snapshot.
pub(in crate::api) async fn state(
    conn: &mut PgConnection,
    region: &RegionId,
) -> Result<RegionState, ApiError> {
    let read = snapshot::read(conn, region).await?;
    let (snapshot, _) = read.ok_or_else(|| ApiError::not_found("region", region))?;
    RegionState::from_snapshot(snapshot).map_err(ApiError::internal)
}
