//! Forgetting old rows of the region logs, old keys of requests and old engagement, so that they do not grow for ever.

use std::time::Duration;

use liveevents_service::clock::Clock;
use sqlx::PgPool;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::limits::{
    DATABASE_DEADLINE, IDEMPOTENCY_BATCH, IDEMPOTENCY_LIFE, REPORTS_LIFE, REVENUE_LIFE,
};
use crate::store::{StoreError, engagement, idempotency, region_log};

/// At 100 changes a second a log grows by 30,000 rows in between, a few dozen megabytes.
const EVERY: Duration = Duration::from_secs(300);

/// Keeps the newest `keep` versions of every region's log, until shut down. Several origins may do so at
/// once; each region is a short transaction of its own.
pub async fn run(pool: PgPool, keep: u64, clock: Clock, shutdown: CancellationToken) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match timeout(DATABASE_DEADLINE, compact(&pool, keep)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(rows)) => tracing::info!(rows, "region logs compacted"),
            Ok(Err(error)) => {
                let error = liveevents_service::logs::chain(&error);
                tracing::warn!(error, "region logs could not be compacted, later again");
            }
            Err(_) => tracing::warn!("region logs could not be compacted in time, later again"),
        }
        match timeout(DATABASE_DEADLINE, keep_engagement(&pool, &clock)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                let error = liveevents_service::logs::chain(&error);
                tracing::warn!(error, "no room was made for engagement, later again");
            }
            Err(_) => tracing::warn!("no room was made for engagement in time, later again"),
        }
        match timeout(DATABASE_DEADLINE, forget_keys(&pool, &clock)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                let error = liveevents_service::logs::chain(&error);
                tracing::warn!(
                    error,
                    "old keys of requests could not be forgotten, later again"
                );
            }
            Err(_) => {
                tracing::warn!("old keys of requests could not be forgotten in time, later again")
            }
        }
    }
}

async fn compact(pool: &PgPool, keep: u64) -> Result<u64, StoreError> {
    let mut conn = pool.acquire().await?;
    let regions = region_log::heads(&mut conn).await?;
    drop(conn);
    let mut gone = 0;
    for region in regions.keys() {
        let mut tx = pool.begin().await?;
        gone += region_log::compact(&mut tx, region, keep).await?;
        tx.commit().await?;
    }
    Ok(gone)
}

/// Makes room for what is reported today and tomorrow, and forgets what is over.
///
/// # Errors
/// If the database fails.
pub async fn keep_engagement(pool: &PgPool, clock: &Clock) -> Result<(), StoreError> {
    let now = clock.now();
    let mut conn = pool.acquire().await?;
    engagement::keep_partitions(&mut conn).await?;
    engagement::forget_revenue(&mut conn, now - REVENUE_LIFE).await?;
    engagement::forget_sessions(&mut conn, now - REPORTS_LIFE).await
}

/// Forgets the keys of requests that are too old to be sent again, a batch a transaction, and says how many they were.
///
/// # Errors
/// If the database fails.
pub async fn forget_keys(pool: &PgPool, clock: &Clock) -> Result<u64, StoreError> {
    let expired = clock.now() - IDEMPOTENCY_LIFE;
    let mut gone = 0;
    loop {
        let mut conn = pool.acquire().await?;
        let batch = idempotency::forget(&mut conn, expired, IDEMPOTENCY_BATCH).await?;
        gone += batch;
        if batch < IDEMPOTENCY_BATCH.unsigned_abs() {
            return Ok(gone);
        }
    }
}
