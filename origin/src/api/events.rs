//! Events and their revisions: created, listed, edited, approved, and commanded.

mod clone;
mod create;
mod delete;
mod edit;
mod extend;
mod judge;
mod lifecycle;
mod precondition;
mod revisions;
mod validate;
mod view;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post, put};
use jiff::Timestamp;
use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::model::EventType;
use liveevents_service::http::{ApiError, Caller, Checks, Json, Path, Query};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::Api;
use super::page::page;
use super::roles::PEOPLE;
use crate::event::lifecycle::State as Life;
use crate::event::record::Event;
use crate::limits::{MAX_SEARCH, MAX_TAG};
use crate::store::{self, events};

use view::{EventView, etag};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/events", get(list).post(create::create))
        .route(
            "/events/{id}",
            get(show).put(edit::edit).delete(delete::delete),
        )
        .route("/events/{id}/clone", post(clone::clone))
        .route("/events/{id}/validate", post(validate::validate))
        .route("/events/{id}/approve", post(judge::approve))
        .route("/events/{id}/reject", post(judge::reject))
        .route("/events/{id}/activate", post(lifecycle::activate))
        .route("/events/{id}/deactivate", post(lifecycle::deactivate))
        .route("/events/{id}/pause", post(lifecycle::pause))
        .route("/events/{id}/resume", post(lifecycle::resume))
        .route("/events/{id}/cancel", post(lifecycle::cancel))
        .route("/events/{id}/extend", put(extend::extend))
        .route("/events/{id}/revisions", get(revisions::list))
        .route("/events/{id}/revisions/{revision}", get(revisions::show))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Filter {
    state: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    category: Option<String>,
    tag: Option<String>,
    region: Option<RegionId>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    q: Option<String>,
    limit: Option<u32>,
    offset: Option<u32>,
}

#[derive(Serialize)]
struct Listed {
    events: Vec<EventView>,
    total: u64,
    limit: u32,
    offset: u32,
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(asked): Query<Filter>,
) -> Result<Json<Listed>, ApiError> {
    caller.require(PEOPLE)?;
    let mut checks = Checks::default();
    let page = page(asked.limit, asked.offset, &mut checks);
    let state = asked
        .state
        .and_then(|text| checks.take("state", text.parse::<Life>()));
    let event_type = asked
        .event_type
        .and_then(|text| checks.take("type", text.parse::<EventType>()));
    let texts = [
        ("category", &asked.category, MAX_TAG),
        ("tag", &asked.tag, MAX_TAG),
        ("q", &asked.q, MAX_SEARCH),
    ];
    for (field, text, most) in texts {
        let text = text.as_deref().unwrap_or_default();
        let plain = text.chars().count() <= most && !text.chars().any(char::is_control);
        let message = format!("must have at most {most} characters, none of them control");
        checks.require(plain, field, message);
    }
    checks.finish()?;
    let filter = events::Filter {
        state,
        event_type,
        category: asked.category,
        tag: asked.tag,
        region: asked.region,
        from: asked.from,
        to: asked.to,
        search: asked.q.filter(|text| !text.is_empty()),
    };
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let found = events::list(&mut tx, &filter, page).await?;
    let ids: Vec<EventId> = found.items.iter().map(|event| event.id.clone()).collect();
    let mut served = store::assignments::of_events(&mut tx, &ids).await?;
    let view = |event: Event| {
        let served = served.remove(&event.id).unwrap_or_default();
        EventView::new(event, &served)
    };
    Ok(Json(Listed {
        total: found.total,
        events: found.items.into_iter().map(view).collect(),
        limit: page.limit,
        offset: page.offset,
    }))
}

async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<EventId>,
) -> Result<(HeaderMap, Json<EventView>), ApiError> {
    caller.require(PEOPLE)?;
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let event = find(&mut tx, &id).await?;
    answer(&mut tx, event).await
}

/// An event as an answer, with its revision's ETag.
async fn answer(
    conn: &mut PgConnection,
    event: Event,
) -> Result<(HeaderMap, Json<EventView>), ApiError> {
    let served = store::assignments::of_event(conn, &event.id).await?;
    Ok((
        etag(event.newest.revision),
        Json(EventView::new(event, &served)),
    ))
}

async fn find(conn: &mut PgConnection, id: &EventId) -> Result<Event, ApiError> {
    let found = events::find(conn, id).await?;
    found.ok_or_else(|| ApiError::not_found("event", id))
}

async fn lock(conn: &mut PgConnection, id: &EventId) -> Result<Event, ApiError> {
    let found = events::lock(conn, id).await?;
    found.ok_or_else(|| ApiError::not_found("event", id))
}
