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

/// A step back of the edge's time up to this is held: time stands still until it is made up for. What is further
/// back was a clock that was wrong before, and standing still for so long would be wrong too.
const HELD: i64 = 24 * 60 * 60 * 1_000_000;

/// The edge's clock, reckoned from ours. Written by the connection only.
///
/// It never goes back (by less than a day), so that what has opened by it does not close and open again.
#[derive(Debug)]
pub(crate) struct EdgeClock {
    here: Clock,
    /// How far the edge's clock is ahead of ours, in microseconds.
    ahead: AtomicI64,
    /// The latest time shown before the last step back, in microseconds.
    floor: AtomicI64,
}

impl EdgeClock {
    /// Ours, until something is heard of the edge's.
    pub(crate) fn new(here: Clock) -> Self {
        Self {
            here,
            ahead: AtomicI64::new(0),
            floor: AtomicI64::new(i64::MIN),
        }
    }

    /// The time here.
    pub(crate) fn here(&self) -> Timestamp {
        self.here.now()
    }

    /// The edge's time.
    pub(crate) fn now(&self) -> Timestamp {
        self.at(self.here.now())
    }

    /// The edge's time when ours is `here`.
    pub(crate) fn at(&self, here: Timestamp) -> Timestamp {
        let here_micros = here.as_microsecond();
        let micros = here_micros.saturating_add(self.ahead.load(Ordering::Acquire));
        let floor = self.floor.load(Ordering::Relaxed);
        let micros = match floor.saturating_sub(micros) {
            0..=HELD => floor,
            _ => micros,
        };
        Timestamp::from_microsecond(micros).unwrap_or(here)
    }

    /// From a welcome: `time` was written somewhere between our hello and now.
    pub(crate) fn set(&self, time: Timestamp, sent: Timestamp, received: Timestamp) {
        let half_a_trip = received
            .as_microsecond()
            .saturating_sub(sent.as_microsecond())
            / 2;
        let ahead = difference(time, received).saturating_add(half_a_trip.max(0));
        // First the floor: a reader that sees the step sees the floor too.
        let shown = self.at(received).as_microsecond();
        self.floor.store(shown, Ordering::Relaxed);
        self.ahead.store(ahead, Ordering::Release);
    }

    /// From any other message: the edge's clock is at least there.
    pub(crate) fn raise(&self, time: Timestamp, received: Timestamp) {
        self.ahead
            .fetch_max(difference(time, received), Ordering::Release);
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
        let clock = EdgeClock::new(Clock::steady());
        assert_eq!(clock.at(at(7)), at(7));
        // Sent at 1000, answered at 5050 over there, back at 1100 here: 50 ms each way.
        clock.set(at(5_050), at(1_000), at(1_100));
        assert_eq!(clock.at(at(1_100)), at(5_100));
        // A message that waited for a second does not put the clock back,
        clock.raise(at(5_000), at(2_000));
        assert_eq!(clock.at(at(2_000)), at(6_000));
        // one that says it is later puts it forward,
        clock.raise(at(7_500), at(2_500));
        assert_eq!(clock.at(at(2_500)), at(7_500));
        // and the next edge's welcome counts anew.
        clock.set(at(9_010), at(3_000), at(3_020));
        assert_eq!(clock.at(at(3_020)), at(9_020));
    }

    #[test]
    fn a_step_back_is_held_and_a_leap_back_taken() {
        let clock = EdgeClock::new(Clock::steady());
        clock.set(at(10_000), at(0), at(0));
        // The next edge is 400 ms behind the first.
        clock.set(at(10_600), at(1_000), at(1_000));
        let seen: Vec<_> = [1_000, 1_200, 1_400, 1_500]
            .map(|here| clock.at(at(here)))
            .into();
        assert_eq!(seen, [at(11_000), at(11_000), at(11_000), at(11_100)]);
        // Two days back: the first edge was wrong.
        let days = 48 * 3_600_000;
        clock.set(at(2_000 - days), at(2_000), at(2_000));
        assert_eq!(clock.at(at(2_000)), at(2_000 - days));
    }

    #[test]
    fn a_steady_clock_goes_forward() {
        let clock = Clock::steady();
        let first = clock.now();
        assert!(clock.now() >= first);
    }
}
