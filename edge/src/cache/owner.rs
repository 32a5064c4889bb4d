//! The task that owns the connection to Redis: what it loads, what it writes, and when it tries again.

mod trust;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use liveevents_protocol::backoff::Backoff;
use liveevents_protocol::id::{Installation, RegionId};
use liveevents_protocol::message::Cursor;
use liveevents_service::clock::Clock;
use liveevents_service::http::Authority;
use liveevents_service::logs::chain;
use liveevents_service::token::Verifier;
use liveevents_service::trust::TrustKey;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::store::{Store, StoreError, Written};
use super::{Cache, State};
use crate::limits::{
    CACHE_FLUSH_DEADLINE, CACHE_OUTRUN, CACHE_REFRESH, CACHE_RETRY_BASE, CACHE_RETRY_MAX,
    LOOK_INTERVAL, WARM_START_DEADLINE,
};
use crate::metrics::CacheMetrics;
use crate::replica::{Publication, Published, Region, Replica, Step};
use crate::words::words;

/// The task that owns the connection to Redis.
pub(crate) struct Owner {
    cache: Cache,
    store: Store,
    replica: Arc<Replica>,
    clock: Clock,
    metrics: CacheMetrics,
    judge: Judge,
    /// The serial of the bundle that was there last, and when.
    saved_trust: Option<(u64, Instant)>,
    books: BTreeMap<RegionId, Book>,
    /// Whether this write is the last.
    ending: bool,
}

/// Whom keys and revocations found in Redis are for.
pub(crate) struct Judge {
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) authority: Authority,
    /// The key that must have signed them.
    pub(crate) pinned: TrustKey,
}

/// What the task knows of one region's hash.
#[derive(Debug, Default)]
struct Book {
    /// What this edge wrote or found there last.
    written: Option<Cursor>,
    /// When.
    told: Option<Instant>,
    /// Past so many fields, removals long forgotten fill the hash: time to replace it.
    compact_at: usize,
    /// What was found there and has not been confirmed by the origin.
    suspect: Option<Cursor>,
    looked: Option<Instant>,
    /// Since when Redis says that it has something newer.
    outrun: Option<Instant>,
    /// Since when there is something to write that lacks entries.
    waiting: Option<Instant>,
}

impl Owner {
    pub(crate) fn new(
        client: redis::Client,
        installation: Installation,
        cache: Cache,
        replica: Arc<Replica>,
        judge: Judge,
        clock: Clock,
        metrics: CacheMetrics,
    ) -> Self {
        *cache.0.state.lock() = State::Working;
        let books = replica
            .regions()
            .map(|region| (region.id().clone(), Book::default()));
        Self {
            cache,
            store: Store::new(client, installation),
            books: books.collect(),
            replica,
            clock,
            metrics,
            judge,
            saved_trust: None,
            ending: false,
        }
    }

    /// Loads what Redis holds. Whatever cannot be had in time is done without, and looked for again later.
    pub(crate) async fn warm_start(&mut self) {
        match timeout(WARM_START_DEADLINE, self.load_missing()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.failed(&error),
            Err(_) => warn!("redis did not answer in time; starting without"),
        }
    }

    /// Keeps Redis up to date until `shutdown`, then once more.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut backoff = Backoff::new(CACHE_RETRY_BASE, CACHE_RETRY_MAX);
        let mut changed = self.replica.watch();
        loop {
            changed.borrow_and_update();
            let round = tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                round = self.round() => round,
            };
            let wait = match round {
                Ok(()) => {
                    self.worked();
                    backoff.reset();
                    self.wake(&mut changed, &shutdown).await;
                    continue;
                }
                Err(error) => {
                    self.failed(&error);
                    backoff.fail(rand::random())
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.ending = true;
        match timeout(CACHE_FLUSH_DEADLINE, self.write_all()).await {
            Ok(Ok(())) => debug!("redis is up to date"),
            Ok(Err(error)) => warn!(error = chain(&error), "the last write to redis failed"),
            Err(_) => warn!("the last write to redis did not end in time"),
        }
    }

    /// Returns when there may be something to do.
    async fn wake(&self, changed: &mut watch::Receiver<()>, shutdown: &CancellationToken) {
        let looks_due = !self.cache.0.wanted.lock().is_empty();
        let most = if looks_due {
            LOOK_INTERVAL
        } else {
            CACHE_REFRESH
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            // An error would mean that the replica is gone, and with it this task's owner.
            _ = changed.changed() => {}
            () = self.cache.0.bell.notified() => {}
            () = tokio::time::sleep(most) => {}
        }
    }

    /// # Cancel safety
    /// May be dropped at any await: what was being written is written again.
    async fn round(&mut self) -> Result<(), StoreError> {
        self.load_missing().await?;
        self.write_all().await
    }

    /// The state of regions that have none, or in which somebody is ahead; keys, if there are none.
    async fn load_missing(&mut self) -> Result<(), StoreError> {
        for region in self.regions() {
            if region.load().is_none() || self.cache.0.wanted.lock().contains_key(region.id()) {
                self.look(&region).await?;
            }
        }
        if self.judge.verifier.serial().is_none() {
            self.load_trust().await?;
        }
        Ok(())
    }

    async fn write_all(&mut self) -> Result<(), StoreError> {
        self.keep_trust().await?;
        for region in self.regions() {
            self.write(&region).await?;
        }
        Ok(())
    }

    fn regions(&self) -> Vec<Arc<Region>> {
        self.replica.regions().cloned().collect()
    }

    /// A look, unless there was one just now: then a later round has another.
    async fn look(&mut self, region: &Arc<Region>) -> Result<(), StoreError> {
        let looked = self.books.get(region.id()).and_then(|book| book.looked);
        if looked.is_some_and(|at| at.elapsed() < LOOK_INTERVAL) {
            return Ok(());
        }
        let ahead = self.cache.0.wanted.lock().remove(region.id());
        self.load(region, ahead).await
    }

    async fn load(
        &mut self,
        region: &Arc<Region>,
        ahead: Option<Cursor>,
    ) -> Result<(), StoreError> {
        let book = self.books.entry(region.id().clone()).or_default();
        book.looked = Some(Instant::now());
        let stored = match self.store.load(region.id()).await {
            Ok(Some(stored)) => stored,
            Ok(None) => return Ok(()),
            Err(StoreError::Rubbish(rubbish)) => {
                self.metrics.rubbish.inc();
                let error = chain(&rubbish);
                warn!(region = %region.id(), error, "redis held a state that is none; it is ignored");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let found = stored.published.cursor();
        let alone = region.load().is_none_or(|held| !held.is_confirmed());
        let known = ahead.is_some_and(|ahead| found.epoch <= ahead.epoch);
        if !alone && !known && region.silent_since().is_none() {
            return Ok(());
        }
        let published = region.publish(stored.published, stored.contact);
        if published == Publication::Published {
            book.suspect = Some(found);
            book.written = Some(found);
            book.compact_at = compact_at(stored.fields);
            self.metrics.loads.inc();
            info!(region = %region.id(), version = %found.version, "state loaded from redis");
        }
        Ok(())
    }

    async fn write(&mut self, region: &Arc<Region>) -> Result<(), StoreError> {
        let (Some(published), Some(contact)) = (region.load(), region.contact()) else {
            return Ok(());
        };
        let book = self.books.entry(region.id().clone()).or_default();
        // The origin did not know what was found in Redis: nobody else is to start from it.
        if let Some(suspect) = book.suspect
            && published.is_confirmed()
        {
            if published.step(Some(suspect)) == Step::Ahead {
                let place = [suspect.epoch.to_string(), suspect.version.to_string()];
                self.store
                    .forget(region.id(), &place.map(String::into_bytes))
                    .await?;
            }
            book.suspect = None;
        }
        let at = published.cursor();
        let whole = self.cache.0.rewrite.lock().contains(region.id());
        let fresh = book.told.is_some_and(|told| told.elapsed() < CACHE_REFRESH);
        if book.written == Some(at) && fresh && !whole {
            return Ok(());
        }
        // Another edge of the region may be able to write all of it: it has the first word.
        if !published.quarantine().is_empty() {
            let waiting = *book.waiting.get_or_insert_with(Instant::now);
            if waiting.elapsed() < CACHE_REFRESH && !self.ending {
                return Ok(());
            }
        }
        book.waiting = None;
        let written = book.written.filter(|written| written.epoch == at.epoch);
        let delta = written.and_then(|written| published.state().since(written.version));
        let verdict = match delta.filter(|_| !whole) {
            Some(delta) => {
                self.store
                    .apply(region.id(), &published, delta, contact)
                    .await?
            }
            None => Written::Replace,
        };
        let verdict = match verdict {
            Written::Applied(fields) | Written::Held(fields) if fields > book.compact_at => {
                Written::Replace
            }
            verdict => verdict,
        };
        let verdict = match verdict {
            Written::Replace => self.replace(region, &published, contact).await?,
            verdict => verdict,
        };
        if verdict == Written::Newer {
            self.outrun(region, &published, contact).await?;
        }
        self.cache.0.rewrite.lock().remove(region.id());
        let book = self.books.entry(region.id().clone()).or_default();
        if verdict != Written::Newer {
            book.outrun = None;
        }
        book.written = Some(at);
        book.told = Some(Instant::now());
        self.metrics.writes.inc();
        Ok(())
    }

    /// Redis has something newer: another edge was quicker. But if it stays so while the origin is heard all the time,
    /// the origin knows nothing of it, and nobody is to start from it.
    async fn outrun(
        &mut self,
        region: &Arc<Region>,
        published: &Published,
        contact: Timestamp,
    ) -> Result<(), StoreError> {
        let book = self.books.entry(region.id().clone()).or_default();
        let since = *book.outrun.get_or_insert_with(Instant::now);
        if region.silent_since().is_some() || !published.is_confirmed() {
            book.outrun = None;
        } else if since.elapsed() >= CACHE_OUTRUN {
            book.outrun = None;
            self.metrics.rubbish.inc();
            warn!(region = %region.id(), "redis holds a state that the origin knows nothing of; it is replaced");
            self.store.clear(region.id()).await?;
            self.replace(region, published, contact).await?;
        }
        Ok(())
    }

    async fn replace(
        &mut self,
        region: &Arc<Region>,
        published: &Published,
        contact: Timestamp,
    ) -> Result<Written, StoreError> {
        let verdict = self.store.replace(region.id(), published, contact).await?;
        if let Written::Applied(fields) = verdict
            && let Some(book) = self.books.get_mut(region.id())
        {
            book.compact_at = compact_at(fields);
        }
        self.metrics.replacements.inc();
        Ok(verdict)
    }

    fn worked(&self) {
        self.metrics.working.set(1);
        let before = std::mem::replace(&mut *self.cache.0.state.lock(), State::Working);
        if let State::Away { .. } = before {
            info!("redis is back");
        }
    }

    fn failed(&mut self, error: &StoreError) {
        self.store.disconnect();
        self.saved_trust = None;
        self.metrics.working.set(0);
        self.metrics.failures.inc();
        let reason = words(&chain(error).to_string());
        let mut state = self.cache.0.state.lock();
        if let State::Away { reason: known, .. } = &mut *state {
            *known = reason;
            return;
        }
        warn!(reason, "redis is away; the edge goes on without");
        let since = self.clock.now();
        *state = State::Away { since, reason };
    }
}

/// Doubling keeps the cost of compaction below that of the writes that made it necessary.
fn compact_at(fields: usize) -> usize {
    fields
        .saturating_mul(2)
        .saturating_add(liveevents_protocol::limits::MAX_TOMBSTONES)
}
