//! Events and their revisions: created, listed, edited, approved, and commanded.

mod clone;
mod create;
mod delete;
mod edit;
mod extend;
mod judge;
mod lifecycle;
mod metrics;
mod revisions;
mod rollback;
mod segments;
mod validate;
mod view;

use axum::extract::State;
use axum::http::HeaderMap;
use jiff::Timestamp;
use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::model::EventType;
use liveevents_service::http::{ApiError, Checks, Json, Path, Query};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use super::Api;
use super::access::{Access, Routes};
use super::audit::{self, AuditList};
use super::page::page;
use super::precondition::etag;
use super::roles::{DESIGNERS, OPERATORS, PEOPLE};
use crate::event::lifecycle::State as Life;
use crate::event::record::Event;
use crate::limits::{MAX_SEARCH, MAX_TAG};
use crate::quotas::Limit;
use crate::store::{self, events};

use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use view::EventView;

pub(super) fn routes() -> Routes {
    let creating = Access::to(DESIGNERS).limited(Limit::Events).once();
    let metrics = Access::to(PEOPLE).limited(Limit::Metrics);
    Routes::new()
        .add(PEOPLE, routes!(list))
        .add(creating, routes!(create::create))
        .add(PEOPLE, routes!(show))
        .add(DESIGNERS, routes!(edit::edit))
        .add(DESIGNERS, routes!(segments::assign))
        .add(DESIGNERS, routes!(segments::remove))
        .add(creating, routes!(clone::clone))
        .add(DESIGNERS, routes!(validate::validate))
        .add(OPERATORS, routes!(judge::approve))
        .add(OPERATORS, routes!(judge::reject))
        .add(PEOPLE, routes!(revisions::list))
        .add(PEOPLE, routes!(revisions::show))
        .add(OPERATORS, routes!(delete::delete))
        .add(OPERATORS, routes!(lifecycle::activate))
        .add(OPERATORS, routes!(lifecycle::deactivate))
        .add(OPERATORS, routes!(lifecycle::pause))
        .add(OPERATORS, routes!(lifecycle::resume))
        .add(OPERATORS, routes!(lifecycle::cancel))
        .add(OPERATORS, routes!(extend::extend))
        .add(OPERATORS, routes!(rollback::roll_back))
        .add(PEOPLE, routes!(rollback::history))
        .add(PEOPLE, routes!(deeds))
        .add(metrics, routes!(metrics::all))
        .add(metrics, routes!(metrics::engagement))
        .add(metrics, routes!(metrics::revenue))
        .add(metrics, routes!(metrics::sentiment))
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    #[param(value_type = Option<Life>)]
    state: Option<String>,
    #[serde(rename = "type")]
    #[param(value_type = Option<EventType>)]
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

#[derive(Serialize, ToSchema)]
#[schema(as = EventList)]
struct Listed {
    events: Vec<EventView>,
    total: u64,
    limit: u32,
    offset: u32,
}

/// Events, newest first.
#[utoipa::path(
    get,
    path = "/events",
    params(Filter),
    responses((status = 200, description = "A page.", body = Listed))
)]
async fn list(
    State(api): State<Api>,
    Query(asked): Query<Filter>,
) -> Result<Json<Listed>, ApiError> {
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

/// An event with its newest revision.
#[utoipa::path(
    get,
    path = "/events/{id}",
    params(("id" = EventId, Path)),
    responses((status = 200, description = "The event.", body = EventView, headers(("ETag" = String, description = "The revision's entity tag."))))
)]
async fn show(
    State(api): State<Api>,
    Path(id): Path<EventId>,
) -> Result<(HeaderMap, Json<EventView>), ApiError> {
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

/// Who did what with an event and its deployments, newest first.
#[utoipa::path(
    get,
    path = "/events/{id}/audit",
    params(("id" = EventId, Path), rollback::Asked),
    responses((status = 200, description = "A page.", body = AuditList))
)]
async fn deeds(
    State(api): State<Api>,
    Path(id): Path<EventId>,
    Query(asked): Query<rollback::Asked>,
) -> Result<Json<AuditList>, ApiError> {
    let mut checks = Checks::default();
    let page = asked.page(&mut checks);
    checks.finish()?;
    let mut tx = store::begin_snapshot(&api.pool).await?;
    find(&mut tx, &id).await?;
    let found = store::audit::of_event(&mut tx, &id, page).await?;
    Ok(Json(audit::told(found, page)))
}
