//! Exponential back-off with full jitter.
//!
//! The delay is drawn evenly from zero to a bound that doubles with each failure. Full jitter spreads
//! a crowd that failed together best: Marc Brooker, "Exponential Backoff And Jitter", AWS
//! Architecture Blog, 2015. Randomness comes from the caller, so that it can be replayed.

use std::time::Duration;

/// How long to wait before the next try.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// Starts with delays up to `base`, and never above `max`.
    #[must_use]
    pub fn new(base: Duration, max: Duration) -> Self {
        Self {
            base,
            max,
            failures: 0,
        }
    }

    /// The upper bound of the next delay.
    #[must_use]
    pub fn bound(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.base
            .checked_mul(factor)
            .map_or(self.max, |bound| bound.min(self.max))
    }

    /// Counts a failure and gives the delay before the next try; `random` is uniform in `[0, 1)`.
    pub fn fail(&mut self, random: f64) -> Duration {
        let bound = self.bound();
        self.failures = self.failures.saturating_add(1).min(31);
        bound.mul_f64(random.clamp(0.0, 1.0))
    }

    /// Forgets the failures, once something has worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_limit_and_starts_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let millis: Vec<_> = (0..40).map(|_| backoff.fail(1.0).as_millis()).collect();
        assert_eq!(millis.get(..6).unwrap(), [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(millis.last(), Some(&1000));
        backoff.reset();
        assert_eq!(backoff.fail(0.5), Duration::from_millis(50));
        assert_eq!(backoff.fail(0.0), Duration::ZERO);
    }
}
