//! What a receiver with a filter is told.
//!
//! Which events pass may change: a revision has other tags, a candidate comes or goes. An event that has come into view is
//! told whole, one that has left it as removals. Whether one was in view before is not known for each receiver; but
//! where its labels have not changed since, it was exactly if it is now.
//!
//! Segments are told to everybody: they are few, they belong to no event, and an event that comes into view must find
//! its segments there.

use std::collections::BTreeSet;

use crate::entry::{Delta, Entry, EntryKey, Snapshot, Stamped};
use crate::filter::Filter;
use crate::id::EventId;
use crate::model::{Content, EventType};
use crate::version::{Revision, Version};

use super::RegionState;

/// What filters look at.
#[derive(Debug, PartialEq, Eq)]
struct Labels<'a> {
    types: BTreeSet<EventType>,
    tags: BTreeSet<&'a str>,
}

impl RegionState {
    /// What changed after `from` for a receiver with a filter that holds `from`; without entries if nothing did.
    /// `None` below the floor, ahead of this state, or where labels are not known from there: then it needs a snapshot.
    #[must_use]
    pub fn since_for(&self, from: Version, filter: &Filter) -> Option<Delta> {
        let changed = self.since(from)?;
        if filter.is_everything() {
            return Some(changed);
        }
        if filter.looks_inside() && from < self.labels_since {
            return None;
        }
        let mut told = BTreeSet::new();
        let mut entries = Vec::new();
        for stamped in changed.entries {
            let Some(event) = stamped.entry.key().event().cloned() else {
                entries.push(stamped);
                continue;
            };
            if !filter.names(&event) {
                continue;
            }
            let same_labels =
                !filter.looks_inside() || self.relabelled.get(&event).is_none_or(|&at| at <= from);
            match (self.passes(filter, &event), same_labels) {
                (true, true) => entries.push(stamped),
                (false, true) => {}
                (passes, false) => {
                    if told.insert(event.clone()) {
                        self.retell(&event, passes, from, &mut entries);
                    }
                }
            }
        }
        Some(Delta { entries, ..changed })
    }

    /// Everything that a receiver with a filter holds.
    #[must_use]
    pub fn snapshot_for(&self, filter: &Filter) -> Snapshot {
        let mut snapshot = self.snapshot();
        if !filter.is_everything() {
            snapshot.entries.retain(|stamped| match &stamped.entry {
                Entry::Put(value) => {
                    let key = value.key();
                    key.event().is_none_or(|event| self.passes(filter, event))
                }
                Entry::Removal(_) => false,
            });
        }
        snapshot
    }

    /// Whether a receiver with a filter is told of an event.
    #[must_use]
    pub fn passes(&self, filter: &Filter, event: &EventId) -> bool {
        filter.names(event)
            && (!filter.looks_inside() || self.named(event).any(|content| filter.fits(content)))
    }

    /// All of an event as of now: what is held if it is in view, else as removals.
    fn retell(&self, event: &EventId, in_view: bool, from: Version, entries: &mut Vec<Stamped>) {
        let first = EntryKey::Content(event.clone(), Revision(0));
        let contents = self
            .slots
            .range(first..)
            .take_while(|(key, _)| matches!(key, EntryKey::Content(of, _) if of == event));
        let assignment = EntryKey::Assignment(event.clone());
        let assignment = self.slots.get_key_value(&assignment);
        for (key, slot) in contents.chain(assignment) {
            // Never told, since it was removed before.
            let is_past = slot.value.is_none() && slot.version <= from;
            if !is_past {
                let entry = match (in_view, &slot.value) {
                    (true, Some(value)) => Entry::Put(value.clone()),
                    _ => Entry::Removal(key.clone()),
                };
                // Not older than what the receiver holds.
                let version = slot.version.max(from.next());
                entries.push(Stamped { version, entry });
            }
        }
    }

    /// The contents that an event's assignment names.
    fn named(&self, event: &EventId) -> impl Iterator<Item = &Content> {
        let revisions = self.assignment(event).into_iter();
        revisions
            .flat_map(|assignment| assignment.revisions())
            .filter_map(|revision| self.content(event, revision))
    }

    fn labels(&self, event: &EventId) -> Labels<'_> {
        Labels {
            types: self
                .named(event)
                .map(|content| content.event_type)
                .collect(),
            tags: self
                .named(event)
                .flat_map(|content| content.tags.iter().map(String::as_str))
                .collect(),
        }
    }

    /// Notes which of a delta's events have other labels than before.
    pub(super) fn note_labels(&mut self, before: &Self, delta: &Delta) {
        let events: BTreeSet<EventId> = delta
            .entries
            .iter()
            .filter_map(|stamped| stamped.entry.key().event().cloned())
            .collect();
        for event in events {
            if self.labels(&event) != before.labels(&event) {
                self.relabelled.insert_mut(event, delta.to);
            }
        }
    }

    /// Forgets an event of which nothing is held or remembered any more.
    pub(super) fn forget_labels(&mut self, key: &EntryKey) {
        let Some(event) = key.event() else { return };
        let held = |key: &EntryKey| self.slots.contains_key(key);
        if !held(&EntryKey::Assignment(event.clone())) {
            self.relabelled.remove_mut(event);
        }
    }
}
