//! Segments, revisions and publications as answers.

use jiff::Timestamp;
use liveevents_protocol::id::{ChangeId, EventId, RegionId, SegmentId};
use liveevents_protocol::segment::Criteria;
use liveevents_protocol::version::Revision;
use serde::Serialize;
use utoipa::ToSchema;

use crate::segment::CriteriaFields;
use crate::store::publications::Publication;
use crate::store::segments::{Revised, Segment, Use};

/// A segment in its newest revision.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Segment)]
pub(super) struct SegmentView {
    segment_id: SegmentId,
    revision: Revision,
    display_name: String,
    description: String,
    #[schema(value_type = CriteriaFields)]
    criteria: Criteria,
    /// What of it is in effect; none before the first publication.
    published: Option<PublicationView>,
    created_at: Timestamp,
    created_by: String,
    updated_at: Timestamp,
    updated_by: String,
}

/// A segment, and where it is used.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SegmentDetail {
    #[serde(flatten)]
    pub(super) segment: SegmentView,
    pub(super) used_by: UseView,
}

/// Where a segment is used.
#[derive(Serialize, ToSchema)]
#[schema(as = SegmentUse)]
pub(super) struct UseView {
    /// Regions that hold it, since they serve an event that names it.
    regions: Vec<RegionId>,
    /// Events that are not over and name it in their newest revision, the first hundred.
    events: Vec<EventId>,
}

/// One revision.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SegmentRevision)]
pub(super) struct RevisionView {
    revision: Revision,
    display_name: String,
    description: String,
    #[schema(value_type = CriteriaFields)]
    criteria: Criteria,
    created_at: Timestamp,
    created_by: String,
}

/// What made a revision take effect.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SegmentPublication)]
pub(super) struct PublicationView {
    revision: Revision,
    /// Whether it took back the publication before it.
    rollback: bool,
    /// None of what came with the installation.
    change_id: Option<ChangeId>,
    published_at: Timestamp,
    published_by: String,
    reason: Option<String>,
}

impl From<Segment> for SegmentView {
    fn from(segment: Segment) -> Self {
        let newest = segment.newest;
        Self {
            segment_id: segment.id,
            revision: newest.revision,
            display_name: newest.description.display_name,
            description: newest.description.description,
            criteria: newest.description.criteria,
            published: segment.published.map(PublicationView::from),
            created_at: segment.created_at,
            created_by: segment.created_by,
            updated_at: newest.created_at,
            updated_by: newest.created_by,
        }
    }
}

impl From<Use> for UseView {
    fn from(used: Use) -> Self {
        Self {
            regions: used.regions,
            events: used.events,
        }
    }
}

impl From<Revised> for RevisionView {
    fn from(revised: Revised) -> Self {
        Self {
            revision: revised.revision,
            display_name: revised.description.display_name,
            description: revised.description.description,
            criteria: revised.description.criteria,
            created_at: revised.created_at,
            created_by: revised.created_by,
        }
    }
}

impl From<Publication> for PublicationView {
    fn from(publication: Publication) -> Self {
        Self {
            revision: publication.revision,
            rollback: publication.rollback,
            change_id: publication.change,
            published_at: publication.at,
            published_by: publication.actor,
            reason: publication.reason,
        }
    }
}
