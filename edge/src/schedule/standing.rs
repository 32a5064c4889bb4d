//! Whether one event is shown in a region at a moment, and when that may change by itself. Pure.
//!
//! What is asked here is whether anybody at all can be shown it: by a notice, game servers learn that an event has
//! begun, not who gets it.

use jiff::Timestamp;
use liveevents_protocol::id::EventId;
use liveevents_protocol::model::{Assignment, Content};
use liveevents_protocol::schedule::Occurrence;
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::BasisPoints;

/// The moment that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At {
    pub(super) now: Timestamp,
    /// When the origin was last heard, if it is not heard now.
    pub(super) silent_since: Option<Timestamp>,
}

/// An event at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Shown, in this occurrence.
    Shown(Occurrence),
    /// Not shown since this moment, because the origin has been silent for so long.
    Stale(Timestamp),
    /// Not shown, for another reason; with the occurrence that is to come.
    Hidden(Option<Occurrence>),
}

impl Standing {
    pub(super) fn is_shown(self) -> bool {
        matches!(self, Self::Shown(_))
    }
}

/// An event at a moment, and what is to be known of its future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outlook {
    pub(super) standing: Standing,
    /// When what somebody is shown may be another, if nothing is changed until then.
    pub(super) next: Option<Timestamp>,
    /// Whether the origin's silence can hide it.
    pub(super) hides: bool,
}

impl Outlook {
    /// Of what is not there.
    const NOTHING: Self = Self {
        standing: Standing::Hidden(None),
        next: None,
        hides: false,
    };

    /// Looks at an event.
    pub(super) fn of(state: &RegionState, event: &EventId, at: At) -> Self {
        let Some(assignment) = state.assignment(event) else {
            return Self::NOTHING;
        };
        let contents: Vec<_> = shown_to_somebody(state, assignment).collect();
        let hides = contents
            .iter()
            .any(|content| content.when_stale.limit().is_some());
        if assignment.suspension.is_suspended() || contents.is_empty() {
            return Self {
                hides,
                ..Self::NOTHING
            };
        }
        let hidings: Vec<_> = contents
            .iter()
            .map(|content| hidden_at(content, at))
            .collect();
        let moments = assignment
            .schedule
            .next_switch(at.now)
            .into_iter()
            .chain(hidings.iter().copied().flatten());
        let next = moments.filter(|&moment| moment > at.now).min();
        Self {
            standing: standing(assignment, &hidings, at.now),
            next,
            hides,
        }
    }
}

fn standing(assignment: &Assignment, hidings: &[Option<Timestamp>], now: Timestamp) -> Standing {
    let occurrence = match assignment.schedule.current_or_next(now) {
        Some(occurrence) if occurrence.opens <= now => occurrence,
        next => return Standing::Hidden(next.copied()),
    };
    // Of a candidate and a live revision, one may be hidden and the other not.
    let last = hidings.iter().try_fold(Timestamp::MIN, |last, hidden| {
        hidden
            .filter(|&hidden| hidden <= now)
            .map(|hidden| last.max(hidden))
    });
    match last {
        None => Standing::Shown(*occurrence),
        Some(hidden) => Standing::Stale(hidden),
    }
}

/// When the origin's silence hides it.
fn hidden_at(content: &Content, at: At) -> Option<Timestamp> {
    let limit = content.when_stale.limit()?;
    // What is beyond the end of time does not come.
    at.silent_since?.checked_add(limit).ok()
}

/// The contents that at least somebody is shown while the event is open.
fn shown_to_somebody<'a>(
    state: &'a RegionState,
    assignment: &'a Assignment,
) -> impl Iterator<Item = &'a Content> {
    let tried = assignment
        .candidate
        .as_ref()
        .filter(|candidate| candidate.exposure > BasisPoints::ZERO)
        .map(|candidate| candidate.revision);
    [assignment.live, tried]
        .into_iter()
        .flatten()
        .filter_map(|revision| state.content(&assignment.event_id, revision))
        // A rule that is not known here admits nobody.
        .filter(|content| !content.requires.unknown)
}
