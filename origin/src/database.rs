//! Reaching Postgres: waiting for it at the start, migrating it, and the pool everything shares.
//!
//! Migrations run as the owner where one is configured. A database that has all of ours, and perhaps
//! more of a later release, is left alone, so that the service's own role need not be able to.

use std::time::Duration;

use liveevents_protocol::backoff::Backoff;
use sqlx::migrate::{Migrate as _, MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, PgConnection, PgPool};
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use crate::config;
use crate::limits::{ACQUIRE_DEADLINE, DATABASE_DEADLINE, MIGRATION_DEADLINE, START_DEADLINE};
use crate::store::StoreError;

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
    let owner = config.owner_url.as_ref().unwrap_or(&config.url);
    let mut conn = connect(owner).await?;
    timeout(MIGRATION_DEADLINE, migrate(&mut conn))
        .await
        .map_err(|_| OpenError::TimedOut)??;
    drop(conn);
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

async fn connect(url: &PgConnectOptions) -> Result<PgConnection, OpenError> {
    let give_up = Instant::now() + START_DEADLINE;
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    loop {
        let error = match timeout(DATABASE_DEADLINE, url.connect()).await {
            Ok(Ok(conn)) => return Ok(conn),
            Ok(Err(error)) => error,
            Err(_) => return Err(OpenError::TimedOut),
        };
        let error = StoreError::from(error);
        if !error.is_away() || Instant::now() >= give_up {
            return match error {
                StoreError::Database(error) => Err(OpenError::Unreachable(error)),
                StoreError::Unreadable { .. } => Err(OpenError::TimedOut),
            };
        }
        warn!("waiting for the database");
        sleep(backoff.fail(rand::random())).await;
    }
}

async fn migrate(conn: &mut PgConnection) -> Result<(), MigrateError> {
    let table = &*MIGRATIONS.table_name;
    // Fails where the table is missing, and then everything is due.
    let applied = conn
        .list_applied_migrations(table)
        .await
        .unwrap_or_default();
    let due = |version| !applied.iter().any(|applied| applied.version == version);
    let due = MIGRATIONS
        .iter()
        .filter(|migration| due(migration.version))
        .count();
    if due > 0 {
        MIGRATIONS.run(conn).await?;
        info!(migrations = due, "database migrated");
    }
    Ok(())
}
