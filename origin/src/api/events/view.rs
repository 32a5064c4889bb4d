//! Events and revisions as answers.

use std::collections::BTreeMap;

use jiff::Timestamp;
use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::model::Assignment;
use liveevents_protocol::schedule::Schedule;
use liveevents_protocol::version::Revision;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::deployments::percent;
use crate::event::approval::{Approval, ApprovalStatus};
use crate::event::fields::EventFields;
use crate::event::lifecycle::State;
use crate::event::record::{Event, Revised};
use crate::store::revisions::Summary;

/// A whole event with its newest revision.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Event)]
pub(super) struct EventView {
    #[serde(flatten)]
    revision: RevisionView,
    state: State,
    updated_at: Timestamp,
    /// When somebody activated it: from then on it is open in every region, whatever was announced.
    activated_at: Option<Timestamp>,
    /// When it was completed or cancelled.
    ended_at: Option<Timestamp>,
    /// About how many players have taken part, within 1.6 % (standard error).
    current_participants: u64,
    /// What each region serves.
    regions: BTreeMap<RegionId, Served>,
}

/// An event as of one revision.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventRevision)]
pub(super) struct RevisionView {
    event_id: EventId,
    revision: Revision,
    #[serde(flatten)]
    fields: EventFields,
    #[serde(flatten)]
    approval: ApprovalView,
    created_at: Timestamp,
    created_by: String,
}

/// A revision without what it says.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RevisionSummary {
    revision: Revision,
    display_name: String,
    #[serde(flatten)]
    approval: ApprovalView,
    created_at: Timestamp,
    created_by: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EventApproval)]
struct ApprovalView {
    approval_status: ApprovalStatus,
    /// Who approved or rejected.
    approved_by: Option<String>,
    approved_at: Option<Timestamp>,
    approval_notes: Option<String>,
}

/// What one region serves.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ServedByRegion)]
struct Served {
    live: Option<Revision>,
    candidate: Option<CandidateView>,
    schedule: Schedule,
    paused: bool,
    stopped: bool,
    /// As many take part as the event has places for.
    full: bool,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CandidateOfRegion)]
struct CandidateView {
    revision: Revision,
    percentage: f64,
    bucket_by: String,
}

impl EventView {
    pub(super) fn new<'a>(
        event: Event,
        served: impl IntoIterator<Item = (&'a RegionId, &'a Assignment)>,
    ) -> Self {
        let revision = RevisionView {
            created_at: event.created_at,
            created_by: event.created_by,
            ..RevisionView::new(event.id, event.newest)
        };
        Self {
            revision,
            state: event.state,
            updated_at: event.updated_at,
            activated_at: event.activated_at,
            ended_at: event.ended_at,
            current_participants: event.participants,
            regions: served
                .into_iter()
                .map(|(region, a)| (region.clone(), Served::of(a)))
                .collect(),
        }
    }
}

impl RevisionView {
    pub(super) fn new(event_id: EventId, revised: Revised) -> Self {
        Self {
            event_id,
            revision: revised.revision,
            fields: revised.document.to_fields(),
            approval: ApprovalView::of(&revised.approval),
            created_at: revised.created_at,
            created_by: revised.created_by,
        }
    }
}

impl From<Summary> for RevisionSummary {
    fn from(summary: Summary) -> Self {
        Self {
            revision: summary.revision,
            approval: ApprovalView::of(&summary.approval),
            display_name: summary.display_name,
            created_at: summary.created_at,
            created_by: summary.created_by,
        }
    }
}

impl ApprovalView {
    fn of(approval: &Approval) -> Self {
        let judgement = approval.judgement();
        Self {
            approval_status: approval.status(),
            approved_by: judgement.map(|judgement| judgement.by.clone()),
            approved_at: judgement.map(|judgement| judgement.at),
            approval_notes: judgement.and_then(|judgement| judgement.notes.clone()),
        }
    }
}

impl Served {
    fn of(assignment: &Assignment) -> Self {
        Self {
            live: assignment.live,
            candidate: assignment
                .candidate
                .as_ref()
                .map(|candidate| CandidateView {
                    revision: candidate.revision,
                    percentage: percent(candidate.exposure),
                    bucket_by: candidate.bucket_by.0.clone(),
                }),
            schedule: assignment.schedule.clone(),
            paused: assignment.suspension.paused,
            stopped: assignment.suspension.stopped,
            full: assignment.full,
        }
    }
}
