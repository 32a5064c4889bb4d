//! A region's state, immutable: a change makes the next one, which shares all that did not change.
//!
//! Every key remembers the version that changed it, removed ones too (tombstones), so that a delta
//! from any version at or above the *floor* can be told. Applying is idempotent: what was applied is
//! skipped, what would leave a gap is refused, and nothing of another epoch gets in.
//!
//! A change costs the logarithm of what is held: two persistent trees, one by key and one by version.
//!
//! For receivers with a filter the state remembers when each event's labels (type and tags) last changed, so that a
//! delta tells them what has come into their view and what has left it ([`RegionState::since_for`]).

mod filtered;

use std::sync::Arc;

use rpds::{RedBlackTreeMapSync, RedBlackTreeSetSync};

use crate::entry::{Delta, Entry, EntryKey, Snapshot, Stamped, Value};
use crate::id::{EventId, SegmentId};
use crate::limits::MAX_TOMBSTONES;
use crate::model::{Assignment, Content};
use crate::segment::{Segment, Segments};
use crate::version::{Epoch, Revision, Version};

#[derive(Debug, Clone, PartialEq, Eq)]
struct Slot {
    version: Version,
    /// `None` is a tombstone.
    value: Option<Value>,
}

/// What one region holds as of one version.
#[derive(Debug, Clone)]
pub struct RegionState {
    epoch: Epoch,
    version: Version,
    floor: Version,
    slots: RedBlackTreeMapSync<EntryKey, Slot>,
    by_version: RedBlackTreeSetSync<Place>,
    tombstones: RedBlackTreeSetSync<Place>,
    /// The segments among the slots, as evaluation looks them up.
    segments: Segments,
    /// When each event's labels last changed.
    relabelled: RedBlackTreeMapSync<EventId, Version>,
    /// From which version on that is known.
    labels_since: Version,
}

/// Where a key stands in the order of versions. `None` is no key: it comes before all of a version,
/// as the bound of a range.
type Place = (Version, Option<EntryKey>);

/// Why a delta was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// It belongs to another history.
    #[error("delta of epoch {theirs}, state of epoch {ours}")]
    Epoch {
        /// The state's.
        ours: Epoch,
        /// The delta's.
        theirs: Epoch,
    },
    /// What lies between is missing.
    #[error("delta from version {from}, state at version {version}")]
    Gap {
        /// Where the state is.
        version: Version,
        /// Where the delta starts.
        from: Version,
    },
    /// It contradicts itself.
    #[error("delta from {from} to {to} has an entry stamped {stamp}")]
    Stamp {
        /// Where the delta starts.
        from: Version,
        /// Where it leads.
        to: Version,
        /// The stamp outside.
        stamp: Version,
    },
}

/// An assignment that names a content which is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("assignment of {event} names revision {revision}, which is not there")]
pub struct Dangling {
    /// The event.
    pub event: EventId,
    /// The revision without content.
    pub revision: Revision,
}

impl RegionState {
    /// A region before its first change.
    #[must_use]
    pub fn empty(epoch: Epoch) -> Self {
        Self {
            epoch,
            version: Version::ZERO,
            floor: Version::ZERO,
            slots: RedBlackTreeMapSync::new_sync(),
            by_version: RedBlackTreeSetSync::new_sync(),
            tombstones: RedBlackTreeSetSync::new_sync(),
            segments: Segments::default(),
            relabelled: RedBlackTreeMapSync::new_sync(),
            labels_since: Version::ZERO,
        }
    }

    /// The state that a snapshot tells.
    ///
    /// # Errors
    /// If an entry is stamped above the snapshot's version, or the floor is.
    pub fn from_snapshot(snapshot: Snapshot) -> Result<Self, ApplyError> {
        let Snapshot {
            epoch,
            version,
            floor,
            entries,
        } = snapshot;
        let outside = entries
            .iter()
            .map(|e| e.version)
            .chain([floor])
            .find(|&v| v > version);
        if let Some(stamp) = outside {
            return Err(ApplyError::Stamp {
                from: Version::ZERO,
                to: version,
                stamp,
            });
        }
        let mut state = Self {
            version,
            floor,
            labels_since: version,
            ..Self::empty(epoch)
        };
        for Stamped { version, entry } in entries {
            state.set(version, entry);
        }
        state.raise_floor();
        Ok(state)
    }

    /// The history it belongs to.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The version it is as of.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The oldest version from which [`RegionState::since`] can tell a delta.
    #[must_use]
    pub fn floor(&self) -> Version {
        self.floor
    }

    /// The state after a delta. A delta that leads nowhere new gives the same state again.
    ///
    /// # Errors
    /// If it is of another epoch, starts after this state, or contradicts itself; the state is as it
    /// was.
    pub fn apply(&self, delta: &Delta) -> Result<Self, ApplyError> {
        if delta.epoch != self.epoch {
            return Err(ApplyError::Epoch {
                ours: self.epoch,
                theirs: delta.epoch,
            });
        }
        if delta.from > self.version {
            return Err(ApplyError::Gap {
                version: self.version,
                from: delta.from,
            });
        }
        let within = |stamp: Version| stamp > delta.from && stamp <= delta.to;
        if let Some(stamp) = delta
            .entries
            .iter()
            .map(|e| e.version)
            .find(|&v| !within(v))
        {
            return Err(ApplyError::Stamp {
                from: delta.from,
                to: delta.to,
                stamp,
            });
        }
        let mut next = self.clone();
        if delta.to <= self.version {
            return Ok(next);
        }
        for Stamped { version, entry } in &delta.entries {
            if *version > self.version {
                next.set(*version, entry.clone());
            }
        }
        next.note_labels(self, delta);
        next.version = delta.to;
        next.raise_floor();
        Ok(next)
    }

    fn set(&mut self, version: Version, entry: Entry) {
        let key = entry.key();
        if let Some(old) = self.slots.get(&key) {
            let place = (old.version, Some(key.clone()));
            self.by_version.remove_mut(&place);
            self.tombstones.remove_mut(&place);
        }
        match (&entry, &key) {
            (Entry::Put(Value::Segment(segment)), _) => self.segments.put(Arc::clone(segment)),
            (Entry::Removal(_), EntryKey::Segment(id)) => self.segments.remove(id),
            _ => {}
        }
        let value = match entry {
            Entry::Put(value) => Some(value),
            Entry::Removal(_) => {
                self.tombstones.insert_mut((version, Some(key.clone())));
                None
            }
        };
        self.by_version.insert_mut((version, Some(key.clone())));
        self.slots.insert_mut(key, Slot { version, value });
    }

    /// Forgets the oldest removals past the limit, and with them all that no delta can tell any more; who
    /// has not heard of them needs a snapshot.
    fn raise_floor(&mut self) {
        while let Some(oldest) = self.tombstones.first().cloned() {
            let (version, key) = &oldest;
            if self.tombstones.size() <= MAX_TOMBSTONES && *version > self.floor {
                return;
            }
            self.floor = self.floor.max(*version);
            if let Some(key) = key {
                self.slots.remove_mut(key);
                self.forget_labels(key);
            }
            self.by_version.remove_mut(&oldest);
            self.tombstones.remove_mut(&oldest);
        }
    }

    /// What changed after `from`; `None` below the floor or ahead of this state.
    #[must_use]
    pub fn since(&self, from: Version) -> Option<Delta> {
        if from < self.floor || from > self.version {
            return None;
        }
        let entries = self
            .by_version
            .range((from.next(), None)..)
            // At the end of the range `next` stays where it is.
            .filter(|(version, _)| *version > from)
            .filter_map(|(version, key)| {
                let key = key.as_ref()?;
                Some(stamped(*version, key, self.slots.get(key)?))
            })
            .collect();
        Some(Delta {
            epoch: self.epoch,
            from,
            to: self.version,
            entries,
        })
    }

    /// Everything, with the removals above the floor.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            epoch: self.epoch,
            version: self.version,
            floor: self.floor,
            entries: self
                .slots
                .iter()
                .map(|(key, slot)| stamped(slot.version, key, slot))
                .collect(),
        }
    }

    /// What is held, in order of key.
    pub fn values(&self) -> impl Iterator<Item = (&EntryKey, &Value)> {
        self.slots
            .iter()
            .filter_map(|(key, slot)| slot.value.as_ref().map(|value| (key, value)))
    }

    /// The assignments, in order of event.
    pub fn assignments(&self) -> impl Iterator<Item = &Assignment> {
        self.values().filter_map(|(_, value)| match value {
            Value::Assignment(assignment) => Some(&**assignment),
            Value::Segment(_) | Value::Content(_) => None,
        })
    }

    /// What is held under a key, to be shared.
    #[must_use]
    pub fn value(&self, key: &EntryKey) -> Option<&Value> {
        self.slots.get(key)?.value.as_ref()
    }

    /// One event's assignment.
    #[must_use]
    pub fn assignment(&self, event: &EventId) -> Option<&Assignment> {
        match self.value(&EntryKey::Assignment(event.clone()))? {
            Value::Assignment(assignment) => Some(assignment),
            Value::Segment(_) | Value::Content(_) => None,
        }
    }

    /// One revision's content.
    #[must_use]
    pub fn content(&self, event: &EventId, revision: Revision) -> Option<&Content> {
        match self.value(&EntryKey::Content(event.clone(), revision))? {
            Value::Content(content) => Some(content),
            Value::Segment(_) | Value::Assignment(_) => None,
        }
    }

    /// The segments.
    #[must_use]
    pub fn segments(&self) -> &Segments {
        &self.segments
    }

    /// One segment.
    #[must_use]
    pub fn segment(&self, id: &SegmentId) -> Option<&Segment> {
        self.segments.get(id)
    }

    /// Whether every content that an event's assignment names is there.
    ///
    /// # Errors
    /// Naming the first that is not.
    pub fn check(&self, event: &EventId) -> Result<(), Dangling> {
        let Some(assignment) = self.assignment(event) else {
            return Ok(());
        };
        match assignment
            .revisions()
            .find(|&r| self.content(event, r).is_none())
        {
            Some(revision) => Err(Dangling {
                event: event.clone(),
                revision,
            }),
            None => Ok(()),
        }
    }

    /// Whether both hold the same at the same place of the same history, whatever each remembers of
    /// removals.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.epoch == other.epoch
            && self.version == other.version
            && self.values().eq(other.values())
    }
}

fn stamped(version: Version, key: &EntryKey, slot: &Slot) -> Stamped {
    let entry = match &slot.value {
        Some(value) => Entry::Put(value.clone()),
        None => Entry::Removal(key.clone()),
    };
    Stamped { version, entry }
}

#[cfg(test)]
mod tests;
