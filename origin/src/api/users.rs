//! People: who may log in, and as what.
//!
//! Whoever is removed, or given another role or password, is logged out everywhere: their sessions are
//! revoked in the same transaction. The last admin can be neither removed nor demoted.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use liveevents_service::http::{ApiError, Caller, Checks, Json, Path, Query};
use liveevents_service::token::Role;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::access::{Access, Routes};
use super::once::{Claimed, Once};
use super::page::page;
use super::record::{NOTHING, record};
use super::roles::ADMINS;
use super::{Api, commit};
use crate::password;
use crate::store::users::{self, NAME_IS_TAKEN, User};
use crate::store::{self, tokens};

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(ADMINS, routes!(list))
        .add(Access::to(ADMINS).once(), routes!(create))
        .add(ADMINS, routes!(show, update, remove))
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewUser {
    username: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    role: Role,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = UserEdit)]
struct Edit {
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretString>,
    role: Option<Role>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
struct View {
    username: String,
    role: Role,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    role: Option<Role>,
    limit: Option<u32>,
    offset: Option<u32>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = UserList)]
struct Users {
    users: Vec<View>,
    total: u64,
    limit: u32,
    offset: u32,
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

/// People who may log in.
#[utoipa::path(
    get,
    path = "/users",
    params(Asked),
    responses((status = 200, description = "A page, by name.", body = Users))
)]
async fn list(State(api): State<Api>, Query(asked): Query<Asked>) -> Result<Json<Users>, ApiError> {
    let mut checks = Checks::default();
    let page = page(asked.limit, asked.offset, &mut checks);
    checks.finish()?;
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let found = users::list(&mut tx, asked.role, page).await?;
    Ok(Json(Users {
        users: found.items.into_iter().map(View::from).collect(),
        total: found.total,
        limit: page.limit,
        offset: page.offset,
    }))
}

/// One of them.
#[utoipa::path(
    get,
    path = "/users/{username}",
    responses((status = 200, description = "The person.", body = View))
)]
async fn show(
    State(api): State<Api>,
    Path(username): Path<String>,
) -> Result<Json<View>, ApiError> {
    let mut tx = api.begin().await?;
    Ok(Json(find(&mut tx, &username).await?.into()))
}

async fn find(conn: &mut PgConnection, username: &str) -> Result<User, ApiError> {
    // Not every text may be asked of the database.
    let found = match password::check_username(username) {
        Ok(()) => users::find(conn, username).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| ApiError::not_found("user", username))
}

/// Lets somebody log in.
#[utoipa::path(
    post,
    path = "/users",
    responses((status = 201, description = "Created.", body = View))
)]
async fn create(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Json(new): Json<NewUser>,
) -> Result<Response, ApiError> {
    let mut checks = Checks::default();
    checks.take("username", password::check_username(&new.username));
    checks.take("password", password::check(&new.password));
    check_not_name(&mut checks, &new.password, &new.username);
    check_role(&mut checks, new.role);
    checks.finish()?;
    let hash = api.passwords.hash(new.password).await?;
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let claim = match once.claim(&mut tx, now).await? {
        Claimed::Now(claim) => claim,
        Claimed::Before(answer) => return Ok(answer),
    };
    if tokens::speaks_as(&mut tx, &new.username, now).await? {
        return Err(ApiError::Conflict(format!(
            "a service token speaks as {}: the audit log could not tell the two apart",
            new.username
        )));
    }
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
    let view = View {
        username: new.username,
        role: new.role,
        created_at: now,
        updated_at: now,
    };
    let answer = claim.keep(&mut tx, view.into()).await?;
    commit(tx).await?;
    Ok(answer)
}

fn check_not_name(checks: &mut Checks, password: &SecretString, username: &str) {
    let differs = !password.expose_secret().eq_ignore_ascii_case(username);
    checks.require(differs, "password", "must not be the user name");
}

fn check_role(checks: &mut Checks, role: Role) {
    let message = "must be a person's: Admin, Operator, GameDesigner or Developer";
    checks.require(role.is_person(), "role", message);
}

/// Changes role or password, and logs the person out.
#[utoipa::path(
    put,
    path = "/users/{username}",
    responses((status = 200, description = "The person as they are now.", body = View))
)]
async fn update(
    State(api): State<Api>,
    caller: Caller,
    Path(username): Path<String>,
    Json(edit): Json<Edit>,
) -> Result<Json<View>, ApiError> {
    let mut checks = Checks::default();
    if let Some(password) = &edit.password {
        checks.take("password", password::check(password));
        check_not_name(&mut checks, password, &username);
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

/// Removes a person, and logs them out.
#[utoipa::path(
    delete,
    path = "/users/{username}",
    responses((status = 204, description = "Gone."))
)]
async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Path(username): Path<String>,
) -> Result<StatusCode, ApiError> {
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
