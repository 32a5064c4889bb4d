//! The state that newcomers are sent a snapshot of. It need not be the newest.
//!
//! A snapshot is the most that is ever encoded: while changes come and thousands of receivers at once, one of each
//! version would be, and kept as long as somebody takes its time with it. So one that has been made stays good for
//! the versions after it: who is sent it is sent what changed since, which is shared too.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use liveevents_protocol::filter::Filter;
use liveevents_protocol::message::{Cursor, MessageError};
use liveevents_protocol::state::RegionState;

use super::{Kept, Press, Selection, State, off_the_runtime, pieces};
use crate::limits::{MAX_FILTERS, SNAPSHOT_SERVES};
use crate::replica::place;

/// See the module.
#[derive(Debug)]
pub(in crate::replica) struct Base {
    state: RegionState,
    committed_at: Option<Timestamp>,
    degraded: bool,
    snapshots: Kept<Selection, Arc<[Bytes]>>,
}

impl Base {
    pub(in crate::replica) fn new(told: State<'_>) -> Self {
        Self {
            state: told.state.clone(),
            committed_at: told.committed_at,
            degraded: told.degraded,
            snapshots: Kept::default(),
        }
    }

    /// Whether it is to serve a state that continues it too: it has been of use, is not too long ago, and what changed
    /// since can be told.
    pub(in crate::replica) fn serves(&self, next: &RegionState) -> bool {
        let since = next.version().0.saturating_sub(self.state.version().0);
        !self.snapshots.is_empty()
            && since <= SNAPSHOT_SERVES
            && self.state.version() >= next.floor()
    }

    /// Whether a receiver that holds `held` would not go back by it.
    pub(in crate::replica) fn advances(&self, held: Option<Cursor>) -> bool {
        held.is_none_or(|held| place(held) < place(self.cursor()))
    }

    /// Where a receiver is that was sent it.
    pub(in crate::replica) fn cursor(&self) -> Cursor {
        Cursor {
            epoch: self.state.epoch(),
            version: self.state.version(),
        }
    }

    /// The pieces of its snapshot, in order.
    pub(in crate::replica) async fn snapshot(
        &self,
        selection: &Selection,
        press: Press<'_>,
    ) -> Result<Arc<[Bytes]>, MessageError> {
        let encode = || async {
            press.encodings.snapshots.inc();
            let (state, selection) = (self.state.clone(), selection.clone());
            let (committed_at, degraded) = (self.committed_at, self.degraded);
            // Always long.
            off_the_runtime(move || {
                let everything = Filter::default();
                let filter = selection.as_deref().unwrap_or(&everything);
                let snapshot = state.snapshot_for(filter);
                pieces::encode(snapshot, press.now, committed_at, degraded)
            })
            .await
        };
        let key = selection.clone();
        self.snapshots.find(key, MAX_FILTERS, encode).await
    }
}
