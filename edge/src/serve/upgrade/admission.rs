//! How many game servers a second come in: after an edge or a network was lost, thousands want to at once, and each costs
//! a handshake and a snapshot.
//!
//! Up to a second's worth comes in at once, then as many a second as configured. Who is refused is told when to come
//! again: each its own moment, one after the other at that very pace, so that a crowd is spread over just the time that
//! it needs.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::limits::MAX_RETRY_AFTER;

/// See the module.
#[derive(Debug)]
pub(crate) struct Admission {
    /// Between two that come in.
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// When those who have come in so far would have come at an even pace.
    even: Instant,
    /// For when the last who was refused was told to come.
    told: Instant,
}

impl Admission {
    /// So many a second.
    pub(crate) fn new(rate: u32, now: Instant) -> Self {
        Self {
            interval: Duration::from_secs(1) / rate.max(1),
            state: Mutex::new(State {
                even: now,
                told: now,
            }),
        }
    }

    /// Lets one more in, or says after how long it may come again.
    ///
    /// # Errors
    /// That time.
    pub(super) fn admit(&self, now: Instant) -> Result<(), Duration> {
        let mut state = self.state.lock();
        let even = state.even.max(now) + self.interval;
        let ahead = even.saturating_duration_since(now);
        if ahead <= Duration::from_secs(1) {
            state.even = even;
            return Ok(());
        }
        let latest = now + MAX_RETRY_AFTER;
        state.told = (state.told.max(now) + self.interval).min(latest);
        Err(state.told.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_second_s_worth_at_once_and_then_at_the_pace() {
        let start = Instant::now();
        let admission = Admission::new(100, start);
        let admitted = |now| (0..1_000).filter(|_| admission.admit(now).is_ok()).count();
        assert_eq!(admitted(start), 100);
        assert_eq!(admitted(start + SECOND / 10), 10);
        assert_eq!(admitted(start + 60 * SECOND), 100);
    }

    #[test]
    fn a_crowd_is_spread_over_the_time_that_it_needs() {
        let start = Instant::now();
        let admission = Admission::new(100, start);
        let told: Vec<_> = (0..1_100)
            .filter_map(|_| admission.admit(start).err())
            .collect();
        assert_eq!(told.len(), 1_000);
        // So many for each of the next ten seconds.
        for second in 0..10 {
            let within =
                |after: &&Duration| **after > SECOND * second && **after <= SECOND * (second + 1);
            assert_eq!(told.iter().filter(within).count(), 100, "second {second}");
        }
        // However many: nobody is sent away for longer than this.
        let latest = (0..100_000)
            .filter_map(|_| admission.admit(start).err())
            .max();
        assert_eq!(latest, Some(MAX_RETRY_AFTER));
        // Later the crowd has gone.
        let later = start + 2 * MAX_RETRY_AFTER;
        assert_eq!(admission.admit(later), Ok(()));
    }
}
