//! What edges tell of engagement: sessions claimed, and aggregates counted, each in one transaction. The answer goes out
//! after the commit, and only then; while the database is away it is waited for, as long as the connection lasts.

use std::time::Duration;

use liveevents_protocol::engagement::{Currencies, SenderSession};
use liveevents_protocol::frame::{Aggregate, OriginFrame};
use liveevents_protocol::id::EdgeId;
use liveevents_service::clock::Clock;
use liveevents_service::logs::chain;
use sqlx::PgPool;
use tokio::time::{sleep, timeout};

use crate::limits::DATABASE_DEADLINE;
use crate::store::{StoreError, engagement};

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
            if let Some(claimed) = tried("sessions", claiming).await {
                return OriginFrame::Claimed(claimed);
            }
        }
    }

    pub(super) async fn count(self, aggregate: Aggregate) -> OriginFrame {
        loop {
            let counting = async {
                let mut tx = self.pool.begin().await?;
                let by = (&self.edge, self.claim);
                let refused = engagement::count(&mut tx, by, &aggregate, self.clock.now()).await?;
                if refused.is_empty() {
                    tx.commit().await?;
                }
                Ok(refused)
            };
            if let Some(refused) = tried("reports", counting).await {
                let id = aggregate.id;
                return OriginFrame::Counted { id, refused };
            }
        }
    }
}

/// What a transaction came to; `None` after a pause if it failed. One whose commit was not heard of may have been carried
/// out: then what is tried again is so already, and must do no harm.
async fn tried<T>(what: &str, work: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
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
    sleep(RETRY).await;
    None
}
