//! Changes as they are asked about afterwards. How far one has come is in [`super::acks`].

use jiff::Timestamp;
use liveevents_protocol::id::{ChangeId, DeploymentId, EventId};
use sqlx::{PgConnection, query};

use super::{StoreError, Time};

/// One decision.
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
}

/// One change.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, id: ChangeId) -> Result<Option<Change>, StoreError> {
    let found = query!(
        r#"SELECT kind, event_id, deployment_id, reason, actor, created_at as "created_at: Time"
           FROM changes WHERE change_id = $1"#,
        id.0
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = found else { return Ok(None) };
    let event = row.event_id.as_deref().map(EventId::new).transpose();
    Ok(Some(Change {
        id,
        kind: row.kind,
        event: event.map_err(StoreError::unreadable("a change's event"))?,
        deployment: row.deployment_id.map(DeploymentId),
        reason: row.reason,
        actor: row.actor,
        created_at: row.created_at.to_jiff(),
    }))
}
