//! Taking rows and snapshots, case by case.

use super::*;

fn rows(history: &History, from: u64, to: u64) -> Rows {
    history.rows(Version(from), Version(to))
}

#[test]
fn rows_continue_what_is_held_and_what_is_held_is_skipped() {
    let history = sample();
    // Held, rows after and up to, the version then held (none: nothing new).
    let table = [
        (None, (0, 1), Some(1)),
        (None, (0, 4), Some(4)),
        (Some(1), (1, 2), Some(2)),
        (Some(1), (1, 4), Some(4)),
        (Some(2), (0, 4), Some(4)),
        (Some(2), (0, 2), None),
        (Some(4), (1, 3), None),
    ];
    for (held, (from, to), expected) in table {
        let held = held.map(|at| told(&history, at));
        let next = apply_rows(held.as_ref(), &rows(&history, from, to)).unwrap();
        assert_eq!(next.as_ref().map(|next| next.state().version().0), expected);
        if let Some(next) = next {
            assert!(next.state().same_as(history.state(next.state().version())));
            assert_eq!(*next.sealed(), history.position(next.state().version()));
            assert_eq!(next.committed_at(), Some(NOW));
        }
    }
}

#[test]
fn rows_of_another_history_break_the_chain() {
    let (ours, theirs) = (sample(), {
        let mut other = History::new("us-east", epoch(5));
        for version in 1..=4 {
            other.commit(put("other", version), NOW);
        }
        other
    });
    let refused =
        |held, from, to| apply_rows(Some(&told(&ours, held)), &rows(&theirs, from, to)).err();
    assert_eq!(refused(2, 2, 3), Some(Refused::BrokenChain));
    assert_eq!(refused(2, 0, 4), Some(Refused::BrokenChain));
    // Nothing new in them, and yet another history.
    assert_eq!(refused(2, 0, 2), Some(Refused::BrokenChain));
    // What lies behind us cannot be compared.
    assert_eq!(refused(3, 0, 2), None);
}

#[test]
fn a_changed_byte_breaks_the_chain() {
    let history = sample();
    let mut changed = rows(&history, 1, 3);
    *changed.rows[0].entries.last_mut().unwrap() ^= 1;
    let refused = apply_rows(Some(&told(&history, 1)), &changed).err();
    assert_eq!(refused, Some(Refused::BrokenChain));
}

#[test]
fn missing_rows_are_noticed() {
    let history = sample();
    let refused = |held: Option<u64>, from| {
        let held = held.map(|at| told(&history, at));
        apply_rows(held.as_ref(), &rows(&history, from, 4)).err()
    };
    let gap = |version, first| {
        Some(Refused::Gap {
            version: Version(version),
            first: Version(first),
        })
    };
    assert_eq!(refused(Some(1), 2), gap(1, 3));
    assert_eq!(refused(None, 1), gap(0, 2));
}

#[test]
fn a_later_epoch_begins_anew_and_an_earlier_one_is_refused() {
    let earlier = sample();
    let mut later = History::new("us-east", epoch(6));
    later.commit(put("new", 1), NOW);
    let next = apply_rows(Some(&told(&earlier, 4)), &rows(&later, 0, 1))
        .unwrap()
        .unwrap();
    assert!(next.state().same_as(later.state(Version(1))));
    let refused = apply_rows(Some(&told(&later, 1)), &rows(&earlier, 0, 4)).err();
    assert_eq!(
        refused,
        Some(Refused::EarlierEpoch {
            ours: epoch(6),
            theirs: epoch(5)
        })
    );
    // What was only found in the cache may be of any epoch.
    assert!(
        apply_rows(Some(&cached(&later, 1)), &rows(&earlier, 0, 4))
            .unwrap()
            .is_some()
    );
}

#[test]
fn rows_that_are_held_confirm_what_the_cache_held() {
    let history = sample();
    let held = cached(&history, 4);
    assert!(!held.is_confirmed());
    let confirmed = apply_rows(Some(&held), &rows(&history, 3, 4))
        .unwrap()
        .unwrap();
    assert!(confirmed.is_confirmed());
    assert!(confirmed.state().same_as(held.state()));
}

#[test]
fn bytes_that_are_no_entries_are_refused_whole() {
    let history = sample();
    let mut garbage = rows(&history, 3, 4);
    let row = &mut garbage.rows[0];
    row.entries = vec![0xff; 9];
    garbage.position.position.digest = history.position(Version(3)).position.digest.chain(
        row.version,
        row.change,
        liveevents_protocol::frame::FORMAT_V1,
        &row.entries,
    );
    let refused = apply_rows(Some(&told(&history, 3)), &garbage).err();
    assert!(
        matches!(refused, Some(Refused::Undecodable(_))),
        "{refused:?}"
    );
}

#[test]
fn a_snapshot_counts_once_it_is_whole() {
    let history = sample();
    for at in 0..=4 {
        let whole = assemble(&history, at);
        assert!(whole.state().same_as(history.state(Version(at))));
        assert_eq!(*whole.sealed(), history.position(Version(at)));
    }
}

#[test]
fn a_snapshot_begins_anew_with_its_first_chunk_and_must_follow_from_there() {
    let history = sample();
    let chunks = history.chunks(Version(3));
    assert!(chunks.len() >= 4);
    let mut slot = None;
    for chunk in &chunks[..2] {
        assert!(add(&mut slot, chunk).unwrap().is_none());
    }
    for chunk in &chunks[..chunks.len() - 1] {
        assert!(add(&mut slot, chunk).unwrap().is_none());
    }
    assert!(add(&mut slot, chunks.last().unwrap()).unwrap().is_some());

    // Out of order, of another position, without a beginning: refused, and nothing is left to continue.
    let mut other = chunks[1].clone();
    other.position = history.position(Version(2));
    for (first, second) in [(&chunks[0], &chunks[2]), (&chunks[0], &other)] {
        let mut slot = None;
        add(&mut slot, first).unwrap();
        let refused = add(&mut slot, second).err();
        assert_eq!(
            refused,
            Some(Refused::Disorder {
                index: second.index
            })
        );
        let refused = add(&mut slot, &chunks[1]).err();
        assert_eq!(refused, Some(Refused::Disorder { index: 1 }));
    }
}
