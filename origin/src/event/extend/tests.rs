//! What an extension makes of an event, and what it may not.

use jiff::SignedDuration;
use liveevents_protocol::schedule::Occurrence;
use serde_json::{Value, json};

use super::*;
use crate::event::wall_clock::Zone;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn document(changes: &Value) -> Document {
    let mut fields = json!({
        "displayName": "Fest",
        "type": "SeasonalPromotion",
        "startTime": "2026-07-01T10:00:00Z",
        "endTime": "2026-07-15T10:00:00Z",
    });
    for (name, value) in changes.as_object().unwrap() {
        fields[name] = value.clone();
    }
    Document::parse(&serde_json::from_value(fields).unwrap()).unwrap()
}

fn local(changes: &Value) -> Document {
    let mut fields = json!({
        "startTime": "2026-03-28T18:00:00",
        "endTime": "2026-03-29T01:00:00",
        "regionLocal": true,
        "timezone": "Europe/Berlin",
    });
    for (name, value) in changes.as_object().unwrap() {
        fields[name] = value.clone();
    }
    document(&fields)
}

fn until(end: &str) -> Extension {
    Extension {
        end: Some(end.to_owned()),
        ..Extension::default()
    }
}

fn by(span: &str) -> Extension {
    Extension {
        by: Some(span.to_owned()),
        ..Extension::default()
    }
}

fn end(document: &Document, asked: &Extension) -> String {
    asked.of(document).unwrap().timing_fields().end_time
}

fn refused(document: &Document, asked: &Extension) -> Vec<String> {
    let faults = asked.of(document).unwrap_err().into_vec().into_iter();
    faults.map(|fault| fault.field).collect()
}

#[test]
fn an_end_moves_both_ways_to_a_time_or_by_a_duration() {
    let fest = document(&json!({ "timezone": "Europe/Berlin" }));
    let table = [
        (until("2026-07-20T00:00:00+02:00"), "2026-07-19T22:00:00Z"),
        (until("2026-07-02T00:00:00Z"), "2026-07-02T00:00:00Z"),
        (by("PT90M"), "2026-07-15T11:30:00Z"),
        (by("-PT90M"), "2026-07-15T08:30:00Z"),
        (by("-P3D"), "2026-07-12T10:00:00Z"),
    ];
    for (asked, expected) in table {
        assert_eq!(end(&fest, &asked), expected, "{asked:?}");
    }
    // Days are those of the event's own wall clock, hours are exact.
    let autumn =
        document(&json!({ "timezone": "Europe/Berlin", "endTime": "2026-10-24T10:00:00Z" }));
    assert_eq!(end(&autumn, &by("P1D")), "2026-10-25T11:00:00Z");
    assert_eq!(end(&autumn, &by("PT24H")), "2026-10-25T10:00:00Z");
    // Of wall-clock times both are the wall clock's.
    let spring = local(&json!({}));
    assert_eq!(end(&spring, &by("PT90M")), "2026-03-29T02:30:00");
    assert_eq!(
        end(&spring, &until("2026-03-29T05:00:00")),
        "2026-03-29T05:00:00"
    );
    assert_eq!(
        end(&spring, &until("2026-03-29T03:00:00Z")),
        "2026-03-29T05:00:00"
    );
}

#[test]
fn what_is_wrong_is_named() {
    let fest = document(&json!({}));
    let both = Extension {
        by: Some("PT1H".to_owned()),
        ..until("2026-07-20T00:00:00Z")
    };
    let backwards = Extension {
        start: Some("2026-08-01T00:00:00Z".to_owned()),
        ..Extension::default()
    };
    let table = [
        (Extension::default(), "endTime"),
        (both, "extendBy"),
        (by("an hour"), "extendBy"),
        (by("PT0S"), "extendBy"),
        (by("PT0.5S"), "extendBy"),
        (by("P300000Y"), "extendBy"),
        (by("P900Y"), "endTime"),
        (until("tomorrow"), "endTime"),
        (until("2026-07-20T00:00:00.5Z"), "endTime"),
        (until("2026-07-01T10:00:00Z"), "endTime"),
        (until("9999-01-01T00:00:00Z"), "endTime"),
        (backwards, "endTime"),
    ];
    for (asked, field) in table {
        assert_eq!(refused(&fest, &asked), [field], "{asked:?}");
    }
}

#[test]
fn the_end_of_a_series_is_the_series_end() {
    let daily = |more: Value| {
        let mut recurrence = json!({ "rule": "FREQ=DAILY", "duration": "PT2H" });
        for (name, value) in more.as_object().unwrap() {
            recurrence[name] = value.clone();
        }
        document(&json!({ "recurrence": recurrence, "endTime": "2026-07-05T00:00:00Z" }))
    };
    let (now, utc) = (at("2026-07-02T00:00:00Z"), Zone::utc());
    let days = |before: &Document, asked: &Extension| {
        let after = asked.of(before).unwrap();
        let old = Times {
            timing: &before.timing,
            activated: None,
        };
        let new = Times {
            timing: &after.timing,
            activated: None,
        };
        let schedule = old.expand(&utc, now).unwrap().schedule;
        let held = Held {
            zone: &utc,
            schedule: &schedule,
        };
        let regions = [("us-east".parse().unwrap(), held)].into();
        let schedules = schedules(asked, (old, new), &regions, now).unwrap();
        let schedule = schedules.into_values().next().unwrap();
        let days = schedule.occurrences().iter();
        days.map(|o| o.opens.to_string()[8..10].parse().unwrap())
            .collect::<Vec<u32>>()
    };
    let plain = daily(json!({}));
    assert_eq!(days(&plain, &by("P2D")), [2, 3, 4, 5, 6]);
    assert_eq!(days(&plain, &by("-P1D")), [2, 3]);
    // A later end has the last word, an earlier one leaves what was said.
    let limited = daily(json!({ "until": "2026-07-03T12:00:00" }));
    assert_eq!(days(&limited, &by("P2D")), [2, 3, 4, 5, 6]);
    let shorter = by("-PT6H").of(&limited).unwrap().timing.recurrence.unwrap();
    assert!(shorter.until.is_some());
    let counted = daily(json!({ "rule": "FREQ=DAILY;COUNT=3" }));
    assert_eq!(days(&counted, &by("P2D")), [2, 3]);
}

/// Asks for times of an event shown in these regions since its start, at a moment.
fn asked_in(
    document: &Document,
    zones: &[&str],
    asked: &Extension,
    now: &str,
) -> Result<BTreeMap<RegionId, Schedule>, Vec<String>> {
    let after = asked.of(document).unwrap();
    let zones: Vec<Zone> = zones.iter().map(|zone| zone.parse().unwrap()).collect();
    let old = Times {
        timing: &document.timing,
        activated: None,
    };
    let long_ago = at("2000-01-01T00:00:00Z");
    let held: Vec<Schedule> = zones
        .iter()
        .map(|zone| old.expand(zone, long_ago).unwrap().schedule)
        .collect();
    let regions = zones
        .iter()
        .zip(&held)
        .enumerate()
        .map(|(number, (zone, schedule))| {
            (
                format!("r-{number}").parse().unwrap(),
                Held { zone, schedule },
            )
        });
    let new = Times {
        timing: &after.timing,
        activated: None,
    };
    schedules(asked, (old, new), &regions.collect(), at(now)).map_err(|error| match error {
        NotAhead::Faults(faults) => {
            let faults = faults.into_vec().into_iter();
            faults
                .map(|fault| format!("{}: {}", fault.field, fault.message))
                .collect()
        }
        other => panic!("{other}"),
    })
}

#[test]
fn an_end_may_come_earlier_but_not_past() {
    let fest = document(&json!({}));
    let regions = ["Europe/Berlin", "America/New_York"];
    let at_noon = |asked| asked_in(&fest, &regions, &asked, "2026-07-10T12:00:00Z");
    assert!(at_noon(until("2026-07-10T12:00:01Z")).is_ok());
    let past = at_noon(until("2026-07-10T12:00:00Z")).unwrap_err();
    assert_eq!(
        past,
        ["endTime: lies in the past; deactivate the event to end it now"]
    );
    let past = at_noon(by("-P10D")).unwrap_err();
    assert!(
        past[0].starts_with("extendBy: lies in the past"),
        "{past:?}"
    );
}

#[test]
fn a_region_local_end_is_each_regions_and_a_region_that_had_closed_opens_again() {
    // Six in the evening to one at night; the clocks go forward at two in Berlin.
    let night = local(&json!({}));
    let regions = ["Europe/Berlin", "America/New_York", "Australia/Sydney"];
    let closes = |asked: &Extension, now| {
        let schedules = asked_in(&night, &regions, asked, now)?;
        let closes =
            |schedule: &Schedule| schedule.occurrences().last().map(|o| o.closes.to_string());
        Ok::<_, Vec<String>>(schedules.values().map(closes).collect::<Vec<_>>())
    };
    let some = |texts: [&str; 3]| {
        texts
            .map(|text| Some(text.to_owned()).filter(|t| !t.is_empty()))
            .to_vec()
    };
    // Into Berlin's gap: at its end there, at half past two elsewhere.
    assert_eq!(
        closes(&by("PT90M"), "2026-03-28T06:00:00Z"),
        Ok(some([
            "2026-03-29T01:00:00Z",
            "2026-03-29T06:30:00Z",
            "2026-03-28T15:30:00Z"
        ]))
    );
    // By now Sydney has closed, at 14:00 UTC. Half an hour more is past there as well, three hours are not.
    let now = "2026-03-28T15:00:00Z";
    assert_eq!(
        closes(&by("PT30M"), now),
        Ok(some(["2026-03-29T00:30:00Z", "2026-03-29T05:30:00Z", ""]))
    );
    assert_eq!(
        closes(&by("PT3H"), now),
        Ok(some([
            "2026-03-29T02:00:00Z",
            "2026-03-29T08:00:00Z",
            "2026-03-28T17:00:00Z"
        ]))
    );
    // Earlier than what Sydney's clock shows while it is open there.
    let past = closes(&until("2026-03-28T23:00:00"), "2026-03-28T13:00:00Z").unwrap_err();
    assert_eq!(
        past,
        ["endTime: lies in the past in r-2; deactivate the event to end it now"]
    );
}

#[test]
fn a_start_is_not_past_in_any_region() {
    let night = local(&json!({}));
    let regions = ["Europe/Berlin", "Australia/Sydney"];
    let start = |text: &str| Extension {
        start: Some(text.to_owned()),
        ..Extension::default()
    };
    let now = "2026-03-28T06:00:00Z";
    assert!(asked_in(&night, &regions, &start("2026-03-28T19:00:00"), now).is_ok());
    let past = asked_in(&night, &regions, &start("2026-03-28T16:00:00"), now).unwrap_err();
    assert_eq!(
        past,
        ["startTime: lies in the past in r-1; activate the event to start it now"]
    );
}

#[test]
fn an_occurrence_that_was_left_out_stays_out() {
    let daily = document(&json!({
        "recurrence": { "rule": "FREQ=DAILY", "duration": "PT2H" }, "endTime": "2026-07-05T00:00:00Z",
    }));
    let (now, utc) = (at("2026-07-01T00:00:00Z"), Zone::utc());
    let old = Times {
        timing: &daily.timing,
        activated: None,
    };
    let all = old.expand(&utc, now).unwrap().schedule;
    let held: Vec<Occurrence> = all
        .occurrences()
        .iter()
        .copied()
        .filter(|o| !o.opens.to_string().contains("-03T"))
        .collect();
    let held = Schedule::new(held).unwrap();
    let asked = by("P1D");
    let after = asked.of(&daily).unwrap();
    let new = Times {
        timing: &after.timing,
        activated: None,
    };
    let regions = [(
        "us-east".parse().unwrap(),
        Held {
            zone: &utc,
            schedule: &held,
        },
    )]
    .into();
    let schedules = schedules(&asked, (old, new), &regions, now).unwrap();
    let opens: Vec<String> = schedules
        .values()
        .flat_map(Schedule::occurrences)
        .map(|o| o.opens.to_string()[8..10].to_owned())
        .collect();
    assert_eq!(opens, ["01", "02", "04", "05"]);
}

#[test]
fn an_ended_event_ends_now_and_after_its_start() {
    let fest = document(&json!({}));
    let now = at("2026-07-10T12:00:00.25Z");
    let over = ended(&fest, now);
    assert_eq!(over.timing_fields().end_time, "2026-07-10T12:00:01Z");
    assert_eq!(over.bounds.1, at("2026-07-10T12:00:01Z"));
    // As soon as it began; as late as it would have ended anyway; and read back as it was written.
    for now in [
        fest.bounds.0,
        fest.bounds.0 - SignedDuration::from_hours(9),
        fest.bounds.1,
    ] {
        let over = ended(&fest, now);
        assert!(over.bounds.0 < over.bounds.1 && over.bounds.1 <= fest.bounds.1);
        assert_eq!(Document::parse(&over.to_fields()), Ok(over));
    }
    let night = local(&json!({}));
    assert_eq!(ended(&night, now), night);
}
