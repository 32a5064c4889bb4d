//! Who is connected, and how far they have come. Holds handles only; never locked across an await.

use std::collections::HashMap;
use std::sync::Arc;

use liveevents_protocol::id::RegionId;
use liveevents_protocol::message::{AckStatus, ClientAck, Cursor};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::replica::place;

/// All game servers connected to this edge. Clones share it.
#[derive(Clone)]
pub(crate) struct Registry {
    places: Arc<Semaphore>,
    receivers: Arc<Mutex<Receivers>>,
}

#[derive(Default)]
struct Receivers {
    next: u64,
    regions: HashMap<RegionId, HashMap<u64, Arc<Receiver>>>,
}

/// One game server, once it has said hello.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    acked: Mutex<Acked>,
}

/// What a game server says that it has.
#[derive(Debug, Clone, Copy, Default)]
struct Acked {
    received: Option<Cursor>,
    applied: Option<Cursor>,
}

/// A game server's place among those connected, given back when dropped.
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
}

/// A game server's entry in its region, removed when dropped.
pub(super) struct Entry {
    registry: Registry,
    region: RegionId,
    id: u64,
    receiver: Arc<Receiver>,
    _place: Place,
}

/// Game servers of a region.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) connected: i64,
    /// Those that have applied what was asked about, or more.
    pub(crate) current: i64,
}

impl Registry {
    /// With room for so many.
    pub(crate) fn new(places: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS))),
            receivers: Arc::default(),
        }
    }

    /// A place for one more, if there is one.
    pub(super) fn place(&self) -> Option<Place> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok();
        permit.map(|_permit| Place { _permit })
    }

    /// Enters a game server.
    pub(super) fn enter(&self, region: &RegionId, place: Place) -> Entry {
        let receiver = Arc::new(Receiver::default());
        let mut receivers = self.receivers.lock();
        let id = receivers.next;
        receivers.next += 1;
        let entered = receivers.regions.entry(region.clone()).or_default();
        entered.insert(id, Arc::clone(&receiver));
        drop(receivers);
        Entry {
            registry: self.clone(),
            region: region.clone(),
            id,
            receiver,
            _place: place,
        }
    }

    /// Game servers of a region, and how many of them have applied `at`.
    pub(crate) fn count(&self, region: &RegionId, at: Cursor) -> Count {
        self.tally(region, Some(at))
    }

    /// Game servers of a region.
    pub(crate) fn count_all(&self, region: &RegionId) -> Count {
        self.tally(region, None)
    }

    fn tally(&self, region: &RegionId, at: Option<Cursor>) -> Count {
        let receivers = self.receivers.lock();
        let Some(entered) = receivers.regions.get(region) else {
            return Count::default();
        };
        let current = entered.values().filter(|receiver| {
            at.zip(receiver.applied())
                .is_some_and(|(at, applied)| place(applied) >= place(at))
        });
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Count {
            connected: number(entered.len()),
            current: number(current.count()),
        }
    }
}

impl Receiver {
    fn applied(&self) -> Option<Cursor> {
        self.acked.lock().applied
    }
}

impl Entry {
    /// Notes an ack. Applying implies receiving; what a game server defers, it has received.
    pub(super) fn ack(&self, ack: &ClientAck) {
        let at = Cursor {
            epoch: ack.epoch,
            version: ack.version,
        };
        let mut acked = self.receiver.acked.lock();
        acked.received = later(acked.received, at);
        match ack.status {
            AckStatus::Applied => acked.applied = later(acked.applied, at),
            AckStatus::Received | AckStatus::Deferred => {}
        }
    }

    /// The region entered.
    pub(super) fn region(&self) -> &RegionId {
        &self.region
    }
}

fn later(before: Option<Cursor>, now: Cursor) -> Option<Cursor> {
    before
        .filter(|&before| place(before) >= place(now))
        .or(Some(now))
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut receivers = self.registry.receivers.lock();
        if let Some(entered) = receivers.regions.get_mut(&self.region) {
            entered.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests;
