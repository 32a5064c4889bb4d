//! The region logs: taking versions, appending, reading on from a version.

use std::collections::BTreeMap;

use jiff::Timestamp;
use liveevents_protocol::id::{ChangeId, RegionId};
use liveevents_protocol::position::{Digest, Position};
use liveevents_protocol::version::{Epoch, Version};
use sqlx::PgConnection;

use super::{StoreError, Time};
use crate::change::{Decision, RegionRow};

/// Notified with a region's id when its log has grown, with nothing when everything has changed.
pub const CHANNEL: &str = "liveevents_log";

/// One row as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// Its version.
    pub version: Version,
    /// The decision it is part of.
    pub change: ChangeId,
    /// The protocol version whose encoding `entries` are in.
    pub format: u8,
    /// Encoded.
    pub entries: Vec<u8>,
    /// Chained from its predecessor.
    pub digest: Digest,
    /// By the database's clock, just before the commit.
    pub committed_at: Timestamp,
}

/// Where a region's log ends, and from where it can be told by delta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The newest row.
    pub version: Version,
    /// Of that row.
    pub digest: Digest,
    /// The oldest cursor that can be served by delta.
    pub floor: Version,
}

/// A stored number as a version. The schema keeps them from being negative.
pub(super) fn version(stored: i64) -> Version {
    Version(u64::try_from(stored).unwrap_or(0))
}

/// A version as it is stored.
pub(super) fn stored(version: Version) -> i64 {
    i64::try_from(version.0).unwrap_or(i64::MAX)
}

fn digest(bytes: &[u8]) -> Result<Digest, StoreError> {
    bytes
        .try_into()
        .map(Digest)
        .map_err(StoreError::unreadable("a digest"))
}

pub(super) fn region(text: &str) -> Result<RegionId, StoreError> {
    text.parse()
        .map_err(StoreError::unreadable("a region's id"))
}

pub(super) fn texts(regions: &[RegionId]) -> Vec<String> {
    regions.iter().map(ToString::to_string).collect()
}

/// Regions whose logs nobody else can grow until the transaction ends.
#[derive(Debug)]
pub struct Locked {
    /// The epoch under which they grow.
    pub epoch: Epoch,
    /// Where each log ends. Unknown regions are left out.
    pub heads: BTreeMap<RegionId, (Version, Digest)>,
}

/// Locks the epoch (shared), then the heads of some regions by ascending id, until the caller's
/// transaction ends. This and [`lock_all`] are the only ways to lock a head: a minting takes the two in the same order.
///
/// # Errors
/// If the database does not answer, or no epoch was ever minted.
pub async fn lock(conn: &mut PgConnection, regions: &[RegionId]) -> Result<Locked, StoreError> {
    let epoch = super::epoch::share(&mut *conn).await?;
    let rows = sqlx::query!(
        "SELECT region_id, version, digest FROM region_heads WHERE region_id = ANY($1)
         ORDER BY region_id FOR UPDATE",
        &texts(regions)
    )
    .fetch_all(conn)
    .await?;
    let heads = rows
        .into_iter()
        .map(|row| {
            let head = (version(row.version), digest(&row.digest)?);
            Ok((region(&row.region_id)?, head))
        })
        .collect::<Result<_, StoreError>>()?;
    Ok(Locked { epoch, heads })
}

/// Locks the epoch (shared), then the heads of all regions: until the caller's transaction ends no log grows but by it,
/// nor is there another region.
///
/// # Errors
/// If the database does not answer, or no epoch was ever minted.
pub async fn lock_all(conn: &mut PgConnection) -> Result<Locked, StoreError> {
    let epoch = super::epoch::share(&mut *conn).await?;
    // As a whole: a region that is being made has no row yet that could be locked.
    sqlx::query!("LOCK TABLE region_heads IN EXCLUSIVE MODE")
        .execute(&mut *conn)
        .await?;
    let heads = heads(conn).await?.into_iter();
    Ok(Locked {
        epoch,
        heads: heads
            .map(|(region, head)| (region, (head.version, head.digest)))
            .collect(),
    })
}

/// Writes who decided what. Before the rows that refer to it.
///
/// # Errors
/// If the database does not take it.
pub async fn write_change(
    conn: &mut PgConnection,
    change: ChangeId,
    decision: &Decision,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO changes (change_id, kind, event_id, deployment_id, reason, actor, created_at, trace_id)
         VALUES ($1, $2, $3, $4, $5, $6, now(), $7)",
        change.0,
        decision.kind,
        decision.event.as_ref().map(ToString::to_string),
        decision.deployment.map(|deployment| deployment.0),
        decision.reason,
        decision.actor,
        decision.trace_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Moves the heads, appends the rows, in order of version within a region, and notifies. Their time is taken
/// last, so that it lies as close to the commit as a statement can.
///
/// # Errors
/// If the database does not take it.
pub(crate) async fn append(
    conn: &mut PgConnection,
    epoch: Epoch,
    change: ChangeId,
    rows: &[RegionRow],
) -> Result<(), StoreError> {
    let regions: Vec<String> = rows.iter().map(|row| row.region.to_string()).collect();
    let versions: Vec<i64> = rows.iter().map(|row| stored(row.version)).collect();
    let entries: Vec<Vec<u8>> = rows.iter().map(|row| row.encoded.clone()).collect();
    let digests: Vec<Vec<u8>> = rows.iter().map(|row| row.digest.0.to_vec()).collect();
    sqlx::query!(
        "WITH rows AS (
             SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[], $4::bytea[])
                 AS t (region_id, version, entries, digest)),
         last AS (
             SELECT DISTINCT ON (region_id) region_id, version, digest,
                 count(*) OVER (PARTITION BY region_id) AS versions
             FROM rows ORDER BY region_id, version DESC),
         heads AS (
             UPDATE region_heads h SET version = l.version, digest = l.digest
             FROM last l WHERE h.region_id = l.region_id),
         regions AS (
             INSERT INTO change_regions (change_id, region_id, epoch, version, versions)
             SELECT $5, region_id, $6, version, versions FROM last)
         INSERT INTO region_log (region_id, version, epoch, change_id, format, entries, digest, committed_at)
         SELECT region_id, version, $6, $5, $7, entries, digest, clock_timestamp() FROM rows",
        &regions,
        &versions,
        &entries,
        &digests,
        change.0,
        epoch.0,
        i16::from(liveevents_protocol::frame::FORMAT_V1),
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "SELECT pg_notify($1, region) FROM unnest($2::text[]) AS region",
        CHANNEL,
        &regions
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Every region's head. Read it in the transaction that reads the epoch.
///
/// # Errors
/// If the database does not answer.
pub async fn heads(conn: &mut PgConnection) -> Result<BTreeMap<RegionId, Head>, StoreError> {
    let rows = sqlx::query!("SELECT region_id, version, digest, floor FROM region_heads")
        .fetch_all(conn)
        .await?;
    rows.into_iter()
        .map(|row| {
            let head = Head {
                version: version(row.version),
                digest: digest(&row.digest)?,
                floor: version(row.floor),
            };
            Ok((region(&row.region_id)?, head))
        })
        .collect()
}

/// The rows after a version in order, at most so many, and, beyond the first, with entries of at most so many
/// bytes together. Another first row than the next version's means that the log was compacted above `after`.
///
/// # Errors
/// If the database does not answer.
pub async fn rows_after(
    conn: &mut PgConnection,
    of: &RegionId,
    after: Version,
    limit: i64,
    bytes: usize,
) -> Result<Vec<LogRow>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT version, change_id, format, entries, digest, committed_at AS "committed_at: Time"
           FROM (SELECT *, sum(octet_length(entries)) OVER (ORDER BY version) - octet_length(entries) AS before
                 FROM (SELECT * FROM region_log WHERE region_id = $1 AND version > $2
                       ORDER BY version LIMIT $3) AS next) AS next
           WHERE before = 0 OR before + octet_length(entries) <= $4 ORDER BY version"#,
        of.as_str(),
        stored(after),
        limit,
        i64::try_from(bytes).unwrap_or(i64::MAX) as _
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(LogRow {
                version: version(row.version),
                change: ChangeId(row.change_id),
                format: u8::try_from(row.format).map_err(StoreError::unreadable("a format"))?,
                entries: row.entries,
                digest: digest(&row.digest)?,
                committed_at: row.committed_at.to_jiff(),
            })
        })
        .collect()
}

/// The position of one row, if it is kept, with the epoch it was written under.
///
/// # Errors
/// If the database does not answer.
pub async fn position(
    conn: &mut PgConnection,
    of: &RegionId,
    at: Version,
) -> Result<Option<Position>, StoreError> {
    let row = sqlx::query!(
        "SELECT epoch, digest FROM region_log WHERE region_id = $1 AND version = $2",
        of.as_str(),
        stored(at)
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Position {
            epoch: Epoch(row.epoch),
            version: at,
            digest: digest(&row.digest)?,
        })
    })
    .transpose()
}

/// Forgets the rows and tombstones that lie more than `keep` versions below a region's head, with what edges
/// told of them, and raises the floor to match. The row at the floor stays, so that a cursor there can be checked.
///
/// # Errors
/// If the database does not answer. The caller owns the transaction.
pub async fn compact(conn: &mut PgConnection, of: &RegionId, keep: u64) -> Result<u64, StoreError> {
    let floor = sqlx::query_scalar!(
        r#"UPDATE region_heads SET floor = greatest(floor, version - $2) WHERE region_id = $1
           RETURNING floor"#,
        of.as_str(),
        i64::try_from(keep).unwrap_or(i64::MAX),
    )
    .fetch_one(&mut *conn)
    .await?;
    let gone = sqlx::query!(
        "DELETE FROM region_log WHERE region_id = $1 AND version < $2",
        of.as_str(),
        floor
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "WITH segments AS (
             DELETE FROM region_segments WHERE region_id = $1 AND version <= $2 AND revision IS NULL)
         DELETE FROM region_tombstones WHERE region_id = $1 AND version <= $2",
        of.as_str(),
        floor
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "WITH times AS (DELETE FROM delivery_times WHERE region_id = $1 AND version < $2),
         nacks AS (DELETE FROM nacks WHERE region_id = $1 AND version < $2)
         DELETE FROM region_acks WHERE region_id = $1 AND version < $2",
        of.as_str(),
        floor
    )
    .execute(conn)
    .await?;
    Ok(gone.rows_affected())
}
