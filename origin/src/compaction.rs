//! Forgetting old rows of the region logs, old keys of requests and old engagement, so that they do not grow for ever.

use std::time::Duration;

use liveevents_service::clock::Clock;
use liveevents_service::logs::chain;
use prometheus::IntCounter;
use sqlx::PgPool;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::limits::{
    DATABASE_DEADLINE, IDEMPOTENCY_BATCH, IDEMPOTENCY_LIFE, REPORTS_LIFE, REVENUE_LIFE,
};
use crate::store::{StoreError, engagement, idempotency, region_log};

/// At 100 changes a second a log grows by 30,000 rows in between, a few dozen megabytes.
const EVERY: Duration = Duration::from_secs(300);

/// Why something was not forgotten.
#[derive(Debug, thiserror::Error)]
enum Kept {
    #[error("the database refused")]
    Store(#[from] StoreError),
    #[error("the database did not answer in time")]
    TimedOut,
}

/// Keeps the newest `keep` versions of every region's log, until shut down. Several origins may do so at
/// once; each region is a short transaction of its own.
pub async fn run(
    pool: PgPool,
    keep: u64,
    clock: Clock,
    failures: IntCounter,
    shutdown: CancellationToken,
) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match within(compact(&pool, keep), &failures).await {
            Ok(0) => {}
            Ok(rows) => info!(rows, "region logs compacted"),
            Err(error) => warn!(error, "region logs could not be compacted, later again"),
        }
        if let Err(error) = within(keep_engagement(&pool, &clock), &failures).await {
            warn!(error, "no room was made for engagement, later again");
        }
        if let Err(error) = within(forget_keys(&pool, &clock), &failures).await {
            warn!(
                error,
                "old keys of requests could not be forgotten, later again"
            );
        }
    }
}

/// What comes of some work under the database's deadline, or what is to be logged. A failure is counted.
async fn within<T>(
    work: impl Future<Output = Result<T, StoreError>>,
    failures: &IntCounter,
) -> Result<T, String> {
    let done = match timeout(DATABASE_DEADLINE, work).await {
        Ok(done) => done.map_err(Kept::Store),
        Err(_) => Err(Kept::TimedOut),
    };
    done.map_err(|error| {
        failures.inc();
        chain(&error).to_string()
    })
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
