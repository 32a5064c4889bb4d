//! Health. *Live* says that the process answers, and looks at nothing outside. *Ready* says that it holds every one of
//! its regions, no older than configured if anything is; it is judged anew at each request. A region without events is
//! held like any other. An edge that drains is not ready: whoever divides newcomers among edges is to leave it out. What
//! is wrong and harms no readiness (no origin, no Redis, entries set aside, clocks apart) is told beside it.

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
use crate::replica::{Region, entry_name};
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
    /// What part of player reads was answered from memory, since the start; 1 before the first.
    cache_hit_rate: f64,
    /// The origin's clock minus this one's, as last measured.
    clock_offset_ms: i64,
    clocks_apart: bool,
    draining: bool,
    game_servers: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RegionReport {
    region: RegionId,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    holds: Option<Holds>,
    /// Entries that cannot be applied here; their last good content is served.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    degraded: Vec<SetAside>,
    game_servers: i64,
    current_game_servers: i64,
}

#[derive(Serialize)]
struct SetAside {
    entry: String,
    version: Version,
    reason: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Holds {
    epoch: Epoch,
    version: Version,
    age_ms: u64,
    /// When the origin was last heard.
    contact_at: Timestamp,
    stale: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_since: Option<Timestamp>,
    /// Whether the origin has told or continued it; else it is from Redis.
    confirmed: bool,
}

pub(super) async fn live() -> Json<serde_json::Value> {
    Json(serde_json::json!({"status": "Live"}))
}

pub(super) async fn ready(State(serving): State<Serving>) -> (StatusCode, Json<Report>) {
    let report = judge(&serving);
    let status = if report.is_ready() {
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
    let mut report = Report {
        status: "NotReady",
        edge: serving.edge.clone(),
        installation: serving.installation.clone(),
        version: env!("CARGO_PKG_VERSION"),
        time: now,
        game_servers: regions.iter().map(|region| region.game_servers).sum(),
        regions,
        uplink: uplink::Status::clone(&serving.uplink.load()),
        cache: serving.cache.state(),
        cache_hit_rate: serving.metrics.queries.hit_rate(),
        clock_offset_ms: i64::try_from(serving.offset.load().as_millis()).unwrap_or(i64::MAX),
        clocks_apart: serving.offset.is_apart(),
        draining: serving.drain.state().is_some(),
    };
    if report.is_ready() {
        report.status = "Ready";
    }
    report
}

impl Report {
    fn is_ready(&self) -> bool {
        !self.draining && self.regions.iter().all(|region| region.ready)
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
            .is_some_and(|view| serving.max_age.is_none_or(|most| view.age <= most)),
        degraded: view.as_ref().map(set_aside).unwrap_or_default(),
        holds: view.map(|view| Holds {
            epoch: view.published.state().epoch(),
            version: view.published.state().version(),
            age_ms: view.age_ms(),
            contact_at: view.contact_at(),
            stale: view.is_stale(),
            stale_since: view.stale_since(),
            confirmed: view.published.is_confirmed(),
        }),
        game_servers: counts.connected.into(),
        current_game_servers: counts.applied.into(),
    }
}

fn set_aside(view: &View) -> Vec<SetAside> {
    let told = view.published.quarantine().told().into_iter();
    told.map(|quarantined| SetAside {
        entry: entry_name(&quarantined.key),
        version: quarantined.version,
        reason: quarantined.reason,
    })
    .collect()
}
