//! What one region's log row says: pure.
//!
//! A content is sent once, when the first assignment needs it, and removed when none does any more.

use std::collections::{BTreeMap, BTreeSet};

use liveevents_protocol::entry::{Entry, EntryKey};
use liveevents_protocol::id::EventId;
use liveevents_protocol::model::{Assignment, Content};
use liveevents_protocol::version::Revision;

use super::{ChangeError, Edit};

/// What a region holds of the events that a change touches.
#[derive(Debug, Clone, Default)]
pub struct Held {
    /// Their assignments.
    pub assignments: BTreeMap<EventId, Assignment>,
    /// Their contents.
    pub contents: BTreeSet<(EventId, Revision)>,
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
        let after = match edit {
            Edit::Put(assignment) => Some(assignment),
            Edit::Remove(_) => None,
        };
        if before == after {
            continue;
        }
        let needed: BTreeSet<Revision> =
            after.into_iter().flat_map(Assignment::revisions).collect();
        let all = (event.clone(), Revision(0))..=(event.clone(), Revision(u32::MAX));
        let there: BTreeSet<Revision> = held
            .contents
            .range(all)
            .map(|(_, revision)| *revision)
            .collect();
        for &revision in needed.difference(&there) {
            let content = contents
                .iter()
                .find(|c| c.event_id == *event && c.revision == revision);
            let missing = || ChangeError::MissingContent {
                event: event.clone(),
                revision,
            };
            puts.push(Entry::from(content.ok_or_else(missing)?.clone()));
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

#[cfg(test)]
mod tests {
    use liveevents_protocol::json_text::JsonText;
    use liveevents_protocol::model::EventType;

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
            contents: [(event(), Revision(live))].into(),
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
}
