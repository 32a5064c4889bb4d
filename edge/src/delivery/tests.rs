//! What a ledger tells, and when.

use jiff::Timestamp;
use liveevents_protocol::message::AckStatus;
use liveevents_protocol::version::Version;
use tokio::time::Duration;

use super::*;
use crate::replica::Published;
use crate::replica::history::{History, epoch, event, put};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

struct World {
    history: History,
    region: Arc<Region>,
    ledgers: Ledgers,
    start: Instant,
}

impl World {
    /// At version 1.
    fn new() -> Self {
        let replica = Replica::new("us-east".parse().unwrap(), &[]);
        let region = replica.regions().next().map(Arc::clone).unwrap();
        let mut world = Self {
            history: History::new("us-east", epoch(5)),
            region,
            ledgers: Ledgers::new(&replica),
            start: Instant::now(),
        };
        world.next();
        world
    }

    /// Publishes another version.
    fn next(&mut self) -> Cursor {
        let revision = u32::try_from(self.history.head().0).unwrap() + 1;
        let version = self.history.commit(put("sale", revision), NOW);
        let state = self.history.state(version).clone();
        let next = Published::from_origin(state, self.history.position(version), None);
        self.region.publish(next, NOW);
        self.at(version.0)
    }

    fn at(&self, version: u64) -> Cursor {
        Cursor {
            epoch: self.history.epoch,
            version: Version(version),
        }
    }

    fn ledger(&self) -> &Ledger {
        self.ledgers.iter().next().unwrap()
    }

    fn after(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }
}

fn ack(receiver: &Receiver, at: Cursor, status: AckStatus) {
    let Cursor { epoch, version } = at;
    let ack = ClientAck {
        epoch,
        version,
        status,
    };
    receiver.ack(&ack, NOW);
}

#[test]
fn everybody_is_counted_until_gone() {
    let mut world = World::new();
    let (a, b) = (
        world.ledger().enter(None),
        world.ledger().enter(Some(world.at(1))),
    );
    let c = world.ledger().enter(None);
    let counts = |connected, received, applied, deferred| Counts {
        connected,
        received,
        applied,
        deferred,
    };
    assert_eq!(world.ledger().counts(), counts(3, 1, 1, 0));
    ack(&a, world.at(1), AckStatus::Applied);
    ack(&c, world.at(1), AckStatus::Deferred);
    assert_eq!(world.ledger().counts(), counts(3, 3, 2, 1));
    let head = world.next();
    assert_eq!(world.ledger().counts(), counts(3, 0, 0, 0));
    a.covers(world.at(1), head);
    assert_eq!(world.ledger().counts(), counts(3, 1, 1, 0));
    drop(a);
    assert_eq!(world.ledger().counts(), counts(2, 0, 0, 0));
    drop((b, c));
    assert_eq!(world.ledger().counts(), Counts::default());
    let _ = event("sale");
}
