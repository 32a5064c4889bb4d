//! Before a change is committed, the edge's own code applies and evaluates it, from the bytes that edges
//! will get. What could not be applied never becomes a version.

use std::collections::{BTreeMap, BTreeSet};

use liveevents_protocol::codec;
use liveevents_protocol::conditions::{Requires, WhenStale};
use liveevents_protocol::entry::{Delta, Entry, EntryKey, Snapshot, Stamped};
use liveevents_protocol::evaluate::{Keys, Moment, Offer, evaluate};
use liveevents_protocol::frame::FORMAT_V1;
use liveevents_protocol::id::{EventId, RegionId, SegmentId};
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::model::{Assignment, BucketBy, Content, EventType};
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::{BasisPoints, Epoch, Revision, Version};

use super::rows::Piece;
use super::{ChangeError, Held, entries};

const BEFORE: Version = Version(1);

/// Applies the encoded entries, row by row, to what the region holds of the touched events, and looks at the result.
pub(super) fn verify(
    region: &RegionId,
    epoch: Epoch,
    held: &Held,
    pieces: &[Piece<'_>],
) -> Result<(), ChangeError> {
    let unappliable = |problem: String| ChangeError::Unappliable {
        region: region.clone(),
        problem,
    };
    let assignments = held.assignments.values().cloned();
    let mut state = before(epoch, assignments.map(Entry::from)).map_err(&unappliable)?;
    let mut touched = BTreeMap::new();
    for piece in pieces {
        state = apply(&state, &piece.encoded, &mut touched).map_err(&unappliable)?;
        for edit in piece.edits {
            let Some(assignment) = state.assignment(edit.event()) else {
                continue;
            };
            let event = &assignment.event_id;
            for revision in assignment.revisions() {
                let key = (event.clone(), revision);
                let brought = touched.get(&EntryKey::Content(event.clone(), revision));
                let held_before = held.contents.contains_key(&key);
                let there = match brought {
                    Some(&put) => put && !held_before,
                    None => held_before,
                };
                if !there {
                    return Err(unappliable(format!(
                        "revision {revision} of {event} is not there"
                    )));
                }
                for segment in named(&state, held, &key) {
                    let brought = touched.get(&EntryKey::Segment(segment.clone()));
                    if !brought
                        .copied()
                        .unwrap_or(held.segments.contains_key(segment))
                    {
                        return Err(unappliable(format!(
                            "segment {segment} of revision {revision} of {event} is not there"
                        )));
                    }
                }
            }
            if !shows_what_it_should(assignment) {
                return Err(unappliable(format!("{event} would not be shown")));
            }
        }
    }
    Ok(())
}

/// Applies the encoded entries to a region that holds nothing.
pub(super) fn applies(
    region: &RegionId,
    epoch: Epoch,
    pieces: &[Piece<'_>],
) -> Result<(), ChangeError> {
    verify(region, epoch, &Held::default(), pieces)
}

fn before(epoch: Epoch, held: impl Iterator<Item = Entry>) -> Result<RegionState, String> {
    let entries = held.map(|entry| Stamped {
        version: BEFORE,
        entry,
    });
    let snapshot = Snapshot {
        epoch,
        version: BEFORE,
        floor: BEFORE,
        entries: entries.collect(),
    };
    RegionState::from_snapshot(snapshot).map_err(|error| error.to_string())
}

/// The state after a row, which is noted in `touched`: each key that is put, or removed.
fn apply(
    state: &RegionState,
    encoded: &[u8],
    touched: &mut BTreeMap<EntryKey, bool>,
) -> Result<RegionState, String> {
    let entries = codec::decode_entries(FORMAT_V1, encoded).map_err(|error| error.to_string())?;
    let put = |entry: &Entry| (entry.key(), matches!(entry, Entry::Put(_)));
    touched.extend(entries.iter().map(put));
    let row = Delta::of_row(state.epoch(), state.version().next(), entries);
    state.apply(&row).map_err(|error| error.to_string())
}

/// The segments that a content names, brought or held.
fn named<'a>(
    state: &'a RegionState,
    held: &'a Held,
    key: &(EventId, Revision),
) -> BTreeSet<&'a SegmentId> {
    match state.content(&key.0, key.1) {
        Some(content) => entries::named(content).collect(),
        None => held.contents.get(key).into_iter().flatten().collect(),
    }
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
    use liveevents_protocol::segment::Segment;

    use super::*;
    use crate::change::Edit;

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
            full: false,
        }
    }

    fn judge(held: &Held, rows: &[&[u8]]) -> Result<(), String> {
        let region = "us-east".parse().unwrap();
        let edits = [Edit::Put(assignment())];
        let piece = |(index, encoded): (usize, &&[u8])| Piece {
            edits: if index + 1 == rows.len() { &edits } else { &[] },
            entries: Vec::new(),
            encoded: encoded.to_vec(),
        };
        let pieces: Vec<Piece<'_>> = rows.iter().enumerate().map(piece).collect();
        verify(&region, EPOCH, held, &pieces).map_err(|error| error.to_string())
    }

    fn entries(assignment: &Assignment) -> Vec<u8> {
        codec::encode_entries(&[Entry::from(assignment.clone())]).unwrap()
    }

    #[test]
    fn what_an_edge_could_not_apply_is_refused() {
        let assignment = assignment();
        let key = (assignment.event_id.clone(), Revision(1));
        let mut held = Held::default();
        let missing = judge(&held, &[&entries(&assignment)]).unwrap_err();
        assert!(
            missing.contains("revision 1 of sale is not there"),
            "{missing}"
        );

        held.contents.insert(key.clone(), BTreeSet::new());
        assert_eq!(judge(&held, &[&entries(&assignment)]), Ok(()));

        let undecodable = judge(&held, &[&[1, 2, 3]]).unwrap_err();
        assert!(undecodable.contains("us-east"), "{undecodable}");

        let gone = Entry::Removal(EntryKey::Content(key.0, key.1));
        let both = [Entry::from(assignment), gone];
        let torn = judge(&held, &[&codec::encode_entries(&both).unwrap()]).unwrap_err();
        assert!(torn.contains("is not there"), "{torn}");
    }

    #[test]
    fn a_content_without_its_segments_is_refused() {
        let assignment = assignment();
        let vip: SegmentId = "vip".parse().unwrap();
        let segment = Entry::from(Segment {
            id: vip.clone(),
            revision: Revision(1),
            criteria: Default::default(),
        });
        let content = Content {
            exclude_segments: vec![vip.clone()],
            ..demanding_nothing(&assignment.event_id, Revision(1))
        };
        let segment = codec::encode_entries(&[segment]).unwrap();
        let brought = codec::encode_entries(&[content.into(), assignment.clone().into()]).unwrap();
        let gone =
            codec::encode_entries(&[Entry::Removal(EntryKey::Segment(vip.clone()))]).unwrap();

        let mut held = Held::default();
        let missing = judge(&held, &[&brought]).unwrap_err();
        assert!(
            missing.contains("segment vip of revision 1 of sale is not there"),
            "{missing}"
        );
        assert_eq!(judge(&held, &[&segment, &brought]), Ok(()));
        assert!(judge(&held, &[&segment, &gone, &brought]).is_err());
        held.segments = [(vip.clone(), false)].into();
        assert_eq!(judge(&held, &[&brought]), Ok(()));
        assert!(judge(&held, &[&gone, &brought]).is_err());

        // Held already, content and all.
        held.contents = [((assignment.event_id.clone(), Revision(1)), [vip].into())].into();
        assert_eq!(judge(&held, &[&entries(&assignment)]), Ok(()));
        held.segments.clear();
        assert!(judge(&held, &[&entries(&assignment)]).is_err());
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
