//! The laws of deltas and snapshots, over histories of a few keys.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Few keys, so that they are put, put again and removed often.
fn entry() -> impl Strategy<Value = Entry> {
    let id = prop::sample::select(vec!["a", "b", "c"]);
    (id, 1..3_u32, 0..6_u8, "[xyz]").prop_map(|(id, revision, kind, name)| match kind {
        4 => segment(id, revision),
        5 => no_segment(id),
        0 => content(id, revision, &name),
        1 => assignment(id, Some(revision), None),
        2 => no_content(id, revision),
        _ => no_assignment(id),
    })
}

fn histories() -> impl Strategy<Value = Vec<RegionState>> {
    vec(vec(entry(), 0..4), 1..24).prop_map(|rows| history(&rows))
}

/// Two or three versions of a history, in order.
fn with_versions<const N: usize>() -> impl Strategy<Value = (Vec<RegionState>, [usize; N])> {
    (histories(), [(); N].map(|()| any::<prop::sample::Index>())).prop_map(|(states, picks)| {
        let mut versions = picks.map(|pick| pick.index(states.len()));
        versions.sort_unstable();
        (states, versions)
    })
}

proptest! {
    #[test]
    fn a_chain_of_rows_leaves_what_was_put_last(rows in vec(vec(entry(), 0..4), 0..24)) {
        let mut expected = BTreeMap::new();
        for entry in rows.iter().flatten() {
            match entry {
                Entry::Put(value) => expected.insert(value.key(), value.clone()),
                Entry::Removal(key) => expected.remove(key),
            };
        }
        let states = history(&rows);
        let last = states.last().unwrap();
        prop_assert_eq!(last.version(), version(rows.len()));
        prop_assert!(last.values().eq(expected.iter()));
        let segments = expected.values().filter_map(|value| match value {
            Value::Segment(segment) => Some(&**segment),
            Value::Content(_) | Value::Assignment(_) => None,
        });
        prop_assert!(last.segments().iter().eq(segments), "as evaluation finds them");

        let told = RegionState::from_snapshot(last.snapshot()).unwrap();
        prop_assert!(told.same_as(last));
        let from_nothing = RegionState::empty(EPOCH)
            .apply(&last.since(Version::ZERO).unwrap())
            .unwrap();
        prop_assert!(from_nothing.same_as(last));
    }

    #[test]
    fn what_changed_since_any_version_leads_from_it((states, [from, to]) in with_versions()) {
        let delta = between(&states, from, to);
        prop_assert_eq!((delta.from, delta.to), (version(from), version(to)));
        let reached = states[from].apply(&delta).unwrap();
        prop_assert!(reached.same_as(&states[to]));
        prop_assert_eq!(reached.snapshot(), states[to].snapshot());

        let mut places: Vec<_> = delta.entries.iter().map(|e| (e.version, e.entry.key())).collect();
        prop_assert!(places.is_sorted(), "in the order of versions, segments first");
        places.sort_by(|a, b| a.1.cmp(&b.1));
        places.dedup_by(|a, b| a.1 == b.1);
        prop_assert_eq!(places.len(), delta.entries.len(), "each key once");
    }

    #[test]
    fn merged_deltas_compose((states, [a, b, c]) in with_versions()) {
        let in_two = states[a]
            .apply(&between(&states, a, b))
            .and_then(|state| state.apply(&between(&states, b, c)))
            .unwrap();
        let in_one = states[a].apply(&between(&states, a, c)).unwrap();
        prop_assert_eq!(in_two.snapshot(), in_one.snapshot());

        let overlapping = states[b].apply(&between(&states, a, c)).unwrap();
        prop_assert_eq!(overlapping.snapshot(), states[c].snapshot());
    }

    #[test]
    fn what_was_applied_changes_nothing((states, [a, b, c]) in with_versions()) {
        let old = between(&states, a, b);
        let again = states[c].apply(&old).unwrap();
        prop_assert_eq!(again.snapshot(), states[c].snapshot());
        prop_assert_eq!(again.floor(), states[c].floor());

        let once = states[a].apply(&old).unwrap();
        prop_assert_eq!(once.apply(&old).unwrap().snapshot(), once.snapshot());
    }

    /// Whatever a link drops, repeats or swaps: a receiver is always at some version whole, and never
    /// goes back.
    #[test]
    fn any_deltas_in_any_order_give_states_of_the_history(
        states in histories(),
        picks in vec(any::<[prop::sample::Index; 2]>(), 0..40),
    ) {
        let mut receiver = states[0].clone();
        for pick in picks {
            let [a, b] = pick.map(|pick| pick.index(states.len()));
            let delta = between(&states, a.min(b), a.max(b));
            let before = receiver.version();
            match receiver.apply(&delta) {
                Ok(next) => receiver = next,
                Err(error) => prop_assert_eq!(
                    error,
                    ApplyError::Gap { version: before, from: delta.from }
                ),
            }
            prop_assert!(receiver.version() >= before);
            let Version(at) = receiver.version();
            let truth = &states[usize::try_from(at).unwrap()];
            prop_assert_eq!(receiver.snapshot(), truth.snapshot());
        }
    }

    #[test]
    fn a_snapshot_tells_all_floor_and_removals_too((states, [floor, at]) in with_versions()) {
        let mut snapshot = states[at].snapshot();
        snapshot.floor = version(floor);
        let raised = RegionState::from_snapshot(snapshot).unwrap();
        prop_assert_eq!(raised.floor(), version(floor));
        prop_assert!(raised.same_as(&states[at]));
        let removals = raised.snapshot().entries.into_iter().filter(|e| e.entry == Entry::Removal(e.entry.key()));
        for removal in removals {
            prop_assert!(removal.version > version(floor), "no delta can tell {:?}", removal);
        }
        let told = RegionState::from_snapshot(raised.snapshot()).unwrap();
        prop_assert_eq!(told.snapshot(), raised.snapshot());

        for (from, state) in states.iter().enumerate() {
            let delta = raised.since(version(from));
            if from < floor || from > at {
                prop_assert_eq!(delta, None);
            } else {
                let delta = delta.unwrap();
                prop_assert_eq!(&delta, &told.since(version(from)).unwrap());
                prop_assert!(state.apply(&delta).unwrap().same_as(&states[at]));
            }
        }
    }

    #[test]
    fn what_did_not_change_is_shared((states, [from, to]) in with_versions()) {
        let delta = between(&states, from, to);
        let next = states[from].apply(&delta).unwrap();
        let changed: Vec<_> = delta.entries.iter().map(|e| e.entry.key()).collect();
        for (key, value) in next.values() {
            let from = if changed.contains(key) { &states[to] } else { &states[from] };
            prop_assert!(same_arc(value, from.slots[key].value.as_ref().unwrap()), "{:?}", key);
        }
    }

    #[test]
    fn a_refused_delta_leaves_the_state_as_it_was(
        (states, [at]) in with_versions(),
        epoch in prop::sample::select(vec![EPOCH, LATER]),
        from in 0..30_u64,
        to in 0..30_u64,
        entries in vec((0..32_u64, entry()), 0..4),
    ) {
        let state = &states[at];
        let before = state.snapshot();
        let entries = entries
            .into_iter()
            .map(|(version, entry)| Stamped { version: Version(version), entry })
            .collect();
        let delta = Delta { epoch, from: Version(from), to: Version(to), entries };
        match state.apply(&delta) {
            Ok(next) => {
                prop_assert!(epoch == EPOCH && delta.from <= state.version());
                prop_assert_eq!(next.version(), state.version().max(delta.to));
                for Stamped { version, .. } in next.snapshot().entries {
                    prop_assert!(version <= next.version());
                }
            }
            Err(ApplyError::Epoch { ours, theirs }) => prop_assert_eq!((ours, theirs), (EPOCH, LATER)),
            Err(ApplyError::Gap { version, from }) => prop_assert!(from > version),
            Err(ApplyError::Stamp { from, to, stamp }) => prop_assert!(stamp <= from || stamp > to),
        }
        prop_assert_eq!(state.snapshot(), before);
    }
}

fn same_arc(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Content(a), Value::Content(b)) => Arc::ptr_eq(a, b),
        (Value::Assignment(a), Value::Assignment(b)) => Arc::ptr_eq(a, b),
        (Value::Segment(a), Value::Segment(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}
