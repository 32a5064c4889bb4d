//! `GET /audit`: who did what, when, and what it was before and after.

use axum::extract::State;
use jiff::Timestamp;
use liveevents_service::http::{ApiError, Checks, Json, Query};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::Api;
use super::access::Routes;
use super::page::page;
use super::roles::OPERATORS;
use crate::store::audit::{self, Recorded};
use crate::store::{self, Page, Paged};

pub(super) fn routes() -> Routes {
    Routes::new().add(OPERATORS, routes!(list))
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    actor: Option<String>,
    action: Option<String>,
    subject: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    limit: Option<u32>,
    offset: Option<u32>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct AuditList {
    entries: Vec<View>,
    total: u64,
    limit: u32,
    offset: u32,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AuditEntry)]
struct View {
    id: i64,
    at: Timestamp,
    actor: String,
    action: String,
    subject: String,
    #[schema(value_type = Value)]
    before: Option<Box<RawValue>>,
    #[schema(value_type = Value)]
    after: Option<Box<RawValue>>,
    trace_id: Option<String>,
}

/// Who did what, when, and what it was before and after; newest first.
#[utoipa::path(
    get,
    path = "/audit",
    params(Filter),
    responses((status = 200, description = "A page.", body = AuditList))
)]
async fn list(
    State(api): State<Api>,
    Query(asked): Query<Filter>,
) -> Result<Json<AuditList>, ApiError> {
    let mut checks = Checks::default();
    let page = page(asked.limit, asked.offset, &mut checks);
    checks.finish()?;
    let filter = audit::Filter {
        actor: asked.actor,
        action: asked.action,
        subject: asked.subject,
        from: asked.from,
        to: asked.to,
    };
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let found = audit::list(&mut tx, &filter, page).await?;
    Ok(Json(told(found, page)))
}

/// A page as it is answered.
pub(super) fn told(found: Paged<Recorded>, page: Page) -> AuditList {
    let view = |row: Recorded| View {
        id: row.id,
        at: row.at,
        actor: row.actor,
        action: row.action,
        subject: row.subject,
        before: row.before,
        after: row.after,
        trace_id: row.trace_id,
    };
    AuditList {
        entries: found.items.into_iter().map(view).collect(),
        total: found.total,
        limit: page.limit,
        offset: page.offset,
    }
}
