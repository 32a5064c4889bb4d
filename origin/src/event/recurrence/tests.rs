//! The subset of rules, what is refused, and that following one from later gives the same.

use proptest::prelude::*;
use proptest::{option, sample};

use super::*;

fn start() -> DateTime {
    "2026-01-02T18:00:00".parse().unwrap() // a Friday
}

#[test]
fn expands_wall_clock_times() {
    let table = [
        (
            "FREQ=WEEKLY",
            [
                "2026-01-02T18:00:00",
                "2026-01-09T18:00:00",
                "2026-01-16T18:00:00",
            ],
        ),
        (
            "freq=weekly;byday=sa",
            [
                "2026-01-03T18:00:00",
                "2026-01-10T18:00:00",
                "2026-01-17T18:00:00",
            ],
        ),
        (
            "RRULE:FREQ=DAILY;INTERVAL=2",
            [
                "2026-01-02T18:00:00",
                "2026-01-04T18:00:00",
                "2026-01-06T18:00:00",
            ],
        ),
        (
            "FREQ=DAILY;BYHOUR=12,20",
            [
                "2026-01-02T20:00:00",
                "2026-01-03T12:00:00",
                "2026-01-03T20:00:00",
            ],
        ),
        (
            "FREQ=MONTHLY;BYDAY=-1SU",
            [
                "2026-01-25T18:00:00",
                "2026-02-22T18:00:00",
                "2026-03-29T18:00:00",
            ],
        ),
        (
            "FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=24",
            [
                "2026-12-24T18:00:00",
                "2027-12-24T18:00:00",
                "2028-12-24T18:00:00",
            ],
        ),
    ];
    for (rule, expected) in table {
        let openings: Vec<String> = Rule::new(rule, start())
            .unwrap()
            .openings(start(), start())
            .unwrap()
            .take(3)
            .map(|at| at.to_string())
            .collect();
        assert_eq!(openings, expected, "{rule}");
    }
}

#[test]
fn counts() {
    let rule = Rule::new("FREQ=DAILY;COUNT=4", start()).unwrap();
    assert_eq!(rule.openings(start(), start()).unwrap().count(), 4);
}

#[test]
fn refuses_what_is_outside_the_subset() {
    let table = [
        ("every friday", RuleError::Shape),
        ("", RuleError::Shape),
        ("FREQ=", RuleError::Shape),
        ("FREQ=WEEKLY;BYDAY=FR\nEXDATE:20260101", RuleError::Shape),
        ("FREQ=HOURLY", RuleError::Frequency),
        ("FREQ=SECONDLY", RuleError::Frequency),
        ("INTERVAL=2", RuleError::Frequency),
        (
            "FREQ=DAILY;UNTIL=20270101T000000Z",
            RuleError::Part("UNTIL".to_owned()),
        ),
        (
            "FREQ=DAILY;BYMINUTE=1,2,3",
            RuleError::Part("BYMINUTE".to_owned()),
        ),
        (
            "FREQ=DAILY;FREQ=WEEKLY",
            RuleError::Twice("FREQ".to_owned()),
        ),
        (
            "FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16",
            RuleError::TooOften,
        ),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", RuleError::Never),
    ];
    for (rule, expected) in table {
        assert_eq!(Rule::new(rule, start()), Err(expected), "{rule}");
    }
    for rule in [
        "FREQ=WEEKLY;BYDAY=XX",
        "FREQ=DAILY;BYHOUR=99",
        "FREQ=DAILY;INTERVAL=-1",
    ] {
        assert!(
            matches!(Rule::new(rule, start()), Err(RuleError::Invalid(_))),
            "{rule}"
        );
    }
}

#[test]
fn a_count_or_an_interval_beyond_all_measure_is_refused_or_never_opens() {
    let table = [
        ("FREQ=DAILY;COUNT=60001", RuleError::Count),
        ("FREQ=DAILY;COUNT=4294967295", RuleError::Count),
        ("FREQ=DAILY;COUNT=0", RuleError::Never),
        ("FREQ=DAILY;INTERVAL=0", RuleError::Never),
        ("FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=31", RuleError::Never),
        ("FREQ=DAILY;BYMONTH=4;BYMONTHDAY=31", RuleError::Never),
        // Fridays only, and never a Friday.
        ("FREQ=WEEKLY;BYDAY=FR;BYSETPOS=2", RuleError::Never),
    ];
    for (rule, expected) in table {
        assert_eq!(Rule::new(rule, start()), Err(expected), "{rule}");
    }
    for rule in [
        "FREQ=DAILY;COUNT=99999999999999999999",
        "FREQ=DAILY;INTERVAL=65536",
        "FREQ=DAILY;COUNT=-1",
        "FREQ=MONTHLY;BYMONTHDAY=0",
        "FREQ=MONTHLY;BYMONTHDAY=32",
        "FREQ=MONTHLY;BYDAY=0FR",
        "FREQ=YEARLY;BYMONTH=13",
        "FREQ=YEARLY;BYMONTH=1,",
        "FREQ=WEEKLY;WKST=XX",
    ] {
        let refused = Rule::new(rule, start());
        assert!(
            matches!(refused, Err(RuleError::Invalid(_))),
            "{rule}: {refused:?}"
        );
    }
    let long = format!("FREQ=DAILY;BYHOUR={}", "1,".repeat(300));
    assert_eq!(Rule::new(&long, start()), Err(RuleError::TooLong));
}

/// Values of one part, as text.
fn values(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    sample::subsequence(of, 1..=of.len().min(4)).prop_map(|values| values.join(","))
}

/// Rules of the whole subset but for those that count, with intervals up to what a year has of weeks.
fn rules() -> impl Strategy<Value = String> {
    let freq = sample::select(&["DAILY", "WEEKLY", "MONTHLY", "YEARLY"][..]);
    let parts = (
        option::of(1..60_u16),
        option::weighted(0.4, values(&["MO", "TU", "WE", "TH", "FR", "SA", "SU"])),
        option::weighted(
            0.3,
            values(&["1", "2", "13", "28", "29", "30", "31", "-1", "-3"]),
        ),
        option::weighted(0.3, values(&["1", "2", "3", "6", "11", "12"])),
        option::weighted(0.2, values(&["1", "2", "-1", "5"])),
        option::weighted(0.3, values(&["0", "2", "3", "12", "23"])),
        option::weighted(0.3, sample::select(&["MO", "SU", "WE"][..])),
    );
    (freq, parts).prop_map(
        |(freq, (interval, days, month_days, months, set, hours, wkst))| {
            let mut rule = format!("FREQ={freq}");
            let parts = [
                ("INTERVAL", interval.map(|interval| interval.to_string())),
                ("BYDAY", days),
                ("BYMONTHDAY", month_days),
                ("BYMONTH", months),
                ("BYSETPOS", set),
                ("BYHOUR", hours),
                ("WKST", wkst.map(str::to_owned)),
            ];
            for (name, value) in parts {
                if let Some(value) = value {
                    rule.push_str(&format!(";{name}={value}"));
                }
            }
            rule
        },
    )
}

/// Starts on any day of eight years, so on 29 February and on the 31st as well.
fn starts() -> impl Strategy<Value = DateTime> {
    (0..8 * 365_i64, 0..24_i8).prop_map(|(days, hour)| {
        let first: Date = "2020-01-01".parse().unwrap();
        (first + Span::new().days(days)).at(hour, 30, 0, 0)
    })
}

proptest! {
    #[test]
    fn following_a_rule_from_later_gives_the_same_openings(
        text in rules(),
        start in starts(),
        days_later in 0..40_000_i64,
    ) {
        // Those outside the subset, or that never open, have their own tests.
        let Ok(rule) = Rule::new(&text, start) else { return Ok(()) };
        let from = start + Span::new().days(days_later);
        let from_start = rule.set(start).unwrap().limit().into_iter().map(|at| {
            TimeZone::UTC.to_datetime(Timestamp::from_second(at.timestamp()).unwrap())
        });
        let expected: Vec<DateTime> = from_start.skip_while(|at| *at < from).take(20).collect();
        let found: Vec<DateTime> = rule.openings(start, from).unwrap().take(20).collect();
        prop_assert_eq!(found, expected, "{} from {} on", text, from);
    }

    #[test]
    fn no_text_is_too_much_for_a_rule(text in "[A-Z0-9=;,:+ -]{0,80}", start in starts()) {
        // It may be one or not; it has an end.
        if let Ok(rule) = Rule::new(&text, start) {
            prop_assert!(rule.openings(start, start).unwrap().next().is_some());
        }
    }
}
