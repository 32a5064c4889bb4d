//! `GET /events/{id}/metrics` and its parts: what game servers have reported of players, added up.

use axum::extract::State;
use jiff::{SignedDuration, Span, Timestamp};
use liveevents_protocol::engagement::{Cohort, Tally};
use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::limits::MAX_NAME;
use liveevents_service::http::{ApiError, Checks, Json, Path, Query};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::find;
use crate::api::Api;
use crate::engagement::{Engagement, Opinion, Revenue, series};
use crate::store;
use crate::store::engagement::{self as kept, Grain};

/// How long minutes are kept.
const MINUTES: SignedDuration = SignedDuration::from_hours(48);

/// How long hours are.
const HOURS: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The longest series.
const MAX_STEPS: i64 = 1_000;

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// In one region.
    region: Option<RegionId>,
    /// Of one variant.
    variant: Option<String>,
    /// Of one cohort.
    #[param(inline)]
    cohort: Option<CohortName>,
    /// How far back, such as `PT1H`, which it is if it is not said, to `P30D`.
    window: Option<String>,
    /// As a series of steps of this length too, such as `PT5M`: whole minutes, or hours in a window of more than 48.
    step: Option<String>,
}

/// On which side of a candidate players were.
#[derive(Clone, Copy, Deserialize, ToSchema)]
enum CohortName {
    Everybody,
    Exposed,
    Control,
    Unattributed,
}

impl From<CohortName> for Cohort {
    fn from(name: CohortName) -> Self {
        match name {
            CohortName::Everybody => Self::Everybody,
            CohortName::Exposed => Self::Exposed,
            CohortName::Control => Self::Control,
            CohortName::Unattributed => Self::Unattributed,
        }
    }
}

/// What was found, whole and in steps.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Metrics)]
pub(super) struct Found<T> {
    event_id: EventId,
    /// Where the window begins: at a whole minute, or hour.
    from: Timestamp,
    to: Timestamp,
    #[serde(flatten)]
    whole: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<Vec<Step<T>>>,
}

/// One step of a series.
#[derive(Serialize, ToSchema)]
#[schema(as = SeriesStep)]
struct Step<T> {
    from: Timestamp,
    #[serde(flatten)]
    whole: T,
}

/// All three parts.
#[derive(Serialize, ToSchema)]
#[schema(as = EventMetrics)]
pub(super) struct All {
    engagement: Engagement,
    revenue: Revenue,
    sentiment: Opinion,
}

impl All {
    fn of(tally: &Tally) -> Self {
        Self {
            engagement: Engagement::of(tally),
            revenue: Revenue::of(tally),
            sentiment: Opinion::of(tally),
        }
    }
}

/// How an event is taken: by how many, with what gain, and how they like it.
#[utoipa::path(
    get,
    path = "/events/{id}/metrics",
    params(("id" = EventId, Path), Asked),
    responses((status = 200, description = "What was reported.", body = Found<All>))
)]
pub(super) async fn all(
    State(api): State<Api>,
    Path(id): Path<EventId>,
    Query(asked): Query<Asked>,
) -> Result<Json<Found<All>>, ApiError> {
    look(&api, id, asked, All::of).await
}

/// How players take part.
#[utoipa::path(
    get,
    path = "/events/{id}/metrics/engagement",
    params(("id" = EventId, Path), Asked),
    responses((status = 200, description = "What was reported.", body = Found<Engagement>))
)]
pub(super) async fn engagement(
    State(api): State<Api>,
    Path(id): Path<EventId>,
    Query(asked): Query<Asked>,
) -> Result<Json<Found<Engagement>>, ApiError> {
    look(&api, id, asked, Engagement::of).await
}

/// What it brings.
#[utoipa::path(
    get,
    path = "/events/{id}/metrics/revenue",
    params(("id" = EventId, Path), Asked),
    responses((status = 200, description = "What was reported.", body = Found<Revenue>))
)]
pub(super) async fn revenue(
    State(api): State<Api>,
    Path(id): Path<EventId>,
    Query(asked): Query<Asked>,
) -> Result<Json<Found<Revenue>>, ApiError> {
    look(&api, id, asked, Revenue::of).await
}

/// What players think of it.
#[utoipa::path(
    get,
    path = "/events/{id}/metrics/sentiment",
    params(("id" = EventId, Path), Asked),
    responses((status = 200, description = "What was reported.", body = Found<Opinion>))
)]
pub(super) async fn sentiment(
    State(api): State<Api>,
    Path(id): Path<EventId>,
    Query(asked): Query<Asked>,
) -> Result<Json<Found<Opinion>>, ApiError> {
    look(&api, id, asked, Opinion::of).await
}

async fn look<T>(
    api: &Api,
    id: EventId,
    asked: Asked,
    of: impl Fn(&Tally) -> T,
) -> Result<Json<Found<T>>, ApiError> {
    let (window, step) = lengths(&asked)?;
    let grain = if window <= MINUTES {
        Grain::Minute
    } else {
        Grain::Hour
    };
    let to = api.clock.now();
    let from = grain.begin(to.checked_sub(window).unwrap_or(to));
    let mut tx = store::begin_snapshot(&api.pool).await?;
    find(&mut tx, &id).await?;
    let rows = kept::Asked {
        event: &id,
        grain,
        from,
        region: asked.region.as_ref(),
        variant: asked.variant.as_deref(),
        cohort: asked.cohort.map(Cohort::from),
    };
    let rows = kept::rows(&mut tx, &rows).await?;
    drop(tx);
    let mut whole = Tally::default();
    for (_, _, tally) in &rows {
        whole.add(tally);
    }
    let steps = step.map(|step| {
        let rows = rows.iter().map(|(at, _, tally)| (*at, tally));
        let steps = series(from, to, step, rows).into_iter();
        let view = |step: crate::engagement::Step| Step {
            from: step.from,
            whole: of(&step.tally),
        };
        steps.map(view).collect()
    });
    Ok(Json(Found {
        event_id: id,
        from,
        to,
        whole: of(&whole),
        series: steps,
    }))
}

/// The window, and the step if there is one.
fn lengths(asked: &Asked) -> Result<(SignedDuration, Option<SignedDuration>), ApiError> {
    let mut checks = Checks::default();
    let named = asked.variant.as_ref().is_none_or(|name| {
        (1..=MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control)
    });
    let message = format!("must have 1 to {MAX_NAME} bytes, none of them control");
    checks.require(named, "variant", message);
    let window = asked.window.as_deref().unwrap_or("PT1H");
    let window = length(window).filter(|window| (minute()..=HOURS).contains(window));
    let message = "must be a duration from PT1M to P30D, such as PT1H";
    checks.require(window.is_some(), "window", message);
    let window = window.unwrap_or(HOURS);
    let whole = if window <= MINUTES { 60 } else { 3600 };
    let step = asked.step.as_deref().map(|step| {
        let step = length(step).filter(|step| {
            let (seconds, all) = (step.as_secs(), window.as_secs());
            seconds > 0
                && step.subsec_nanos() == 0
                && seconds % whole == 0
                && all / seconds <= MAX_STEPS
        });
        let what = if whole == 60 { "minutes" } else { "hours" };
        let message = format!(
            "must be a duration of whole {what}, so that there are at most {MAX_STEPS} of them"
        );
        checks.require(step.is_some(), "step", message);
        step.unwrap_or(window)
    });
    checks.finish()?;
    Ok((window, step))
}

fn minute() -> SignedDuration {
    SignedDuration::from_mins(1)
}

/// An ISO 8601 duration; days are of 24 hours.
fn length(text: &str) -> Option<SignedDuration> {
    // Not what else jiff reads, such as `1h`.
    let span: Span = text.strip_prefix('P').and(text.parse().ok())?;
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    span.to_duration(days).ok()
}
