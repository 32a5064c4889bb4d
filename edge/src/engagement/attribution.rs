//! Which revision a player saw, and on which side of a candidate that is.

use liveevents_protocol::bucketing::bucket;
use liveevents_protocol::engagement::{Cohort, Seen};
use liveevents_protocol::id::EventId;
use liveevents_protocol::model::{Assignment, BucketBy};
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::Revision;

/// The revision that a player saw, and the side. A revision that was said is believed; else it is found out from what the
/// game server held and the player's keys, if that still is what the region holds. What cannot be known is unattributed,
/// and never counted as control.
pub(crate) fn attribute(
    state: Option<&RegionState>,
    event: &EventId,
    player: &str,
    seen: &Seen,
) -> (Option<Revision>, Cohort) {
    let assignment = state.and_then(|state| state.assignment(event));
    if let Some(revision) = seen.revision {
        return (Some(revision), side(assignment, revision));
    }
    let (Some(state), Some(assignment), Some(held)) = (state, assignment, seen.position) else {
        return (None, Cohort::Unattributed);
    };
    let same = held.epoch == state.epoch()
        && state.since(held.version).is_some_and(|delta| {
            !delta
                .entries
                .iter()
                .any(|stamped| stamped.entry.key().event() == Some(event))
        });
    if !same {
        return (None, Cohort::Unattributed);
    }
    let Some(candidate) = &assignment.candidate else {
        return match assignment.live {
            Some(live) => (Some(live), Cohort::Everybody),
            None => (None, Cohort::Unattributed),
        };
    };
    let by = candidate.bucket_by.0.as_str();
    let key = match by {
        BucketBy::PLAYER => Some(player),
        by => seen.keys.get(by).map(String::as_str),
    };
    // Whoever has no key is not exposed.
    let exposed = key.is_some_and(|key| bucket(&assignment.salt, key) < candidate.exposure.value());
    if exposed {
        (Some(candidate.revision), Cohort::Exposed)
    } else {
        (assignment.live, Cohort::Control)
    }
}

fn side(assignment: Option<&Assignment>, revision: Revision) -> Cohort {
    match assignment.and_then(|assignment| assignment.candidate.as_ref()) {
        None => Cohort::Everybody,
        Some(candidate) if candidate.revision == revision => Cohort::Exposed,
        Some(_) => Cohort::Control,
    }
}
