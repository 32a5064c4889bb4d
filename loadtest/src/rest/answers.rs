//! Answers of the REST contract, as far as they are used.

use std::collections::BTreeMap;

use jiff::Timestamp;
use liveevents_protocol::id::{ChangeId, DeploymentId, EdgeId, EventId, RegionId};
use liveevents_protocol::model::Assignment;
use liveevents_protocol::version::{Epoch, Revision, Version};
use serde::Deserialize;

/// An event, created or edited.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Created {
    /// Its name.
    pub event_id: EventId,
    /// Its newest revision.
    pub revision: Revision,
}

/// Whatever changed a region.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// The change.
    pub change_id: ChangeId,
    /// The version that each region reached by it.
    pub regions: BTreeMap<RegionId, Version>,
}

/// A deployment, carried out.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Deployed {
    /// Its name.
    pub deployment_id: DeploymentId,
    change_id: ChangeId,
    region_versions: BTreeMap<RegionId, Version>,
}

impl Deployed {
    /// What it changed.
    #[must_use]
    pub fn changed(self) -> Changed {
        Changed {
            change_id: self.change_id,
            regions: self.region_versions,
        }
    }
}

/// A change and who has it.
#[derive(Debug, Clone, Deserialize)]
pub struct ChangeRecord {
    /// Whether every edge of every region has it.
    pub converged: bool,
    /// Where it took a version.
    pub regions: BTreeMap<RegionId, Reach>,
}

/// A change in one region.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reach {
    /// Which version.
    pub version: Version,
    /// When it was committed.
    pub committed_at: Timestamp,
    /// Edges that should have it.
    pub edges: Edges,
    /// From the commit to the acks.
    pub milliseconds: Milliseconds,
}

/// How many edges have a change.
#[derive(Debug, Clone, Deserialize)]
pub struct Edges {
    /// So many have it,
    pub applied: u64,
    /// of so many,
    pub of: u64,
    /// and these do not.
    pub stragglers: Vec<EdgeId>,
}

/// From the commit to the acks, in milliseconds.
#[derive(Debug, Clone, Deserialize)]
pub struct Milliseconds {
    /// Of the edges.
    pub edges: Option<AckTimes>,
}

/// How long acks took.
#[derive(Debug, Clone, Deserialize)]
pub struct AckTimes {
    /// Until the last of them.
    pub last: f64,
}

/// The regions of an installation.
#[derive(Debug, Clone, Deserialize)]
pub struct Regions {
    /// All of them.
    pub regions: Vec<Region>,
}

/// A region.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Region {
    /// Its name.
    pub region_id: RegionId,
}

/// A page of events.
#[derive(Debug, Clone, Deserialize)]
pub struct Listed {
    /// Those on the page.
    pub events: Vec<ListedEvent>,
}

/// An event in a list.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedEvent {
    /// Its name.
    pub event_id: EventId,
}

/// What was reported of an event.
#[derive(Debug, Clone, Deserialize)]
pub struct Metrics {
    /// How players take part.
    pub engagement: Engagement,
    /// What it brings.
    pub revenue: Revenue,
    /// How they like it.
    pub sentiment: Sentiment,
}

/// How players take part.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Engagement {
    pub active_players: Option<u64>,
    pub participations: u64,
    pub completions: u64,
    pub sessions: u64,
    pub errors: u64,
}

/// What it brings.
#[derive(Debug, Clone, Deserialize)]
pub struct Revenue {
    pub total: f64,
    pub purchases: u64,
}

/// How they like it.
#[derive(Debug, Clone, Deserialize)]
pub struct Sentiment {
    pub positive: u64,
    pub neutral: u64,
    pub negative: u64,
}

/// What an edge serves of a region.
#[derive(Debug, Clone, Deserialize)]
pub struct Served {
    /// In which history.
    pub epoch: Epoch,
    /// As of which version.
    pub version: Version,
    /// What is assigned.
    pub assignments: Vec<Assignment>,
}

/// What an edge shows a player.
#[derive(Debug, Clone, Deserialize)]
pub struct PlayerEvents {
    /// The events.
    pub events: Vec<ListedEvent>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_contract_says() {
        let change = "019ab000-0000-7000-8000-000000000001";
        let deployed = format!(
            r#"{{"deploymentId": "{change}", "eventId": "sale", "revision": 1, "status": "Completed",
                "regions": ["us-east"], "percentage": 10.0, "changeId": "{change}",
                "regionVersions": {{"us-east": 3}}}}"#
        );
        let changed = serde_json::from_str::<Deployed>(&deployed)
            .unwrap()
            .changed();
        assert_eq!(changed.change_id.to_string(), change);
        assert_eq!(changed.regions.values().collect::<Vec<_>>(), [&Version(3)]);

        let record: ChangeRecord = serde_json::from_str(
            r#"{"changeId": "…", "converged": false, "regions": {"us-east": {"version": 3,
                "committedAt": "2026-11-24T12:00:00.123456Z",
                "edges": {"applied": 1, "of": 2, "stragglers": ["edge-2"]},
                "milliseconds": {"edges": {"p50": 1.5, "p99": 1.5, "last": 1.5}}}}}"#,
        )
        .unwrap();
        let reach = record.regions.values().next().unwrap();
        assert_eq!((reach.edges.applied, reach.edges.of), (1, 2));
        assert_eq!(reach.milliseconds.edges.as_ref().unwrap().last, 1.5);
    }
}
