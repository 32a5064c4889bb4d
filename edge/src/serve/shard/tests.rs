//! Seats: everybody who stays is met once in a pass, whoever comes and goes meanwhile.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[test]
fn a_seat_is_given_to_the_next() {
    let mut seats = Seats::new();
    let numbers: Vec<_> = (0..3).map(|who| seats.take(Arc::new(who))).collect();
    assert_eq!(numbers, [0, 1, 2]);
    assert_eq!(seats.leave(1).as_deref(), Some(&1));
    // Once only.
    assert_eq!(seats.leave(1), None);
    assert_eq!(seats.take(Arc::new(7)), 1);
    assert_eq!(seats.take(Arc::new(8)), 3);
    let mut met = Vec::new();
    assert_eq!(seats.batch(0, &mut met), Some(4));
    assert_eq!(
        met.iter().map(|who| **who).collect::<Vec<_>>(),
        [0, 7, 2, 8]
    );
    assert_eq!(seats.batch(4, &mut met), None);
    assert!(met.is_empty());
}

proptest! {
    #[test]
    fn whoever_stays_is_met_once_in_a_pass(
        before in 0..4 * BATCH,
        moves in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..200),
    ) {
        let mut seats = Seats::new();
        let mut staying: BTreeMap<usize, usize> = (0..before)
            .map(|who| (who, seats.take(Arc::new(who))))
            .collect();
        let (mut met, mut batch, mut next) = (BTreeMap::<usize, u32>::new(), Vec::new(), 0);
        let mut moves = moves.into_iter();
        let mut newcomer = before;
        while let Some(to) = seats.batch(next, &mut batch) {
            next = to;
            for who in &batch {
                *met.entry(**who).or_default() += 1;
            }
            for (which, leaves) in moves.by_ref().take(50) {
                if leaves && !staying.is_empty() {
                    let who = *staying.keys().nth(which.index(staying.len())).unwrap();
                    if let Some(number) = staying.remove(&who) {
                        seats.leave(number);
                    }
                } else {
                    seats.take(Arc::new(newcomer));
                    newcomer += 1;
                }
            }
        }
        for who in staying.keys() {
            prop_assert_eq!(met.get(who), Some(&1));
        }
    }
}
