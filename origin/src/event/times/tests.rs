//! What an activation makes of announced times.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Span};

use super::*;
use crate::event::recurrence::{Recurrence, Rule};
use crate::event::timing::Window;

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn region_local(start: &str, end: &str) -> Timing {
    Timing {
        window: Window::RegionLocal {
            start: start.parse().unwrap(),
            end: end.parse().unwrap(),
        },
        zone: Zone::utc(),
        recurrence: None,
    }
}

fn every(mut timing: Timing, rule: &str, duration: &str) -> Timing {
    let Window::RegionLocal { start, .. } = timing.window else {
        panic!("wall clock")
    };
    let duration: Span = duration.parse().unwrap();
    timing.recurrence = Some(Recurrence {
        rule: Rule::new(rule, start).unwrap(),
        zone: None,
        duration: duration.fieldwise(),
        except: BTreeSet::new(),
        until: None,
    });
    timing
}

/// The first two occurrences as `opens/closes`.
fn shown(timing: &Timing, activated: &str, region: &str, now: &str) -> Vec<String> {
    let times = Times {
        timing,
        activated: Some(at(activated)),
    };
    let expansion = times.expand(&zone(region), at(now)).unwrap();
    let occurrences = expansion.schedule.occurrences().iter().take(2);
    occurrences
        .map(|o| format!("{}/{}", o.opens, o.closes))
        .collect()
}

#[test]
fn an_activated_event_is_open_everywhere_until_its_end_by_each_wall_clock() {
    // The end is in the gap, in the repeated hour, or on the day that was not.
    let table = [
        (
            "America/New_York",
            "2026-03-08T02:30:00",
            "2026-03-08T07:00:00Z",
        ),
        (
            "America/Los_Angeles",
            "2026-03-08T02:30:00",
            "2026-03-08T10:00:00Z",
        ),
        (
            "Europe/Berlin",
            "2026-03-29T02:30:00",
            "2026-03-29T01:00:00Z",
        ),
        (
            "Australia/Sydney",
            "2026-10-04T02:30:00",
            "2026-10-03T16:00:00Z",
        ),
        (
            "Australia/Lord_Howe",
            "2026-10-04T02:10:00",
            "2026-10-03T15:30:00Z",
        ),
        (
            "Asia/Kathmandu",
            "2026-03-08T02:30:00",
            "2026-03-07T20:45:00Z",
        ),
        (
            "Pacific/Apia",
            "2011-12-30T12:00:00",
            "2011-12-30T10:00:00Z",
        ),
        (
            "America/New_York",
            "2026-11-01T01:30:00",
            "2026-11-01T05:30:00Z",
        ),
        (
            "Europe/Berlin",
            "2026-10-25T02:30:00",
            "2026-10-25T00:30:00Z",
        ),
        (
            "Australia/Sydney",
            "2026-04-05T02:30:00",
            "2026-04-04T15:30:00Z",
        ),
        (
            "Australia/Lord_Howe",
            "2026-04-05T01:45:00",
            "2026-04-04T14:45:00Z",
        ),
        (
            "Pacific/Apia",
            "2020-04-05T03:30:00",
            "2020-04-04T13:30:00Z",
        ),
    ];
    for (region, end, closes) in table {
        let closes_at = at(closes);
        let activated = closes_at - SignedDuration::from_hours(30);
        // Announced to open one hour before its end, by the wall clock.
        let start = end.parse::<jiff::civil::DateTime>().unwrap() - Span::new().hours(1);
        let timing = region_local(&start.to_string(), end);
        let text = activated.to_string();
        assert_eq!(
            shown(&timing, &text, region, &text),
            [format!("{activated}/{closes}")],
            "{region} {end}"
        );
        assert!(
            shown(&timing, &text, region, closes).is_empty(),
            "{region} {end}"
        );
    }
}

#[test]
fn a_region_that_comes_later_is_open_since_then_too_unless_its_end_is_past() {
    let timing = region_local("2026-07-01T18:00:00", "2026-07-01T20:00:00");
    // Activated when it opened in Sydney; New York comes in an hour later.
    let activated = "2026-07-01T08:00:00Z";
    assert_eq!(
        shown(
            &timing,
            activated,
            "America/New_York",
            "2026-07-01T09:00:00Z"
        ),
        ["2026-07-01T08:00:00Z/2026-07-02T00:00:00Z"]
    );
    assert!(
        shown(
            &timing,
            activated,
            "Australia/Sydney",
            "2026-07-01T10:00:00Z"
        )
        .is_empty()
    );
}

#[test]
fn a_series_activated_opens_once_more_and_goes_on_as_announced() {
    // Fridays at six for two days, from the 3rd of July on.
    let window = region_local("2026-07-03T18:00:00", "2026-12-31T00:00:00");
    let weekends = every(window, "FREQ=WEEKLY", "PT48H");
    let table = [
        // On Monday: two days, then Friday.
        (
            "2026-06-29T10:00:00Z",
            "2026-06-29T10:00:00Z",
            [
                "2026-06-29T10:00:00Z/2026-07-01T10:00:00Z",
                "2026-07-03T18:00:00Z/2026-07-05T18:00:00Z",
            ],
        ),
        // On Thursday: until Friday.
        (
            "2026-07-02T10:00:00Z",
            "2026-07-02T11:00:00Z",
            [
                "2026-07-02T10:00:00Z/2026-07-03T18:00:00Z",
                "2026-07-03T18:00:00Z/2026-07-05T18:00:00Z",
            ],
        ),
        // Once that is over, nothing is left of it.
        (
            "2026-06-29T10:00:00Z",
            "2026-07-01T10:00:00Z",
            [
                "2026-07-03T18:00:00Z/2026-07-05T18:00:00Z",
                "2026-07-10T18:00:00Z/2026-07-12T18:00:00Z",
            ],
        ),
        // An announced one was there: it stays as it is, also in a region that comes in during it.
        (
            "2026-07-04T10:00:00Z",
            "2026-07-04T12:00:00Z",
            [
                "2026-07-03T18:00:00Z/2026-07-05T18:00:00Z",
                "2026-07-10T18:00:00Z/2026-07-12T18:00:00Z",
            ],
        ),
        (
            "2026-07-04T10:00:00Z",
            "2026-07-05T20:00:00Z",
            [
                "2026-07-10T18:00:00Z/2026-07-12T18:00:00Z",
                "2026-07-17T18:00:00Z/2026-07-19T18:00:00Z",
            ],
        ),
    ];
    for (activated, now, expected) in table {
        assert_eq!(
            shown(&weekends, activated, "UTC", now),
            expected,
            "{activated} {now}"
        );
    }
    // A day is the wall clock's, also where it has 23 hours.
    let daily = every(
        region_local("2026-04-01T18:00:00", "2026-12-31T00:00:00"),
        "FREQ=DAILY",
        "P1D",
    );
    let opened = shown(
        &daily,
        "2026-03-28T11:00:00Z",
        "Europe/Berlin",
        "2026-03-28T11:00:00Z",
    );
    assert_eq!(opened[0], "2026-03-28T11:00:00Z/2026-03-29T10:00:00Z");
}

#[test]
fn a_series_ends_when_it_ends_also_if_it_was_just_activated() {
    let window = region_local("2026-07-03T18:00:00", "2026-07-03T19:00:00");
    let timing = every(window, "FREQ=WEEKLY", "PT48H");
    assert_eq!(
        shown(
            &timing,
            "2026-07-03T10:00:00Z",
            "UTC",
            "2026-07-03T10:00:00Z"
        ),
        [
            "2026-07-03T10:00:00Z/2026-07-03T18:00:00Z",
            "2026-07-03T18:00:00Z/2026-07-03T19:00:00Z"
        ]
    );
}
