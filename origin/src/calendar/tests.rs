//! What is held, what goes on beyond it, what is planned, and what overlaps.

use jiff::SignedDuration;
use liveevents_protocol::schedule::Schedule;
use liveevents_protocol::version::Revision;
use serde_json::{Value, json};

use super::*;
use crate::event::approval::Approval;
use crate::event::document::Document;
use crate::event::record::Revised;

const NOON: &str = "2026-06-01T12:00:00Z";

fn at(hours: i64) -> Timestamp {
    NOON.parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hours)
}

fn event(id: &str, state: State, more: Value) -> Event {
    let mut fields = json!({
        "displayName": id, "type": "SeasonalPromotion", "category": "sales",
        "startTime": at(0), "endTime": at(24 * 365),
    });
    for (name, value) in more.as_object().unwrap() {
        fields[name] = value.clone();
    }
    let fields = serde_json::from_value(fields).unwrap();
    Event {
        id: id.parse().unwrap(),
        state,
        salt: "s".to_owned(),
        created_at: at(0),
        created_by: "ada".to_owned(),
        updated_at: at(0),
        activated_at: None,
        ended_at: None,
        participants: 0,
        newest: Revised {
            revision: Revision(1),
            document: Document::parse(&fields).unwrap(),
            approval: Approval::Pending,
            created_at: at(0),
            created_by: "ada".to_owned(),
        },
    }
}

fn assignment(event: &Event, hours: &[(i64, i64)]) -> Assignment {
    let occurrences = hours.iter().map(|&(opens, closes)| Occurrence {
        opens: at(opens),
        closes: at(closes),
    });
    Assignment {
        event_id: event.id.clone(),
        salt: "s".to_owned(),
        live: Some(Revision(1)),
        candidate: None,
        schedule: Schedule::new(occurrences.collect()).unwrap(),
        suspension: Default::default(),
        full: false,
    }
}

fn stretch(from: i64, to: i64) -> Stretch {
    Stretch {
        from: at(from),
        to: at(to),
    }
}

fn shown(event: &Event, hours: &[(i64, i64)], stretch: Stretch) -> Vec<(Timestamp, Timestamp)> {
    let (region, zone) = ("us-east".parse().unwrap(), Zone::utc());
    let assignment = assignment(event, hours);
    let entries = assigned(event, (&region, &zone), &assignment, stretch).unwrap();
    entries.into_iter().map(|e| (e.opens, e.closes)).collect()
}

#[test]
fn what_is_held_counts_and_where_that_ends_the_rule_goes_on() {
    let once = event("once", State::Active, json!({}));
    // Extended by hand: the document says otherwise.
    assert_eq!(
        shown(&once, &[(0, 30)], stretch(-24, 48)),
        [(at(0), at(30))]
    );
    for outside in [stretch(30, 48), stretch(-24, 0)] {
        assert_eq!(shown(&once, &[(0, 30)], outside), []);
    }

    let daily =
        json!({ "recurrence": { "rule": "FREQ=DAILY", "zone": "UTC", "duration": "PT2H" } });
    let daily = event("daily", State::Active, daily);
    let held = [(0, 2), (24, 27)];
    assert_eq!(
        shown(&daily, &held, stretch(1, 72)),
        [(at(0), at(2)), (at(24), at(27)), (at(48), at(50))]
    );
    assert_eq!(shown(&daily, &held, stretch(96, 97)), [(at(96), at(98))]);
}

#[test]
fn a_draft_is_planned_in_its_own_zone_and_nowhere() {
    let local = json!({
        "regionLocal": true, "timezone": "Asia/Tokyo",
        "startTime": "2026-06-02T09:00:00", "endTime": "2026-06-02T21:00:00",
    });
    let draft = event("draft", State::Draft, local);
    let zone = draft.newest.document.timing.zone.clone();
    let entries = planned(&draft, &zone, stretch(0, 48)).unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!((entries[0].opens, entries[0].closes), (at(12), at(24)));
    assert_eq!(entries[0].region, None);
    assert_eq!(planned(&draft, &zone, stretch(24, 48)).unwrap(), []);
}

#[test]
fn two_of_a_category_in_a_region_overlap_and_nobody_else() {
    let entry = |id: &str, region: Option<&str>, category: Option<&str>, opens, closes| Entry {
        event_id: id.parse().unwrap(),
        display_name: id.to_owned(),
        category: category.map(str::to_owned),
        state: State::Scheduled,
        region: region.map(|region| region.parse().unwrap()),
        opens: at(opens),
        closes: at(closes),
        suspended: false,
        allow_overlap: id == "tolerant",
    };
    let (east, sales) = (Some("us-east"), Some("sales"));
    let mut entries = vec![
        entry("a", east, sales, 0, 10),
        entry("b", east, sales, 10, 20),
        entry("c", east, sales, 15, 18),
        entry("tolerant", east, sales, 16, 30),
        entry("elsewhere", Some("us-west"), sales, 0, 30),
        entry("other", east, Some("quests"), 0, 30),
        entry("none", east, None, 0, 30),
        entry("draft", None, sales, 0, 30),
        // The next occurrence of the same event.
        entry("b", east, sales, 19, 21),
    ];
    sort(&mut entries);
    let found = overlaps(&entries, 100);
    let told: Vec<_> = found
        .iter()
        .map(|o| {
            let [a, b] = &o.events;
            (a.as_str(), b.as_str(), o.opens, o.closes, o.allowed)
        })
        .collect();
    assert_eq!(
        told,
        [
            ("b", "c", at(15), at(18), false),
            ("b", "tolerant", at(16), at(20), true),
            ("c", "tolerant", at(16), at(18), true),
            ("tolerant", "b", at(19), at(21), true),
        ]
    );
    assert_eq!(overlaps(&entries, 2), found[..2]);
}
