//! What a ledger tells, and when.

use jiff::Timestamp;
use liveevents_protocol::frame::Nack;
use liveevents_protocol::message::AckStatus;
use liveevents_protocol::version::Revision;
use tokio::time::Duration;

use super::*;
use crate::replica::Published;
use crate::replica::history::{History, epoch, event, put};

const COMMITTED: Timestamp = Timestamp::UNIX_EPOCH;

struct World {
    history: History,
    region: Arc<Region>,
    ledgers: Ledgers,
    offset: ClockOffset,
    start: Instant,
}

impl World {
    /// At version 1.
    fn new() -> Self {
        let replica = Replica::new("us-east".parse().unwrap(), &[]);
        let offset = ClockOffset::default();
        let mut world = Self {
            history: History::new("us-east", epoch(5)),
            region: replica.regions().next().map(Arc::clone).unwrap(),
            ledgers: Ledgers::new(&replica, &offset),
            offset,
            start: Instant::now(),
        };
        world.next();
        world
    }

    /// Publishes another version, 10 ms after its commit.
    fn next(&mut self) -> Cursor {
        let revision = u32::try_from(self.history.head().0).unwrap() + 1;
        let before = self.history.head();
        let version = self.history.commit(put("sale", revision), COMMITTED);
        let rows = self.history.rows(before, version);
        self.ledger().told(&rows, at_millis(10));
        let state = self.history.state(version).clone();
        let next = Published::from_origin(state, self.history.position(version), None);
        self.region.publish(next, at_millis(10));
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

    fn report(&self, after_millis: u64) -> Option<Delivery> {
        let now = self.start + Duration::from_millis(after_millis);
        self.ledger().report(now)
    }
}

fn at_millis(millis: i64) -> Timestamp {
    COMMITTED + SignedDuration::from_millis(millis)
}

fn ack(receiver: &Receiver, at: Cursor, status: AckStatus) {
    ack_at(receiver, at, status, 0, 0);
}

fn ack_at(receiver: &Receiver, at: Cursor, status: AckStatus, millis: i64, held_ms: u64) {
    let Cursor { epoch, version } = at;
    let ack = ClientAck {
        epoch,
        version,
        status,
        held_ms,
    };
    receiver.ack(&ack, at_millis(millis));
}

fn nack(receiver: &Receiver, at: Cursor, event_id: &str, reason: &str) {
    receiver.nack(&ClientNack {
        epoch: at.epoch,
        version: at.version,
        event_id: event(event_id),
        revision: Some(Revision(1)),
        reason: reason.to_owned(),
    });
}

fn standing(version: u64, received: u32, applied: u32, deferred: u32) -> Standing {
    Standing {
        version: Version(version),
        received,
        applied,
        deferred,
    }
}

#[test]
fn everybody_is_counted_until_gone() {
    let mut world = World::new();
    let ledger = world.ledger().clone();
    let (a, b) = (ledger.enter(None), ledger.enter(Some(world.at(1))));
    let c = ledger.enter(None);
    let counts = |connected, received, applied, deferred| Counts {
        connected,
        received,
        applied,
        deferred,
    };
    assert_eq!(ledger.counts(), counts(3, 1, 1, 0));
    ack(&a, world.at(1), AckStatus::Applied);
    ack(&c, world.at(1), AckStatus::Deferred);
    assert_eq!(ledger.counts(), counts(3, 3, 2, 1));
    let head = world.next();
    assert_eq!(ledger.counts(), counts(3, 0, 0, 0));
    a.covers(world.at(1), head);
    assert_eq!(ledger.counts(), counts(3, 1, 1, 0));
    assert_eq!(
        world.report(0).unwrap().standings,
        [standing(1, 2, 1, 1), standing(2, 1, 1, 0)]
    );
    drop(a);
    assert_eq!(ledger.counts(), counts(2, 0, 0, 0));
    drop((b, c));
    assert_eq!(ledger.counts(), Counts::default());
    let nobody = world.report(2000).unwrap();
    assert_eq!((nobody.connected, nobody.standings), (0, vec![]));
}

#[test]
fn whoever_claims_to_be_ahead_has_the_newest_and_whoever_is_of_another_epoch_has_nothing() {
    let world = World::new();
    let ahead = world.ledger().enter(None);
    ack(&ahead, world.at(u64::MAX), AckStatus::Applied);
    let earlier = Cursor {
        epoch: epoch(4),
        version: Version(9),
    };
    let _old = world.ledger().enter(Some(earlier));
    let delivery = world.report(0).unwrap();
    assert_eq!(delivery.connected, 2);
    assert_eq!(delivery.standings, [standing(1, 1, 1, 0)]);
}

#[test]
fn the_origin_is_told_once_a_second_and_at_once_when_all_have_it() {
    let mut world = World::new();
    let due = |world: &World, millis| {
        let now = world.start + Duration::from_millis(millis);
        let due = world.ledger().due(now)?;
        Some(u64::try_from((due - world.start).as_millis()).unwrap())
    };
    assert_eq!(due(&world, 0), None);
    let ledger = world.ledger().clone();
    let (a, b) = (ledger.enter(None), ledger.enter(None));
    assert_eq!(due(&world, 0), Some(0));
    assert!(world.report(0).is_some());
    assert_eq!((due(&world, 1), world.report(1)), (None, None));
    // One of two: in a second.
    ack(&a, world.at(1), AckStatus::Applied);
    assert_eq!((due(&world, 10), world.report(999)), (Some(1000), None));
    // Both have received it, then both have applied it: at once.
    ack(&b, world.at(1), AckStatus::Received);
    assert_eq!(due(&world, 20), Some(20));
    assert_eq!(world.report(20).unwrap().standings, [standing(1, 2, 1, 0)]);
    ack(&b, world.at(1), AckStatus::Applied);
    assert!(world.report(21).is_some());
    // The same again is no news, and the next version has to be acked first.
    ack(&b, world.at(1), AckStatus::Applied);
    assert_eq!(due(&world, 22), None);
    let head = world.next();
    assert_eq!(due(&world, 23), None);
    // The one that was waited for leaves: all who are left have it.
    ack(&a, head, AckStatus::Applied);
    assert_eq!(due(&world, 30), Some(1021));
    drop(b);
    assert_eq!(world.report(31).unwrap().standings, [standing(2, 1, 1, 0)]);
    // A welcome asks for all of it again.
    assert_eq!(due(&world, 40), None);
    ledger.begin();
    assert_eq!(world.report(40).unwrap().standings, [standing(2, 1, 1, 0)]);
}

#[test]
fn many_places_are_told_by_the_newest_and_the_rest_as_one() {
    let mut world = World::new();
    let places = u64::try_from(MAX_STANDINGS).unwrap() + 10;
    let receivers: Vec<_> = (1..=places)
        .map(|version| {
            if version > 1 {
                world.next();
            }
            world.ledger().enter(Some(world.at(version)))
        })
        .collect();
    let standings = world.report(0).unwrap().standings;
    assert_eq!(standings.len(), MAX_STANDINGS);
    assert_eq!(standings[0], standing(11, 11, 11, 0));
    assert_eq!(*standings.last().unwrap(), standing(places, 1, 1, 0));
    drop(receivers);
}

#[test]
fn delivery_times_are_of_those_who_were_here_and_for_whom_it_was() {
    let mut world = World::new();
    let ledger = world.ledger().clone();
    // Comes late: version 1 was here before it.
    let late = ledger.enter(None);
    ack_at(&late, world.at(1), AckStatus::Applied, 5000, 0);
    assert_eq!(world.report(0).unwrap().arrivals, []);
    let spared = ledger.enter(Some(world.at(1)));
    let head = world.next();
    spared.covers(world.at(1), head);
    // Held for 40 ms before it was acked; the origin's clock is 5 ms ahead.
    world.offset.measured(SignedDuration::from_millis(5));
    ack_at(&late, head, AckStatus::Received, 100, 40);
    ack_at(&late, head, AckStatus::Applied, 900, 0);
    let arrivals = world.report(2000).unwrap().arrivals;
    assert_eq!(arrivals.len(), 1);
    assert_eq!(arrivals[0].version, head.version);
    assert_eq!(arrivals[0].delays.count(), 1);
    assert_eq!(arrivals[0].delays.max(), Duration::from_millis(65));
    ledger.begin();
    assert_eq!(world.report(2000).unwrap().arrivals, []);
}

#[test]
fn a_nack_counts_once_a_game_server_and_is_told_until_it_was_surely_heard() {
    let world = World::new();
    let ledger = world.ledger().clone();
    let (a, b) = (ledger.enter(None), ledger.enter(None));
    nack(&a, world.at(1), "sale", "no such item");
    nack(&a, world.at(1), "sale", "no such item, really");
    nack(&b, world.at(1), "sale", "no such item");
    // Not served here.
    nack(&b, world.at(2), "sale", "from the future");
    let told = [Nack {
        event: event("sale"),
        revision: Some(Revision(1)),
        version: Version(1),
        count: 2,
        reason: "no such item".to_owned(),
    }];
    assert_eq!(world.report(0).unwrap().nacks, told);
    drop((a, b));
    assert_eq!(world.report(1000).unwrap().nacks, []);
    // The connection is lost, and the origin may not have written it down.
    ledger.settle(world.start);
    ledger.begin();
    assert_eq!(world.report(2000).unwrap().nacks, told);
    ledger.settle(world.start + Duration::from_millis(2000) + NACKS_SETTLE);
    ledger.begin();
    assert_eq!(world.report(60_000).unwrap().nacks, []);
}

#[test]
fn one_game_servers_nacks_are_bounded_however_it_says_them() {
    let world = World::new();
    let loud = world.ledger().enter(None);
    for round in 0..3 {
        for i in 0..4 * NACKS_EACH {
            nack(
                &loud,
                world.at(1),
                &format!("event-{i:04}"),
                &round.to_string(),
            );
        }
    }
    let sum: u32 = world.report(0).unwrap().nacks.iter().map(|n| n.count).sum();
    assert!(sum as usize <= 4 * NACKS_EACH, "{sum}");
}

#[tokio::test]
async fn the_bell_rings_when_something_is_due_sooner() {
    let world = World::new();
    let (a, b) = (world.ledger().enter(None), world.ledger().enter(None));
    world.ledgers.rung().await;
    assert!(world.report(0).is_some());
    ack(&a, world.at(1), AckStatus::Received);
    world.ledgers.rung().await;
    // In a second, and then sooner.
    ack(&b, world.at(1), AckStatus::Received);
    world.ledgers.rung().await;
}
