//! Rows made at an origin and delivered to an edge by a link that drops, repeats and swaps them, with
//! restarts and forgeries in between: at each moment the edge holds a state that the origin had, and never
//! an earlier one than before.
#![no_main]

use std::collections::BTreeMap;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use liveevents_protocol::entry::{Delta, Entry, EntryKey, Stamped, Value};
use liveevents_protocol::id::{EventId, SegmentId};
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::model::{Assignment, Content, EventType, Suspension};
use liveevents_protocol::schedule::Schedule;
use liveevents_protocol::segment::Segment;
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::{Epoch, Revision, Version};
use uuid::Uuid;

const EPOCH: Epoch = Epoch(Uuid::from_u128(1));
const FORGED: Epoch = Epoch(Uuid::from_u128(2));

#[derive(Debug, Arbitrary)]
enum Op {
    /// The origin commits a row.
    Commit(Vec<Change>),
    /// The edge is sent what changed between two versions.
    Deliver { from: u8, to: u8 },
    /// The edge is sent a snapshot of a version, with a floor.
    DeliverSnapshot { at: u8, floor: u8 },
    /// The edge stops and comes back with what it had.
    Restart,
    /// The edge is sent what nobody made.
    Forge {
        foreign: bool,
        from: u64,
        to: u64,
        entries: Vec<(u64, Change)>,
    },
}

#[derive(Debug, Arbitrary)]
struct Change {
    event: u8,
    revision: u8,
    kind: Kind,
}

#[derive(Debug, Arbitrary)]
enum Kind {
    Content(String),
    Assignment(Option<u8>),
    NoContent,
    NoAssignment,
    Segment,
    NoSegment,
}

impl Change {
    fn entry(&self) -> Entry {
        let id = ["a", "b", "c", "d"][usize::from(self.event % 4)];
        let event_id = EventId::new(id).unwrap();
        let segment_id = SegmentId::new(id).unwrap();
        let revision = Revision(u32::from(self.revision % 4));
        match &self.kind {
            Kind::Content(name) => Content {
                event_id,
                revision,
                event_type: EventType::ABTestVariant,
                display_name: name.clone(),
                description: String::new(),
                category: None,
                priority: 0,
                tags: Vec::new(),
                localizations: BTreeMap::new(),
                requires: Default::default(),
                when_stale: Default::default(),
                target_segments: Vec::new(),
                exclude_segments: Vec::new(),
                configuration: JsonText::empty_object(),
            }
            .into(),
            Kind::Assignment(live) => Assignment {
                event_id,
                salt: String::new(),
                live: live.map(|revision| Revision(u32::from(revision))),
                candidate: None,
                schedule: Schedule::default(),
                suspension: Suspension::default(),
            }
            .into(),
            Kind::Segment => Segment {
                id: segment_id,
                revision,
                criteria: Default::default(),
            }
            .into(),
            Kind::NoSegment => Entry::Removal(EntryKey::Segment(segment_id)),
            Kind::NoContent => Entry::Removal(EntryKey::Content(event_id, revision)),
            Kind::NoAssignment => Entry::Removal(EntryKey::Assignment(event_id)),
        }
    }
}

fn version(index: usize) -> Version {
    Version(u64::try_from(index).unwrap())
}

/// What holds of every state, however it came about.
fn check(state: &RegionState) {
    let snapshot = state.snapshot();
    assert!(snapshot.floor <= snapshot.version);
    for Stamped { version, entry } in &snapshot.entries {
        assert!(*version <= snapshot.version);
        assert!(matches!(entry, Entry::Put(_)) || *version > snapshot.floor);
    }
    let told = RegionState::from_snapshot(snapshot.clone()).unwrap();
    assert_eq!(told.snapshot(), snapshot);
    assert!(told.same_as(state));
    let all = state.since(state.floor()).unwrap();
    assert!(state.apply(&all).unwrap().same_as(state));
    assert_eq!(state.since(state.version()).unwrap().entries, []);
}

fuzz_target!(|ops: Vec<Op>| {
    let mut expected: BTreeMap<EntryKey, Value> = BTreeMap::new();
    let mut history = vec![RegionState::empty(EPOCH)];
    let mut edge = history[0].clone();
    for op in &ops {
        let before = edge.version();
        let pick = |index: u8| usize::from(index) % history.len();
        match op {
            Op::Commit(changes) => {
                let row: Vec<_> = changes.iter().map(Change::entry).collect();
                for entry in &row {
                    match entry {
                        Entry::Put(value) => expected.insert(value.key(), value.clone()),
                        Entry::Removal(key) => expected.remove(key),
                    };
                }
                let head = history.last().unwrap();
                let next = head
                    .apply(&Delta::of_row(EPOCH, head.version().next(), row))
                    .unwrap();
                assert!(next.values().eq(expected.iter()));
                check(&next);
                history.push(next);
            }
            Op::Deliver { from, to } => {
                let (from, to) = (pick(*from).min(pick(*to)), pick(*from).max(pick(*to)));
                let delta = history[to].since(version(from)).unwrap();
                match edge.apply(&delta) {
                    Ok(next) => edge = next,
                    Err(_) => assert!(version(from) > edge.version()),
                }
            }
            Op::DeliverSnapshot { at, floor } => {
                let at = pick(*at);
                let mut snapshot = history[at].snapshot();
                snapshot.floor = version(pick(*floor).min(at));
                if version(at) >= edge.version() {
                    edge = RegionState::from_snapshot(snapshot).unwrap();
                }
            }
            Op::Restart => edge = RegionState::from_snapshot(edge.snapshot()).unwrap(),
            Op::Forge {
                foreign,
                from,
                to,
                entries,
            } => {
                let stamped = |(version, change): &(u64, Change)| Stamped {
                    version: Version(*version),
                    entry: change.entry(),
                };
                let forged = edge.apply(&Delta {
                    epoch: if *foreign { FORGED } else { EPOCH },
                    from: Version(*from),
                    to: Version(*to),
                    entries: entries.iter().map(stamped).collect(),
                });
                assert!(!*foreign || forged.is_err());
                if let Ok(state) = forged {
                    check(&state);
                }
            }
        }
        assert!(edge.version() >= before);
        let Version(at) = edge.version();
        assert!(edge.same_as(&history[usize::try_from(at).unwrap()]));
        check(&edge);
    }
});
