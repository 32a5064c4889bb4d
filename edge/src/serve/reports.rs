//! `POST /api/v1/reports`: a batch of reports of a game server without a WebSocket, answered once it is counted for good.
//!
//! Sent again, a batch counts once. A report that is none is refused with the reason, and the others count.

use std::time::Duration;

use axum::extract::State;
use jiff::Timestamp;
use liveevents_protocol::engagement::{
    Batch, Cents, Counted, Happening, Place, Report, SenderSession,
};
use liveevents_protocol::id::RegionId;
use liveevents_protocol::limits::{MAX_BATCH, MAX_NAME};
use liveevents_service::http::{ApiError, Caller, Json, Query};
use liveevents_service::limits::MAX_KEYS;
use liveevents_service::token::Role;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Serving;
use crate::engagement::{Cells, Offered, Progress, Rules, attribute, hash};
use crate::limits::{CLAIM_DEADLINE, COUNT_DEADLINE};
use crate::replica::Region;

/// The longest session of play that is believed: a week.
const MAX_SESSION_SECONDS: u32 = 7 * 24 * 3600;

/// The largest purchase that is believed: a million dollars.
const MAX_PURCHASE: Cents = Cents(100_000_000);

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

#[derive(Serialize)]
struct Refused {
    /// Its place in the batch, from 0.
    index: usize,
    message: String,
}

pub(super) async fn take(
    caller: Caller,
    State(serving): State<Serving>,
    Query(Where { region }): Query<Where>,
    Json(batch): Json<Batch>,
) -> Result<Json<Answer>, ApiError> {
    caller.require(&[Role::GameServer])?;
    caller.require_region(&region)?;
    let region = serving.region(&region)?.clone();
    if batch.batch == 0 {
        return Err(ApiError::field("batch", "must be 1 or more"));
    }
    if batch.reports.len() > MAX_BATCH {
        let message = format!("has {}, at most {MAX_BATCH} may be", batch.reports.len());
        return Err(ApiError::field("reports", message));
    }
    let (session, number) = (batch.session, batch.batch);
    let book = &serving.engagement;
    let follower = book.follow(session);
    let mut progress = follower.map_err(|_| unavailable("too many sessions report here"))?;
    let mut begun = claimed(&mut progress).await?;
    let rules = book.rules().ok_or_else(away)?;
    // Before it is offered, since all senders wait for one another there.
    let now = second_of(serving.clock.now());
    let (cells, refused) = add_up(&region, &batch, now, &rules);
    let mut cells = Some(cells);
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
    let after = *within(COUNT_DEADLINE, progress.wait_for(over)).await?;
    if after.counted < number && !after.connected {
        return Err(away());
    }
    if after.counted < number {
        return Err(unavailable("the batch has to be sent again"));
    }
    Ok(Json(Answer {
        session,
        batch: number,
        refused,
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

fn second_of(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// What the reports of a batch come to, and those that do not count.
fn add_up(
    region: &Region,
    batch: &Batch,
    second: Timestamp,
    rules: &Rules,
) -> (Cells, Vec<Refused>) {
    let published = region.load();
    let state = published.as_ref().map(|published| published.state());
    let (mut cells, mut refused) = (Cells::new(), Vec::new());
    for (index, written) in batch.reports.iter().enumerate() {
        match judged(written, rules) {
            Ok((report, counted)) => {
                let (revision, cohort) =
                    attribute(state, &report.event_id, &report.player, &report.seen);
                let place = Place {
                    region: region.id().clone(),
                    event: report.event_id,
                    revision,
                    variant: report.seen.variant,
                    cohort,
                };
                let tally = cells.entry((place, second)).or_default();
                tally.count(hash(&rules.key, &report.player), counted);
            }
            Err(message) => refused.push(Refused { index, message }),
        }
    }
    (cells, refused)
}

/// A report, and what of it counts.
fn judged(written: &serde_json::Value, rules: &Rules) -> Result<(Report, Counted), String> {
    let report = Report::deserialize(written).map_err(|error| error.to_string())?;
    let name = |field: &str, text: &str| match text.len() {
        1..=MAX_NAME => Ok(()),
        len => Err(format!(
            "{field} has {len} bytes, must have 1 to {MAX_NAME}"
        )),
    };
    name("player", &report.player)?;
    if let Some(variant) = &report.seen.variant {
        name("variant", variant)?;
    }
    if report.seen.keys.len() > MAX_KEYS {
        return Err(format!("keys: at most {MAX_KEYS} may be given"));
    }
    let counted = match &report.happening {
        Happening::SessionStart => Counted::SessionStart,
        Happening::SessionEnd { seconds } if *seconds > MAX_SESSION_SECONDS => {
            return Err(format!(
                "seconds is {seconds}, must be {MAX_SESSION_SECONDS} at most"
            ));
        }
        Happening::SessionEnd { seconds } => Counted::SessionEnd(*seconds),
        Happening::Participation => Counted::Participation,
        Happening::Completion => Counted::Completion,
        Happening::Purchase { amount, currency } => {
            let rate = rules.currencies.rate(currency);
            let rate = rate.ok_or_else(|| {
                format!("currency {currency:?} is not in the table of currencies")
            })?;
            let cents = rate.cents(*amount);
            if cents > MAX_PURCHASE {
                return Err(format!(
                    "amount is {amount} {currency}, more than a million dollars"
                ));
            }
            Counted::Purchase(cents)
        }
        Happening::Feedback {
            score: Some(score), ..
        } if *score > 10 => return Err(format!("score is {score}, must be 0 to 10")),
        Happening::Feedback { sentiment, score } => Counted::Feedback(*sentiment, *score),
        Happening::Error => Counted::Error,
    };
    Ok((report, counted))
}
