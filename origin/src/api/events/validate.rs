//! `POST /events/{id}/validate`: everything that is wrong with an event, or would be after an edit, and everything that
//! may be. Nothing is changed.

use axum::extract::State;
use jiff::Timestamp;
use liveevents_protocol::id::EventId;
use liveevents_protocol::version::Revision;
use liveevents_service::http::{ApiError, FieldError, Json, Path};
use serde::Serialize;
use utoipa::ToSchema;

use super::edit::{merged, purpose};
use super::find;
use crate::api::Api;
use crate::event::fault::Faults;
use crate::event::fields::EventFields;
use crate::event::validation::Proposal;
use crate::store;

/// What was found.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ValidationReport)]
pub(super) struct ReportView {
    event_id: EventId,
    /// The newest revision, of which this is said, or of what an edit would make of it.
    revision: Revision,
    /// Whether there are no errors.
    valid: bool,
    /// What is wrong: nothing that has an error is accepted or deployed.
    errors: Vec<FieldError>,
    /// What may be wrong.
    warnings: Vec<FieldError>,
    checked_at: Timestamp,
}

/// Everything that is wrong with an event, or would be after an edit. Nothing is changed.
#[utoipa::path(
    post,
    path = "/events/{id}/validate",
    params(("id" = EventId, Path)),
    responses((status = 200, description = "The report.", body = ReportView))
)]
pub(super) async fn validate(
    State(api): State<Api>,
    Path(id): Path<EventId>,
    edit: Option<Json<EventFields>>,
) -> Result<Json<ReportView>, ApiError> {
    let now = api.clock.now();
    let edit = edit.map(|Json(fields)| fields).unwrap_or_default();
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let event = find(&mut tx, &id).await?;
    let fields = merged(&event, edit)?;
    let proposal = Proposal::read(&fields);
    let gathered = api
        .inspector
        .all_facts(&mut tx, &proposal, &event, purpose(event.state), now)
        .await?;
    drop(tx);
    let (_, report) = api.inspector.judge(proposal, gathered).await?;
    Ok(Json(ReportView {
        event_id: id,
        revision: event.newest.revision,
        valid: report.errors.is_empty(),
        errors: views(report.errors),
        warnings: views(report.warnings),
        checked_at: now,
    }))
}

fn views(faults: Faults) -> Vec<FieldError> {
    let faults = faults.into_vec().into_iter();
    faults
        .map(|fault| FieldError::new(fault.field, fault.message))
        .collect()
}
