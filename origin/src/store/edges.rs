//! Edges as the control plane sees them. What they hold and tell is written by their connections; here it is
//! read, and here operators' orders to them are kept.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::id::{BootId, EdgeId, RegionId};
use liveevents_protocol::version::{Epoch, Version};
use sqlx::types::Json;
use sqlx::{PgConnection, query, query_scalar};

use super::acks::CHANNEL;
use super::progress::{edge as name, game_servers, key, read_standings};
use super::regions::{id, version};
use super::{StoreError, Time, count, time};
use crate::convergence::{GameServers, Quarantined};

/// An edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Which.
    pub id: EdgeId,
    /// Its home.
    pub region: RegionId,
    /// Every region that it replicates.
    pub regions: Vec<RegionId>,
    /// Where it can be reached.
    pub address: String,
    /// Its release; `None` if it was last here under a release that did not ask.
    pub build: Option<String>,
    /// Whether it has a connection to some replica of the origin.
    pub connected: bool,
    /// Since when it had, when it last had.
    pub connected_at: Timestamp,
    /// When it was last heard from.
    pub last_seen: Timestamp,
    /// When it said that it was leaving.
    pub signed_off_at: Option<Timestamp>,
    /// Whether this run of it was told to send its game servers elsewhere.
    pub draining: bool,
    /// How far its clock is ahead of the origin's.
    pub clock_offset: Option<SignedDuration>,
    /// Where it stands, by region.
    pub positions: Vec<Position>,
    /// What its game servers hold of the newest versions, by region.
    pub game_servers: Vec<Served>,
    /// What it cannot apply, by region.
    pub degraded: Vec<(RegionId, Quarantined)>,
}

/// Where an edge stands in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// Which region.
    pub region: RegionId,
    /// In which history.
    pub epoch: Epoch,
    /// At which version.
    pub version: Version,
    /// How many it lacks.
    pub behind: u64,
    /// When the first that it lacks was committed, if it lacks one and the log still knows.
    pub lacking_since: Option<Timestamp>,
    /// When it last acked.
    pub acked_at: Timestamp,
}

/// The game servers of an edge in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// Which region.
    pub region: RegionId,
    /// How many have its newest version.
    pub of_newest: GameServers,
    /// When the edge told.
    pub reported_at: Timestamp,
}

/// All edges, by identifier. Call it in a transaction of one snapshot.
///
/// # Errors
/// If the database fails.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Edge>, StoreError> {
    let rows = query!(
        r#"SELECT edge_id, region_id, regions, address, build, connected,
               connected_at as "connected_at: Time", last_seen as "last_seen: Time",
               signed_off_at as "signed_off_at: Time", clock_offset_us,
               coalesce(draining_boot = boot_id, false) as "draining!"
           FROM edges"#
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut edges = BTreeMap::new();
    for row in rows {
        let edge = Edge {
            id: name(&row.edge_id)?,
            region: id(&row.region_id)?,
            regions: row
                .regions
                .iter()
                .map(|text| id(text))
                .collect::<Result<_, _>>()?,
            address: row.address,
            build: row.build,
            connected: row.connected,
            connected_at: row.connected_at.to_jiff(),
            last_seen: row.last_seen.to_jiff(),
            signed_off_at: row.signed_off_at.map(Time::to_jiff),
            draining: row.draining,
            clock_offset: row.clock_offset_us.map(SignedDuration::from_micros),
            positions: Vec::new(),
            game_servers: Vec::new(),
            degraded: Vec::new(),
        };
        edges.insert(edge.id.clone(), edge);
    }
    positions(conn, &mut edges).await?;
    served(conn, &mut edges).await?;
    degraded(conn, &mut edges).await?;
    Ok(edges.into_values().collect())
}

type Edges = BTreeMap<EdgeId, Edge>;

async fn positions(conn: &mut PgConnection, edges: &mut Edges) -> Result<(), StoreError> {
    let rows = query!(
        r#"SELECT p.edge_id, p.region_id, p.epoch, p.version, p.acked_at as "acked_at: Time",
               CASE WHEN p.epoch < e.epoch THEN h.version ELSE greatest(h.version - p.version, 0) END
                   as "behind!",
               l.committed_at as "lacking_since?: Time"
           FROM edge_positions p JOIN region_heads h USING (region_id) CROSS JOIN epoch e
               LEFT JOIN region_log l ON l.region_id = p.region_id AND l.version = p.version + 1
                   AND p.epoch = e.epoch
           ORDER BY p.edge_id, p.region_id"#
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        if let Some(edge) = edges.get_mut(&name(&row.edge_id)?) {
            edge.positions.push(Position {
                region: id(&row.region_id)?,
                epoch: Epoch(row.epoch),
                version: version(row.version)?,
                behind: count(Some(row.behind)),
                lacking_since: row.lacking_since.map(Time::to_jiff),
                acked_at: row.acked_at.to_jiff(),
            });
        }
    }
    Ok(())
}

async fn served(conn: &mut PgConnection, edges: &mut Edges) -> Result<(), StoreError> {
    let rows = query!(
        r#"SELECT s.edge_id, s.region_id, s.epoch, s.connected, s.reported_at as "reported_at: Time",
               s.standings as "standings: Json<Vec<[u64; 4]>>", h.version as head, e.epoch as newest
           FROM game_server_standings s JOIN region_heads h USING (region_id) CROSS JOIN epoch e
           ORDER BY s.edge_id, s.region_id"#
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        if let Some(edge) = edges.get_mut(&name(&row.edge_id)?) {
            let connected = u32::try_from(row.connected).unwrap_or(u32::MAX);
            let standings = read_standings(&row.standings.0);
            let newest = (Epoch(row.newest), version(row.head)?);
            edge.game_servers.push(Served {
                region: id(&row.region_id)?,
                of_newest: game_servers((connected, Epoch(row.epoch)), &standings, newest),
                reported_at: row.reported_at.to_jiff(),
            });
        }
    }
    Ok(())
}

async fn degraded(conn: &mut PgConnection, edges: &mut Edges) -> Result<(), StoreError> {
    let rows = query!(
        r#"SELECT edge_id, region_id, kind, event_id, revision, version, reason, since as "since: Time"
           FROM quarantined_entries
           ORDER BY edge_id, region_id, event_id, revision NULLS LAST"#
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        if let Some(edge) = edges.get_mut(&name(&row.edge_id)?) {
            let quarantined = Quarantined {
                edge: edge.id.clone(),
                key: key(&row.kind, &row.event_id, row.revision)?,
                version: version(row.version)?,
                reason: row.reason,
                since: row.since.to_jiff(),
            };
            edge.degraded.push((id(&row.region_id)?, quarantined));
        }
    }
    Ok(())
}

/// An edge as it is told others, and told what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which.
    pub id: EdgeId,
    /// This run of its process.
    pub boot: BootId,
    /// Every region that it replicates.
    pub regions: Vec<RegionId>,
    /// Where it can be reached.
    pub address: String,
    /// Whether it is to send its game servers elsewhere.
    pub draining: bool,
    /// The connection that this is said of.
    pub claim: u64,
}

/// Edges heard from since `heard` that have not signed off, by identifier.
///
/// # Errors
/// If the database fails.
pub async fn live(conn: &mut PgConnection, heard: Timestamp) -> Result<Vec<Listed>, StoreError> {
    let rows = query!(
        r#"SELECT edge_id, boot_id, regions, address, claim,
               coalesce(draining_boot = boot_id, false) as "draining!"
           FROM edges WHERE last_seen >= $1 AND signed_off_at IS NULL ORDER BY edge_id"#,
        time(heard) as _
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let regions = row.regions.iter().map(|text| id(text));
            Ok(Listed {
                id: name(&row.edge_id)?,
                boot: BootId(row.boot_id),
                regions: regions.collect::<Result<_, _>>()?,
                address: row.address,
                draining: row.draining,
                claim: count(Some(row.claim)),
            })
        })
        .collect()
}

/// Of the edges heard from since `heard` that replicate one of these regions, those that lack a capability, by identifier.
///
/// # Errors
/// If the database fails.
pub async fn lacking(
    conn: &mut PgConnection,
    capability: &str,
    regions: &[RegionId],
    heard: Timestamp,
) -> Result<Vec<EdgeId>, StoreError> {
    let regions: Vec<String> = regions.iter().map(RegionId::to_string).collect();
    let rows = query!(
        "SELECT edge_id FROM edges
         WHERE regions && $1 AND last_seen >= $2 AND signed_off_at IS NULL AND capabilities @> ARRAY[$3::text] IS FALSE
         ORDER BY edge_id",
        &regions,
        time(heard) as _,
        capability
    )
    .fetch_all(conn)
    .await?;
    rows.iter().map(|row| name(&row.edge_id)).collect()
}

/// What has to be known of an edge before it is told something, or forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// When it was last heard from.
    pub last_seen: Timestamp,
    /// Whether it has said that it was leaving.
    pub signed_off: bool,
    /// Whether it has a connection, as far as is known.
    pub connected: bool,
    /// What it understands.
    pub capabilities: Vec<String>,
    /// Whether it was told already.
    pub draining: bool,
}

/// Locks an edge's row, until the caller's transaction ends.
///
/// # Errors
/// If the database fails.
pub async fn lock(conn: &mut PgConnection, edge: &EdgeId) -> Result<Option<Standing>, StoreError> {
    let row = query!(
        r#"SELECT last_seen as "last_seen: Time", signed_off_at IS NOT NULL as "signed_off!", connected,
               capabilities, coalesce(draining_boot = boot_id, false) as "draining!"
           FROM edges WHERE edge_id = $1 FOR UPDATE"#,
        edge.as_str()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Standing {
        last_seen: row.last_seen.to_jiff(),
        signed_off: row.signed_off,
        connected: row.connected,
        capabilities: row.capabilities,
        draining: row.draining,
    }))
}

/// Keeps the order to an edge to send its game servers elsewhere, for as long as its process runs, and wakes
/// every replica.
///
/// # Errors
/// If the database does not take it.
pub async fn drain(conn: &mut PgConnection, edge: &EdgeId) -> Result<(), StoreError> {
    query!(
        "UPDATE edges SET draining_boot = boot_id WHERE edge_id = $1",
        edge.as_str()
    )
    .execute(&mut *conn)
    .await?;
    wake(conn).await
}

/// Forgets an edge and what it told of the present. A connection of it that nobody knows of any more, at
/// whatever replica, ends: its name is claimed for nobody.
///
/// # Errors
/// If the database does not take it.
pub async fn forget(conn: &mut PgConnection, edge: &EdgeId) -> Result<(), StoreError> {
    query!("DELETE FROM edges WHERE edge_id = $1", edge.as_str())
        .execute(&mut *conn)
        .await?;
    query!(
        "SELECT pg_notify($1, $2)",
        CHANNEL,
        format!("{edge}:{}", u64::MAX)
    )
    .execute(&mut *conn)
    .await?;
    wake(conn).await
}

/// Orders that every region be pushed to its edges once more, and wakes every replica.
///
/// # Errors
/// If the database does not take it.
pub async fn warm(conn: &mut PgConnection) -> Result<(), StoreError> {
    query!("UPDATE cache_warming SET orders = orders + 1")
        .execute(&mut *conn)
        .await?;
    wake(conn).await
}

/// How often it has been ordered that every region be pushed once more.
///
/// # Errors
/// If the database fails.
pub async fn warm_orders(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let orders = query_scalar!("SELECT orders FROM cache_warming")
        .fetch_one(conn)
        .await?;
    Ok(count(Some(orders)))
}

/// Every replica looks at what is ordered. A claim names an edge and a number; this names neither, and
/// earlier releases pass over it.
pub(super) async fn wake(conn: &mut PgConnection) -> Result<(), StoreError> {
    query!("SELECT pg_notify($1, '')", CHANNEL)
        .execute(conn)
        .await?;
    Ok(())
}
