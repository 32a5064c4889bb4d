//! The serving clock never goes back, however the wall clock is set.

use jiff::SignedDuration;
use liveevents_service::clock::ManualClock;
use proptest::prelude::*;

use super::*;

fn start() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

fn clock(hand: &ManualClock) -> (ServingClock, IntCounter) {
    let followed = IntCounter::new("followed", "help").unwrap();
    (ServingClock::new(hand.clock(), followed.clone()), followed)
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

#[test]
fn follows_at_once_forwards_and_waits_where_the_clock_is_set_back() {
    let hand = ManualClock::new(start());
    let (clock, followed) = clock(&hand);
    // What the wall clock is set to, and what is told, in hours from the start.
    for (wall, told) in [(0, 0), (5, 5), (4, 5), (3, 5), (5, 5), (6, 6), (-18, 6)] {
        hand.set(start() + hours(wall));
        assert_eq!(clock.now(), start() + hours(told), "at {wall}");
        let held = u64::try_from(told - wall).unwrap();
        assert_eq!(clock.held(), Duration::from_secs(3600 * held), "at {wall}");
    }
    assert_eq!(followed.get(), 0);
}

#[test]
fn a_clock_that_was_wrong_by_more_than_a_day_is_followed_back_once() {
    let hand = ManualClock::new(start());
    let (clock, followed) = clock(&hand);
    hand.advance(hours(24 * 365));
    assert_eq!(clock.now(), start() + hours(24 * 365));
    hand.set(start());
    assert_eq!(clock.now(), start());
    assert_eq!(clock.clone().now(), start());
    assert_eq!((followed.get(), clock.held()), (1, Duration::ZERO));
}

proptest! {
    #[test]
    fn never_goes_back_unless_by_more_than_a_day(jumps in prop::collection::vec(-100_000_i64..100_000, 1..50)) {
        let hand = ManualClock::new(start());
        let (clock, followed) = clock(&hand);
        let mut before = clock.now();
        for seconds in jumps {
            hand.advance(SignedDuration::from_secs(seconds));
            let (wall, back) = (hand.clock().now(), followed.get());
            let now = clock.now();
            prop_assert!(now >= wall);
            if followed.get() > back {
                prop_assert!(before.duration_since(wall) > hours(24) && now == wall);
            } else {
                prop_assert_eq!(now, before.max(wall));
            }
            before = now;
        }
    }
}

#[test]
fn readers_at_the_same_time_never_see_it_go_back() {
    let hand = ManualClock::new(start());
    let (clock, _) = clock(&hand);
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let mut before = clock.now();
                for _ in 0..20_000 {
                    let now = clock.now();
                    assert!(now >= before);
                    before = now;
                }
            });
        }
        for round in 0..20_000 {
            let by = if round % 3 == 0 { -70 } else { 50 };
            hand.advance(SignedDuration::from_millis(by));
        }
    });
}
