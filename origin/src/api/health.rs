//! Health: whether the process runs, whether it can do its work, and how it stands.
//!
//! `live` says only that requests are answered: a supervisor that restarts us because the database is away
//! makes nothing better. `ready` needs the database. Both are for machines, `/health` is for people.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use liveevents_service::http::Json;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::Api;
use super::access::{Access, Routes};
use crate::event::lifecycle::State as Life;
use crate::store::{self, StoreError, course, events};

/// Shorter than a prober's own patience, which is often five seconds.
const DEADLINE: Duration = Duration::from_secs(2);

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(Access::ANYONE, routes!(health))
        .add(Access::ANYONE, routes!(live))
        .add(Access::ANYONE, routes!(ready))
}

#[derive(Serialize, ToSchema)]
#[schema(as = HealthStatus)]
struct Status {
    status: &'static str,
}

const UP: Status = Status { status: "Up" };
const DOWN: Status = Status { status: "Down" };

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Health {
    status: &'static str,
    /// Unknown while the database is away.
    #[serde(skip_serializing_if = "Option::is_none")]
    active_events: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_events: Option<u64>,
    /// When the scheduler of any replica last found nothing more to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_scheduler_run: Option<Timestamp>,
    database_pool: Pool,
}

struct Events {
    active_events: u64,
    scheduled_events: u64,
    /// When the scheduler of any replica last found nothing more to do; none before the first time.
    last_scheduler_run: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = HealthPool)]
struct Pool {
    connections: u32,
    idle: usize,
}

/// Whether the process answers.
#[utoipa::path(
    get,
    path = "/health/live",
    responses((status = 200, description = "It does.", body = Status))
)]
async fn live() -> Json<Status> {
    Json(UP)
}

/// Whether it can do its work.
#[utoipa::path(
    get,
    path = "/health/ready",
    responses((status = 200, description = "It can.", body = Status), (status = 503, description = "The database is away.", body = Status))
)]
async fn ready(State(api): State<Api>) -> (StatusCode, Json<Status>) {
    match events(&api).await {
        Some(_) => (StatusCode::OK, Json(UP)),
        None => (StatusCode::SERVICE_UNAVAILABLE, Json(DOWN)),
    }
}

/// How it stands.
#[utoipa::path(
    get,
    path = "/health",
    responses((status = 200, description = "Well.", body = Health), (status = 503, description = "The database is away.", body = Health))
)]
async fn health(State(api): State<Api>) -> (StatusCode, Json<Health>) {
    let events = events(&api).await;
    let (code, Status { status }) = match events {
        Some(_) => (StatusCode::OK, UP),
        None => (StatusCode::SERVICE_UNAVAILABLE, DOWN),
    };
    let database_pool = Pool {
        connections: api.pool.size(),
        idle: api.pool.num_idle(),
    };
    (
        code,
        Json(Health {
            status,
            active_events: events.as_ref().map(|events| events.active_events),
            scheduled_events: events.as_ref().map(|events| events.scheduled_events),
            last_scheduler_run: events.and_then(|events| events.last_scheduler_run),
            database_pool,
        }),
    )
}

async fn events(api: &Api) -> Option<Events> {
    let counted = async {
        let mut tx = store::begin_snapshot(&api.pool).await?;
        Ok::<_, StoreError>(Events {
            active_events: events::number_in(&mut tx, Life::Active).await?,
            scheduled_events: events::number_in(&mut tx, Life::Scheduled).await?,
            last_scheduler_run: course::last_run(&mut tx).await?,
        })
    };
    timeout(DEADLINE, counted).await.ok()?.ok()
}
