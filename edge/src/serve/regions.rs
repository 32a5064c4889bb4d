//! `GET /api/v1/regions/{region}/events`: what a region serves now, whole. Not for players: it shows candidates and
//! salts.

use axum::extract::State;
use jiff::Timestamp;
use liveevents_protocol::entry::Value;
use liveevents_protocol::id::RegionId;
use liveevents_protocol::model::{Assignment, Content};
use liveevents_protocol::version::{Epoch, Version};
use liveevents_service::http::{ApiError, Caller, Path};
use liveevents_service::token::Role;
use serde::Serialize;

use super::{JsonBytes, Serving, View};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RegionEvents<'a> {
    region: &'a RegionId,
    epoch: Epoch,
    version: Version,
    age_ms: u64,
    stale: bool,
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    committed_at: Option<Timestamp>,
    contents: Vec<&'a Content>,
    assignments: Vec<&'a Assignment>,
}

pub(super) async fn events(
    caller: Caller,
    State(serving): State<Serving>,
    Path(region): Path<RegionId>,
) -> Result<JsonBytes, ApiError> {
    caller.require(&[
        Role::Admin,
        Role::Operator,
        Role::GameDesigner,
        Role::Developer,
        Role::GameServer,
    ])?;
    caller.require_region(&region)?;
    let view = View::of(serving.region(&region)?, serving.clock.now())?;
    let state = view.published.state();
    let (mut contents, mut assignments) = (Vec::new(), Vec::new());
    for (_, value) in state.values() {
        match value {
            Value::Content(content) => contents.push(&**content),
            Value::Assignment(assignment) => assignments.push(&**assignment),
        }
    }
    JsonBytes::of(&RegionEvents {
        region: &region,
        epoch: state.epoch(),
        version: state.version(),
        age_ms: view.age_ms(),
        stale: view.is_stale(),
        time: view.now,
        committed_at: view.published.committed_at(),
        contents,
        assignments,
    })
}
