//! `POST /events/{id}/rollback`: the event's previous revision, or none, back in every region, as one change; and
//! `GET /events/{id}/rollback-history`, which is kept for good.
//!
//! Like a stop it is limited by no rate. It is refused only where there is nothing to go back to.

use std::collections::BTreeMap;

use axum::extract::State;
use jiff::Timestamp;
use liveevents_protocol::id::{ChangeId, DeploymentId, EventId, RegionId};
use liveevents_protocol::version::{Revision, Version};
use liveevents_service::http::{ApiError, Caller, Checks, Json, Path, Query};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};

use super::find;
use super::lifecycle::Scene;
use crate::api::changes::check_reason;
use crate::api::deployments::rollback::contents;
use crate::api::page::page;
use crate::api::record::{record, trace_id};
use crate::api::{Api, commit};
use crate::change::{self, Decision, Edit, Request};
use crate::event::approval::ApprovalStatus;
use crate::metrics;
use crate::rollout::deployment::{RolledBack, Status};
use crate::rollout::take_back::take_back;
use crate::store::rollbacks::{self, Move, Revisions, Rollback};
use crate::store::{self, Page, deployments, revisions};

const KIND: &str = "EventRollback";

#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = EventRollback)]
pub(super) struct Order {
    to_revision: Option<Revision>,
    reason: Option<String>,
}

/// What went back, and by which change.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventRolledBack)]
pub(super) struct Done {
    change_id: ChangeId,
    /// The version that each region has reached by it.
    regions: BTreeMap<RegionId, Version>,
    /// What each region served, and serves since.
    moves: BTreeMap<RegionId, Move>,
    /// The deployments that were taken back by it.
    deployments: Vec<DeploymentId>,
}

/// Brings an event's previous revision, or none, or the one named, back in every region.
#[utoipa::path(
    post,
    path = "/events/{id}/rollback",
    params(("id" = EventId, Path)),
    responses((status = 200, description = "Done.", body = Done))
)]
pub(super) async fn roll_back(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<EventId>,
    order: Option<Json<Order>>,
) -> Result<Json<Done>, ApiError> {
    let Order {
        to_revision,
        reason,
    } = order.map(|Json(order)| order).unwrap_or_default();
    check_reason(reason.as_deref())?;
    let mut scene = Scene::begin(&api, &caller, &id, false).await?;
    let state = scene.event.state;
    let event_type = scene.event.newest.document.event_type;
    if state.is_over() {
        return Err(ApiError::Conflict(format!("event {id} is {state}")));
    }
    if let Some(revision) = to_revision {
        check(&api, &mut scene.tx, &id, revision).await?;
    }
    let in_force = deployments::in_force(&mut scene.tx, &id).await?;
    let back = take_back(&scene.served, &in_force, to_revision);
    if back.regions.is_empty() {
        return Err(ApiError::Conflict(match to_revision {
            Some(revision) => {
                format!("every region of event {id} serves revision {revision} already")
            }
            None => format!("nothing of event {id} is deployed that could be taken back"),
        }));
    }
    let moved = |(region, after): (&RegionId, &Option<_>)| {
        let from = Revisions::of(scene.served.get(region));
        let to = Revisions::of(after.as_ref());
        (region.clone(), Move { from, to })
    };
    let moves: BTreeMap<RegionId, Move> = back.regions.iter().map(moved).collect();
    let edit = |(region, after)| {
        let edit = match after {
            Some(assignment) => Edit::Put(assignment),
            None => Edit::Remove(id.clone()),
        };
        (region, vec![edit])
    };
    let edits = back.regions.into_iter().map(edit).collect();
    let request = Request {
        decision: Decision {
            kind: KIND,
            actor: caller.subject().to_owned(),
            reason: reason.clone(),
            event: Some(id.clone()),
            deployment: None,
            trace_id: trace_id(),
        },
        contents: contents(&mut scene.tx, &edits).await?,
        edits,
    };
    let committed = change::commit(&mut scene.tx, &request).await?;
    let rolled_back = RolledBack {
        at: scene.now,
        by: caller.subject().to_owned(),
        reason: reason.clone(),
        change: Some(committed.change),
    };
    for deployment in &back.deployments {
        deployments::set_rolled_back(&mut scene.tx, *deployment, &rolled_back).await?;
    }
    let rollback = Rollback {
        change: committed.change,
        deployment: None,
        actor: rolled_back.by,
        reason,
        at: scene.now,
        regions: moves.clone(),
    };
    rollbacks::insert(&mut scene.tx, &id, &rollback).await?;
    let done = Done {
        change_id: committed.change,
        regions: committed.regions,
        moves,
        deployments: back.deployments,
    };
    let before: BTreeMap<&RegionId, Revisions> = done
        .moves
        .iter()
        .map(|(region, moved)| (region, moved.from))
        .collect();
    let deed = ("event.rollback", id.as_str());
    let states = (Some(before), Some(&done));
    record(&mut scene.tx, &caller, deed, states, scene.now).await?;
    commit(scene.tx).await?;
    api.metrics.changed(KIND);
    for _ in &done.deployments {
        api.metrics.deployed(event_type, Status::RolledBack);
    }
    api.metrics
        .rolled_back(metrics::TakenBack::Event, metrics::Cause::Manual);
    Ok(Json(done))
}

/// Whether a revision may be served.
async fn check(
    api: &Api,
    conn: &mut PgConnection,
    id: &EventId,
    revision: Revision,
) -> Result<(), ApiError> {
    let found = revisions::find(conn, id, revision).await?;
    let missing = || {
        ApiError::field(
            "toRevision",
            format!("event {id} has no revision {revision}"),
        )
    };
    let status = found.ok_or_else(missing)?.approval.status();
    if api.require_approval && status != ApprovalStatus::Approved {
        let message = format!("revision {revision} of event {id} is {status}, not Approved");
        return Err(ApiError::Conflict(message));
    }
    Ok(())
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    limit: Option<u32>,
    offset: Option<u32>,
}

impl Asked {
    /// The page asked for.
    pub(super) fn page(&self, checks: &mut Checks) -> Page {
        page(self.limit, self.offset, checks)
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = RollbackList)]
pub(super) struct Listed {
    rollbacks: Vec<View>,
    total: u64,
    limit: u32,
    offset: u32,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Rollback)]
struct View {
    change_id: ChangeId,
    /// None if it was the event that went back.
    deployment_id: Option<DeploymentId>,
    actor: String,
    reason: Option<String>,
    at: Timestamp,
    regions: BTreeMap<RegionId, Move>,
}

/// What of an event was taken back, by whom and why, newest first; kept for good.
#[utoipa::path(
    get,
    path = "/events/{id}/rollback-history",
    params(("id" = EventId, Path), Asked),
    responses((status = 200, description = "A page.", body = Listed))
)]
pub(super) async fn history(
    State(api): State<Api>,
    Path(id): Path<EventId>,
    Query(asked): Query<Asked>,
) -> Result<Json<Listed>, ApiError> {
    let mut checks = Checks::default();
    let page = asked.page(&mut checks);
    checks.finish()?;
    let mut tx = store::begin_snapshot(&api.pool).await?;
    find(&mut tx, &id).await?;
    let found = rollbacks::list(&mut tx, &id, page).await?;
    let view = |rollback: Rollback| View {
        change_id: rollback.change,
        deployment_id: rollback.deployment,
        actor: rollback.actor,
        reason: rollback.reason,
        at: rollback.at,
        regions: rollback.regions,
    };
    Ok(Json(Listed {
        rollbacks: found.items.into_iter().map(view).collect(),
        total: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}
