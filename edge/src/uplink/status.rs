//! What the uplink is doing, for health reports.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde::Serialize;

/// What the uplink is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all_fields = "camelCase")]
pub(crate) enum Status {
    /// On its way to an origin.
    Connecting {
        /// Which.
        origin: String,
    },
    /// Welcomed by an origin.
    Connected {
        /// Which.
        origin: String,
        /// Since when.
        since: Timestamp,
        /// The connection's number, as the origin counts.
        session: u64,
    },
    /// Cut off, until the next try.
    Waiting {
        /// When that is.
        until: Timestamp,
        /// Why the last connection ended.
        reason: &'static str,
    },
}

/// Where the uplink leaves word.
#[derive(Debug, Clone)]
pub(crate) struct StatusCell(Arc<ArcSwap<Status>>);

impl StatusCell {
    /// Not connected yet.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Status::Waiting {
            until: now,
            reason: "starting",
        })))
    }

    pub(super) fn set(&self, status: Status) {
        self.0.store(Arc::new(status));
    }

    /// The last word.
    pub(crate) fn load(&self) -> Arc<Status> {
        self.0.load_full()
    }
}
