//! Edges as the control plane sees them. Connections write these rows; here they are only read.

use jiff::Timestamp;
use liveevents_protocol::id::{EdgeId, RegionId};
use liveevents_protocol::version::{Epoch, Version};
use sqlx::{PgConnection, query};

use super::regions::{id, version};
use super::{StoreError, Time};

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
    /// Whether it has a connection to some replica of the origin.
    pub connected: bool,
    /// Since when it had, when it last had.
    pub connected_at: Timestamp,
    /// When it was last heard from.
    pub last_seen: Timestamp,
    /// When it said that it was leaving.
    pub signed_off_at: Option<Timestamp>,
    /// Where it stands, by region.
    pub positions: Vec<Standing>,
}

/// Where an edge stands in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which region.
    pub region: RegionId,
    /// In which history.
    pub epoch: Epoch,
    /// At which version.
    pub version: Version,
    /// Of how many.
    pub head: Version,
    /// When it last acked.
    pub acked_at: Timestamp,
}

/// All edges, by identifier.
///
/// # Errors
/// If the database fails.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Edge>, StoreError> {
    let rows = query!(
        r#"SELECT edge_id, region_id, regions, address, connected, connected_at as "connected_at: Time",
               last_seen as "last_seen: Time", signed_off_at as "signed_off_at: Time"
           FROM edges ORDER BY edge_id"#
    )
    .fetch_all(&mut *conn)
    .await?;
    let standings = query!(
        r#"SELECT edge_id, region_id, p.epoch, p.version, h.version as head,
               acked_at as "acked_at: Time"
           FROM edge_positions p JOIN region_heads h USING (region_id) ORDER BY edge_id, region_id"#
    )
    .fetch_all(conn)
    .await?;
    let mut edges = Vec::with_capacity(rows.len());
    for row in rows {
        let positions = standings
            .iter()
            .filter(|standing| standing.edge_id == row.edge_id)
            .map(|standing| {
                Ok(Standing {
                    region: id(&standing.region_id)?,
                    epoch: Epoch(standing.epoch),
                    version: version(standing.version)?,
                    head: version(standing.head)?,
                    acked_at: standing.acked_at.to_jiff(),
                })
            })
            .collect::<Result<_, StoreError>>()?;
        edges.push(Edge {
            id: EdgeId::new(&row.edge_id).map_err(StoreError::unreadable("an edge's id"))?,
            region: id(&row.region_id)?,
            regions: row
                .regions
                .iter()
                .map(|text| id(text))
                .collect::<Result<_, _>>()?,
            address: row.address,
            connected: row.connected,
            connected_at: row.connected_at.to_jiff(),
            last_seen: row.last_seen.to_jiff(),
            signed_off_at: row.signed_off_at.map(Time::to_jiff),
            positions,
        });
    }
    Ok(edges)
}
