//! What becomes of a row or a snapshot of which not everything can be applied.

use std::collections::{BTreeMap, BTreeSet};

use liveevents_protocol::codec;
use liveevents_protocol::entry::{Delta, Entry, EntryKey, Snapshot, Stamped, Value};
use liveevents_protocol::frame::{FORMAT_V1, Row};
use liveevents_protocol::id::EventId;
use liveevents_protocol::limits::MAX_COMPLAINTS;
use liveevents_protocol::message::Cursor;
use liveevents_protocol::state::{Dangling, RegionState};

use super::{Again, Aside, Quarantine, Trial, Why, attempt};
use crate::replica::apply::Refused;

/// The state after a row, and what is set aside then.
///
/// # Errors
/// If the row as a whole is none, or too much of it cannot be applied.
pub(in crate::replica) fn settle_row(
    held: &RegionState,
    before: &Quarantine,
    row: &Row,
    trial: &dyn Trial,
) -> Result<(RegionState, Quarantine), Refused> {
    let at = Cursor {
        epoch: held.epoch(),
        version: row.version,
    };
    let read = || codec::read_entries(FORMAT_V1, &row.entries);
    let mut good = Vec::new();
    let mut bad = BTreeMap::new();
    let mut named = BTreeSet::new();
    for (index, raw) in read()
        .map_err(Refused::Undecodable)?
        .into_iter()
        .enumerate()
    {
        let key = raw.key().map_err(Refused::Undecodable)?;
        // Of a key that is named twice the last counts.
        bad.remove(&key);
        named.insert(key.clone());
        match attempt(trial, at, &key, raw, || read().ok()?.into_iter().nth(index)) {
            Ok(entry) => good.push(entry),
            Err(aside) => {
                good.retain(|entry: &Entry| entry.key() != key);
                bad.insert(key, aside);
            }
        }
    }
    for (key, aside) in &before.aside {
        if named.contains(key) {
            continue;
        }
        match aside.try_again(trial, at, key) {
            Some(Ok(entry)) => good.push(entry),
            Some(Err(aside)) => drop(bad.insert(key.clone(), aside)),
            None => drop(bad.insert(key.clone(), aside.clone())),
        }
    }
    for key in before.untold.difference(&named) {
        good.push(held_entry(held, key));
    }
    let state = advance(held, at, &mut good, &mut bad)?;
    if bad.len() > MAX_COMPLAINTS {
        return Err(Refused::TooMuchAside(bad.len()));
    }
    let quarantine = Quarantine {
        aside: bad,
        untold: BTreeSet::new(),
    };
    Ok((state, quarantine))
}

/// Applies what is good. Where that would leave an assignment without its contents, its event stays as it is.
fn advance(
    held: &RegionState,
    at: Cursor,
    good: &mut Vec<Entry>,
    bad: &mut BTreeMap<EntryKey, Aside>,
) -> Result<RegionState, Refused> {
    let apply = |entries: &[Entry]| {
        let delta = Delta::of_row(at.epoch, at.version, entries.to_vec());
        held.apply(&delta).map_err(Refused::Contradiction)
    };
    let events: BTreeSet<EventId> = good
        .iter()
        .filter_map(|entry| entry.key().event().cloned())
        .collect();
    let dangling = |state: &RegionState| -> BTreeMap<EventId, Dangling> {
        let lacks = |event: &EventId| Some((event.clone(), state.check(event).err()?));
        events.iter().filter_map(lacks).collect()
    };
    let state = apply(good)?;
    let lacking = dangling(&state);
    if lacking.is_empty() {
        return Ok(state);
    }
    let mut kept = Vec::new();
    for entry in std::mem::take(good) {
        let key = entry.key();
        match key.event().and_then(|event| lacking.get(event)) {
            Some(dangling) if must_wait(held, &entry) => {
                let aside = Aside {
                    version: at.version,
                    why: Why::Incomplete(dangling.clone()),
                    again: Some(Again::Entry(entry)),
                };
                bad.insert(key, aside);
            }
            _ => kept.push(entry),
        }
    }
    *good = kept;
    let state = apply(good)?;
    match dangling(&state).into_values().next() {
        Some(still) => Err(Refused::Incomplete(still)),
        None => Ok(state),
    }
}

/// Whether an entry of an event that lacks something cannot be applied before the rest of it: its assignment, and the
/// removal of contents that the assignment held names.
fn must_wait(held: &RegionState, entry: &Entry) -> bool {
    match entry {
        Entry::Put(Value::Assignment(_)) => true,
        Entry::Removal(EntryKey::Content(event, revision)) => held
            .assignment(event)
            .is_some_and(|assignment| assignment.revisions().any(|named| named == *revision)),
        Entry::Put(Value::Segment(_) | Value::Content(_))
        | Entry::Removal(EntryKey::Segment(_) | EntryKey::Assignment(_)) => false,
    }
}

/// What is held under a key, as an entry that says so again.
fn held_entry(held: &RegionState, key: &EntryKey) -> Entry {
    let value = held.value(key).cloned();
    value.map_or_else(|| Entry::Removal(key.clone()), Entry::Put)
}

/// The state that a snapshot tells, with the last good of `before` in the place of what cannot be applied.
///
/// # Errors
/// If it contradicts itself, or too much of it cannot be applied.
pub(in crate::replica) fn settle_snapshot(
    mut snapshot: Snapshot,
    mut bad: BTreeMap<EntryKey, Aside>,
    before: Option<(&RegionState, &Quarantine)>,
) -> Result<(RegionState, Quarantine), Refused> {
    let held = before.map(|(held, _)| held);
    if let Some(held) = held {
        for key in bad.keys() {
            keep_last_good(&mut snapshot, held, key);
        }
    }
    let whole = RegionState::from_snapshot(snapshot.clone()).map_err(Refused::Contradiction)?;
    let events = whole.assignments().map(|assignment| &assignment.event_id);
    let lacks = |event: &EventId| Some((event.clone(), whole.check(event).err()?));
    let lacking: BTreeMap<EventId, Dangling> = events.filter_map(lacks).collect();
    if bad.is_empty() && lacking.is_empty() && before.is_none_or(|(_, before)| before.is_clear()) {
        return Ok((whole, Quarantine::default()));
    }
    for (event, dangling) in &lacking {
        let key = EntryKey::Assignment(event.clone());
        let offered = take(&mut snapshot, &key);
        if let Some(held) = held
            && let Some(assignment) = held.assignment(event)
            && held.check(event).is_ok()
        {
            for revision in assignment.revisions() {
                if whole.content(event, revision).is_some() {
                    continue;
                }
                // It was taken away, which has to wait.
                let content = EntryKey::Content(event.clone(), revision);
                keep_last_good(&mut snapshot, held, &content);
                let removal = Entry::Removal(content.clone());
                let waiting = Aside {
                    version: snapshot.version,
                    why: Why::Incomplete(dangling.clone()),
                    again: Some(Again::Entry(removal)),
                };
                bad.entry(content).or_insert(waiting);
            }
            keep_last_good(&mut snapshot, held, &key);
        }
        if let Some(Stamped { version, entry }) = offered {
            // One that is set aside already is the last good here, and lacks what was taken from it.
            bad.entry(key).or_insert(Aside {
                version,
                why: Why::Incomplete(dangling.clone()),
                again: Some(Again::Entry(entry)),
            });
        }
    }
    if bad.len() > MAX_COMPLAINTS {
        return Err(Refused::TooMuchAside(bad.len()));
    }
    let untold = retell(&mut snapshot, &bad, before);
    let state = RegionState::from_snapshot(snapshot).map_err(Refused::Contradiction)?;
    Ok((state, Quarantine { aside: bad, untold }))
}

/// Puts what `held` has under a key into the place of what a snapshot has.
fn keep_last_good(snapshot: &mut Snapshot, held: &RegionState, key: &EntryKey) {
    take(snapshot, key);
    let entry = held_entry(held, key);
    if let Entry::Put(_) = entry {
        // Receivers of an earlier epoch start anew; those of this one may have it, and lose nothing by hearing again.
        snapshot.entries.push(Stamped {
            version: snapshot.version,
            entry,
        });
    }
}

fn take(snapshot: &mut Snapshot, key: &EntryKey) -> Option<Stamped> {
    let at = snapshot
        .entries
        .iter()
        .position(|stamped| stamped.entry.key() == *key)?;
    Some(snapshot.entries.swap_remove(at))
}

/// Stamps what heals by a snapshot anew, so that receivers of this edge hear of it; what heals at the very version that
/// they hold is told with the next one.
fn retell(
    snapshot: &mut Snapshot,
    bad: &BTreeMap<EntryKey, Aside>,
    before: Option<(&RegionState, &Quarantine)>,
) -> BTreeSet<EntryKey> {
    let Some((held, quarantine)) = before.filter(|(held, _)| held.epoch() == snapshot.epoch) else {
        return BTreeSet::new();
    };
    let healed = quarantine.aside.keys().chain(&quarantine.untold);
    let healed: BTreeSet<_> = healed
        .filter(|key| !bad.contains_key(key))
        .cloned()
        .collect();
    if held.version() >= snapshot.version {
        return healed;
    }
    for key in &healed {
        match snapshot
            .entries
            .iter_mut()
            .find(|stamped| stamped.entry.key() == *key)
        {
            Some(stamped) => stamped.version = snapshot.version,
            None => snapshot.entries.push(Stamped {
                version: snapshot.version,
                entry: Entry::Removal(key.clone()),
            }),
        }
    }
    BTreeSet::new()
}
