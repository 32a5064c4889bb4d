//! The epoch and the fingerprint it was minted under.
//!
//! Changes hold [`LOCK`] shared and a minting holds it alone, so that every row of `region_log` belongs to
//! the epoch it names. An advisory lock, since a shared row lock would write the row at each change.

use jiff::Timestamp;
use liveevents_protocol::version::Epoch;
use sqlx::PgConnection;

use super::{StoreError, time};
use crate::epoch::{self, Cause, Fingerprint};

/// "liveevts" in ASCII: no other use of advisory locks in this database has that number.
const LOCK: i64 = 0x6c69_7665_6576_7473;

/// The current epoch and the database it was minted under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minted {
    /// The epoch.
    pub epoch: Epoch,
    /// Of the database at that time.
    pub fingerprint: Fingerprint,
}

/// The epoch for a change, held until the caller's transaction ends.
///
/// # Errors
/// If the database does not answer, or no epoch was ever minted.
pub(super) async fn share(conn: &mut PgConnection) -> Result<Epoch, StoreError> {
    sqlx::query!("SELECT pg_advisory_xact_lock_shared($1)", LOCK)
        .execute(&mut *conn)
        .await?;
    let epoch = sqlx::query_scalar!("SELECT epoch FROM epoch")
        .fetch_one(conn)
        .await?;
    Ok(Epoch(epoch))
}

/// The current epoch, if one was ever minted.
///
/// # Errors
/// If the database does not answer.
pub async fn read(conn: &mut PgConnection) -> Result<Option<Minted>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT epoch, fingerprint AS "fingerprint: sqlx::types::Json<Fingerprint>" FROM epoch"#
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Minted {
        epoch: Epoch(row.epoch),
        fingerprint: row.fingerprint.0,
    }))
}

/// The fingerprint of the database that answers now. The system identifier and the timeline need
/// functions that a managed server may hide: each is asked for only where this role may.
///
/// # Errors
/// If the database does not answer.
pub async fn fingerprint(conn: &mut PgConnection) -> Result<Fingerprint, StoreError> {
    let ids = sqlx::query!(
        r#"SELECT d.oid::bigint AS "database!", 'region_log'::regclass::oid::bigint AS "region_log!",
               has_function_privilege('pg_control_system()', 'EXECUTE') AS "system!",
               has_function_privilege('pg_current_wal_lsn()', 'EXECUTE')
                   AND has_function_privilege('pg_walfile_name(pg_lsn)', 'EXECUTE')
                   AND NOT pg_is_in_recovery() AS "wal!"
           FROM pg_database d WHERE d.datname = current_database()"#
    )
    .fetch_one(&mut *conn)
    .await?;
    let system_identifier = if ids.system {
        sqlx::query_scalar!("SELECT system_identifier::text FROM pg_control_system()")
            .fetch_one(&mut *conn)
            .await?
    } else {
        None
    };
    // A WAL file's name begins with its timeline. The control file's would lag behind a promotion.
    let timeline = if ids.wal {
        sqlx::query_scalar!("SELECT left(pg_walfile_name(pg_current_wal_lsn()), 8)")
            .fetch_one(&mut *conn)
            .await?
    } else {
        None
    };
    Ok(Fingerprint {
        system_identifier,
        timeline,
        database: ids.database,
        region_log: ids.region_log,
    })
}

/// Mints the next epoch, unless somebody has since `complaint` was read. Every region's floor rises to
/// its head: of what lies below, this history knows nothing.
///
/// # Errors
/// If the database does not answer. The caller owns the transaction.
pub async fn mint(
    conn: &mut PgConnection,
    complaint: Option<Epoch>,
    cause: &Cause,
    now: Timestamp,
) -> Result<Epoch, StoreError> {
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", LOCK)
        .execute(&mut *conn)
        .await?;
    let current = read(&mut *conn).await?.map(|minted| minted.epoch);
    let held = match cause {
        Cause::Unknown(position) => Some(position.epoch),
        Cause::First | Cause::Database => None,
    };
    if let Some(current) = current
        && complaint.is_none_or(|complaint| current > complaint)
        && held.is_none_or(|held| current > held)
    {
        return Ok(current);
    }
    let epoch = epoch::after(current.max(held), now, rand::random());
    let fingerprint = sqlx::types::Json(fingerprint(&mut *conn).await?);
    let reason = cause.reason();
    sqlx::query!(
        "INSERT INTO epoch (epoch, fingerprint, minted_at, reason) VALUES ($1, $2, $3, $4)
         ON CONFLICT (only_one) DO UPDATE SET epoch = excluded.epoch,
             fingerprint = excluded.fingerprint, minted_at = excluded.minted_at, reason = excluded.reason",
        epoch.0,
        &fingerprint as _,
        time(now) as _,
        reason
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO epoch_history (epoch, fingerprint, minted_at, reason) VALUES ($1, $2, $3, $4)",
        epoch.0,
        &fingerprint as _,
        time(now) as _,
        reason
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "UPDATE region_heads SET floor = version WHERE region_id IN
             (SELECT region_id FROM region_heads ORDER BY region_id FOR UPDATE)"
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!("DELETE FROM region_tombstones")
        .execute(&mut *conn)
        .await?;
    sqlx::query!("SELECT pg_notify($1, '')", super::region_log::CHANNEL)
        .execute(conn)
        .await?;
    Ok(epoch)
}
