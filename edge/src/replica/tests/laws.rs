//! Laws, tried on histories made at random.

use liveevents_protocol::state::RegionState;
use proptest::prelude::*;

use super::texts::{delta, encodings, press};
use super::*;

/// Puts and removals of a few events.
fn histories() -> impl Strategy<Value = History> {
    proptest::collection::vec((0..4_u8, 1..4_u32, any::<bool>()), 1..20).prop_map(|changes| {
        let mut history = History::new("us-east", epoch(5));
        for (name, revision, removal) in changes {
            let name = format!("event-{name}");
            let entries = if removal {
                remove(&name, revision)
            } else {
                put(&name, revision)
            };
            // A removed content leaves no assignment behind that names it.
            history.commit(entries, NOW);
        }
        history
    })
}

/// Frames of rows that overlap, repeat and come late, but leave no gap: each starts at or before the version that
/// those before it have led to.
fn deliveries(head: u64) -> impl Strategy<Value = Vec<(u64, u64)>> {
    proptest::collection::vec((0..=head, 1..=head), 1..30)
}

proptest! {
    #[test]
    fn a_chain_of_rows_equals_a_snapshot_however_it_is_delivered(
        (history, deliveries) in histories().prop_flat_map(|history| {
            let head = history.head().0;
            (Just(history), deliveries(head))
        })
    ) {
        let region = region();
        let mut reached = 0;
        for (back, length) in deliveries.into_iter().chain([(0, u64::MAX)]) {
            let from = reached - back.min(reached);
            let to = from.saturating_add(length).min(history.head().0);
            if from == to {
                continue;
            }
            let rows = history.rows(Version(from), Version(to));
            let before = region.load();
            if let Some(next) = apply_rows(before.as_deref(), &rows).unwrap() {
                prop_assert_eq!(region.publish(next, NOW), Publication::Published);
            }
            reached = reached.max(to);
            let held = region.load().unwrap();
            prop_assert_eq!(held.state().version(), Version(reached));
            prop_assert!(held.state().same_as(assemble(&history, reached).state()));
        }
    }

    #[test]
    fn nothing_offered_in_any_order_takes_a_version_back(
        history in histories(),
        offers in proptest::collection::vec((any::<u64>(), any::<bool>()), 1..20),
    ) {
        let region = region();
        // Once the origin has spoken there is no way back; before, only the cache has.
        let mut confirmed = Version::ZERO;
        for (at, cache) in offers {
            let at = at % (history.head().0 + 1);
            let offer = if cache { cached(&history, at) } else { told(&history, at) };
            region.publish(offer, NOW);
            let held = region.load().unwrap();
            prop_assert!(held.state().version() >= confirmed);
            if held.is_confirmed() {
                confirmed = held.state().version();
            }
        }
    }

    #[test]
    fn a_delta_from_anywhere_ends_with_the_same_state(history in histories(), from: u64) {
        let from = Version(from % (history.head().0 + 1));
        let published = Arc::new(told(&history, history.head().0));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let counted = encodings();
        let told = runtime.block_on(published.delta(from, &None, press(&counted)));
        let (_, delta) = delta(&told.unwrap());
        let receiver: &RegionState = history.state(from);
        let receiver = receiver.apply(&delta.into_delta()).unwrap();
        prop_assert!(receiver.same_as(published.state()));
    }
}
