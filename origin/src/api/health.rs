//! Health: whether the process runs, whether it can do its work, and how it stands.
//!
//! `live` says only that requests are answered: a supervisor that restarts us because the database is away
//! makes nothing better. `ready` needs the database. Both are for machines, `/health` is for people.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use jiff::Timestamp;
use liveevents_service::http::Json;
use serde::Serialize;
use tokio::time::timeout;

use super::Api;
use crate::event::lifecycle::State as Life;
use crate::store::{self, StoreError, course, events};

/// Shorter than a prober's own patience, which is often five seconds.
const DEADLINE: Duration = Duration::from_secs(2);

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/health", get(health))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
}

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

const UP: Status = Status { status: "Up" };
const DOWN: Status = Status { status: "Down" };

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    status: &'static str,
    /// Unknown while the database is away.
    #[serde(flatten)]
    events: Option<Events>,
    database_pool: Pool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Events {
    active_events: u64,
    scheduled_events: u64,
    /// When the scheduler of any replica last found nothing more to do; none before the first time.
    last_scheduler_run: Option<Timestamp>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pool {
    connections: u32,
    idle: usize,
}

async fn live() -> Json<Status> {
    Json(UP)
}

async fn ready(State(api): State<Api>) -> (StatusCode, Json<Status>) {
    match events(&api).await {
        Some(_) => (StatusCode::OK, Json(UP)),
        None => (StatusCode::SERVICE_UNAVAILABLE, Json(DOWN)),
    }
}

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
            events,
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
