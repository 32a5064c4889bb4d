//! `POST /events/{id}/activate`, `/deactivate`, `/pause`, `/resume` and `/cancel`: the life of an event, by hand.
//!
//! Each is one change in all regions that hold an assignment. What is due by the database's time is applied first, so a
//! command is judged by what the event is, and not by what somebody has noted so far.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::HeaderMap;
use jiff::Timestamp;
use liveevents_protocol::id::{ChangeId, EventId, RegionId};
use liveevents_protocol::model::Assignment;
use liveevents_protocol::schedule::Schedule;
use liveevents_protocol::version::Version;
use liveevents_service::http::{ApiError, Caller, Json, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{Postgres, Transaction};
use utoipa::ToSchema;

use super::view::EventView;
use super::{answer, find};
use crate::api::changes::check_reason;
use crate::api::life::{self, Move, Settled, refuse_overlaps};
use crate::api::record::{record, trace_id};
use crate::api::{Api, commit};
use crate::change::{self, Decision, Edit, Request};
use crate::event::document::Document;
use crate::event::extend::ended;
use crate::event::lifecycle::{Command, State as Life};
use crate::event::record::Event;
use crate::event::times::Times;
use crate::event::timing::{Window, second_of};
use crate::event::wall_clock::Zone;
use crate::rollout::place::{set_paused, set_schedule};
use crate::store::course::Course;
use crate::store::{assignments, course, deployments, region_log, regions};

#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = LifecycleReason)]
pub(super) struct Why {
    reason: Option<String>,
}

/// What a command has made of an event.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Commanded {
    change_id: ChangeId,
    /// The version that each region has reached by it.
    regions: BTreeMap<RegionId, Version>,
    event: EventView,
}

pub(super) type Answer = Result<(HeaderMap, Json<Commanded>), ApiError>;

/// Starts a Scheduled event now.
#[utoipa::path(
    post,
    path = "/events/{id}/activate",
    params(("id" = EventId, Path)),
    responses((status = 200, description = "The change.", body = Commanded, headers(("ETag" = String, description = "The revision's entity tag."))))
)]
pub(super) async fn activate(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<EventId>,
    why: Option<Json<Why>>,
) -> Answer {
    carry_out(&api, &caller, &id, why, Command::Activate).await
}

/// Ends an event now.
#[utoipa::path(
    post,
    path = "/events/{id}/deactivate",
    params(("id" = EventId, Path)),
    responses((status = 200, description = "The change.", body = Commanded, headers(("ETag" = String, description = "The revision's entity tag."))))
)]
pub(super) async fn deactivate(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<EventId>,
    why: Option<Json<Why>>,
) -> Answer {
    carry_out(&api, &caller, &id, why, Command::Deactivate).await
}

/// Shows it to nobody for now.
#[utoipa::path(
    post,
    path = "/events/{id}/pause",
    params(("id" = EventId, Path)),
    responses((status = 200, description = "The change.", body = Commanded, headers(("ETag" = String, description = "The revision's entity tag."))))
)]
pub(super) async fn pause(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<EventId>,
    why: Option<Json<Why>>,
) -> Answer {
    carry_out(&api, &caller, &id, why, Command::Pause).await
}

/// Shows it again.
#[utoipa::path(
    post,
    path = "/events/{id}/resume",
    params(("id" = EventId, Path)),
    responses((status = 200, description = "The change.", body = Commanded, headers(("ETag" = String, description = "The revision's entity tag."))))
)]
pub(super) async fn resume(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<EventId>,
    why: Option<Json<Why>>,
) -> Answer {
    carry_out(&api, &caller, &id, why, Command::Resume).await
}

/// Calls it off.
#[utoipa::path(
    post,
    path = "/events/{id}/cancel",
    params(("id" = EventId, Path)),
    responses((status = 200, description = "The change.", body = Commanded, headers(("ETag" = String, description = "The revision's entity tag."))))
)]
pub(super) async fn cancel(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<EventId>,
    why: Option<Json<Why>>,
) -> Answer {
    carry_out(&api, &caller, &id, why, Command::Cancel).await
}

/// How a command is named in changes and in the audit log.
fn names(command: Command) -> (&'static str, &'static str) {
    match command {
        Command::Activate => ("Activation", "event.activate"),
        Command::Deactivate => ("Deactivation", "event.deactivate"),
        Command::Pause => ("Pause", "event.pause"),
        Command::Resume => ("Unpause", "event.resume"),
        Command::Cancel => ("Cancellation", "event.cancel"),
        Command::Extend => ("Extension", "event.extend"),
        Command::FirstDeployment | Command::FirstOpening | Command::LastClosing => {
            ("Lifecycle", "event.lifecycle")
        }
    }
}

async fn carry_out(
    api: &Api,
    caller: &Caller,
    id: &EventId,
    why: Option<Json<Why>>,
    command: Command,
) -> Answer {
    let reason = why.and_then(|Json(why)| why.reason);
    check_reason(reason.as_deref())?;
    let ends = matches!(command, Command::Deactivate | Command::Cancel);
    if ends
        && reason
            .as_deref()
            .is_none_or(|reason| reason.trim().is_empty())
    {
        return Err(ApiError::field(
            "reason",
            "must be given, since this ends the event",
        ));
    }
    let mut scene = Scene::begin(api, caller, id, ends).await?;
    let to = scene
        .event
        .state
        .on(command)
        .map_err(|conflict| ApiError::Conflict(format!("event {id}: {conflict}")))?;
    let (event, now) = (&scene.event, scene.now);
    let mut edits: BTreeMap<RegionId, Edit> = BTreeMap::new();
    match command {
        Command::Activate => {
            let (document, activated) = activated(event, now)?;
            let times = Times {
                timing: &document.timing,
                activated: Some(activated),
            };
            let schedules = scene.expand(times)?;
            edits = scene.reschedule(schedules).await?;
            scene
                .set_course(to, &document, Some(activated), None)
                .await?;
        }
        Command::Pause | Command::Resume => {
            let paused = command == Command::Pause;
            for (region, assignment) in &scene.served {
                edits.insert(region.clone(), Edit::Put(set_paused(assignment, paused)));
            }
            course::set_state(&mut scene.tx, id, to, now).await?;
        }
        _ => {
            for region in scene.served.keys() {
                edits.insert(region.clone(), Edit::Remove(id.clone()));
            }
            let document = match event.state {
                // Called off before it began: what was announced stays to be seen.
                Life::Scheduled => event.newest.document.clone(),
                _ => ended(&event.newest.document, now),
            };
            let activated = event.activated_at;
            scene
                .set_course(to, &document, activated, Some(now))
                .await?;
        }
    }
    scene.finish(api, caller, command, reason, edits).await
}

/// The event with the start that an activation gives it, and the moment: the second that has begun, since events start
/// on the second.
fn activated(event: &Event, now: Timestamp) -> Result<(Document, Timestamp), ApiError> {
    let mut document = event.newest.document.clone();
    let activated = second_of(now);
    if document.timing.recurrence.is_none()
        && let Window::Absolute { start, end } = &mut document.timing.window
    {
        if *end <= now {
            let message = format!("nothing of event {} lies ahead; extend it first", event.id);
            return Err(ApiError::Conflict(message));
        }
        *start = activated.min(*start);
        document.bounds.0 = *start;
    }
    Ok((document, activated))
}

/// An event in the hands of a command: its row and the heads of its regions are locked, and nothing of it is due.
pub(super) struct Scene {
    pub(super) tx: Transaction<'static, Postgres>,
    pub(super) event: Event,
    pub(super) now: Timestamp,
    pub(super) zones: BTreeMap<RegionId, Zone>,
    pub(super) served: BTreeMap<RegionId, Assignment>,
}

impl Scene {
    /// `ends` is whether the event's deployments are to end with it.
    pub(super) async fn begin(
        api: &Api,
        caller: &Caller,
        id: &EventId,
        ends: bool,
    ) -> Result<Self, ApiError> {
        let Settled { mut tx, event, now } = life::lock(api, id).await?;
        // In which regions there is an assignment changes only under the event's lock; the rest may by a stop.
        let served = assignments::of_event(&mut tx, id).await?;
        for region in served.keys() {
            caller.require_region(region)?;
        }
        if ends {
            deployments::end(&mut tx, &[id]).await?;
        }
        let concerned: Vec<RegionId> = served.into_keys().collect();
        region_log::lock(&mut tx, &concerned).await?;
        let served = assignments::of_event(&mut tx, id).await?;
        let zones = regions::list(&mut tx).await?.into_iter();
        Ok(Self {
            tx,
            event,
            now,
            zones: zones.map(|region| (region.id, region.zone)).collect(),
            served,
        })
    }

    /// What each region shows at some times.
    fn expand(&self, times: Times<'_>) -> Result<BTreeMap<RegionId, Schedule>, ApiError> {
        let mut schedules = BTreeMap::new();
        for region in self.served.keys() {
            let Some(zone) = self.zones.get(region) else {
                continue;
            };
            let expansion = times.expand(zone, self.now).map_err(|error| {
                let id = &self.event.id;
                ApiError::Conflict(format!(
                    "event {id} cannot be scheduled in {region}: {error}"
                ))
            })?;
            schedules.insert(region.clone(), expansion.schedule);
        }
        Ok(schedules)
    }

    /// Edits that give regions these schedules, unless that would show the event beside another of its category.
    pub(super) async fn reschedule(
        &mut self,
        mut schedules: BTreeMap<RegionId, Schedule>,
    ) -> Result<BTreeMap<RegionId, Edit>, ApiError> {
        let mut afters = BTreeMap::new();
        for (region, assignment) in &self.served {
            if let Some(schedule) = schedules.remove(region) {
                afters.insert(region.clone(), set_schedule(assignment, schedule));
            }
        }
        let moves = afters.iter().map(|(region, after)| Move {
            region,
            before: self.served.get(region),
            after,
        });
        refuse_overlaps(&mut self.tx, &self.event.id, moves, &[], self.now).await?;
        Ok(afters
            .into_iter()
            .map(|(region, after)| (region, Edit::Put(after)))
            .collect())
    }

    pub(super) async fn set_course(
        &mut self,
        state: Life,
        document: &Document,
        activated_at: Option<Timestamp>,
        ended_at: Option<Timestamp>,
    ) -> Result<(), ApiError> {
        let course = Course {
            state,
            document,
            activated_at,
            ended_at,
        };
        course::set_course(&mut self.tx, &self.event.id, course, self.now).await?;
        Ok(())
    }

    /// Makes the change, records it and answers.
    pub(super) async fn finish(
        mut self,
        api: &Api,
        caller: &Caller,
        command: Command,
        reason: Option<String>,
        edits: BTreeMap<RegionId, Edit>,
    ) -> Answer {
        let id = &self.event.id;
        let (kind, action) = names(command);
        let decision = Decision {
            kind,
            actor: caller.subject().to_owned(),
            reason: reason.clone(),
            event: Some(id.clone()),
            deployment: None,
            trace_id: trace_id(),
        };
        let request = Request {
            decision,
            edits: edits
                .into_iter()
                .map(|(region, edit)| (region, vec![edit]))
                .collect(),
            contents: Vec::new(),
        };
        let committed = change::commit(&mut self.tx, &request).await?;
        let after = find(&mut self.tx, id).await?;
        let mut told = told(&after);
        told["changeId"] = json!(committed.change);
        told["regions"] = json!(committed.regions);
        told["reason"] = json!(reason);
        let states = (Some(self::told(&self.event)), Some(told));
        record(
            &mut self.tx,
            caller,
            (action, id.as_str()),
            states,
            self.now,
        )
        .await?;
        let (headers, Json(event)) = answer(&mut self.tx, after).await?;
        commit(self.tx).await?;
        api.metrics.changed(kind);
        Ok((
            headers,
            Json(Commanded {
                change_id: committed.change,
                regions: committed.regions,
                event,
            }),
        ))
    }
}

/// What the audit log keeps of an event's life.
fn told(event: &Event) -> serde_json::Value {
    let timing = event.newest.document.timing_fields();
    json!({
        "state": event.state,
        "startTime": timing.start_time,
        "endTime": timing.end_time,
        "recurrence": timing.recurrence,
        "activatedAt": event.activated_at,
        "endedAt": event.ended_at,
    })
}
