//! `GET /edges`, and what operators tell edges: `POST /edges/{id}/drain`, `DELETE /edges/{id}`.
//!
//! An order is kept in the database and carried out by the replica that has the edge's connection, whichever took
//! the request.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use liveevents_protocol::entry::EntryKey;
use liveevents_protocol::frame::DRAIN;
use liveevents_protocol::id::{EdgeId, EventId, RegionId, SegmentId};
use liveevents_protocol::version::{Epoch, Revision, Version};
use liveevents_service::http::{ApiError, Caller, Json, Path};
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::access::Routes;
use super::record::{NOTHING, record};
use super::roles::{OPERATORS, PEOPLE};
use super::{Api, commit};
use crate::convergence::{GameServers, Presence, Quarantined, presence};
use crate::store::edges::Standing;
use crate::store::{self, StoreError, edges, erasures};

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(PEOPLE, routes!(list))
        .add(OPERATORS, routes!(forget))
        .add(OPERATORS, routes!(drain))
}

#[derive(Serialize, ToSchema)]
#[schema(as = EdgeList)]
struct Listed {
    edges: Vec<EdgeView>,
}

/// An edge as an answer.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Edge)]
pub(super) struct EdgeView {
    edge_id: EdgeId,
    region: RegionId,
    regions: Vec<RegionId>,
    address: String,
    build: Option<String>,
    live: bool,
    connected: bool,
    connected_at: Timestamp,
    last_seen: Timestamp,
    signed_off_at: Option<Timestamp>,
    draining: bool,
    /// Its clock minus the origin's, estimated from heartbeats.
    clock_offset_milliseconds: Option<f64>,
    positions: Vec<PositionView>,
    game_servers: BTreeMap<RegionId, ServedView>,
    degraded: Vec<DegradedView>,
}

/// Where it stands in one region.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EdgePosition)]
struct PositionView {
    region: RegionId,
    epoch: Epoch,
    version: Version,
    /// Versions that it lacks.
    behind: u64,
    /// For how long it has lacked the first of them; none if the log no longer knows.
    lag_seconds: Option<f64>,
    acked_at: Timestamp,
}

/// Its game servers in one region.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GameServersOfEdge)]
struct ServedView {
    #[serde(flatten)]
    counts: CurrentView,
    reported_at: Timestamp,
}

/// How many game servers have a region's newest version.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[schema(as = CurrentGameServers)]
pub(super) struct CurrentView {
    /// Have applied it.
    current: u64,
    /// Have it, and will apply it when a match has ended.
    deferred: u64,
    of: u64,
}

#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Degraded)]
struct DegradedView {
    region: RegionId,
    #[serde(flatten)]
    entry: QuarantinedView,
}

/// An entry that an edge cannot apply.
#[derive(Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Quarantined)]
pub(super) struct QuarantinedView {
    edge_id: EdgeId,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<EventId>,
    /// In place of an event, if it is a segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    segment_id: Option<SegmentId>,
    /// Of a content; none for an assignment.
    revision: Option<Revision>,
    version: Version,
    reason: String,
    since: Timestamp,
}

impl From<Quarantined> for QuarantinedView {
    fn from(quarantined: Quarantined) -> Self {
        Self {
            edge_id: quarantined.edge,
            event_id: quarantined.key.event().cloned(),
            segment_id: match &quarantined.key {
                EntryKey::Segment(segment) => Some(segment.clone()),
                EntryKey::Content(..) | EntryKey::Assignment(_) => None,
            },
            revision: match quarantined.key {
                EntryKey::Content(_, revision) => Some(revision),
                EntryKey::Segment(_) | EntryKey::Assignment(_) => None,
            },
            version: quarantined.version,
            reason: quarantined.reason,
            since: quarantined.since,
        }
    }
}

impl From<GameServers> for CurrentView {
    fn from(counts: GameServers) -> Self {
        Self {
            current: counts.applied,
            deferred: counts.deferred,
            of: counts.connected,
        }
    }
}

impl std::ops::Add for CurrentView {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            current: self.current.saturating_add(other.current),
            deferred: self.deferred.saturating_add(other.deferred),
            of: self.of.saturating_add(other.of),
        }
    }
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

    /// Whether there is something of the region that it cannot apply.
    pub(super) fn is_degraded_in(&self, region: &RegionId) -> bool {
        self.degraded.iter().any(|entry| entry.region == *region)
    }

    pub(super) fn game_servers_in(&self, region: &RegionId) -> CurrentView {
        let served = self.game_servers.get(region);
        served.map_or_else(|| GameServers::default().into(), |served| served.counts)
    }

    fn new(edge: edges::Edge, now: Timestamp) -> Self {
        let here = presence(edge.last_seen, edge.signed_off_at.is_some(), now);
        let lag = |position: &edges::Position| match position.behind {
            0 => Some(0.0),
            _ => {
                let since = position.lacking_since?;
                Some(now.duration_since(since).as_secs_f64().max(0.0))
            }
        };
        Self {
            live: here == Presence::Live,
            edge_id: edge.id,
            region: edge.region,
            regions: edge.regions,
            address: edge.address,
            build: edge.build,
            connected: edge.connected,
            connected_at: edge.connected_at,
            last_seen: edge.last_seen,
            signed_off_at: edge.signed_off_at,
            draining: edge.draining,
            clock_offset_milliseconds: edge.clock_offset.map(|by| by.as_secs_f64() * 1000.0),
            positions: edge
                .positions
                .into_iter()
                .map(|position| PositionView {
                    lag_seconds: lag(&position),
                    behind: position.behind,
                    region: position.region,
                    epoch: position.epoch,
                    version: position.version,
                    acked_at: position.acked_at,
                })
                .collect(),
            game_servers: edge
                .game_servers
                .into_iter()
                .map(|served| {
                    let view = ServedView {
                        counts: served.of_newest.into(),
                        reported_at: served.reported_at,
                    };
                    (served.region, view)
                })
                .collect(),
            degraded: edge
                .degraded
                .into_iter()
                .map(|(region, entry)| DegradedView {
                    region,
                    entry: entry.into(),
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

/// Every edge and where it stands.
#[utoipa::path(
    get,
    path = "/edges",
    responses((status = 200, description = "All of them.", body = Listed))
)]
async fn list(State(api): State<Api>) -> Result<Json<Listed>, ApiError> {
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let edges = views(&mut tx, api.clock.now()).await?;
    Ok(Json(Listed { edges }))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Draining {
    edge_id: EdgeId,
    draining: bool,
}

/// Has an edge send its game servers elsewhere.
#[utoipa::path(
    post,
    path = "/edges/{id}/drain",
    params(("id" = EdgeId, Path)),
    responses((status = 200, description = "It is told.", body = Draining))
)]
async fn drain(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<EdgeId>,
) -> Result<Json<Draining>, ApiError> {
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let edge = lock(&mut tx, &id).await?;
    if !is_here(&edge, now) {
        return Err(ApiError::Conflict(format!("edge {id} is not connected")));
    }
    if !edge
        .capabilities
        .iter()
        .any(|capability| capability == DRAIN)
    {
        let message =
            format!("edge {id} is of a release that cannot be told to drain; end its process");
        return Err(ApiError::Conflict(message));
    }
    if !edge.draining {
        edges::drain(&mut tx, &id).await?;
        let states = (NOTHING, Some(json!({ "draining": true })));
        record(&mut tx, &caller, ("edge.drain", id.as_str()), states, now).await?;
        commit(tx).await?;
    }
    Ok(Json(Draining {
        edge_id: id,
        draining: true,
    }))
}

/// Forgets an edge that will not return.
#[utoipa::path(
    delete,
    path = "/edges/{id}",
    params(("id" = EdgeId, Path)),
    responses((status = 204, description = "Gone."))
)]
async fn forget(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<EdgeId>,
) -> Result<StatusCode, ApiError> {
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let edge = lock(&mut tx, &id).await?;
    if is_here(&edge, now) {
        let message =
            format!("edge {id} is connected; only one that will not return can be forgotten");
        return Err(ApiError::Conflict(message));
    }
    edges::forget(&mut tx, &id).await?;
    erasures::drop_edge(&mut tx, &id, now).await?;
    let before = json!({ "lastSeen": edge.last_seen });
    let states = (Some(before), NOTHING);
    record(&mut tx, &caller, ("edge.forget", id.as_str()), states, now).await?;
    commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn lock(conn: &mut PgConnection, id: &EdgeId) -> Result<Standing, ApiError> {
    let edge = edges::lock(conn, id).await?;
    edge.ok_or_else(|| ApiError::not_found("edge", id))
}

/// Whether it has a connection that is alive. An origin that was killed leaves edges behind as connected.
fn is_here(edge: &Standing, now: Timestamp) -> bool {
    edge.connected && presence(edge.last_seen, edge.signed_off, now) == Presence::Live
}
