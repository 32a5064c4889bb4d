//! Tables for what is told, and laws for whatever clock and whatever changes: [`laws`].

mod laws;

use jiff::SignedDuration;
use liveevents_protocol::conditions::{Patience, WhenStale};
use liveevents_protocol::entry::Entry;
use liveevents_protocol::model::{Assignment, Content};
use liveevents_protocol::schedule::Schedule;
use liveevents_protocol::version::Version;

use super::*;
use crate::replica::history::{History, assignment, content, epoch, event};

const REGION: &str = "us-east";

pub(super) fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

pub(super) fn occurrence(&(opens, closes): &(i64, i64)) -> Occurrence {
    Occurrence {
        opens: second(opens),
        closes: second(closes),
    }
}

pub(super) fn scheduled(name: &str, occurrences: &[(i64, i64)]) -> Assignment {
    let occurrences = occurrences.iter().map(occurrence).collect();
    Assignment {
        schedule: Schedule::new(occurrences).unwrap(),
        ..assignment(name, 1)
    }
}

pub(super) fn hide_after(seconds: u32) -> WhenStale {
    WhenStale::HideAfter(Patience::from_seconds(seconds).unwrap())
}

/// Revision 1, hidden after so many seconds of silence.
fn hiding(name: &str, seconds: u32) -> Content {
    Content {
        when_stale: hide_after(seconds),
        ..content(name, 1)
    }
}

/// What is told of an event: its name, the moment, the cause, and the occurrence if one has begun.
type Line = (String, i64, Cause, Option<(i64, i64)>);

/// One region, looked at.
struct Desk {
    timers: Timers,
    history: History,
    seen: Version,
    silent_since: Option<Timestamp>,
}

impl Desk {
    /// Holds these at the first look.
    fn new(now: i64, entries: Vec<Entry>) -> Self {
        let mut desk = Self {
            timers: Timers::default(),
            history: History::new(REGION, epoch(5)),
            seen: Version::ZERO,
            silent_since: None,
        };
        desk.history.commit(entries, second(0));
        assert_eq!(desk.look(now), Found::default());
        desk
    }

    fn change(&mut self, entry: impl Into<Entry>) {
        self.history.commit(vec![entry.into()], second(0));
    }

    fn look(&mut self, now: i64) -> Found {
        let head = self.history.head();
        let state = self.history.state(head);
        let news = if std::mem::replace(&mut self.seen, head) == head {
            News::Same
        } else {
            News::Later(state)
        };
        let at = At {
            now: second(now),
            silent_since: self.silent_since,
        };
        self.timers.look(&REGION.parse().unwrap(), news, at)
    }

    /// What is told at a moment.
    fn told(&mut self, now: i64) -> Vec<Line> {
        let switches = self.look(now).switches;
        let told = |switch: Switch| {
            let begun = match switch.to {
                Side::On(o) => Some((o.opens.as_second(), o.closes.as_second())),
                Side::Off(_) => None,
            };
            (
                switch.event.to_string(),
                switch.at.as_second(),
                switch.cause,
                begun,
            )
        };
        switches.into_iter().map(told).collect()
    }
}

fn on(name: &str, at: i64, cause: Cause, o: (i64, i64)) -> Line {
    (name.to_owned(), at, cause, Some(o))
}

fn off(name: &str, at: i64, cause: Cause) -> Line {
    (name.to_owned(), at, cause, None)
}

fn two() -> Vec<Entry> {
    vec![
        content("cup", 1).into(),
        content("sale", 1).into(),
        scheduled("cup", &[(10, 20), (20, 30), (50, 60)]).into(),
        scheduled("sale", &[(15, 25)]).into(),
    ]
}

#[test]
fn each_occurrence_begins_and_ends_once_at_its_moment() {
    let mut desk = Desk::new(0, two());
    let cause = Cause::Schedule;
    let table = [
        (9, 10, vec![]),
        (10, 15, vec![on("cup", 10, cause, (10, 20))]),
        (10, 15, vec![]),
        // Noticed a little late.
        (17, 20, vec![on("sale", 15, cause, (15, 25))]),
        (
            20,
            25,
            vec![off("cup", 20, cause), on("cup", 20, cause, (20, 30))],
        ),
        // Both by one look, in order of their moments.
        (40, 50, vec![off("sale", 25, cause), off("cup", 30, cause)]),
        (55, 60, vec![on("cup", 50, cause, (50, 60))]),
    ];
    for (now, next, told) in table {
        assert_eq!(desk.told(now), told, "at {now}");
        assert_eq!(desk.timers.next(), Some(second(next)), "at {now}");
    }
    assert_eq!(desk.told(60), [off("cup", 60, cause)]);
    assert_eq!(desk.timers.next(), None);
}

#[test]
fn a_clock_that_jumps_over_occurrences_tells_the_difference() {
    let mut desk = Desk::new(0, two());
    // Over all of the sale, and into the cup's last occurrence.
    assert_eq!(desk.told(55), [on("cup", 50, Cause::Schedule, (50, 60))]);
    // The clock was wrong by more than a day, and is followed back: what is over has to begin again.
    assert_eq!(desk.told(5), [off("cup", 5, Cause::Schedule)]);
    let told = [
        on("cup", 10, Cause::Schedule, (10, 20)),
        on("sale", 15, Cause::Schedule, (15, 25)),
    ];
    assert_eq!(desk.told(16), told);
}

#[test]
fn what_is_on_at_the_first_look_is_no_news() {
    let mut desk = Desk::new(16, two());
    assert_eq!(desk.told(16), []);
    assert_eq!(desk.told(25)[0], off("cup", 20, Cause::Schedule));
}

#[test]
fn changes_are_told_as_changes_and_only_if_they_switch() {
    let mut desk = Desk::new(12, two());
    // Ends later: nothing begins or ends.
    desk.change(scheduled("cup", &[(10, 40), (50, 60)]));
    assert_eq!(desk.look(13), Found::default());
    assert_eq!(desk.told(21), [on("sale", 15, Cause::Schedule, (15, 25))]);
    let mut paused = scheduled("sale", &[(15, 25)]);
    paused.suspension.paused = true;
    desk.change(paused);
    assert_eq!(desk.told(22), [off("sale", 22, Cause::Change)]);
    desk.change(scheduled("sale", &[(15, 25)]));
    assert_eq!(desk.told(23), [on("sale", 23, Cause::Change, (15, 25))]);
    // A change that switches nothing, noticed after a switch that was due.
    desk.change(scheduled("sale", &[(15, 24)]));
    assert_eq!(desk.told(24), [off("sale", 24, Cause::Change)]);
    desk.change(content("cup", 2));
    assert_eq!(desk.told(40), [off("cup", 40, Cause::Schedule)]);
    desk.change(Entry::Removal(
        liveevents_protocol::entry::EntryKey::Assignment(event("cup")),
    ));
    assert_eq!((desk.told(55), desk.timers.next()), (vec![], None));
}

#[test]
fn a_change_that_comes_with_the_end_it_moves_lets_nothing_end() {
    let mut desk = Desk::new(24, two());
    desk.change(scheduled("sale", &[(15, 90)]));
    assert_eq!(desk.told(26), []);
}

#[test]
fn what_hides_when_stale_ends_by_silence_and_comes_back_by_contact() {
    let entries = vec![
        hiding("cup", 30).into(),
        content("sale", 1).into(),
        scheduled("cup", &[(0, 200)]).into(),
        scheduled("sale", &[(0, 200)]).into(),
    ];
    let mut desk = Desk::new(100, entries);
    // In contact it waits for nothing but its end.
    assert_eq!(desk.timers.next(), Some(second(200)));
    desk.silent_since = Some(second(99));
    assert_eq!(desk.told(110), []);
    assert_eq!(desk.timers.next(), Some(second(129)));
    assert_eq!(desk.told(130), [off("cup", 129, Cause::Stale)]);
    assert_eq!(desk.timers.next(), Some(second(200)));
    desk.silent_since = None;
    assert_eq!(desk.told(140), [on("cup", 140, Cause::Stale, (0, 200))]);
    // Silence that hides it at once.
    desk.silent_since = Some(second(10));
    assert_eq!(desk.told(150), [off("cup", 40, Cause::Stale)]);
    // Closed while hidden: nobody is told what they know.
    assert_eq!(desk.told(200), [off("sale", 200, Cause::Schedule)]);
}

#[test]
fn another_history_is_compared_with_what_was_told() {
    let mut desk = Desk::new(16, two());
    let mut other = History::new(REGION, epoch(6));
    other.commit(
        vec![
            content("sale", 1).into(),
            scheduled("sale", &[(10, 90)]).into(),
        ],
        second(0),
    );
    let at = At {
        now: second(17),
        silent_since: None,
    };
    let found = desk.timers.look(
        &REGION.parse().unwrap(),
        News::Later(other.state(Version(1))),
        at,
    );
    let told: Vec<_> = found
        .switches
        .iter()
        .map(|s| (s.event.as_str(), s.cause, s.to))
        .collect();
    assert_eq!(told, [("cup", Cause::Change, Side::Off(None))]);
    assert_eq!(desk.timers.next(), Some(second(90)));
}

#[test]
fn a_candidate_that_reaches_nobody_begins_nothing() {
    let mut tried = scheduled("sale", &[(0, 100)]);
    let candidate = |exposure| liveevents_protocol::model::Candidate {
        revision: liveevents_protocol::version::Revision(1),
        exposure: liveevents_protocol::version::BasisPoints::new(exposure).unwrap(),
        bucket_by: liveevents_protocol::model::BucketBy::default(),
    };
    tried.live = None;
    tried.candidate = Some(candidate(0));
    let mut desk = Desk::new(1, vec![content("sale", 1).into(), tried.clone().into()]);
    tried.candidate = Some(candidate(1));
    desk.change(tried);
    assert_eq!(desk.told(2), [on("sale", 2, Cause::Change, (0, 100))]);
}
