//! What was taken back. Only ever added to, in the transaction of what it records.

use std::collections::BTreeMap;

use jiff::Timestamp;
use liveevents_protocol::id::{ChangeId, DeploymentId, EventId, RegionId};
use liveevents_protocol::model::Assignment;
use liveevents_protocol::version::Revision;
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use sqlx::{PgConnection, query};
use utoipa::ToSchema;

use super::{Page, Paged, StoreError, Time, count, time};

/// What a region serves of an event; nothing where both are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(as = ServedRevisions)]
pub struct Revisions {
    /// To everybody.
    pub live: Option<Revision>,
    /// To those on whom it is tried.
    pub candidate: Option<Revision>,
}

impl Revisions {
    /// Of an assignment, if there is one.
    #[must_use]
    pub fn of(assignment: Option<&Assignment>) -> Self {
        let candidate = assignment.and_then(|assignment| assignment.candidate.as_ref());
        Self {
            live: assignment.and_then(|assignment| assignment.live),
            candidate: candidate.map(|candidate| candidate.revision),
        }
    }
}

/// What happened in one region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RegionRolledBack)]
pub struct Move {
    /// What it served.
    pub from: Revisions,
    /// What it serves since.
    pub to: Revisions,
}

/// A rollback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    /// What carried it out.
    pub change: ChangeId,
    /// The deployment that was taken back; none if it was the event that went back.
    pub deployment: Option<DeploymentId>,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
    /// What happened where.
    pub regions: BTreeMap<RegionId, Move>,
}

/// Records a rollback of an event, or of one of its deployments.
///
/// # Errors
/// If the database fails.
pub async fn insert(
    conn: &mut PgConnection,
    event: &EventId,
    rollback: &Rollback,
) -> Result<(), StoreError> {
    query!(
        "INSERT INTO rollbacks (change_id, event_id, deployment_id, actor, reason, at, regions)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        rollback.change.0,
        event.as_str(),
        rollback.deployment.map(|deployment| deployment.0),
        rollback.actor,
        rollback.reason.as_deref(),
        time(rollback.at) as _,
        Json(&rollback.regions) as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// An event's rollbacks, newest first.
///
/// # Errors
/// If the database fails.
pub async fn list(
    conn: &mut PgConnection,
    event: &EventId,
    page: Page,
) -> Result<Paged<Rollback>, StoreError> {
    let total = query!(
        "SELECT count(*) FROM rollbacks WHERE event_id = $1",
        event.as_str()
    )
    .fetch_one(&mut *conn)
    .await?;
    let rows = query!(
        r#"SELECT change_id, deployment_id, actor, reason, at as "at: Time",
               regions as "regions: Json<BTreeMap<RegionId, Move>>"
           FROM rollbacks WHERE event_id = $1 ORDER BY at DESC, change_id DESC LIMIT $2 OFFSET $3"#,
        event.as_str(),
        i64::from(page.limit),
        i64::from(page.offset)
    )
    .fetch_all(conn)
    .await?;
    let items = rows.into_iter().map(|row| Rollback {
        change: ChangeId(row.change_id),
        deployment: row.deployment_id.map(DeploymentId),
        actor: row.actor,
        reason: row.reason,
        at: row.at.to_jiff(),
        regions: row.regions.0,
    });
    Ok(Paged {
        items: items.collect(),
        total: count(total.count),
    })
}
