//! Entries that cannot be applied: what is set aside, what goes on, and how it heals.

use liveevents_protocol::entry::Entry;
use liveevents_protocol::limits::MAX_COMPLAINTS;
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::Revision;
use proptest::prelude::*;

use super::super::history::{assignment, content, event, from_level, spoil};
use super::super::{entry_name, entry_of};
use super::*;

/// What is set aside: the names, in order.
fn aside(published: &Published) -> Vec<String> {
    let told = published.quarantine().told();
    told.iter().map(|entry| entry_name(&entry.key)).collect()
}

fn next(history: &History, held: &Published) -> Published {
    next_by(history, held, &Willing)
}

/// Applies all rows that there are.
fn next_by(history: &History, held: &Published, trial: &dyn Trial) -> Published {
    let rows = history.rows(held.state().version(), history.head());
    let next = super::super::apply_rows(Some(held), &rows, trial);
    next.unwrap().unwrap()
}

fn snapshot(
    history: &History,
    held: Option<&Published>,
    edit: impl Fn(&mut [u8]),
) -> Result<Published, Refused> {
    let mut slot = None;
    for mut chunk in history.chunks(history.head()) {
        edit(&mut chunk.entries);
        if let Some(whole) = Assembly::add(&mut slot, &chunk, held, &Willing)? {
            return Ok(whole);
        }
    }
    panic!("no last chunk");
}

fn live(published: &Published, name: &str) -> Option<u32> {
    let assignment = published.state().assignment(&event(name))?;
    let live = assignment.live?;
    // Whoever is shown it finds it.
    assert!(published.state().content(&event(name), live).is_some());
    Some(live.0)
}

/// Keys changed after a version, as receivers at that version are told.
fn told_since(published: &Published, from: u64) -> Vec<String> {
    let delta = published.state().since(Version(from)).unwrap();
    let keys = delta
        .entries
        .iter()
        .map(|stamped| entry_name(&stamped.entry.key()));
    let mut keys: Vec<_> = keys.collect();
    keys.sort();
    keys
}

fn without_content(name: &str, revision: u32) -> Entry {
    Entry::Removal(EntryKey::Content(event(name), Revision(revision)))
}

#[test]
fn the_bad_entry_is_set_aside_and_everything_else_goes_on() {
    let mut history = sample();
    let held = told(&history, 4);
    let both = [put("sale", 3), put("cup", 7)].concat();
    history.commit_spoilt(both, 3, NOW);
    let published = next(&history, &held);
    assert_eq!(*published.sealed(), history.position(Version(5)));
    assert_eq!(
        (live(&published, "sale"), live(&published, "cup")),
        (Some(2), Some(7))
    );
    assert_eq!(aside(&published), ["content:sale:3", "assignment:sale"]);
    let reasons = published.quarantine().told();
    assert!(
        reasons[0].reason.contains("configuration"),
        "{}",
        reasons[0].reason
    );
    assert_eq!(
        reasons[1].reason,
        "assignment of sale names revision 3, which is not there"
    );
    assert!(reasons.iter().all(|entry| entry.version == Version(5)));
}

#[test]
fn a_content_that_comes_again_heals_what_waited_for_it() {
    let mut history = sample();
    let held = told(&history, 4);
    history.commit_spoilt(put("sale", 3), 3, NOW);
    let held = next(&history, &held);
    // Something else happens meanwhile.
    history.commit(put("cup", 1), NOW);
    let held = next(&history, &held);
    assert_eq!(aside(&held), ["content:sale:3", "assignment:sale"]);
    history.commit(vec![content("sale", 3).into()], NOW);
    let published = next(&history, &held);
    assert_eq!(aside(&published), [""; 0]);
    assert!(published.state().same_as(history.state(Version(7))));
    // Receivers that hold the version before are told of both.
    assert_eq!(
        told_since(&published, 6),
        ["assignment:sale", "content:sale:3"]
    );
}

#[test]
fn something_newer_takes_the_place_of_what_is_set_aside() {
    let mut history = sample();
    let held = told(&history, 4);
    history.commit_spoilt(put("sale", 3), 3, NOW);
    let held = next(&history, &held);
    history.commit(put("sale", 4), NOW);
    let held = next(&history, &held);
    assert_eq!(live(&held, "sale"), Some(4));
    assert_eq!(aside(&held), ["content:sale:3"]);
    history.commit(vec![without_content("sale", 3)], NOW);
    let published = next(&history, &held);
    assert_eq!(aside(&published), [""; 0]);
    assert!(published.state().same_as(history.state(Version(7))));
}

#[test]
fn contents_that_the_last_good_assignment_names_are_kept_until_the_next_can_be_applied() {
    let mut history = sample();
    let held = told(&history, 4);
    // The new content is missing, and the old one is taken away.
    let change = vec![assignment("sale", 3).into(), without_content("sale", 2)];
    history.commit(change, NOW);
    let held = next(&history, &held);
    assert_eq!(live(&held, "sale"), Some(2));
    assert_eq!(aside(&held), ["content:sale:2", "assignment:sale"]);
    history.commit(vec![content("sale", 3).into()], NOW);
    let published = next(&history, &held);
    assert_eq!(aside(&published), [""; 0]);
    assert!(published.state().same_as(history.state(Version(6))));
}

#[test]
fn without_a_last_good_there_is_nothing() {
    let mut history = sample();
    history.commit_spoilt(put("new", 5), 5, NOW);
    let published = next(&history, &told(&history, 4));
    assert_eq!(live(&published, "new"), None);
    assert_eq!(aside(&published), ["content:new:5", "assignment:new"]);
}

/// Panics at one entry, so often.
struct Faulty {
    name: &'static str,
    times: std::cell::Cell<u32>,
}

impl Trial for Faulty {
    fn begin(&self, _: Cursor, key: &EntryKey) -> bool {
        if entry_name(key) == self.name && self.times.get() > 0 {
            self.times.set(self.times.get() - 1);
            panic!("a fault of this program");
        }
        true
    }

    fn end(&self) {}
}

#[test]
fn a_fault_of_this_program_is_one_entrys_and_is_tried_once_more() {
    for (faults, healed) in [(1, true), (2, false)] {
        let mut history = sample();
        let held = told(&history, 4);
        let trial = Faulty {
            name: "assignment:sale",
            times: faults.into(),
        };
        history.commit([put("sale", 3), put("cup", 2)].concat(), NOW);
        let held = next_by(&history, &held, &trial);
        assert_eq!(
            (live(&held, "sale"), live(&held, "cup")),
            (Some(2), Some(2))
        );
        assert_eq!(aside(&held), ["assignment:sale"]);
        let reason = &held.quarantine().told()[0].reason;
        assert_eq!(reason, "this edge failed at it: a fault of this program");
        for revision in 3..5 {
            history.commit(put("cup", revision), NOW);
        }
        let held = next_by(&history, &held, &trial);
        assert_eq!(aside(&held).is_empty(), healed);
        // A snapshot offers it anew.
        let held = snapshot(&history, Some(&held), |_| {}).unwrap();
        assert!(held.state().same_as(history.state(Version(7))));
    }
}

#[test]
fn a_segment_that_cannot_be_taken_stays_as_it_was_and_comes_with_the_next() {
    let mut history = sample();
    history.commit(vec![from_level("veterans", 1, 10)], NOW);
    let held = told(&history, 5);
    let revision = |held: &Published| {
        let segment = held.state().segment(&"veterans".parse().unwrap());
        segment.map(|segment| segment.revision.0)
    };
    let trial = Faulty {
        name: "segment:veterans",
        times: 1.into(),
    };
    let both = [vec![from_level("veterans", 2, 20)], put("cup", 2)].concat();
    history.commit(both, NOW);
    let held = next_by(&history, &held, &trial);
    assert_eq!((revision(&held), live(&held, "cup")), (Some(1), Some(2)));
    assert_eq!(aside(&held), ["segment:veterans"]);
    history.commit(put("cup", 3), NOW);
    let held = next_by(&history, &held, &trial);
    assert_eq!(aside(&held), [""; 0]);
    assert!(held.state().same_as(history.state(Version(7))));
    assert_eq!(
        told_since(&held, 6),
        ["assignment:cup", "content:cup:3", "segment:veterans"]
    );
}

/// Lets an entry be tried from a version on.
struct Wary {
    entry: EntryKey,
    tries: std::cell::Cell<u32>,
}

impl Trial for Wary {
    fn begin(&self, _: Cursor, key: &EntryKey) -> bool {
        self.tries
            .set(self.tries.get() + u32::from(*key == self.entry));
        *key != self.entry || self.tries.get() > 1
    }

    fn end(&self) {}
}

#[test]
fn what_must_not_be_tried_is_set_aside_and_offered_again_with_the_next_version() {
    let mut history = sample();
    let held = told(&history, 4);
    history.commit(put("sale", 3), NOW);
    let trial = Wary {
        entry: entry_of("content:sale:3").unwrap(),
        tries: 0.into(),
    };
    let held = next_by(&history, &held, &trial);
    assert_eq!(aside(&held), ["content:sale:3", "assignment:sale"]);
    history.commit(put("cup", 1), NOW);
    let published = next_by(&history, &held, &trial);
    assert_eq!(aside(&published), [""; 0]);
    assert!(published.state().same_as(history.state(Version(6))));
    assert_eq!(trial.tries.get(), 2);
}

#[test]
fn a_snapshot_keeps_the_last_good_in_the_place_of_what_is_bad_in_it() {
    let mut history = sample();
    let held = told(&history, 4);
    history.commit(
        [put("sale", 3), vec![without_content("sale", 2)]].concat(),
        NOW,
    );
    history.commit(put("cup", 1), NOW);
    let published = snapshot(&history, Some(&held), |bytes| spoil(bytes, 3)).unwrap();
    assert_eq!(
        (live(&published, "sale"), live(&published, "cup")),
        (Some(2), Some(1))
    );
    // The old content is gone in it, and kept for as long as it is needed.
    let expected = ["content:sale:2", "content:sale:3", "assignment:sale"];
    assert_eq!(aside(&published), expected);
    assert_eq!(*published.sealed(), history.position(Version(6)));
    // With nothing before, there is nothing in its place.
    let published = snapshot(&history, None, |bytes| spoil(bytes, 3)).unwrap();
    assert_eq!(
        (live(&published, "sale"), live(&published, "cup")),
        (None, Some(1))
    );
}

#[test]
fn a_snapshot_of_a_later_version_heals_and_receivers_hear_of_it() {
    let mut history = sample();
    let held = told(&history, 4);
    history.commit_spoilt(put("sale", 3), 3, NOW);
    let held = next(&history, &held);
    history.commit(put("cup", 1), NOW);
    let published = snapshot(&history, Some(&held), |_| {}).unwrap();
    assert!(published.state().same_as(history.state(Version(6))));
    assert_eq!(aside(&published), [""; 0]);
    assert_eq!(
        told_since(&published, 5),
        [
            "assignment:cup",
            "assignment:sale",
            "content:cup:1",
            "content:sale:3"
        ]
    );
}

#[test]
fn a_snapshot_of_the_version_held_heals_it_and_receivers_hear_with_the_next() {
    let mut history = sample();
    let region = region();
    region.publish(told(&history, 4), NOW);
    history.commit_spoilt(put("sale", 3), 3, NOW);
    let held = next(&history, &region.load().unwrap());
    region.publish(held, NOW);
    let held = region.load().unwrap();
    let healed = snapshot(&history, Some(&held), |_| {}).unwrap();
    assert!(healed.state().same_as(history.state(Version(5))));
    assert_eq!(region.publish(healed, NOW), Publication::Published);
    let held = region.load().unwrap();
    assert_eq!(told_since(&held, 5), [""; 0]);
    // The same again is nothing new.
    let again = snapshot(&history, Some(&held), |_| {}).unwrap();
    assert_eq!(region.publish(again, NOW), Publication::Held);
    history.commit(put("cup", 1), NOW);
    let published = next(&history, &region.load().unwrap());
    assert!(published.state().same_as(history.state(Version(6))));
    assert_eq!(
        told_since(&published, 5),
        [
            "assignment:cup",
            "assignment:sale",
            "content:cup:1",
            "content:sale:3"
        ]
    );
}

#[test]
fn too_much_at_once_is_refused_as_a_whole() {
    let mut history = sample();
    let held = told(&history, 4);
    let contents = (0..=MAX_COMPLAINTS).map(|n| content(&format!("event-{n}"), 7).into());
    history.commit_spoilt(contents.collect(), 7, NOW);
    let rows = history.rows(Version(4), Version(5));
    let refused = apply_rows(Some(&held), &rows).err();
    assert_eq!(refused, Some(Refused::TooMuchAside(MAX_COMPLAINTS + 1)));
    let refused = snapshot(&history, Some(&held), |bytes| spoil(bytes, 7)).err();
    assert_eq!(refused, Some(Refused::TooMuchAside(MAX_COMPLAINTS + 1)));
}

/// Changes of a few events, some of them spoilt, some incomplete.
fn changes() -> impl Strategy<Value = Vec<(Vec<Entry>, Option<u32>)>> {
    let entry = (0..3_u8, 1..4_u32, 0..4_u8).prop_map(|(name, revision, kind)| {
        let name = format!("event-{name}");
        match kind {
            0 => put(&name, revision),
            1 => vec![assignment(&name, revision).into()],
            2 => vec![without_content(&name, revision)],
            _ => remove(&name, revision),
        }
    });
    let change = proptest::collection::vec(entry, 1..3).prop_map(|parts| parts.concat());
    proptest::collection::vec((change, proptest::option::of(1..4_u32)), 1..20)
}

proptest! {
    /// Whatever comes, what is served is whole, receivers that are sent the changes hold the same, and what the origin
    /// has is served as soon as it tells all of it.
    #[test]
    fn whatever_is_bad_what_is_served_is_whole_and_told(changes in changes(), snapshots: [bool; 20]) {
        let region = region();
        let mut history = History::new("us-east", epoch(5));
        region.publish(told(&history, 0), NOW);
        let mut receiver = RegionState::empty(epoch(5));
        for ((entries, spoilt), whole) in changes.into_iter().zip(snapshots) {
            match spoilt {
                Some(revision) => history.commit_spoilt(entries, revision, NOW),
                None => history.commit(entries, NOW),
            };
            let held = region.load().unwrap();
            let published = if whole {
                let edit = |bytes: &mut [u8]| spoilt.into_iter().for_each(|r| spoil(bytes, r));
                snapshot(&history, Some(&held), edit).unwrap()
            } else {
                next(&history, &held)
            };
            prop_assert_eq!(region.publish(published, NOW), Publication::Published);
            let held = region.load().unwrap();
            prop_assert_eq!(held.state().version(), history.head());
            for assignment in held.state().assignments() {
                prop_assert!(held.state().check(&assignment.event_id).is_ok());
            }
            let delta = held.state().since(receiver.version()).unwrap();
            receiver = receiver.apply(&delta).unwrap();
            prop_assert!(receiver.same_as(held.state()));
        }
        // All that is whole of what the origin has is served once all of it is told.
        let held = region.load().unwrap();
        let all = snapshot(&history, Some(&held), |_| {}).unwrap();
        for (key, value) in history.state(history.head()).values() {
            if history.state(history.head()).check(key.event().unwrap()).is_ok() {
                let served = all.state().values().find(|(served, _)| *served == key);
                prop_assert_eq!(served.map(|(_, value)| value), Some(value));
            }
        }
    }
}
