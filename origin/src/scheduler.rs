//! Records what events have done by themselves, within a moment of it, and tops series up.
//!
//! It sleeps until the next event is due, and is woken by whoever changes a schedule; an interval is only the net. The
//! database's time decides. Several may run: each claims events that nobody else has locked, and the claim, what is done
//! and the time of the next look are one transaction, so that nothing is done twice or lost, whatever is killed. After
//! a time away everything that was missed is recorded with the moment at which it was due.

use std::time::Duration;

use liveevents_protocol::backoff::Backoff;
use liveevents_service::logs::chain;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::change::ChangeError;
use crate::limits::{DATABASE_DEADLINE, SCHEDULER_BATCH, SCHEDULER_PAUSE};
use crate::metrics::SchedulerMetrics;
use crate::settle::{Extent, settle};
use crate::store::database_clock::DatabaseClock;
use crate::store::{StoreError, course};

/// Looks at events when they are due.
pub struct Scheduler {
    /// Postgres.
    pub pool: PgPool,
    /// What decides.
    pub time: DatabaseClock,
    /// How long to sleep at the most.
    pub interval: Duration,
    /// What is counted.
    pub metrics: SchedulerMetrics,
}

/// Why events were not looked at.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// What was due could not be written.
    #[error("what was due could not be recorded")]
    Change(#[from] ChangeError),
    /// The database did not answer.
    #[error("the database did not answer in time")]
    TimedOut,
}

impl From<StoreError> for SchedulerError {
    fn from(error: StoreError) -> Self {
        Self::Change(error.into())
    }
}

impl From<sqlx::Error> for SchedulerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Change(StoreError::from(error).into())
    }
}

impl Scheduler {
    /// Runs until `shutdown`. A database that is away is tried again, with back-off.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let lost = tokio::select! {
                () = shutdown.cancelled() => return,
                lost = self.follow(&mut backoff) => lost,
            };
            if let Err(error) = lost {
                self.metrics.failures.inc();
                tracing::warn!(
                    error = chain(&error),
                    "events cannot be looked at, trying again"
                );
            }
            let delay = backoff.fail(rand::random());
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    /// One listening connection's life. Returns without error when the connection was lost.
    async fn follow(&self, backoff: &mut Backoff) -> Result<(), SchedulerError> {
        let listening = async {
            let mut listener = PgListener::connect_with(&self.pool).await?;
            // Reconnecting is done above, where the looking that must follow it is.
            listener.eager_reconnect(false);
            listener.listen(course::CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        let listening = timeout(DATABASE_DEADLINE, listening).await;
        let mut listener = listening.map_err(|_| SchedulerError::TimedOut)??;
        loop {
            let sleep = self.catch_up().await?;
            backoff.reset();
            tokio::select! {
                notification = listener.try_recv() => if notification?.is_none() {
                    return Ok(());
                },
                () = tokio::time::sleep(sleep) => {}
            }
            while listener.next_buffered().is_some() {}
        }
    }

    /// Does everything that is due, and tells how long it is until there is more.
    ///
    /// # Errors
    /// If the database does not answer; what was done stays done.
    pub async fn catch_up(&self) -> Result<Duration, SchedulerError> {
        loop {
            let batch = timeout(DATABASE_DEADLINE, self.batch());
            if !batch.await.map_err(|_| SchedulerError::TimedOut)?? {
                break;
            }
        }
        let next = timeout(DATABASE_DEADLINE, async {
            let mut conn = self.pool.acquire().await?;
            let now = self.time.now(&mut conn).await?;
            course::note_run(&mut conn, now).await?;
            self.metrics.ran(now);
            Ok::<_, SchedulerError>(course::next(&mut conn, now).await?)
        });
        let next = next.await.map_err(|_| SchedulerError::TimedOut)??;
        let next = next.map(|next| Duration::try_from(next).unwrap_or_default());
        // What is due still is locked by a command, which does it or lets go of it soon.
        Ok(next
            .unwrap_or(self.interval)
            .clamp(SCHEDULER_PAUSE, self.interval.max(SCHEDULER_PAUSE)))
    }

    /// Some of what is due; whether there was any. All that goes on is recorded in one transaction, before any series is
    /// topped up, each in its own.
    async fn batch(&self) -> Result<bool, SchedulerError> {
        let mut tx = self.pool.begin().await?;
        let now = self.time.now(&mut tx).await?;
        let events = course::claim(&mut tx, now, SCHEDULER_BATCH).await?;
        if events.is_empty() {
            return Ok(false);
        }
        let due = self.metrics.due(events.len());
        let settled = settle(&mut tx, &events, Extent::WithoutSeries, now, None).await?;
        tx.commit().await?;
        due.recorded();
        self.metrics.settled(&settled, now);
        for event in &settled.left {
            let mut tx = self.pool.begin().await?;
            let now = self.time.now(&mut tx).await?;
            let claimed = course::claim_one(&mut tx, event, now).await?;
            if claimed.is_empty() {
                continue;
            }
            let due = self.metrics.due(claimed.len());
            let settled = settle(&mut tx, &claimed, Extent::All, now, None).await?;
            tx.commit().await?;
            due.recorded();
            self.metrics.settled(&settled, now);
        }
        Ok(true)
    }
}
