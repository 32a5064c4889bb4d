//! However it came about, it says what the state says; and what has not changed is not made again.

use std::collections::BTreeMap;
use std::ptr;

use jiff::SignedDuration;
use liveevents_protocol::attribute::{Attribute, Attributes};
use liveevents_protocol::entry::{Delta, Entry};
use liveevents_protocol::evaluate::{Keys, shown};
use liveevents_protocol::message::Cursor;
use liveevents_protocol::schedule::{Occurrence, Schedule};
use liveevents_protocol::version::{BasisPoints, Version};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::super::history::{
    History, assignment, content, epoch, from_level, put, put_for, remove, try_on_all,
};
use super::super::{Publication, Published, Replica, Trial, apply_rows};
use super::*;

const NOW: Moment = Moment {
    now: Timestamp::UNIX_EPOCH,
    age: std::time::Duration::ZERO,
};

const PLAIN: Wording<'_> = Wording {
    language: None,
    configuration: true,
};

fn apply(state: &RegionState, entries: Vec<Entry>) -> RegionState {
    let row = Delta::of_row(state.epoch(), state.version().next(), entries);
    state.apply(&row).unwrap()
}

fn empty() -> (RegionState, Offers) {
    (RegionState::empty(epoch(5)), Offers::default())
}

/// So many events of some priorities.
fn many(count: usize) -> (RegionState, Offers) {
    let (mut state, _) = empty();
    for number in 0..count {
        let name = format!("event-{number}");
        let mut content = content(&name, 1);
        content.priority = i32::try_from(number % 7).unwrap();
        state = apply(&state, vec![content.into(), assignment(&name, 1).into()]);
    }
    let offers = Offers::of(&state, &Offers::default());
    (state, offers)
}

/// In order, and in blocks that are neither empty nor too large.
fn is_well_formed(offers: &Offers) -> bool {
    let sizes = offers.blocks.iter().map(|block| block.len());
    let ready: Vec<_> = offers.iter().collect();
    sizes.clone().all(|size| size > 0 && size <= BLOCK)
        && sizes
            .clone()
            .zip(sizes.skip(1))
            .all(|(a, b)| a + b > BLOCK / 2)
        && ready.is_sorted_by(|a, b| a.place() < b.place())
}

type Said = BTreeMap<String, Attribute>;

/// Of a player of level 5.
fn attributes() -> Said {
    [("level".to_owned(), Attribute::Number(5.into()))].into()
}

fn asker<'a>(keys: &'a [(&'a str, &'a str)], attributes: &'a Said) -> Asker<'a> {
    Asker {
        keys: Keys(keys),
        build: None,
        attributes: Attributes::new(attributes),
    }
}

fn told(offers: &Offers, player: &str) -> Json {
    let mut text = Vec::new();
    let keys = [("player", player), ("match", "m-1")];
    let attributes = attributes();
    let shown = offers.shown(&asker(&keys, &attributes), NOW);
    shown.print(PLAIN, &mut text);
    let events: Json = serde_json::from_slice(&text).unwrap();
    assert_eq!(events.as_array().unwrap().len(), shown.len());
    events
}

/// What evaluating the state itself shows, printed by serde.
fn by_the_book(state: &RegionState, player: &str) -> Json {
    let keys = [("player", player), ("match", "m-1")];
    let attributes = attributes();
    let shown = shown(state, &asker(&keys, &attributes), NOW);
    let events = shown.iter().map(|shown| {
        let content = shown.content;
        json!({
            "eventId": content.event_id, "revision": content.revision, "type": content.event_type,
            "displayName": content.display_name, "description": content.description, "tags": content.tags,
            "priority": content.priority, "closes": shown.closes, "configuration": content.configuration,
        })
    });
    Json::Array(events.collect())
}

#[derive(Debug, Clone)]
enum Change {
    Put(u8, u32, i32),
    Try(u8, u32, i32, u16),
    Remove(u8),
    Segment(u32),
    NoSegment,
}

fn change() -> impl Strategy<Value = Change> {
    let (event, revision, priority) = (0..150_u8, 1..3_u32, -1..3_i32);
    prop_oneof![
        6 => (event.clone(), revision.clone(), priority.clone()).prop_map(|(e, r, p)| Change::Put(e, r, p)),
        3 => (event.clone(), revision, priority, 0..=10_000_u16).prop_map(|(e, r, p, x)| Change::Try(e, r, p, x)),
        3 => event.prop_map(Change::Remove),
        2 => (0..10_u32).prop_map(Change::Segment),
        1 => Just(Change::NoSegment),
    ]
}

fn entries(change: &Change) -> Vec<Entry> {
    let prioritised = |name: &str, revision, priority| {
        let mut content = content(name, revision);
        content.priority = priority;
        // Some for a segment, some not for it.
        let veterans = || vec!["veterans".parse().unwrap()];
        match name.as_bytes().last() {
            Some(b'3') => content.target_segments = veterans(),
            Some(b'7') => content.exclude_segments = veterans(),
            _ => {}
        }
        Entry::from(content)
    };
    match *change {
        Change::Put(event, revision, priority) => {
            let name = format!("event-{event}");
            vec![
                prioritised(&name, revision, priority),
                assignment(&name, revision).into(),
            ]
        }
        Change::Try(event, revision, priority, exposure) => {
            let name = format!("event-{event}");
            let mut entries = try_on_all(&name, revision, revision + 10, "player");
            if let Some(Entry::Put(Value::Assignment(assignment))) = entries.last_mut()
                && let Some(candidate) = &mut Arc::make_mut(assignment).candidate
            {
                candidate.exposure = BasisPoints::new(exposure).unwrap();
            }
            entries.push(prioritised(&name, revision, 0));
            entries.push(prioritised(&name, revision + 10, priority));
            entries
        }
        Change::Segment(level) => vec![from_level("veterans", level, level)],
        Change::NoSegment => vec![Entry::Removal(EntryKey::Segment(
            "veterans".parse().unwrap(),
        ))],
        Change::Remove(event) => remove(&format!("event-{event}"), 1),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn change_by_change_or_at_once_it_says_what_the_state_says(
        changes in prop::collection::vec(prop::collection::vec(change(), 1..30), 1..20),
    ) {
        let (mut state, mut offers) = empty();
        for row in changes {
            let next = apply(&state, row.iter().flat_map(entries).collect());
            offers = offers.after(&state, &next).unwrap();
            state = next;
            prop_assert!(is_well_formed(&offers));
        }
        let whole = Offers::of(&state, &Offers::default());
        let names = |offers: &Offers| offers.iter().map(|r| r.event().clone()).collect::<Vec<_>>();
        prop_assert_eq!(names(&offers), names(&whole));
        for player in ["p-1", "p-2"] {
            let expected = by_the_book(&state, player);
            prop_assert_eq!(told(&offers, player), expected.clone());
            prop_assert_eq!(told(&whole, player), expected);
        }
    }
}

/// However many there are: the block with the event, perhaps its neighbour, and nothing else.
#[test]
fn a_change_copies_one_block_and_makes_one_event() {
    for count in [10, 100, 1_000] {
        let (state, before) = many(count);
        for number in [0, count / 2, count - 1] {
            let changed = format!("event-{number}");
            let next = apply(&state, put(&changed, 2));
            let after = before.after(&state, &next).unwrap();
            let known: Vec<_> = before.iter().map(Arc::as_ptr).collect();
            let made: Vec<_> = after
                .iter()
                .filter(|ready| !known.contains(&Arc::as_ptr(ready)))
                .map(|ready| ready.event().as_str())
                .collect();
            assert_eq!(made, [changed.as_str()]);
            let known: Vec<_> = before.blocks.iter().map(Arc::as_ptr).collect();
            let copied = after
                .blocks
                .iter()
                .filter(|block| !known.contains(&Arc::as_ptr(block)));
            // Out of one block and into another, which may have to be split.
            assert!(copied.count() <= 3, "of {count}");
        }
    }
}

#[test]
fn a_segments_new_revision_makes_no_event_anew() {
    let (state, mut before) = many(100);
    let first = apply(&state, vec![from_level("veterans", 1, 5)]);
    let first = apply(&first, put_for("reunion", 1, "veterans"));
    before = Offers::of(&first, &before);
    let next = apply(&first, vec![from_level("veterans", 2, 6)]);
    let after = before.after(&first, &next).unwrap();
    let count = |offers: &Offers| told(offers, "p-1").as_array().unwrap().len();
    assert_eq!((count(&before), count(&after)), (101, 100));
    let all_the_same = before
        .iter()
        .zip(after.iter())
        .all(|(a, b)| Arc::ptr_eq(a, b));
    assert!(
        all_the_same
            && before
                .blocks
                .iter()
                .zip(&after.blocks)
                .all(|(a, b)| Arc::ptr_eq(a, b))
    );
}

#[test]
fn what_is_printed_stays_printed_where_only_the_assignment_changes() {
    let (state, _) = empty();
    let state = apply(&state, put("sale", 1));
    let before = Offers::of(&state, &Offers::default());
    told(&before, "p-1");
    let mut stopped = assignment("sale", 1);
    stopped.suspension.stopped = true;
    let next = apply(&state, vec![stopped.into()]);
    let after = before.after(&state, &next).unwrap();
    assert_eq!(told(&after, "p-1"), json!([]));
    let printed = |offers: &Offers| {
        let ready = offers.iter().next().unwrap();
        Arc::as_ptr(ready.live.as_ref().unwrap())
    };
    assert!(ptr::eq(printed(&before), printed(&after)));
}

#[test]
fn a_snapshot_shares_what_is_the_same() {
    let (state, before) = many(200);
    let mut snapshot = apply(&state, put("event-3", 2)).snapshot();
    snapshot.version = Version(900);
    // Nothing in it is the same piece of memory.
    for stamped in &mut snapshot.entries {
        if let Entry::Put(Value::Content(content)) = &mut stamped.entry {
            *content = Arc::new((**content).clone());
        }
        if let Entry::Put(Value::Assignment(assignment)) = &mut stamped.entry {
            *assignment = Arc::new((**assignment).clone());
        }
    }
    let after = Offers::of(&RegionState::from_snapshot(snapshot).unwrap(), &before);
    let known: Vec<_> = before.iter().map(Arc::as_ptr).collect();
    let shared = after
        .iter()
        .filter(|ready| known.contains(&Arc::as_ptr(ready)));
    assert_eq!(shared.count(), 199);
}

struct Willing;

impl Trial for Willing {
    fn begin(&self, _: Cursor, _: &EntryKey) -> bool {
        true
    }

    fn end(&self) {}
}

/// As the uplink does it: a row costs what it changes, what is held already costs nothing, and only a snapshot is looked
/// through as a whole.
#[test]
fn rows_and_repeated_snapshots_leave_what_is_published_as_it_is() {
    let mut history = History::new("us-east", epoch(5));
    for number in 0..200 {
        history.commit(put(&format!("event-{number}"), 1), NOW.now);
    }
    let told = |history: &History, at: Version| {
        Published::from_origin(history.state(at).clone(), history.position(at), None)
    };
    let replica = Replica::new("us-east".parse().unwrap(), &[]);
    let region = replica.regions().next().unwrap();
    let blocks = || -> Vec<_> {
        let published = region.load().unwrap();
        let blocks = &published.offers().blocks;
        blocks.iter().map(Arc::as_ptr).collect()
    };
    let head = history.head();
    region.publish(told(&history, head), NOW.now);
    let first = blocks();
    assert_eq!(
        region.publish(told(&history, head), NOW.now),
        Publication::Held
    );
    assert_eq!(blocks(), first);

    let to = history.commit(put("event-7", 2), NOW.now);
    let rows = history.rows(head, to);
    let next = apply_rows(region.load().as_deref(), &rows, &Willing).unwrap();
    region.publish(next.unwrap(), NOW.now);
    let second = blocks();
    let copied = second.iter().filter(|block| !first.contains(block));
    assert_eq!((copied.count(), second.len()), (1, first.len()));
}

#[test]
fn what_came_below_the_floor_is_not_told_by_changes() {
    let (state, offers) = many(3);
    let mut snapshot = state.snapshot();
    (snapshot.version, snapshot.floor) = (Version(900), Version(900));
    let next = RegionState::from_snapshot(snapshot).unwrap();
    assert!(offers.after(&state, &next).is_none());
}

#[test]
fn a_full_event_is_shown_and_says_so() {
    let (state, _) = empty();
    let told = |full| {
        let assigned = Assignment {
            full,
            ..assignment("cup", 1)
        };
        let state = apply(&state, vec![content("cup", 1).into(), assigned.into()]);
        let offers = Offers::of(&state, &Offers::default());
        let shown = offers.shown(&Asker::default(), NOW);
        let mut text = Vec::new();
        shown.print(PLAIN, &mut text);
        let events: Json = serde_json::from_slice(&text).unwrap();
        (events[0]["full"].clone(), shown.fingerprint())
    };
    let ((free, before), (full, after)) = (told(false), told(true));
    assert_eq!((free, full), (Json::Null, json!(true)));
    assert_ne!(before, after, "players who are watched are told");
}

#[test]
fn the_end_of_an_occurrence_is_printed_anew_when_another_has_come() {
    let (state, _) = empty();
    let mut daily = assignment("daily", 1);
    let hour = |hour: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour);
    let occurrence = |day: i64| Occurrence {
        opens: hour(24 * day),
        closes: hour(24 * day + 2),
    };
    daily.schedule = Schedule::new((0..3).map(occurrence).collect()).unwrap();
    let state = apply(&state, vec![content("daily", 1).into(), daily.into()]);
    let offers = Offers::of(&state, &Offers::default());
    let mut seen = Vec::new();
    for now in [0, 1, 24, 25, 0] {
        let at = Moment {
            now: hour(now),
            ..NOW
        };
        let shown = offers.shown(&Asker::default(), at);
        let mut text = Vec::new();
        shown.print(PLAIN, &mut text);
        let events: Json = serde_json::from_slice(&text).unwrap();
        seen.push((events[0]["closes"].clone(), shown.fingerprint()));
    }
    let (first, second) = ("1970-01-01T02:00:00Z", "1970-01-02T02:00:00Z");
    let closes: Vec<_> = seen
        .iter()
        .map(|(closes, _)| closes.as_str().unwrap())
        .collect();
    assert_eq!(closes, [first, first, second, second, first]);
    assert!(
        seen.iter()
            .all(|(closes, print)| (closes == first) == (*print == seen[0].1))
    );
}

#[test]
fn the_fingerprint_follows_what_is_shown_and_nothing_else() {
    let print = |offers: &Offers| offers.shown(&Asker::default(), NOW).fingerprint();
    let (state, _) = empty();
    let one = apply(&state, put("sale", 1));
    let two = apply(&one, put("cup", 1));
    let edited = apply(&two, put("sale", 2));
    let of = |state: &RegionState| print(&Offers::of(state, &Offers::default()));
    let nothing = of(&state);
    let all = [nothing, of(&one), of(&two), of(&edited)];
    let distinct: BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), 4);
    // What nobody is shown changes nothing for anybody.
    let mut hidden = assignment("hidden", 1);
    hidden.suspension.paused = true;
    let more = apply(&edited, vec![content("hidden", 1).into(), hidden.into()]);
    assert_eq!(of(&more), of(&edited));
}
