//! The wall clock: the only place that asks the machine what time it is.
//!
//! Everything else is handed a [`Clock`], so that a test decides what time it is. Answers are truncated
//! to microseconds, which is what Postgres keeps: a time read back equals the time that was written.
//! Intervals and deadlines inside the process are measured by tokio's monotonic clock, not by this one.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

/// Tells the time of day. Cheap to clone; clones of a manual clock follow the same hand.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place")]
        Self(Arc::new(Timestamp::now))
    }

    /// A clock that always shows the same moment.
    #[must_use]
    pub fn fixed(at: Timestamp) -> Self {
        Self(Arc::new(move || at))
    }

    /// The time now, in whole microseconds.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        truncate((self.0)())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

/// Moves a [`Clock`] by hand, for tests.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<parking_lot::Mutex<Timestamp>>);

impl ManualClock {
    /// Shows `at` until told otherwise.
    #[must_use]
    pub fn new(at: Timestamp) -> Self {
        Self(Arc::new(parking_lot::Mutex::new(at)))
    }

    /// The clock that follows this hand.
    #[must_use]
    pub fn clock(&self) -> Clock {
        let hand = Arc::clone(&self.0);
        Clock(Arc::new(move || *hand.lock()))
    }

    /// Shows `at` from now on.
    pub fn set(&self, at: Timestamp) {
        *self.0.lock() = at;
    }

    /// Moves on (or back), stopping at the ends of what a timestamp can say.
    pub fn advance(&self, by: SignedDuration) {
        let mut hand = self.0.lock();
        let end = if by.is_negative() {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        };
        *hand = hand.checked_add(by).unwrap_or(end);
    }
}

fn truncate(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_told_in_whole_microseconds() {
        let at: Timestamp = "2026-11-24T10:00:00.123456789Z".parse().unwrap();
        assert_eq!(
            Clock::fixed(at).now().to_string(),
            "2026-11-24T10:00:00.123456Z"
        );
        assert_eq!(Clock::system().now().subsec_nanosecond() % 1000, 0);
    }

    #[test]
    fn clones_of_a_manual_clock_follow_its_hand() {
        let hand = ManualClock::new(Timestamp::UNIX_EPOCH);
        let clock = hand.clock();
        let other = clock.clone();
        hand.advance(SignedDuration::from_secs(5));
        assert_eq!(clock.now().as_second(), 5);
        hand.advance(SignedDuration::MAX);
        assert_eq!(other.now(), truncate(Timestamp::MAX));
    }
}
