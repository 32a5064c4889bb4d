//! What is put in force, and what is not.

use std::time::Duration;

use super::*;
use Publication::{EarlierEpoch, Held, Published as InForce};

fn histories() -> (History, History) {
    let mut later = History::new("us-east", epoch(6));
    later.commit(put("new", 1), NOW);
    (sample(), later)
}

#[test]
fn nothing_goes_back_within_what_the_origin_has_confirmed() {
    let (a, b) = histories();
    let table = [
        (told(&a, 1), told(&a, 2), InForce),
        (told(&a, 1), told(&a, 4), InForce),
        (told(&a, 2), told(&a, 2), Held),
        (told(&a, 2), told(&a, 1), Held),
        (told(&a, 4), told(&b, 0), InForce),
        (told(&a, 4), told(&b, 1), InForce),
        (told(&b, 0), told(&a, 4), EarlierEpoch),
        // The cache offers.
        (told(&a, 1), cached(&a, 2), InForce),
        (told(&a, 2), cached(&a, 2), Held),
        (told(&a, 2), cached(&a, 1), Held),
        (told(&a, 4), cached(&b, 1), InForce),
        (told(&b, 1), cached(&a, 4), EarlierEpoch),
        // The origin corrects what only the cache has said.
        (cached(&a, 4), told(&a, 4), InForce),
        (cached(&a, 4), told(&a, 1), InForce),
        (cached(&b, 1), told(&a, 4), InForce),
        // Of two caches the later.
        (cached(&a, 4), cached(&a, 3), Held),
        (cached(&b, 1), cached(&a, 4), EarlierEpoch),
    ];
    for (at, (first, second, expected)) in table.into_iter().enumerate() {
        let region = region();
        let kept = if expected == InForce {
            second.cursor()
        } else {
            first.cursor()
        };
        assert_eq!(region.publish(first, NOW), InForce);
        assert_eq!(region.publish(second, NOW), expected, "row {at}");
        assert_eq!(region.load().unwrap().cursor(), kept, "row {at}");
    }
}

#[test]
fn a_correction_of_the_cache_stops_at_what_was_confirmed_before() {
    let history = sample();
    for (correction, expected) in [(1, Held), (2, InForce), (3, InForce), (4, InForce)] {
        let region = region();
        region.publish(told(&history, 2), NOW);
        region.publish(cached(&history, 4), NOW);
        let published = region.publish(told(&history, correction), NOW);
        assert_eq!(published, expected, "to {correction}");
    }
}

#[test]
fn an_equal_version_of_another_history_is_replaced_by_the_origins() {
    let ours = sample();
    let mut theirs = History::new("us-east", epoch(5));
    for version in 1..=4 {
        theirs.commit(put("other", version), NOW);
    }
    let region = region();
    region.publish(told(&ours, 4), NOW);
    assert_eq!(region.publish(cached(&theirs, 4), NOW), Held);
    assert_eq!(region.publish(told(&theirs, 4), NOW), InForce);
}

#[tokio::test]
async fn a_publication_wakes_whoever_waits_and_nothing_else_does() {
    let history = sample();
    let home = "us-east".parse().unwrap();
    let replica = Replica::new(home, &["eu-west".parse().unwrap()]);
    let [us, eu]: [_; 2] = replica
        .regions()
        .cloned()
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert_eq!((us.id().as_str(), eu.id().as_str()), ("us-east", "eu-west"));
    let (mut here, there, mut any) = (us.watch(), eu.watch(), replica.watch());
    us.publish(told(&history, 2), NOW);
    assert!(here.has_changed().unwrap() && any.has_changed().unwrap());
    assert!(!there.has_changed().unwrap());
    here.mark_unchanged();
    any.mark_unchanged();
    us.publish(told(&history, 1), NOW);
    assert!(!here.has_changed().unwrap() && !any.has_changed().unwrap());
}

#[test]
fn the_age_counts_from_the_last_contact() {
    let region = region();
    let at = |second| Timestamp::from_second(second).unwrap();
    assert_eq!(region.age(at(5)), None);
    region.publish(told(&sample(), 1), at(10));
    assert_eq!(region.age(at(15)), Some(Duration::from_secs(5)));
    region.contacted(at(12));
    region.contacted(at(11));
    assert_eq!(region.age(at(15)), Some(Duration::from_secs(3)));
    // A clock set back.
    assert_eq!(region.age(at(1)), Some(Duration::ZERO));
    assert_eq!(region.contact(), Some(at(12)));
}
