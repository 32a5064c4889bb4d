//! Counting game servers.

use liveevents_protocol::version::{Epoch, Version};
use uuid::Uuid;

use super::*;

fn at(epoch: u128, version: u64) -> Cursor {
    Cursor {
        epoch: Epoch(Uuid::from_u128(epoch)),
        version: Version(version),
    }
}

fn ack(entry: &Entry, at: Cursor, status: AckStatus) {
    let Cursor { epoch, version } = at;
    entry.ack(&ClientAck {
        epoch,
        version,
        status,
    });
}

#[test]
fn counts_who_has_applied_what_is_asked_about() {
    let region = "us-east".parse().unwrap();
    let registry = Registry::new(2);
    let entry = registry.enter(&region, registry.place().unwrap());
    // What is said, and whether (5, 3) counts as applied after it.
    let table = [
        (at(5, 3), AckStatus::Received, 0),
        (at(5, 3), AckStatus::Deferred, 0),
        (at(5, 2), AckStatus::Applied, 0),
        (at(4, 9), AckStatus::Applied, 0),
        (at(5, 3), AckStatus::Applied, 1),
        // Late: it takes nothing back.
        (at(5, 1), AckStatus::Applied, 1),
        (at(6, 1), AckStatus::Applied, 1),
    ];
    for (said, status, current) in table {
        ack(&entry, said, status);
        let count = registry.count(&region, at(5, 3));
        assert_eq!(
            count,
            Count {
                connected: 1,
                current
            }
        );
    }
    assert_eq!(
        registry.count(&"eu-west".parse().unwrap(), at(5, 3)),
        Count::default()
    );
}

#[test]
fn places_are_given_back() {
    let region = "us-east".parse().unwrap();
    let registry = Registry::new(1);
    let entry = registry.enter(&region, registry.place().unwrap());
    assert!(registry.place().is_none());
    assert_eq!(registry.count_all(&region).connected, 1);
    drop(entry);
    assert!(registry.place().is_some());
    assert_eq!(registry.count_all(&region).connected, 0);
}
