//! Deployments as answers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use liveevents_protocol::id::{ChangeId, DeploymentId, EventId, RegionId};
use liveevents_protocol::version::{Revision, Version};
use serde::Serialize;
use utoipa::ToSchema;

use super::percent;
use crate::rollout::deployment::{Deployment, Status};

/// A deployment. `regions` are those asked for; `regionVersions` what it made of them.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Deployment)]
pub(in crate::api) struct DeploymentView {
    deployment_id: DeploymentId,
    event_id: EventId,
    revision: Revision,
    regions: Vec<RegionId>,
    percentage: f64,
    status: Status,
    change_id: Option<ChangeId>,
    region_versions: BTreeMap<RegionId, Version>,
    created_by: String,
    created_at: Timestamp,
    completed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rolled_back: Option<RolledBackView>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RolledBack)]
struct RolledBackView {
    at: Timestamp,
    by: String,
    reason: Option<String>,
    change_id: Option<ChangeId>,
}

impl DeploymentView {
    pub(in crate::api) fn new(deployment: Deployment) -> Self {
        let steps = deployment.steps.into_iter();
        Self {
            deployment_id: deployment.id,
            event_id: deployment.event,
            revision: deployment.revision,
            regions: deployment.regions,
            percentage: percent(deployment.percentage),
            status: deployment.status,
            change_id: deployment.change,
            region_versions: steps.map(|step| (step.region, step.version)).collect(),
            created_by: deployment.created_by,
            created_at: deployment.created_at,
            completed_at: deployment.completed_at,
            rolled_back: deployment.rolled_back.map(|end| RolledBackView {
                at: end.at,
                by: end.by,
                reason: end.reason,
                change_id: end.change,
            }),
        }
    }
}
