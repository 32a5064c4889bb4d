//! Changes as they are asked about afterwards: what was changed, and who has it.

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::id::{ChangeId, DeploymentId, EdgeId, EventId, RegionId};
use liveevents_protocol::version::{Epoch, Version};
use sqlx::{PgConnection, query};

use super::regions::{id, version};
use super::{StoreError, Time, time};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub id: ChangeId,
    /// What kind of decision it was.
    pub kind: String,
    /// The event it is about, if it is about one.
    pub event: Option<EventId>,
    /// The deployment it is a step of, if of one.
    pub deployment: Option<DeploymentId>,
    /// Why, where somebody said.
    pub reason: Option<String>,
    /// Who decided.
    pub actor: String,
    /// When.
    pub created_at: Timestamp,
    /// Where it took a version.
    pub regions: Vec<Reach>,
}

/// A change in one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Where.
    pub region: RegionId,
    /// In which history.
    pub epoch: Epoch,
    /// The version it took.
    pub version: Version,
    /// When it was committed.
    pub committed_at: Timestamp,
    /// Every edge that should have it.
    pub edges: Vec<Edge>,
}

/// An edge that should have a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edge {
    /// Which.
    pub id: EdgeId,
    /// Whether it has applied it.
    pub applied: bool,
    /// When it first acked it or something later, if it was there to hear of it.
    pub acked_at: Option<Timestamp>,
}

/// One change, with every edge of its regions that was seen within `memory`.
///
/// # Errors
/// If the database fails.
pub async fn find(
    conn: &mut PgConnection,
    change: ChangeId,
    memory: SignedDuration,
    now: Timestamp,
) -> Result<Option<Change>, StoreError> {
    let found = query!(
        r#"SELECT kind, event_id, deployment_id, reason, actor, created_at as "created_at: Time"
           FROM changes WHERE change_id = $1"#,
        change.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = found else { return Ok(None) };
    let event = row.event_id.as_deref().map(EventId::new).transpose();
    let regions = query!(
        r#"SELECT region_id, epoch, version, COALESCE(committed_at, created_at) as "committed_at!: Time"
           FROM change_regions
               JOIN changes USING (change_id)
               LEFT JOIN region_log USING (change_id, region_id, epoch, version)
           WHERE change_id = $1 ORDER BY region_id"#,
        change.0
    )
    .fetch_all(&mut *conn)
    .await?;
    let mut reached = Vec::with_capacity(regions.len());
    for region in regions {
        reached.push(Reach {
            region: id(&region.region_id)?,
            epoch: Epoch(region.epoch),
            version: version(region.version)?,
            committed_at: region.committed_at.to_jiff(),
            edges: Vec::new(),
        });
    }
    let seen_after = now.checked_sub(memory).unwrap_or(Timestamp::MIN);
    for reach in &mut reached {
        reach.edges = edges(conn, reach, seen_after).await?;
    }
    Ok(Some(Change {
        id: change,
        kind: row.kind,
        event: event.map_err(StoreError::unreadable("a change's event"))?,
        deployment: row.deployment_id.map(DeploymentId),
        reason: row.reason,
        actor: row.actor,
        created_at: row.created_at.to_jiff(),
        regions: reached,
    }))
}

/// An edge has applied a version if it stands there or beyond, or in a later history, which began with
/// a snapshot.
async fn edges(
    conn: &mut PgConnection,
    reach: &Reach,
    seen_after: Timestamp,
) -> Result<Vec<Edge>, StoreError> {
    let rows = query!(
        r#"SELECT e.edge_id,
               COALESCE(p.epoch > $2 OR (p.epoch = $2 AND p.version >= $3), false) as "applied!",
               (SELECT a.acked_at FROM region_acks a
                WHERE a.region_id = $1 AND a.epoch = $2 AND a.edge_id = e.edge_id AND a.version >= $3
                ORDER BY a.version LIMIT 1) as "acked_at: Time"
           FROM edges e LEFT JOIN edge_positions p ON p.edge_id = e.edge_id AND p.region_id = $1
           WHERE $1 = ANY(e.regions) AND e.signed_off_at IS NULL AND e.last_seen > $4
           ORDER BY e.edge_id"#,
        reach.region.as_str(),
        reach.epoch.0,
        i64::try_from(reach.version.0).unwrap_or(i64::MAX),
        time(seen_after) as _
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Edge {
                id: EdgeId::new(&row.edge_id).map_err(StoreError::unreadable("an edge's id"))?,
                applied: row.applied || row.acked_at.is_some(),
                acked_at: row.acked_at.map(Time::to_jiff),
            })
        })
        .collect()
}
