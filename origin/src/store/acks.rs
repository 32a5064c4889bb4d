//! What edges hold: claims on their names, positions, and when each version reached each edge.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::frame::Hello;
use liveevents_protocol::id::{EdgeId, RegionId};
use liveevents_protocol::version::{Epoch, Version};
use sqlx::PgConnection;

use super::progress::micros;
use super::region_log::{region, stored, texts, version};
use super::{StoreError, Time, time};

/// Notified with `edge id:claim` when an edge has connected somewhere, with nothing when there are orders.
pub const CHANNEL: &str = "liveevents_edges";

/// One edge's word that it has gone from one version to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// Who.
    pub edge: EdgeId,
    /// Of which region.
    pub region: RegionId,
    /// In which history.
    pub epoch: Epoch,
    /// The version it held before, exclusive.
    pub from: Version,
    /// The version it holds now.
    pub to: Version,
    /// When its word arrived, by the origin's clock.
    pub at: Timestamp,
}

/// A claim on an edge's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Higher than any claim before.
    pub number: u64,
    /// Whether this run of the edge was told to send its game servers elsewhere.
    pub draining: bool,
}

/// Claims an edge's name for a new connection, and tells every replica.
///
/// # Errors
/// If the database does not take it. The caller owns the transaction.
pub async fn claim(
    conn: &mut PgConnection,
    hello: &Hello,
    home: &RegionId,
    now: Timestamp,
) -> Result<Claim, StoreError> {
    let regions: Vec<RegionId> = hello
        .regions
        .iter()
        .map(|(region, _)| region.clone())
        .collect();
    let row = sqlx::query!(
        r#"INSERT INTO edges AS e (edge_id, region_id, regions, boot_id, claim, address, connected,
             connected_at, last_seen, signed_off_at, build, capabilities)
         VALUES ($1, $2, $3, $4, 1, $5, true, $6, $6, NULL, $7, $8)
         ON CONFLICT (edge_id) DO UPDATE SET region_id = excluded.region_id,
             regions = excluded.regions, boot_id = excluded.boot_id, claim = e.claim + 1,
             address = excluded.address, connected = true, connected_at = excluded.connected_at,
             last_seen = excluded.last_seen, signed_off_at = NULL, build = excluded.build,
             capabilities = excluded.capabilities
         RETURNING claim, coalesce(draining_boot = boot_id, false) AS "draining!""#,
        hello.edge.as_str(),
        home.as_str(),
        &texts(&regions),
        hello.boot.0,
        hello.address,
        time(now) as _,
        hello.build,
        &hello.capabilities,
    )
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query!(
        "SELECT pg_notify($1, $2)",
        CHANNEL,
        format!("{}:{}", hello.edge, row.claim)
    )
    .execute(conn)
    .await?;
    Ok(Claim {
        number: u64::try_from(row.claim).unwrap_or(0),
        draining: row.draining,
    })
}

/// Records that a connection has ended, unless a newer one has claimed the name since. Who leaves on purpose is news
/// to every replica.
///
/// # Errors
/// If the database does not take it.
pub async fn leave(
    conn: &mut PgConnection,
    edge: &EdgeId,
    claim: u64,
    signed_off: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE edges SET connected = false, last_seen = $3,
             signed_off_at = CASE WHEN $4 THEN $3 ELSE signed_off_at END
         WHERE edge_id = $1 AND claim = $2",
        edge.as_str(),
        i64::try_from(claim).unwrap_or(i64::MAX),
        time(now) as _,
        signed_off
    )
    .execute(&mut *conn)
    .await?;
    if signed_off {
        super::edges::wake(conn).await?;
    }
    Ok(())
}

/// Records that edges were heard from, and how far their clocks are ahead, where that is known.
///
/// # Errors
/// If the database does not take it.
pub async fn seen(
    conn: &mut PgConnection,
    seen: &BTreeMap<EdgeId, Option<SignedDuration>>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let edges: Vec<String> = seen.keys().map(ToString::to_string).collect();
    let micros = |by: SignedDuration| i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    let offsets: Vec<Option<i64>> = seen.values().map(|by| by.map(micros)).collect();
    sqlx::query!(
        "UPDATE edges e SET last_seen = greatest(e.last_seen, $2),
             clock_offset_us = coalesce(s.clock_offset_us, e.clock_offset_us)
         FROM unnest($1::text[], $3::bigint[]) AS s (edge_id, clock_offset_us)
         WHERE e.edge_id = s.edge_id",
        &edges,
        time(now) as _,
        &offsets as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Records acks: each version's arrival, and where each edge stands. At most one ack an edge and region
/// in one call.
///
/// # Errors
/// If the database does not take it. The caller owns the transaction.
pub async fn record(conn: &mut PgConnection, acks: &[Ack]) -> Result<(), StoreError> {
    let edges: Vec<String> = acks.iter().map(|ack| ack.edge.to_string()).collect();
    let regions: Vec<String> = acks.iter().map(|ack| ack.region.to_string()).collect();
    let epochs: Vec<uuid::Uuid> = acks.iter().map(|ack| ack.epoch.0).collect();
    let froms: Vec<i64> = acks.iter().map(|ack| stored(ack.from)).collect();
    let tos: Vec<i64> = acks.iter().map(|ack| stored(ack.to)).collect();
    let times: Vec<Time> = acks.iter().map(|ack| time(ack.at)).collect();
    sqlx::query!(
        "INSERT INTO region_acks (region_id, epoch, version, edge_id, acked_at)
         SELECT a.region_id, a.epoch, l.version, a.edge_id, a.acked_at
         FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[], $5::bigint[], $6::timestamptz[])
                  AS a (edge_id, region_id, epoch, from_version, to_version, acked_at)
             JOIN region_log l ON l.region_id = a.region_id AND l.version > a.from_version
                 AND l.version <= a.to_version
         ON CONFLICT DO NOTHING",
        &edges,
        &regions,
        &epochs,
        &froms,
        &tos,
        &times as _
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "INSERT INTO edge_positions AS p (edge_id, region_id, epoch, version, acked_at)
         SELECT a.* FROM unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[], $5::timestamptz[])
             AS a (edge_id, region_id, epoch, version, acked_at)
             WHERE EXISTS (SELECT FROM edges e WHERE e.edge_id = a.edge_id)
         ON CONFLICT (edge_id, region_id) DO UPDATE SET epoch = excluded.epoch,
             version = excluded.version, acked_at = excluded.acked_at
         WHERE (p.epoch, p.version) < (excluded.epoch, excluded.version)",
        &edges,
        &regions,
        &epochs,
        &tos,
        &times as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Where an edge stands in a region, as of its last ack.
///
/// # Errors
/// If the database does not answer.
pub async fn position(
    conn: &mut PgConnection,
    edge: &EdgeId,
    of: &RegionId,
) -> Result<Option<(Epoch, Version)>, StoreError> {
    let row = sqlx::query!(
        "SELECT epoch, version FROM edge_positions WHERE edge_id = $1 AND region_id = $2",
        edge.as_str(),
        of.as_str()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (Epoch(row.epoch), version(row.version))))
}

/// The version of each region that every edge heard from since `heard` has acked; regions without such an edge are
/// left out.
///
/// # Errors
/// If the database does not answer, or a row cannot be read.
pub async fn converged(
    conn: &mut PgConnection,
    heard: Timestamp,
) -> Result<BTreeMap<RegionId, (Epoch, Version)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT h.region_id, i.epoch, min(CASE WHEN p.epoch = i.epoch THEN p.version ELSE 0 END) AS "version!"
           FROM region_heads h CROSS JOIN epoch i
               JOIN edges e ON h.region_id = ANY(e.regions) AND e.last_seen >= $1 AND e.signed_off_at IS NULL
               LEFT JOIN edge_positions p ON p.edge_id = e.edge_id AND p.region_id = h.region_id
           GROUP BY h.region_id, i.epoch"#,
        time(heard) as _
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let at = (Epoch(row.epoch), version(row.version));
            Ok((region(&row.region_id)?, at))
        })
        .collect()
}

/// How long each version of a span, exclusive and inclusive, took from its commit to the last edge's ack, if it was
/// committed since then.
///
/// # Errors
/// If the database does not answer.
pub async fn converged_in(
    conn: &mut PgConnection,
    of: &RegionId,
    epoch: Epoch,
    (after, to): (Version, Version),
    since: Timestamp,
) -> Result<Vec<Duration>, StoreError> {
    let rows = sqlx::query_scalar!(
        r#"SELECT (extract(epoch FROM max(a.acked_at) - l.committed_at) * 1000000)::bigint AS "us!"
           FROM region_log l JOIN region_acks a USING (region_id, epoch, version)
           WHERE l.region_id = $1 AND l.epoch = $2 AND l.version > $3 AND l.version <= $4
               AND l.committed_at >= $5
           GROUP BY l.version, l.committed_at"#,
        of.as_str(),
        epoch.0,
        stored(after),
        stored(to),
        time(since) as _
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(micros).collect())
}
