//! How a client stands with its edges.

use std::time::Duration;

use liveevents_protocol::id::EdgeId;

use crate::address::Address;
use crate::disconnected::Disconnected;

/// How the client stands with its edges.
#[derive(Debug, Clone)]
pub enum Link {
    /// On its way to this one.
    Connecting {
        /// Where.
        address: Address,
    },
    /// Subscribed.
    Connected {
        /// Where.
        address: Address,
        /// What the edge calls itself.
        edge: EdgeId,
    },
    /// Waiting before the next try.
    Away {
        /// What became of the last one.
        because: Disconnected,
        /// How long it waits.
        retry_in: Duration,
    },
}
