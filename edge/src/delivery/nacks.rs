//! What game servers could not apply, and why: by event, revision, version and reason, bounded. Pure.
//!
//! A reason is a stranger's text. Where there is no room for another, the nack is counted with what is known of its
//! event; where nothing is, the oldest version's gives way, so that the newest decision is the one to be heard about.

use std::collections::BTreeMap;

use liveevents_protocol::frame::Nack;
use liveevents_protocol::id::EventId;
use liveevents_protocol::limits::MAX_COMPLAINTS;
use liveevents_protocol::version::{Epoch, Revision, Version};

use crate::words::words;

/// What was not applied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nacked {
    pub(super) epoch: Epoch,
    pub(super) version: Version,
    pub(super) event: EventId,
    pub(super) revision: Option<Revision>,
}

/// Nacks, and how many game servers have said each.
#[derive(Debug, Default)]
pub(super) struct Nacks(BTreeMap<(Nacked, String), u32>);

impl Nacks {
    pub(super) fn add(&mut self, nacked: Nacked, reason: &str) {
        self.count((nacked, words(reason)), 1);
    }

    fn count(&mut self, mut key: (Nacked, String), more: u32) {
        if !self.0.contains_key(&key) && self.0.len() >= MAX_COMPLAINTS {
            let known = self
                .0
                .range((key.0.clone(), String::new())..)
                .map(|(known, _)| known)
                .find(|(nacked, _)| *nacked == key.0);
            match known.cloned() {
                Some(known) => key = known,
                None if self
                    .0
                    .first_key_value()
                    .is_some_and(|(first, _)| *first < key) =>
                {
                    self.0.pop_first();
                }
                None => return,
            }
        }
        let count = self.0.entry(key).or_default();
        *count = count.saturating_add(more);
    }

    /// Adds all of another's.
    pub(super) fn merge(&mut self, other: Self) {
        for (key, count) in other.0 {
            self.count(key, count);
        }
    }

    /// Those of an epoch, as they are told; others are none of the origin's concern any more.
    pub(super) fn told(&self, epoch: Epoch) -> Vec<Nack> {
        let of_epoch = self
            .0
            .iter()
            .filter(|((nacked, _), _)| nacked.epoch == epoch);
        of_epoch
            .map(|((nacked, reason), count)| Nack {
                event: nacked.event.clone(),
                revision: nacked.revision,
                version: nacked.version,
                count: *count,
                reason: reason.clone(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const EPOCH: Epoch = Epoch(Uuid::from_u128(5));

    fn nacked(event: &str, version: u64) -> Nacked {
        Nacked {
            epoch: EPOCH,
            version: Version(version),
            event: event.parse().unwrap(),
            revision: Some(Revision(1)),
        }
    }

    fn told(nacks: &Nacks) -> Vec<(String, u64, String, u32)> {
        let row = |nack: Nack| {
            let event = nack.event.to_string();
            (event, nack.version.0, nack.reason, nack.count)
        };
        nacks.told(EPOCH).into_iter().map(row).collect()
    }

    #[test]
    fn the_same_is_counted_and_reasons_are_one_short_line() {
        let mut nacks = Nacks::default();
        nacks.add(nacked("sale", 3), "no such item");
        nacks.add(nacked("sale", 3), " no such item\n");
        nacks.add(nacked("sale", 3), "a\nb\u{7f}");
        let row =
            |event: &str, reason: &str, count| (event.to_owned(), 3, reason.to_owned(), count);
        assert_eq!(
            told(&nacks),
            [row("sale", "a b ", 1), row("sale", "no such item", 2),]
        );
    }

    #[test]
    fn however_many_reasons_there_is_a_limit_and_no_event_is_lost_for_another_ones_reasons() {
        let mut nacks = Nacks::default();
        for i in 0..10 * MAX_COMPLAINTS {
            nacks.add(nacked("sale", 3), &i.to_string());
        }
        assert_eq!(nacks.0.len(), MAX_COMPLAINTS);
        let sum: u32 = told(&nacks).iter().map(|row| row.3).sum();
        assert_eq!(sum as usize, 10 * MAX_COMPLAINTS);
        // A later version's takes the place of one; an earlier one's does not.
        nacks.add(nacked("cup", 4), "too large");
        nacks.add(nacked("old", 2), "too late");
        let rows = told(&nacks);
        assert_eq!(rows.len(), MAX_COMPLAINTS);
        assert!(rows.iter().any(|row| row.0 == "cup"));
        assert!(!rows.iter().any(|row| row.0 == "old"));
    }

    #[test]
    fn of_an_earlier_epoch_nothing_is_told() {
        let mut nacks = Nacks::default();
        nacks.add(nacked("sale", 3), "no");
        assert_eq!(nacks.told(Epoch(Uuid::from_u128(6))), []);
        let mut all = Nacks::default();
        all.add(nacked("sale", 3), "no");
        all.merge(nacks);
        assert_eq!(told(&all), [("sale".to_owned(), 3, "no".to_owned(), 2)]);
    }
}
