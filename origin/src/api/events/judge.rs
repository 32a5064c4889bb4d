//! `POST /events/{id}/approve` and `/reject`: what somebody says of a revision.

use axum::extract::State;
use axum::http::HeaderMap;
use liveevents_protocol::id::EventId;
use liveevents_protocol::version::Revision;
use liveevents_service::http::{ApiError, Caller, Json, Path};
use serde::Deserialize;
use serde_json::json;

use super::view::EventView;
use super::{answer, find, lock};
use crate::api::record::record;
use crate::api::roles::OPERATORS;
use crate::api::{Api, commit};
use crate::event::approval::{Approval, Judgement};
use crate::store::revisions;

/// The longest notes, in characters.
const MAX_NOTES: usize = 2000;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Words {
    revision: Option<Revision>,
    notes: Option<String>,
}

pub(super) async fn approve(
    state: State<Api>,
    caller: Caller,
    path: Path<EventId>,
    words: Option<Json<Words>>,
) -> Result<(HeaderMap, Json<EventView>), ApiError> {
    judge(
        state,
        caller,
        path,
        words,
        "event.approve",
        Approval::Approved,
    )
    .await
}

pub(super) async fn reject(
    state: State<Api>,
    caller: Caller,
    path: Path<EventId>,
    words: Option<Json<Words>>,
) -> Result<(HeaderMap, Json<EventView>), ApiError> {
    judge(
        state,
        caller,
        path,
        words,
        "event.reject",
        Approval::Rejected,
    )
    .await
}

async fn judge(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<EventId>,
    words: Option<Json<Words>>,
    action: &'static str,
    approval: fn(Judgement) -> Approval,
) -> Result<(HeaderMap, Json<EventView>), ApiError> {
    caller.require(OPERATORS)?;
    let Words { revision, notes } = words.map(|Json(words)| words).unwrap_or_default();
    if notes
        .as_deref()
        .is_some_and(|notes| notes.chars().count() > MAX_NOTES)
    {
        return Err(ApiError::field(
            "notes",
            format!("must have at most {MAX_NOTES} characters"),
        ));
    }
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let event = lock(&mut tx, &id).await?;
    if event.state.is_over() {
        return Err(ApiError::Conflict(format!("event {id} is {}", event.state)));
    }
    let revision = revision.unwrap_or(event.newest.revision);
    let found = revisions::find(&mut tx, &id, revision).await?;
    let missing = || ApiError::NotFound(format!("event {id} has no revision {revision}"));
    let before = found.ok_or_else(missing)?;
    let approval = approval(Judgement {
        by: caller.subject().to_owned(),
        at: now,
        notes,
    });
    revisions::judge(&mut tx, &id, revision, &approval).await?;
    let said = |approval: &Approval| {
        let notes = approval
            .judgement()
            .and_then(|judgement| judgement.notes.clone());
        json!({ "revision": revision, "approvalStatus": approval.status(), "notes": notes })
    };
    let states = (Some(said(&before.approval)), Some(said(&approval)));
    record(&mut tx, &caller, (action, id.as_str()), states, now).await?;
    let event = find(&mut tx, &id).await?;
    let answer = answer(&mut tx, event).await?;
    commit(tx).await?;
    Ok(answer)
}
