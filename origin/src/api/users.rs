//! People: who may log in, and as what.
//!
//! Whoever is removed, or given another role or password, is logged out everywhere: their sessions are
//! revoked in the same transaction. The last admin can be neither removed nor demoted.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use jiff::Timestamp;
use liveevents_service::http::{ApiError, Caller, Checks, Json, Path};
use liveevents_service::token::Role;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;

use super::record::{NOTHING, record};
use super::roles::ADMINS;
use super::{Api, commit};
use crate::password;
use crate::store::tokens;
use crate::store::users::{self, NAME_IS_TAKEN, User};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/users", get(list).post(create))
        .route("/users/{username}", get(show).put(update).delete(remove))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewUser {
    username: String,
    password: SecretString,
    role: Role,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Edit {
    password: Option<SecretString>,
    role: Option<Role>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View {
    username: String,
    role: Role,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Serialize)]
struct Users {
    users: Vec<View>,
}

impl From<User> for View {
    fn from(user: User) -> Self {
        Self {
            username: user.username,
            role: user.role,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }
}

async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<Users>, ApiError> {
    caller.require(ADMINS)?;
    let mut tx = api.begin().await?;
    let users = users::list(&mut tx).await?.into_iter().map(View::from);
    Ok(Json(Users {
        users: users.collect(),
    }))
}

async fn show(
    State(api): State<Api>,
    caller: Caller,
    Path(username): Path<String>,
) -> Result<Json<View>, ApiError> {
    caller.require(ADMINS)?;
    let mut tx = api.begin().await?;
    Ok(Json(find(&mut tx, &username).await?.into()))
}

async fn find(conn: &mut PgConnection, username: &str) -> Result<User, ApiError> {
    let found = users::find(conn, username).await?;
    found.ok_or_else(|| ApiError::not_found("user", username))
}

async fn create(
    State(api): State<Api>,
    caller: Caller,
    Json(new): Json<NewUser>,
) -> Result<(StatusCode, Json<View>), ApiError> {
    caller.require(ADMINS)?;
    let mut checks = Checks::default();
    checks.take("username", password::check_username(&new.username));
    checks.take("password", password::check(&new.password));
    check_role(&mut checks, new.role);
    checks.finish()?;
    let hash = api.passwords.hash(new.password).await?;
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    match users::insert(&mut tx, &new.username, &hash, new.role, now).await {
        Err(error) if error.violates(NAME_IS_TAKEN) => {
            return Err(ApiError::Conflict(format!(
                "there is a user {} already",
                new.username
            )));
        }
        done => done?,
    }
    let deed = ("user.create", new.username.as_str());
    record(
        &mut tx,
        &caller,
        deed,
        (NOTHING, Some(json!({ "role": new.role }))),
        now,
    )
    .await?;
    commit(tx).await?;
    let view = View {
        username: new.username,
        role: new.role,
        created_at: now,
        updated_at: now,
    };
    Ok((StatusCode::CREATED, Json(view)))
}

fn check_role(checks: &mut Checks, role: Role) {
    let message = "must be a person's: Admin, Operator, GameDesigner or Developer";
    checks.require(role.is_person(), "role", message);
}

async fn update(
    State(api): State<Api>,
    caller: Caller,
    Path(username): Path<String>,
    Json(edit): Json<Edit>,
) -> Result<Json<View>, ApiError> {
    caller.require(ADMINS)?;
    let mut checks = Checks::default();
    if let Some(password) = &edit.password {
        checks.take("password", password::check(password));
    }
    if let Some(role) = edit.role {
        check_role(&mut checks, role);
    }
    checks.finish()?;
    let changes_password = edit.password.is_some();
    let hash = match edit.password {
        Some(password) => Some(api.passwords.hash(password).await?),
        None => None,
    };
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let admins = users::lock_admins(&mut tx).await?;
    let before = find(&mut tx, &username).await?;
    let role = edit.role.unwrap_or(before.role);
    if role != Role::Admin {
        keep_one(&admins, &username)?;
    }
    users::update(&mut tx, &username, hash.as_deref(), edit.role, now).await?;
    if changes_password || role != before.role {
        log_out(&mut tx, &username, now).await?;
    }
    let after = json!({ "role": role, "newPassword": changes_password });
    let states = (Some(json!({ "role": before.role })), Some(after));
    record(&mut tx, &caller, ("user.update", &username), states, now).await?;
    commit(tx).await?;
    api.heed_revocations().await;
    Ok(Json(View {
        role,
        updated_at: now,
        ..before.into()
    }))
}

async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Path(username): Path<String>,
) -> Result<StatusCode, ApiError> {
    caller.require(ADMINS)?;
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let admins = users::lock_admins(&mut tx).await?;
    let before = find(&mut tx, &username).await?;
    keep_one(&admins, &username)?;
    users::delete(&mut tx, &username).await?;
    log_out(&mut tx, &username, now).await?;
    let states = (Some(json!({ "role": before.role })), NOTHING);
    record(&mut tx, &caller, ("user.delete", &username), states, now).await?;
    commit(tx).await?;
    api.heed_revocations().await;
    Ok(StatusCode::NO_CONTENT)
}

fn keep_one(admins: &[String], username: &str) -> Result<(), ApiError> {
    match admins {
        [last] if last == username => {
            Err(ApiError::Conflict(format!("{username} is the last admin")))
        }
        _ => Ok(()),
    }
}

async fn log_out(conn: &mut PgConnection, username: &str, now: Timestamp) -> Result<(), ApiError> {
    tokens::revoke_sessions(conn, username, now).await?;
    tokens::raise_trust_serial(conn, now).await?;
    Ok(())
}
