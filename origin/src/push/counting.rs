//! What edges tell of engagement: sessions claimed, and aggregates counted, each in one transaction. The answer goes out
//! after the commit, and only then; while the database is away it is waited for, as long as the connection lasts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use liveevents_protocol::engagement::{Currencies, SenderSession};
use liveevents_protocol::frame::{Aggregate, OriginFrame};
use liveevents_protocol::id::{EdgeId, RegionId};
use liveevents_service::clock::Clock;
use liveevents_service::logs::chain;
use sqlx::PgPool;
use tokio::time::{sleep, timeout};

use crate::limits::DATABASE_DEADLINE;
use crate::metrics::EngagementMetrics;
use crate::store::StoreError;
use crate::store::engagement::{self, Added, Outcome};

/// Between two tries.
const RETRY: Duration = Duration::from_millis(500);

/// How reports are counted.
#[derive(Debug, Clone)]
pub struct Counting {
    /// What players' names are hashed with.
    pub key: [u8; 32],
    /// What purchases are worth.
    pub currencies: Currencies,
}

/// Counts what one connection of an edge tells.
#[derive(Clone)]
pub(super) struct Counter {
    pub(super) pool: PgPool,
    pub(super) clock: Clock,
    pub(super) edge: EdgeId,
    pub(super) claim: u64,
    pub(super) metrics: EngagementMetrics,
}

impl Counter {
    pub(super) async fn claim(self, sessions: Vec<SenderSession>) -> OriginFrame {
        loop {
            let claiming = async {
                let mut tx = self.pool.begin().await?;
                let by = (&self.edge, self.claim);
                let claimed = engagement::claim(&mut tx, by, &sessions, self.clock.now()).await?;
                tx.commit().await?;
                Ok(claimed)
            };
            if let Some(claimed) = tried("sessions", &self.metrics, claiming).await {
                return OriginFrame::Claimed(claimed);
            }
        }
    }

    pub(super) async fn count(self, aggregate: Aggregate) -> OriginFrame {
        let id = aggregate.id;
        // What the last commit adds, of which nothing may have been heard.
        let mut committing = None;
        loop {
            let counting = async {
                let begun = Instant::now();
                let mut tx = self.pool.begin().await?;
                let by = (&self.edge, self.claim);
                let outcome = engagement::count(&mut tx, by, &aggregate, self.clock.now()).await?;
                if let Outcome::Counted(added) = &outcome {
                    committing = Some(added.clone());
                    tx.commit().await?;
                }
                self.metrics.took(begun.elapsed());
                Ok(outcome)
            };
            let Some(outcome) = tried("reports", &self.metrics, counting).await else {
                continue;
            };
            let refused = noted(outcome, committing, &self.metrics);
            return OriginFrame::Counted { id, refused };
        }
    }
}

/// Counts what became of an aggregate, of which a commit before may have been carried out without being heard of, and
/// gives whose sessions are others'.
fn noted(
    outcome: Outcome,
    committing: Option<BTreeMap<RegionId, Added>>,
    metrics: &EngagementMetrics,
) -> Vec<SenderSession> {
    match (outcome, committing) {
        // Counted before: by that commit, if there was one.
        (Outcome::Counted(added), _) | (Outcome::Again, Some(added)) => metrics.counted(&added),
        (Outcome::Again, None) => metrics.again(),
        (Outcome::Refused(sessions), _) => {
            metrics.refused();
            return sessions;
        }
    }
    Vec::new()
}

/// What a transaction came to; `None` after a pause if it failed. One whose commit was not heard of may have been carried
/// out: then what is tried again is so already, and must do no harm.
async fn tried<T>(
    what: &str,
    metrics: &EngagementMetrics,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Option<T> {
    match timeout(DATABASE_DEADLINE, work).await {
        Ok(Ok(done)) => return Some(done),
        Ok(Err(error)) => {
            tracing::warn!(
                what,
                error = chain(&error),
                "engagement could not be written, later again"
            );
        }
        Err(_) => tracing::warn!(what, "engagement could not be written in time, later again"),
    }
    metrics.failures.inc();
    sleep(RETRY).await;
    None
}

#[cfg(test)]
mod tests {
    use liveevents_service::metrics::Metrics;

    use super::*;

    #[test]
    fn a_commit_that_was_not_heard_of_is_counted_once() {
        let added = |participations| {
            let added = Added {
                participations,
                revenue: 0,
            };
            BTreeMap::from([("us-east".parse().unwrap(), added)])
        };
        let of_others = vec![SenderSession(uuid::Uuid::from_u128(1))];
        for (outcome, committing, counted) in [
            (Outcome::Counted(added(2)), Some(added(2)), Some(2)),
            (Outcome::Again, Some(added(2)), Some(2)),
            (Outcome::Again, None, None),
            (Outcome::Refused(of_others), None, None),
        ] {
            let metrics = Metrics::new().unwrap();
            let case = format!("{outcome:?} after {committing:?}");
            noted(
                outcome,
                committing,
                &EngagementMetrics::new(&metrics).unwrap(),
            );
            let text = metrics.render().unwrap();
            let line = "liveevents_participants_total{region=\"us-east\"} ";
            let found = text.lines().find_map(|found| found.strip_prefix(line));
            let found = found.map(|number| number.parse::<u64>().unwrap());
            assert_eq!(found, counted, "{case}");
        }
    }
}
