//! `GET /changes/{changeId}`: what was changed, who has it, and how long that took.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use jiff::Timestamp;
use liveevents_protocol::id::{ChangeId, DeploymentId, EventId, RegionId};
use liveevents_protocol::version::{Epoch, Version};
use liveevents_service::http::{ApiError, Caller, Json, Path};
use serde::Serialize;

use super::Api;
use super::roles::PEOPLE;
use crate::limits::MAX_REASON;
use crate::store::acks::{self, Progress};
use crate::store::{self, changes};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/changes/{id}", get(show))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    change_id: ChangeId,
    kind: String,
    event_id: Option<EventId>,
    deployment_id: Option<DeploymentId>,
    reason: Option<String>,
    actor: String,
    created_at: Timestamp,
    /// Whether every edge of every region has it, at least one in each.
    converged: bool,
    regions: BTreeMap<RegionId, RegionView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RegionView {
    version: Version,
    epoch: Epoch,
    /// None once the log has been compacted past it.
    committed_at: Option<Timestamp>,
    edges: Edges,
    /// From the commit to the acks; none before the first.
    milliseconds: Option<Quantiles>,
}

#[derive(Serialize)]
struct Edges {
    applied: u64,
    of: u64,
    stragglers: Vec<String>,
}

#[derive(Serialize)]
struct Quantiles {
    p50: f64,
    p99: f64,
    last: f64,
}

async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<ChangeId>,
) -> Result<Json<View>, ApiError> {
    caller.require(PEOPLE)?;
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let found = changes::find(&mut tx, id).await?;
    let change = found.ok_or_else(|| ApiError::not_found("change", &id))?;
    let progress = acks::progress(&mut tx, id, api.clock.now()).await?;
    let converged = progress
        .iter()
        .all(|region| region.of > 0 && region.applied == region.of);
    Ok(Json(View {
        change_id: change.id,
        kind: change.kind,
        event_id: change.event,
        deployment_id: change.deployment,
        reason: change.reason,
        actor: change.actor,
        created_at: change.created_at,
        converged,
        regions: progress.into_iter().map(region).collect(),
    }))
}

fn region(progress: Progress) -> (RegionId, RegionView) {
    // The replica that took the ack may have a clock a little behind the database's.
    let milliseconds = |seconds: f64| (seconds * 1000.0).max(0.0);
    let view = RegionView {
        version: progress.version,
        epoch: progress.epoch,
        committed_at: progress.committed_at,
        edges: Edges {
            applied: progress.applied,
            of: progress.of,
            stragglers: progress.stragglers,
        },
        milliseconds: progress.p50_p99_last.map(|(p50, p99, last)| Quantiles {
            p50: milliseconds(p50),
            p99: milliseconds(p99),
            last: milliseconds(last),
        }),
    };
    (progress.region, view)
}

/// Checks the words given for a decision.
pub(super) fn check_reason(reason: Option<&str>) -> Result<(), ApiError> {
    if reason.is_some_and(|reason| reason.chars().count() > MAX_REASON) {
        return Err(ApiError::field(
            "reason",
            format!("must have at most {MAX_REASON} characters"),
        ));
    }
    Ok(())
}
