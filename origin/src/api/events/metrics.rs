//! `GET /events/{id}/metrics` and its parts: what game servers have reported of players, added up.

use axum::extract::State;
use jiff::{SignedDuration, Span, Timestamp};
use liveevents_protocol::engagement::{Cohort, Distinct, Place, Tally};
use liveevents_protocol::id::{EventId, RegionId, SegmentId};
use liveevents_protocol::limits::MAX_NAME;
use liveevents_service::http::{ApiError, Checks, Json, Path, Query};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::find;
use crate::api::Api;
use crate::engagement::{Comparison, Engagement, Opinion, Revenue, Sample, compare, series, whole};
use crate::store;
use crate::store::engagement::{self as kept, Grain};

/// How long minutes are kept.
const MINUTES: SignedDuration = SignedDuration::from_hours(48);

/// How long hours are.
const HOURS: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Up to here a window is of minutes even if no step asks for them: of longer ones hours say as much in a fraction of the time.
const SHORT: SignedDuration = SignedDuration::from_hours(6);

const DAY: SignedDuration = SignedDuration::from_hours(24);

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
    /// Of the players of one segment that the event names: plain counts.
    segment: Option<SegmentId>,
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
pub(super) struct Found<T, S> {
    event_id: EventId,
    /// Where the window begins: at a whole minute, or hour.
    from: Timestamp,
    to: Timestamp,
    #[serde(flatten)]
    whole: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<Vec<Step<S>>>,
}

/// One step of a series.
#[derive(Serialize, ToSchema)]
#[schema(as = SeriesStep)]
struct Step<S> {
    from: Timestamp,
    #[serde(flatten)]
    whole: S,
}

/// How players take part, and how many there are.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EngagementMetrics)]
pub(super) struct Taken {
    #[serde(flatten)]
    engagement: Engagement,
    /// Different players of whom anything was reported in the last 24 hours, whatever the window. None of a segment.
    daily_active_players: Option<u64>,
    /// In the last 30 days.
    monthly_active_players: Option<u64>,
}

/// What it brings, and what would have come in without it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RevenueMetrics)]
pub(super) struct Brought {
    #[serde(flatten)]
    revenue: Revenue,
    /// All purchases in the same regions, of whatever event, during this one as far as it lies in the window, in US
    /// dollars. None of a variant, a cohort or a segment.
    regions_total: Option<f64>,
    /// What they were in the same hours of the same weekdays before the event: the mean of up to four weeks. None if
    /// nothing is known of a whole one.
    baseline: Option<f64>,
    /// `regionsTotal / baseline - 1`: 0.2 is a fifth more.
    uplift: Option<f64>,
}

/// All three parts.
#[derive(Serialize, ToSchema)]
#[schema(as = EventMetrics)]
pub(super) struct All {
    engagement: Taken,
    revenue: Brought,
    sentiment: Opinion,
}

/// All three parts of a step.
#[derive(Serialize, ToSchema)]
#[schema(as = EventMetricsStep)]
pub(super) struct AllOfStep {
    engagement: Engagement,
    revenue: Revenue,
    sentiment: Opinion,
}

impl Taken {
    fn of(known: &Known) -> Self {
        Self {
            engagement: Engagement::of(known.sample()),
            daily_active_players: known.actives.map(|(day, _)| day),
            monthly_active_players: known.actives.map(|(_, month)| month),
        }
    }
}

impl Brought {
    fn of(known: &Known) -> Self {
        let comparison = known.comparison;
        Self {
            revenue: Revenue::of(known.sample()),
            regions_total: comparison.map(|comparison| comparison.during),
            baseline: comparison.and_then(|comparison| comparison.baseline),
            uplift: comparison.and_then(|comparison| comparison.uplift()),
        }
    }
}

impl All {
    fn of(known: &Known) -> Self {
        Self {
            engagement: Taken::of(known),
            revenue: Brought::of(known),
            sentiment: Opinion::of(known.sample()),
        }
    }
}

impl AllOfStep {
    fn of(sample: Sample<'_>) -> Self {
        Self {
            engagement: Engagement::of(sample),
            revenue: Revenue::of(sample),
            sentiment: Opinion::of(sample),
        }
    }
}

/// How an event is taken: by how many, with what gain, and how they like it.
#[utoipa::path(
    get,
    path = "/events/{id}/metrics",
    params(("id" = EventId, Path), Asked),
    responses((status = 200, description = "What was reported.", body = Found<All, AllOfStep>))
)]
pub(super) async fn all(
    State(api): State<Api>,
    Path(id): Path<EventId>,
    Query(asked): Query<Asked>,
) -> Result<Json<Found<All, AllOfStep>>, ApiError> {
    answer(&api, id, &asked, ALL, All::of, AllOfStep::of).await
}

/// How players take part.
#[utoipa::path(
    get,
    path = "/events/{id}/metrics/engagement",
    params(("id" = EventId, Path), Asked),
    responses((status = 200, description = "What was reported.", body = Found<Taken, Engagement>))
)]
pub(super) async fn engagement(
    State(api): State<Api>,
    Path(id): Path<EventId>,
    Query(asked): Query<Asked>,
) -> Result<Json<Found<Taken, Engagement>>, ApiError> {
    answer(&api, id, &asked, ENGAGEMENT, Taken::of, Engagement::of).await
}

/// What it brings.
#[utoipa::path(
    get,
    path = "/events/{id}/metrics/revenue",
    params(("id" = EventId, Path), Asked),
    responses((status = 200, description = "What was reported.", body = Found<Brought, Revenue>))
)]
pub(super) async fn revenue(
    State(api): State<Api>,
    Path(id): Path<EventId>,
    Query(asked): Query<Asked>,
) -> Result<Json<Found<Brought, Revenue>>, ApiError> {
    answer(&api, id, &asked, REVENUE, Brought::of, Revenue::of).await
}

/// What players think of it.
#[utoipa::path(
    get,
    path = "/events/{id}/metrics/sentiment",
    params(("id" = EventId, Path), Asked),
    responses((status = 200, description = "What was reported.", body = Found<Opinion, Opinion>))
)]
pub(super) async fn sentiment(
    State(api): State<Api>,
    Path(id): Path<EventId>,
    Query(asked): Query<Asked>,
) -> Result<Json<Found<Opinion, Opinion>>, ApiError> {
    let whole = |known: &Known| Opinion::of(known.sample());
    answer(&api, id, &asked, SENTIMENT, whole, Opinion::of).await
}

/// What has to be read for an answer, beside what happened in the window.
#[derive(Clone, Copy)]
struct Needs {
    /// Players by day and month.
    actives: bool,
    /// What came in elsewhere and earlier.
    comparison: bool,
    /// What happened in the stretch before.
    before: bool,
}

const ALL: Needs = Needs {
    actives: true,
    comparison: true,
    before: true,
};
const ENGAGEMENT: Needs = Needs {
    actives: true,
    comparison: false,
    before: false,
};
const REVENUE: Needs = Needs {
    actives: false,
    comparison: true,
    before: false,
};
const SENTIMENT: Needs = Needs {
    actives: false,
    comparison: false,
    before: true,
};

/// What was read.
struct Known {
    from: Timestamp,
    to: Timestamp,
    whole: Tally,
    before: Option<Tally>,
    rows: Vec<(Timestamp, Place, Tally)>,
    plain: bool,
    actives: Option<(u64, u64)>,
    comparison: Option<Comparison>,
}

impl Known {
    fn sample(&self) -> Sample<'_> {
        Sample {
            tally: &self.whole,
            before: self.before.as_ref(),
            plain: self.plain,
        }
    }

    fn series<S>(&self, step: SignedDuration, of: impl Fn(Sample<'_>) -> S) -> Vec<Step<S>> {
        let rows = self.rows.iter().map(|(at, _, tally)| (*at, tally));
        let steps = series(self.from, self.to, step, rows);
        let befores = std::iter::once(None).chain(steps.iter().map(Some));
        let pairs = steps.iter().zip(befores);
        let view =
            |(step, before): (&crate::engagement::Step, Option<&crate::engagement::Step>)| Step {
                from: step.from,
                whole: of(Sample {
                    tally: &step.tally,
                    before: before.map(|before| &before.tally),
                    plain: self.plain,
                }),
            };
        pairs.map(view).collect()
    }
}

async fn answer<T, S>(
    api: &Api,
    id: EventId,
    asked: &Asked,
    needs: Needs,
    whole: impl Fn(&Known) -> T,
    of_step: impl Fn(Sample<'_>) -> S,
) -> Result<Json<Found<T, S>>, ApiError> {
    let lengths = lengths(asked)?;
    let known = look(api, &id, asked, &lengths, needs).await?;
    Ok(Json(Found {
        event_id: id,
        from: known.from,
        to: known.to,
        whole: whole(&known),
        series: lengths.step.map(|step| known.series(step, of_step)),
    }))
}

async fn look(
    api: &Api,
    id: &EventId,
    asked: &Asked,
    lengths: &Lengths,
    needs: Needs,
) -> Result<Known, ApiError> {
    let to = api.clock.now();
    let from = lengths.grain.begin(back(to, lengths.window));
    let plain = asked.segment.is_some();
    let kept_for = match lengths.grain {
        Grain::Minute => MINUTES,
        Grain::Hour => HOURS,
    };
    let before =
        needs.before && !plain && lengths.window.saturating_add(lengths.window) <= kept_for;
    let first = match before {
        true => back(from, to.duration_since(from)),
        false => from,
    };
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let event = find(&mut tx, id).await?;
    let of = |grain, from| kept::Asked {
        event: id,
        grain,
        from,
        region: asked.region.as_ref(),
        variant: asked.variant.as_deref(),
        cohort: asked.cohort.map(Cohort::from),
        segment: asked.segment.as_ref(),
    };
    let mut earlier = kept::rows(&mut tx, &of(lengths.grain, first)).await?;
    let rows = earlier.split_off(earlier.partition_point(|(at, ..)| *at < from));
    let actives = match needs.actives && !plain {
        true => Some(kept::actives(&mut tx, &of(Grain::Hour, back(to, HOURS))).await?),
        false => None,
    };
    let everybody = asked.variant.is_none() && asked.cohort.is_none() && !plain;
    let hours = match needs.comparison && everybody {
        true => {
            let places = rows.iter().map(|(_, place, _)| place.region.clone());
            let mut regions: Vec<RegionId> = asked.region.iter().cloned().chain(places).collect();
            regions.sort();
            regions.dedup();
            Some(kept::revenue(&mut tx, &regions, back(to, HOURS)).await?)
        }
        false => None,
    };
    drop(tx);
    let (start, end) = event.newest.document.bounds;
    let start = event.activated_at.unwrap_or(start);
    Ok(Known {
        from,
        to,
        whole: sum(&rows),
        before: before.then(|| sum(&earlier)),
        rows,
        plain,
        actives: actives.map(|hours| {
            (
                players(&hours, back(to, DAY)),
                players(&hours, back(to, HOURS)),
            )
        }),
        comparison: hours.map(|hours| compare((start, end), (from, to), &hours, to)),
    })
}

fn back(from: Timestamp, by: SignedDuration) -> Timestamp {
    from.checked_sub(by).unwrap_or(from)
}

fn sum(rows: &[(Timestamp, Place, Tally)]) -> Tally {
    let mut whole = Tally::default();
    for (_, _, tally) in rows {
        whole.add(tally);
    }
    whole
}

/// How many different players there were in the hours that ended after a moment.
fn players(hours: &[(Timestamp, Distinct)], since: Timestamp) -> u64 {
    let mut all = Distinct::default();
    for (_, players) in hours
        .iter()
        .filter(|(hour, _)| *hour >= Grain::Hour.begin(since))
    {
        all.merge(players);
    }
    whole(all.estimate())
}

/// How long a stretch is asked for, in steps of what length, and of what rows it is told.
struct Lengths {
    window: SignedDuration,
    step: Option<SignedDuration>,
    grain: Grain,
}

fn lengths(asked: &Asked) -> Result<Lengths, ApiError> {
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
    let by_hour = step.is_none_or(|step| step.as_secs() % 3600 == 0);
    let grain = match window > SHORT && (by_hour || window > MINUTES) {
        true => Grain::Hour,
        false => Grain::Minute,
    };
    Ok(Lengths {
        window,
        step,
        grain,
    })
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
