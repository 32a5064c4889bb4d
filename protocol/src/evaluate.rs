//! What one player is shown: suspension, then schedule, then candidate or live.
//!
//! The rules apply in this order, and the first that says no is the answer. A missing bucketing key is
//! not exposed: such a player gets what everybody gets who does not get the candidate.

use jiff::Timestamp;

use crate::bucketing::is_exposed;
use crate::model::{Assignment, Candidate, Content};
use crate::state::RegionState;
use crate::version::Revision;

/// The bucketing keys that a request names: `player`, and whatever else the studio buckets by.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keys<'a>(pub &'a [(&'a str, &'a str)]);

impl<'a> Keys<'a> {
    /// The value given for a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    }
}

/// What the rules said of one event, for one player at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Paused or stopped.
    Suspended,
    /// Not open; when it next is, if ever.
    Closed {
        /// The next opening.
        opens: Option<Timestamp>,
    },
    /// Open, but there is no live revision and the player does not get the candidate.
    Nothing,
    /// The live revision.
    Live(Revision),
    /// The candidate.
    Candidate(Revision),
}

impl Outcome {
    /// The revision shown.
    #[must_use]
    pub fn revision(self) -> Option<Revision> {
        match self {
            Self::Live(revision) | Self::Candidate(revision) => Some(revision),
            Self::Suspended | Self::Closed { .. } | Self::Nothing => None,
        }
    }
}

/// Judges one event.
#[must_use]
pub fn evaluate(assignment: &Assignment, keys: Keys<'_>, now: Timestamp) -> Outcome {
    if assignment.suspension.is_suspended() {
        return Outcome::Suspended;
    }
    match assignment.schedule.current_or_next(now) {
        Some(occurrence) if occurrence.opens <= now => {}
        later => {
            return Outcome::Closed {
                opens: later.map(|occurrence| occurrence.opens),
            };
        }
    }
    if let Some(candidate) = &assignment.candidate
        && is_candidate_for(assignment, candidate, keys)
    {
        return Outcome::Candidate(candidate.revision);
    }
    assignment.live.map_or(Outcome::Nothing, Outcome::Live)
}

fn is_candidate_for(assignment: &Assignment, candidate: &Candidate, keys: Keys<'_>) -> bool {
    keys.find(&candidate.bucket_by.0)
        .is_some_and(|key| is_exposed(&assignment.salt, key, candidate.exposure))
}

/// An event that a player is shown.
#[derive(Debug, Clone, Copy)]
pub struct Shown<'a> {
    /// Where it comes from.
    pub assignment: &'a Assignment,
    /// What is shown.
    pub content: &'a Content,
    /// Whether it is the candidate.
    pub candidate: bool,
    /// When the current occurrence ends.
    pub closes: Option<Timestamp>,
}

/// All that a player is shown, highest priority first, then in order of event.
#[must_use]
pub fn shown<'a>(state: &'a RegionState, keys: Keys<'_>, now: Timestamp) -> Vec<Shown<'a>> {
    let mut shown: Vec<Shown<'a>> = state
        .assignments()
        .filter_map(|assignment| {
            let outcome = evaluate(assignment, keys, now);
            Some(Shown {
                assignment,
                content: state.content(&assignment.event_id, outcome.revision()?)?,
                candidate: matches!(outcome, Outcome::Candidate(_)),
                closes: assignment.schedule.next_switch(now),
            })
        })
        .collect();
    shown.sort_by_key(|shown| std::cmp::Reverse(shown.content.priority));
    shown
}

#[cfg(test)]
mod tests;
