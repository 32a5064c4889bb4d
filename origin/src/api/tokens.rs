//! Service tokens: made, listed, revoked. A token is shown once and never stored.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use liveevents_protocol::id::{RegionId, TokenId};
use liveevents_service::http::{ApiError, Caller, Checks, Json, Path};
use liveevents_service::token::{Claims, Role};
use serde::{Deserialize, Serialize};

use super::record::{NOTHING, record};
use super::roles::ADMINS;
use super::{Api, commit};
use crate::limits::MAX_TOKEN_LIFE;
use crate::store::regions;
use crate::store::tokens::{self, KEY_IS_USED, Purpose};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/tokens", get(list).post(create))
        .route("/tokens/{id}", delete(revoke))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewToken {
    role: Role,
    subject: String,
    #[serde(default)]
    regions: Vec<RegionId>,
    expires_at: Option<Timestamp>,
    expires_in: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    token_id: TokenId,
    role: Role,
    subject: String,
    regions: Vec<RegionId>,
    created_by: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    revoked_at: Option<Timestamp>,
    /// Only in the answer to its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

#[derive(Serialize)]
struct Tokens {
    tokens: Vec<View>,
}

async fn create(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Json(new): Json<NewToken>,
) -> Result<(StatusCode, Json<View>), ApiError> {
    caller.require(ADMINS)?;
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let mut checks = Checks::default();
    let life = life(&new, now, &mut checks);
    let subject = new.subject.trim();
    let named = (1..=200).contains(&subject.len()) && !subject.chars().any(char::is_control);
    checks.require(
        named,
        "subject",
        "must be 1 to 200 characters, none of them control",
    );
    let placed = new.role.is_person() || !new.regions.is_empty();
    checks.require(
        placed,
        "regions",
        format!("must name those of this {}", new.role),
    );
    for unknown in regions::unknown(&mut tx, &new.regions).await? {
        checks.fault("regions", format!("there is no region {unknown}"));
    }
    checks.finish()?;
    let key = headers.get("idempotency-key");
    let key = key.map(|key| {
        key.to_str()
            .map_err(|_| ApiError::malformed("Idempotency-Key must be text"))
    });
    let purpose = Purpose::Service {
        idempotency_key: key.transpose()?,
    };
    let claims = api.issuer.claims(subject, new.role, new.regions, life, now);
    match tokens::insert(&mut tx, &claims, purpose, caller.subject()).await {
        Err(error) if error.violates(KEY_IS_USED) => {
            let message = "a token was made under this Idempotency-Key, and is shown only once";
            return Err(ApiError::Conflict(message.to_owned()));
        }
        done => done?,
    }
    let token = api.issuer.sign(&claims).map_err(ApiError::internal)?;
    let view = view_new(&claims, caller.subject());
    let id = claims.id.to_string();
    record(
        &mut tx,
        &caller,
        ("token.create", &id),
        (NOTHING, Some(&view)),
        now,
    )
    .await?;
    commit(tx).await?;
    Ok((
        StatusCode::CREATED,
        Json(View {
            token: Some(token),
            ..view
        }),
    ))
}

/// How long it is to live: until a moment or for a duration, one of the two.
fn life(new: &NewToken, now: Timestamp, checks: &mut Checks) -> SignedDuration {
    let life = match (&new.expires_at, &new.expires_in) {
        (Some(at), None) => Ok(("expiresAt", at.duration_since(now))),
        (None, Some(text)) => match duration(text) {
            Some(duration) => Ok(("expiresIn", duration)),
            None => Err(("expiresIn", "must be an ISO 8601 duration such as P90D")),
        },
        (None, None) => Err(("expiresAt", "must be given, or expiresIn")),
        (Some(_), Some(_)) => Err(("expiresIn", "must be left out where expiresAt is given")),
    };
    match life {
        Ok((field, life)) => {
            let least = SignedDuration::from_secs(1);
            let bounded = (least..=MAX_TOKEN_LIFE).contains(&life);
            checks.require(bounded, field, "must lie ahead, by five years at most");
            life
        }
        Err((field, message)) => {
            checks.fault(field, message);
            SignedDuration::ZERO
        }
    }
}

fn duration(text: &str) -> Option<SignedDuration> {
    let span: Span = text.parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
}

fn view_new(claims: &Claims, created_by: &str) -> View {
    View {
        token_id: claims.id,
        role: claims.role,
        subject: claims.subject.clone(),
        regions: claims.regions.clone(),
        created_by: created_by.to_owned(),
        created_at: claims.issued_at,
        expires_at: claims.expires_at,
        revoked_at: None,
        token: None,
    }
}

async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<Tokens>, ApiError> {
    caller.require(ADMINS)?;
    let mut tx = api.begin().await?;
    let tokens = tokens::list(&mut tx).await?.into_iter();
    let tokens = tokens.map(|token| View {
        token_id: token.id,
        role: token.role,
        subject: token.subject,
        regions: token.regions,
        created_by: token.created_by,
        created_at: token.created_at,
        expires_at: token.expires_at,
        revoked_at: token.revoked_at,
        token: None,
    });
    Ok(Json(Tokens {
        tokens: tokens.collect(),
    }))
}

async fn revoke(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<TokenId>,
) -> Result<StatusCode, ApiError> {
    caller.require(ADMINS)?;
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    if !tokens::revoke(&mut tx, id, now).await? {
        return Err(ApiError::not_found("token", &id));
    }
    tokens::raise_trust_serial(&mut tx, now).await?;
    let subject = id.to_string();
    record(
        &mut tx,
        &caller,
        ("token.revoke", &subject),
        (NOTHING, NOTHING),
        now,
    )
    .await?;
    commit(tx).await?;
    api.heed_revocations().await;
    Ok(StatusCode::NO_CONTENT)
}
