//! Reaching Postgres: waiting for it at the start, migrating it, and the pool everything shares.
//!
//! Migrations run as the owner where one is configured. A database that has all of ours, and perhaps
//! more of a later release, is left alone, so that the service's own role need not be able to.

use std::time::Duration;

use liveevents_protocol::backoff::Backoff;
use sqlx::PgPool;
use sqlx::migrate::{Migrate as _, MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::config;
use crate::limits::{ACQUIRE_DEADLINE, DATABASE_DEADLINE, MIGRATION_DEADLINE, START_DEADLINE};
use crate::store::is_away;

/// The schema.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

/// Why the database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It did not answer, or refused us.
    #[error("the database cannot be reached")]
    Unreachable(#[source] sqlx::Error),
    /// It did not answer at all.
    #[error("the database did not answer in time")]
    TimedOut,
    /// Its schema is not ours and could not be made so.
    #[error(
        "the database could not be migrated; migrations need its owner, see database.owner_url"
    )]
    Migration(#[from] MigrateError),
}

/// Waits for the database, brings its schema up to date, and opens the pool.
///
/// # Errors
/// If that does not come about within the deadlines.
pub async fn open(config: &config::Database) -> Result<PgPool, OpenError> {
    let url = config.owner_url.as_ref().unwrap_or(&config.url);
    let owner = wait_for(url).await?;
    timeout(MIGRATION_DEADLINE, migrate(&owner))
        .await
        .map_err(|_| OpenError::TimedOut)??;
    owner.close().await;
    let pool = PgPoolOptions::new()
        .max_connections(config.connections)
        .acquire_timeout(ACQUIRE_DEADLINE)
        .connect_with(service(&config.url))
        .await;
    pool.map_err(OpenError::Unreachable)
}

/// As the service connects: the server, too, gives up on a statement that takes too long, and on a
/// transaction whose other side is gone.
fn service(url: &PgConnectOptions) -> PgConnectOptions {
    let deadline = format!("{}ms", DATABASE_DEADLINE.as_millis());
    url.clone().application_name("liveevents-origin").options([
        ("statement_timeout", deadline.as_str()),
        ("lock_timeout", deadline.as_str()),
        ("idle_in_transaction_session_timeout", deadline.as_str()),
    ])
}

/// A pool of one connection, once the database answers.
async fn wait_for(url: &PgConnectOptions) -> Result<PgPool, OpenError> {
    let give_up = Instant::now() + START_DEADLINE;
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    loop {
        let one = PgPoolOptions::new().max_connections(1);
        let error = match timeout(DATABASE_DEADLINE, one.connect_with(url.clone())).await {
            Ok(Ok(pool)) => return Ok(pool),
            Ok(Err(error)) if is_away(&error) => OpenError::Unreachable(error),
            Ok(Err(error)) => return Err(OpenError::Unreachable(error)),
            Err(_) => OpenError::TimedOut,
        };
        if Instant::now() >= give_up {
            return Err(error);
        }
        warn!("waiting for the database");
        sleep(backoff.fail(rand::random())).await;
    }
}

async fn migrate(owner: &PgPool) -> Result<(), MigrateError> {
    let table = &*MIGRATIONS.table_name;
    let mut conn = owner.acquire().await.map_err(MigrateError::Execute)?;
    // Fails where the table is missing, and then everything is due.
    let applied = conn
        .list_applied_migrations(table)
        .await
        .unwrap_or_default();
    drop(conn);
    let due = |version| !applied.iter().any(|applied| applied.version == version);
    let due = MIGRATIONS
        .iter()
        .filter(|migration| due(migration.version))
        .count();
    if due > 0 {
        MIGRATIONS.run(owner).await?;
        info!(migrations = due, "database migrated");
    }
    Ok(())
}
