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
mod times;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::frame::{Delivery, Rows, Standing};
use liveevents_protocol::id::RegionId;
use liveevents_protocol::limits::MAX_STANDINGS;
use liveevents_protocol::message::{ClientAck, ClientNack, Cursor};
use liveevents_protocol::version::{Epoch, Version};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use books::Counts;
pub(crate) use offset::ClockOffset;

use crate::limits::{DELIVERY_INTERVAL, NACKS_EACH, NACKS_SETTLE};
use crate::replica::{Region, Replica};
use books::Books;
use holder::Holder;
use nacks::{Nacked, Nacks};
use times::{Delivered, Times};

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
    offset: ClockOffset,
    pages: Mutex<Pages>,
    /// Rung when there is something to tell sooner than was thought.
    bell: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Pages {
    books: Books,
    times: Times,
    nacks: Nacks,
    /// Told, and perhaps lost with the connection.
    unsettled: Nacks,
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
    /// What was in force when it came.
    joined: Option<Cursor>,
    /// What it has nacked already: saying it again counts for nothing.
    nacked: BTreeSet<Nacked>,
}

impl Ledgers {
    /// Of every region of the replica, with nobody in them.
    pub(crate) fn new(replica: &Replica, offset: &ClockOffset) -> Self {
        let bell = Arc::new(Notify::new());
        let ledger = |region: &Arc<Region>| {
            let shared = Shared {
                region: Arc::clone(region),
                offset: offset.clone(),
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
                joined: self.head(),
                nacked: BTreeSet::new(),
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

    /// Rows have come: to be said before anybody can have got them.
    pub(crate) fn told(&self, rows: &Rows, now: Timestamp) {
        let epoch = rows.position.position.epoch;
        let mut pages = self.0.pages.lock();
        for row in &rows.rows {
            pages.times.told(epoch, row.version, row.committed_at, now);
        }
    }

    /// The origin has welcomed this edge: it is to hear how everybody stands, and again what it may have missed.
    pub(crate) fn begin(&self) {
        let mut pages = self.0.pages.lock();
        let unsettled = std::mem::take(&mut pages.unsettled);
        pages.nacks.merge(unsettled);
        pages.news = true;
        pages.urgent = true;
    }

    /// What there is to tell, if it is due.
    pub(crate) fn report(&self, now: Instant) -> Option<Delivery> {
        let head = self.head()?;
        self.due(now).filter(|&due| due <= now)?;
        let mut pages = self.0.pages.lock();
        pages.news = false;
        pages.urgent = false;
        pages.told = Some(now);
        let nacks = std::mem::take(&mut pages.nacks);
        let delivery = Delivery {
            region: self.0.region.id().clone(),
            epoch: head.epoch,
            connected: pages.books.connected,
            standings: pages.standings(head),
            arrivals: pages.times.take(head.epoch),
            nacks: nacks.told(head.epoch),
        };
        pages.unsettled.merge(nacks);
        Some(delivery)
    }

    /// The origin has read what it was sent up to `read`. What is so old that it has been written down too need not be
    /// told again.
    pub(crate) fn settle(&self, read: Instant) {
        let mut pages = self.0.pages.lock();
        if pages.told.is_some_and(|told| told + NACKS_SETTLE <= read) {
            pages.unsettled = Nacks::default();
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
    fn standings(&self, head: Cursor) -> Vec<Standing> {
        let mut standings = Vec::<Standing>::new();
        for (version, [received, applied, deferred]) in self.books.standings(head).into_iter().rev()
        {
            let standing = Standing {
                version,
                received,
                applied,
                deferred,
            };
            if standings.len() < MAX_STANDINGS {
                standings.push(standing);
            } else if let Some(oldest) = standings.last_mut() {
                add(oldest, standing);
            }
        }
        standings.reverse();
        standings
    }

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

fn add(sum: &mut Standing, more: Standing) {
    sum.received = sum.received.saturating_add(more.received);
    sum.applied = sum.applied.saturating_add(more.applied);
    sum.deferred = sum.deferred.saturating_add(more.deferred);
}

impl Receiver {
    /// Notes an ack.
    pub(crate) fn ack(&self, ack: &ClientAck, now: Timestamp) {
        let at = Cursor {
            epoch: ack.epoch,
            version: ack.version,
        };
        let held = i64::try_from(ack.held_ms).unwrap_or(i64::MAX);
        let here = now
            .checked_sub(SignedDuration::from_millis(held))
            .unwrap_or(Timestamp::MIN);
        let delivered = Delivered {
            here,
            origins: self.ledger.0.offset.origins(here),
        };
        let mut seat = self.seat.lock();
        let (had, before) = (seat.has(at.epoch), seat.holder);
        seat.holder.ack(at, ack.status);
        let after = seat.holder;
        if after.stands_as(&before) {
            return;
        }
        let for_it = |version| !after.was_spared(Cursor { version, ..at });
        self.ledger.change(|pages| {
            pages.books.move_on(&before, &after);
            let times = &mut pages.times;
            times.arrived(at.epoch, had, at.version, delivered, for_it);
        });
    }

    /// Notes that between `from`, which the game server was sent or which was covered before, and `to` its filter
    /// lets nothing pass: whoever holds the one holds the other.
    pub(crate) fn covers(&self, from: Cursor, to: Cursor) {
        let mut seat = self.seat.lock();
        let before = seat.holder;
        seat.holder.covers(from, to);
        let after = seat.holder;
        // What is only remembered for a later ack changes no count.
        if !after.stands_as(&before) {
            self.ledger
                .change(|pages| pages.books.move_on(&before, &after));
        }
    }

    /// Notes that the game server could not use an event, and why.
    pub(crate) fn nack(&self, nack: &ClientNack) {
        let nacked = Nacked {
            epoch: nack.epoch,
            version: nack.version,
            event: nack.event_id.clone(),
            revision: nack.revision,
        };
        // Of what is not served here there is nothing to say.
        let known = |head: Cursor| head.epoch == nack.epoch && head.version >= nack.version;
        let mut seat = self.seat.lock();
        if self.ledger.head().is_some_and(known) && seat.says_anew(&nacked) {
            self.ledger
                .change(|pages| pages.nacks.add(nacked, &nack.reason));
        }
    }
}

impl Seat {
    /// Up to where it had all of an epoch, or was not here to wait for it.
    fn has(&self, epoch: Epoch) -> Version {
        let known = [self.holder.received, self.joined].into_iter().flatten();
        let of_epoch = known.filter(|at| at.epoch == epoch);
        of_epoch.map(|at| at.version).max().unwrap_or_default()
    }

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
