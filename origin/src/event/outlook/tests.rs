//! What is due when.

use std::collections::BTreeSet;

use super::*;
use crate::event::recurrence::{Recurrence, Rule};
use crate::event::schedule::HORIZON;
use crate::event::timing::{Timing, Window};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn once() -> Timing {
    Timing {
        window: Window::Absolute {
            start: at("2026-07-01T10:00:00Z"),
            end: at("2026-07-01T12:00:00Z"),
        },
        zone: Zone::utc(),
        recurrence: None,
    }
}

/// Daily at ten for two hours.
fn daily(end: &str) -> Timing {
    let start = "2026-07-01T10:00:00".parse().unwrap();
    let duration: jiff::Span = "PT2H".parse().unwrap();
    Timing {
        window: Window::Absolute {
            start: at("2026-07-01T10:00:00Z"),
            end: at(end),
        },
        zone: Zone::utc(),
        recurrence: Some(Recurrence {
            rule: Rule::new("FREQ=DAILY", start).unwrap(),
            zone: None,
            duration: duration.fieldwise(),
            except: BTreeSet::new(),
            until: None,
        }),
    }
}

fn schedule(times: &[(&str, &str)]) -> Schedule {
    let occurrence = |&(opens, closes): &(&str, &str)| Occurrence {
        opens: at(opens),
        closes: at(closes),
    };
    Schedule::new(times.iter().map(occurrence).collect()).unwrap()
}

fn look(state: State, timing: &Timing, regions: &[(&str, &Schedule)], now: &str) -> Outlook {
    let zone = Zone::utc();
    let held = regions.iter().map(|(region, schedule)| {
        let held = Held {
            zone: &zone,
            schedule,
        };
        (region.parse().unwrap(), held)
    });
    let times = Times {
        timing,
        activated: None,
    };
    let end = timing.window.within(&zone).unwrap().1;
    outlook(state, times, end, &held.collect(), at(now)).unwrap()
}

/// `state at moment` of each transition.
fn steps(look: &Outlook) -> Vec<String> {
    let steps = look.transitions.iter();
    steps
        .map(|step| format!("{} at {}", step.to, step.at))
        .collect()
}

#[test]
fn the_first_opening_and_the_last_closing_count_each_at_its_moment() {
    use State::{Active, Cancelled, Completed, Draft, Paused, Scheduled};
    // East shows it from ten to twelve, west from one to three.
    let east = schedule(&[("2026-07-01T10:00:00Z", "2026-07-01T12:00:00Z")]);
    let west = schedule(&[("2026-07-01T13:00:00Z", "2026-07-01T15:00:00Z")]);
    let regions = [("us-east", &east), ("us-west", &west)];
    let (opened, closed) = (
        "Active at 2026-07-01T10:00:00Z",
        "Completed at 2026-07-01T15:00:00Z",
    );
    // State, now, transitions, next look.
    let table = [
        (Scheduled, "09:59:59", &[][..], Some("10:00:00")),
        (Scheduled, "10:00:00", &[opened], Some("15:00:00")),
        (Scheduled, "12:30:00", &[opened], Some("15:00:00")),
        // Everything was missed.
        (Scheduled, "15:00:00", &[opened, closed], None),
        (Active, "14:59:59", &[], Some("15:00:00")),
        (Active, "15:00:00", &[closed], None),
        (Active, "20:00:00", &[closed], None),
        (Paused, "14:00:00", &[], Some("15:00:00")),
        (Paused, "16:00:00", &[closed], None),
        (Draft, "16:00:00", &[], None),
        (Completed, "16:00:00", &[], None),
        (Cancelled, "16:00:00", &[], None),
    ];
    for (state, now, expected, next) in table {
        let found = look(state, &once(), &regions, &format!("2026-07-01T{now}Z"));
        assert_eq!(steps(&found), expected, "{state} at {now}");
        let next = next.map(|next| at(&format!("2026-07-01T{next}Z")));
        assert_eq!(found.next, next, "{state} at {now}");
    }
}

#[test]
fn without_a_region_nothing_opens_and_the_end_is_the_announced_one() {
    use State::{Active, Scheduled};
    let found = |state, now| look(state, &once(), &[], now);
    assert_eq!(found(Scheduled, "2026-07-02T00:00:00Z"), Outlook::default());
    let active = found(Active, "2026-07-01T11:00:00Z");
    assert_eq!(
        (active.transitions.len(), active.next),
        (0, Some(at("2026-07-01T12:00:00Z")))
    );
    let over = found(Active, "2026-07-02T00:00:00Z");
    assert_eq!(steps(&over), ["Completed at 2026-07-01T12:00:00Z"]);
    // Nor does a region that the event came into and was never shown in.
    let never = Schedule::default();
    let found = look(
        Scheduled,
        &once(),
        &[("us-east", &never)],
        "2026-07-01T11:00:00Z",
    );
    assert_eq!(found, Outlook::default());
}

#[test]
fn a_series_is_topped_up_when_an_occurrence_comes_within_the_horizon_and_ends_after_its_last() {
    let endless = daily("2027-07-01T00:00:00Z");
    let times = Times {
        timing: &endless,
        activated: None,
    };
    let deployed = at("2026-06-01T00:00:00Z");
    let held = times.expand(&Zone::utc(), deployed).unwrap().schedule;
    let at_start = look(
        State::Scheduled,
        &endless,
        &[("us-east", &held)],
        "2026-07-01T09:00:00Z",
    );
    assert_eq!(steps(&at_start), Vec::<String>::new());
    assert_eq!(at_start.next, Some(at("2026-07-01T10:00:00Z")));
    assert!(at_start.lacking.is_empty());

    // The last one held opened below 60 days from the start; the next is that one day later.
    let last = held.occurrences().last().unwrap().opens;
    let due = last + SignedDuration::from_hours(24) - HORIZON;
    let before = look(
        State::Active,
        &endless,
        &[("us-east", &held)],
        "2026-07-01T09:59:59Z",
    );
    assert_eq!(before.next, Some(due));
    let later = due + SignedDuration::from_secs(1);
    let found = look(
        State::Active,
        &endless,
        &[("us-east", &held)],
        &later.to_string(),
    );
    let lacking = &found.lacking[&"us-east".parse().unwrap()];
    assert_eq!(lacking.len(), 1);
    assert_eq!(lacking[0].opens, last + SignedDuration::from_hours(24));
    assert_eq!(found.next, Some(due + SignedDuration::from_hours(24)));
    // Looked at that very moment, it is looked at again soon, and not at once for ever.
    let found = look(
        State::Active,
        &endless,
        &[("us-east", &held)],
        &due.to_string(),
    );
    assert!(found.next.unwrap() > due);

    let three_days = daily("2026-07-03T23:00:00Z");
    let times = Times {
        timing: &three_days,
        activated: None,
    };
    let held = times.expand(&Zone::utc(), deployed).unwrap().schedule;
    let regions = [("us-east", &held)];
    let between = look(State::Active, &three_days, &regions, "2026-07-02T15:00:00Z");
    assert_eq!(between.next, Some(at("2026-07-03T12:00:00Z")));
    let over = look(
        State::Scheduled,
        &three_days,
        &regions,
        "2026-09-01T00:00:00Z",
    );
    assert_eq!(
        steps(&over),
        [
            "Active at 2026-07-01T10:00:00Z",
            "Completed at 2026-07-03T12:00:00Z"
        ]
    );
    assert!(over.lacking.is_empty());
}

#[test]
fn a_pause_between_two_occurrences_of_a_rare_series_is_not_its_end() {
    // Nothing within the horizon, but one year later.
    let mut yearly = daily("2030-01-01T00:00:00Z");
    let recurrence = yearly.recurrence.as_mut().unwrap();
    recurrence.rule = Rule::new("FREQ=YEARLY", "2026-07-01T10:00:00".parse().unwrap()).unwrap();
    let held = schedule(&[("2026-07-01T10:00:00Z", "2026-07-01T12:00:00Z")]);
    let found = look(
        State::Active,
        &yearly,
        &[("us-east", &held)],
        "2026-10-01T00:00:00Z",
    );
    assert_eq!(steps(&found), Vec::<String>::new());
    assert_eq!(found.next, Some(at("2027-07-01T10:00:00Z") - HORIZON));
    // After years away there is what lies ahead from then on.
    let found = look(
        State::Active,
        &yearly,
        &[("us-east", &held)],
        "2029-06-15T00:00:00Z",
    );
    let lacking = &found.lacking[&"us-east".parse().unwrap()];
    assert_eq!(lacking.len(), 1);
    assert_eq!(lacking[0].opens, at("2029-07-01T10:00:00Z"));
}
