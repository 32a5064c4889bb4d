//! `POST /events`, and what every new event goes through.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use jiff::Timestamp;
use liveevents_protocol::id::EventId;
use liveevents_service::http::{ApiError, Caller, Json};
use serde::Serialize;
use sqlx::PgConnection;

use super::view::EventView;
use super::{answer, find};
use crate::api::once::{Claimed, New, Once};
use crate::api::record::{NOTHING, record};
use crate::api::{Api, commit};
use crate::event::document::Document;
use crate::event::fault::Faults;
use crate::event::fields::EventFields;
use crate::event::naming;
use crate::event::validation::Proposal;
use crate::inspect::Purpose;
use crate::store::events::{self, ID_IS_TAKEN};

/// How many events of one name there may be whose author left the naming to us.
const NAMESAKES: u32 = 1000;

/// A new event, as a draft.
#[utoipa::path(
    post,
    path = "/events",
    responses((status = 201, description = "Created.", body = EventView, headers(("Location" = String, description = "Where it is."), ("ETag" = String, description = "The revision's entity tag."))))
)]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Json(fields): Json<EventFields>,
) -> Result<Response, ApiError> {
    let by = (&caller, once);
    add(&api, by, &fields, "event.create", Document::to_fields).await
}

/// Adds a draft of these fields, once. `recorded` is what the audit log keeps of it.
pub(super) async fn add<A: Serialize>(
    api: &Api,
    (caller, once): (&Caller, Once),
    fields: &EventFields,
    action: &'static str,
    recorded: impl FnOnce(&Document) -> A,
) -> Result<Response, ApiError> {
    let now = api.clock.now();
    let (given, document) = check(api, fields, now).await?;
    let mut tx = api.begin().await?;
    let claim = match once.claim(&mut tx, now).await? {
        Claimed::Now(claim) => claim,
        Claimed::Before(answer) => return Ok(answer),
    };
    let id = match given {
        Some(id) => id,
        None => made(&mut tx, &document.display_name).await?,
    };
    let salt = format!("{:032x}", rand::random::<u128>());
    match events::insert(&mut tx, &id, &salt, &document, caller.subject(), now).await {
        Err(error) if error.violates(ID_IS_TAKEN) => {
            return Err(ApiError::Conflict(format!(
                "there is an event {id} already"
            )));
        }
        done => done?,
    }
    let states = (NOTHING, Some(recorded(&document)));
    record(&mut tx, caller, (action, id.as_str()), states, now).await?;
    let event = find(&mut tx, &id).await?;
    let (mut headers, Json(body)) = answer(&mut tx, event).await?;
    let location = HeaderValue::from_str(&format!("/api/v1/events/{id}"));
    headers.extend(
        location
            .into_iter()
            .map(|location| (header::LOCATION, location)),
    );
    let answer = claim.keep(&mut tx, New { headers, body }).await?;
    commit(tx).await?;
    Ok(answer)
}

/// Everything that is wrong with a new event, in one answer.
async fn check(
    api: &Api,
    fields: &EventFields,
    now: Timestamp,
) -> Result<(Option<EventId>, Document), ApiError> {
    let mut faults = Faults::default();
    let id = fields.event_id.as_deref();
    let id = id.and_then(|id| faults.take("eventId", EventId::new(id)));
    let document = judged(api, Proposal::read(fields), Purpose::Draft, now).await?;
    match document {
        Ok(document) => Ok(faults.or_ok().map(|()| (id, document))?),
        Err(others) => Err(faults.and(others).into()),
    }
}

/// The document that was proposed, or what is wrong with it. Nothing is locked, and no transaction open, while it is judged.
pub(super) async fn judged(
    api: &Api,
    proposal: Proposal,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Result<Document, Faults>, ApiError> {
    let mut conn = api.acquire().await?;
    let gathered = api
        .inspector
        .facts(&mut conn, &proposal, purpose, now)
        .await?;
    drop(conn);
    let (proposal, report) = api.inspector.judge(proposal, gathered).await?;
    Ok(proposal.accept(report))
}

/// An identifier made from the display name, the first that is free.
async fn made(conn: &mut PgConnection, display_name: &str) -> Result<EventId, ApiError> {
    for attempt in 0..NAMESAKES {
        let Some(id) = naming::event_id(display_name, attempt) else {
            let message = "must be given, since the display name has no Latin letter or digit";
            return Err(ApiError::field("eventId", message));
        };
        if !events::exists(conn, &id).await? {
            return Ok(id);
        }
    }
    Err(ApiError::Conflict(
        "too many events have this display name; give an eventId".to_owned(),
    ))
}
