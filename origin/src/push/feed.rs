//! The newest rows of one region's log, encoded once for all edges: immutable, pure.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use liveevents_protocol::frame::Row;
use liveevents_protocol::position::{Position, SealedPosition};
use liveevents_protocol::version::Version;

use crate::limits::{FEED_BYTES, FEED_ROWS};

/// One row with its frame.
#[derive(Debug)]
pub struct FeedRow {
    /// The row.
    pub row: Row,
    /// The position after it.
    pub position: SealedPosition,
    /// A frame of just this row.
    pub frame: Bytes,
}

/// What one region's edges are sent from.
#[derive(Debug, Clone)]
pub struct Feed {
    head: SealedPosition,
    floor: Version,
    rows: VecDeque<Arc<FeedRow>>,
    bytes: usize,
}

/// How an edge at some position is brought on.
#[derive(Debug)]
pub enum Next {
    /// It holds the head, or more than this replica has yet read.
    Current,
    /// By this row, and then perhaps by more: one at a time, so that an edge that takes it slowly keeps no
    /// other in memory.
    Row(Arc<FeedRow>),
    /// By rows that only the log still has.
    Log,
    /// By a snapshot.
    Snapshot,
}

impl Feed {
    /// Of a log whose rows were not read.
    #[must_use]
    pub fn new(head: SealedPosition, floor: Version) -> Self {
        Self {
            head,
            floor,
            rows: VecDeque::new(),
            bytes: 0,
        }
    }

    /// The newest position.
    #[must_use]
    pub fn head(&self) -> SealedPosition {
        self.head
    }

    /// The feed after some more rows, which follow its head without gap.
    #[must_use]
    pub fn extended(&self, rows: Vec<Arc<FeedRow>>, floor: Version) -> Self {
        let mut next = Self {
            floor,
            ..self.clone()
        };
        for row in rows {
            next.head = row.position;
            next.bytes += row.frame.len();
            next.rows.push_back(row);
        }
        while next.rows.len() > FEED_ROWS || next.bytes > FEED_BYTES {
            let Some(oldest) = next.rows.pop_front() else {
                break;
            };
            next.bytes -= oldest.frame.len();
        }
        next
    }

    /// How an edge that holds `position` is brought on. An epoch later than this feed's is one that this
    /// replica is about to read.
    #[must_use]
    pub fn next(&self, position: Option<&Position>) -> Next {
        let head = &self.head.position;
        let Some(position) = position.filter(|position| position.epoch >= head.epoch) else {
            return Next::Snapshot;
        };
        if position.epoch > head.epoch || position.version >= head.version {
            return Next::Current;
        }
        let behind = head.version.0 - position.version.0;
        let kept = self.rows.len() as u64;
        let row = kept.checked_sub(behind).and_then(|at| {
            let at = usize::try_from(at).ok()?;
            self.rows.get(at)
        });
        match row {
            Some(row) => Next::Row(row.clone()),
            None if position.version >= self.floor => Next::Log,
            None => Next::Snapshot,
        }
    }
}

#[cfg(test)]
mod tests {
    use liveevents_protocol::id::ChangeId;
    use liveevents_protocol::position::Digest;
    use liveevents_protocol::version::Epoch;
    use uuid::Uuid;

    use super::*;

    fn position(epoch: u128, version: u64) -> Position {
        Position {
            epoch: Epoch(Uuid::from_u128(epoch)),
            version: Version(version),
            digest: Digest::START,
        }
    }

    fn sealed(epoch: u128, version: u64) -> SealedPosition {
        SealedPosition {
            position: position(epoch, version),
            mac: [0; 16],
        }
    }

    fn row(version: u64, bytes: usize) -> Arc<FeedRow> {
        Arc::new(FeedRow {
            row: Row {
                version: Version(version),
                change: ChangeId(Uuid::nil()),
                committed_at: jiff::Timestamp::UNIX_EPOCH,
                entries: Vec::new(),
            },
            position: sealed(5, version),
            frame: Bytes::from(vec![0; bytes]),
        })
    }

    fn told(feed: &Feed, held: Option<Position>) -> String {
        match feed.next(held.as_ref()) {
            Next::Current => "current".to_owned(),
            Next::Row(row) => row.row.version.to_string(),
            Next::Log => "log".to_owned(),
            Next::Snapshot => "snapshot".to_owned(),
        }
    }

    #[test]
    fn tells_each_edge_what_it_lacks() {
        let feed = Feed::new(sealed(5, 10), Version(4));
        let feed = feed.extended(vec![row(11, 1), row(12, 1)], Version(4));
        let table = [
            (None, "snapshot"),
            (Some(position(4, 99)), "snapshot"),
            (Some(position(5, 3)), "snapshot"),
            (Some(position(5, 4)), "log"),
            (Some(position(5, 9)), "log"),
            (Some(position(5, 10)), "11"),
            (Some(position(5, 11)), "12"),
            (Some(position(5, 12)), "current"),
            (Some(position(5, 13)), "current"),
            (Some(position(6, 1)), "current"),
        ];
        for (held, expected) in table {
            assert_eq!(told(&feed, held), expected, "{held:?}");
        }
    }

    #[test]
    fn is_bounded_by_rows_and_by_bytes() {
        let mut feed = Feed::new(sealed(5, 0), Version(0));
        for version in 1..=2 * FEED_ROWS as u64 {
            feed = feed.extended(vec![row(version, 1)], Version(0));
        }
        assert_eq!(feed.rows.len(), FEED_ROWS);
        let next = feed.head().position.version.next().0;
        feed = feed.extended(vec![row(next, FEED_BYTES)], Version(0));
        assert_eq!(feed.rows.len(), 1);
        assert_eq!(feed.bytes, FEED_BYTES);
    }
}
