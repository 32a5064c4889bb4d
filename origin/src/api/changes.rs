//! `GET /changes/{changeId}`: what was changed, who has it, and how long that took.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use jiff::Timestamp;
use liveevents_protocol::id::{ChangeId, DeploymentId, EdgeId, EventId, RegionId};
use liveevents_protocol::version::{Epoch, Version};
use liveevents_service::http::{ApiError, Caller, Json, Path};
use serde::Serialize;

use super::Api;
use super::roles::PEOPLE;
use crate::limits::{MAX_REASON, STRAGGLER_MEMORY};
use crate::store;
use crate::store::changes::{self, Change, Reach};

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
    committed_at: Timestamp,
    edges: Edges,
    /// From the commit to the ack, over the edges that were there; none before the first ack.
    milliseconds: Option<Quantiles>,
}

#[derive(Serialize)]
struct Edges {
    applied: usize,
    of: usize,
    stragglers: Vec<EdgeId>,
}

#[derive(Debug, Serialize, PartialEq)]
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
    let found = changes::find(&mut tx, id, STRAGGLER_MEMORY, api.clock.now()).await?;
    let change = found.ok_or_else(|| ApiError::not_found("change", &id))?;
    Ok(Json(view(change)))
}

fn view(change: Change) -> View {
    let regions: BTreeMap<_, _> = change
        .regions
        .into_iter()
        .map(|reach| (reach.region.clone(), region(reach)))
        .collect();
    let reached = |region: &RegionView| region.edges.of > 0 && region.edges.stragglers.is_empty();
    View {
        change_id: change.id,
        kind: change.kind,
        event_id: change.event,
        deployment_id: change.deployment,
        reason: change.reason,
        actor: change.actor,
        created_at: change.created_at,
        converged: regions.values().all(reached),
        regions,
    }
}

fn region(reach: Reach) -> RegionView {
    let acked = reach.edges.iter().filter_map(|edge| edge.acked_at);
    let took = acked.map(|at| at.duration_since(reach.committed_at).as_secs_f64() * 1000.0);
    // Another replica's clock may stand a little before the database's.
    let milliseconds = quantiles(took.map(|ms| ms.max(0.0)).collect());
    let of = reach.edges.len();
    let stragglers: Vec<EdgeId> = reach
        .edges
        .into_iter()
        .filter(|edge| !edge.applied)
        .map(|edge| edge.id)
        .collect();
    RegionView {
        version: reach.version,
        epoch: reach.epoch,
        committed_at: reach.committed_at,
        edges: Edges {
            applied: of - stragglers.len(),
            of,
            stragglers,
        },
        milliseconds,
    }
}

/// By the nearest rank: with few edges p99 is the last.
fn quantiles(mut took: Vec<f64>) -> Option<Quantiles> {
    took.sort_by(f64::total_cmp);
    let rank = |percent: usize| {
        took.get((took.len() * percent).div_ceil(100).saturating_sub(1))
            .copied()
    };
    Some(Quantiles {
        p50: rank(50)?,
        p99: rank(99)?,
        last: rank(100)?,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_by_nearest_rank() {
        assert_eq!(quantiles(Vec::new()), None);
        assert_eq!(
            quantiles(vec![3.0]),
            Some(Quantiles {
                p50: 3.0,
                p99: 3.0,
                last: 3.0
            })
        );
        let hundred = (1..=100).rev().map(f64::from).collect();
        assert_eq!(
            quantiles(hundred),
            Some(Quantiles {
                p50: 50.0,
                p99: 99.0,
                last: 100.0
            })
        );
    }
}
