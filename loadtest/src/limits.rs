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
