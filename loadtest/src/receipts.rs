//! What game servers received, and when. Pure but for the lock around a game server's own list.
//!
//! A game server holds a change once it has received its version *or a later one*: an edge may merge
//! what a slow receiver missed. A change's moment of commit is known from whoever received exactly its
//! version; where nobody did, it has to be asked for, since just those changes took long.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use liveevents_client::{Observer, Update};
use liveevents_protocol::id::{ChangeId, RegionId};
use liveevents_protocol::version::{Epoch, Version};
use parking_lot::Mutex;

use crate::spread::Spread;

/// One message that took a game server forward.
#[derive(Debug, Clone, Copy)]
pub struct Receipt {
    /// In which history.
    pub epoch: Epoch,
    /// The version held from then on.
    pub version: Version,
    /// When, by the monotonic clock.
    pub at: Instant,
    /// When, by the wall clock.
    pub wall: Timestamp,
    /// When that version was committed.
    pub committed_at: Option<Timestamp>,
}

/// A game server's receipts, in the order of their versions.
#[derive(Debug, Clone, Default)]
pub struct Receipts(Arc<Mutex<Vec<Receipt>>>);

impl Receipts {
    /// Writes an update down. Only its own game server calls it, so the lock is free.
    pub fn record(&self, update: &Update) {
        self.0.lock().push(Receipt {
            epoch: update.epoch,
            version: update.version,
            at: Instant::now(),
            wall: crate::clock::now(),
            committed_at: update.committed_at,
        });
    }

    /// Writes every update down from now on.
    #[must_use]
    pub fn observer(&self) -> Observer {
        let receipts = self.clone();
        Observer::new(move |update| receipts.record(update))
    }

    /// All of them.
    #[must_use]
    pub fn to_vec(&self) -> Vec<Receipt> {
        self.0.lock().clone()
    }
}

/// When each version of each region was committed.
pub type Commits = HashMap<(RegionId, Version), Timestamp>;

/// A change, as the origin answered it.
#[derive(Debug, Clone)]
pub struct Change {
    /// Its name.
    pub id: ChangeId,
    /// When the answer was there.
    pub answered: Instant,
    /// The version that each region reached by it.
    pub regions: BTreeMap<RegionId, Version>,
}

/// How changes arrived.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// From the REST answer to the last receiver, one a change. Zero if it was faster than the answer.
    pub answer_to_last: Spread,
    /// From the commit to the last receiver, one a change.
    pub commit_to_last: Spread,
    /// From the commit to each receiver.
    pub commit_to_each: Spread,
    /// Receivers that should have had a change, over all changes.
    pub expected: u64,
    /// Those that did not get it.
    pub lost: u64,
}

/// The moments of commit that game servers were told.
#[must_use]
pub fn commits(epoch: Epoch, servers: &[(RegionId, Vec<Receipt>)]) -> Commits {
    servers
        .iter()
        .flat_map(|(region, receipts)| receipts.iter().map(move |receipt| (region, receipt)))
        .filter(|(_, receipt)| receipt.epoch == epoch)
        .filter_map(|(region, receipt)| {
            Some(((region.clone(), receipt.version), receipt.committed_at?))
        })
        .collect()
}

/// Puts changes and receipts together. Receipts of an epoch other than `epoch` count for nothing.
#[must_use]
pub fn arrivals(
    epoch: Epoch,
    commits: &Commits,
    changes: &[Change],
    servers: &[(RegionId, Vec<Receipt>)],
) -> Arrivals {
    let mut arrivals = Arrivals::default();
    for change in changes {
        let (mut last_at, mut last_since_commit) = (None, None);
        let mut is_whole = true;
        for (region, &version) in &change.regions {
            let commit = commits.get(&(region.clone(), version)).copied();
            for (_, receipts) in servers.iter().filter(|(of, _)| of == region) {
                arrivals.expected += 1;
                let Some(receipt) = first_holding(receipts, epoch, version) else {
                    arrivals.lost += 1;
                    is_whole = false;
                    continue;
                };
                last_at = last_at.max(Some(receipt.at));
                if let Some(commit) = commit {
                    let micros = receipt.wall.duration_since(commit).as_micros();
                    let micros = u64::try_from(micros).unwrap_or(0);
                    arrivals.commit_to_each.record(micros);
                    last_since_commit = last_since_commit.max(Some(micros));
                }
            }
        }
        // The time of a change that never arrived somewhere is no time.
        if let (true, Some(at)) = (is_whole, last_at) {
            let since = at.saturating_duration_since(change.answered).as_micros();
            arrivals
                .answer_to_last
                .record(u64::try_from(since).unwrap_or(u64::MAX));
            if let Some(micros) = last_since_commit {
                arrivals.commit_to_last.record(micros);
            }
        }
    }
    arrivals
}

/// The first receipt by which a game server held this version.
fn first_holding(receipts: &[Receipt], epoch: Epoch, version: Version) -> Option<&Receipt> {
    let first = receipts.partition_point(|r| (r.epoch, r.version) < (epoch, version));
    receipts.get(first).filter(|receipt| receipt.epoch == epoch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use uuid::Uuid;

    const EPOCH: Epoch = Epoch(Uuid::from_u128(1));

    struct Scene {
        start: Instant,
    }

    impl Scene {
        /// Received at `at` ms; committed at `committed` ms.
        fn receipt(&self, version: u64, at: u64, committed: Option<i64>) -> Receipt {
            Receipt {
                epoch: EPOCH,
                version: Version(version),
                at: self.start + Duration::from_millis(at),
                wall: Timestamp::from_millisecond(at.try_into().unwrap()).unwrap(),
                committed_at: committed.map(|at| Timestamp::from_millisecond(at).unwrap()),
            }
        }

        fn change(&self, answered: u64, regions: &[(&str, u64)]) -> Change {
            Change {
                id: ChangeId(Uuid::nil()),
                answered: self.start + Duration::from_millis(answered),
                regions: regions
                    .iter()
                    .map(|&(id, version)| (region(id), Version(version)))
                    .collect(),
            }
        }
    }

    fn region(id: &str) -> RegionId {
        id.parse().unwrap()
    }

    #[test]
    fn the_last_receiver_of_every_region_counts() {
        let scene = Scene {
            start: Instant::now(),
        };
        let changes = [
            scene.change(100, &[("a", 1), ("b", 7)]),
            scene.change(200, &[("a", 2)]),
        ];
        let servers = [
            (
                region("a"),
                vec![
                    scene.receipt(1, 110, Some(90)),
                    scene.receipt(2, 190, Some(185)),
                ],
            ),
            // Merged: it holds the first change when it gets the second.
            (region("a"), vec![scene.receipt(2, 230, Some(185))]),
            (region("b"), vec![scene.receipt(7, 300, Some(95))]),
        ];
        let commits = commits(EPOCH, &servers);
        let arrivals = arrivals(EPOCH, &commits, &changes, &servers);
        assert_eq!((arrivals.expected, arrivals.lost), (5, 0));
        // A histogram of three digits.
        let of = |spread: &Spread| (spread.len(), spread.at(0.0).round(), spread.max().round());
        assert_eq!(of(&arrivals.answer_to_last), (2, 30.0, 200.0));
        assert_eq!(of(&arrivals.commit_to_last), (2, 45.0, 205.0));
        assert_eq!(of(&arrivals.commit_to_each), (5, 5.0, 205.0));
    }

    #[test]
    fn what_did_not_arrive_is_lost_and_has_no_time() {
        let scene = Scene {
            start: Instant::now(),
        };
        let changes = [scene.change(0, &[("a", 1)]), scene.change(0, &[("a", 2)])];
        let other = Receipt {
            epoch: Epoch(Uuid::from_u128(2)),
            ..scene.receipt(9, 1, None)
        };
        let servers = [
            (region("a"), vec![scene.receipt(2, 5, None)]),
            (region("a"), vec![scene.receipt(1, 4, None), other]),
        ];
        let commits = commits(EPOCH, &servers);
        let arrivals = arrivals(EPOCH, &commits, &changes, &servers);
        assert_eq!((arrivals.expected, arrivals.lost), (4, 1));
        assert_eq!(arrivals.answer_to_last.len(), 1);
        assert_eq!(arrivals.answer_to_last.max(), 5.0);
        // Nobody was told when either was committed, so that has to be asked for.
        assert!(commits.is_empty());
        assert_eq!(arrivals.commit_to_last.len(), 0);
    }

    #[test]
    fn faster_than_the_answer_is_zero() {
        let scene = Scene {
            start: Instant::now(),
        };
        let changes = [scene.change(100, &[("a", 1)])];
        let servers = [(region("a"), vec![scene.receipt(1, 60, Some(80))])];
        let commits = commits(EPOCH, &servers);
        let arrivals = arrivals(EPOCH, &commits, &changes, &servers);
        assert_eq!(arrivals.answer_to_last.max(), 0.0);
        assert_eq!(arrivals.commit_to_last.max(), 0.0);
    }
}
