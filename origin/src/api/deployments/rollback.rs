//! `POST /deployments/{id}/rollback`: restores what the deployment changed, and nothing else.

use std::collections::BTreeMap;

use axum::extract::State;
use liveevents_protocol::id::{DeploymentId, RegionId};
use liveevents_protocol::model::Assignment;
use liveevents_protocol::version::Version;
use liveevents_service::http::{ApiError, Caller, Json, Path};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::view::DeploymentView;
use crate::api::changes::check_reason;
use crate::api::life::{self, Settled};
use crate::api::record::{record, trace_id};
use crate::api::{Api, commit};
use crate::change::{self, Decision, Edit, Request};
use crate::metrics;
use crate::rollout::deployment::{Deployment, RolledBack, Status, Step};
use crate::rollout::place;
use crate::store::rollbacks::{self, Move, Revisions, Rollback};
use crate::store::{assignments, deployments, region_log, revisions};
use liveevents_protocol::id::ChangeId;
use utoipa::ToSchema;

const KIND: &str = "Rollback";

#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = RollbackReason)]
pub(super) struct Why {
    reason: Option<String>,
}

/// The deployment, and the change that took it back.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RollbackDone)]
pub(super) struct TakenBack {
    change_id: ChangeId,
    regions: BTreeMap<RegionId, Version>,
    deployment: DeploymentView,
}

/// Restores what a deployment changed, and nothing else.
#[utoipa::path(
    post,
    path = "/deployments/{id}/rollback",
    params(("id" = DeploymentId, Path)),
    responses((status = 200, description = "Done.", body = TakenBack))
)]
pub(super) async fn roll_back(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<DeploymentId>,
    why: Option<Json<Why>>,
) -> Result<Json<TakenBack>, ApiError> {
    let reason = why.and_then(|Json(why)| why.reason);
    check_reason(reason.as_deref())?;
    let missing = || ApiError::not_found("deployment", &id);
    let mut conn = api.acquire().await?;
    let found = deployments::find(&mut conn, id).await?;
    let event = found.ok_or_else(missing)?.event;
    drop(conn);
    let Settled {
        mut tx,
        event: locked,
        now,
    } = life::lock(&api, &event).await?;
    let mut deployment = deployments::lock(&mut tx, id).await?.ok_or_else(missing)?;
    for step in &deployment.steps {
        caller.require_region(&step.region)?;
    }
    if locked.state.is_over() {
        return Err(ApiError::Conflict(format!(
            "event {event} is {}",
            locked.state
        )));
    }
    if deployment.status != Status::Completed {
        let status = deployment.status;
        return Err(ApiError::Conflict(format!(
            "deployment {id} is {status}, not Completed"
        )));
    }
    let edits = edits(&mut tx, &deployment).await?;
    let contents = contents(&mut tx, &edits).await?;
    let decision = Decision {
        kind: KIND,
        actor: caller.subject().to_owned(),
        reason: reason.clone(),
        event: Some(event.clone()),
        deployment: Some(id),
        trace_id: trace_id(),
    };
    let committed = change::commit(
        &mut tx,
        &Request {
            decision,
            edits,
            contents,
        },
    )
    .await?;
    let before = serde_json::json!({ "status": deployment.status });
    let rolled_back = RolledBack {
        at: now,
        by: caller.subject().to_owned(),
        reason,
        change: Some(committed.change),
    };
    deployments::set_rolled_back(&mut tx, id, &rolled_back).await?;
    let moved = |step: &Step| {
        let from = Revisions::of(Some(&step.after));
        let to = Revisions::of(step.before.as_ref());
        (step.region.clone(), Move { from, to })
    };
    let rollback = Rollback {
        change: committed.change,
        deployment: Some(id),
        actor: rolled_back.by.clone(),
        reason: rolled_back.reason.clone(),
        at: now,
        regions: deployment.steps.iter().map(moved).collect(),
    };
    rollbacks::insert(&mut tx, &event, &rollback).await?;
    deployment.status = Status::RolledBack;
    deployment.rolled_back = Some(rolled_back);
    let answer = TakenBack {
        change_id: committed.change,
        regions: committed.regions,
        deployment: DeploymentView::new(deployment),
    };
    let subject = id.to_string();
    record(
        &mut tx,
        &caller,
        ("deployment.rollback", &subject),
        (Some(before), Some(&answer)),
        now,
    )
    .await?;
    commit(tx).await?;
    api.metrics.changed(KIND);
    let event_type = locked.newest.document.event_type;
    api.metrics.deployed(event_type, Status::RolledBack);
    api.metrics
        .rolled_back(metrics::TakenBack::Deployment, metrics::Cause::Manual);
    Ok(Json(answer))
}

/// What each region goes back to; refused where a later deployment changed the same.
async fn edits(
    conn: &mut PgConnection,
    deployment: &Deployment,
) -> Result<BTreeMap<RegionId, Vec<Edit>>, ApiError> {
    let regions: Vec<RegionId> = deployment
        .steps
        .iter()
        .map(|step| step.region.clone())
        .collect();
    region_log::lock(conn, &regions).await?;
    let served = assignments::of_event(conn, &deployment.event).await?;
    let mut edits = BTreeMap::new();
    for step in &deployment.steps {
        let now = served.get(&step.region);
        let Ok(after) = place::roll_back(step.before.as_ref(), &step.after, now) else {
            let later =
                deployments::later(conn, &deployment.event, &step.region, step.version).await?;
            let by = later.map_or("something else".to_owned(), |id| format!("deployment {id}"));
            let message = format!(
                "region {} was changed since by {by}; roll that back first",
                step.region
            );
            return Err(ApiError::Conflict(message));
        };
        let edit = match after {
            Some(assignment) => Edit::Put(assignment),
            None => Edit::Remove(deployment.event.clone()),
        };
        edits.insert(step.region.clone(), vec![edit]);
    }
    Ok(edits)
}

/// The contents of every revision that comes back: regions have dropped what nothing named any more.
pub(in crate::api) async fn contents(
    conn: &mut PgConnection,
    edits: &BTreeMap<RegionId, Vec<Edit>>,
) -> Result<Vec<liveevents_protocol::model::Content>, ApiError> {
    let mut wanted = std::collections::BTreeSet::new();
    for edit in edits.values().flatten() {
        if let Edit::Put(assignment) = edit {
            let revisions = Assignment::revisions(assignment);
            wanted.extend(revisions.map(|revision| (assignment.event_id.clone(), revision)));
        }
    }
    let mut contents = Vec::with_capacity(wanted.len());
    for (event, revision) in wanted {
        contents.extend(revisions::content(conn, &event, revision).await?);
    }
    Ok(contents)
}
