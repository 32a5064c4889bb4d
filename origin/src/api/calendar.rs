//! `GET /calendar`: what is shown when and where, what overlaps, and what was deployed, as JSON or iCalendar.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::id::RegionId;
use liveevents_protocol::model::Assignment;
use liveevents_service::http::{ApiError, Checks, Json, Query};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::Api;
use super::access::Routes;
use super::deployments::view::DeploymentView;
use super::roles::PEOPLE;
use crate::calendar::{self, Entry, Overlap, Stretch, ics};
use crate::event::record::Event;
use crate::event::schedule::Unschedulable;
use crate::limits::{CALENDAR_DAYS, MAX_CALENDAR, MAX_CALENDAR_DAYS, MAX_OVERLAPS};
use crate::rollout::deployment::Deployment;
use crate::store;
use crate::store::{assignments, deployments, events, regions};

pub(super) fn routes() -> Routes {
    Routes::new().add(PEOPLE, routes!(show))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    region: Option<RegionId>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    #[param(inline, value_type = Option<Format>)]
    format: Option<String>,
    /// Whether drafts are told too, as planned.
    drafts: Option<bool>,
}

#[derive(Serialize, ToSchema)]
struct Calendar {
    from: Timestamp,
    to: Timestamp,
    occurrences: Vec<Entry>,
    overlaps: Vec<Overlap>,
    deployments: Vec<DeploymentView>,
}

#[derive(ToSchema)]
#[schema(as = CalendarFormat, rename_all = "lowercase")]
enum Format {
    Json,
    Ics,
}

/// What is shown when and where, what overlaps, and what was deployed.
#[utoipa::path(
    get,
    path = "/calendar",
    params(Asked),
    responses((status = 200, description = "From `from` to `to`, a month from now if nothing is said.", content((Calendar = "application/json"), (String = "text/calendar"))))
)]
async fn show(State(api): State<Api>, Query(asked): Query<Asked>) -> Result<Response, ApiError> {
    let now = api.clock.now();
    let mut checks = Checks::default();
    let format = match asked.format.as_deref() {
        None | Some("json") => Some(Format::Json),
        Some("ics") => Some(Format::Ics),
        Some(_) => None,
    };
    checks.require(format.is_some(), "format", "must be json or ics");
    let stretch = stretch(&asked, now, &mut checks);
    let mut tx = store::begin_snapshot(&api.pool).await?;
    if let Some(region) = &asked.region {
        let known = regions::find(&mut tx, region).await?.is_some();
        checks.require(known, "region", format!("there is no region {region}"));
    }
    checks.finish()?;
    let read = read(&mut tx, &asked, stretch).await?;
    drop(tx);
    // Rules are followed for as long as the stretch is.
    let (mut occurrences, deployments) = tokio::task::spawn_blocking(move || read.entries(stretch))
        .await
        .map_err(ApiError::internal)??;
    calendar::sort(&mut occurrences);
    if let Some(Format::Ics) = format {
        let installation = api.issuer.installation().as_str();
        let text = ics::write(installation, &occurrences, &deployments, now);
        let kind = [(header::CONTENT_TYPE, "text/calendar; charset=utf-8")];
        return Ok((kind, text).into_response());
    }
    Ok(Json(Calendar {
        from: stretch.from,
        to: stretch.to,
        overlaps: calendar::overlaps(&occurrences, MAX_OVERLAPS),
        occurrences,
        deployments: deployments.into_iter().map(DeploymentView::new).collect(),
    })
    .into_response())
}

/// From when to when: from now on, and for a month, if nothing is said.
fn stretch(asked: &Asked, now: Timestamp, checks: &mut Checks) -> Stretch {
    let days = |days: i64| SignedDuration::from_hours(24 * days);
    let later = |at: Timestamp, span| at.checked_add(span).unwrap_or(Timestamp::MAX);
    let from = asked.from.unwrap_or(now);
    let to = asked.to.unwrap_or_else(|| later(from, days(CALENDAR_DAYS)));
    checks.require(from < to, "to", "must be later than from");
    let most = later(from, days(MAX_CALENDAR_DAYS));
    let message = format!("must be at most {MAX_CALENDAR_DAYS} days after from");
    checks.require(to <= most, "to", message);
    Stretch { from, to }
}

/// What a calendar is computed from.
struct Read {
    regions: Vec<regions::Region>,
    assigned: Vec<Assigned>,
    drafts: Vec<Event>,
    deployments: Vec<Deployment>,
}

/// An event and what each region holds of it.
type Assigned = (Event, BTreeMap<RegionId, Assignment>);

async fn read(conn: &mut PgConnection, asked: &Asked, stretch: Stretch) -> Result<Read, ApiError> {
    let region = asked.region.as_ref();
    let mut regions = regions::list(conn).await?;
    regions.retain(|known| region.is_none_or(|region| known.id == *region));
    let ids = store::calendar::assigned(conn, region).await?;
    let mut held = assignments::of_events(conn, &ids).await?;
    let assigned = events::of_ids(conn, &ids).await?.into_iter();
    let assigned = assigned.map(|event| {
        let held = held.remove(&event.id).unwrap_or_default();
        (event, held)
    });
    let assigned = assigned.collect();
    let bounds = (stretch.from, stretch.to);
    let at_most = i64::try_from(MAX_CALENDAR).unwrap_or(i64::MAX) + 1;
    let drafts = if asked.drafts == Some(true) {
        let ids = store::calendar::drafts(conn, bounds, at_most).await?;
        events::of_ids(conn, &ids).await?
    } else {
        Vec::new()
    };
    let ids = store::calendar::deployments(conn, region, bounds, at_most).await?;
    if ids.len() > MAX_CALENDAR {
        return Err(too_many());
    }
    Ok(Read {
        regions,
        assigned,
        drafts,
        deployments: deployments::of_ids(conn, &ids).await?,
    })
}

impl Read {
    fn entries(self, stretch: Stretch) -> Result<(Vec<Entry>, Vec<Deployment>), ApiError> {
        let mut entries = Vec::new();
        for (event, held) in &self.assigned {
            for region in &self.regions {
                let Some(assignment) = held.get(&region.id) else {
                    continue;
                };
                let place = (&region.id, &region.zone);
                let more = calendar::assigned(event, place, assignment, stretch);
                take(&mut entries, more)?;
            }
        }
        for draft in &self.drafts {
            let zone = &draft.newest.document.timing.zone;
            take(&mut entries, calendar::planned(draft, zone, stretch))?;
        }
        Ok((entries, self.deployments))
    }
}

fn take(entries: &mut Vec<Entry>, more: Result<Vec<Entry>, Unschedulable>) -> Result<(), ApiError> {
    // Whatever was accepted can be followed, but for times beyond the last year.
    entries.extend(more.map_err(|error| ApiError::field("to", error.to_string()))?);
    if entries.len() > MAX_CALENDAR {
        return Err(too_many());
    }
    Ok(())
}

fn too_many() -> ApiError {
    let message =
        format!("must be nearer to from, or a region named: there are over {MAX_CALENDAR}");
    ApiError::field("to", message)
}
