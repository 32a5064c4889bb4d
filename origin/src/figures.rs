//! Looks at what `/metrics` tells of the whole installation: how many events are Active, and what part of the players takes
//! part. By the clock and not by who asks, so that a scrape costs the database nothing.
//!
//! While the database is away the last figures stay, and its failures are counted.

use jiff::SignedDuration;
use liveevents_service::clock::Clock;
use liveevents_service::logs::chain;
use sqlx::PgPool;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::engagement::{Engagement, Sample};
use crate::event::lifecycle::State;
use crate::limits::{ACTIVE_INTERVAL, DATABASE_DEADLINE, RATE_INTERVAL, RATE_ROWS};
use crate::metrics::FigureMetrics;
use crate::store::engagement::Grain;
use crate::store::{StoreError, events, figures};

/// Looks at them.
pub struct Figures {
    /// Postgres.
    pub pool: PgPool,
    /// The time.
    pub clock: Clock,
    /// Where they are told.
    pub metrics: FigureMetrics,
}

impl Figures {
    /// Runs until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let [mut active, mut rates] = [ACTIVE_INTERVAL, RATE_INTERVAL].map(|every| {
            let mut ticks = interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        loop {
            let looked = tokio::select! {
                () = shutdown.cancelled() => return,
                _ = active.tick() => None,
                _ = rates.tick() => Some(()),
            };
            let looked = match looked {
                None => timeout(DATABASE_DEADLINE, self.count_active()).await,
                Some(()) => timeout(DATABASE_DEADLINE, self.rate()).await,
            };
            match looked {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => {
                    let error = chain(&error);
                    tracing::warn!(error, "figures for metrics cannot be read, later again");
                }
                Err(_) => {
                    tracing::warn!("figures for metrics cannot be read in time, later again");
                }
            }
            self.metrics.failures.inc();
        }
    }

    /// Counts the events that are Active.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn count_active(&self) -> Result<(), StoreError> {
        let mut conn = self.pool.acquire().await?;
        let active = events::number_in(&mut conn, State::Active).await?;
        self.metrics.active(active);
        Ok(())
    }

    /// Finds what part of the players takes part. Whole hours are read: of the minutes of an hour there are thirty times as
    /// many rows.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn rate(&self) -> Result<(), StoreError> {
        let since = Grain::Hour.begin(self.clock.now() - SignedDuration::from_hours(1));
        let mut conn = self.pool.acquire().await?;
        let regions = figures::taking_part(&mut conn, since, RATE_ROWS).await?;
        let rates = regions.into_iter().filter_map(|(region, tally)| {
            let rate = Engagement::of(Sample::everybodys(&tally)).participation_rate?;
            Some((region, rate))
        });
        self.metrics.rates(&rates.collect());
        Ok(())
    }
}
