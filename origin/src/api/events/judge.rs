//! `POST /events/{id}/approve` and `/reject`: what somebody says of a revision.
//!
//! Without a revision the newest is meant, whatever that is by now: whoever has looked at one names it, or sends its ETag
//! as `If-Match`.

use axum::extract::State;
use axum::http::HeaderMap;
use liveevents_protocol::id::EventId;
use liveevents_protocol::version::Revision;
use liveevents_service::http::{ApiError, Caller, Json, Path};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::EventView;
use super::{answer, find, lock};
use crate::api::document::IfMatch;
use crate::api::precondition::check_match;
use crate::api::record::record;
use crate::api::{Api, commit};
use crate::event::approval::{Approval, Judgement, Verdict};
use crate::limits::MAX_REASON;
use crate::store::revisions;

#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Judgement)]
pub(super) struct Words {
    revision: Option<Revision>,
    notes: Option<String>,
}

/// Approves a revision.
#[utoipa::path(
    post,
    path = "/events/{id}/approve",
    params(("id" = EventId, Path), IfMatch),
    responses((status = 200, description = "The event as it is now.", body = EventView, headers(("ETag" = String, description = "The revision's entity tag."))))
)]
pub(super) async fn approve(
    state: State<Api>,
    caller: Caller,
    path: Path<EventId>,
    headers: HeaderMap,
    words: Option<Json<Words>>,
) -> Result<(HeaderMap, Json<EventView>), ApiError> {
    let verdict = Verdict::Approve;
    judge(state, caller, path, &headers, words, verdict).await
}

/// Rejects a revision.
#[utoipa::path(
    post,
    path = "/events/{id}/reject",
    params(("id" = EventId, Path), IfMatch),
    responses((status = 200, description = "The event as it is now.", body = EventView, headers(("ETag" = String, description = "The revision's entity tag."))))
)]
pub(super) async fn reject(
    state: State<Api>,
    caller: Caller,
    path: Path<EventId>,
    headers: HeaderMap,
    words: Option<Json<Words>>,
) -> Result<(HeaderMap, Json<EventView>), ApiError> {
    let verdict = Verdict::Reject;
    judge(state, caller, path, &headers, words, verdict).await
}

async fn judge(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<EventId>,
    headers: &HeaderMap,
    words: Option<Json<Words>>,
    verdict: Verdict,
) -> Result<(HeaderMap, Json<EventView>), ApiError> {
    let Words { revision, notes } = words.map(|Json(words)| words).unwrap_or_default();
    if let Some(notes) = &notes {
        check_notes(notes)?;
    }
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let event = lock(&mut tx, &id).await?;
    check_match(headers, event.newest.revision)?;
    if event.state.is_over() {
        return Err(ApiError::Conflict(format!("event {id} is {}", event.state)));
    }
    let revision = revision.unwrap_or(event.newest.revision);
    let found = revisions::find(&mut tx, &id, revision).await?;
    let missing = || ApiError::NotFound(format!("event {id} has no revision {revision}"));
    let before = found.ok_or_else(missing)?;
    let judgement = Judgement {
        by: caller.subject().to_owned(),
        at: now,
        notes,
    };
    let own = api.four_eyes && before.created_by == caller.subject();
    let after = before
        .approval
        .on(verdict, judgement, own)
        .map_err(|refused| {
            ApiError::Forbidden(format!("revision {revision} of event {id}: {refused}"))
        })?;
    // The same said again, be it by two at once, leaves what the first one said.
    let Some(after) = after else {
        return answer(&mut tx, event).await;
    };
    revisions::judge(&mut tx, &id, revision, &after).await?;
    let said = |approval: &Approval| {
        let notes = approval
            .judgement()
            .and_then(|judgement| judgement.notes.clone());
        json!({ "revision": revision, "approvalStatus": approval.status(), "notes": notes })
    };
    let states = (Some(said(&before.approval)), Some(said(&after)));
    let action = match verdict {
        Verdict::Approve => "event.approve",
        Verdict::Reject => "event.reject",
    };
    record(&mut tx, &caller, (action, id.as_str()), states, now).await?;
    let event = find(&mut tx, &id).await?;
    let answer = answer(&mut tx, event).await?;
    commit(tx).await?;
    Ok(answer)
}

fn check_notes(notes: &str) -> Result<(), ApiError> {
    if notes.chars().count() > MAX_REASON || notes.contains('\0') {
        let message = format!("must have at most {MAX_REASON} characters, none of them NUL");
        return Err(ApiError::field("notes", message));
    }
    Ok(())
}
