//! Puts the pieces of a snapshot together. Pure.
//!
//! Nothing of a snapshot is shown before its last piece is there. Pieces come in order on one connection; anything
//! else is an edge that makes no sense.

use liveevents_protocol::message::SnapshotMessage;

use crate::disconnected::Disconnected;
use crate::limits::MAX_MESSAGE;

/// The pieces so far.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    whole: Option<SnapshotMessage>,
    next: u32,
    bytes: usize,
}

impl Assembly {
    /// Adds a piece that took `bytes`; the whole, if it was the last.
    pub(super) fn add(
        &mut self,
        piece: SnapshotMessage,
        bytes: usize,
    ) -> Result<Option<SnapshotMessage>, Disconnected> {
        // The first begins anew: an edge that has gone on meanwhile may send its newer state instead of the rest.
        let mut before = std::mem::take(self);
        if piece.index == 0 {
            before = Self::default();
        }
        if piece.index != before.next {
            return Err(malformed(format!(
                "piece {} of a snapshot, {} is next",
                piece.index, before.next
            )));
        }
        let bytes = before.bytes.saturating_add(bytes);
        if bytes > MAX_MESSAGE {
            return Err(malformed(format!("a snapshot above {MAX_MESSAGE} bytes")));
        }
        let (is_last, next) = (piece.last, before.next.saturating_add(1));
        let whole = match before.whole {
            None => piece,
            Some(whole) => joined(whole, piece)?,
        };
        if is_last {
            return Ok(Some(whole));
        }
        *self = Self {
            whole: Some(whole),
            next,
            bytes,
        };
        Ok(None)
    }
}

fn joined(
    mut whole: SnapshotMessage,
    piece: SnapshotMessage,
) -> Result<SnapshotMessage, Disconnected> {
    if (whole.epoch, whole.to) != (piece.epoch, piece.to) {
        return Err(malformed("pieces of two snapshots".to_owned()));
    }
    whole.segments.extend(piece.segments);
    whole.contents.extend(piece.contents);
    whole.assignments.extend(piece.assignments);
    whole.unread.extend(piece.unread);
    whole.time = whole.time.max(piece.time);
    whole.committed_at = whole.committed_at.or(piece.committed_at);
    Ok(whole)
}

fn malformed(what: String) -> Disconnected {
    Disconnected::Malformed(what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use liveevents_protocol::entry::Snapshot;
    use liveevents_protocol::model::{Assignment, Suspension};
    use liveevents_protocol::schedule::Schedule;
    use liveevents_protocol::version::{Epoch, Version};
    use uuid::Uuid;

    fn piece(to: u64, index: u32, last: bool, event: &str) -> SnapshotMessage {
        let (version, floor) = (Version(to), Version(0));
        let snapshot = Snapshot {
            epoch: Epoch(Uuid::from_u128(1)),
            version,
            floor,
            entries: Vec::new(),
        };
        let assignment = Assignment {
            event_id: event.parse().unwrap(),
            salt: "salt".to_owned(),
            live: None,
            candidate: None,
            schedule: Schedule::default(),
            suspension: Suspension::default(),
            full: false,
        };
        SnapshotMessage {
            index,
            last,
            assignments: vec![assignment],
            ..SnapshotMessage::new(snapshot, Timestamp::UNIX_EPOCH, None)
        }
    }

    fn events(whole: Option<SnapshotMessage>) -> Vec<String> {
        let assignments = whole.unwrap().assignments.into_iter();
        assignments.map(|a| a.event_id.to_string()).collect()
    }

    #[test]
    fn is_whole_with_the_last_piece() {
        let mut assembly = Assembly::default();
        let one = assembly.add(piece(5, 0, true, "one"), 1).unwrap();
        assert_eq!(events(one), ["one"]);
        assert!(assembly.add(piece(5, 0, false, "a"), 1).unwrap().is_none());
        assert!(assembly.add(piece(5, 1, false, "b"), 1).unwrap().is_none());
        let whole = assembly.add(piece(5, 2, true, "c"), 1).unwrap();
        assert_eq!(events(whole), ["a", "b", "c"]);
        // The edge has gone on meanwhile, and begins anew.
        assert!(assembly.add(piece(6, 0, false, "a"), 1).unwrap().is_none());
        let whole = assembly.add(piece(7, 0, true, "d"), 1).unwrap();
        assert_eq!(events(whole), ["d"]);
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let mut assembly = Assembly::default();
        let error = assembly.add(piece(5, 1, true, "b"), 1).unwrap_err();
        assert!(error.to_string().contains("piece 1"), "{error}");
        assembly.add(piece(5, 0, false, "a"), 1).unwrap();
        assert!(assembly.add(piece(5, 2, true, "c"), 1).is_err());
        assembly.add(piece(5, 0, false, "a"), 1).unwrap();
        assert!(assembly.add(piece(6, 1, true, "b"), 1).is_err());
        assembly.add(piece(5, 0, false, "a"), MAX_MESSAGE).unwrap();
        assert!(assembly.add(piece(5, 1, true, "b"), 1).is_err());
    }
}
