//! Deployments, and what each changed in each region.

use liveevents_protocol::id::{ChangeId, DeploymentId, EventId, RegionId};
use liveevents_protocol::model::Assignment;
use liveevents_protocol::version::{BasisPoints, Version};
use sqlx::{PgConnection, query};
use uuid::Uuid;

use super::regions::{id, version};
use super::{Page, Paged, StoreError, Time, count, revisions, time};
use crate::rollout::deployment::{Deployment, RolledBack, Status, Step};

/// Which deployments to list; all that hold, where given.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this event.
    pub event: Option<EventId>,
    /// In this status.
    pub status: Option<Status>,
    /// Into this region, among others.
    pub region: Option<RegionId>,
}

struct Row {
    deployment_id: Uuid,
    event_id: String,
    revision: i32,
    regions: Vec<String>,
    percentage_bp: i32,
    status: String,
    change_id: Option<Uuid>,
    created_by: String,
    created_at: Time,
    completed_at: Option<Time>,
    rolled_back_at: Option<Time>,
    rolled_back_by: Option<String>,
    rollback_reason: Option<String>,
    rollback_change_id: Option<Uuid>,
}

impl Row {
    fn read(self) -> Result<Deployment, StoreError> {
        let percentage = u16::try_from(self.percentage_bp)
            .map_err(StoreError::unreadable("a percentage"))
            .and_then(|bp| BasisPoints::new(bp).map_err(StoreError::unreadable("a percentage")))?;
        let rolled_back = self
            .rolled_back_at
            .zip(self.rolled_back_by)
            .map(|(at, by)| RolledBack {
                at: at.to_jiff(),
                by,
                reason: self.rollback_reason,
                change: self.rollback_change_id.map(ChangeId),
            });
        Ok(Deployment {
            id: DeploymentId(self.deployment_id),
            event: EventId::new(&self.event_id)
                .map_err(StoreError::unreadable("a deployment's event"))?,
            revision: revisions::number(self.revision)?,
            regions: self
                .regions
                .iter()
                .map(|text| id(text))
                .collect::<Result<_, _>>()?,
            percentage,
            status: self
                .status
                .parse()
                .map_err(StoreError::unreadable("a deployment's status"))?,
            change: self.change_id.map(ChangeId),
            created_by: self.created_by,
            created_at: self.created_at.to_jiff(),
            completed_at: self.completed_at.map(Time::to_jiff),
            rolled_back,
            steps: Vec::new(),
        })
    }
}

/// The deployments whose identifiers are given, newest first.
async fn read(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Deployment>, StoreError> {
    let mut deployments = sqlx::query_as!(
        Row,
        r#"SELECT deployment_id, event_id, revision, regions, percentage_bp, status, change_id, created_by,
               created_at as "created_at: Time", completed_at as "completed_at: Time",
               rolled_back_at as "rolled_back_at: Time", rolled_back_by, rollback_reason,
               rollback_change_id
           FROM deployments WHERE deployment_id = ANY($1) ORDER BY created_at DESC, deployment_id"#,
        ids
    )
    .fetch_all(&mut *conn)
    .await?
    .into_iter()
    .map(Row::read)
    .collect::<Result<Vec<_>, _>>()?;
    let rows = query!(
        r#"SELECT deployment_id, region_id, before::text, after::text as "after!", version
           FROM deployment_regions WHERE deployment_id = ANY($1) ORDER BY region_id"#,
        ids
    )
    .fetch_all(conn)
    .await?;
    for row in rows {
        let step = Step {
            region: id(&row.region_id)?,
            before: row.before.as_deref().map(assignment).transpose()?,
            after: assignment(&row.after)?,
            version: version(row.version)?,
        };
        let of = deployments
            .iter_mut()
            .find(|deployment| deployment.id.0 == row.deployment_id);
        if let Some(deployment) = of {
            deployment.steps.push(step);
        }
    }
    Ok(deployments)
}

/// Those of the given deployments that there are, newest first.
///
/// # Errors
/// If the database fails.
pub async fn of_ids(
    conn: &mut PgConnection,
    ids: &[DeploymentId],
) -> Result<Vec<Deployment>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    read(conn, &ids).await
}

/// One deployment.
///
/// # Errors
/// If the database fails.
pub async fn find(
    conn: &mut PgConnection,
    id: DeploymentId,
) -> Result<Option<Deployment>, StoreError> {
    Ok(read(conn, &[id.0]).await?.pop())
}

/// One deployment, its row locked. The event's row has to be locked already.
///
/// # Errors
/// If the database fails.
pub async fn lock(
    conn: &mut PgConnection,
    id: DeploymentId,
) -> Result<Option<Deployment>, StoreError> {
    query!(
        "SELECT deployment_id FROM deployments WHERE deployment_id = $1 FOR NO KEY UPDATE",
        id.0
    )
    .fetch_optional(&mut *conn)
    .await?;
    find(conn, id).await
}

/// A page of the deployments that a filter passes, newest first.
///
/// # Errors
/// If the database fails.
pub async fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    page: Page,
) -> Result<Paged<Deployment>, StoreError> {
    let event = filter.event.as_ref().map(EventId::as_str);
    let status = filter.status.map(Status::as_str);
    let region = filter.region.as_ref().map(RegionId::as_str);
    let total = query!(
        "SELECT count(*) FROM deployments
         WHERE ($1::text IS NULL OR event_id = $1) AND ($2::text IS NULL OR status = $2)
           AND ($3::text IS NULL OR $3 = ANY(regions))",
        event,
        status,
        region
    )
    .fetch_one(&mut *conn)
    .await?;
    let rows = query!(
        "SELECT deployment_id FROM deployments
         WHERE ($1::text IS NULL OR event_id = $1) AND ($2::text IS NULL OR status = $2)
           AND ($3::text IS NULL OR $3 = ANY(regions))
         ORDER BY created_at DESC, deployment_id LIMIT $4 OFFSET $5",
        event,
        status,
        region,
        i64::from(page.limit),
        i64::from(page.offset)
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<Uuid> = rows.into_iter().map(|row| row.deployment_id).collect();
    Ok(Paged {
        items: read(conn, &ids).await?,
        total: count(total.count),
    })
}

/// Adds a deployment with its steps.
///
/// # Errors
/// If the database fails.
pub async fn insert(conn: &mut PgConnection, deployment: &Deployment) -> Result<(), StoreError> {
    let regions: Vec<String> = deployment.regions.iter().map(RegionId::to_string).collect();
    query!(
        "INSERT INTO deployments (deployment_id, event_id, revision, regions, percentage_bp, status,
             change_id, created_by, created_at, completed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        deployment.id.0,
        deployment.event.as_str(),
        revisions::column(deployment.revision),
        &regions,
        i32::from(deployment.percentage.value()),
        deployment.status.as_str(),
        deployment.change.map(|change| change.0),
        deployment.created_by,
        time(deployment.created_at) as _,
        deployment.completed_at.map(time) as _
    )
    .execute(&mut *conn)
    .await?;
    for step in &deployment.steps {
        query!(
            "INSERT INTO deployment_regions (deployment_id, region_id, before, after, version)
             VALUES ($1, $2, $3::text::jsonb, $4::text::jsonb, $5)",
            deployment.id.0,
            step.region.as_str(),
            step.before.as_ref().map(json).transpose()?,
            json(&step.after)?,
            i64::try_from(step.version.0)
                .map_err(StoreError::unreadable("a version about to be stored"))?
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// An event's deployments that are in force, newest first. The event's row has to be locked already.
///
/// # Errors
/// If the database fails.
pub async fn in_force(
    conn: &mut PgConnection,
    event: &EventId,
) -> Result<Vec<Deployment>, StoreError> {
    let rows = query!(
        "SELECT deployment_id FROM deployments WHERE event_id = $1 AND status = 'Completed'",
        event.as_str()
    )
    .fetch_all(&mut *conn)
    .await?;
    let ids: Vec<Uuid> = rows.into_iter().map(|row| row.deployment_id).collect();
    let mut found = read(conn, &ids).await?;
    // By what they did: two may have been made within one tick of the clock.
    let newest = |deployment: &Deployment| deployment.steps.iter().map(|step| step.version).max();
    found.sort_by_key(|deployment| std::cmp::Reverse((deployment.created_at, newest(deployment))));
    Ok(found)
}

/// Ends a deployment whose row is locked: it was taken back.
///
/// # Errors
/// If the database fails.
pub async fn set_rolled_back(
    conn: &mut PgConnection,
    id: DeploymentId,
    rolled_back: &RolledBack,
) -> Result<(), StoreError> {
    query!(
        "UPDATE deployments SET status = 'RolledBack', rolled_back_at = $2, rolled_back_by = $3,
             rollback_reason = $4, rollback_change_id = $5
         WHERE deployment_id = $1",
        id.0,
        time(rolled_back.at) as _,
        rolled_back.by,
        rolled_back.reason.as_deref(),
        rolled_back.change.map(|change| change.0)
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends deployments that are not at their end, of events that are over. The events' rows have to be locked already.
///
/// # Errors
/// If the database fails.
pub async fn end(conn: &mut PgConnection, events: &[&EventId]) -> Result<(), StoreError> {
    let events: Vec<String> = events.iter().map(ToString::to_string).collect();
    query!(
        "UPDATE deployments SET status = 'Cancelled'
         WHERE event_id = ANY($1) AND status IN ('Pending', 'InProgress', 'Paused', 'RollingBack')",
        &events
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The newest deployment of an event that changed a region after a version, and was not taken back.
///
/// # Errors
/// If the database fails.
pub async fn later(
    conn: &mut PgConnection,
    event: &EventId,
    region: &RegionId,
    after: Version,
) -> Result<Option<DeploymentId>, StoreError> {
    let row = query!(
        "SELECT deployment_id FROM deployments JOIN deployment_regions USING (deployment_id)
         WHERE event_id = $1 AND region_id = $2 AND version > $3 AND status <> 'RolledBack'
         ORDER BY version DESC LIMIT 1",
        event.as_str(),
        region.as_str(),
        i64::try_from(after.0).unwrap_or(i64::MAX)
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| DeploymentId(row.deployment_id)))
}

fn json(assignment: &Assignment) -> Result<String, StoreError> {
    serde_json::to_string(assignment)
        .map_err(StoreError::unreadable("an assignment about to be stored"))
}

fn assignment(json: &str) -> Result<Assignment, StoreError> {
    serde_json::from_str(json).map_err(StoreError::unreadable("a deployment's assignment"))
}
