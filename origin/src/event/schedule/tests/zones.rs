//! Real zones: both changes of the clock, half hours, odd offsets, and a day that was not.

use proptest::prelude::*;
use proptest::sample;

use super::*;

const ZONES: [&str; 8] = [
    "America/New_York",
    "America/Los_Angeles",
    "Europe/Berlin",
    "Australia/Sydney",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "UTC",
];

/// A window of the same wall-clock times in a zone.
fn local(name: &str, start: &str, end: &str) -> String {
    shown(&region_local(start, end), name, "2000-01-01T00:00:00Z").join(" ")
}

#[test]
fn the_same_wall_clock_is_another_instant_in_every_zone() {
    let table = [
        (
            "America/New_York",
            "2026-12-24T23:00:00Z/2026-12-25T05:00:00Z",
        ),
        (
            "America/Los_Angeles",
            "2026-12-25T02:00:00Z/2026-12-25T08:00:00Z",
        ),
        ("Europe/Berlin", "2026-12-24T17:00:00Z/2026-12-24T23:00:00Z"),
        (
            "Australia/Sydney",
            "2026-12-24T07:00:00Z/2026-12-24T13:00:00Z",
        ),
        (
            "Asia/Kathmandu",
            "2026-12-24T12:15:00Z/2026-12-24T18:15:00Z",
        ),
        (
            "Australia/Lord_Howe",
            "2026-12-24T07:00:00Z/2026-12-24T13:00:00Z",
        ),
        ("Pacific/Apia", "2026-12-24T05:00:00Z/2026-12-24T11:00:00Z"),
    ];
    for (zone, expected) in table {
        let found = local(zone, "2026-12-24T18:00:00", "2026-12-25T00:00:00");
        assert_eq!(found, expected, "{zone}");
    }
}

#[test]
fn a_window_that_opens_in_the_gap_opens_at_its_end() {
    // Zone, wall clock within the gap, the gap's end; each window ends at noon.
    let table = [
        (
            "America/New_York",
            "2026-03-08",
            "02:30:00",
            "07:00:00Z/2026-03-08T16:00:00Z",
        ),
        (
            "America/Los_Angeles",
            "2026-03-08",
            "02:00:00",
            "10:00:00Z/2026-03-08T19:00:00Z",
        ),
        (
            "Europe/Berlin",
            "2026-03-29",
            "02:59:59",
            "01:00:00Z/2026-03-29T10:00:00Z",
        ),
    ];
    for (zone, date, time, expected) in table {
        let found = local(zone, &format!("{date}T{time}"), &format!("{date}T12:00:00"));
        assert_eq!(found, format!("{date}T{expected}"), "{zone}");
    }
    // In the south it is spring in October, and in UTC still the day before.
    assert_eq!(
        local(
            "Australia/Sydney",
            "2026-10-04T02:30:00",
            "2026-10-04T12:00:00"
        ),
        "2026-10-03T16:00:00Z/2026-10-04T01:00:00Z"
    );
    // From half past one to two o'clock, half an hour only.
    assert_eq!(
        local(
            "Australia/Lord_Howe",
            "2026-10-04T02:10:00",
            "2026-10-04T12:00:00"
        ),
        "2026-10-03T15:30:00Z/2026-10-04T01:00:00Z"
    );
}

#[test]
fn zones_without_summer_time_by_now_had_gaps_too() {
    // Kathmandu put its clocks forward once, by a quarter of an hour; Apia had summer time until 2021.
    let quarter = region_local("1986-01-01T00:10:00", "1986-01-01T12:00:00");
    assert_eq!(
        shown(&quarter, "Asia/Kathmandu", "1980-01-01T00:00:00Z"),
        ["1985-12-31T18:30:00Z/1986-01-01T06:15:00Z"]
    );
    assert_eq!(
        local("Pacific/Apia", "2020-09-27T03:30:00", "2020-09-27T12:00:00"),
        "2020-09-26T14:00:00Z/2020-09-26T22:00:00Z"
    );
}

#[test]
fn a_window_that_opens_in_the_repeated_hour_opens_the_first_time() {
    let table = [
        (
            "America/New_York",
            "2026-11-01T01:30:00",
            "2026-11-01T05:30:00Z",
        ),
        (
            "America/Los_Angeles",
            "2026-11-01T01:00:00",
            "2026-11-01T08:00:00Z",
        ),
        (
            "Europe/Berlin",
            "2026-10-25T02:00:00",
            "2026-10-25T00:00:00Z",
        ),
        (
            "Australia/Sydney",
            "2026-04-05T02:59:59",
            "2026-04-04T15:59:59Z",
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
    for (zone, opens, expected) in table {
        let found = local(zone, opens, "2026-11-02T00:00:00");
        assert_eq!(found.split('/').next(), Some(expected), "{zone}");
    }
}

#[test]
fn a_day_that_was_not_has_no_window_and_a_longer_one_skips_it() {
    // Samoa went from the 29th to the 31st of December 2011.
    assert_eq!(
        local("Pacific/Apia", "2011-12-30T08:00:00", "2011-12-30T20:00:00"),
        ""
    );
    assert_eq!(
        local("Pacific/Apia", "2011-12-29T12:00:00", "2011-12-31T12:00:00"),
        "2011-12-29T22:00:00Z/2011-12-30T22:00:00Z"
    );
    // Ends on the day that was not: at the end of the gap.
    assert_eq!(
        local("Pacific/Apia", "2011-12-29T12:00:00", "2011-12-30T12:00:00"),
        "2011-12-29T22:00:00Z/2011-12-30T10:00:00Z"
    );
    // Daily at noon: on the skipped day as soon as there is a day again.
    let timing = every(
        region_local("2011-12-29T12:00:00", "2012-01-01T00:00:00"),
        "FREQ=DAILY",
        None,
        "PT2H",
    );
    assert_eq!(
        shown(&timing, "Pacific/Apia", "2011-12-01T00:00:00Z"),
        [
            "2011-12-29T22:00:00Z/2011-12-30T00:00:00Z",
            "2011-12-30T10:00:00Z/2011-12-30T12:00:00Z",
            "2011-12-30T22:00:00Z/2011-12-31T00:00:00Z",
        ]
    );
}

#[test]
fn a_rule_keeps_its_hour_in_every_zone_over_both_changes() {
    // Fridays at six for six hours, before and after each change; the hour in UTC moves by what the clock does.
    let table = [
        (
            "America/New_York",
            "2026-03-06T18:00:00",
            ["2026-03-06T23:00:00Z", "2026-03-13T22:00:00Z"],
        ),
        (
            "America/New_York",
            "2026-10-30T18:00:00",
            ["2026-10-30T22:00:00Z", "2026-11-06T23:00:00Z"],
        ),
        (
            "America/Los_Angeles",
            "2026-03-06T18:00:00",
            ["2026-03-07T02:00:00Z", "2026-03-14T01:00:00Z"],
        ),
        (
            "Europe/Berlin",
            "2026-10-23T18:00:00",
            ["2026-10-23T16:00:00Z", "2026-10-30T17:00:00Z"],
        ),
        (
            "Australia/Sydney",
            "2026-04-03T18:00:00",
            ["2026-04-03T07:00:00Z", "2026-04-10T08:00:00Z"],
        ),
        (
            "Australia/Sydney",
            "2026-10-02T18:00:00",
            ["2026-10-02T08:00:00Z", "2026-10-09T07:00:00Z"],
        ),
        (
            "Australia/Lord_Howe",
            "2026-10-02T18:00:00",
            ["2026-10-02T07:30:00Z", "2026-10-09T07:00:00Z"],
        ),
        (
            "Asia/Kathmandu",
            "2026-10-02T18:00:00",
            ["2026-10-02T12:15:00Z", "2026-10-09T12:15:00Z"],
        ),
    ];
    for (zone, start, expected) in table {
        let timing = every(
            region_local(start, "2026-12-31T00:00:00"),
            "FREQ=WEEKLY",
            None,
            "PT6H",
        );
        let shown = shown(&timing, zone, LONG_AGO);
        let opens: Vec<&str> = shown.iter().filter_map(|o| o.split('/').next()).collect();
        assert_eq!(opens.get(..2), Some(&expected[..]), "{zone} {start}");
    }
}

#[test]
fn days_of_a_duration_are_the_wall_clocks_also_into_a_gap() {
    // Saturday half past two for a day: on Sunday there is no half past two.
    let window = region_local("2026-03-28T02:30:00", "2026-04-01T00:00:00");
    let timing = every(window, "FREQ=DAILY;COUNT=1", None, "P1D");
    assert_eq!(
        shown(&timing, "Europe/Berlin", LONG_AGO),
        ["2026-03-28T01:30:00Z/2026-03-29T01:00:00Z"]
    );
    // Twice within the gap, once as it ends.
    let window = region_local("2026-03-29T02:10:00", "2026-03-29T12:00:00");
    let timing = every(window, "FREQ=DAILY;BYHOUR=2,3", None, "PT30M");
    assert_eq!(
        shown(&timing, "Europe/Berlin", LONG_AGO),
        [
            "2026-03-29T01:00:00Z/2026-03-29T01:10:00Z",
            "2026-03-29T01:10:00Z/2026-03-29T01:40:00Z",
        ]
    );
}

fn moments() -> impl Strategy<Value = Timestamp> {
    // 2001 to 2190.
    (978_307_200_i64..6_942_000_000).prop_map(|second| Timestamp::from_second(second).unwrap())
}

fn timings() -> impl Strategy<Value = Timing> {
    let rules = &[
        "FREQ=DAILY",
        "FREQ=DAILY;BYHOUR=1,2,3",
        "FREQ=DAILY;INTERVAL=3;COUNT=40",
        "FREQ=WEEKLY;BYDAY=SU,MO;WKST=SU",
        "FREQ=MONTHLY;BYDAY=-1SU",
        "FREQ=MONTHLY;BYMONTHDAY=29,30,31",
        "FREQ=YEARLY",
    ][..];
    let durations = &["PT30M", "PT26H", "P1D", "P2W", "P1M"][..];
    (
        moments(),
        1..400_i64,
        any::<bool>(),
        sample::select(rules),
        sample::select(durations),
        sample::select(&ZONES[..]),
    )
        .prop_map(|(start, days, is_local, rule, duration, zone)| {
            let end = start + SignedDuration::from_hours(24 * days);
            let (from, to) = (start.to_string(), end.to_string());
            if is_local {
                every(
                    region_local(from.trim_end_matches('Z'), to.trim_end_matches('Z')),
                    rule,
                    None,
                    duration,
                )
            } else {
                every(absolute(&from, &to), rule, Some(zone), duration)
            }
        })
}

proptest! {
    /// What is announced for a wall-clock time happens when the wall shows it; where it never does, at the first
    /// moment after; where it does twice, the first time. And order is kept.
    #[test]
    fn a_wall_clock_time_happens_once(name in sample::select(&ZONES[..]), at in moments(), later in 0..200_000_i64) {
        let zone: Zone = name.parse().unwrap();
        let wall = Zone::utc().wall_clock(at);
        let instant = zone.instant(wall).unwrap();
        let second = SignedDuration::from_secs(1);
        prop_assert!(zone.wall_clock(instant) >= wall);
        prop_assert!(zone.wall_clock(instant - second) < wall, "{} {}", name, wall);
        // The earliest of all such moments, looking back over the longest repetition.
        prop_assert!(zone.wall_clock(instant - SignedDuration::from_hours(1)) < wall);
        let after = zone.instant(wall + Span::new().seconds(later)).unwrap();
        prop_assert!(instant <= after);
    }

    /// Any part of the calendar is a part of the whole, whenever it is looked at.
    #[test]
    fn a_schedule_does_not_depend_on_when_it_is_made(
        timing in timings(),
        name in sample::select(&ZONES[..]),
        hours in 0..9_600_i64,
        length in 1..2_000_i64,
    ) {
        let zone: Zone = name.parse().unwrap();
        let (start, end) = timing.window.within(&zone).unwrap();
        let (all, beyond) = between(&timing, &zone, Timestamp::MIN, end).unwrap();
        prop_assert_eq!(beyond, None);
        let from = start + SignedDuration::from_hours(hours - 48);
        let to = from + SignedDuration::from_hours(length);
        let (part, beyond) = between(&timing, &zone, from, to).unwrap();
        let expected: Vec<Occurrence> =
            all.iter().filter(|o| o.closes > from && o.opens < to).copied().collect();
        prop_assert_eq!(&part, &expected);
        prop_assert_eq!(beyond, all.iter().map(|o| o.opens).find(|opens| *opens >= to));
        for occurrence in &all {
            prop_assert!(occurrence.opens >= start && occurrence.closes <= end);
        }
        prop_assert!(all.iter().zip(all.iter().skip(1)).all(|(one, next)| one.closes <= next.opens));
    }

    /// Topped up day by day, a region has shown by the end what one expansion of the whole would show.
    #[test]
    fn topping_up_misses_and_repeats_nothing(timing in timings(), name in sample::select(&ZONES[..]), every_hours in 5..700_i64) {
        let zone: Zone = name.parse().unwrap();
        let (start, end) = timing.window.within(&zone).unwrap();
        let (all, _) = between(&timing, &zone, Timestamp::MIN, end).unwrap();
        let mut now = start - SignedDuration::from_hours(24);
        let mut held = schedule(&timing, &zone, now).unwrap();
        let mut shown = held.occurrences().to_vec();
        while now < end {
            now += SignedDuration::from_hours(every_hours);
            let expansion = expand(&timing, &zone, now).unwrap();
            let due = crate::event::series::due(&expansion);
            prop_assert!(due.is_none_or(|due| due >= now));
            if let Some(topped_up) = crate::event::series::topped_up(&held, &expansion, now).unwrap() {
                held = topped_up;
            }
            // Whatever is open now or within the horizon is there.
            let there = |o: &Occurrence| held.occurrences().contains(o);
            let expected = all.iter().filter(|o| o.closes > now && o.opens < now + HORIZON);
            for occurrence in expected {
                prop_assert!(there(occurrence), "{} lacks {:?}", now, occurrence);
            }
            shown.extend(held.occurrences());
        }
        shown.sort();
        shown.dedup();
        prop_assert_eq!(shown, all);
    }
}
