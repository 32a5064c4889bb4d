//! `POST /segments/{id}/publish` and `/rollback`: a revision takes effect wherever the segment is used, as one change.
//!
//! Publications pile up. Rolling one back uncovers the one below it, so that rolling back twice goes back twice, and never
//! forth again. Like every rollback it is limited by no rate.

use std::collections::BTreeMap;

use axum::extract::State;
use jiff::Timestamp;
use liveevents_protocol::id::{ChangeId, RegionId, SegmentId};
use liveevents_protocol::segment::Segment as Meant;
use liveevents_protocol::version::{Revision, Version};
use liveevents_service::http::{ApiError, Caller, Json, Path};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{Postgres, Transaction};
use utoipa::ToSchema;

use super::{lock, revision};
use crate::api::changes::check_reason;
use crate::api::record::{record, trace_id};
use crate::api::{Api, commit};
use crate::change::{self, Decision};
use crate::store::Page;
use crate::store::publications::{self, Publication};
use crate::store::segments::{Revised, Segment};

#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = SegmentPublish)]
pub(super) struct Order {
    /// Which; the newest if it is not said.
    revision: Option<Revision>,
    reason: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = SegmentRollback)]
pub(super) struct Why {
    reason: Option<String>,
}

/// What took effect, and by which change.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = SegmentPublished)]
pub(super) struct Done {
    segment_id: SegmentId,
    change_id: ChangeId,
    /// The version that each region that uses it has reached by it.
    regions: BTreeMap<RegionId, Version>,
    /// What is in effect.
    revision: Revision,
    /// What was; none before the first publication.
    previous_revision: Option<Revision>,
}

/// Makes a revision take effect wherever the segment is used.
#[utoipa::path(
    post,
    path = "/segments/{id}/publish",
    params(("id" = SegmentId, Path)),
    responses((status = 200, description = "Done.", body = Done))
)]
pub(super) async fn publish(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<SegmentId>,
    order: Option<Json<Order>>,
) -> Result<Json<Done>, ApiError> {
    let order = order.map(|Json(order)| order).unwrap_or_default();
    check_reason(order.reason.as_deref())?;
    let mut scene = Scene::begin(&api, caller, &id, order.reason).await?;
    let revised = revision(&mut scene.tx, &scene.segment, order.revision).await?;
    let before = scene.segment.published.as_ref();
    if before.is_some_and(|before| before.revision == revised.revision) {
        let message = format!(
            "revision {} of segment {id} is in effect already",
            revised.revision
        );
        return Err(ApiError::Conflict(message));
    }
    let below = before.map(|before| before.number);
    let named = ("SegmentPublication", "segment.publish");
    scene.put_in_effect(&api, revised, below, named).await
}

/// Takes back what was published last: what was in effect before it is again, wherever the segment is used.
#[utoipa::path(
    post,
    path = "/segments/{id}/rollback",
    params(("id" = SegmentId, Path)),
    responses((status = 200, description = "Done.", body = Done))
)]
pub(super) async fn roll_back(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<SegmentId>,
    why: Option<Json<Why>>,
) -> Result<Json<Done>, ApiError> {
    let reason = why.and_then(|Json(why)| why.reason);
    check_reason(reason.as_deref())?;
    let mut scene = Scene::begin(&api, caller, &id, reason).await?;
    let number = scene.segment.published.as_ref().and_then(|now| now.below);
    let nothing = || {
        let message = format!("nothing of segment {id} was published before what is in effect");
        ApiError::Conflict(message)
    };
    let number = number.ok_or_else(nothing)?;
    let page = Page {
        limit: 1,
        offset: 0,
    };
    let found = publications::list(&mut scene.tx, &id, Some(number), page).await?;
    let below = found.items.into_iter().next().ok_or_else(nothing)?;
    let revised = revision(&mut scene.tx, &scene.segment, Some(below.revision)).await?;
    let named = ("SegmentRollback", "segment.rollback");
    scene.put_in_effect(&api, revised, below.below, named).await
}

/// A segment that nobody else edits or publishes, and why something else is to take effect.
struct Scene {
    tx: Transaction<'static, Postgres>,
    segment: Segment,
    caller: Caller,
    reason: Option<String>,
    now: Timestamp,
}

impl Scene {
    async fn begin(
        api: &Api,
        caller: Caller,
        id: &SegmentId,
        reason: Option<String>,
    ) -> Result<Self, ApiError> {
        let mut tx = api.begin().await?;
        Ok(Self {
            segment: lock(&mut tx, id).await?,
            now: api.clock.now(),
            tx,
            caller,
            reason,
        })
    }

    async fn put_in_effect(
        mut self,
        api: &Api,
        revised: Revised,
        below: Option<i32>,
        (kind, action): (&'static str, &'static str),
    ) -> Result<Json<Done>, ApiError> {
        let decision = Decision {
            kind,
            actor: self.caller.subject().to_owned(),
            reason: self.reason.clone(),
            event: None,
            deployment: None,
            trace_id: trace_id(),
        };
        let (id, revision) = (self.segment.id, revised.revision);
        let meant = Meant {
            id: id.clone(),
            revision,
            criteria: revised.description.criteria,
        };
        let committed = change::publish(&mut self.tx, &decision, &meant).await?;
        let newest = publications::list(
            &mut self.tx,
            &id,
            None,
            Page {
                limit: 1,
                offset: 0,
            },
        );
        let many = i32::try_from(newest.await?.total).map_err(ApiError::internal)?;
        let publication = Publication {
            number: many.saturating_add(1),
            revision,
            below,
            rollback: action == "segment.rollback",
            change: Some(committed.change),
            actor: decision.actor,
            reason: self.reason,
            at: self.now,
        };
        publications::put_in_effect(&mut self.tx, &id, &publication).await?;
        let done = Done {
            change_id: committed.change,
            regions: committed.regions,
            revision,
            previous_revision: self.segment.published.map(|before| before.revision),
            segment_id: id,
        };
        let before = done.previous_revision;
        let before = before.map(|revision| json!({ "revision": revision }));
        let deed = (action, done.segment_id.as_str());
        let states = (before, Some(&done));
        record(&mut self.tx, &self.caller, deed, states, self.now).await?;
        commit(self.tx).await?;
        api.metrics.changed(kind);
        Ok(Json(done))
    }
}
