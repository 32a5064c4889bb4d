//! `PUT /events/{id}/extend`: another end, and while it is Scheduled another start. What that means for wall-clock times and
//! for series is in [`crate::event::extend`].

use axum::extract::State;
use liveevents_protocol::id::EventId;
use liveevents_service::http::{ApiError, Caller, Json, Path};
use serde::Deserialize;
use utoipa::ToSchema;

use super::lifecycle::{Answer, Commanded, Scene};
use crate::api::Api;
use crate::api::changes::check_reason;
use crate::event::extend::{Extension, NotAhead, schedules};
use crate::event::lifecycle::{Command, State as Life};
use crate::event::times::Times;
use crate::settle::held;

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewTimes {
    /// While it is Scheduled.
    start_time: Option<String>,
    end_time: Option<String>,
    /// An ISO 8601 duration, negative for an earlier end.
    extend_by: Option<String>,
    reason: Option<String>,
}

/// Gives it another end, and while it is Scheduled another start.
#[utoipa::path(
    put,
    path = "/events/{id}/extend",
    params(("id" = EventId, Path)),
    responses((status = 200, description = "The change.", body = Commanded, headers(("ETag" = String, description = "The revision's entity tag."))))
)]
pub(super) async fn extend(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<EventId>,
    Json(new): Json<NewTimes>,
) -> Answer {
    check_reason(new.reason.as_deref())?;
    let asked = Extension {
        start: new.start_time,
        end: new.end_time,
        by: new.extend_by,
    };
    let mut scene = Scene::begin(&api, &caller, &id, false).await?;
    let event = &scene.event;
    let conflict = |problem: String| ApiError::Conflict(format!("event {id}: {problem}"));
    let to = event.state.on(Command::Extend);
    let to = to.map_err(|refused| conflict(refused.to_string()))?;
    if asked.start.is_some() && to != Life::Scheduled {
        return Err(conflict(format!(
            "it is {to}, so its start is past; only its end can be moved"
        )));
    }
    let document = asked.of(&event.newest.document)?;
    let after = Times {
        timing: &document.timing,
        activated: event.activated_at,
    };
    let held = held(Some(&scene.served), &scene.zones);
    let schedules = schedules(&asked, (event.times(), after), &held, scene.now);
    let schedules = schedules.map_err(|error| match error {
        NotAhead::Faults(faults) => faults.into(),
        NotAhead::Unschedulable { .. } => conflict(format!("it cannot be scheduled in {error}")),
    })?;
    let nothing = schedules
        .iter()
        .find(|(_, schedule)| schedule.occurrences().is_empty());
    if let (Life::Scheduled, Some((region, _))) = (to, nothing) {
        return Err(conflict(format!(
            "nothing of it would lie ahead in {region}"
        )));
    }
    let activated = event.activated_at;
    let edits = scene.reschedule(schedules).await?;
    scene.set_course(to, &document, activated, None).await?;
    scene
        .finish(&api, &caller, Command::Extend, new.reason, edits)
        .await
}
