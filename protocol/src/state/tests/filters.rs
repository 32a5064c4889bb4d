//! A receiver with a filter ends with exactly what passes it, and hears nothing of the rest.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::filter::Filter;

fn tagged(id: &str, revision: u32, tag: &str) -> Entry {
    match content(id, revision, tag) {
        Entry::Put(Value::Content(content)) => Content {
            tags: vec![tag.to_owned()],
            ..(*content).clone()
        }
        .into(),
        other => other,
    }
}

fn entry() -> impl Strategy<Value = Entry> {
    let id = prop::sample::select(vec!["a", "b", "c"]);
    let named = (prop::option::of(1..3_u32), prop::option::of(1..3_u32));
    (id, 1..3_u32, 0..8_u8, "[xy]", named).prop_map(|(id, revision, kind, tag, (live, tried))| {
        match kind {
            0 | 1 => tagged(id, revision, &tag),
            2 | 3 => assignment(id, live, tried),
            4 => no_content(id, revision),
            6 => segment(id, revision),
            7 => no_segment(id),
            _ => no_assignment(id),
        }
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    let ids = prop::sample::subsequence(vec!["a", "b", "c"], 0..3);
    let tags = prop::sample::subsequence(vec!["x", "y"], 0..2);
    (ids, tags, any::<bool>()).prop_map(|(ids, tags, typed)| Filter {
        event_ids: ids.into_iter().map(event).collect(),
        types: typed
            .then_some(EventType::ContentRelease)
            .into_iter()
            .collect(),
        tags: tags.into_iter().map(str::to_owned).collect(),
    })
}

fn held(state: &RegionState, filter: &Filter) -> BTreeMap<EntryKey, Value> {
    let entries = state.snapshot_for(filter).entries.into_iter();
    entries
        .filter_map(|stamped| match stamped.entry {
            Entry::Put(value) => Some((value.key(), value)),
            Entry::Removal(_) => None,
        })
        .collect()
}

proptest! {
    #[test]
    fn any_chain_of_filtered_deltas_leads_to_what_passes(
        rows in vec(vec(entry(), 0..4), 1..24),
        stops in vec(any::<prop::sample::Index>(), 1..6),
        filter in filter(),
    ) {
        let states = history(&rows);
        let mut stops: Vec<_> = stops.iter().map(|stop| stop.index(states.len())).collect();
        stops.sort_unstable();
        let first = &states[stops[0]];
        let mut receiver = held(first, &filter);
        let mut at = first.version();
        for stop in stops {
            let state = &states[stop];
            let delta = state.since_for(at, &filter).unwrap();
            prop_assert_eq!((delta.from, delta.to), (at, state.version()));
            let silent = delta.entries.is_empty();
            let before = receiver.clone();
            for stamped in delta.entries {
                prop_assert!(stamped.version > delta.from && stamped.version <= delta.to);
                match stamped.entry {
                    Entry::Put(value) => receiver.insert(value.key(), value),
                    Entry::Removal(key) => receiver.remove(&key),
                };
            }
            prop_assert_eq!(&receiver, &held(state, &filter));
            prop_assert!(!silent || before == receiver);
            at = state.version();
        }
    }
}

fn wanting(tag: &str) -> Filter {
    Filter {
        tags: [tag.to_owned()].into(),
        ..Filter::default()
    }
}

fn kinds(delta: &Delta) -> Vec<(bool, EntryKey)> {
    let kind = |stamped: &Stamped| {
        let is_put = matches!(stamped.entry, Entry::Put(_));
        (is_put, stamped.entry.key())
    };
    delta.entries.iter().map(kind).collect()
}

#[test]
fn a_change_of_tags_brings_an_event_into_view_and_out_of_it() {
    let states = history(&[
        vec![tagged("a", 1, "x"), assignment("a", Some(1), None)],
        vec![tagged("a", 2, "y")],
        vec![assignment("a", Some(1), Some(2))],
        vec![assignment("a", Some(2), None)],
    ]);
    let of = |revision| EntryKey::Content(event("a"), Revision(revision));
    let assigned = EntryKey::Assignment(event("a"));
    let told = |at: usize, tag| {
        let from = states[at - 1].version();
        kinds(&states[at].since_for(from, &wanting(tag)).unwrap())
    };
    assert_eq!(told(2, "y"), [], "nobody is shown it yet");
    let whole = [(true, of(1)), (true, of(2)), (true, assigned.clone())];
    assert_eq!(told(3, "y"), whole, "the candidate has the tag");
    assert_eq!(
        told(3, "x"),
        whole,
        "labels have changed, so it is told whole"
    );
    let gone = [(false, of(1)), (false, of(2)), (false, assigned)];
    assert_eq!(told(4, "x"), gone);
}

#[test]
fn what_does_not_pass_is_silent() {
    let states = history(&[
        vec![tagged("a", 1, "x"), assignment("a", Some(1), None)],
        vec![assignment("a", Some(1), None)],
        vec![tagged("b", 1, "y"), assignment("b", Some(1), None)],
    ]);
    let delta = states[2].since_for(Version(1), &wanting("y")).unwrap();
    assert_eq!(kinds(&delta), []);
    let named = Filter {
        event_ids: [event("a")].into(),
        ..Filter::default()
    };
    assert_eq!(kinds(&states[3].since_for(Version(2), &named).unwrap()), []);
}

#[test]
fn labels_that_are_not_known_need_a_snapshot() {
    let states = history(&[
        vec![tagged("a", 1, "x"), assignment("a", Some(1), None)],
        vec![tagged("b", 1, "y"), assignment("b", Some(1), None)],
    ]);
    let told = RegionState::from_snapshot(states[2].snapshot()).unwrap();
    assert!(told.since(Version(1)).is_some());
    assert!(told.since_for(Version(1), &wanting("x")).is_none());
    assert!(told.since_for(Version(2), &wanting("x")).is_some());
    assert!(told.since_for(Version(1), &Filter::default()).is_some());
}
