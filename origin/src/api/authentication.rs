//! Logging in.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use jiff::Timestamp;
use liveevents_service::http::{ApiError, Json};
use liveevents_service::token::Role;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::{Api, commit};
use crate::limits::SESSION;
use crate::store::tokens::{self, Purpose};
use crate::store::users;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/authentication/login", post(login))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Login {
    username: String,
    password: SecretString,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LoggedIn {
    token: String,
    expires_at: Timestamp,
    user: Identity,
}

#[derive(Serialize)]
struct Identity {
    username: String,
    role: Role,
}

async fn login(
    State(api): State<Api>,
    Json(login): Json<Login>,
) -> Result<Json<LoggedIn>, ApiError> {
    let mut tx = api.begin().await?;
    let found = users::credentials(&mut tx, &login.username).await?;
    // No connection is held while the password is hashed: logins may queue for that.
    commit(tx).await?;
    let hash = found.as_ref().map(|(_, hash)| hash.clone());
    let matches = api.passwords.verify(login.password, hash).await?;
    let mut tx = api.begin().await?;
    // Somebody may have removed or changed them meanwhile, and revoked the sessions there were.
    let unchanged = users::credentials(&mut tx, &login.username).await? == found;
    let Some((role, _)) = found.filter(|_| matches && unchanged) else {
        api.metrics.logins_refused.inc();
        return Err(ApiError::Unauthorized("the user name or password is wrong"));
    };
    let now = api.clock.now();
    let claims = api
        .issuer
        .claims(&login.username, role, Vec::new(), SESSION, now);
    tokens::forget_sessions(&mut tx, &login.username, now - SESSION).await?;
    tokens::insert(&mut tx, &claims, Purpose::Session, &login.username).await?;
    commit(tx).await?;
    api.metrics.logins.inc();
    Ok(Json(LoggedIn {
        token: api.issuer.sign(&claims).map_err(ApiError::internal)?,
        expires_at: claims.expires_at,
        user: Identity {
            username: login.username,
            role,
        },
    }))
}
