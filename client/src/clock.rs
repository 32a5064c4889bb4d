//! The client's clock, given from outside, and the edge's, estimated from what it says.
//!
//! Occurrences open and close by the edge's time, so that game servers whose clocks are wrong still
//! open on the second. An edge's `time` is at least the network's delay old when it arrives, more if
//! the message waited: each one is a lower bound, and only the welcome, whose round trip is known, is
//! believed downwards too.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

/// Says what time it is here.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// Any source of time.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Reads the host's wall clock once and goes on by its monotonic clock, so that a step of the wall
    /// clock moves nothing.
    #[must_use]
    pub fn steady() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the client's one reading of the wall clock"
        )]
        let (start, since) = (Timestamp::now(), Instant::now());
        Self::new(move || {
            SignedDuration::try_from(since.elapsed())
                .ok()
                .and_then(|elapsed| start.checked_add(elapsed).ok())
                .unwrap_or(Timestamp::MAX)
        })
    }

    /// The time here.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock(..)")
    }
}

/// How far the edge's clock is ahead of ours, in microseconds. Written by the connection only.
#[derive(Debug, Default)]
pub(crate) struct Offset(AtomicI64);

impl Offset {
    /// From a welcome: `time` was written somewhere between our hello and now.
    pub(crate) fn set(&self, time: Timestamp, sent: Timestamp, received: Timestamp) {
        let half_a_trip = received
            .as_microsecond()
            .saturating_sub(sent.as_microsecond())
            / 2;
        let ahead = difference(time, received).saturating_add(half_a_trip.max(0));
        self.0.store(ahead, Ordering::Relaxed);
    }

    /// From any other message: the edge's clock is at least there.
    pub(crate) fn raise(&self, time: Timestamp, received: Timestamp) {
        self.0
            .fetch_max(difference(time, received), Ordering::Relaxed);
    }

    /// The edge's time when ours is `here`.
    pub(crate) fn edge_time(&self, here: Timestamp) -> Timestamp {
        let micros = here
            .as_microsecond()
            .saturating_add(self.0.load(Ordering::Relaxed));
        Timestamp::from_microsecond(micros).unwrap_or(here)
    }
}

fn difference(there: Timestamp, here: Timestamp) -> i64 {
    there.as_microsecond().saturating_sub(here.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn takes_half_the_round_trip_and_believes_only_a_welcome_downwards() {
        let offset = Offset::default();
        assert_eq!(offset.edge_time(at(7)), at(7));
        // Sent at 1000, answered at 5050 over there, back at 1100 here: 50 ms each way.
        offset.set(at(5_050), at(1_000), at(1_100));
        assert_eq!(offset.edge_time(at(1_100)), at(5_100));
        // A message that waited for a second does not put the clock back,
        offset.raise(at(5_000), at(2_000));
        assert_eq!(offset.edge_time(at(2_000)), at(6_000));
        // one that says it is later puts it forward,
        offset.raise(at(7_500), at(2_500));
        assert_eq!(offset.edge_time(at(2_500)), at(7_500));
        // and the next edge's welcome counts anew.
        offset.set(at(2_010), at(3_000), at(3_020));
        assert_eq!(offset.edge_time(at(3_020)), at(2_020));
    }

    #[test]
    fn a_steady_clock_goes_forward() {
        let clock = Clock::steady();
        let first = clock.now();
        assert!(clock.now() >= first);
    }
}
