//! `GET /regions` and one of them, with who serves it; `POST` and `PUT`, which [`edit`] does.

mod edit;
pub(super) mod served;

use axum::extract::State;
use liveevents_protocol::id::RegionId;
use liveevents_protocol::version::Version;
use liveevents_service::http::{ApiError, Json, Path};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::Api;
use super::access::{Access, Routes};
use super::edges::{CurrentView, EdgeView, views};
use super::roles::{ADMINS, PEOPLE};
use crate::convergence::GameServers;
use crate::store;
use crate::store::regions::{self, Region};

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(PEOPLE, routes!(list))
        .add(PEOPLE, routes!(show))
        .add(Access::to(ADMINS).once(), routes!(edit::create))
        .add(ADMINS, routes!(edit::edit))
        .add(served::READERS, routes!(served::events))
}

#[derive(Serialize, ToSchema)]
#[schema(as = RegionList)]
struct Listed {
    regions: Vec<View>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Region)]
pub(super) struct View {
    region_id: RegionId,
    display_name: String,
    timezone: String,
    countries: Vec<String>,
    /// The newest version of its log.
    version: Version,
    health: Health,
    /// Those of its live edges.
    game_servers: CurrentView,
    /// Those that replicate it, whatever their home.
    edges: Vec<EdgeView>,
}

/// How well a region is served.
#[derive(Serialize, ToSchema)]
#[schema(as = RegionHealth)]
enum Health {
    /// Every edge that is here is live, and could apply everything.
    Healthy,
    /// Some edges are away, or have something in quarantine.
    Degraded,
    /// No edge is live.
    Unserved,
}

/// Every region, how well it is served, and by which edges.
#[utoipa::path(
    get,
    path = "/regions",
    responses((status = 200, description = "All of them.", body = Listed))
)]
async fn list(State(api): State<Api>) -> Result<Json<Listed>, ApiError> {
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let regions = regions::list(&mut tx).await?;
    let edges = views(&mut tx, api.clock.now()).await?;
    Ok(Json(Listed {
        regions: regions
            .into_iter()
            .map(|region| view(region, &edges))
            .collect(),
    }))
}

/// One region.
#[utoipa::path(
    get,
    path = "/regions/{id}",
    params(("id" = RegionId, Path)),
    responses((status = 200, description = "The region.", body = View))
)]
async fn show(State(api): State<Api>, Path(id): Path<RegionId>) -> Result<Json<View>, ApiError> {
    let mut tx = store::begin_snapshot(&api.pool).await?;
    Ok(Json(shown(&mut tx, &api, &id).await?))
}

/// A region as it is answered.
async fn shown(conn: &mut PgConnection, api: &Api, id: &RegionId) -> Result<View, ApiError> {
    let found = regions::find(conn, id).await?;
    let region = found.ok_or_else(|| ApiError::not_found("region", id))?;
    let edges = views(conn, api.clock.now()).await?;
    Ok(view(region, &edges))
}

fn view(region: Region, edges: &[EdgeView]) -> View {
    let here = edges
        .iter()
        .filter(|edge| edge.replicates(&region.id) && !edge.has_signed_off());
    let edges: Vec<EdgeView> = here.cloned().collect();
    let live = || edges.iter().filter(|edge| edge.is_live());
    let whole = live().filter(|edge| !edge.is_degraded_in(&region.id));
    View {
        health: match live().count() {
            0 => Health::Unserved,
            _ if whole.count() == edges.len() => Health::Healthy,
            _ => Health::Degraded,
        },
        game_servers: live().fold(GameServers::default().into(), |sum: CurrentView, edge| {
            sum + edge.game_servers_in(&region.id)
        }),
        region_id: region.id,
        display_name: region.display_name,
        timezone: region.zone.to_string(),
        countries: region.countries,
        version: region.version,
        edges,
    }
}
