//! `GET /audit`: who did what, when, and what it was before and after.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use jiff::Timestamp;
use liveevents_service::http::{ApiError, Caller, Checks, Json, Query};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Api;
use super::page::page;
use super::roles::OPERATORS;
use crate::store;
use crate::store::audit::{self, Recorded};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/audit", get(list))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Filter {
    actor: Option<String>,
    action: Option<String>,
    subject: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    limit: Option<u32>,
    offset: Option<u32>,
}

#[derive(Serialize)]
struct Listed {
    entries: Vec<View>,
    total: u64,
    limit: u32,
    offset: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    id: i64,
    at: Timestamp,
    actor: String,
    action: String,
    subject: String,
    before: Option<Box<RawValue>>,
    after: Option<Box<RawValue>>,
    trace_id: Option<String>,
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(asked): Query<Filter>,
) -> Result<Json<Listed>, ApiError> {
    caller.require(OPERATORS)?;
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
    Ok(Json(Listed {
        entries: found.items.into_iter().map(view).collect(),
        total: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}
