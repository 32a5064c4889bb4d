//! `POST /admin/cache/warm`: every region is pushed to its edges once more, and so to their Redis.

use axum::extract::State;
use jiff::SignedDuration;
use liveevents_protocol::limits::LIVE_WITHIN;
use liveevents_service::http::{ApiError, Caller, Json};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeSet;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::access::Routes;
use super::record::{NOTHING, record};
use super::roles::OPERATORS;
use super::{Api, commit};
use crate::store::edges;

pub(super) fn routes() -> Routes {
    Routes::new().add(OPERATORS, routes!(warm))
}

/// How many are told.
#[derive(Serialize, ToSchema)]
struct Warmed {
    edges: usize,
    regions: usize,
}

/// Pushes the state of every region to its edges, and so to their Redis, once more.
#[utoipa::path(
    post,
    path = "/admin/cache/warm",
    responses((status = 200, description = "Done.", body = Warmed))
)]
async fn warm(State(api): State<Api>, caller: Caller) -> Result<Json<Warmed>, ApiError> {
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
