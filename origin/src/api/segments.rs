//! Segments: who an event is for. Designers describe them; nothing served changes until a revision is published, which is
//! one change wherever the segment is used, and can be rolled back.

mod edit;
mod preview;
mod publish;
mod view;

use axum::extract::State;
use axum::http::HeaderMap;
use liveevents_protocol::id::SegmentId;
use liveevents_protocol::version::Revision;
use liveevents_service::http::{ApiError, Checks, Json, Path, Query};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::Api;
use super::access::{Access, Routes};
use super::page::page;
use super::precondition::etag;
use super::roles::{DESIGNERS, OPERATORS, PEOPLE};
use crate::limits::MAX_SEARCH;
use crate::store;
use crate::store::segments::Segment;
use crate::store::{publications, segments};
use view::{PublicationView, RevisionView, SegmentDetail, SegmentView, UseView};

/// Events that are told to use a segment; if there are more, these are the first.
const MAX_USES: i64 = 100;

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(PEOPLE, routes!(list))
        .add(Access::to(DESIGNERS).once(), routes!(edit::create))
        .add(PEOPLE, routes!(show))
        .add(DESIGNERS, routes!(edit::edit, edit::delete))
        .add(PEOPLE, routes!(revisions))
        .add(PEOPLE, routes!(published))
        .add(DESIGNERS, routes!(preview::preview))
        .add(OPERATORS, routes!(publish::publish))
        .add(OPERATORS, routes!(publish::roll_back))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// With this text in identifier or name.
    q: Option<String>,
    limit: Option<u32>,
    offset: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SegmentList)]
struct Listed {
    segments: Vec<SegmentView>,
    total: u64,
    limit: u32,
    offset: u32,
}

/// Segments in their newest revision, by identifier.
#[utoipa::path(
    get,
    path = "/segments",
    params(Filter),
    responses((status = 200, description = "A page.", body = Listed))
)]
async fn list(
    State(api): State<Api>,
    Query(asked): Query<Filter>,
) -> Result<Json<Listed>, ApiError> {
    let mut checks = Checks::default();
    let page = page(asked.limit, asked.offset, &mut checks);
    let search = asked.q.filter(|text| !text.is_empty());
    let plain = search
        .iter()
        .all(|text| text.chars().count() <= MAX_SEARCH && !text.chars().any(char::is_control));
    let message = format!("must have at most {MAX_SEARCH} characters, none of them control");
    checks.require(plain, "q", message);
    checks.finish()?;
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let found = segments::list(&mut tx, search.as_deref(), page).await?;
    Ok(Json(Listed {
        segments: found.items.into_iter().map(SegmentView::from).collect(),
        total: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}

/// A segment in its newest revision, what of it is in effect, and where it is used.
#[utoipa::path(
    get,
    path = "/segments/{id}",
    params(("id" = SegmentId, Path)),
    responses((status = 200, description = "The segment.", body = SegmentDetail, headers(("ETag" = String, description = "The revision's entity tag."))))
)]
async fn show(
    State(api): State<Api>,
    Path(id): Path<SegmentId>,
) -> Result<(HeaderMap, Json<SegmentDetail>), ApiError> {
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let segment = find(&mut tx, &id).await?;
    answer(&mut tx, segment).await
}

/// A segment as an answer, with its revision's ETag.
async fn answer(
    conn: &mut PgConnection,
    segment: Segment,
) -> Result<(HeaderMap, Json<SegmentDetail>), ApiError> {
    let used = segments::used(conn, &segment.id, MAX_USES).await?;
    let headers = etag(segment.newest.revision);
    let detail = SegmentDetail {
        segment: segment.into(),
        used_by: UseView::from(used),
    };
    Ok((headers, Json(detail)))
}

async fn find(conn: &mut PgConnection, id: &SegmentId) -> Result<Segment, ApiError> {
    let found = segments::find(conn, id).await?;
    found.ok_or_else(|| ApiError::not_found("segment", id))
}

async fn lock(conn: &mut PgConnection, id: &SegmentId) -> Result<Segment, ApiError> {
    let found = segments::lock(conn, id).await?;
    found.ok_or_else(|| ApiError::not_found("segment", id))
}

/// The revision asked for, or the newest.
async fn revision(
    conn: &mut PgConnection,
    segment: &Segment,
    asked: Option<Revision>,
) -> Result<segments::Revised, ApiError> {
    let Some(asked) = asked.filter(|asked| *asked != segment.newest.revision) else {
        return Ok(segment.newest.clone());
    };
    let found = segments::revision(conn, &segment.id, asked).await?;
    found.ok_or_else(|| {
        let message = format!("segment {} has no revision {asked}", segment.id);
        ApiError::field("revision", message)
    })
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Paging {
    limit: Option<u32>,
    offset: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SegmentRevisionList)]
struct Revisions {
    revisions: Vec<RevisionView>,
    total: u64,
    limit: u32,
    offset: u32,
}

/// A segment's revisions, newest first.
#[utoipa::path(
    get,
    path = "/segments/{id}/revisions",
    params(("id" = SegmentId, Path), Paging),
    responses((status = 200, description = "A page.", body = Revisions))
)]
async fn revisions(
    State(api): State<Api>,
    Path(id): Path<SegmentId>,
    Query(asked): Query<Paging>,
) -> Result<Json<Revisions>, ApiError> {
    let mut checks = Checks::default();
    let page = page(asked.limit, asked.offset, &mut checks);
    checks.finish()?;
    let mut tx = store::begin_snapshot(&api.pool).await?;
    find(&mut tx, &id).await?;
    let found = segments::revisions(&mut tx, &id, None, page).await?;
    Ok(Json(Revisions {
        revisions: found.items.into_iter().map(RevisionView::from).collect(),
        total: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}

#[derive(Serialize, ToSchema)]
#[schema(as = SegmentPublicationList)]
struct Published {
    publications: Vec<PublicationView>,
    total: u64,
    limit: u32,
    offset: u32,
}

/// What of a segment took effect when, newest first; kept for good.
#[utoipa::path(
    get,
    path = "/segments/{id}/publications",
    params(("id" = SegmentId, Path), Paging),
    responses((status = 200, description = "A page.", body = Published))
)]
async fn published(
    State(api): State<Api>,
    Path(id): Path<SegmentId>,
    Query(asked): Query<Paging>,
) -> Result<Json<Published>, ApiError> {
    let mut checks = Checks::default();
    let page = page(asked.limit, asked.offset, &mut checks);
    checks.finish()?;
    let mut tx = store::begin_snapshot(&api.pool).await?;
    find(&mut tx, &id).await?;
    let found = publications::list(&mut tx, &id, None, page).await?;
    let views = found.items.into_iter().map(PublicationView::from);
    Ok(Json(Published {
        publications: views.collect(),
        total: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}
