//! How far the origin's clock is from this one, as the heartbeats measure it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tracing::{info, warn};

use crate::limits::CLOCK_OFF;

/// The origin's clock minus this one's. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct ClockOffset(Arc<Mutex<Measured>>);

#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    offset: SignedDuration,
    /// Whether it was said that the clocks have come apart.
    apart: bool,
}

impl ClockOffset {
    /// What is known of it; zero before the first heartbeat.
    pub(crate) fn load(&self) -> SignedDuration {
        self.0.lock().offset
    }

    /// What the origin's clock shows when this one shows `at`.
    pub(super) fn origins(&self, at: Timestamp) -> Timestamp {
        at.checked_add(self.load()).unwrap_or(at)
    }

    /// Notes a measurement. That the clocks have come apart is said once, and once that they agree again: by half the
    /// limit, so that an offset close to it does not say so at each heartbeat.
    pub(crate) fn measured(&self, offset: SignedDuration) {
        let mut measured = self.0.lock();
        measured.offset = offset;
        let limit = if measured.apart {
            CLOCK_OFF / 2
        } else {
            CLOCK_OFF
        };
        let apart = offset.unsigned_abs() > limit;
        if apart == std::mem::replace(&mut measured.apart, apart) {
            return;
        }
        let offset_ms = offset.as_millis();
        if apart {
            warn!(
                offset_ms,
                "the clocks of this machine and of the origin have come apart; events open and close by this one"
            );
        } else {
            info!(
                offset_ms,
                "the clocks of this machine and of the origin agree again"
            );
        }
    }

    /// Whether the clocks have come apart.
    pub(crate) fn is_apart(&self) -> bool {
        self.0.lock().apart
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_apart_above_the_limit_and_agree_again_below_half_of_it() {
        let offset = ClockOffset::default();
        for (millis, apart) in [
            (500, false),
            (501, true),
            (300, true),
            (-251, true),
            (250, false),
            (-500, false),
            (-501, true),
            (0, false),
            (i64::MIN, true),
        ] {
            offset.measured(SignedDuration::from_millis(millis));
            assert_eq!(offset.is_apart(), apart, "{millis} ms");
            assert_eq!(offset.load(), SignedDuration::from_millis(millis));
        }
        assert_eq!(offset.origins(Timestamp::UNIX_EPOCH), Timestamp::UNIX_EPOCH);
    }
}
