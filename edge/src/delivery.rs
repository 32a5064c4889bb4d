//! Who has received, applied or deferred which version, how long that took, and what could not be applied: what the
//! origin is told of the game servers of each region.
//!
//! A ledger counts what game servers say, each for itself: nobody's word moves anybody else's. The counting is pure
//! and in the files beside this one; here is the lock around it, short and never across an await, and the question
//! when there is something to tell: at most once a second, or at once when all have got to the newest version.

mod books;
mod holder;
mod nacks;
mod offset;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::message::{ClientAck, Cursor};
use liveevents_protocol::version::Revision;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use books::Counts;
pub(crate) use offset::ClockOffset;

use crate::limits::{DELIVERY_INTERVAL, NACKS_EACH};
use crate::replica::{Region, Replica};
use books::Books;
use holder::Holder;
use nacks::{Nacked, Nacks};

/// The ledgers of all regions. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Ledgers {
    regions: Arc<BTreeMap<RegionId, Ledger>>,
    bell: Arc<Notify>,
}

/// One region's game servers. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Ledger(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    region: Arc<Region>,
    pages: Mutex<Pages>,
    /// Rung when there is something to tell sooner than was thought.
    bell: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Pages {
    books: Books,
    nacks: Nacks,
    /// Whether there is anything that was not told.
    news: bool,
    /// Whether all have got somewhere that is worth telling at once.
    urgent: bool,
    told: Option<Instant>,
    /// The version that all had last received, and the one that all had last applied.
    reached: [Option<Cursor>; 2],
}

/// One game server in its region's ledger, from hello to its end: dropped, it is forgotten.
#[derive(Debug)]
pub(crate) struct Receiver {
    ledger: Ledger,
    seat: Mutex<Seat>,
}

#[derive(Debug, Default)]
struct Seat {
    holder: Holder,
    /// What it has nacked already: saying it again counts for nothing.
    nacked: BTreeSet<Nacked>,
}

impl Ledgers {
    /// Of every region of the replica, with nobody in them.
    pub(crate) fn new(replica: &Replica) -> Self {
        let bell = Arc::new(Notify::new());
        let ledger = |region: &Arc<Region>| {
            let shared = Shared {
                region: Arc::clone(region),
                pages: Mutex::default(),
                bell: Arc::clone(&bell),
            };
            (region.id().clone(), Ledger(Arc::new(shared)))
        };
        Self {
            regions: Arc::new(replica.regions().map(ledger).collect()),
            bell,
        }
    }

    /// One region's.
    pub(crate) fn region(&self, id: &RegionId) -> Option<&Ledger> {
        self.regions.get(id)
    }

    /// Returns when one of them may be due sooner than it said. One who waits is enough: it is rung for one.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Ledger> {
        self.regions.values()
    }
}

impl Ledger {
    /// A game server that says in its hello that it holds `position`.
    pub(crate) fn enter(&self, position: Option<Cursor>) -> Receiver {
        let holder = Holder::new(position);
        self.change(|pages| pages.books.enter(&holder));
        Receiver {
            ledger: self.clone(),
            seat: Mutex::new(Seat {
                holder,
                ..Seat::default()
            }),
        }
    }

    /// Game servers, against the version in force.
    pub(crate) fn counts(&self) -> Counts {
        let head = self.head();
        let pages = self.0.pages.lock();
        match head {
            Some(head) => pages.books.counts(head),
            None => Counts {
                connected: pages.books.connected,
                ..Counts::default()
            },
        }
    }

    /// When there is something to tell, `None` while nothing has changed.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let pages = self.0.pages.lock();
        if !pages.news {
            return None;
        }
        match pages.told {
            Some(told) if !pages.urgent => Some(told + DELIVERY_INTERVAL),
            _ => Some(now),
        }
    }

    fn head(&self) -> Option<Cursor> {
        self.0.region.load().map(|published| published.cursor())
    }

    fn change(&self, change: impl FnOnce(&mut Pages)) {
        let head = self.head();
        let mut pages = self.0.pages.lock();
        change(&mut pages);
        let urgent = head.is_some_and(|head| pages.reaches(head));
        let sooner = !pages.news || (urgent && !pages.urgent);
        pages.news = true;
        pages.urgent |= urgent;
        drop(pages);
        if sooner {
            self.0.bell.notify_one();
        }
    }
}

impl Pages {
    /// Whether all have just received `head`, or applied it. Told of once for each version.
    fn reaches(&mut self, head: Cursor) -> bool {
        let counts = self.books.counts(head);
        let all = |have: u32| have == counts.connected && have > 0;
        let mut news = false;
        for (reached, have) in self
            .reached
            .iter_mut()
            .zip([counts.received, counts.applied])
        {
            if all(have) && *reached != Some(head) {
                *reached = Some(head);
                news = true;
            }
        }
        news
    }
}

impl Receiver {
    /// Notes an ack.
    pub(crate) fn ack(&self, ack: &ClientAck, _now: Timestamp) {
        let at = Cursor {
            epoch: ack.epoch,
            version: ack.version,
        };
        self.change(|holder| holder.ack(at, ack.status));
    }

    /// Notes that between `from`, which the game server was sent or which was covered before, and `to` its filter
    /// lets nothing pass: whoever holds the one holds the other.
    pub(crate) fn covers(&self, from: Cursor, to: Cursor) {
        self.change(|holder| holder.covers(from, to));
    }

    fn change(&self, change: impl FnOnce(&mut Holder)) {
        let mut seat = self.seat.lock();
        let before = seat.holder;
        change(&mut seat.holder);
        let after = seat.holder;
        if before != after {
            self.ledger
                .change(|pages| pages.books.move_on(&before, &after));
        }
    }

    /// Notes that the game server could not apply an event as of `at`, and why.
    pub(crate) fn nack(
        &self,
        at: Cursor,
        event: EventId,
        revision: Option<Revision>,
        reason: &str,
    ) {
        let nacked = Nacked {
            epoch: at.epoch,
            version: at.version,
            event,
            revision,
        };
        // Of what is not served here there is nothing to say.
        let known = |head: Cursor| head.epoch == at.epoch && head.version >= at.version;
        let mut seat = self.seat.lock();
        if self.ledger.head().is_some_and(known) && seat.says_anew(&nacked) {
            self.ledger.change(|pages| pages.nacks.add(nacked, reason));
        }
    }
}

impl Seat {
    /// Whether it has not said this before. The oldest version is forgotten where there are too many.
    fn says_anew(&mut self, nacked: &Nacked) -> bool {
        let full = self.nacked.len() >= NACKS_EACH;
        if full && self.nacked.first().is_some_and(|first| nacked <= first) {
            return false;
        }
        let anew = self.nacked.insert(nacked.clone());
        if self.nacked.len() > NACKS_EACH {
            self.nacked.pop_first();
        }
        anew
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let holder = self.seat.get_mut().holder;
        self.ledger.change(|pages| pages.books.leave(&holder));
    }
}
