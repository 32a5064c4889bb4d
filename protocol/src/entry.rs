//! What a log row, a delta and a snapshot are made of.

use std::sync::Arc;

use crate::id::{EventId, SegmentId};
use crate::model::{Assignment, Content};
use crate::segment::Segment;
use crate::version::{Epoch, Revision, Version};

/// The name of a thing that a region holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKey {
    /// A segment. Orders before contents, which name segments, as these do before assignments: a list in order of key
    /// never has a thing before what it needs.
    Segment(SegmentId),
    /// A revision's content.
    Content(EventId, Revision),
    /// An event's assignment.
    Assignment(EventId),
}

impl EntryKey {
    /// The event that it belongs to; a segment belongs to none.
    #[must_use]
    pub fn event(&self) -> Option<&EventId> {
        match self {
            Self::Segment(_) => None,
            Self::Content(event, _) | Self::Assignment(event) => Some(event),
        }
    }
}

/// A thing that a region holds. Shared between states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A segment, in its effective revision.
    Segment(Arc<Segment>),
    /// A revision's content.
    Content(Arc<Content>),
    /// An event's assignment.
    Assignment(Arc<Assignment>),
}

impl Value {
    /// The name under which it is held.
    #[must_use]
    pub fn key(&self) -> EntryKey {
        match self {
            Self::Segment(segment) => EntryKey::Segment(segment.id.clone()),
            Self::Content(content) => EntryKey::Content(content.event_id.clone(), content.revision),
            Self::Assignment(assignment) => EntryKey::Assignment(assignment.event_id.clone()),
        }
    }
}

/// One step of a change in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Put this under its key.
    Put(Value),
    /// Nothing is under this key any more.
    Removal(EntryKey),
}

impl Entry {
    /// The name of what it changes.
    #[must_use]
    pub fn key(&self) -> EntryKey {
        match self {
            Self::Put(value) => value.key(),
            Self::Removal(key) => key.clone(),
        }
    }
}

impl From<Segment> for Entry {
    fn from(segment: Segment) -> Self {
        Self::Put(Value::Segment(Arc::new(segment)))
    }
}

impl From<Content> for Entry {
    fn from(content: Content) -> Self {
        Self::Put(Value::Content(Arc::new(content)))
    }
}

impl From<Assignment> for Entry {
    fn from(assignment: Assignment) -> Self {
        Self::Put(Value::Assignment(Arc::new(assignment)))
    }
}

/// An entry and the version that last changed its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamped {
    /// The version.
    pub version: Version,
    /// The entry.
    pub entry: Entry,
}

/// What changed after `from` up to and including `to`: each key at most once, with its last state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// Which history.
    pub epoch: Epoch,
    /// The version it starts from, exclusive.
    pub from: Version,
    /// The version it leads to.
    pub to: Version,
    /// Stamped within `(from, to]`.
    pub entries: Vec<Stamped>,
}

impl Delta {
    /// One log row as a delta.
    #[must_use]
    pub fn of_row(epoch: Epoch, version: Version, entries: Vec<Entry>) -> Self {
        Self {
            epoch,
            from: Version(version.0.saturating_sub(1)),
            to: version,
            entries: entries
                .into_iter()
                .map(|entry| Stamped { version, entry })
                .collect(),
        }
    }
}

/// A region's whole state: what it holds, and removals above the floor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Which history.
    pub epoch: Epoch,
    /// As of this version.
    pub version: Version,
    /// The oldest version from which a delta can be told.
    pub floor: Version,
    /// Stamped at or below `version`.
    pub entries: Vec<Stamped>,
}
