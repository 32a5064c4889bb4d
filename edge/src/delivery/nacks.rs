//! What game servers could not apply, and why: by event, revision, version and reason, bounded. Pure.
//!
//! A reason is a stranger's text. Where there is no room for another, the nack is counted with what is known of its
//! event; where nothing is, the oldest version's gives way, so that the newest decision is the one to be heard about.

use std::collections::BTreeMap;

use liveevents_protocol::id::EventId;
use liveevents_protocol::version::{Epoch, Revision, Version};

use crate::limits::{MAX_NACKS, MAX_REASON};

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
        let reason = legible(reason);
        let mut key = (nacked, reason);
        if !self.0.contains_key(&key) && self.0.len() >= MAX_NACKS {
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
        *count = count.saturating_add(1);
    }

    /// Those of an epoch; the others are forgotten.
    pub(super) fn of(&mut self, epoch: Epoch) -> impl Iterator<Item = (&Nacked, &str, u32)> {
        self.0.retain(|(nacked, _), _| nacked.epoch >= epoch);
        self.0
            .iter()
            .filter(move |((nacked, _), _)| nacked.epoch == epoch)
            .map(|((nacked, reason), count)| (nacked, reason.as_str(), *count))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// One line, of at most [`MAX_REASON`] characters.
fn legible(reason: &str) -> String {
    let line = reason.trim().chars().take(MAX_REASON);
    line.map(|c| if c.is_control() { ' ' } else { c }).collect()
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

    fn told(nacks: &mut Nacks) -> Vec<(String, u64, String, u32)> {
        nacks
            .of(EPOCH)
            .map(|(nacked, reason, count)| {
                let event = nacked.event.to_string();
                (event, nacked.version.0, reason.to_owned(), count)
            })
            .collect()
    }

    #[test]
    fn the_same_is_counted_and_reasons_are_one_short_line() {
        let mut nacks = Nacks::default();
        nacks.add(nacked("sale", 3), "no such item");
        nacks.add(nacked("sale", 3), " no such item\n");
        nacks.add(nacked("sale", 3), "a\nb\u{7f}");
        nacks.add(nacked("cup", 3), &"é".repeat(10_000));
        let row =
            |event: &str, reason: &str, count| (event.to_owned(), 3, reason.to_owned(), count);
        assert_eq!(
            told(&mut nacks),
            [
                row("cup", &"é".repeat(MAX_REASON), 1),
                row("sale", "a b ", 1),
                row("sale", "no such item", 2),
            ]
        );
    }

    #[test]
    fn however_many_reasons_there_is_a_limit_and_no_event_is_lost_for_another_ones_reasons() {
        let mut nacks = Nacks::default();
        for i in 0..10 * MAX_NACKS {
            nacks.add(nacked("sale", 3), &i.to_string());
        }
        assert_eq!(nacks.len(), MAX_NACKS);
        let sum: u32 = told(&mut nacks).iter().map(|row| row.3).sum();
        assert_eq!(sum as usize, 10 * MAX_NACKS);
        // A later version's takes the place of one; an earlier one's does not.
        nacks.add(nacked("cup", 4), "too large");
        nacks.add(nacked("old", 2), "too late");
        let rows = told(&mut nacks);
        assert_eq!(rows.len(), MAX_NACKS);
        assert!(rows.iter().any(|row| row.0 == "cup"));
        assert!(!rows.iter().any(|row| row.0 == "old"));
    }

    #[test]
    fn nacks_of_an_earlier_epoch_are_forgotten() {
        let mut nacks = Nacks::default();
        nacks.add(nacked("sale", 3), "no");
        assert_eq!(nacks.of(Epoch(Uuid::from_u128(6))).count(), 0);
        assert_eq!(nacks.len(), 0);
    }
}
