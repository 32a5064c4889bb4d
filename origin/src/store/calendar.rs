//! What a calendar is made of.

use jiff::Timestamp;
use liveevents_protocol::id::{DeploymentId, EventId, RegionId};
use sqlx::{PgConnection, query};

use super::{StoreError, time};

fn events(ids: Vec<String>) -> Result<Vec<EventId>, StoreError> {
    let ids = ids.iter().map(|id| EventId::new(id));
    ids.collect::<Result<_, _>>()
        .map_err(StoreError::unreadable("an event's id"))
}

/// Events that a region holds, or any.
///
/// # Errors
/// If the database fails.
pub async fn assigned(
    conn: &mut PgConnection,
    region: Option<&RegionId>,
) -> Result<Vec<EventId>, StoreError> {
    let rows = query!(
        "SELECT DISTINCT event_id FROM assignments WHERE $1::text IS NULL OR region_id = $1 ORDER BY event_id",
        region.map(RegionId::as_str)
    )
    .fetch_all(conn)
    .await?;
    events(rows.into_iter().map(|row| row.event_id).collect())
}

/// Drafts that would happen between two moments, the soonest first, at most so many.
///
/// # Errors
/// If the database fails.
pub async fn drafts(
    conn: &mut PgConnection,
    (from, to): (Timestamp, Timestamp),
    at_most: i64,
) -> Result<Vec<EventId>, StoreError> {
    // Of a region-local event the columns are in its own zone.
    let rows = query!(
        "SELECT event_id FROM live_events
         WHERE state = 'Draft' AND start_time < $2 AND end_time > $1
         ORDER BY start_time, event_id LIMIT $3",
        time(from) as _,
        time(to) as _,
        at_most
    )
    .fetch_all(conn)
    .await?;
    events(rows.into_iter().map(|row| row.event_id).collect())
}

/// Deployments into a region, or any, that were created between two moments, in order, at most so many.
///
/// # Errors
/// If the database fails.
pub async fn deployments(
    conn: &mut PgConnection,
    region: Option<&RegionId>,
    (from, to): (Timestamp, Timestamp),
    at_most: i64,
) -> Result<Vec<DeploymentId>, StoreError> {
    let rows = query!(
        "SELECT deployment_id FROM deployments
         WHERE created_at >= $1 AND created_at < $2 AND ($3::text IS NULL OR $3 = ANY(regions))
         ORDER BY created_at, deployment_id LIMIT $4",
        time(from) as _,
        time(to) as _,
        region.map(RegionId::as_str),
        at_most
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| DeploymentId(row.deployment_id))
        .collect())
}
