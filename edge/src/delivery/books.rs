//! How many game servers hold which version. Pure.
//!
//! Three tallies, moved on as game servers come, say what they have, and leave: a report, or the question whether all
//! have the newest, costs a look at the distinct versions, not at the game servers.

use std::collections::BTreeMap;

use liveevents_protocol::message::Cursor;
use liveevents_protocol::version::{Epoch, Version};

use super::holder::Holder;
use crate::replica::place;

/// How many game servers hold which version.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) connected: u32,
    received: Tally,
    applied: Tally,
    deferred: Tally,
}

/// Game servers of which a version is the newest of its kind.
#[derive(Debug, Default)]
struct Tally(BTreeMap<(Epoch, Version), u32>);

/// Game servers of a region, against one version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// All that are connected.
    pub(crate) connected: u32,
    /// Those that have received it, or more.
    pub(crate) received: u32,
    /// Those that have applied it, or more.
    pub(crate) applied: u32,
    /// Those that have it and will apply it later.
    pub(crate) deferred: u32,
}

impl Books {
    pub(super) fn enter(&mut self, holder: &Holder) {
        self.connected = self.connected.saturating_add(1);
        self.move_on(&Holder::default(), holder);
    }

    pub(super) fn leave(&mut self, holder: &Holder) {
        self.connected = self.connected.saturating_sub(1);
        self.move_on(holder, &Holder::default());
    }

    pub(super) fn move_on(&mut self, before: &Holder, after: &Holder) {
        self.received.move_on(before.received, after.received);
        self.applied.move_on(before.applied, after.applied);
        self.deferred.move_on(before.deferred, after.deferred);
    }

    pub(super) fn counts(&self, at: Cursor) -> Counts {
        Counts {
            connected: self.connected,
            received: self.received.at_least(at),
            applied: self.applied.at_least(at),
            deferred: self.deferred.at_least(at),
        }
    }

    /// For each version of `head`'s epoch that is somebody's newest: how many have received it, applied it, deferred
    /// it. Who is ahead of `head` has it.
    pub(super) fn standings(&self, head: Cursor) -> BTreeMap<Version, [u32; 3]> {
        let mut standings = BTreeMap::<Version, [u32; 3]>::new();
        let tallies = [&self.received, &self.applied, &self.deferred];
        for (kind, tally) in tallies.into_iter().enumerate() {
            for (&at, count) in tally.0.range((head.epoch, Version::ZERO)..) {
                let version = if at < place(head) { at.1 } else { head.version };
                if let Some(sum) = standings.entry(version).or_default().get_mut(kind) {
                    *sum = sum.saturating_add(*count);
                }
            }
        }
        standings
    }
}

impl Tally {
    fn move_on(&mut self, before: Option<Cursor>, after: Option<Cursor>) {
        if before == after {
            return;
        }
        if let Some(before) = before.map(place)
            && let Some(count) = self.0.get_mut(&before)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(&before);
            }
        }
        if let Some(after) = after.map(place) {
            let count = self.0.entry(after).or_default();
            *count = count.saturating_add(1);
        }
    }

    fn at_least(&self, at: Cursor) -> u32 {
        self.0.range(place(at)..).map(|(_, count)| count).sum()
    }
}
