//! `DELETE /players/{playerId}` and `GET /erasures/{id}`.
//!
//! What the origin holds under the player's name goes at once: tokens are revoked and lose it. Every edge registered at that
//! moment is told to forget the player, whenever it is there; once all have confirmed, the record is done and has no name
//! either. The audit log never has it.

use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use jiff::Timestamp;
use liveevents_protocol::frame::FORGET;
use liveevents_protocol::id::{EdgeId, ErasureId, SegmentId};
use liveevents_service::http::{ApiError, Caller, Checks, Json, Path};
use liveevents_service::limits::MAX_KEY;
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::access::Routes;
use crate::api::record::{NOTHING, record};
use crate::api::roles::ADMINS;
use crate::api::{Api, commit};
use crate::convergence::{Presence, presence};
use crate::store::erasures::{self, Erasure, New, Standing};
use crate::store::{self, players, tokens};

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(ADMINS, routes!(erase))
        .add(ADMINS, routes!(show))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Erasure)]
pub(super) struct ErasureView {
    erasure_id: ErasureId,
    state: Progress,
    requested_by: String,
    requested_at: Timestamp,
    done_at: Option<Timestamp>,
    /// Tokens of the player that were revoked for it.
    tokens_revoked: u64,
    /// Segments whose lists named the player when it was asked for. They are edited by people, and left as they are.
    listed_in: Vec<SegmentId>,
    /// Edges that have not confirmed.
    waiting_for: Vec<Waiting>,
    confirmed_by: Vec<Confirmed>,
    /// Edges that were forgotten themselves before they had confirmed.
    dropped: Vec<EdgeId>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ErasureState)]
enum Progress {
    /// Edges are waited for.
    Pending,
    Done,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EdgeToForget)]
struct Waiting {
    edge_id: EdgeId,
    since: Timestamp,
    because: Because,
    last_seen: Timestamp,
}

#[derive(Serialize, ToSchema)]
#[schema(as = WhyWaiting)]
enum Because {
    /// It is told, and has not answered yet.
    Told,
    /// It is of a release that cannot be told.
    TooOld,
    /// It is not connected.
    Away,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EdgeThatForgot)]
struct Confirmed {
    edge_id: EdgeId,
    at: Timestamp,
}

impl ErasureView {
    pub(super) fn new(erasure: Erasure, now: Timestamp) -> Self {
        let mut view = Self {
            erasure_id: erasure.id,
            state: match erasure.done_at {
                Some(_) => Progress::Done,
                None => Progress::Pending,
            },
            requested_by: erasure.requested_by,
            requested_at: erasure.requested_at,
            done_at: erasure.done_at,
            tokens_revoked: erasure.tokens,
            listed_in: erasure.segments,
            waiting_for: Vec::new(),
            confirmed_by: Vec::new(),
            dropped: Vec::new(),
        };
        for (edge_id, standing) in erasure.edges {
            match standing {
                Standing::Confirmed(at) => view.confirmed_by.push(Confirmed { edge_id, at }),
                Standing::Dropped(_) => view.dropped.push(edge_id),
                Standing::Awaited {
                    connected,
                    last_seen,
                    signed_off,
                    capabilities,
                } => {
                    let here = presence(last_seen, signed_off, now) == Presence::Live;
                    let because = match capabilities.iter().any(|known| known == FORGET) {
                        false => Because::TooOld,
                        true if connected && here => Because::Told,
                        true => Because::Away,
                    };
                    view.waiting_for.push(Waiting {
                        edge_id,
                        since: view.requested_at,
                        because,
                        last_seen,
                    });
                }
            }
        }
        view
    }
}

/// A name that a player may have. One with a NUL is nowhere stored.
pub(super) fn player(name: String) -> Result<String, ApiError> {
    let mut checks = Checks::default();
    let fits = (1..=MAX_KEY).contains(&name.len()) && !name.contains('\0');
    let message = format!("must have 1 to {MAX_KEY} bytes, none of them NUL");
    checks.require(fits, "playerId", message);
    checks.finish()?;
    Ok(name)
}

type Accepted = (StatusCode, [(HeaderName, String); 1], Json<ErasureView>);

/// Forgets a player. Asked again before that is done, it is the same erasure.
#[utoipa::path(
    delete,
    path = "/players/{playerId}",
    params(("playerId" = String, Path)),
    responses((status = 202, description = "It is done once every edge registered now has confirmed.", body = ErasureView,
        headers(("Location" = String, description = "Where its progress is told."))))
)]
async fn erase(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Accepted, ApiError> {
    let name = player(name)?;
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let (id, begins) = begin(&api, &mut tx, &caller, &name, now).await?;
    let revoked = players::withdraw_tokens(&mut tx, &name, id, now).await?;
    erasures::add_tokens(&mut tx, id, revoked).await?;
    erasures::settle(&mut tx, id, now).await?;
    let erasure = found(&mut tx, id, now).await?;
    if begins || revoked > 0 {
        let after = json!({
            "tokensRevoked": revoked,
            "listedIn": erasure.listed_in,
            "edges": erasure.waiting_for.len() + erasure.confirmed_by.len(),
        });
        let (deed, states) = (id.to_string(), (NOTHING, Some(after)));
        record(&mut tx, &caller, ("player.erase", &deed), states, now).await?;
    }
    if revoked > 0 {
        // The serial last: it is one row for everybody, held until the commit.
        tokens::raise_trust_serial(&mut tx, now).await?;
    }
    commit(tx).await?;
    if revoked > 0 {
        api.heed_revocations().await;
    }
    let location = format!("/api/v1/erasures/{id}");
    Ok((
        StatusCode::ACCEPTED,
        [(header::LOCATION, location)],
        Json(erasure),
    ))
}

/// The player's erasure that is not done, locked, or a new one; and whether it is new.
async fn begin(
    api: &Api,
    conn: &mut PgConnection,
    caller: &Caller,
    name: &str,
    now: Timestamp,
) -> Result<(ErasureId, bool), ApiError> {
    let known_as = api.names.all(name);
    if let Some(id) = erasures::lock_pending(conn, &known_as).await? {
        return Ok((id, false));
    }
    let mut segments: Vec<SegmentId> = Vec::new();
    for listing in players::listed_in(conn, name).await? {
        segments.push(listing.segment);
    }
    segments.dedup();
    let new = New {
        id: ErasureId(Uuid::now_v7()),
        player: name,
        hash: api.names.hash(name),
        requested_by: caller.subject(),
        segments: &segments,
    };
    if erasures::insert(conn, &new, now).await? {
        return Ok((new.id, true));
    }
    // Somebody asked at the same moment, and was waited for.
    let other = erasures::lock_pending(conn, &known_as).await?;
    let id = other.ok_or_else(|| {
        ApiError::Conflict("the player's erasure was done just now; ask again".to_owned())
    })?;
    Ok((id, false))
}

/// How far an erasure has come.
#[utoipa::path(
    get,
    path = "/erasures/{id}",
    params(("id" = ErasureId, Path)),
    responses((status = 200, description = "The record. It names no player.", body = ErasureView))
)]
async fn show(
    State(api): State<Api>,
    Path(id): Path<ErasureId>,
) -> Result<Json<ErasureView>, ApiError> {
    let mut tx = store::begin_snapshot(&api.pool).await?;
    found(&mut tx, id, api.clock.now()).await.map(Json)
}

async fn found(
    conn: &mut PgConnection,
    id: ErasureId,
    now: Timestamp,
) -> Result<ErasureView, ApiError> {
    let erasure = erasures::find(conn, id).await?;
    let erasure = erasure.ok_or_else(|| ApiError::not_found("erasure", &id))?;
    Ok(ErasureView::new(erasure, now))
}
