//! Deployments: made, listed, rolled back.

mod create;
mod judge;
pub(super) mod rollback;
mod segments;
pub(super) mod view;

use axum::extract::State;
use liveevents_protocol::id::{DeploymentId, EventId, RegionId};
use liveevents_protocol::version::BasisPoints;
use liveevents_service::http::{ApiError, Checks, Json, Path, Query};
use serde::{Deserialize, Serialize};

use super::Api;
use super::access::{Access, Routes};
use super::page::page;
use super::roles::{OPERATORS, PEOPLE};
use crate::quotas::Limit;
use crate::rollout::deployment::Status;
use crate::store::{self, deployments};

use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;
use view::DeploymentView;

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(PEOPLE, routes!(list))
        .add(PEOPLE, routes!(show))
        .add(
            Access::to(OPERATORS).limited(Limit::Deployments).once(),
            routes!(create::create),
        )
        .add(OPERATORS, routes!(rollback::roll_back))
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    event_id: Option<EventId>,
    region: Option<RegionId>,
    #[param(value_type = Option<Status>)]
    status: Option<String>,
    limit: Option<u32>,
    offset: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = DeploymentList)]
struct Listed {
    deployments: Vec<DeploymentView>,
    total: u64,
    limit: u32,
    offset: u32,
}

/// Deployments, newest first.
#[utoipa::path(
    get,
    path = "/deployments",
    params(Filter),
    responses((status = 200, description = "A page.", body = Listed))
)]
async fn list(
    State(api): State<Api>,
    Query(asked): Query<Filter>,
) -> Result<Json<Listed>, ApiError> {
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

/// One deployment.
#[utoipa::path(
    get,
    path = "/deployments/{id}",
    params(("id" = DeploymentId, Path)),
    responses((status = 200, description = "The deployment.", body = DeploymentView))
)]
async fn show(
    State(api): State<Api>,
    Path(id): Path<DeploymentId>,
) -> Result<Json<DeploymentView>, ApiError> {
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
