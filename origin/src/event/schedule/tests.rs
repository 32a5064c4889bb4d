//! Occurrences by region, zone and rule.

use std::collections::BTreeSet;

use super::*;
use crate::event::recurrence::Rule;

mod zones;

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn absolute(start: &str, end: &str) -> Timing {
    Timing {
        window: Window::Absolute {
            start: at(start),
            end: at(end),
        },
        zone: Zone::utc(),
        recurrence: None,
    }
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

fn every(mut timing: Timing, rule: &str, rule_zone: Option<&str>, duration: &str) -> Timing {
    let rule_zone = rule_zone.map(zone);
    let start = match timing.window {
        Window::Absolute { start, .. } => rule_zone.as_ref().unwrap().wall_clock(start),
        Window::RegionLocal { start, .. } => start,
    };
    let duration: Span = duration.parse().unwrap();
    timing.recurrence = Some(Recurrence {
        rule: Rule::new(rule, start).unwrap(),
        zone: rule_zone,
        duration: duration.fieldwise(),
        except: BTreeSet::new(),
        until: None,
    });
    timing
}

/// Each occurrence as `opens/closes`.
fn shown(timing: &Timing, region: &str, now: &str) -> Vec<String> {
    schedule(timing, &zone(region), at(now))
        .unwrap()
        .occurrences()
        .iter()
        .map(|o| format!("{}/{}", o.opens, o.closes))
        .collect()
}

const LONG_AGO: &str = "2025-01-01T00:00:00Z";

#[test]
fn an_absolute_window_is_the_same_everywhere() {
    let timing = absolute("2026-12-24T18:00:00Z", "2026-12-27T00:00:00Z");
    for region in ["America/New_York", "Asia/Tokyo"] {
        assert_eq!(
            shown(&timing, region, LONG_AGO),
            ["2026-12-24T18:00:00Z/2026-12-27T00:00:00Z"]
        );
    }
}

#[test]
fn a_region_local_window_is_wall_clock_in_each_region() {
    let timing = region_local("2026-03-28T18:00:00", "2026-03-29T18:00:00");
    let table = [
        ("Asia/Tokyo", "2026-03-28T09:00:00Z/2026-03-29T09:00:00Z"),
        // Daylight saving begins in between: 23 hours.
        ("Europe/Berlin", "2026-03-28T17:00:00Z/2026-03-29T16:00:00Z"),
        (
            "America/Los_Angeles",
            "2026-03-29T01:00:00Z/2026-03-30T01:00:00Z",
        ),
    ];
    for (region, expected) in table {
        assert_eq!(shown(&timing, region, LONG_AGO), [expected], "{region}");
    }
}

#[test]
fn a_window_within_a_gap_is_not_shown_there() {
    let timing = region_local("2026-03-29T02:10:00", "2026-03-29T02:50:00");
    assert!(shown(&timing, "Europe/Berlin", LONG_AGO).is_empty());
    assert_eq!(shown(&timing, "Asia/Tokyo", LONG_AGO).len(), 1);
}

#[test]
fn what_is_over_is_left_out() {
    let timing = absolute("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    assert_eq!(shown(&timing, "UTC", "2026-01-01T23:59:59Z").len(), 1);
    assert!(shown(&timing, "UTC", "2026-01-02T00:00:00Z").is_empty());
}

#[test]
fn a_rule_keeps_its_wall_clock_hour_over_daylight_saving() {
    let window = absolute("2026-03-20T17:00:00Z", "2026-04-05T00:00:00Z");
    let timing = every(
        window,
        "FREQ=WEEKLY;BYDAY=FR",
        Some("Europe/Berlin"),
        "PT6H",
    );
    // Whatever region: the rule's zone counts.
    assert_eq!(
        shown(&timing, "Asia/Tokyo", LONG_AGO),
        [
            "2026-03-20T17:00:00Z/2026-03-20T23:00:00Z",
            "2026-03-27T17:00:00Z/2026-03-27T23:00:00Z",
            "2026-04-03T16:00:00Z/2026-04-03T22:00:00Z",
        ]
    );
}

#[test]
fn a_region_local_rule_is_read_in_each_region() {
    let window = region_local("2026-01-02T18:00:00", "2026-01-12T00:00:00");
    let timing = every(window, "FREQ=WEEKLY", None, "PT54H");
    assert_eq!(
        shown(&timing, "America/New_York", LONG_AGO),
        [
            "2026-01-02T23:00:00Z/2026-01-05T05:00:00Z",
            "2026-01-09T23:00:00Z/2026-01-12T05:00:00Z",
        ]
    );
}

#[test]
fn the_end_cuts_the_last_occurrence_short() {
    let window = absolute("2026-01-02T18:00:00Z", "2026-01-09T19:00:00Z");
    let timing = every(window, "FREQ=WEEKLY", Some("UTC"), "PT6H");
    assert_eq!(
        shown(&timing, "UTC", LONG_AGO).last().unwrap(),
        "2026-01-09T18:00:00Z/2026-01-09T19:00:00Z"
    );
}

#[test]
fn only_the_horizon_travels_ahead() {
    let window = absolute("2026-01-01T12:00:00Z", "2030-01-01T00:00:00Z");
    let timing = every(window, "FREQ=DAILY", Some("UTC"), "PT1H");
    // From the start while that lies ahead, from now later on.
    assert_eq!(shown(&timing, "UTC", LONG_AGO).len(), 60);
    let later = shown(&timing, "UTC", "2027-06-01T12:30:00Z");
    assert_eq!(later.len(), 61);
    assert_eq!(
        later.first().unwrap(),
        "2027-06-01T12:00:00Z/2027-06-01T13:00:00Z"
    );
}

#[test]
fn exceptions_and_until_leave_occurrences_out() {
    let window = absolute("2026-12-23T12:00:00Z", "2027-02-01T00:00:00Z");
    let mut timing = every(window, "FREQ=DAILY", Some("UTC"), "PT1H");
    let recurrence = timing.recurrence.as_mut().unwrap();
    recurrence.except.insert("2026-12-25".parse().unwrap());
    recurrence.until = Some("2026-12-26T12:00:00".parse().unwrap());
    assert_eq!(
        shown(&timing, "UTC", LONG_AGO),
        [
            "2026-12-23T12:00:00Z/2026-12-23T13:00:00Z",
            "2026-12-24T12:00:00Z/2026-12-24T13:00:00Z",
            "2026-12-26T12:00:00Z/2026-12-26T13:00:00Z",
        ]
    );
}

#[test]
fn occurrences_that_would_overlap_meet() {
    // A whole day every day: on the 23-hour day 24 hours run into the next.
    let window = region_local("2026-03-28T00:00:00", "2026-03-31T00:00:00");
    let timing = every(window, "FREQ=DAILY", None, "PT24H");
    assert_eq!(
        shown(&timing, "Europe/Berlin", LONG_AGO),
        [
            "2026-03-27T23:00:00Z/2026-03-28T23:00:00Z",
            "2026-03-28T23:00:00Z/2026-03-29T22:00:00Z",
            "2026-03-29T22:00:00Z/2026-03-30T22:00:00Z",
        ]
    );
}

#[test]
fn the_most_frequent_rule_fits_the_protocol() {
    let window = absolute("2026-01-01T00:00:00Z", "2030-01-01T00:00:00Z");
    let hours: Vec<String> = (0..16).map(|hour| hour.to_string()).collect();
    let rule = format!("FREQ=DAILY;BYHOUR={}", hours.join(","));
    let timing = every(window, &rule, Some("UTC"), "PT30M");
    assert_eq!(shown(&timing, "UTC", "2026-05-01T00:10:00Z").len(), 961);
}

#[test]
fn a_rule_that_began_ages_ago_is_followed_from_lately() {
    let window = absolute("2000-01-01T00:00:00Z", "2200-01-01T00:00:00Z");
    let hours: Vec<String> = (0..16).map(|hour| hour.to_string()).collect();
    let rule = format!("FREQ=DAILY;BYHOUR={}", hours.join(","));
    let timing = every(window, &rule, Some("UTC"), "PT30M");
    assert_eq!(
        shown(&timing, "UTC", "2199-05-01T00:10:00Z")
            .first()
            .unwrap(),
        "2199-05-01T00:00:00Z/2199-05-01T00:30:00Z"
    );
}

#[test]
fn the_horizon_knows_what_lies_beyond_it() {
    let window = absolute("2026-01-01T12:00:00Z", "2030-01-01T00:00:00Z");
    let expansion = |rule: &str, now: &str| {
        let timing = every(window.clone(), rule, Some("UTC"), "PT1H");
        expand(&timing, &zone("UTC"), at(now)).unwrap()
    };
    let monthly = expansion("FREQ=MONTHLY", "2026-01-01T00:00:00Z");
    assert_eq!(monthly.schedule.occurrences().len(), 3);
    assert_eq!(monthly.beyond, Some(at("2026-04-01T12:00:00Z")));
    // Nothing within the horizon, and yet not over.
    let yearly = expansion("FREQ=YEARLY", "2026-02-01T00:00:00Z");
    assert!(yearly.schedule.occurrences().is_empty() && !yearly.is_over());
    assert_eq!(yearly.beyond, Some(at("2027-01-01T12:00:00Z")));
    assert!(expansion("FREQ=YEARLY;COUNT=1", "2026-02-01T00:00:00Z").is_over());
    assert!(expansion("FREQ=YEARLY", "2029-02-01T00:00:00Z").is_over());

    let once = absolute("2027-01-01T12:00:00Z", "2027-01-02T00:00:00Z");
    assert!(
        !expand(&once, &zone("UTC"), at("2026-01-01T00:00:00Z"))
            .unwrap()
            .is_over()
    );
    assert!(
        expand(&once, &zone("UTC"), at("2027-01-02T00:00:00Z"))
            .unwrap()
            .is_over()
    );
}
