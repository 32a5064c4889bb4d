//! The time by the database's clock, which is one for all replicas: what is due is judged by it.

use jiff::Timestamp;
use liveevents_service::clock::Clock;
use sqlx::{PgConnection, query};

use super::{StoreError, Time};

/// Tells the database's time. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct DatabaseClock(Option<Clock>);

impl DatabaseClock {
    /// Another clock in its place, for tests.
    #[must_use]
    pub fn instead(clock: Clock) -> Self {
        Self(Some(clock))
    }

    /// The time now, and not when the transaction began: it may have waited for a lock.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn now(&self, conn: &mut PgConnection) -> Result<Timestamp, StoreError> {
        if let Some(clock) = &self.0 {
            return Ok(clock.now());
        }
        let row = query!(r#"SELECT clock_timestamp() as "now!: Time""#)
            .fetch_one(conn)
            .await?;
        Ok(row.now.to_jiff())
    }
}
