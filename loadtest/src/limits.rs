//! Every bound of the load generator, with its reason.

use std::time::Duration;

/// One REST call. The slowest, a first deployment, takes milliseconds.
pub(crate) const REQUEST: Duration = Duration::from_secs(30);

/// How long game servers may take until all of them hold their region. A thousand of them share this
/// process with one edge's upgrades, and each may back off a few times.
pub(crate) const OPEN: Duration = Duration::from_secs(60);

/// Game servers opened at once, so that an edge's listen backlog (1,024 by default) never overflows.
pub(crate) const OPENING: usize = 200;

/// How long a step of the demo may take to arrive.
pub(crate) const ARRIVAL: Duration = Duration::from_secs(20);

/// How often the demo asks the origin for acks. Edges ack within milliseconds; what is asked for is
/// only shown.
pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Lines kept for printing. What does not fit is counted, not waited for: a full terminal must not slow
/// a game server.
pub(crate) const LINES: usize = 1_000;

/// How often a count of the receivers is looked at. Moments come from the receipts themselves, not from this.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Between a receiver's acks, unless the edge's welcome says otherwise.
pub(crate) const ACK_INTERVAL: Duration = Duration::from_secs(1);

/// What is read from a socket at once; one buffer for all of a thread's.
pub(crate) const RECEIVE_BUFFER: usize = 64 * 1024;

/// Before a receiver whose connection failed tries again.
pub(crate) const RECONNECT: Duration = Duration::from_millis(500);

/// What a client under test may take for one answer. It does so in milliseconds, but for the backing off.
pub(crate) const CONFORM_PATIENCE: Duration = Duration::from_secs(20);

/// How long a client under test may stay away where no other delay was asked for: a minute, the rest after
/// what trying again cannot mend, and half of one, the longest that clients should back off.
pub(crate) const CONFORM_REST: Duration = Duration::from_secs(90);

/// How long it is watched for doing what it must not. Whoever does it, does it at once.
pub(crate) const CONFORM_MOMENT: Duration = Duration::from_millis(300);

/// The delay that it is asked to keep.
pub(crate) const CONFORM_DELAY: Duration = Duration::from_secs(2);

/// How often it is thrown out in a row,
pub(crate) const CONFORM_FAILURES: u32 = 6;

/// and how long its pauses then are together, at least. With full jitter from 100 ms on, six of them take less
/// than this once in a million times.
pub(crate) const CONFORM_PAUSES: Duration = Duration::from_millis(100);

/// The interval of its acks, usually: every change of a rule waits for one.
pub(crate) const CONFORM_ACK_INTERVAL: Duration = Duration::from_millis(50);

/// The interval where keeping it is the rule, and the changes sent in one.
pub(crate) const CONFORM_LONG_INTERVAL: Duration = Duration::from_secs(1);
pub(crate) const CONFORM_BURST: u64 = 30;

/// The long message. Libraries stop at 16 KiB, 1 MiB or 4 MiB if they are not told otherwise.
pub(crate) const CONFORM_LARGE: usize = 8 * 1024 * 1024;

/// Characters of a message shown where it is wrong.
pub(crate) const CONFORM_SHOWN: usize = 120;

/// How long a reader that waits for its next request may overlook an answer: a twentieth of the millisecond that is
/// to be told apart.
pub(crate) const TURN: Duration = Duration::from_micros(50);

/// Callers of the origin that make events for a benchmark.
pub(crate) const CALLERS: u32 = 16;

/// How long all game servers may take to come back after a storm before it counts as failed.
pub(crate) const STORM: Duration = Duration::from_secs(60);

/// Connections waiting for the bare loop to accept them: more than are on their way at once.
pub(crate) const BACKLOG: u32 = 1_024;

/// How often a game server that reports at an even pace does so: a batch is of a quarter of a second.
pub(crate) const REPORTING: Duration = Duration::from_millis(20);

/// Between two probes, and between an answer and the next question whether it shows them.
pub(crate) const PROBE: Duration = Duration::from_millis(100);
pub(crate) const PROBE_AGAIN: Duration = Duration::from_millis(10);

/// To make up a month of metrics: some gigabytes, on a slow disk.
pub(crate) const FILLING: Duration = Duration::from_secs(30 * 60);
