//! What is applied, what is refused, and how removals are remembered.

mod filters;
mod laws;

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::conditions::{Requires, WhenStale};
use crate::json_text::JsonText;
use crate::model::{Candidate, EventType, Suspension};
use crate::schedule::Schedule;
use crate::version::BasisPoints;

const EPOCH: Epoch = Epoch(Uuid::from_u128(1));
const LATER: Epoch = Epoch(Uuid::from_u128(2));

fn event(id: &str) -> EventId {
    EventId::new(id).unwrap()
}

fn content(id: &str, revision: u32, name: &str) -> Entry {
    Content {
        event_id: event(id),
        revision: Revision(revision),
        event_type: EventType::ContentRelease,
        display_name: name.to_owned(),
        description: String::new(),
        category: None,
        priority: 0,
        tags: Vec::new(),
        localizations: BTreeMap::new(),
        requires: Requires::default(),
        when_stale: WhenStale::Keep,
        target_segments: Vec::new(),
        exclude_segments: Vec::new(),
        configuration: JsonText::empty_object(),
    }
    .into()
}

fn assignment(id: &str, live: Option<u32>, candidate: Option<u32>) -> Entry {
    Assignment {
        event_id: event(id),
        salt: String::new(),
        live: live.map(Revision),
        candidate: candidate.map(|revision| Candidate {
            revision: Revision(revision),
            exposure: BasisPoints::ALL,
            bucket_by: Default::default(),
        }),
        schedule: Schedule::default(),
        suspension: Suspension::default(),
        full: false,
    }
    .into()
}

fn segment(id: &str, revision: u32) -> Entry {
    Segment {
        id: id.parse().unwrap(),
        revision: Revision(revision),
        criteria: Default::default(),
    }
    .into()
}

fn no_segment(id: &str) -> Entry {
    Entry::Removal(EntryKey::Segment(id.parse().unwrap()))
}

fn no_content(id: &str, revision: u32) -> Entry {
    Entry::Removal(EntryKey::Content(event(id), Revision(revision)))
}

fn no_assignment(id: &str) -> Entry {
    Entry::Removal(EntryKey::Assignment(event(id)))
}

/// The state at every version of a log, from 0 on.
fn history(rows: &[Vec<Entry>]) -> Vec<RegionState> {
    let mut states = vec![RegionState::empty(EPOCH)];
    for row in rows {
        let last = states.last().unwrap();
        let delta = Delta::of_row(EPOCH, last.version().next(), row.clone());
        let next = last.apply(&delta).unwrap();
        states.push(next);
    }
    states
}

fn version(index: usize) -> Version {
    Version(u64::try_from(index).unwrap())
}

fn between(states: &[RegionState], from: usize, to: usize) -> Delta {
    states[to].since(version(from)).unwrap()
}

#[test]
fn refuses_gaps_foreign_epochs_and_bad_stamps() {
    let state = &history(&[
        vec![content("a", 1, "x")],
        vec![assignment("a", Some(1), None)],
    ])[2];
    let delta = |epoch, from, to, stamps: &[u64]| Delta {
        epoch,
        from: Version(from),
        to: Version(to),
        entries: stamps
            .iter()
            .map(|&stamp| Stamped {
                version: Version(stamp),
                entry: no_assignment("a"),
            })
            .collect(),
    };
    let stamp = |from, to, stamp| ApplyError::Stamp {
        from: Version(from),
        to: Version(to),
        stamp: Version(stamp),
    };
    let gap = |from| ApplyError::Gap {
        version: Version(2),
        from: Version(from),
    };
    let foreign = ApplyError::Epoch {
        ours: EPOCH,
        theirs: LATER,
    };
    let table = [
        (delta(LATER, 2, 3, &[3]), foreign.clone()),
        (delta(LATER, 9, 1, &[0]), foreign),
        (delta(EPOCH, 3, 4, &[4]), gap(3)),
        (delta(EPOCH, 3, 3, &[]), gap(3)),
        (delta(EPOCH, u64::MAX, 0, &[]), gap(u64::MAX)),
        (delta(EPOCH, 2, 3, &[2]), stamp(2, 3, 2)),
        (delta(EPOCH, 2, 3, &[3, 4]), stamp(2, 3, 4)),
        (delta(EPOCH, 2, 2, &[2]), stamp(2, 2, 2)),
        (delta(EPOCH, 0, 1, &[2]), stamp(0, 1, 2)),
        (delta(EPOCH, 2, 1, &[2]), stamp(2, 1, 2)),
    ];
    let before = state.snapshot();
    for (delta, expected) in table {
        assert_eq!(state.apply(&delta).unwrap_err(), expected, "{delta:?}");
        assert_eq!(state.snapshot(), before);
    }
    for (from, to) in [(2, 2), (0, 2), (0, 1), (2, 1)] {
        let same = state.apply(&delta(EPOCH, from, to, &[])).unwrap();
        assert_eq!(same.snapshot(), before, "{from} to {to}");
    }
    let skipped = state.apply(&delta(EPOCH, 2, 9, &[])).unwrap();
    assert_eq!(skipped.version(), Version(9), "nothing changed up to 9");
}

/// Whoever merged it wrongly: an entry from before the state does not replace what came since.
#[test]
fn an_old_entry_in_a_new_delta_is_skipped() {
    let state = &history(&[vec![], vec![content("a", 1, "second")]])[2];
    let stamped = |version, entry| Stamped {
        version: Version(version),
        entry,
    };
    let delta = Delta {
        epoch: EPOCH,
        from: Version::ZERO,
        to: Version(3),
        entries: vec![
            stamped(1, content("a", 1, "first")),
            stamped(3, content("b", 1, "third")),
        ],
    };
    let next = state.apply(&delta).unwrap();
    let name = |id: &str| {
        next.content(&event(id), Revision(1))
            .unwrap()
            .display_name
            .clone()
    };
    assert_eq!(
        (name("a"), name("b")),
        ("second".to_owned(), "third".to_owned())
    );
}

#[test]
fn a_row_may_name_a_key_twice_and_the_last_counts() {
    let states = history(&[vec![
        content("a", 1, "first"),
        no_content("a", 1),
        content("a", 1, "last"),
        assignment("b", Some(1), None),
        no_assignment("b"),
    ]]);
    let content = states[1].content(&event("a"), Revision(1)).unwrap();
    assert_eq!(content.display_name, "last");
    assert_eq!(states[1].assignment(&event("b")), None);
    assert_eq!(between(&states, 0, 1).entries.len(), 2);
}

#[test]
fn refuses_a_snapshot_that_contradicts_itself() {
    let snapshot = |floor, stamp| Snapshot {
        epoch: EPOCH,
        version: Version(5),
        floor: Version(floor),
        entries: vec![Stamped {
            version: Version(stamp),
            entry: content("a", 1, "x"),
        }],
    };
    let refused = |stamp| ApplyError::Stamp {
        from: Version::ZERO,
        to: Version(5),
        stamp: Version(stamp),
    };
    assert!(RegionState::from_snapshot(snapshot(5, 5)).is_ok());
    for (floor, stamp) in [(6, 5), (5, 6)] {
        let error = RegionState::from_snapshot(snapshot(floor, stamp)).unwrap_err();
        assert_eq!(error, refused(6));
    }
}

#[test]
fn removals_are_remembered_up_to_a_number_and_then_the_floor_rises() {
    let many = u32::try_from(MAX_TOMBSTONES).unwrap();
    let kept = content("kept", 1, "x");
    let mut states = history(&[vec![kept.clone()]]);
    let mut state = states.pop().unwrap();
    let mut remove = |revisions: std::ops::Range<u32>| {
        let row = revisions
            .map(|revision| no_content("a", revision))
            .collect();
        state = state
            .apply(&Delta::of_row(EPOCH, state.version().next(), row))
            .unwrap();
        state.clone()
    };
    let tombstones = |state: &RegionState| {
        let entries = state.snapshot().entries;
        entries
            .iter()
            .filter(|e| matches!(e.entry, Entry::Removal(_)))
            .count()
    };

    let first = remove(0..2);
    let full = remove(2..many);
    assert_eq!(full.floor(), Version::ZERO);
    assert_eq!(tombstones(&full), MAX_TOMBSTONES);

    // One too many: the oldest row's removals go, both of them, since no delta can tell one alone.
    let over = remove(many..many + 1);
    assert_eq!(over.version(), Version(4));
    assert_eq!(over.floor(), Version(2));
    assert_eq!(tombstones(&over), MAX_TOMBSTONES - 1);
    assert_eq!(over.since(Version(1)), None);
    let delta = over.since(Version(2)).unwrap();
    assert!(first.apply(&delta).unwrap().same_as(&over));

    // A whole row of more than are remembered leaves nothing to tell but the present.
    let flood = remove(many..3 * many);
    assert_eq!(flood.floor(), flood.version());
    assert_eq!(tombstones(&flood), 0);
    assert_eq!(flood.since(flood.version()).unwrap().entries, []);
    assert!(
        flood
            .values()
            .map(|(_, v)| Entry::Put(v.clone()))
            .eq([kept])
    );
    let told = RegionState::from_snapshot(flood.snapshot()).unwrap();
    assert_eq!(told.floor(), flood.version());
}

#[test]
fn a_key_put_again_is_no_removal_any_more() {
    let states = history(&[
        vec![content("a", 1, "x")],
        vec![no_content("a", 1)],
        vec![content("a", 1, "y")],
    ]);
    assert_eq!(states[2].tombstones.size(), 1);
    assert_eq!(states[3].tombstones.size(), 0);
    assert_eq!(between(&states, 1, 3).entries.len(), 1);
}

#[test]
fn says_which_content_an_assignment_lacks() {
    let state = &history(&[vec![
        content("whole", 1, "x"),
        content("whole", 2, "x"),
        assignment("whole", Some(1), Some(2)),
        assignment("bare", Some(1), None),
        content("half", 1, "x"),
        assignment("half", Some(1), Some(2)),
        assignment("idle", None, None),
    ]])[1];
    let lacks = |id: &str| state.check(&event(id)).map_err(|error| error.revision.0);
    assert_eq!(lacks("whole"), Ok(()));
    assert_eq!(lacks("bare"), Err(1));
    assert_eq!(lacks("half"), Err(2));
    assert_eq!(lacks("idle"), Ok(()));
    assert_eq!(lacks("absent"), Ok(()));
}

#[test]
fn the_same_is_the_same_place_and_the_same_values() {
    let states = history(&[vec![content("a", 1, "x")], vec![]]);
    let other = history(&[vec![content("a", 1, "y")]]);
    let mut elsewhere = states[1].snapshot();
    elsewhere.epoch = LATER;
    let elsewhere = RegionState::from_snapshot(elsewhere).unwrap();
    assert!(states[1].same_as(&states[1].clone()));
    assert!(!states[1].same_as(&states[2]), "another version");
    assert!(!states[1].same_as(&other[1]), "another value");
    assert!(!states[1].same_as(&elsewhere), "another epoch");
}

#[test]
fn the_last_version_of_all_has_nothing_after_it() {
    let state = RegionState::from_snapshot(Snapshot {
        epoch: EPOCH,
        version: Version(u64::MAX),
        floor: Version::ZERO,
        entries: vec![Stamped {
            version: Version(u64::MAX),
            entry: content("a", 1, "x"),
        }],
    })
    .unwrap();
    assert_eq!(state.since(Version(u64::MAX)).unwrap().entries, []);
    let delta = state.since(Version(u64::MAX - 1)).unwrap();
    assert_eq!(delta.entries.len(), 1);
    assert!(state.apply(&delta).unwrap().same_as(&state));
}
