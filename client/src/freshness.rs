//! How fresh what the client knows is: how long ago somebody heard the origin for us.
//!
//! While an edge that hears its origin is connected, the news are fresh, unless that edge has been silent for longer
//! than a living one ever is. Otherwise they are as old as the last word of the origin: what the edge said of it, or
//! the moment at which we last heard an edge that heard it.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use crate::limits::SILENCE;

/// Written by the connection, read by everybody without waiting. All times are the edge's.
#[derive(Debug)]
pub(crate) struct Freshness {
    /// When the origin was last heard, in microseconds; nothing was before the first word.
    contact: AtomicI64,
    /// Whether an edge that hears its origin is connected.
    fresh: AtomicBool,
}

impl Default for Freshness {
    fn default() -> Self {
        Self {
            contact: AtomicI64::new(i64::MIN),
            fresh: AtomicBool::new(false),
        }
    }
}

impl Freshness {
    /// How old the news are at `now`.
    pub(crate) fn age(&self, now: Timestamp) -> Duration {
        let silence = self.silence(now);
        if self.fresh.load(Ordering::Relaxed) && silence <= SILENCE {
            return Duration::ZERO;
        }
        silence
    }

    fn silence(&self, now: Timestamp) -> Duration {
        let contact = self.contact.load(Ordering::Relaxed);
        let micros = now.as_microsecond().saturating_sub(contact);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }

    /// When the origin was last heard.
    pub(crate) fn contact_at(&self) -> Option<Timestamp> {
        let contact = self.contact.load(Ordering::Relaxed);
        (contact != i64::MIN)
            .then(|| Timestamp::from_microsecond(contact).ok())
            .flatten()
    }

    /// What an edge, or a file, says of the origin.
    pub(crate) fn told(&self, contact_at: Option<Timestamp>, stale: bool, now: Timestamp) {
        let contact = if stale { contact_at } else { Some(now) };
        if let Some(contact) = contact {
            // Another edge may have heard less than the one before.
            self.contact
                .fetch_max(contact.as_microsecond(), Ordering::Relaxed);
        }
        self.fresh.store(!stale, Ordering::Relaxed);
    }

    /// The edge was heard.
    pub(crate) fn heard(&self, now: Timestamp) {
        if self.fresh.load(Ordering::Relaxed) {
            self.contact
                .fetch_max(now.as_microsecond(), Ordering::Relaxed);
        }
    }

    /// The edge is gone.
    pub(crate) fn lost(&self) {
        self.fresh.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn ages_from_the_last_word_of_the_origin() {
        let freshness = Freshness::default();
        let age = |second| freshness.age(at(second)).as_secs();
        assert!(age(0) > 1_000_000, "nothing was heard yet");
        assert_eq!(freshness.contact_at(), None);
        // Fresh while its edge is,
        freshness.told(Some(at(99)), false, at(100));
        assert_eq!((age(100), age(115)), (0, 0));
        freshness.heard(at(118));
        assert_eq!(age(130), 0);
        // not if that edge has gone silent,
        assert_eq!(age(148), 30);
        // nor when it is gone: since it was last heard.
        freshness.heard(at(150));
        freshness.lost();
        assert_eq!((age(151), age(200)), (1, 50));
        // Another edge has lost its origin itself, and heard no more of it than ours did.
        freshness.told(Some(at(140)), true, at(201));
        freshness.heard(at(202));
        assert_eq!(age(210), 60);
        freshness.told(Some(at(160)), true, at(211));
        assert_eq!(age(220), 60);
        assert_eq!(freshness.contact_at(), Some(at(160)));
        // It is back.
        freshness.told(Some(at(230)), false, at(231));
        assert_eq!(age(232), 0);
    }
}
