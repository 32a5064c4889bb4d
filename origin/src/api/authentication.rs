//! Logging in.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use liveevents_service::http::{ApiError, Json};
use liveevents_service::token::Role;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::access::{Access, Routes};
use super::{Api, commit};
use crate::login::Who;
use crate::login::network::{Home, client};
use crate::password;
use crate::store::tokens::{self, Purpose};
use crate::store::users;

pub(super) fn routes() -> Routes {
    Routes::new().add(Access::ANYONE.also(&[401, 429]), routes!(login))
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Login {
    username: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct LoggedIn {
    token: String,
    expires_at: Timestamp,
    user: Identity,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LoggedInUser)]
struct Identity {
    username: String,
    role: Role,
}

/// Where a request comes from. One that came by no connection, in process, comes from nowhere.
struct From(Home);

impl FromRequestParts<Api> for From {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let ip = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |ConnectInfo(peer)| {
            client(*peer, &parts.headers, api.logins.proxies())
        });
        Ok(Self(Home::of(ip)))
    }
}

/// Logs somebody in.
#[utoipa::path(
    post,
    path = "/authentication/login",
    responses((status = 200, description = "A token.", body = LoggedIn))
)]
async fn login(
    State(api): State<Api>,
    From(home): From,
    Json(login): Json<Login>,
) -> Result<Response, ApiError> {
    let limited = |_: &ApiError| api.metrics.logins_limited.inc();
    let allowance = api.logins.admit(home, Instant::now());
    let allowance = allowance.inspect_err(limited)?;
    let name = login.username.as_str();
    // No such name can be in the database, and not every text may be asked of it.
    let sensible = password::check_username(name).is_ok();
    let (mut found, mut known) = (None, false);
    if sensible {
        let mut tx = api.begin().await?;
        found = users::credentials(&mut tx, name).await?;
        known = users::knows_network(&mut tx, name, &home.to_string()).await?;
        // No connection is held while somebody waits, or the password is hashed: logins may queue for that.
        commit(tx).await?;
    }
    let who = Who {
        name,
        known: known.then_some(home),
    };
    let waited = api.logins.wait(who, api.clock.now()).await;
    waited.inspect_err(limited)?;
    let hash = found.as_ref().map(|(_, hash)| hash.clone());
    let matches = api.passwords.verify(login.password, hash).await?;
    let mut tx = api.begin().await?;
    // Somebody may have removed or changed them meanwhile, and revoked the sessions there were.
    let unchanged = sensible && users::credentials(&mut tx, name).await? == found;
    let now = api.clock.now();
    let Some((role, _)) = found.filter(|_| matches && unchanged) else {
        api.logins.failed(who, now);
        api.metrics.logins_refused.inc();
        return Err(ApiError::Unauthorized("the user name or password is wrong"));
    };
    api.logins.succeeded(who);
    let claims = api
        .issuer
        .claims(name, role, Vec::new(), api.logins.lifetime(), now);
    tokens::forget_sessions(&mut tx, name, now).await?;
    tokens::insert(&mut tx, &claims, Purpose::Session, name).await?;
    users::remember_network(&mut tx, name, &home.to_string(), now).await?;
    commit(tx).await?;
    api.metrics.logins.inc();
    let mut answer = Json(LoggedIn {
        token: api.issuer.sign(&claims).map_err(ApiError::internal)?,
        expires_at: claims.expires_at,
        user: Identity {
            username: login.username,
            role,
        },
    })
    .into_response();
    if let Some(allowance) = allowance {
        allowance.tell(answer.headers_mut());
    }
    Ok(answer)
}
