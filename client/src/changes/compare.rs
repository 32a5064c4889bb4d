//! What is different between two states, and what is active in one. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use liveevents_protocol::evaluate::{Moment, Offer};
use liveevents_protocol::id::{EventId, SegmentId};
use liveevents_protocol::message::Cursor;
use liveevents_protocol::model::{Assignment, Content};
use liveevents_protocol::state::RegionState;

use super::{Change, What};

/// The events that are shown to somebody: who that is, exposure and build decide.
pub(super) fn active(state: &RegionState, at: Moment) -> BTreeSet<EventId> {
    state
        .assignments()
        .filter(|assignment| is_active(Offer::of(state, assignment), at))
        .map(|assignment| assignment.event_id.clone())
        .collect()
}

fn is_active(offer: Offer<'_>, at: Moment) -> bool {
    let keeps = |content: Option<&Content>| content.is_some_and(|c| c.when_stale.keeps(at.age));
    !offer.assignment.suspension.is_suspended()
        && offer.assignment.schedule.is_open(at.now)
        && (keeps(offer.live) || keeps(offer.candidate))
}

/// How long until the first event opens or closes.
pub(super) fn next_switch(state: &RegionState, now: Timestamp) -> Option<Duration> {
    let switches = state
        .assignments()
        .filter_map(|a| a.schedule.next_switch(now));
    let pause = switches.min()?.duration_since(now);
    Some(pause.unsigned_abs())
}

type Seen<'a, S> = (S, &'a BTreeSet<EventId>);

/// What is different, in order of event. Each side is a state and what is active in it.
pub(super) fn compare(
    (before, was_active): Seen<'_, Option<&RegionState>>,
    (after, is_active): Seen<'_, &RegionState>,
    at: Timestamp,
) -> VecDeque<Change> {
    let cursor = Cursor {
        epoch: after.epoch(),
        version: after.version(),
    };
    let mut sides: BTreeMap<&EventId, (Option<&Assignment>, Option<&Assignment>)> = BTreeMap::new();
    for assignment in before.into_iter().flat_map(RegionState::assignments) {
        sides.entry(&assignment.event_id).or_default().0 = Some(assignment);
    }
    for assignment in after.assignments() {
        sides.entry(&assignment.event_id).or_default().1 = Some(assignment);
    }
    let mut changes = VecDeque::new();
    for (event, (old, new)) in sides {
        let mut tell = |what| {
            changes.push_back(Change {
                event: event.clone(),
                what,
                cursor,
                at,
            });
        };
        match (old, new) {
            (None, Some(_)) => tell(What::Appeared),
            (Some(old), Some(new)) if is_other((before, old), (after, new)) => tell(What::Changed),
            _ => {}
        }
        let next = new.and_then(|new| new.schedule.current_or_next(at));
        match (was_active.contains(event), is_active.contains(event)) {
            (false, true) => tell(What::Activated {
                closes: next.map(|occurrence| occurrence.closes),
            }),
            (true, false) => tell(What::Deactivated {
                opens: next
                    .map(|occurrence| occurrence.opens)
                    .filter(|&opens| opens > at),
            }),
            _ => {}
        }
        if new.is_none() {
            tell(What::Removed);
        }
    }
    changes
}

/// Whether an event's assignment, a content that it names, or a segment that this names, is another. What was not touched is the same in memory.
fn is_other(
    (before, old): (Option<&RegionState>, &Assignment),
    (after, new): (&RegionState, &Assignment),
) -> bool {
    if !std::ptr::eq(old, new) && old != new {
        return true;
    }
    let content = |state: &'_ RegionState, revision| {
        state
            .content(&new.event_id, revision)
            .map(std::ptr::from_ref)
    };
    let is_other_segment = |id: &SegmentId| {
        let segment = |state: &RegionState| state.segment(id).map(|segment| segment.revision);
        before.and_then(segment) != segment(after)
    };
    new.revisions().any(|revision| {
        let is = after.content(&new.event_id, revision);
        let segments = is.map(|is| is.target_segments.iter().chain(&is.exclude_segments));
        if segments.into_iter().flatten().any(is_other_segment) {
            return true;
        }
        let was = before.and_then(|before| content(before, revision));
        let is = content(after, revision);
        was != is
            && before.and_then(|before| before.content(&new.event_id, revision))
                != after.content(&new.event_id, revision)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use liveevents_protocol::conditions::{Patience, WhenStale};
    use liveevents_protocol::entry::{Delta, Entry, EntryKey};
    use liveevents_protocol::json_text::JsonText;
    use liveevents_protocol::model::{EventType, Suspension};
    use liveevents_protocol::schedule::{Occurrence, Schedule};
    use liveevents_protocol::segment::{Criteria, Segment};
    use liveevents_protocol::version::{Epoch, Revision, Version};
    use uuid::Uuid;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn content(event: &str, name: &str) -> Content {
        Content {
            event_id: event.parse().unwrap(),
            revision: Revision(1),
            event_type: EventType::ContentRelease,
            display_name: name.to_owned(),
            description: String::new(),
            category: None,
            priority: 0,
            tags: Vec::new(),
            localizations: BTreeMap::new(),
            requires: Default::default(),
            when_stale: WhenStale::Keep,
            target_segments: Vec::new(),
            exclude_segments: Vec::new(),
            configuration: JsonText::empty_object(),
        }
    }

    /// Open from 100 to 200.
    fn assignment(event: &str) -> Assignment {
        let occurrence = Occurrence {
            opens: at(100),
            closes: at(200),
        };
        Assignment {
            event_id: event.parse().unwrap(),
            salt: String::new(),
            live: Some(Revision(1)),
            candidate: None,
            schedule: Schedule::new(vec![occurrence]).unwrap(),
            suspension: Suspension::default(),
            full: false,
        }
    }

    fn after(state: &RegionState, entries: Vec<Entry>) -> RegionState {
        let delta = Delta::of_row(state.epoch(), state.version().next(), entries);
        state.apply(&delta).unwrap()
    }

    /// Such as `sale+ sale!`: appeared `+`, changed `~`, removed `-`, activated `!`, deactivated `.`.
    fn told(
        (before, was): (Option<&RegionState>, i64),
        (after, is): (&RegionState, i64),
    ) -> String {
        let active_in = |state, second| active(state, Moment::fresh(at(second)));
        let was_active = before.map_or_else(BTreeSet::new, |state| active_in(state, was));
        let is_active = active_in(after, is);
        let changes = compare((before, &was_active), (after, &is_active), at(is));
        let words = changes.into_iter().map(|change| {
            let sign = match change.what {
                What::Appeared => "+".to_owned(),
                What::Changed => "~".to_owned(),
                What::Removed => "-".to_owned(),
                What::Activated { closes } => format!("!{}", closes.unwrap().as_second()),
                What::Deactivated { opens } => {
                    format!(".{}", opens.map_or(0, Timestamp::as_second))
                }
            };
            assert_eq!(change.cursor.version, after.version());
            format!("{}{sign}", change.event)
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn tells_what_is_different_and_nothing_else() {
        let empty = RegionState::empty(Epoch(Uuid::from_u128(1)));
        let one = after(
            &empty,
            vec![content("a", "").into(), assignment("a").into()],
        );
        assert_eq!(told((None, 0), (&one, 50)), "a+");
        assert_eq!(told((Some(&empty), 0), (&one, 150)), "a+ a!200");
        // By time alone.
        assert_eq!(told((Some(&one), 50), (&one, 99)), "");
        assert_eq!(told((Some(&one), 50), (&one, 100)), "a!200");
        assert_eq!(told((Some(&one), 150), (&one, 200)), "a.0");
        // By a change: of the content, of the assignment, of another event.
        let edited = after(&one, vec![content("a", "new").into()]);
        assert_eq!(told((Some(&one), 150), (&edited, 150)), "a~");
        let again = after(&one, vec![content("a", "").into(), assignment("a").into()]);
        assert_eq!(told((Some(&one), 150), (&again, 150)), "", "the same again");
        let paused = Assignment {
            suspension: Suspension {
                paused: true,
                stopped: false,
            },
            ..assignment("a")
        };
        let paused = after(&one, vec![paused.into()]);
        assert_eq!(told((Some(&one), 150), (&paused, 150)), "a~ a.0");
        assert_eq!(told((Some(&one), 50), (&paused, 60)), "a~");
        let two = after(&one, vec![content("b", "").into(), assignment("b").into()]);
        assert_eq!(told((Some(&one), 150), (&two, 150)), "b+ b!200");
        let event: EventId = "a".parse().unwrap();
        let gone = after(&one, vec![Entry::Removal(EntryKey::Assignment(event))]);
        assert_eq!(told((Some(&one), 150), (&gone, 150)), "a.0 a-");
        // What lies between is skipped.
        assert_eq!(told((None, 0), (&gone, 150)), "");
    }

    #[test]
    fn another_revision_of_a_segment_changes_the_events_that_name_it() {
        let segment = |revision| -> Entry {
            Segment {
                id: "vip".parse().unwrap(),
                revision: Revision(revision),
                criteria: Criteria::default(),
            }
            .into()
        };
        let of = |name: &str, targets: &[&str]| Content {
            target_segments: targets.iter().map(|id| id.parse().unwrap()).collect(),
            ..content(name, "")
        };
        let entries = vec![
            segment(1),
            of("a", &["vip"]).into(),
            assignment("a").into(),
            of("b", &[]).into(),
            assignment("b").into(),
        ];
        let one = after(&RegionState::empty(Epoch(Uuid::from_u128(1))), entries);
        let changed = |entries| told((Some(&one), 50), (&after(&one, entries), 50));
        assert_eq!(changed(vec![segment(1)]), "");
        assert_eq!(changed(vec![segment(2)]), "a~");
        let gone = Entry::Removal(EntryKey::Segment("vip".parse().unwrap()));
        assert_eq!(changed(vec![gone]), "a~");
    }

    #[test]
    fn what_hides_when_stale_is_not_active_then() {
        let hiding = Content {
            when_stale: WhenStale::HideAfter(Patience::from_seconds(60).unwrap()),
            ..content("a", "")
        };
        let empty = RegionState::empty(Epoch(Uuid::from_u128(1)));
        let state = after(&empty, vec![hiding.into(), assignment("a").into()]);
        let aged = |age| {
            let age = Duration::from_secs(age);
            active(&state, Moment { now: at(150), age }).len()
        };
        assert_eq!((aged(0), aged(59), aged(60)), (1, 1, 0));
        assert_eq!(next_switch(&state, at(150)), Some(Duration::from_secs(50)));
        assert_eq!(next_switch(&state, at(200)), None);
        assert_eq!(state.version(), Version(1));
    }
}
