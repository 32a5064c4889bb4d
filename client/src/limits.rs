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

/// How long a living edge may be silent: until it is asked for a sign of life, and has answered.
pub(crate) const SILENCE: Duration = Duration::from_secs(20);

/// The longest that acks are held back, whatever an edge says. The origin is told once a second.
pub(crate) const MAX_ACK_INTERVAL: Duration = Duration::from_secs(10);

/// How often a newer token is asked for, once the edge has said that the present one expires.
pub(crate) const TOKEN_AGAIN: Duration = Duration::from_secs(15);

/// Queries and nacks under way, each.
pub(crate) const REQUESTS: usize = 64;

/// An answer to a query: the edge has it in memory.
pub const QUERY: Duration = Duration::from_secs(5);

/// Reports wait so long for others to come with them: four batches a second from each game server.
pub const REPORTS_EVERY: Duration = Duration::from_millis(250);

/// Reports that are kept until they are counted: some 50,000 of usual size, which is what a busy game server has in some
/// minutes without an edge.
pub const REPORTS_BYTES: usize = 16 * 1024 * 1024;

/// One report.
pub const MAX_REPORT: usize = 16 * 1024;

/// A batch of reports; an edge takes messages of twice as much.
pub(crate) const BATCH_BYTES: usize = 256 * 1024;

/// Batches told and not counted yet. An edge takes twice as many.
pub(crate) const BATCHES_UNDERWAY: u64 = 32;

/// How long an edge is spared that refused reports.
pub(crate) const REPORTS_REFUSED: Duration = Duration::from_secs(5);

/// The longest pause before reports are sent again that an edge is believed.
pub(crate) const MAX_RESEND: Duration = Duration::from_secs(60);

/// Players watched are told in messages of about this size; an edge takes up to twice as much.
pub(crate) const WATCH_MESSAGE: usize = 256 * 1024;

/// The state file is not written more often than that; what changes meanwhile is written together.
pub const STATE_FILE_EVERY: Duration = Duration::from_secs(1);

/// The state file is written so often also if nothing has changed, to say that it is current.
pub const STATE_FILE_REFRESH: Duration = Duration::from_secs(60);

/// The largest state file that is read: the largest snapshot, and its envelope.
pub(crate) const MAX_STATE_FILE: usize = MAX_MESSAGE + 64 * 1024;

/// How long a stream of changes sleeps at most before it looks at the clock again, which an edge may have put
/// forward meanwhile.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The longest delay that an edge's goaway or Retry-After is believed.
pub(crate) const MAX_GOAWAY: Duration = Duration::from_secs(300);
