//! Before a change is committed, the edge's own code applies and evaluates it, from the bytes that edges
//! will get. What could not be applied never becomes a version.

use std::collections::{BTreeMap, BTreeSet};

use liveevents_protocol::codec;
use liveevents_protocol::conditions::{Requires, WhenStale};
use liveevents_protocol::entry::{Delta, Entry, EntryKey, Snapshot, Stamped};
use liveevents_protocol::evaluate::{Keys, Moment, Offer, evaluate};
use liveevents_protocol::frame::FORMAT_V1;
use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::model::{Assignment, BucketBy, Content, EventType};
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::{BasisPoints, Epoch, Revision, Version};

use super::{ChangeError, Edit, Held};

const BEFORE: Version = Version(1);
const AFTER: Version = Version(2);

/// Applies the encoded entries to what the region holds of the touched events, and looks at the result.
pub(super) fn verify(
    region: &RegionId,
    epoch: Epoch,
    held: &Held,
    encoded: &[u8],
    edits: &[Edit],
) -> Result<(), ChangeError> {
    let unappliable = |problem: String| ChangeError::Unappliable {
        region: region.clone(),
        problem,
    };
    let entries = codec::decode_entries(FORMAT_V1, encoded)
        .map_err(|error| unappliable(error.to_string()))?;
    let brought: BTreeSet<EntryKey> = entries.iter().map(Entry::key).collect();
    let before = RegionState::from_snapshot(Snapshot {
        epoch,
        version: BEFORE,
        floor: BEFORE,
        entries: held
            .assignments
            .values()
            .map(|a| Stamped {
                version: BEFORE,
                entry: a.clone().into(),
            })
            .collect(),
    });
    let after = before
        .and_then(|state| state.apply(&Delta::of_row(epoch, AFTER, entries)))
        .map_err(|error| unappliable(error.to_string()))?;
    for edit in edits {
        let Some(assignment) = after.assignment(edit.event()) else {
            continue;
        };
        let event = &assignment.event_id;
        for revision in assignment.revisions() {
            let key = EntryKey::Content(event.clone(), revision);
            let held = held.contents.contains(&(event.clone(), revision));
            if held == brought.contains(&key) {
                return Err(unappliable(format!(
                    "revision {revision} of {event} is not there"
                )));
            }
        }
        if !shows_what_it_should(assignment) {
            return Err(unappliable(format!("{event} would not be shown")));
        }
    }
    Ok(())
}

/// Whether somebody who must be shown something at the first opening is: with a live revision or a
/// candidate for all, unless it is suspended.
fn shows_what_it_should(assignment: &Assignment) -> bool {
    let Some(first) = assignment.schedule.occurrences().first() else {
        return true;
    };
    let candidate = assignment.candidate.as_ref();
    let for_all = candidate.is_some_and(|candidate| candidate.exposure == BasisPoints::ALL);
    let expected = !assignment.suspension.is_suspended() && (assignment.live.is_some() || for_all);
    let name = candidate.map_or(BucketBy::PLAYER, |candidate| candidate.bucket_by.0.as_str());
    let stand_in = |revision| demanding_nothing(&assignment.event_id, revision);
    let live = assignment.live.map(stand_in);
    let candidate = candidate.map(|candidate| stand_in(candidate.revision));
    let offer = Offer {
        assignment,
        live: live.as_ref(),
        candidate: candidate.as_ref(),
        salted: None,
        segments: None,
    };
    let anybody = [(name, "anybody")];
    let outcome = evaluate(offer, &Keys(&anybody).into(), Moment::fresh(first.opens));
    outcome.revision().is_some() || !expected
}

/// In place of a content: what is judged here is the assignment, and the region may hold the content already.
fn demanding_nothing(event: &EventId, revision: Revision) -> Content {
    Content {
        event_id: event.clone(),
        revision,
        event_type: EventType::ContentRelease,
        display_name: String::new(),
        description: String::new(),
        category: None,
        priority: 0,
        tags: Vec::new(),
        localizations: BTreeMap::new(),
        requires: Requires::default(),
        when_stale: WhenStale::default(),
        target_segments: Vec::new(),
        exclude_segments: Vec::new(),
        configuration: JsonText::empty_object(),
    }
}

#[cfg(test)]
mod tests {
    use liveevents_protocol::model::{Candidate, Suspension};
    use liveevents_protocol::schedule::{Occurrence, Schedule};

    use super::*;

    const EPOCH: Epoch = Epoch(uuid::Uuid::from_u128(1));

    fn assignment() -> Assignment {
        let opens = jiff::Timestamp::from_second(1_000).unwrap();
        let closes = jiff::Timestamp::from_second(2_000).unwrap();
        Assignment {
            event_id: "sale".parse().unwrap(),
            salt: "s".to_owned(),
            live: Some(Revision(1)),
            candidate: None,
            schedule: Schedule::new(vec![Occurrence { opens, closes }]).unwrap(),
            suspension: Suspension::default(),
        }
    }

    fn judge(held: &Held, encoded: &[u8]) -> Result<(), String> {
        let region = "us-east".parse().unwrap();
        let edits = [Edit::Put(assignment())];
        verify(&region, EPOCH, held, encoded, &edits).map_err(|error| error.to_string())
    }

    fn entries(assignment: &Assignment) -> Vec<u8> {
        codec::encode_entries(&[Entry::from(assignment.clone())]).unwrap()
    }

    #[test]
    fn what_an_edge_could_not_apply_is_refused() {
        let assignment = assignment();
        let mut held = Held::default();
        let missing = judge(&held, &entries(&assignment)).unwrap_err();
        assert!(
            missing.contains("revision 1 of sale is not there"),
            "{missing}"
        );

        held.contents
            .insert((assignment.event_id.clone(), Revision(1)));
        assert_eq!(judge(&held, &entries(&assignment)), Ok(()));

        let undecodable = judge(&held, &[1, 2, 3]).unwrap_err();
        assert!(undecodable.contains("us-east"), "{undecodable}");

        let gone = Entry::Removal(EntryKey::Content(assignment.event_id.clone(), Revision(1)));
        let both = [Entry::from(assignment), gone];
        let torn = judge(&held, &codec::encode_entries(&both).unwrap()).unwrap_err();
        assert!(torn.contains("is not there"), "{torn}");
    }

    #[test]
    fn whoever_is_meant_by_all_is_shown_something() {
        let candidate = |exposure| Candidate {
            revision: Revision(2),
            exposure: BasisPoints::new(exposure).unwrap(),
            bucket_by: BucketBy("match".to_owned()),
        };
        let live = assignment();
        let staged = Assignment {
            live: None,
            candidate: Some(candidate(0)),
            ..live.clone()
        };
        let all = Assignment {
            candidate: Some(candidate(10_000)),
            ..staged.clone()
        };
        let suspension = Suspension {
            paused: false,
            stopped: true,
        };
        let stopped = Assignment {
            suspension,
            ..live.clone()
        };
        for assignment in [live, staged, all, stopped] {
            assert!(shows_what_it_should(&assignment), "{assignment:?}");
        }
    }
}
