//! One entry of a delta, as JSON: an object with one member, named after the kind of entry.

use serde::{Deserialize, Serialize};

use crate::entry::{Entry, EntryKey, Value};
use crate::id::{EventId, SegmentId};
use crate::model::{Assignment, Content};
use crate::segment::Segment;
use crate::version::Revision;

/// `{"segment": …}`, `{"content": …}`, `{"assignment": …}`, `{"removedSegment": …}`, `{"removedContent": …}` or
/// `{"removedAssignment": …}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum EntryMessage {
    /// A segment.
    Segment(Segment),
    /// A revision's content.
    Content(Content),
    /// An event's assignment.
    Assignment(Assignment),
    /// A segment that nothing needs any more.
    #[serde(rename_all = "camelCase")]
    RemovedSegment {
        /// Which.
        segment_id: SegmentId,
    },
    /// A content that nothing needs any more.
    #[serde(rename_all = "camelCase")]
    RemovedContent {
        /// Of which event.
        event_id: EventId,
        /// Which revision.
        revision: Revision,
    },
    /// An assignment that is over.
    #[serde(rename_all = "camelCase")]
    RemovedAssignment {
        /// Of which event.
        event_id: EventId,
    },
}

impl From<Entry> for EntryMessage {
    fn from(entry: Entry) -> Self {
        match entry {
            Entry::Put(Value::Segment(segment)) => Self::Segment((*segment).clone()),
            Entry::Put(Value::Content(content)) => Self::Content((*content).clone()),
            Entry::Put(Value::Assignment(assignment)) => Self::Assignment((*assignment).clone()),
            Entry::Removal(EntryKey::Segment(segment_id)) => Self::RemovedSegment { segment_id },
            Entry::Removal(EntryKey::Content(event_id, revision)) => {
                Self::RemovedContent { event_id, revision }
            }
            Entry::Removal(EntryKey::Assignment(event_id)) => Self::RemovedAssignment { event_id },
        }
    }
}

impl From<EntryMessage> for Entry {
    fn from(entry: EntryMessage) -> Self {
        match entry {
            EntryMessage::Segment(segment) => segment.into(),
            EntryMessage::Content(content) => content.into(),
            EntryMessage::Assignment(assignment) => assignment.into(),
            EntryMessage::RemovedSegment { segment_id } => {
                Self::Removal(EntryKey::Segment(segment_id))
            }
            EntryMessage::RemovedContent { event_id, revision } => {
                Self::Removal(EntryKey::Content(event_id, revision))
            }
            EntryMessage::RemovedAssignment { event_id } => {
                Self::Removal(EntryKey::Assignment(event_id))
            }
        }
    }
}

/// The members that an entry may have. It has one, or none that is known: the derived form of an enum would refuse an
/// entry of a kind that only a newer edge has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Members {
    segment: Option<Segment>,
    content: Option<Content>,
    assignment: Option<Assignment>,
    removed_segment: Option<RemovedSegment>,
    removed_content: Option<RemovedContent>,
    removed_assignment: Option<RemovedAssignment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RemovedSegment {
    segment_id: SegmentId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RemovedContent {
    event_id: EventId,
    revision: Revision,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RemovedAssignment {
    event_id: EventId,
}

impl Members {
    pub(super) fn known(self) -> Option<EntryMessage> {
        let removed_segment =
            |RemovedSegment { segment_id }| EntryMessage::RemovedSegment { segment_id };
        let removed_content = |RemovedContent { event_id, revision }| {
            EntryMessage::RemovedContent { event_id, revision }
        };
        let removed_assignment =
            |RemovedAssignment { event_id }| EntryMessage::RemovedAssignment { event_id };
        None.or(self.segment.map(EntryMessage::Segment))
            .or(self.content.map(EntryMessage::Content))
            .or(self.assignment.map(EntryMessage::Assignment))
            .or(self.removed_segment.map(removed_segment))
            .or(self.removed_content.map(removed_content))
            .or(self.removed_assignment.map(removed_assignment))
    }
}
