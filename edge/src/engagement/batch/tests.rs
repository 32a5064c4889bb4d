//! What a batch comes to, and for whom it counts.

use liveevents_protocol::engagement::{Cohort, Currencies, SenderSession};
use liveevents_protocol::entry::{Delta, Entry, Value};
use liveevents_protocol::model::Assignment;
use liveevents_protocol::segment::Segment;
use liveevents_protocol::version::Epoch;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::*;

/// A region that serves `sale` to grown-ups and not to those who are listed as cheats.
fn state() -> RegionState {
    let content: Content = serde_json::from_value(json!({
        "eventId": "sale", "revision": 1, "type": "LimitedTimeOffer", "displayName": "Sale", "configuration": {},
        "targetSegments": ["veterans", "newcomers"], "excludeSegments": ["cheats"],
    }))
    .unwrap();
    let assignment: Assignment =
        serde_json::from_value(json!({ "eventId": "sale", "salt": "s", "live": 1 })).unwrap();
    let segment = |id: &str, criteria: Json| -> Segment {
        let segment = json!({ "segmentId": id, "revision": 1, "criteria": criteria });
        serde_json::from_value(segment).unwrap()
    };
    let segments = [
        segment("veterans", json!({ "levelRange": [10, null] })),
        segment("newcomers", json!({ "levelRange": [null, 3] })),
        segment("cheats", json!({ "include": ["mallory"] })),
    ];
    let mut entries: Vec<Entry> = segments
        .into_iter()
        .map(|segment| Entry::Put(Value::Segment(segment.into())))
        .collect();
    entries.extend([content.into(), assignment.into()]);
    let empty = RegionState::empty(Epoch(Uuid::from_u128(5)));
    let row = Delta::of_row(empty.epoch(), empty.version().next(), entries);
    empty.apply(&row).unwrap()
}

fn added_up(reports: Vec<Json>) -> Sum {
    let (state, rules) = (
        state(),
        Rules {
            key: [7; 32],
            currencies: Currencies::default(),
        },
    );
    let region = "us-east".parse().unwrap();
    let watched: BTreeMap<String, Attribute> =
        [("level".to_owned(), Attribute::Number(2.into()))].into();
    let view = View {
        region: &region,
        state: Some(&state),
        rules: &rules,
        now: "2026-06-01T12:00:00.5Z".parse().unwrap(),
        known: &|player| (player == "watched").then_some((&watched, None)),
    };
    let batch = Batch {
        session: SenderSession(Uuid::from_u128(1)),
        batch: 1,
        reports,
    };
    add_up(&batch, &view)
}

fn report(player: &str, more: Json) -> Json {
    let mut report =
        json!({ "eventId": "sale", "player": player, "kind": "Participation", "revision": 1 });
    for (name, value) in more.as_object().unwrap() {
        report[name] = value.clone();
    }
    report
}

/// How often somebody took part, by segment, and how many of everybody.
fn counted(sum: &Sum) -> (BTreeMap<String, u64>, f64) {
    let mut segments = BTreeMap::new();
    let mut players = 0.0;
    for ((place, _), tally) in &sum.cells {
        match &place.segment {
            Some(segment) => {
                segments.insert(segment.to_string(), tally.sums.participations);
                assert!(
                    tally.active.is_empty(),
                    "of a segment there are plain counts"
                );
            }
            None => players += tally.active.estimate().round(),
        }
    }
    (segments, players)
}

#[test]
fn a_report_counts_for_the_segments_that_the_event_names_and_the_player_is_in() {
    let sum = added_up(vec![
        report("old", json!({ "attributes": { "level": 40 } })),
        report("older", json!({ "attributes": { "level": 41 } })),
        report("mallory", json!({ "attributes": { "level": 1 } })),
        // Whom the game server has told of before, and of whom nobody knows anything.
        report("watched", json!({})),
        report("stranger", json!({})),
    ]);
    assert!(sum.refused.is_empty(), "{:?}", sum.refused);
    let (segments, players) = counted(&sum);
    let of = |(name, many): (&str, u64)| (name.to_owned(), many);
    assert_eq!(
        segments,
        [("veterans", 2), ("newcomers", 2), ("cheats", 1)]
            .map(of)
            .into()
    );
    assert!((players - 5.0).abs() < 0.1);
}

#[test]
fn a_report_says_more_than_what_was_said_before() {
    let sum = added_up(vec![report(
        "watched",
        json!({ "attributes": { "level": 30 } }),
    )]);
    assert_eq!(
        counted(&sum).0.into_keys().collect::<Vec<_>>(),
        ["veterans"]
    );
    // Of an event that the region does not serve there are no segments.
    let other = added_up(vec![report(
        "old",
        json!({ "eventId": "other", "attributes": { "level": 40 } }),
    )]);
    assert!(counted(&other).0.is_empty());
}

#[test]
fn seconds_are_whole_and_cohorts_as_what_was_seen() {
    let sum = added_up(vec![
        report("a", json!({})),
        report("b", json!({ "revision": null })),
    ]);
    let cohorts: Vec<_> = sum
        .cells
        .keys()
        .map(|(place, second)| (place.cohort, second.subsec_nanosecond()))
        .collect();
    assert_eq!(cohorts, [(Cohort::Unattributed, 0), (Cohort::Everybody, 0)]);
}

#[test]
fn a_batch_of_too_much_at_once_is_taken_in_part_and_says_which() {
    let reports = (0..MAX_BATCH).map(|n| {
        report(
            &format!("p-{n}"),
            json!({ "variant": format!("v-{n}"), "attributes": { "level": 40 } }),
        )
    });
    let sum = added_up(reports.collect());
    // Each is a cell of everybody's and one of a segment's.
    assert_eq!(sum.cells.len(), MAX_BATCH_CELLS);
    assert_eq!(sum.refused.len(), MAX_BATCH - MAX_BATCH_CELLS / 2);
    let mut places = (0..MAX_BATCH).map(|n| {
        report(
            "mallory",
            json!({ "variant": format!("v-{n}"), "attributes": { "level": 40 } }),
        )
    });
    let three_each = added_up(places.by_ref().collect());
    assert!(three_each.cells.len() <= MAX_BATCH_CELLS);
    let first = &three_each.refused[0];
    assert!(first.message.contains("send less at once"), "{first:?}");
}
