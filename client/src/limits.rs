//! Every bound of the client, with its reason. [`crate::Timing`] takes its defaults from here.

use std::time::Duration;

use liveevents_protocol::limits::MAX_CONTENT;

/// The largest message taken from an edge: a snapshot of 1,000 events, each at its largest, is 293 MiB,
/// and an edge sends no more than 320. A usual one, 1,000 events of 4 KB, has 4 MB.
pub(crate) const MAX_MESSAGE: usize = 1_100 * MAX_CONTENT;

/// Read buffer of a connection. The library's own 128 KiB is zero-filled at each read; deltas are
/// about 1 KB, and a snapshot of 4 MB costs 500 reads.
pub(crate) const READ_BUFFER: usize = 8 * 1024;

/// Name look-up, TCP, TLS and upgrade together. A healthy edge needs a few round trips.
pub const CONNECT: Duration = Duration::from_secs(5);

/// From hello to welcome. The edge answers from memory.
pub const WELCOME: Duration = Duration::from_secs(5);

/// One message to the edge, flush included. What is sent is under 1 KB, so a full socket buffer means
/// that the edge no longer reads.
pub const WRITE: Duration = Duration::from_secs(5);

/// After so much silence the edge is asked for a sign of life.
pub const PING_AFTER: Duration = Duration::from_secs(15);

/// After so much silence the edge is taken for dead. Longer than the 30 s that an edge tries to send one
/// message: it is silent until the last byte of a snapshot over a slow line has come.
pub const DEAD_AFTER: Duration = Duration::from_secs(35);

/// Saying goodbye. The state is safe without it.
pub const CLOSE: Duration = Duration::from_secs(1);

/// The first delay after a failure is drawn from zero to this.
pub const BACKOFF_BASE: Duration = Duration::from_millis(200);

/// No delay is drawn from above this: with 10,000 game servers away from an edge, about 1,300 tries a
/// second when it is back.
pub const BACKOFF_MAX: Duration = Duration::from_secs(15);

/// How long an address is left alone which said that trying again cannot help (full jitter on the
/// second half). People repair such things, in minutes.
pub const FIX_REST: Duration = Duration::from_secs(60);

/// A connection that lasted so long has worked: the failures before it are forgotten.
pub const STABLE_AFTER: Duration = Duration::from_secs(30);

/// How long to stay with an edge that is behind, where there are others. A lagging edge catches up
/// within a second of hearing from its origin.
pub const AHEAD_PATIENCE: Duration = Duration::from_secs(10);

/// The longest delay that an edge's goaway is believed.
pub(crate) const MAX_GOAWAY: Duration = Duration::from_secs(300);
