//! Requests that were carried out once: their keys, and what they were answered.

use jiff::Timestamp;
use sqlx::{PgConnection, query};

use super::{StoreError, time};

/// A key, in the words of whom it belongs to.
#[derive(Debug, Clone)]
pub struct Key {
    /// Whose it is.
    pub caller: String,
    /// Where it was sent.
    pub path: String,
    /// What it is called.
    pub key: String,
}

/// What tells one request from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

/// An answer, 201.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Where what was created is.
    pub location: Option<String>,
    /// Its entity tag.
    pub etag: Option<String>,
    /// JSON.
    pub body: String,
}

/// What a key was first used for, after `expired`, and how that was answered.
///
/// # Errors
/// If the database fails.
pub async fn find(
    conn: &mut PgConnection,
    key: &Key,
    expired: Timestamp,
) -> Result<Option<(Fingerprint, Answer)>, StoreError> {
    let row = query!(
        "SELECT fingerprint, location, etag, body FROM idempotency_keys
         WHERE caller = $1 AND path = $2 AND key = $3 AND created_at > $4",
        key.caller,
        key.path,
        key.key,
        time(expired) as _
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let first = <[u8; 32]>::try_from(row.fingerprint);
        let first = first.map_err(|_| StoreError::unreadable("a request's fingerprint")(Length))?;
        let answer = Answer {
            location: row.location,
            etag: row.etag,
            body: row.body,
        };
        Ok((Fingerprint(first), answer))
    })
    .transpose()
}

/// Whether the key is the caller's now. Waits for whoever is about to use it.
///
/// # Errors
/// If the database fails.
pub async fn claim(
    conn: &mut PgConnection,
    key: &Key,
    fingerprint: Fingerprint,
    expired: Timestamp,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let done = query!(
        "INSERT INTO idempotency_keys AS kept (caller, path, key, fingerprint, created_at)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (caller, path, key) DO UPDATE
         SET fingerprint = excluded.fingerprint, created_at = excluded.created_at,
             location = NULL, etag = NULL, body = ''
         WHERE kept.created_at <= $6",
        key.caller,
        key.path,
        key.key,
        fingerprint.0.as_slice(),
        time(now) as _,
        time(expired) as _
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Keeps the answer with a claimed key.
///
/// # Errors
/// If the database fails.
pub async fn keep(conn: &mut PgConnection, key: &Key, answer: &Answer) -> Result<(), StoreError> {
    query!(
        "UPDATE idempotency_keys SET location = $4, etag = $5, body = $6
         WHERE caller = $1 AND path = $2 AND key = $3",
        key.caller,
        key.path,
        key.key,
        answer.location.as_deref(),
        answer.etag.as_deref(),
        answer.body
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets at most so many of those that were used until then, the oldest first. How many those were.
///
/// # Errors
/// If the database fails.
pub async fn forget(
    conn: &mut PgConnection,
    expired: Timestamp,
    most: i64,
) -> Result<u64, StoreError> {
    let done = query!(
        "DELETE FROM idempotency_keys WHERE (caller, path, key) IN
             (SELECT caller, path, key FROM idempotency_keys WHERE created_at <= $1
              ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        time(expired) as _,
        most
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

#[derive(Debug, thiserror::Error)]
#[error("it does not have 32 bytes")]
struct Length;
