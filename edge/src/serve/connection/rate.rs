//! How much a game server may say. Pure.

use tokio::time::Instant;

use crate::limits::{MESSAGE_INTERVAL, MESSAGES_AT_ONCE};

/// A bucket that leaks by time: up to [`MESSAGES_AT_ONCE`], and one more each [`MESSAGE_INTERVAL`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Rate {
    /// When what was said so far would have been said at an even pace.
    even: Instant,
}

impl Rate {
    pub(super) fn new(now: Instant) -> Self {
        Self { even: now }
    }

    /// Whether one more message may be said.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        let even = self.even.max(now) + MESSAGE_INTERVAL;
        let ahead = even.saturating_duration_since(now);
        if ahead > MESSAGE_INTERVAL * MESSAGES_AT_ONCE {
            return false;
        }
        self.even = even;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn as_many_as_allowed_at_once_and_then_at_the_pace() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        let said =
            |rate: &mut Rate, now: Instant| (0..100_000).take_while(|_| rate.admits(now)).count();
        assert_eq!(said(&mut rate, start), MESSAGES_AT_ONCE as usize);
        assert_eq!(said(&mut rate, start + MESSAGE_INTERVAL * 7), 7);
        // Silence is not saved up beyond what is allowed at once.
        let later = start + Duration::from_secs(86_400);
        assert_eq!(said(&mut rate, later), MESSAGES_AT_ONCE as usize);
    }
}
