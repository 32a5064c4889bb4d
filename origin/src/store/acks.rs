//! What edges hold: claims on their names, positions, and when each version reached each edge.

use jiff::Timestamp;
use liveevents_protocol::frame::Hello;
use liveevents_protocol::id::{ChangeId, EdgeId, RegionId};
use liveevents_protocol::version::{Epoch, Version};
use sqlx::PgConnection;

use super::region_log::{region, stored, texts, version};
use super::{StoreError, Time, time};

/// Notified with `edge id:claim` when an edge has connected somewhere.
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

/// Claims an edge's name for a new connection, and tells every replica. The number returned is higher
/// than any claim before.
///
/// # Errors
/// If the database does not take it. The caller owns the transaction.
pub async fn claim(
    conn: &mut PgConnection,
    hello: &Hello,
    home: &RegionId,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let regions: Vec<RegionId> = hello
        .regions
        .iter()
        .map(|(region, _)| region.clone())
        .collect();
    let claim = sqlx::query_scalar!(
        "INSERT INTO edges AS e (edge_id, region_id, regions, boot_id, claim, address, connected,
             connected_at, last_seen, signed_off_at)
         VALUES ($1, $2, $3, $4, 1, $5, true, $6, $6, NULL)
         ON CONFLICT (edge_id) DO UPDATE SET region_id = excluded.region_id,
             regions = excluded.regions, boot_id = excluded.boot_id, claim = e.claim + 1,
             address = excluded.address, connected = true, connected_at = excluded.connected_at,
             last_seen = excluded.last_seen, signed_off_at = NULL
         RETURNING claim",
        hello.edge.as_str(),
        home.as_str(),
        &texts(&regions),
        hello.boot.0,
        hello.address,
        time(now) as _,
    )
    .fetch_one(&mut *conn)
    .await?;
    sqlx::query!(
        "SELECT pg_notify($1, $2)",
        CHANNEL,
        format!("{}:{claim}", hello.edge)
    )
    .execute(conn)
    .await?;
    Ok(u64::try_from(claim).unwrap_or(0))
}

/// Records that a connection has ended, unless a newer one has claimed the name since.
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
    .execute(conn)
    .await?;
    Ok(())
}

/// Records that edges were heard from.
///
/// # Errors
/// If the database does not take it.
pub async fn seen(
    conn: &mut PgConnection,
    edges: &[EdgeId],
    now: Timestamp,
) -> Result<(), StoreError> {
    let edges: Vec<String> = edges.iter().map(ToString::to_string).collect();
    sqlx::query!(
        "UPDATE edges SET last_seen = greatest(last_seen, $2) WHERE edge_id = ANY($1)",
        &edges,
        time(now) as _
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

/// How far one change has come in one region.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Where.
    pub region: RegionId,
    /// In which history.
    pub epoch: Epoch,
    /// The version that the change is there.
    pub version: Version,
    /// When it was written, while the log keeps it.
    pub committed_at: Option<Timestamp>,
    /// Edges of the region that hold it.
    pub applied: u64,
    /// Edges of the region heard from within a day and not signed off.
    pub of: u64,
    /// Those that do not hold it.
    pub stragglers: Vec<String>,
    /// Seconds from the commit to the acks of half of the edges, of 99 %, and of the last.
    pub p50_p99_last: Option<(f64, f64, f64)>,
}

/// How far a change has come in each of its regions; empty for one that changed nothing, or does not
/// exist.
///
/// # Errors
/// If the database does not answer.
pub async fn progress(
    conn: &mut PgConnection,
    change: ChangeId,
    now: Timestamp,
) -> Result<Vec<Progress>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT c.region_id, c.epoch, c.version, l.committed_at AS "committed_at?: Time",
               holders.applied AS "applied!", holders.known AS "known!",
               holders.stragglers AS "stragglers!: Vec<String>", acks.p50, acks.p99, acks.last
           FROM change_regions c
               LEFT JOIN region_log l ON l.region_id = c.region_id AND l.version = c.version
                   AND l.change_id = c.change_id
               CROSS JOIN LATERAL (
                   SELECT count(*) FILTER (WHERE holds) AS applied, count(*) AS known,
                       coalesce(array_agg(edge_id ORDER BY edge_id) FILTER (WHERE NOT holds), '{}') AS stragglers
                   FROM (SELECT e.edge_id,
                             coalesce(p.epoch > c.epoch OR p.epoch = c.epoch AND p.version >= c.version, false)
                                 AS holds
                         FROM edges e LEFT JOIN edge_positions p
                             ON p.edge_id = e.edge_id AND p.region_id = c.region_id
                         WHERE c.region_id = ANY(e.regions) AND e.signed_off_at IS NULL
                             AND (e.connected OR e.last_seen > $2::timestamptz - interval '1 day')) AS e
               ) AS holders
               CROSS JOIN LATERAL (
                   SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY took) AS p50,
                       percentile_disc(0.99) WITHIN GROUP (ORDER BY took) AS p99, max(took) AS last
                   FROM (SELECT extract(epoch FROM a.acked_at - l.committed_at)::float8 AS took
                         FROM region_acks a WHERE a.region_id = c.region_id AND a.epoch = c.epoch
                             AND a.version = c.version AND l.committed_at IS NOT NULL) AS a
               ) AS acks
           WHERE c.change_id = $1 ORDER BY c.region_id"#,
        change.0,
        time(now) as _
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Progress {
                region: region(&row.region_id)?,
                epoch: Epoch(row.epoch),
                version: version(row.version),
                committed_at: row.committed_at.map(|at| at.to_jiff()),
                applied: super::count(Some(row.applied)),
                of: super::count(Some(row.known)),
                stragglers: row.stragglers,
                p50_p99_last: match (row.p50, row.p99, row.last) {
                    (Some(p50), Some(p99), Some(last)) => Some((p50, p99, last)),
                    _ => None,
                },
            })
        })
        .collect()
}
