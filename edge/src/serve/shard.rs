//! Who writes a change to thousands of game servers: a few tasks, as many as there are cores, each with its own share.
//!
//! On a region's bell a shard takes what is published and writes it, in the text made once for all at the same place, to
//! every game server of its share that lacks nothing else; whoever is further behind is woken to see to it itself. A
//! shard never waits for a game server. It gives way after every [`BATCH`] writes, so that reads are answered during a
//! wave. Once a second it looks after what is a matter of time.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use liveevents_protocol::filter::Filter;
use liveevents_protocol::id::RegionId;
use liveevents_protocol::message::Cursor;
use liveevents_protocol::version::Version;
use parking_lot::Mutex;
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::Serving;
use super::connection::{Link, Look, Noticed, Offer};
use crate::limits::{BATCH, FETCHED, FRESH_WITHIN, LOOK_AFTER, TEXTS_A_PASS};
use crate::replica::{Press, Published, Region, Replica, Selection, Told, place};

/// All shards of all regions.
pub(crate) struct Shards {
    regions: BTreeMap<RegionId, Vec<Arc<Shard>>>,
    turn: AtomicUsize,
}

/// A share of one region's game servers.
pub(crate) struct Shard {
    region: Arc<Region>,
    seats: Mutex<Seats<Link>>,
}

/// Numbered places, so that who leaves during a pass moves nobody into a place that it has been at.
struct Seats<T: ?Sized> {
    taken: Vec<Option<Arc<T>>>,
    free: Vec<usize>,
}

/// A game server's seat in a shard, given back when dropped.
pub(super) struct Seat {
    shard: Arc<Shard>,
    number: usize,
}

/// One round through a share: what is offered, in texts by the version that they start from and by filter.
pub(super) struct Pass {
    pub(super) published: Arc<Published>,
    /// The newest notice. One that comes later rings the bell again.
    pub(super) notice: u64,
    /// What most need.
    first: Option<(Version, Selection, Told)>,
    /// What others do. Filters are kept, so that no other can take one's address.
    others: HashMap<(Version, usize), (Selection, Told)>,
}

impl Pass {
    /// What changed since a version, if that is known already.
    pub(super) fn find(&self, from: Version, selection: &Selection) -> Option<&Told> {
        if let Some((at, filter, told)) = &self.first
            && (*at, identity(filter)) == (from, identity(selection))
        {
            return Some(told);
        }
        let (_, told) = self.others.get(&(from, identity(selection)))?;
        Some(told)
    }

    fn keep(&mut self, from: Version, selection: &Selection, told: Told) {
        if self.first.is_none() {
            self.first = Some((from, selection.clone(), told));
        } else {
            let key = (from, identity(selection));
            self.others.insert(key, (selection.clone(), told));
        }
    }
}

/// Equal filters are one ([`super::Registry::select`]).
fn identity(selection: &Selection) -> usize {
    let address = |filter: &Arc<Filter>| Arc::as_ptr(filter).addr();
    selection.as_ref().map_or(0, address)
}

impl Shards {
    /// As many for each region as there are cores.
    pub(crate) fn new(replica: &Replica) -> Self {
        let count = std::thread::available_parallelism().map_or(1, NonZero::get);
        let shards = |region: &Arc<Region>| {
            let shard = || {
                Arc::new(Shard {
                    region: Arc::clone(region),
                    seats: Mutex::new(Seats::new()),
                })
            };
            let shards = std::iter::repeat_with(shard).take(count).collect();
            (region.id().clone(), shards)
        };
        Self {
            regions: replica.regions().map(shards).collect(),
            turn: AtomicUsize::new(0),
        }
    }

    /// All of them, to be run.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Shard>> {
        self.regions.values().flatten()
    }

    /// Gives a game server to the next shard of its region; `None` if there is none.
    pub(super) fn seat(&self, link: &Arc<Link>) -> Option<Seat> {
        let shards = self.regions.get(link.region().id())?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let shard = shards.get(turn.checked_rem(shards.len())?)?;
        Some(Seat {
            number: shard.seats.lock().take(Arc::clone(link)),
            shard: Arc::clone(shard),
        })
    }
}

impl<T: ?Sized> Seats<T> {
    fn new() -> Self {
        Self {
            taken: Vec::new(),
            free: Vec::new(),
        }
    }

    fn take(&mut self, who: Arc<T>) -> usize {
        if let Some(number) = self.free.pop()
            && let Some(seat) = self.taken.get_mut(number)
        {
            *seat = Some(who);
            return number;
        }
        self.taken.push(Some(who));
        self.taken.len() - 1
    }

    fn leave(&mut self, number: usize) -> Option<Arc<T>> {
        let who = self.taken.get_mut(number)?.take();
        self.free.extend(who.is_some().then_some(number));
        who
    }

    /// Who is in the next [`BATCH`] seats from a number on, and where to go on; `None` at the end.
    fn batch(&self, from: usize, who: &mut Vec<Arc<T>>) -> Option<usize> {
        who.clear();
        let to = self.taken.len().min(from + BATCH);
        who.extend(self.taken.get(from..to)?.iter().flatten().cloned());
        (from < to).then_some(to)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let link = self.shard.seats.lock().leave(self.number);
        // Not under the lock: it may be the last.
        drop(link);
    }
}

impl Shard {
    /// Serves its share until `shutdown`.
    pub(crate) async fn run(self: Arc<Self>, serving: Serving, shutdown: CancellationToken) {
        let mut bell = self.region.watch();
        let mut drain = serving.drain.watch();
        let mut looks = interval(LOOK_AFTER);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // Fair: however fast changes come, somebody is looked after.
            tokio::select! {
                () = shutdown.cancelled() => return,
                // Errors would mean that region and drain are gone, which this task holds.
                _ = bell.changed() => self.pass(&serving).await,
                _ = drain.changed() => self.look_after(&serving).await,
                _ = looks.tick() => self.look_after(&serving).await,
            }
        }
    }

    /// Offers what is published to everybody.
    async fn pass(&self, serving: &Serving) {
        let Some(published) = self.region.load() else {
            return;
        };
        let mut pass = Pass {
            notice: self.region.notices().latest(),
            published,
            first: None,
            others: HashMap::new(),
        };
        let (mut links, mut next) = (Vec::with_capacity(BATCH), 0);
        let (mut written, mut bytes, mut spared) = (0, 0, 0);
        let mut noticed = Noticed::default();
        loop {
            let batch = self.seats.lock().batch(next, &mut links);
            let Some(to) = batch else { break };
            next = to;
            for links in links.chunks(FETCHED) {
                links.iter().for_each(|link| link.fetch());
                for link in links {
                    match offer(serving, &mut pass, link).await {
                        Offer::Taken(size) => (written, bytes) = (written + 1, bytes + size),
                        Offer::Spared => spared += 1,
                        Offer::Noticed(notices) => noticed.and(&notices),
                        Offer::Wants(_) | Offer::Left => {}
                    }
                }
            }
            links.clear();
            yield_now().await;
        }
        let servers = &serving.metrics.servers;
        servers.sent.with_label_values(&["delta"]).inc_by(written);
        servers.sent_bytes.inc_by(bytes as u64);
        serving.metrics.fanout.shard_writes.inc_by(written);
        serving.metrics.fanout.spared.inc_by(spared);
        noticed.count(servers);
    }

    /// Looks after everybody.
    async fn look_after(&self, serving: &Serving) {
        let (now, time) = (Instant::now(), serving.clock.now());
        let draining = serving.drain.state();
        let look = Look {
            now,
            time,
            authority: &serving.authority,
            stale: self.region.age(time).is_some_and(|age| age > FRESH_WITHIN),
            goodbyes: draining.map(|draining| draining.spread),
            over: draining.is_some_and(|draining| draining.until <= now),
        };
        let (mut links, mut next) = (Vec::with_capacity(BATCH), 0);
        let mut ahead: Option<Cursor> = None;
        loop {
            let batch = self.seats.lock().batch(next, &mut links);
            let Some(to) = batch else { break };
            next = to;
            for link in links.drain(..) {
                let waits = link.look_after(&look);
                ahead = [ahead, waits]
                    .into_iter()
                    .flatten()
                    .max_by_key(|&at| place(at));
            }
            yield_now().await;
        }
        if let Some(ahead) = ahead {
            // Another edge may have written since the last look.
            serving.cache.look(self.region.id(), ahead);
        }
    }
}

async fn offer(serving: &Serving, pass: &mut Pass, link: &Link) -> Offer {
    let offer = link.offer(pass);
    let Offer::Wants(from) = offer else {
        return offer;
    };
    // Who is alone at its place sees to itself.
    if pass.others.len() >= TEXTS_A_PASS {
        link.wake();
        return Offer::Left;
    }
    let press = Press {
        now: serving.clock.now(),
        encodings: &serving.metrics.encodings,
    };
    match pass.published.delta(from, link.selection(), press).await {
        Ok(told) => {
            pass.keep(from, link.selection(), told);
            link.offer(pass)
        }
        Err(failure) => {
            error!(error = %failure, "a change cannot be printed");
            link.wake();
            Offer::Left
        }
    }
}

#[cfg(test)]
mod tests;
