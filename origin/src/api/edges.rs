//! `GET /edges`.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::id::{EdgeId, RegionId};
use liveevents_protocol::limits::LIVE_WITHIN;
use liveevents_protocol::version::{Epoch, Version};
use liveevents_service::http::{ApiError, Caller, Json};
use serde::Serialize;
use sqlx::PgConnection;

use super::Api;
use super::roles::PEOPLE;
use crate::store::{self, StoreError, edges};

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/edges", get(list))
}

#[derive(Serialize)]
struct Listed {
    edges: Vec<EdgeView>,
}

/// An edge as an answer.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EdgeView {
    edge_id: EdgeId,
    region: RegionId,
    regions: Vec<RegionId>,
    address: String,
    live: bool,
    connected: bool,
    connected_at: Timestamp,
    last_seen: Timestamp,
    signed_off_at: Option<Timestamp>,
    positions: Vec<Standing>,
}

/// Where it stands in one region.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Standing {
    region: RegionId,
    epoch: Epoch,
    version: Version,
    /// Versions that it lacks.
    behind: u64,
    acked_at: Timestamp,
}

impl EdgeView {
    pub(super) fn replicates(&self, region: &RegionId) -> bool {
        self.regions.contains(region)
    }

    pub(super) fn has_signed_off(&self) -> bool {
        self.signed_off_at.is_some()
    }

    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    fn new(edge: edges::Edge, now: Timestamp) -> Self {
        let silence = now.duration_since(edge.last_seen);
        let within = SignedDuration::try_from(LIVE_WITHIN).unwrap_or(SignedDuration::MAX);
        Self {
            live: edge.signed_off_at.is_none() && silence <= within,
            edge_id: edge.id,
            region: edge.region,
            regions: edge.regions,
            address: edge.address,
            connected: edge.connected,
            connected_at: edge.connected_at,
            last_seen: edge.last_seen,
            signed_off_at: edge.signed_off_at,
            positions: edge
                .positions
                .into_iter()
                .map(|standing| Standing {
                    behind: standing.head.0.saturating_sub(standing.version.0),
                    region: standing.region,
                    epoch: standing.epoch,
                    version: standing.version,
                    acked_at: standing.acked_at,
                })
                .collect(),
        }
    }
}

/// All edges as they are at `now`.
pub(super) async fn views(
    conn: &mut PgConnection,
    now: Timestamp,
) -> Result<Vec<EdgeView>, StoreError> {
    let edges = edges::list(conn).await?.into_iter();
    Ok(edges.map(|edge| EdgeView::new(edge, now)).collect())
}

async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<Listed>, ApiError> {
    caller.require(PEOPLE)?;
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let edges = views(&mut tx, api.clock.now()).await?;
    Ok(Json(Listed { edges }))
}
