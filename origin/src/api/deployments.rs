//! Deployments: made, listed, rolled back.

mod create;
mod judge;
mod rollback;
pub(super) mod view;

use axum::Router;
use axum::extract::State;
use axum::routing::{get, post};
use liveevents_protocol::id::{DeploymentId, EventId, RegionId};
use liveevents_protocol::version::BasisPoints;
use liveevents_service::http::{ApiError, Caller, Checks, Json, Path, Query};
use serde::{Deserialize, Serialize};

use super::Api;
use super::page::page;
use super::roles::PEOPLE;
use crate::rollout::deployment::Status;
use crate::store::{self, deployments};

use view::DeploymentView;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/deployments", get(list).post(create::create))
        .route("/deployments/{id}", get(show))
        .route("/deployments/{id}/rollback", post(rollback::roll_back))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Filter {
    event_id: Option<EventId>,
    region: Option<RegionId>,
    status: Option<String>,
    limit: Option<u32>,
    offset: Option<u32>,
}

#[derive(Serialize)]
struct Listed {
    deployments: Vec<DeploymentView>,
    total: u64,
    limit: u32,
    offset: u32,
}

async fn list(
    State(api): State<Api>,
    caller: Caller,
    Query(asked): Query<Filter>,
) -> Result<Json<Listed>, ApiError> {
    caller.require(PEOPLE)?;
    let mut checks = Checks::default();
    let page = page(asked.limit, asked.offset, &mut checks);
    let status = asked
        .status
        .and_then(|text| checks.take("status", text.parse::<Status>()));
    checks.finish()?;
    let filter = deployments::Filter {
        event: asked.event_id,
        status,
        region: asked.region,
    };
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let found = deployments::list(&mut tx, &filter, page).await?;
    Ok(Json(Listed {
        deployments: found.items.into_iter().map(DeploymentView::new).collect(),
        total: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}

async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<DeploymentId>,
) -> Result<Json<DeploymentView>, ApiError> {
    caller.require(PEOPLE)?;
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let found = deployments::find(&mut tx, id).await?;
    let found = found.ok_or_else(|| ApiError::not_found("deployment", &id))?;
    Ok(Json(DeploymentView::new(found)))
}

/// A share as people say it: 0 to 100, two decimals.
pub(super) fn percent(share: BasisPoints) -> f64 {
    f64::from(share.value()) / 100.0
}

/// A share as people say it, or what is wrong with it.
fn share(percent: f64) -> Result<BasisPoints, &'static str> {
    let points = percent * 100.0;
    let whole = points.round();
    // 0.07 is not exactly 7 hundredths in binary; a third decimal is much further off.
    if !(0.0..=10_000.0).contains(&whole) || (points - whole).abs() > 1e-6 {
        return Err("must be 0 to 100 with at most two decimals");
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 to 10,000"
    )]
    let points = whole as u16;
    BasisPoints::new(points).map_err(|_| "must be 0 to 100 with at most two decimals")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hundredth_of_a_percent_is_a_share_and_nothing_between() {
        for points in 0..=10_000 {
            let points = BasisPoints::new(points).unwrap();
            assert_eq!(share(percent(points)), Ok(points));
        }
        for bad in [-0.01, 100.01, 0.005, 33.333, f64::NAN, f64::INFINITY] {
            assert!(share(bad).is_err(), "{bad}");
        }
        assert_eq!(share(0.07), BasisPoints::new(7).map_err(|_| ""));
    }
}
