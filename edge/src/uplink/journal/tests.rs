//! What a dead process leaves behind, and what is made of it.

use liveevents_protocol::version::Epoch;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::replica::entry_of;

fn at(version: u64) -> Cursor {
    Cursor {
        epoch: Epoch(Uuid::from_u128(5)),
        version: Version(version),
    }
}

struct World {
    folder: TempDir,
    region: RegionId,
}

impl World {
    fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            region: "us-east".parse().unwrap(),
        }
    }

    fn open(&self) -> Journal {
        Journal::open(Some(self.folder.path())).unwrap()
    }

    fn begin(&self, journal: &Journal, version: u64, name: &str) -> bool {
        let key = entry_of(name).unwrap();
        journal.trial(&self.region).begin(at(version), &key)
    }

    /// A process that dies while it applies an entry.
    fn die_of(&self, version: u64, name: &str) {
        let journal = self.open();
        // Once more if it has to be.
        let _ = self.begin(&journal, version, name) || self.begin(&journal, version, name);
    }
}

const LONG: &str = "content:an-event-with-a-name-that-is-rather-long:1";

#[test]
fn an_entry_that_a_process_died_of_is_set_aside_once_and_then_tried_again() {
    let world = World::new();
    world.die_of(7, "assignment:sale");
    let journal = world.open();
    assert!(!world.begin(&journal, 7, "assignment:sale"));
    // Others are not concerned: another entry, another version of it, another region's.
    assert!(world.begin(&journal, 7, "content:sale:1"));
    assert!(world.begin(&journal, 8, "assignment:sale"));
    let other: RegionId = "eu-west".parse().unwrap();
    let key = entry_of("assignment:sale").unwrap();
    assert!(journal.trial(&other).begin(at(7), &key));
    journal.trial(&world.region).end();
    // With a later version it is tried, and found innocent.
    assert!(world.begin(&journal, 7, "assignment:sale"));
    journal.trial(&world.region).end();
    drop(journal);
    let journal = world.open();
    assert!(world.begin(&journal, 7, "assignment:sale"));
}

#[test]
fn one_that_two_have_died_of_is_not_tried_again_by_this_release() {
    let world = World::new();
    world.die_of(7, LONG);
    world.die_of(7, LONG);
    for _ in 0..2 {
        let journal = world.open();
        for _ in 0..3 {
            assert!(!world.begin(&journal, 7, LONG));
            assert!(world.begin(&journal, 7, "assignment:sale"));
            journal.trial(&world.region).end();
        }
    }
    let path = world.folder.path().join("suspects");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(BUILD, "0.0.1")).unwrap();
    assert!(world.begin(&world.open(), 7, LONG));
}

#[test]
fn whoever_ends_between_two_entries_has_died_of_none() {
    let world = World::new();
    let journal = world.open();
    assert!(world.begin(&journal, 7, LONG));
    assert!(world.begin(&journal, 7, "assignment:sale"));
    journal.trial(&world.region).end();
    drop(journal);
    let journal = world.open();
    assert!(world.begin(&journal, 7, LONG));
    assert!(world.begin(&journal, 7, "assignment:sale"));
}

#[test]
fn rubbish_in_the_files_is_no_suspect() {
    let world = World::new();
    std::fs::write(
        world.folder.path().join("applying"),
        "{\"region\":\"us-east\"",
    )
    .unwrap();
    std::fs::write(world.folder.path().join("suspects"), "rubbish\n\n{}\n").unwrap();
    assert!(world.begin(&world.open(), 7, LONG));
}

#[test]
fn a_folder_is_one_processs_and_none_is_needed() {
    let world = World::new();
    let journal = world.open();
    assert!(Journal::open(Some(world.folder.path())).is_err());
    drop(journal);
    drop(world.open());
    let journal = Journal::open(None).unwrap();
    assert!(world.begin(&journal, 7, LONG));
    journal.trial(&world.region).end();
}

#[test]
fn suspects_are_bounded() {
    let world = World::new();
    for version in 0..MAX_SUSPECTS as u64 + 2 {
        world.die_of(version, LONG);
    }
    let journal = world.open();
    assert!(world.begin(&journal, 0, LONG) && world.begin(&journal, 1, LONG));
    assert!(!world.begin(&journal, 2, LONG));
}
