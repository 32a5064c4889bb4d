//! Writing down what edges acked and told.
//!
//! Connections put acks, reports and confirmations here and go on; one task writes them in batches. Acks of one edge and region that
//! come while a batch is being written become one, so what waits is bounded by edges times regions. A
//! crash loses at most one batch, and the edges' positions come again with their next hello.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::backoff::Backoff;
use liveevents_protocol::frame::Delivery;
use liveevents_protocol::id::{EdgeId, RegionId};
use liveevents_service::clock::Clock;
use parking_lot::Mutex;
use sqlx::PgPool;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::reports::Reports;
use crate::limits::DATABASE_DEADLINE;
use crate::metrics::PushMetrics;
use crate::store::StoreError;
use crate::store::acks::{self, Ack};
use crate::store::delivery::Degraded;
use crate::store::erasures::{self, Confirmation};

#[derive(Debug, Default)]
struct Waiting {
    acks: BTreeMap<(EdgeId, RegionId), Ack>,
    /// With how far each one's clock is ahead, where that is known.
    seen: BTreeMap<EdgeId, Option<SignedDuration>>,
    reports: Reports,
    /// Of what edges were told over connections that are there, so they are bounded too.
    forgotten: BTreeSet<Confirmation>,
}

impl Waiting {
    fn see(&mut self, edge: EdgeId, clock_offset: Option<SignedDuration>) {
        let known = self.seen.entry(edge).or_default();
        *known = clock_offset.or(*known);
    }
}

/// Where connections leave acks and signs of life.
#[derive(Debug, Default)]
pub struct AckBox {
    waiting: Mutex<Waiting>,
    filled: Notify,
}

impl AckBox {
    /// Leaves an ack.
    pub fn ack(&self, ack: Ack) {
        let mut waiting = self.waiting.lock();
        waiting.see(ack.edge.clone(), None);
        let key = (ack.edge.clone(), ack.region.clone());
        match waiting.acks.get_mut(&key) {
            // The two are one step; its time is the later one's, so no delay is understated.
            Some(before) if before.epoch == ack.epoch => {
                before.to = ack.to;
                before.at = ack.at;
            }
            _ => {
                waiting.acks.insert(key, ack);
            }
        }
        drop(waiting);
        self.filled.notify_one();
    }

    /// Leaves a sign of life, with how far the edge's clock seems to be ahead.
    pub fn seen(&self, edge: &EdgeId, clock_offset: SignedDuration) {
        self.waiting.lock().see(edge.clone(), Some(clock_offset));
        self.filled.notify_one();
    }

    /// Leaves what an edge has told of its game servers.
    pub fn delivery(&self, edge: &EdgeId, delivery: Delivery, at: Timestamp) {
        self.waiting.lock().reports.add(edge, delivery, at);
        self.filled.notify_one();
    }

    /// Leaves what an edge cannot apply.
    pub fn degraded(&self, list: Degraded) {
        self.waiting.lock().reports.degrade(list);
        self.filled.notify_one();
    }

    /// Leaves an edge's word that it has forgotten a player.
    pub fn forgotten(&self, confirmation: Confirmation) {
        self.waiting.lock().forgotten.insert(confirmation);
        self.filled.notify_one();
    }

    fn take(&self) -> Waiting {
        std::mem::take(&mut self.waiting.lock())
    }

    /// Puts back what could not be written, under what has come since.
    fn put_back(&self, batch: Waiting) {
        let mut waiting = self.waiting.lock();
        for (edge, clock_offset) in batch.seen {
            let later = waiting.seen.entry(edge).or_default();
            *later = later.or(clock_offset);
        }
        waiting.reports.put_back(batch.reports);
        waiting.forgotten.extend(batch.forgotten);
        for (key, ack) in batch.acks {
            match waiting.acks.get_mut(&key) {
                Some(later) if later.epoch == ack.epoch => later.from = ack.from,
                Some(_) => {}
                None => {
                    waiting.acks.insert(key, ack);
                }
            }
        }
    }
}

/// Writes what the box holds, until shut down and empty.
pub async fn write(
    acks: Arc<AckBox>,
    pool: PgPool,
    clock: Clock,
    metrics: PushMetrics,
    shutdown: CancellationToken,
) {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
    loop {
        tokio::select! {
            () = acks.filled.notified() => {}
            () = shutdown.cancelled() => {}
        }
        let batch = acks.take();
        let written = timeout(DATABASE_DEADLINE, write_batch(&pool, &batch, &clock)).await;
        match written {
            Ok(Ok(())) => {
                backoff.reset();
                metrics.acks.inc_by(batch.acks.len() as u64);
                if shutdown.is_cancelled() {
                    return;
                }
                continue;
            }
            Ok(Err(error)) => {
                let error = liveevents_service::logs::chain(&error);
                tracing::warn!(error, "acks could not be written, trying again");
            }
            Err(_) => tracing::warn!("acks could not be written in time, trying again"),
        }
        metrics.ack_errors.inc();
        if shutdown.is_cancelled() {
            return;
        }
        acks.put_back(batch);
        acks.filled.notify_one();
        // At shutdown there is one more try, and no waiting for it.
        tokio::select! {
            () = tokio::time::sleep(backoff.fail(rand::random())) => {}
            () = shutdown.cancelled() => {}
        }
    }
}

async fn write_batch(pool: &PgPool, batch: &Waiting, clock: &Clock) -> Result<(), StoreError> {
    let mut tx = pool.begin().await?;
    acks::seen(&mut tx, &batch.seen, clock.now()).await?;
    let acks: Vec<Ack> = batch.acks.values().cloned().collect();
    acks::record(&mut tx, &acks).await?;
    batch.reports.write(&mut tx).await?;
    if !batch.forgotten.is_empty() {
        let forgotten: Vec<_> = batch.forgotten.iter().cloned().collect();
        erasures::confirm(&mut tx, &forgotten, clock.now()).await?;
    }
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use liveevents_protocol::version::{Epoch, Version};

    use super::*;

    fn ack(epoch: u128, from: u64, to: u64) -> Ack {
        Ack {
            edge: "e".parse().unwrap(),
            region: "us-east".parse().unwrap(),
            epoch: Epoch(uuid::Uuid::from_u128(epoch)),
            from: Version(from),
            to: Version(to),
            at: Timestamp::from_second(i64::try_from(to).unwrap()).unwrap(),
        }
    }

    #[test]
    fn waiting_acks_become_one_and_lose_nothing() {
        let acks = AckBox::default();
        acks.ack(ack(1, 0, 3));
        acks.ack(ack(1, 3, 5));
        let batch = acks.take();
        assert_eq!(batch.acks.values().collect::<Vec<_>>(), [&ack(1, 0, 5)]);

        acks.ack(ack(1, 5, 8));
        acks.put_back(batch);
        assert_eq!(
            acks.take().acks.into_values().collect::<Vec<_>>(),
            [ack(1, 0, 8)]
        );

        acks.ack(ack(1, 8, 9));
        let batch = acks.take();
        acks.ack(ack(2, 0, 1));
        acks.put_back(batch);
        assert_eq!(
            acks.take().acks.into_values().collect::<Vec<_>>(),
            [ack(2, 0, 1)]
        );
    }
}
