//! What one region's log row says: pure.
//!
//! A content is sent once, when the first assignment needs it, and removed when none does any more; a segment likewise,
//! by the contents that name it.

use std::collections::{BTreeMap, BTreeSet};

use liveevents_protocol::entry::{Entry, EntryKey};
use liveevents_protocol::id::{EventId, SegmentId};
use liveevents_protocol::model::{Assignment, Content};
use liveevents_protocol::segment::Segments;
use liveevents_protocol::version::Revision;

use super::{ChangeError, Edit};

/// What a region holds of the events that a change touches.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// Their assignments.
    pub assignments: BTreeMap<EventId, Assignment>,
    /// Their contents, and the segments that each names.
    pub contents: BTreeMap<(EventId, Revision), BTreeSet<SegmentId>>,
    /// Of the segments that are named before or after, those that are held, and whether a content of an event that is
    /// not touched names them too.
    pub segments: BTreeMap<SegmentId, bool>,
}

impl Held {
    /// The contents of one event.
    fn of(&self, event: &EventId) -> impl Iterator<Item = (Revision, &BTreeSet<SegmentId>)> {
        let all = (event.clone(), Revision(0))..=(event.clone(), Revision(u32::MAX));
        let contents = self.contents.range(all);
        contents.map(|((_, revision), segments)| (*revision, segments))
    }
}

/// The segments that a content names.
pub(super) fn named(content: &Content) -> impl Iterator<Item = &SegmentId> {
    let targets = content.target_segments.iter();
    targets.chain(&content.exclude_segments)
}

/// The entries that bring a region from what it holds to what the edits say: contents, assignments,
/// removals. Empty where nothing changes.
pub(super) fn entries(
    held: &Held,
    edits: &[Edit],
    contents: &[Content],
) -> Result<Vec<Entry>, ChangeError> {
    let (mut puts, mut assignments, mut removals) = (Vec::new(), Vec::new(), Vec::new());
    for edit in edits {
        let event = edit.event();
        let before = held.assignments.get(event);
        let after = edit.after();
        if before == after {
            continue;
        }
        let needed = needed(edit);
        let there: BTreeSet<Revision> = held.of(event).map(|(revision, _)| revision).collect();
        for &revision in needed.difference(&there) {
            puts.push(Entry::from(find(contents, event, revision)?.clone()));
        }
        assignments.push(match after {
            Some(assignment) => Entry::from(assignment.clone()),
            None => Entry::Removal(EntryKey::Assignment(event.clone())),
        });
        removals.extend(
            there
                .difference(&needed)
                .map(|&revision| Entry::Removal(EntryKey::Content(event.clone(), revision))),
        );
    }
    Ok(puts
        .into_iter()
        .chain(assignments)
        .chain(removals)
        .collect())
}

/// What the contents that come and go with the edits make of a region's segments: what has to be there before them, and
/// what nothing names after them.
pub(super) fn segments(
    held: &Held,
    edits: &[Edit],
    contents: &[Content],
    in_effect: &Segments,
) -> Result<(Vec<Entry>, Vec<Entry>), ChangeError> {
    let edited: BTreeSet<&EventId> = edits.iter().map(Edit::event).collect();
    let mut wanted: BTreeSet<&SegmentId> = BTreeSet::new();
    for edit in edits {
        let event = edit.event();
        for revision in needed(edit) {
            match held.contents.get(&(event.clone(), revision)) {
                Some(segments) => wanted.extend(segments),
                None => wanted.extend(named(find(contents, event, revision)?)),
            }
        }
    }
    let before = held.contents.iter();
    let (of_edited, of_others): (Vec<_>, Vec<_>) =
        before.partition(|((event, _), _)| edited.contains(event));
    wanted.extend(of_others.into_iter().flat_map(|(_, segments)| segments));
    let used: BTreeSet<&SegmentId> = of_edited.into_iter().flat_map(|(_, named)| named).collect();

    let mut puts = Vec::new();
    for segment in &wanted {
        if !held.segments.contains_key(*segment) {
            let found = in_effect.get(segment);
            let missing = || ChangeError::MissingSegment((*segment).clone());
            puts.push(Entry::from(found.ok_or_else(missing)?.clone()));
        }
    }
    let gone = used
        .difference(&wanted)
        .filter(|segment| held.segments.get(**segment) == Some(&false))
        .map(|segment| Entry::Removal(EntryKey::Segment((*segment).clone())));
    Ok((puts, gone.collect()))
}

/// The revisions that the region holds of the event after an edit.
fn needed(edit: &Edit) -> BTreeSet<Revision> {
    let after = edit.after().into_iter();
    after.flat_map(Assignment::revisions).collect()
}

fn find<'a>(
    contents: &'a [Content],
    event: &EventId,
    revision: Revision,
) -> Result<&'a Content, ChangeError> {
    let mut contents = contents.iter();
    let found = contents.find(|c| c.event_id == *event && c.revision == revision);
    found.ok_or_else(|| ChangeError::MissingContent {
        event: event.clone(),
        revision,
    })
}

#[cfg(test)]
mod tests {
    use liveevents_protocol::json_text::JsonText;
    use liveevents_protocol::model::EventType;
    use liveevents_protocol::segment::Segment;

    use super::*;

    fn event() -> EventId {
        "sale".parse().unwrap()
    }

    fn assignment(live: Option<u32>) -> Assignment {
        Assignment {
            event_id: event(),
            salt: "s".to_owned(),
            live: live.map(Revision),
            candidate: None,
            schedule: Default::default(),
            suspension: Default::default(),
            full: false,
        }
    }

    fn content(revision: u32) -> Content {
        Content {
            event_id: event(),
            revision: Revision(revision),
            event_type: EventType::LimitedTimeOffer,
            display_name: "Sale".to_owned(),
            description: String::new(),
            category: None,
            priority: 0,
            tags: Vec::new(),
            localizations: BTreeMap::new(),
            requires: Default::default(),
            when_stale: Default::default(),
            target_segments: Vec::new(),
            exclude_segments: Vec::new(),
            configuration: JsonText::empty_object(),
        }
    }

    fn held(live: u32) -> Held {
        Held {
            assignments: [(event(), assignment(Some(live)))].into(),
            contents: [((event(), Revision(live)), BTreeSet::new())].into(),
            segments: BTreeMap::new(),
        }
    }

    #[test]
    fn a_content_comes_once_and_goes_when_nobody_needs_it() {
        let first = entries(
            &Held::default(),
            &[Edit::Put(assignment(Some(1)))],
            &[content(1)],
        )
        .unwrap();
        assert_eq!(first, [content(1).into(), assignment(Some(1)).into()]);

        let next = entries(
            &held(1),
            &[Edit::Put(assignment(Some(2)))],
            &[content(2), content(1)],
        )
        .unwrap();
        let gone = Entry::Removal(EntryKey::Content(event(), Revision(1)));
        assert_eq!(
            next,
            [content(2).into(), assignment(Some(2)).into(), gone.clone()]
        );

        let removed = entries(&held(1), &[Edit::Remove(event())], &[]).unwrap();
        assert_eq!(
            removed,
            [Entry::Removal(EntryKey::Assignment(event())), gone]
        );
    }

    #[test]
    fn what_is_so_already_makes_no_entry() {
        assert_eq!(
            entries(&held(1), &[Edit::Put(assignment(Some(1)))], &[]).unwrap(),
            []
        );
        assert_eq!(
            entries(&Held::default(), &[Edit::Remove(event())], &[]).unwrap(),
            []
        );
    }

    #[test]
    fn a_content_that_was_not_given_is_an_error() {
        let result = entries(&held(1), &[Edit::Put(assignment(Some(2)))], &[content(3)]);
        assert!(matches!(
            result,
            Err(ChangeError::MissingContent {
                revision: Revision(2),
                ..
            })
        ));
    }

    fn segment(id: &str) -> SegmentId {
        id.parse().unwrap()
    }

    fn for_segment(revision: u32, id: &str) -> Content {
        Content {
            target_segments: vec![segment(id)],
            ..content(revision)
        }
    }

    fn of(id: &str) -> Segment {
        Segment {
            id: segment(id),
            revision: Revision(1),
            criteria: Default::default(),
        }
    }

    /// What comes and goes where revision 1 is live, which is for `vip`, and revision 2 for `new` becomes live.
    fn moved(held_vip: Option<bool>, held_new: Option<bool>) -> (Vec<Entry>, Vec<Entry>) {
        let mut held = held(1);
        held.contents = [((event(), Revision(1)), [segment("vip")].into())].into();
        let there = |id: &str, elsewhere: Option<bool>| Some((segment(id), elsewhere?));
        held.segments = there("vip", held_vip)
            .into_iter()
            .chain(there("new", held_new))
            .collect();
        let edits = [Edit::Put(assignment(Some(2)))];
        let in_effect = [of("vip"), of("new")].into_iter().collect();
        segments(&held, &edits, &[for_segment(2, "new")], &in_effect).unwrap()
    }

    #[test]
    fn a_segment_comes_with_the_first_content_and_goes_with_the_last_that_names_it() {
        let gone = Entry::Removal(EntryKey::Segment(segment("vip")));
        let new = Entry::from(of("new"));
        assert_eq!(moved(Some(false), None), (vec![new.clone()], vec![gone]));
        // Another event is for vip too, or brought new already.
        assert_eq!(moved(Some(true), None), (vec![new], vec![]));
        assert_eq!(moved(Some(true), Some(false)), (vec![], vec![]));
    }

    #[test]
    fn what_stays_needs_its_segment_whatever_else_is_edited() {
        let other: EventId = "other".parse().unwrap();
        let mut held = held(1);
        held.contents = [
            ((event(), Revision(1)), [segment("vip")].into()),
            ((other, Revision(4)), [segment("vip")].into()),
        ]
        .into();
        held.segments = [(segment("vip"), false)].into();
        let gone = segments(&held, &[Edit::Remove(event())], &[], &Segments::default());
        assert_eq!(gone.unwrap(), (vec![], vec![]));
        // Shown at other times, nothing comes and nothing goes.
        let again = segments(
            &held,
            &[Edit::Put(assignment(Some(1)))],
            &[],
            &Segments::default(),
        );
        assert_eq!(again.unwrap(), (vec![], vec![]));
    }

    #[test]
    fn a_segment_of_which_nothing_is_in_effect_is_an_error() {
        let edits = [Edit::Put(assignment(Some(1)))];
        let contents = [for_segment(1, "vip")];
        let result = segments(&Held::default(), &edits, &contents, &Segments::default());
        assert!(matches!(result, Err(ChangeError::MissingSegment(id)) if id == segment("vip")));
    }
}
