//! `POST /api/v1/reports`: a batch of reports of a game server without a WebSocket, answered once it is counted for good.
//!
//! Sent again, a batch counts once. A report that is none is refused with the reason, and the others count.

use std::time::Duration;

use axum::extract::State;
use liveevents_protocol::engagement::{Batch, Refused, SenderSession};
use liveevents_protocol::id::RegionId;
use liveevents_service::http::{ApiError, Caller, Json, Query};
use liveevents_service::token::Role;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Serving;
use crate::engagement::{Offered, Progress, View, add_up, judge};
use crate::limits::CLAIM_DEADLINE;
use crate::metrics::Told;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Where {
    region: RegionId,
}

#[derive(Serialize)]
pub(super) struct Answer {
    session: SenderSession,
    batch: u64,
    /// Reports that do not count, and why.
    refused: Vec<Refused>,
}

pub(super) async fn take(
    caller: Caller,
    State(serving): State<Serving>,
    Query(Where { region }): Query<Where>,
    Json(batch): Json<Batch>,
) -> Result<Json<Answer>, ApiError> {
    let answer = taken(&caller, &serving, region, batch).await;
    serving.metrics.engagement.told(match &answer {
        Ok(_) => Told::Counted,
        Err(ApiError::Conflict(_)) => Told::OutOfPlace,
        Err(ApiError::Unavailable { .. }) => Told::Later,
        Err(_) => Told::Refused,
    });
    answer
}

async fn taken(
    caller: &Caller,
    serving: &Serving,
    region: RegionId,
    batch: Batch,
) -> Result<Json<Answer>, ApiError> {
    caller.require(&[Role::GameServer])?;
    caller.require_region(&region)?;
    let region = serving.region(&region)?.clone();
    judge(&batch).map_err(|(field, message)| ApiError::field(field, message))?;
    let (session, number) = (batch.session, batch.batch);
    let book = &serving.engagement;
    let follower = book.follow(session);
    let mut progress = follower.map_err(|_| unavailable("too many sessions report here"))?;
    let mut begun = claimed(&mut progress).await?;
    let rules = book.rules().ok_or_else(away)?;
    // Before it is offered, since all senders wait for one another there.
    let sum = {
        let published = region.load();
        let view = View {
            region: region.id(),
            state: published.as_ref().map(|published| published.state()),
            rules: &rules,
            now: serving.clock.now(),
            known: &|_| None,
        };
        add_up(&batch, &view)
    };
    let mut cells = Some(sum.cells);
    let mut offer = || {
        let taken = || cells.take().unwrap_or_default();
        let offered = book.offer(session, number, batch.reports.len(), taken);
        offered.ok_or_else(moved)
    };
    let mut offered = offer()?;
    if matches!(offered, Offered::Gap { .. }) {
        begun = claimed(&mut progress).await?;
        offered = offer()?;
    }
    if offered == Offered::Taken {
        serving.metrics.engagement.taken(sum.kinds);
    }
    match offered {
        Offered::Gap { expected } => {
            let message = format!("batch {expected} of this session is to come before {number}");
            return Err(ApiError::Conflict(message));
        }
        Offered::Full => return Err(unavailable("too much waits to be counted; send it again")),
        Offered::Counted | Offered::Underway | Offered::Taken => {}
    }
    let over =
        |now: &Progress| now.counted >= number || now.forgotten > begun.forgotten || !now.connected;
    let after = *within(serving.reports_deadline, progress.wait_for(over)).await?;
    if after.counted < number && !after.connected {
        return Err(away());
    }
    if after.counted < number {
        return Err(unavailable("the batch has to be sent again"));
    }
    Ok(Json(Answer {
        session,
        batch: number,
        refused: sum.refused,
    }))
}

/// Waits until this edge may take the session's batches.
async fn claimed(progress: &mut watch::Receiver<Progress>) -> Result<Progress, ApiError> {
    let claimed = progress.wait_for(|now| now.claimed || !now.connected);
    let now = *within(CLAIM_DEADLINE, claimed).await?;
    if now.claimed { Ok(now) } else { Err(away()) }
}

/// What comes of waiting for a session's progress.
async fn within<'a>(
    deadline: Duration,
    waiting: impl Future<Output = Result<watch::Ref<'a, Progress>, watch::error::RecvError>>,
) -> Result<watch::Ref<'a, Progress>, ApiError> {
    match timeout(deadline, waiting).await {
        Ok(Ok(progress)) => Ok(progress),
        Ok(Err(_)) => Err(moved()),
        Err(_) => Err(away()),
    }
}

fn unavailable(message: &str) -> ApiError {
    ApiError::Unavailable {
        message: message.to_owned(),
        cause: None,
    }
}

fn away() -> ApiError {
    unavailable("the origin is away, so nothing can be counted for good; send it again later")
}

fn moved() -> ApiError {
    ApiError::Conflict("the session's batches go to another edge; send them there".to_owned())
}
