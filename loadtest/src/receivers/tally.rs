//! What receivers have counted.

use std::collections::BTreeMap;

use super::headline::State;
use crate::spread::Spread;

/// What receivers have counted since it was last forgotten, and how many of them there are now.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Connections that are open, upgraded where they had to be.
    pub open: u64,
    /// Of them, those that hold a version.
    pub held: u64,
    /// Connections that ended without our doing.
    pub lost: u64,
    /// Upgrades that were refused, to be tried again later.
    pub refused: u64,
    /// Deltas and snapshots.
    pub deliveries: u64,
    /// Their size on the wire.
    pub bytes: u64,
    /// Acks sent.
    pub acks: u64,
    /// From the time in a message to its receipt.
    pub latency: Spread,
    /// From the commit of its version to its receipt.
    pub since_commit: Spread,
    /// How far each version has come.
    pub versions: BTreeMap<u64, Reach>,
    /// What went wrong first.
    pub problem: Option<String>,
}

/// How far a version has come. Times are microseconds since 1970.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reach {
    /// Receivers that hold it, or a later one.
    pub receivers: u64,
    /// When the last of them received it.
    pub last: i64,
    /// When its text was made, if it was sent by itself.
    pub time: Option<i64>,
    /// When it was committed, where that is known.
    pub committed: Option<i64>,
}

impl Tally {
    /// Counts from here.
    pub(super) fn forget(&mut self) {
        *self = Self {
            open: self.open,
            held: self.held,
            problem: self.problem.take(),
            ..Self::default()
        };
    }

    /// A receiver that held `before` holds a state from now on.
    pub(super) fn received(&mut self, before: Option<u64>, state: &State, size: u64, now: i64) {
        self.deliveries += 1;
        self.bytes += size;
        self.latency.record(since(state.time, now));
        if let Some(committed) = state.committed {
            self.since_commit.record(since(committed, now));
        }
        // A snapshot counts for its own version alone: what it skips was never here.
        let first = before.map_or(state.to, |before| before + 1);
        for version in first..=state.to {
            let reach = self.versions.entry(version).or_default();
            reach.receivers += 1;
            reach.last = reach.last.max(now);
            if version == state.to {
                reach.time = Some(state.time);
                reach.committed = state.committed;
            }
        }
    }

    /// From the time in the message to the last receiver, one a version that was sent by itself.
    #[must_use]
    pub fn to_the_last(&self) -> Spread {
        let mut spread = Spread::default();
        for reach in self.versions.values() {
            if let Some(time) = reach.time {
                spread.record(since(time, reach.last));
            }
        }
        spread
    }

    /// Bytes of a delivery, on average.
    #[must_use]
    pub fn bytes_each(&self) -> f64 {
        self.bytes as f64 / self.deliveries.max(1) as f64
    }

    pub(super) fn standing(&self) -> String {
        let Self {
            open,
            held,
            lost,
            refused,
            problem,
            ..
        } = self;
        let problem = problem.as_deref().unwrap_or("no error");
        format!("{open} open, {held} hold a version, {lost} lost, {refused} refused, {problem}")
    }
}

/// A clock that was set back gives zero.
fn since(then: i64, now: i64) -> u64 {
    u64::try_from(now - then).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(to: u64, time: i64) -> State {
        State {
            epoch: [b'0'; 36],
            to,
            time,
            committed: None,
        }
    }

    #[test]
    fn a_merged_delta_brings_all_its_versions() {
        let mut tally = Tally::default();
        tally.received(None, &state(4, 100), 10, 110);
        tally.received(Some(4), &state(5, 200), 10, 1_200);
        tally.received(Some(4), &state(7, 300), 10, 4_300);
        let reached: Vec<_> = tally
            .versions
            .iter()
            .map(|(v, r)| (*v, r.receivers, r.last))
            .collect();
        assert_eq!(
            reached,
            [(4, 1, 110), (5, 2, 4_300), (6, 1, 4_300), (7, 1, 4_300)]
        );
        // Version 6 was never sent by itself; 5 reached its last receiver with 7.
        let last = tally.to_the_last();
        assert_eq!((last.len(), last.max()), (3, 4.1));
        assert_eq!((tally.deliveries, tally.bytes_each()), (3, 10.0));
    }

    #[test]
    fn forgets_what_came_but_not_who_is_there() {
        let mut tally = Tally {
            open: 3,
            held: 2,
            ..Tally::default()
        };
        tally.received(None, &state(4, 100), 10, 110);
        tally.forget();
        assert_eq!((tally.open, tally.held, tally.deliveries), (3, 2, 0));
        assert!(tally.versions.is_empty() && tally.latency.is_empty());
    }
}
