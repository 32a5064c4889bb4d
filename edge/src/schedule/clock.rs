//! The time that everything here is evaluated by: the wall clock, but never going back.
//!
//! A wall clock that is set back would close what has been opened and open it a second time. This one waits instead,
//! until the wall clock has caught up: nothing switches meanwhile, and ends come when the corrected clock reaches them.
//! A clock that goes back by more than [`CLOCK_HOLD`] was badly wrong before; waiting would stop events for days, so it
//! is followed, and said aloud. Forwards it is followed at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use liveevents_service::clock::Clock;
use prometheus::IntCounter;
use tracing::error;

use crate::limits::CLOCK_HOLD;

/// The edge's time. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct ServingClock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    wall: Clock,
    /// The latest time told, in microseconds since 1970.
    latest: AtomicI64,
    followed_back: IntCounter,
}

impl ServingClock {
    /// Follows a wall clock; counts how often it was followed back.
    pub(crate) fn new(wall: Clock, followed_back: IntCounter) -> Self {
        Self(Arc::new(Inner {
            latest: AtomicI64::new(wall.now().as_microsecond()),
            wall,
            followed_back,
        }))
    }

    /// The time now, for whoever asks anywhere on this edge.
    pub(crate) fn now(&self) -> Timestamp {
        let Inner { wall, latest, .. } = &*self.0;
        let shown = wall.now();
        let micros = shown.as_microsecond();
        let before = latest.fetch_max(micros, Ordering::AcqRel);
        if before <= micros {
            return shown;
        }
        if behind(before, micros) <= CLOCK_HOLD {
            return Timestamp::from_microsecond(before).unwrap_or(shown);
        }
        // Of all that see the jump one tells it.
        let follows = latest.compare_exchange(before, micros, Ordering::AcqRel, Ordering::Acquire);
        if follows.is_ok() {
            self.0.followed_back.inc();
            error!(
                seconds = behind(before, micros).as_secs(),
                "the clock went back so far that it must have been wrong: it is followed, and events may open again"
            );
        }
        shown
    }

    /// How far the wall clock is behind the time told; nothing unless it was set back.
    pub(crate) fn held(&self) -> Duration {
        let latest = self.0.latest.load(Ordering::Acquire);
        behind(latest, self.0.wall.now().as_microsecond())
    }

    /// The clock followed, for whatever is not evaluated: tokens, logs, delivery times.
    pub(crate) fn wall(&self) -> &Clock {
        &self.0.wall
    }
}

/// How much later the first is than the second.
fn behind(latest: i64, micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(latest.saturating_sub(micros)).unwrap_or_default())
}

#[cfg(test)]
mod tests;
