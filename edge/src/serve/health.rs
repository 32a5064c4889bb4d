//! Health. *Live* says that the process answers, and looks at nothing outside. *Ready* says that it holds every one of
//! its regions, no older than configured; it is judged anew at each request.

use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use liveevents_protocol::id::{EdgeId, Installation, RegionId};
use liveevents_protocol::version::{Epoch, Version};
use liveevents_service::http::Json;
use serde::Serialize;

use super::{Serving, View};
use crate::cache;
use crate::delivery::Ledger;
use crate::replica::Region;
use crate::uplink;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    status: &'static str,
    edge: EdgeId,
    installation: Installation,
    version: &'static str,
    time: Timestamp,
    regions: Vec<RegionReport>,
    uplink: uplink::Status,
    cache: cache::State,
    game_servers: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RegionReport {
    region: RegionId,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    holds: Option<Holds>,
    game_servers: i64,
    current_game_servers: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Holds {
    epoch: Epoch,
    version: Version,
    age_ms: u64,
    stale: bool,
    /// Whether the origin has told or continued it; else it is from Redis.
    confirmed: bool,
}

pub(super) async fn live() -> Json<serde_json::Value> {
    Json(serde_json::json!({"status": "Live"}))
}

pub(super) async fn ready(State(serving): State<Serving>) -> (StatusCode, Json<Report>) {
    let report = judge(&serving);
    let ready = report.regions.iter().all(|region| region.ready);
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report))
}

pub(super) async fn report(State(serving): State<Serving>) -> Json<Report> {
    Json(judge(&serving))
}

fn judge(serving: &Serving) -> Report {
    let now = serving.clock.now();
    let regions: Vec<_> = serving
        .replica
        .regions()
        .map(|region| judge_region(serving, region, now))
        .collect();
    Report {
        status: if regions.iter().all(|region| region.ready) {
            "Ready"
        } else {
            "NotReady"
        },
        edge: serving.edge.clone(),
        installation: serving.installation.clone(),
        version: env!("CARGO_PKG_VERSION"),
        time: now,
        game_servers: regions.iter().map(|region| region.game_servers).sum(),
        regions,
        uplink: uplink::Status::clone(&serving.uplink.load()),
        cache: serving.cache.state(),
    }
}

fn judge_region(serving: &Serving, region: &Region, now: Timestamp) -> RegionReport {
    let view = View::of(region, now).ok();
    let ledger = serving.ledgers.region(region.id());
    let counts = ledger.map(Ledger::counts).unwrap_or_default();
    RegionReport {
        region: region.id().clone(),
        ready: view
            .as_ref()
            .is_some_and(|view| view.age <= serving.max_age),
        holds: view.map(|view| Holds {
            epoch: view.published.state().epoch(),
            version: view.published.state().version(),
            age_ms: view.age_ms(),
            stale: view.is_stale(),
            confirmed: view.published.is_confirmed(),
        }),
        game_servers: counts.connected.into(),
        current_game_servers: counts.applied.into(),
    }
}
