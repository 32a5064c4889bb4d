//! `POST /regions` and `PUT /regions/{id}`: configuration, so for admins alone.
//!
//! A new region has an empty log: edges that enrol for it are served at once, by every origin. A region's zone cannot be
//! changed while events are scheduled there by its wall clock, since what game servers hold was computed by it; the lock
//! on the region's row is what deployments hold while they compute.

use axum::extract::State;
use axum::response::Response;
use liveevents_protocol::id::RegionId;
use liveevents_service::http::{ApiError, Caller, Json, Path};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{View, shown};
use crate::api::once::{Claimed, Once};
use crate::api::record::{NOTHING, record};
use crate::api::{Api, commit};
use crate::event::fault::Faults;
use crate::limits::MAX_REGIONS;
use crate::region::{Description, Fields};
use crate::store::regions::{self, ID_IS_TAKEN};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::api) struct NewRegion {
    region_id: Option<String>,
    display_name: Option<String>,
    timezone: Option<String>,
    countries: Option<Vec<String>>,
}

/// Makes a region.
#[utoipa::path(
    post,
    path = "/regions",
    responses((status = 201, description = "Created.", body = View))
)]
pub(in crate::api) async fn create(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Json(new): Json<NewRegion>,
) -> Result<Response, ApiError> {
    let mut faults = Faults::default();
    let id = faults.require("regionId", new.region_id.as_deref());
    let id = id.and_then(|id| faults.take("regionId", RegionId::new(id)));
    let fields = Fields {
        display_name: new.display_name,
        timezone: new.timezone,
        countries: new.countries,
    };
    let (id, region) = match (id, Description::new(&fields)) {
        (Some(id), Ok(region)) => (id, region),
        (_, described) => return Err(faults.and(described.err().unwrap_or_default()).into()),
    };
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let claim = match once.claim(&mut tx, now).await? {
        Claimed::Now(claim) => claim,
        Claimed::Before(answer) => return Ok(answer),
    };
    let many = match regions::insert(&mut tx, &id, &region).await {
        Err(error) if error.violates(ID_IS_TAKEN) => {
            return Err(ApiError::Conflict(format!(
                "there is a region {id} already"
            )));
        }
        many => many?,
    };
    if many > MAX_REGIONS as u64 {
        let message = format!("there are {MAX_REGIONS} regions already, as many as there may be");
        return Err(ApiError::Conflict(message));
    }
    let deed = ("region.create", id.as_str());
    record(&mut tx, &caller, deed, (NOTHING, Some(&region)), now).await?;
    let view = shown(&mut tx, &api, &id).await?;
    let answer = claim.keep(&mut tx, view.into()).await?;
    commit(tx).await?;
    Ok(answer)
}

/// Corrects a region.
#[utoipa::path(
    put,
    path = "/regions/{id}",
    params(("id" = RegionId, Path)),
    responses((status = 200, description = "As it is now.", body = View))
)]
pub(in crate::api) async fn edit(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<RegionId>,
    Json(fields): Json<Fields>,
) -> Result<Json<View>, ApiError> {
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let found = regions::lock(&mut tx, &id).await?;
    let found = found.ok_or_else(|| ApiError::not_found("region", &id))?;
    let before = Description {
        display_name: found.display_name,
        timezone: found.zone,
        countries: found.countries,
    };
    let after = before.edited(&fields)?;
    if after.timezone != before.timezone {
        let held = regions::scheduled_by_its_clock(&mut tx, &id).await?;
        if !held.is_empty() {
            let held = held.join(", ");
            return Err(ApiError::Conflict(format!(
                "events are scheduled by the wall clock of {id}: {held}; its zone can change when they are over"
            )));
        }
    }
    if after != before {
        regions::update(&mut tx, &id, &after).await?;
        let deed = ("region.edit", id.as_str());
        record(&mut tx, &caller, deed, (Some(&before), Some(&after)), now).await?;
    }
    let view = shown(&mut tx, &api, &id).await?;
    commit(tx).await?;
    Ok(Json(view))
}
