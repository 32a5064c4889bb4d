//! `POST /deployments`: one revision into some regions, at once.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use liveevents_protocol::id::{DeploymentId, EventId, RegionId};
use liveevents_protocol::version::{BasisPoints, Revision};
use liveevents_service::http::{ApiError, Caller, Checks, Json};
use serde::Deserialize;
use sqlx::PgConnection;
use utoipa::ToSchema;
use uuid::Uuid;

use super::judge::judged;
use super::view::DeploymentView;
use super::{segments, share};
use crate::api::life::{self, Move, Settled, exclusive, refuse_overlaps};
use crate::api::once::{Claimed, Once};
use crate::api::record::{NOTHING, record, trace_id};
use crate::api::{Api, commit};
use crate::change::{self, Decision, Edit, Request};
use crate::event::approval::ApprovalStatus;
use crate::event::lifecycle::{Command, State as Life};
use crate::event::record::{Event, Revised};
use crate::event::schedule::Unschedulable;
use crate::rollout::deployment::{Deployment, Status, Step};
use crate::rollout::place::{self, Placement};
use crate::store::regions::Region;
use crate::store::{assignments, course, deployments, region_log, regions, revisions};

const KIND: &str = "Deployment";

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewDeployment {
    event_id: EventId,
    revision: Option<Revision>,
    regions: Vec<RegionId>,
    percentage: Option<f64>,
}

/// Brings one revision of an event into regions.
#[utoipa::path(
    post,
    path = "/deployments",
    responses((status = 201, description = "Created.", body = DeploymentView))
)]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Json(new): Json<NewDeployment>,
) -> Result<Response, ApiError> {
    for region in &new.regions {
        caller.require_region(region)?;
    }
    let meant = judged(&api, &new.event_id, new.revision, api.clock.now()).await?;
    let mut conn = api.acquire().await?;
    check(&mut conn, &new).await?;
    drop(conn);
    let Settled { mut tx, event, now } = life::lock(&api, &new.event_id).await?;
    let claim = match once.claim(&mut tx, now).await? {
        Claimed::Now(claim) => claim,
        Claimed::Before(answer) => return Ok(answer),
    };
    // Again, under the lock that keeps the regions' zones as they are.
    let (regions, percentage) = check(&mut tx, &new).await?;
    let state = match event.state {
        Life::Draft => event.state.on(Command::FirstDeployment)?,
        Life::Scheduled | Life::Active | Life::Paused => event.state,
        Life::Completed | Life::Cancelled => {
            return Err(ApiError::Conflict(format!(
                "event {} is {}",
                event.id, event.state
            )));
        }
    };
    let revised = revision(&mut tx, &api, &event, meant).await?;
    let placement = Placement {
        event: &event.id,
        salt: &event.salt,
        revision: revised.revision,
        percentage,
        bucket_by: &revised.document.bucket_by,
        paused: event.state == Life::Paused,
    };
    let (edits, mut steps) = place(&mut tx, &regions, placement, (&event, &revised), now).await?;
    let regions: Vec<RegionId> = regions.into_iter().map(|region| region.id).collect();
    segments::check(&mut tx, &regions, &revised, now).await?;

    let id = DeploymentId(Uuid::now_v7());
    let decision = Decision {
        kind: KIND,
        actor: caller.subject().to_owned(),
        reason: None,
        event: Some(event.id.clone()),
        deployment: Some(id),
        trace_id: trace_id(),
    };
    let contents = vec![
        revised
            .document
            .to_content(event.id.clone(), revised.revision),
    ];
    let committed = change::commit(
        &mut tx,
        &Request {
            decision,
            edits,
            contents,
        },
    )
    .await?;
    // Regions that served exactly this already have no part in it, and nothing to roll back.
    steps.retain_mut(|step| {
        let version = committed.regions.get(&step.region);
        version.is_some_and(|version| {
            step.version = *version;
            true
        })
    });
    if steps.is_empty() {
        let message = format!(
            "every region serves revision {} so already",
            revised.revision
        );
        return Err(ApiError::Conflict(message));
    }
    let deployment = Deployment {
        id,
        event: event.id.clone(),
        revision: revised.revision,
        regions: new.regions,
        percentage,
        status: Status::Completed,
        change: Some(committed.change),
        created_by: caller.subject().to_owned(),
        created_at: now,
        completed_at: Some(now),
        rolled_back: None,
        steps,
    };
    deployments::insert(&mut tx, &deployment).await?;
    if state != event.state {
        course::set_state(&mut tx, &event.id, state, now).await?;
    }
    let view = DeploymentView::new(deployment);
    let subject = id.to_string();
    record(
        &mut tx,
        &caller,
        ("deployment.create", &subject),
        (NOTHING, Some(&view)),
        now,
    )
    .await?;
    let answer = claim.keep(&mut tx, view.into()).await?;
    commit(tx).await?;
    api.metrics.changed(KIND);
    api.metrics
        .deployed(revised.document.event_type, Status::Completed);
    Ok(answer)
}

/// The regions and the share, or everything that is wrong with the request.
async fn check(
    conn: &mut PgConnection,
    new: &NewDeployment,
) -> Result<(Vec<Region>, BasisPoints), ApiError> {
    let mut checks = Checks::default();
    checks.require(!new.regions.is_empty(), "regions", "must name at least one");
    let percentage = checks.take("percentage", share(new.percentage.unwrap_or(100.0)));
    let known = regions::hold(conn).await?;
    let mut seen = BTreeSet::new();
    for (index, region) in new.regions.iter().enumerate() {
        let field = format!("regions[{index}]");
        if !known.iter().any(|known| known.id == *region) {
            checks.fault(field, format!("there is no region {region}"));
        } else if !seen.insert(region) {
            checks.fault(field, format!("names {region} again"));
        }
    }
    checks.finish()?;
    let regions = known
        .into_iter()
        .filter(|region| seen.contains(&region.id))
        .collect();
    Ok((regions, percentage.unwrap_or_default()))
}

/// The revision asked for, or the newest that may be deployed.
async fn revision(
    conn: &mut PgConnection,
    api: &Api,
    event: &Event,
    asked: Option<Revision>,
) -> Result<Revised, ApiError> {
    let id = &event.id;
    let newest = || async { Ok::<_, ApiError>(event.newest.revision) };
    let revision = match asked {
        Some(revision) => revision,
        None => match revisions::newest_approved(&mut *conn, id).await? {
            Some(revision) => revision,
            None if api.require_approval => {
                return Err(ApiError::Conflict(format!(
                    "no revision of event {id} is approved"
                )));
            }
            None => newest().await?,
        },
    };
    let missing = || ApiError::NotFound(format!("event {id} has no revision {revision}"));
    let revised = revisions::find(conn, id, revision)
        .await?
        .ok_or_else(missing)?;
    if api.require_approval && revised.approval.status() != ApprovalStatus::Approved {
        let status = revised.approval.status();
        let message = format!("revision {revision} of event {id} is {status}, not Approved");
        return Err(ApiError::Conflict(message));
    }
    // Type and times are the event's, not a revision's, from the first deployment on: it shows this revision at its own.
    let (document, newest) = (&revised.document, &event.newest.document);
    let other_times = event.state == Life::Draft && document.timing != newest.timing;
    if other_times || document.event_type != newest.event_type {
        let message = format!(
            "revision {revision} of event {id} has other times or another type than the newest, {}",
            event.newest.revision
        );
        return Err(ApiError::Conflict(message));
    }
    Ok(revised)
}

/// What becomes of each region's assignment. The regions' heads are locked first, so that nobody changes
/// an assignment between its reading and its writing.
async fn place(
    conn: &mut PgConnection,
    regions: &[Region],
    placement: Placement<'_>,
    (event, revised): (&Event, &Revised),
    now: Timestamp,
) -> Result<(BTreeMap<RegionId, Vec<Edit>>, Vec<Step>), ApiError> {
    let ids: Vec<RegionId> = regions.iter().map(|region| region.id.clone()).collect();
    let heads = region_log::lock(conn, &ids).await?.heads;
    let served = assignments::of_event(&mut *conn, placement.event).await?;
    let (mut edits, mut steps) = (BTreeMap::new(), Vec::new());
    for region in regions {
        let before = served.get(&region.id);
        let after = place::deploy(placement, before, || {
            let schedule = event.times().expand(&region.zone, now)?.schedule;
            if schedule.occurrences().is_empty() {
                return Err(Refused::Over);
            }
            Ok(schedule)
        });
        let after = after.map_err(|refused| refused.into_error(placement.event, &region.id))?;
        edits.insert(region.id.clone(), vec![Edit::Put(after.clone())]);
        steps.push(Step {
            region: region.id.clone(),
            before: before.cloned(),
            after,
            version: heads
                .get(&region.id)
                .map(|(version, _)| *version)
                .unwrap_or_default(),
        });
    }
    let own = [(revised.revision, exclusive(&revised.document))];
    let moves = steps.iter().map(|step| Move {
        region: &step.region,
        before: step.before.as_ref(),
        after: &step.after,
    });
    refuse_overlaps(conn, placement.event, moves, &own, now).await?;
    Ok((edits, steps))
}

/// Why a region cannot have the event.
enum Refused {
    Over,
    Unschedulable(Unschedulable),
}

impl From<Unschedulable> for Refused {
    fn from(error: Unschedulable) -> Self {
        Self::Unschedulable(error)
    }
}

impl Refused {
    fn into_error(self, event: &EventId, region: &RegionId) -> ApiError {
        match self {
            Self::Over => {
                ApiError::Conflict(format!("nothing of event {event} lies ahead in {region}"))
            }
            Self::Unschedulable(error) => ApiError::Conflict(format!(
                "event {event} cannot be scheduled in {region}: {error}"
            )),
        }
    }
}
