//! `POST /admin/cache/warm`: every region is pushed to its edges once more, and so to their Redis.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use jiff::SignedDuration;
use liveevents_protocol::limits::LIVE_WITHIN;
use liveevents_service::http::{ApiError, Caller, Json};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeSet;

use super::record::{NOTHING, record};
use super::roles::OPERATORS;
use super::{Api, commit};
use crate::store::edges;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/admin/cache/warm", post(warm))
}

/// How many are told.
#[derive(Serialize)]
struct Warmed {
    edges: usize,
    regions: usize,
}

async fn warm(State(api): State<Api>, caller: Caller) -> Result<Json<Warmed>, ApiError> {
    caller.require(OPERATORS)?;
    let now = api.clock.now();
    let within = SignedDuration::try_from(LIVE_WITHIN).unwrap_or(SignedDuration::MAX);
    let mut tx = api.begin().await?;
    let live = edges::live(&mut tx, now - within).await?;
    let regions: BTreeSet<_> = live.iter().flat_map(|edge| &edge.regions).collect();
    let warmed = Warmed {
        edges: live.len(),
        regions: regions.len(),
    };
    edges::warm(&mut tx).await?;
    let after = json!({ "edges": warmed.edges, "regions": warmed.regions });
    let states = (NOTHING, Some(after));
    record(&mut tx, &caller, ("cache.warm", "all"), states, now).await?;
    commit(tx).await?;
    Ok(Json(warmed))
}
