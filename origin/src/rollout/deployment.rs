//! The record of a deployment.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use liveevents_protocol::id::{ChangeId, DeploymentId, EventId, RegionId};
use liveevents_protocol::model::Assignment;
use liveevents_protocol::version::{BasisPoints, Revision, Version};
use serde::Serialize;
use utoipa::ToSchema;

/// How far a deployment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[expect(missing_docs, reason = "the names say it, and are the contract's")]
#[schema(as = DeploymentStatus)]
pub enum Status {
    Pending,
    InProgress,
    Paused,
    Completed,
    Failed,
    RollingBack,
    RolledBack,
    Cancelled,
}

/// One deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Its name.
    pub id: DeploymentId,
    /// Of which event.
    pub event: EventId,
    /// Of which revision.
    pub revision: Revision,
    /// Where, in the order asked for.
    pub regions: Vec<RegionId>,
    /// To which share of bucketing keys.
    pub percentage: BasisPoints,
    /// How far it is.
    pub status: Status,
    /// The change that carried it out.
    pub change: Option<ChangeId>,
    /// Who asked for it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When its last step was taken.
    pub completed_at: Option<Timestamp>,
    /// Who took it back.
    pub rolled_back: Option<RolledBack>,
    /// What it changed, by region.
    pub steps: Vec<Step>,
}

/// The end of a deployment that was taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolledBack {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
    /// By which change.
    pub change: Option<ChangeId>,
}

/// What a deployment changed in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where.
    pub region: RegionId,
    /// The assignment before, if there was one.
    pub before: Option<Assignment>,
    /// The assignment it made.
    pub after: Assignment,
    /// The version that did it.
    pub version: Version,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::InProgress,
        Self::Paused,
        Self::Completed,
        Self::Failed,
        Self::RollingBack,
        Self::RolledBack,
        Self::Cancelled,
    ];

    /// The name used in JSON and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::InProgress => "InProgress",
            Self::Paused => "Paused",
            Self::Completed => "Completed",
            Self::Failed => "Failed",
            Self::RollingBack => "RollingBack",
            Self::RolledBack => "RolledBack",
            Self::Cancelled => "Cancelled",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is {0:?}, not the status of a deployment")]
pub struct UnknownStatus(String);

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str() == text)
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}
