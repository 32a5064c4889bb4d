//! `GET /changes/{changeId}`: what was changed, who has it, and how long that took.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use jiff::Timestamp;
use liveevents_protocol::id::{ChangeId, DeploymentId, EdgeId, EventId, RegionId};
use liveevents_protocol::version::{BasisPoints, Epoch, Revision, Version};
use liveevents_service::http::{ApiError, Json, Path};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::Api;
use super::access::Routes;
use super::edges::QuarantinedView;
use super::roles::PEOPLE;
use crate::convergence::{Facts, Nack, Rule, Verdict};
use crate::limits::{CONVERGENCE_GRACE, MAX_REASON};
use crate::store::progress::{Progress, Quantiles};
use crate::store::{self, changes, progress};

pub(super) fn routes() -> Routes {
    Routes::new().add(PEOPLE, routes!(show))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Change)]
struct View {
    change_id: ChangeId,
    kind: String,
    event_id: Option<EventId>,
    deployment_id: Option<DeploymentId>,
    reason: Option<String>,
    actor: String,
    created_at: Timestamp,
    /// Whether the edges of every region have it, by the rules of [`convergence`](crate::convergence).
    converged: bool,
    regions: BTreeMap<RegionId, RegionView>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ChangedRegion)]
struct RegionView {
    version: Version,
    epoch: Epoch,
    /// None once the log has been compacted past it.
    committed_at: Option<Timestamp>,
    /// Of edges and game servers together.
    verdict: Name,
    edges: Edges,
    game_servers: GameServersView,
    nacks: Vec<NackView>,
    quarantined: Vec<QuarantinedView>,
    milliseconds: Milliseconds,
}

/// A verdict without what it rests on, which is beside it.
#[derive(Serialize, ToSchema)]
#[schema(as = ConvergenceVerdict)]
enum Name {
    Converged,
    Waiting,
    Breached,
    NotApplicable,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EdgesConvergence)]
struct Edges {
    verdict: Name,
    applied: u64,
    of: u64,
    /// Those that do not hold it, of all that were here within a day and have not signed off.
    stragglers: Vec<EdgeId>,
    /// Those of them that are away and awaited for now.
    awaited: Vec<EdgeId>,
}

/// Of live edges.
#[derive(Serialize, ToSchema)]
#[schema(as = GameServersConvergence)]
struct GameServersView {
    verdict: Name,
    received: u64,
    applied: u64,
    deferred: u64,
    of: u64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Nack)]
struct NackView {
    event_id: EventId,
    revision: Option<Revision>,
    reason: String,
    count: u64,
    first_at: Timestamp,
    last_at: Timestamp,
}

/// From the commit to the acks; none before the first.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ConvergenceMilliseconds)]
struct Milliseconds {
    edges: Option<QuantilesView>,
    game_servers: Option<QuantilesView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Quantiles)]
struct QuantilesView {
    p50: f64,
    p99: f64,
    last: f64,
}

/// What was changed, who has it, and how long that took.
#[utoipa::path(
    get,
    path = "/changes/{id}",
    params(("id" = ChangeId, Path)),
    responses((status = 200, description = "The change.", body = View))
)]
async fn show(State(api): State<Api>, Path(id): Path<ChangeId>) -> Result<Json<View>, ApiError> {
    let now = api.clock.now();
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let found = changes::find(&mut tx, id).await?;
    let change = found.ok_or_else(|| ApiError::not_found("change", &id))?;
    let progress = progress::of_change(&mut tx, id, now).await?;
    let converged = progress
        .values()
        .all(|region| region.facts.edges(CONVERGENCE_GRACE, now) == Verdict::Converged);
    Ok(Json(View {
        change_id: change.id,
        kind: change.kind,
        event_id: change.event,
        deployment_id: change.deployment,
        reason: change.reason,
        actor: change.actor,
        created_at: change.created_at,
        converged,
        regions: progress
            .into_iter()
            .map(|(id, progress)| (id, RegionView::new(progress, now)))
            .collect(),
    }))
}

impl RegionView {
    fn new(progress: Progress, now: Timestamp) -> Self {
        let facts = progress.facts;
        let rule = Rule {
            grace: CONVERGENCE_GRACE,
            share: BasisPoints::ALL,
        };
        let servers = facts.counted(now);
        Self {
            version: progress.version,
            epoch: progress.epoch,
            committed_at: facts.committed_at,
            verdict: Name::of(&facts.verdict(rule, now)),
            edges: Edges::of(&facts, now),
            game_servers: GameServersView {
                verdict: Name::of(&facts.game_servers(rule.share, now)),
                received: servers.received,
                applied: servers.applied,
                deferred: servers.deferred,
                of: servers.connected,
            },
            nacks: facts.nacks.into_iter().map(NackView::from).collect(),
            quarantined: facts
                .quarantined
                .into_iter()
                .map(QuarantinedView::from)
                .collect(),
            milliseconds: Milliseconds {
                edges: progress.to_edges.map(QuantilesView::from),
                game_servers: progress.to_game_servers.map(QuantilesView::from),
            },
        }
    }
}

impl Edges {
    fn of(facts: &Facts, now: Timestamp) -> Self {
        let verdict = facts.edges(CONVERGENCE_GRACE, now);
        let here = || facts.edges.iter().filter(|edge| !edge.signed_off);
        let count = |edges: usize| u64::try_from(edges).unwrap_or(u64::MAX);
        Self {
            applied: count(here().filter(|edge| edge.holds).count()),
            of: count(here().count()),
            stragglers: here()
                .filter(|edge| !edge.holds)
                .map(|edge| edge.edge.clone())
                .collect(),
            verdict: Name::of(&verdict),
            awaited: match verdict {
                Verdict::Waiting(missing) => missing.awaited,
                Verdict::Converged | Verdict::Breached(_) | Verdict::NotApplicable => Vec::new(),
            },
        }
    }
}

impl Name {
    fn of(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Converged => Self::Converged,
            Verdict::Waiting(_) => Self::Waiting,
            Verdict::Breached(_) => Self::Breached,
            Verdict::NotApplicable => Self::NotApplicable,
        }
    }
}

impl From<Nack> for NackView {
    fn from(nack: Nack) -> Self {
        Self {
            event_id: nack.event,
            revision: nack.revision,
            reason: nack.reason,
            count: nack.count,
            first_at: nack.first_at,
            last_at: nack.last_at,
        }
    }
}

impl From<Quantiles> for QuantilesView {
    fn from(quantiles: Quantiles) -> Self {
        let milliseconds = |duration: Duration| duration.as_secs_f64() * 1000.0;
        Self {
            p50: milliseconds(quantiles.p50),
            p99: milliseconds(quantiles.p99),
            last: milliseconds(quantiles.last),
        }
    }
}

/// Checks the words given for a decision.
pub(super) fn check_reason(reason: Option<&str>) -> Result<(), ApiError> {
    if reason.is_some_and(|reason| reason.chars().count() > MAX_REASON) {
        return Err(ApiError::field(
            "reason",
            format!("must have at most {MAX_REASON} characters"),
        ));
    }
    Ok(())
}
