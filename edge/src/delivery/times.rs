//! How long versions took to game servers: from the commit at the origin to the moment at which a game server had
//! them. Pure.
//!
//! Counted are versions that came while the game server was connected. Of one that comes back after a day nothing
//! can be learnt about how fast anything is.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use liveevents_protocol::delay::Delays;
use liveevents_protocol::frame::Arrivals;
use liveevents_protocol::limits::MAX_STANDINGS;
use liveevents_protocol::version::{Epoch, Version};

use crate::limits::TIMED_VERSIONS;

/// Versions that came lately, and what is known of their deliveries since the last report.
#[derive(Debug, Default)]
pub(super) struct Times {
    epoch: Option<Epoch>,
    /// In ascending order.
    told: VecDeque<Told>,
    arrivals: BTreeMap<Version, Delays>,
}

#[derive(Debug, Clone, Copy)]
struct Told {
    version: Version,
    /// By the origin's clock.
    committed_at: Timestamp,
    /// At this edge, by its own.
    arrived_at: Timestamp,
}

/// When a game server got what it acks: by this edge's clock, and the same moment by the origin's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delivered {
    pub(super) here: Timestamp,
    pub(super) origins: Timestamp,
}

impl Times {
    /// A version has come.
    pub(super) fn told(
        &mut self,
        epoch: Epoch,
        version: Version,
        committed_at: Timestamp,
        now: Timestamp,
    ) {
        if self.epoch != Some(epoch) {
            *self = Self {
                epoch: Some(epoch),
                ..Self::default()
            };
        }
        if self.told.back().is_some_and(|last| last.version >= version) {
            return;
        }
        if self.told.len() >= TIMED_VERSIONS {
            self.told.pop_front();
        }
        self.told.push_back(Told {
            version,
            committed_at,
            arrived_at: now,
        });
    }

    /// A game server has got the versions of `epoch` after `after` up to `to`, but for those that were not for it.
    pub(super) fn arrived(
        &mut self,
        epoch: Epoch,
        after: Version,
        to: Version,
        delivered: Delivered,
        was_for_it: impl Fn(Version) -> bool,
    ) {
        if self.epoch != Some(epoch) {
            return;
        }
        let newest = self.told.iter().rev();
        let got = newest
            .skip_while(|told| told.version > to)
            .take_while(|told| told.version > after)
            .take(MAX_STANDINGS)
            .filter(|told| was_for_it(told.version));
        for told in got {
            // Nobody has it from here before it was here, whatever is claimed.
            let before_it_came = told.arrived_at.duration_since(delivered.here);
            let origins = match std::time::Duration::try_from(before_it_came) {
                Ok(early) => delivered.origins.checked_add(early),
                Err(_) => Ok(delivered.origins),
            };
            let took = origins.map(|at| at.duration_since(told.committed_at));
            let took = took.ok().and_then(|took| took.try_into().ok());
            let delays = self.arrivals.entry(told.version).or_default();
            delays.record(took.unwrap_or_default());
        }
        while self.arrivals.len() > MAX_STANDINGS {
            self.arrivals.pop_first();
        }
    }

    /// What was learnt since this was asked last.
    pub(super) fn take(&mut self, epoch: Epoch) -> Vec<Arrivals> {
        let arrivals = std::mem::take(&mut self.arrivals);
        if self.epoch != Some(epoch) {
            return Vec::new();
        }
        let told = |(version, delays)| Arrivals { version, delays };
        arrivals.into_iter().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::SignedDuration;
    use uuid::Uuid;

    use super::*;

    const EPOCH: Epoch = Epoch(Uuid::from_u128(5));

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_000_000 + millis).unwrap()
    }

    /// Version `n` is committed at n seconds and here 50 ms later.
    fn times(versions: u64) -> Times {
        let mut times = Times::default();
        for version in 1..=versions {
            let second = i64::try_from(version).unwrap() * 1000;
            times.told(EPOCH, Version(version), at(second), at(second + 50));
        }
        times
    }

    fn delivered(millis: i64, offset: i64) -> Delivered {
        Delivered {
            here: at(millis),
            origins: at(millis) + SignedDuration::from_millis(offset),
        }
    }

    fn taken(times: &mut Times) -> Vec<(u64, u64, Duration)> {
        let row = |a: Arrivals| (a.version.0, a.delays.count(), a.delays.max());
        times.take(EPOCH).into_iter().map(row).collect()
    }

    #[test]
    fn time_runs_from_the_commit_by_the_origins_clock() {
        let ms = Duration::from_millis;
        // When it had version 2 by this clock, the origin's clock ahead by, and how long that took.
        let table = [
            (2080, 0, ms(80)),
            (2080, 500, ms(580)),
            // Our clock is ahead: never less than nothing.
            (2080, -60, ms(20)),
            (2080, -500, ms(0)),
            // Before it was here: it was not.
            (1000, 0, ms(50)),
            (1000, 100, ms(150)),
        ];
        for (here, offset, took) in table {
            let mut times = times(2);
            let delivered = delivered(here, offset);
            times.arrived(EPOCH, Version(1), Version(2), delivered, |_| true);
            assert_eq!(taken(&mut times), [(2, 1, took)], "{here} {offset}");
            assert_eq!(taken(&mut times), []);
        }
    }

    #[test]
    fn each_version_after_what_it_had_counts_once_a_game_server() {
        let mut times = times(5);
        times.arrived(EPOCH, Version(2), Version(4), delivered(5000, 0), |_| true);
        times.arrived(EPOCH, Version(3), Version(4), delivered(5000, 0), |_| true);
        times.arrived(EPOCH, Version(4), Version(5), delivered(6000, 0), |v| {
            v.0 != 5
        });
        times.arrived(EPOCH, Version(5), Version(9), delivered(6000, 0), |_| true);
        let counts: Vec<_> = taken(&mut times).iter().map(|t| (t.0, t.1)).collect();
        assert_eq!(counts, [(3, 1), (4, 2)]);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_of_one_epoch() {
        let many = 2 * TIMED_VERSIONS as u64;
        let mut times = times(many);
        assert_eq!(times.told.len(), TIMED_VERSIONS);
        let far = delivered(i64::try_from(many).unwrap() * 1000 + 60, 0);
        times.arrived(EPOCH, Version::ZERO, Version(many), far, |_| true);
        let newest = taken(&mut times);
        assert_eq!(newest.len(), MAX_STANDINGS);
        assert_eq!(newest.last().unwrap().0, many);

        times.arrived(EPOCH, Version::ZERO, Version(many), far, |_| true);
        let later = Epoch(Uuid::from_u128(6));
        times.told(later, Version(1), at(0), at(0));
        assert_eq!(taken(&mut times), []);
        times.arrived(EPOCH, Version::ZERO, Version(many), far, |_| true);
        assert_eq!(times.take(later), []);
    }
}
