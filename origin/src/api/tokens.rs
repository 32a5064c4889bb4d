//! Service tokens: made, listed, revoked. A token is shown once and never stored.
//!
//! A token that has a person's role speaks under a name that is nobody's, so that the audit log tells scripts from
//! people. Only a player's says more than who its bearer is: what is signed of a player decides what the player is shown.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use liveevents_protocol::attribute::{Attribute, Number};
use liveevents_protocol::id::{RegionId, TokenId};
use liveevents_protocol::model::BucketBy;
use liveevents_service::http::{ApiError, Caller, Checks, Json, Path, Query};
use liveevents_service::limits::{MAX_CLAIM, MAX_TOKEN};
use liveevents_service::token::{Claims, Role};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::access::Routes;
use super::document::IdempotencyKey;
use super::once::read_key;
use super::page::page;
use super::record::{NOTHING, record};
use super::roles::ADMINS;
use super::{Api, commit};
use crate::limits::{MAX_MAPPED_ATTRIBUTES, MAX_MAPPED_KEYS, MAX_MAPPED_NAME, MAX_TOKEN_LIFE};
use crate::store::tokens::{self, Filter, KEY_IS_USED, PlayerClaims, Purpose, Token};
use crate::store::{self, regions, users};

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(ADMINS, routes!(list))
        .add(ADMINS, routes!(create))
        .add(ADMINS, routes!(revoke))
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewToken {
    role: Role,
    subject: String,
    #[serde(default)]
    regions: Vec<RegionId>,
    expires_at: Option<Timestamp>,
    expires_in: Option<String>,
    claims: Option<Said>,
}

/// Of a player.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = SaidOfPlayer)]
struct Said {
    #[serde(default)]
    attributes: BTreeMap<String, Value>,
    #[serde(default)]
    keys: BTreeMap<String, String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    role: Option<Role>,
    subject: Option<String>,
    created_by: Option<String>,
    region: Option<RegionId>,
    /// Those that are neither expired nor revoked, or all.
    good: Option<bool>,
    limit: Option<u32>,
    offset: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Token)]
pub(super) struct View {
    token_id: TokenId,
    role: Role,
    subject: String,
    regions: Vec<RegionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    claims: Option<PlayerClaims>,
    created_by: String,
    created_at: Timestamp,
    expires_at: Timestamp,
    revoked_at: Option<Timestamp>,
    /// Only in the answer to its creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TokenList)]
struct Tokens {
    tokens: Vec<View>,
    total: u64,
    limit: u32,
    offset: u32,
}

/// Makes a service token; it is shown once.
#[utoipa::path(
    post,
    path = "/tokens",
    params(IdempotencyKey),
    responses((status = 201, description = "Created.", body = View))
)]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    headers: HeaderMap,
    Json(mut new): Json<NewToken>,
) -> Result<(StatusCode, Json<View>), ApiError> {
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let mut checks = Checks::default();
    let life = life(&new, now, &mut checks);
    let key = read_key(&headers, &mut checks);
    let (attributes, keys) = said(&mut new, &mut checks);
    new.regions.sort();
    new.regions.dedup();
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
    if new.role.is_person() && users::exists(&mut tx, subject).await? {
        return Err(ApiError::Conflict(format!(
            "{subject} is a person: give the token a subject of its own, so that the audit log tells them apart"
        )));
    }
    let purpose = Purpose::Service {
        idempotency_key: key.as_deref(),
    };
    let claims = Claims {
        attributes,
        keys,
        ..api.issuer.claims(subject, new.role, new.regions, life, now)
    };
    let token = api.issuer.sign(&claims).map_err(ApiError::internal)?;
    let mut checks = Checks::default();
    let message = format!("must be fewer or shorter: the token may have {MAX_TOKEN} bytes");
    checks.require(token.len() <= MAX_TOKEN, "claims", message);
    checks.finish()?;
    match tokens::insert(&mut tx, &claims, purpose, caller.subject()).await {
        Err(error) if error.violates(KEY_IS_USED) => {
            let message = "a token was made under this Idempotency-Key, and is shown only once";
            return Err(ApiError::Conflict(message.to_owned()));
        }
        done => done?,
    }
    let view = view_new(&claims, caller.subject());
    let id = claims.id.to_string();
    let (deed, states) = (
        ("token.create", id.as_str()),
        (NOTHING, Some(recorded(&view)?)),
    );
    record(&mut tx, &caller, deed, states, now).await?;
    commit(tx).await?;
    Ok((
        StatusCode::CREATED,
        Json(View {
            token: Some(token),
            ..view
        }),
    ))
}

/// What it is to say of a player.
fn said(
    new: &mut NewToken,
    checks: &mut Checks,
) -> (BTreeMap<String, Attribute>, BTreeMap<String, String>) {
    let Some(said) = new.claims.take() else {
        return Default::default();
    };
    checks.require(
        new.role == Role::Player,
        "claims",
        "must be left out but for a Player",
    );
    let few = said.attributes.len() <= MAX_MAPPED_ATTRIBUTES && said.keys.len() <= MAX_MAPPED_KEYS;
    let message =
        format!("must be {MAX_MAPPED_ATTRIBUTES} attributes and {MAX_MAPPED_KEYS} keys at most");
    checks.require(few, "claims", message);
    let plain = |text: &str| !text.chars().any(char::is_control);
    let named = |name: &str| plain(name) && (1..=MAX_MAPPED_NAME).contains(&name.len());
    let mut attributes = BTreeMap::new();
    for (name, value) in said.attributes {
        let field = format!("claims.attributes.{name:.100}");
        let value = match value {
            Value::Bool(flag) => Some(Attribute::Flag(flag)),
            Value::Number(number) => Number::try_from(&number).ok().map(Attribute::Number),
            Value::String(text) if plain(&text) && text.len() <= MAX_CLAIM => {
                Some(Attribute::Text(text))
            }
            Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        let message = format!(
            "must be true, false, a number or a text of {MAX_CLAIM} bytes, under a name of 1 to {MAX_MAPPED_NAME}"
        );
        checks.require(named(&name) && value.is_some(), field, message);
        attributes.extend(value.map(|value| (name, value)));
    }
    for (name, key) in &said.keys {
        let field = format!("claims.keys.{name:.100}");
        let value = plain(key) && (1..=MAX_CLAIM).contains(&key.len());
        let fits = named(name) && name != BucketBy::PLAYER && value;
        let message = format!(
            "must be 1 to {MAX_CLAIM} bytes, under a name of 1 to {MAX_MAPPED_NAME} that is not player"
        );
        checks.require(fits, field, message);
    }
    (attributes, said.keys)
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
        claims: PlayerClaims::of(claims),
        created_by: created_by.to_owned(),
        created_at: claims.issued_at,
        expires_at: claims.expires_at,
        revoked_at: None,
        token: None,
    }
}

/// What the audit log keeps of a token for good. Whose a player's is it does not: players may ask to be forgotten.
fn recorded(view: &View) -> Result<Value, ApiError> {
    let mut recorded = serde_json::to_value(view).map_err(ApiError::internal)?;
    if let (Role::Player, Some(fields)) = (view.role, recorded.as_object_mut()) {
        fields.remove("subject");
        fields.remove("claims");
    }
    Ok(recorded)
}

impl From<Token> for View {
    fn from(token: Token) -> Self {
        Self {
            token_id: token.id,
            role: token.role,
            subject: token.subject,
            regions: token.regions,
            claims: token.claims,
            created_by: token.created_by,
            created_at: token.created_at,
            expires_at: token.expires_at,
            revoked_at: token.revoked_at,
            token: None,
        }
    }
}

/// Service tokens, newest first.
#[utoipa::path(
    get,
    path = "/tokens",
    params(Asked),
    responses((status = 200, description = "A page.", body = Tokens))
)]
async fn list(
    State(api): State<Api>,
    Query(asked): Query<Asked>,
) -> Result<Json<Tokens>, ApiError> {
    let mut checks = Checks::default();
    let page = page(asked.limit, asked.offset, &mut checks);
    for (field, text) in [
        ("subject", &asked.subject),
        ("createdBy", &asked.created_by),
    ] {
        let sensible = !text.iter().any(|text| text.contains('\0'));
        checks.require(sensible, field, "must be text");
    }
    checks.finish()?;
    let filter = Filter {
        role: asked.role,
        subject: asked.subject,
        created_by: asked.created_by,
        region: asked.region,
        good_at: asked.good.unwrap_or(false).then(|| api.clock.now()),
    };
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let found = tokens::list(&mut tx, &filter, page).await?;
    Ok(Json(Tokens {
        tokens: found.items.into_iter().map(View::from).collect(),
        total: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}

/// Revokes a token: it is refused within seconds, everywhere.
#[utoipa::path(
    delete,
    path = "/tokens/{id}",
    params(("id" = TokenId, Path)),
    responses((status = 204, description = "It is revoked."))
)]
async fn revoke(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<TokenId>,
) -> Result<StatusCode, ApiError> {
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let token = tokens::lock(&mut tx, id).await?;
    let token = token.ok_or_else(|| ApiError::not_found("token", &id))?;
    if token.revoked_at.is_some() {
        return Ok(StatusCode::NO_CONTENT);
    }
    tokens::revoke(&mut tx, id, now).await?;
    let before = recorded(&View::from(token))?;
    let subject = id.to_string();
    let deed = ("token.revoke", subject.as_str());
    record(&mut tx, &caller, deed, (Some(before), NOTHING), now).await?;
    // The serial last: it is one row for everybody, held until the commit.
    tokens::raise_trust_serial(&mut tx, now).await?;
    commit(tx).await?;
    api.heed_revocations().await;
    Ok(StatusCode::NO_CONTENT)
}
