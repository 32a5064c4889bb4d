//! Which acks to send, and when. Pure.
//!
//! An ack is sent at once if the last was longer ago than the edge's interval, otherwise at the end of that interval,
//! then of the newest version, with how long it has been held. What has come and what is applied are two things, and
//! acked each on its own: a game server may put off applying until the match ends.

use std::time::Duration;

use liveevents_protocol::message::{AckStatus, ClientAck, Cursor};
use tokio::time::Instant;

/// What is due, and since when.
#[derive(Debug, Default)]
pub(super) struct Acks {
    interval: Duration,
    sent: Option<Instant>,
    /// That a version has come, and is not applied yet.
    come: Option<Due>,
    /// That a version is applied.
    applied: Option<Due>,
}

#[derive(Debug, Clone, Copy)]
struct Due {
    cursor: Cursor,
    status: AckStatus,
    since: Instant,
}

impl Acks {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            sent: None,
            come: None,
            applied: None,
        }
    }

    /// This is to be acked.
    pub(super) fn due(&mut self, cursor: Cursor, status: AckStatus, now: Instant) {
        let due = Some(Due {
            cursor,
            status,
            since: now,
        });
        match status {
            AckStatus::Received | AckStatus::Deferred => self.come = due,
            AckStatus::Applied => {
                self.applied = due;
                // It says all that an ack of an earlier version would.
                let is_covered = |come: &Due| {
                    come.cursor.epoch == cursor.epoch && come.cursor.version <= cursor.version
                };
                self.come = self.come.filter(|come| !is_covered(come));
            }
        }
    }

    /// When something has to be sent.
    pub(super) fn next_at(&self) -> Option<Instant> {
        let due = [self.come, self.applied].into_iter().flatten();
        let soonest = due.map(|due| due.since).min()?;
        Some(
            self.sent
                .map_or(soonest, |sent| soonest.max(sent + self.interval)),
        )
    }

    /// What has to be sent now.
    pub(super) fn take(&mut self, now: Instant) -> Vec<ClientAck> {
        if self.next_at().is_none_or(|at| at > now) {
            return Vec::new();
        }
        self.sent = Some(now);
        let due = [self.come.take(), self.applied.take()];
        let ack = |due: Due| ClientAck {
            epoch: due.cursor.epoch,
            version: due.cursor.version,
            status: due.status,
            held_ms: u64::try_from(now.duration_since(due.since).as_millis()).unwrap_or(u64::MAX),
        };
        due.into_iter().flatten().map(ack).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use liveevents_protocol::version::{Epoch, Version};
    use uuid::Uuid;

    fn cursor(version: u64) -> Cursor {
        Cursor {
            epoch: Epoch(Uuid::from_u128(1)),
            version: Version(version),
        }
    }

    /// Version, status and age of what is sent.
    fn sent(acks: &mut Acks, at: Instant) -> Vec<(u64, AckStatus, u64)> {
        let acks = acks.take(at).into_iter();
        acks.map(|ack| (ack.version.0, ack.status, ack.held_ms))
            .collect()
    }

    #[test]
    fn at_once_and_then_at_the_end_of_the_interval() {
        use AckStatus::Applied;
        let start = Instant::now();
        let ms = |millis| start + Duration::from_millis(millis);
        let mut acks = Acks::new(Duration::from_secs(1));
        assert_eq!(acks.next_at(), None);
        acks.due(cursor(1), Applied, ms(0));
        assert_eq!(sent(&mut acks, ms(0)), [(1, Applied, 0)]);
        // A burst: the newest, at the end, with its own age.
        acks.due(cursor(2), Applied, ms(100));
        acks.due(cursor(3), Applied, ms(400));
        assert_eq!(acks.next_at(), Some(ms(1_000)));
        assert_eq!(sent(&mut acks, ms(999)), []);
        assert_eq!(sent(&mut acks, ms(1_000)), [(3, Applied, 600)]);
        assert_eq!(acks.next_at(), None);
        // After a pause it is at once again.
        acks.due(cursor(4), Applied, ms(5_000));
        assert_eq!(sent(&mut acks, ms(5_000)), [(4, Applied, 0)]);
    }

    #[test]
    fn what_has_come_and_what_is_applied_are_told_apart() {
        use AckStatus::{Applied, Deferred};
        let start = Instant::now();
        let mut acks = Acks::new(Duration::ZERO);
        acks.due(cursor(5), Deferred, start);
        acks.due(cursor(3), Applied, start);
        assert_eq!(sent(&mut acks, start), [(5, Deferred, 0), (3, Applied, 0)]);
        acks.due(cursor(6), Deferred, start);
        acks.due(cursor(6), Applied, start);
        assert_eq!(sent(&mut acks, start), [(6, Applied, 0)]);
    }
}
