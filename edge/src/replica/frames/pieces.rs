//! A snapshot in pieces: a receiver that takes its time is sent one after the other, and what has been begun is never
//! more than one of them.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use liveevents_protocol::entry::{Entry, Snapshot, Value};
use liveevents_protocol::message::MessageError;
use liveevents_protocol::version::{Epoch, Version};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::limits::SNAPSHOT_PIECE;
use crate::websocket::frame;

/// [`liveevents_protocol::message::SnapshotMessage`], of values that are JSON already.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Piece<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    epoch: Epoch,
    to: Version,
    time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    committed_at: Option<Timestamp>,
    index: usize,
    last: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    segments: &'a [Box<RawValue>],
    contents: &'a [Box<RawValue>],
    assignments: &'a [Box<RawValue>],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    degraded: bool,
}

/// What fits into one piece.
#[derive(Default)]
struct Batch {
    size: usize,
    segments: Vec<Box<RawValue>>,
    contents: Vec<Box<RawValue>>,
    assignments: Vec<Box<RawValue>>,
}

/// The frames, in order. Removals are left out: a game server tells nobody a delta.
pub(super) fn encode(
    snapshot: Snapshot,
    time: Timestamp,
    committed_at: Option<Timestamp>,
    degraded: bool,
) -> Result<Arc<[Bytes]>, MessageError> {
    let mut batches = vec![Batch::default()];
    for stamped in snapshot.entries {
        let Entry::Put(value) = stamped.entry else {
            continue;
        };
        let json = match &value {
            Value::Segment(segment) => to_raw_value(segment)?,
            Value::Content(content) => to_raw_value(content)?,
            Value::Assignment(assignment) => to_raw_value(assignment)?,
        };
        let size = json.get().len();
        let full = |batch: &Batch| batch.size > 0 && batch.size + size > SNAPSHOT_PIECE;
        if batches.last().is_none_or(full) {
            batches.push(Batch::default());
        }
        if let Some(batch) = batches.last_mut() {
            batch.size += size;
            match value {
                Value::Segment(_) => batch.segments.push(json),
                Value::Content(_) => batch.contents.push(json),
                Value::Assignment(_) => batch.assignments.push(json),
            }
        }
    }
    let count = batches.len();
    batches
        .iter()
        .enumerate()
        .map(|(index, batch)| {
            let text = serde_json::to_string(&Piece {
                kind: "snapshot",
                epoch: snapshot.epoch,
                to: snapshot.version,
                time,
                committed_at,
                index,
                last: index + 1 == count,
                segments: &batch.segments,
                contents: &batch.contents,
                assignments: &batch.assignments,
                degraded,
            })?;
            Ok(frame::text(&text))
        })
        .collect()
}
