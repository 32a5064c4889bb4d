//! A region's state in messages: whole in pieces, or what changed.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::EntryMessage;
use super::unread::{Listed, Unread};
use crate::entry::{Delta, Entry, Snapshot, Stamped, Value};
use crate::model::{Assignment, Content};
use crate::segment::Segment;
use crate::version::{Epoch, Version};

/// The whole region as of a version, or a piece of it: pieces follow each other from `index` 0 to the `last`, and count
/// together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "ReadSnapshot")]
pub struct SnapshotMessage {
    /// Of which history.
    pub epoch: Epoch,
    /// The version that it is as of.
    pub to: Version,
    /// The edge's clock when this was written.
    pub time: Timestamp,
    /// When that version was written at the origin, where the edge knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_at: Option<Timestamp>,
    /// The piece's place.
    pub index: u32,
    /// Whether it completes the snapshot.
    pub last: bool,
    /// Segments that contents name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<Segment>,
    /// Revisions' contents.
    pub contents: Vec<Content>,
    /// What is served.
    pub assignments: Vec<Assignment>,
    /// The edge could not use something of the region, and tells what it last could instead.
    #[serde(skip_serializing_if = "is_false")]
    pub degraded: bool,
    /// Those that could not be read.
    #[serde(skip_serializing)]
    pub unread: Vec<Unread>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadSnapshot {
    epoch: Epoch,
    to: Version,
    time: Timestamp,
    committed_at: Option<Timestamp>,
    index: u32,
    last: bool,
    #[serde(default)]
    segments: Listed<Segment>,
    contents: Listed<Content>,
    assignments: Listed<Assignment>,
    #[serde(default)]
    degraded: bool,
}

impl From<ReadSnapshot> for SnapshotMessage {
    fn from(read: ReadSnapshot) -> Self {
        let mut unread = read.contents.unread;
        unread.extend(read.segments.unread);
        unread.extend(read.assignments.unread);
        Self {
            epoch: read.epoch,
            to: read.to,
            time: read.time,
            committed_at: read.committed_at,
            index: read.index,
            last: read.last,
            segments: read.segments.read,
            contents: read.contents.read,
            assignments: read.assignments.read,
            degraded: read.degraded,
            unread,
        }
    }
}

/// What changed after `from` up to and including `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "ReadDelta")]
pub struct DeltaMessage {
    /// Of which history.
    pub epoch: Epoch,
    /// The version that it starts from.
    pub from: Version,
    /// The version that it leads to.
    pub to: Version,
    /// The edge's clock when this was written.
    pub time: Timestamp,
    /// When version `to` was written at the origin, where the edge knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_at: Option<Timestamp>,
    /// To be applied together. Kinds of a newer edge that are not known here are left out.
    pub entries: Vec<EntryMessage>,
    /// The edge could not use something of the region, and tells what it last could instead.
    #[serde(skip_serializing_if = "is_false")]
    pub degraded: bool,
    /// Those of a known kind that could not be read.
    #[serde(skip_serializing)]
    pub unread: Vec<Unread>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReadDelta {
    epoch: Epoch,
    from: Version,
    to: Version,
    time: Timestamp,
    committed_at: Option<Timestamp>,
    entries: Listed<EntryMessage>,
    #[serde(default)]
    degraded: bool,
}

impl From<ReadDelta> for DeltaMessage {
    fn from(read: ReadDelta) -> Self {
        Self {
            epoch: read.epoch,
            from: read.from,
            to: read.to,
            time: read.time,
            committed_at: read.committed_at,
            entries: read.entries.read,
            degraded: read.degraded,
            unread: read.entries.unread,
        }
    }
}

impl SnapshotMessage {
    /// Of a region's state, in one piece. Removals are left out: a game server tells nobody a delta.
    #[must_use]
    pub fn new(snapshot: Snapshot, time: Timestamp, committed_at: Option<Timestamp>) -> Self {
        let (mut segments, mut contents, mut assignments) = (Vec::new(), Vec::new(), Vec::new());
        for stamped in snapshot.entries {
            match stamped.entry {
                Entry::Put(Value::Segment(segment)) => segments.push((*segment).clone()),
                Entry::Put(Value::Content(content)) => contents.push((*content).clone()),
                Entry::Put(Value::Assignment(a)) => assignments.push((*a).clone()),
                Entry::Removal(_) => {}
            }
        }
        Self {
            epoch: snapshot.epoch,
            to: snapshot.version,
            time,
            committed_at,
            index: 0,
            last: true,
            segments,
            contents,
            assignments,
            degraded: false,
            unread: Vec::new(),
        }
    }

    /// The state that a whole snapshot tells, of which this is the only piece, or to which those of all others were
    /// added.
    #[must_use]
    pub fn into_snapshot(self) -> Snapshot {
        let segments = self.segments.into_iter().map(Entry::from);
        let entries = segments
            .chain(self.contents.into_iter().map(Entry::from))
            .chain(self.assignments.into_iter().map(Entry::from))
            .map(|entry| Stamped {
                version: self.to,
                entry,
            })
            .collect();
        Snapshot {
            epoch: self.epoch,
            version: self.to,
            floor: self.to,
            entries,
        }
    }
}

impl DeltaMessage {
    /// Of a delta.
    #[must_use]
    pub fn new(delta: Delta, time: Timestamp, committed_at: Option<Timestamp>) -> Self {
        Self {
            epoch: delta.epoch,
            from: delta.from,
            to: delta.to,
            time,
            committed_at,
            entries: delta
                .entries
                .into_iter()
                .map(|stamped| stamped.entry.into())
                .collect(),
            degraded: false,
            unread: Vec::new(),
        }
    }

    /// The delta that it tells. Every entry is stamped with the version that it leads to: a game
    /// server has no use for more.
    #[must_use]
    pub fn into_delta(self) -> Delta {
        let version = self.to;
        let entries = self
            .entries
            .into_iter()
            .map(|entry| Stamped {
                version,
                entry: entry.into(),
            })
            .collect();
        Delta {
            epoch: self.epoch,
            from: self.from,
            to: self.to,
            entries,
        }
    }
}
