//! Whether what is to be deployed can be served as things are now: the catalogue and the studio's schemas may have changed
//! since the revision was accepted.
//!
//! Judged before anything is locked, as judging may take long. A revision never changes, so what was said of it holds.

use jiff::Timestamp;
use liveevents_protocol::id::EventId;
use liveevents_protocol::version::Revision;
use liveevents_service::http::ApiError;

use crate::api::Api;
use crate::event::validation::Proposal;
use crate::inspect::Purpose;
use crate::store::{events, revisions};

/// The revision that is meant, judged; `None` if none can be, which whoever deploys says.
pub(super) async fn judged(
    api: &Api,
    event: &EventId,
    asked: Option<Revision>,
    now: Timestamp,
) -> Result<Option<Revision>, ApiError> {
    let mut conn = api.acquire().await?;
    let meant = match asked {
        Some(revision) => Some(revision),
        None => match revisions::newest_approved(&mut conn, event).await? {
            None if !api.require_approval => {
                let found = events::find(&mut conn, event).await?;
                found.map(|event| event.newest.revision)
            }
            approved => approved,
        },
    };
    let Some(revision) = meant else {
        return Ok(None);
    };
    let Some(revised) = revisions::find(&mut conn, event, revision).await? else {
        return Ok(meant);
    };
    let proposal = Proposal::read(&revised.document.to_fields());
    let gathered = api
        .inspector
        .facts(&mut conn, &proposal, Purpose::Deployed, now)
        .await?;
    drop(conn);
    let (_, report) = api.inspector.judge(proposal, gathered).await?;
    let faults = report.errors.into_vec();
    if faults.is_empty() {
        return Ok(meant);
    }
    let faults = faults
        .into_iter()
        .map(|fault| format!("{}: {}", fault.field, fault.message));
    let faults: Vec<String> = faults.collect();
    Err(ApiError::Conflict(format!(
        "revision {revision} of event {event} is no longer valid: {}",
        faults.join("; ")
    )))
}
