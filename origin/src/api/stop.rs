//! `POST /stop` and `/resume`: the emergency brake, for one event, a tag, or everything.
//!
//! A stop is never refused for what else is going on: it needs no approval, and it takes no event's lock,
//! so that it waits for nobody but the changes being committed in the same regions. Those locks make it
//! sure, too: whoever else writes an assignment reads it under the same lock, and sees the stop.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use liveevents_protocol::id::{ChangeId, EventId, RegionId};
use liveevents_protocol::version::Version;
use liveevents_service::http::{ApiError, Caller, Checks, Json};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::access::Routes;
use super::changes::check_reason;
use super::record::{NOTHING, record, trace_id};
use super::roles::OPERATORS;
use super::{Api, commit};
use crate::change::{self, Decision, Edit, Request};
use crate::rollout::place::set_stopped;
use crate::store::{assignments, events, region_log, regions};

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(OPERATORS, routes!(stop))
        .add(OPERATORS, routes!(resume))
}

#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = StopOrder)]
struct Order {
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<EventId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    all: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    regions: Option<Vec<RegionId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ChangeMade)]
struct Done {
    change_id: ChangeId,
    regions: BTreeMap<RegionId, Version>,
}

/// Which events an order is about.
enum Chosen {
    These(BTreeSet<EventId>),
    All,
}

impl Chosen {
    fn contains(&self, event: &EventId) -> bool {
        match self {
            Self::These(events) => events.contains(event),
            Self::All => true,
        }
    }
}

/// Stops events at once, for everybody. Never refused for rate or conflict.
#[utoipa::path(
    post,
    path = "/stop",
    responses((status = 200, description = "Done.", body = Done))
)]
async fn stop(
    State(api): State<Api>,
    caller: Caller,
    Json(order): Json<Order>,
) -> Result<Json<Done>, ApiError> {
    carry_out(api, caller, order, true).await
}

/// Takes a stop back.
#[utoipa::path(
    post,
    path = "/resume",
    responses((status = 200, description = "Done.", body = Done))
)]
async fn resume(
    State(api): State<Api>,
    caller: Caller,
    Json(order): Json<Order>,
) -> Result<Json<Done>, ApiError> {
    carry_out(api, caller, order, false).await
}

async fn carry_out(
    api: Api,
    caller: Caller,
    order: Order,
    stopped: bool,
) -> Result<Json<Done>, ApiError> {
    check_reason(order.reason.as_deref())?;
    let (kind, action) = if stopped {
        ("Stop", "stop")
    } else {
        ("Resume", "resume")
    };
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let (chosen, regions) = check(&mut tx, &order).await?;
    for region in &regions {
        caller.require_region(region)?;
    }
    region_log::lock(&mut tx, &regions).await?;
    let mut edits: BTreeMap<RegionId, Vec<Edit>> = BTreeMap::new();
    for region in regions {
        let served = assignments::of_region(&mut tx, &region).await?.into_iter();
        let concerned = served
            .map(|(_, assignment)| assignment)
            .filter(|assignment| {
                chosen.contains(&assignment.event_id) && assignment.suspension.stopped != stopped
            });
        let changed: Vec<Edit> = concerned
            .map(|assignment| Edit::Put(set_stopped(&assignment, stopped)))
            .collect();
        edits.insert(region, changed);
    }
    let decision = Decision {
        kind,
        actor: caller.subject().to_owned(),
        reason: order.reason.clone(),
        event: match &chosen {
            Chosen::These(events) if events.len() == 1 => events.first().cloned(),
            Chosen::These(_) | Chosen::All => None,
        },
        deployment: None,
        trace_id: trace_id(),
    };
    let request = Request {
        decision,
        edits,
        contents: Vec::new(),
    };
    let committed = change::commit(&mut tx, &request).await?;
    let done = Done {
        change_id: committed.change,
        regions: committed.regions,
    };
    let subject = done.change_id.to_string();
    let after = serde_json::json!({ "order": order, "regions": done.regions });
    record(
        &mut tx,
        &caller,
        (action, &subject),
        (NOTHING, Some(after)),
        now,
    )
    .await?;
    commit(tx).await?;
    api.metrics.changed(kind);
    Ok(Json(done))
}

/// The events and regions meant, or everything that is wrong with the order.
async fn check(
    conn: &mut PgConnection,
    order: &Order,
) -> Result<(Chosen, Vec<RegionId>), ApiError> {
    let mut checks = Checks::default();
    let known: Vec<RegionId> = regions::list(conn)
        .await?
        .into_iter()
        .map(|r| r.id)
        .collect();
    let mut meant = order.regions.clone().unwrap_or_else(|| known.clone());
    for (index, region) in meant.iter().enumerate() {
        let exists = known.contains(region);
        checks.require(
            exists,
            format!("regions[{index}]"),
            format!("there is no region {region}"),
        );
    }
    checks.require(
        !meant.is_empty(),
        "regions",
        "must name at least one, or be left out for all",
    );
    meant.sort();
    meant.dedup();
    let chosen = match (&order.events, &order.tag, order.all) {
        (Some(given), None, false) => {
            checks.require(!given.is_empty(), "events", "must name at least one");
            for (index, event) in given.iter().enumerate() {
                let exists = events::exists(conn, event).await?;
                checks.require(
                    exists,
                    format!("events[{index}]"),
                    format!("there is no event {event}"),
                );
            }
            Chosen::These(given.iter().cloned().collect())
        }
        (None, Some(tag), false) => Chosen::These(events::tagged(conn, tag).await?),
        (None, None, true) => Chosen::All,
        _ => {
            checks.fault(
                "events",
                "must be given, or tag, or all: true; one of the three",
            );
            Chosen::These(BTreeSet::new())
        }
    };
    checks.finish()?;
    Ok((chosen, meant))
}
