//! A studio's own issuers of players' tokens, and their keys as last had.

use std::time::Duration;

use jiff::Timestamp;
use liveevents_protocol::trust::PlayerIssuer;
use serde_json::Value;
use sqlx::{PgConnection, query};

use super::{StoreError, Time, time};
use crate::studio::Description;
use crate::studio::jwk::Jwk;

/// An issuer.
#[derive(Debug, Clone, PartialEq)]
pub struct Issuer {
    /// Its name with us.
    pub id: String,
    /// As an admin has described it; keys given by hand are in `keys`.
    pub description: Description,
    /// Its keys, as last had.
    pub keys: Vec<Jwk>,
    /// When they were had from their address.
    pub fetched_at: Option<Timestamp>,
    /// When they could not be, if that was later, and why.
    pub failure: Option<(Timestamp, String)>,
    /// When it was first described.
    pub created_at: Timestamp,
    /// When it was described last.
    pub updated_at: Timestamp,
    /// By whom.
    pub updated_by: String,
}

/// An issuer whose key set has to be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub id: String,
    /// Where.
    pub jwks_url: String,
}

/// The constraint that a second issuer of the same `iss` violates.
pub const ISSUER_IS_TAKEN: &str = "issuers_issuer";

struct Row {
    issuer_id: String,
    document: Value,
    keys: Value,
    fetched_at: Option<Time>,
    failed_at: Option<Time>,
    problem: Option<String>,
    created_at: Time,
    updated_at: Time,
    updated_by: String,
}

impl Row {
    fn read(self) -> Result<Issuer, StoreError> {
        let unreadable = || StoreError::unreadable::<serde_json::Error>("an issuer");
        let failed_at = self.failed_at.map(Time::to_jiff);
        Ok(Issuer {
            id: self.issuer_id,
            description: serde_json::from_value(self.document).map_err(unreadable())?,
            keys: serde_json::from_value(self.keys).map_err(unreadable())?,
            fetched_at: self.fetched_at.map(Time::to_jiff),
            failure: failed_at.zip(self.problem),
            created_at: self.created_at.to_jiff(),
            updated_at: self.updated_at.to_jiff(),
            updated_by: self.updated_by,
        })
    }
}

/// All of them, by name.
///
/// # Errors
/// If the database fails.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Issuer>, StoreError> {
    rows(conn, None).await?.into_iter().map(Row::read).collect()
}

/// One of them.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, id: &str) -> Result<Option<Issuer>, StoreError> {
    let row = rows(conn, Some(id)).await?.pop();
    row.map(Row::read).transpose()
}

/// What edges are told of them. One that cannot be read, such as a later release's, is nobody that anybody believes: it
/// must not keep revocations from edges.
///
/// # Errors
/// If the database fails.
pub async fn believed(conn: &mut PgConnection) -> Result<Vec<PlayerIssuer>, StoreError> {
    let rows = rows(conn, None).await?.into_iter();
    let issuers = rows.filter_map(|row| row.read().ok());
    Ok(issuers
        .map(|issuer| issuer.description.believed(&issuer.keys))
        .collect())
}

async fn rows(conn: &mut PgConnection, id: Option<&str>) -> Result<Vec<Row>, StoreError> {
    Ok(sqlx::query_as!(
        Row,
        r#"SELECT issuer_id, document, keys, fetched_at as "fetched_at: Time",
               failed_at as "failed_at: Time", problem, created_at as "created_at: Time",
               updated_at as "updated_at: Time", updated_by
           FROM issuers WHERE $1::text IS NULL OR issuer_id = $1 ORDER BY issuer_id"#,
        id
    )
    .fetch_all(conn)
    .await?)
}

/// Keeps everybody else from changing issuers until the transaction ends, and counts them.
///
/// # Errors
/// If the database fails.
pub async fn lock(conn: &mut PgConnection) -> Result<usize, StoreError> {
    query!("LOCK TABLE issuers IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *conn)
        .await?;
    let row = query!(r#"SELECT count(*) as "count!" FROM issuers"#)
        .fetch_one(conn)
        .await?;
    Ok(usize::try_from(row.count).unwrap_or(usize::MAX))
}

/// Describes an issuer, new or again. With an address, its keys are asked for at once; until then those that it had
/// from the same address stay.
///
/// # Errors
/// [`ISSUER_IS_TAKEN`], or if the database fails.
pub async fn put(
    conn: &mut PgConnection,
    id: &str,
    description: &Description,
    actor: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let unreadable = || StoreError::unreadable::<serde_json::Error>("an issuer");
    let mut description = description.clone();
    let keys = description.keys.take();
    // By hand or fetched, keys are in one place. Which of the two is told by the address.
    let by_hand = keys.is_some();
    let keys = serde_json::to_value(keys.unwrap_or_default()).map_err(unreadable())?;
    let document = serde_json::to_value(&description).map_err(unreadable())?;
    query!(
        "INSERT INTO issuers AS i (issuer_id, issuer, document, keys, fetch_due_at, created_at, updated_at,
             updated_by)
         VALUES ($1, $2, $3, $4, CASE WHEN $5 THEN NULL ELSE now() END, $6, $6, $7)
         ON CONFLICT (issuer_id) DO UPDATE SET
             issuer = excluded.issuer, document = excluded.document, fetch_due_at = excluded.fetch_due_at,
             keys = CASE WHEN i.document->>'jwksUrl' = excluded.document->>'jwksUrl' THEN i.keys ELSE excluded.keys END,
             fetched_at = CASE WHEN i.document->>'jwksUrl' = excluded.document->>'jwksUrl' THEN i.fetched_at END,
             failed_at = NULL, problem = NULL,
             updated_at = excluded.updated_at, updated_by = excluded.updated_by",
        id,
        description.issuer,
        document,
        keys,
        by_hand,
        time(now) as _,
        actor
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Removes an issuer. Whether there was one.
///
/// # Errors
/// If the database fails.
pub async fn delete(conn: &mut PgConnection, id: &str) -> Result<bool, StoreError> {
    let done = query!("DELETE FROM issuers WHERE issuer_id = $1", id)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// An issuer whose key set has to be asked for, which nobody else will do for so long. By the database's clock, which all
/// origins share.
///
/// # Errors
/// If the database fails.
pub async fn claim(conn: &mut PgConnection, lease: Duration) -> Result<Option<Due>, StoreError> {
    let row = query!(
        r#"UPDATE issuers SET fetch_due_at = now() + make_interval(secs => $1)
           WHERE issuer_id = (
               SELECT issuer_id FROM issuers WHERE fetch_due_at <= now() AND document->>'jwksUrl' IS NOT NULL
               ORDER BY fetch_due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
           RETURNING issuer_id, document->>'jwksUrl' as "jwks_url!""#,
        lease.as_secs_f64()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Due {
        id: row.issuer_id,
        jwks_url: row.jwks_url,
    }))
}

/// Takes an issuer's keys as just had, unless it was described anew meanwhile. Whether they are others than before.
///
/// # Errors
/// If the database fails.
pub async fn fetched(
    conn: &mut PgConnection,
    due: &Due,
    keys: &[Jwk],
    next: Duration,
) -> Result<bool, StoreError> {
    let keys = serde_json::to_value(keys).map_err(StoreError::unreadable("an issuer's keys"))?;
    let row = query!(
        r#"WITH before AS (
               SELECT issuer_id, keys FROM issuers
               WHERE issuer_id = $1 AND document->>'jwksUrl' = $2 FOR UPDATE)
           UPDATE issuers i SET keys = $3, fetched_at = now(), failed_at = NULL, problem = NULL,
               fetch_due_at = now() + make_interval(secs => $4)
           FROM before WHERE i.issuer_id = before.issuer_id
           RETURNING before.keys IS DISTINCT FROM $3 as "news!""#,
        due.id,
        due.jwks_url,
        keys,
        next.as_secs_f64()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some_and(|row| row.news))
}

/// Notes that an issuer's keys could not be had. It is due again when its claim ends.
///
/// # Errors
/// If the database fails.
pub async fn failed(conn: &mut PgConnection, due: &Due, problem: &str) -> Result<(), StoreError> {
    query!(
        "UPDATE issuers SET failed_at = now(), problem = $3
         WHERE issuer_id = $1 AND document->>'jwksUrl' = $2",
        due.id,
        due.jwks_url,
        problem
    )
    .execute(conn)
    .await?;
    Ok(())
}
