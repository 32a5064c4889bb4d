//! `/schemas/{name}`: what a studio demands of configurations, as a JSON Schema for an event type or a category.
//!
//! It is applied to events whose type or category is its name, from their next edit or deployment on. What is served
//! stays as it is.

use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use liveevents_protocol::json_text::JsonText;
use liveevents_service::http::{ApiError, Caller, Json, Path};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::access::Routes;
use super::record::{NOTHING, record};
use super::roles::{ADMINS, PEOPLE};
use super::{Api, commit};
use crate::event::json_schema::Schema;
use crate::limits::{MAX_SCHEMAS, MAX_TAG};
use crate::store;
use crate::store::schemas::{self, Registered};

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(PEOPLE, routes!(list))
        .add(PEOPLE, routes!(show))
        .add(ADMINS, routes!(put, delete))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewSchema {
    /// A JSON Schema of draft 7, 2019-09 or 2020-12 that refers to nothing outside itself.
    schema: JsonText,
}

/// A schema as it is registered.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ConfigurationSchema)]
struct View {
    /// The event type or category that it is for.
    name: String,
    #[serde(flatten)]
    about: About,
    schema: JsonText,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AboutSchema)]
struct About {
    /// The draft that it is read by, as `$schema` names it.
    draft: String,
    updated_at: Timestamp,
    updated_by: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = NamedSchema)]
struct Named {
    name: String,
    #[serde(flatten)]
    about: About,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SchemaList)]
struct Listed {
    /// By name, without the schemas themselves.
    schemas: Vec<Named>,
}

impl From<Registered> for View {
    fn from(one: Registered) -> Self {
        Self {
            name: one.name,
            about: About {
                draft: one.dialect,
                updated_at: one.at,
                updated_by: one.by,
            },
            schema: one.schema,
        }
    }
}

/// What the studio demands of configurations.
#[utoipa::path(
    get,
    path = "/schemas",
    responses((status = 200, description = "All, by name.", body = Listed))
)]
async fn list(State(api): State<Api>) -> Result<Json<Listed>, ApiError> {
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let all = schemas::list(&mut tx).await?.into_iter();
    let schemas = all.map(|(name, draft, updated_at, updated_by)| Named {
        name,
        about: About {
            draft,
            updated_at,
            updated_by,
        },
    });
    Ok(Json(Listed {
        schemas: schemas.collect(),
    }))
}

/// The schema for an event type or category.
#[utoipa::path(
    get,
    path = "/schemas/{name}",
    responses((status = 200, description = "The schema.", body = View))
)]
async fn show(State(api): State<Api>, Path(name): Path<String>) -> Result<Json<View>, ApiError> {
    check(&name)?;
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let found = find(&mut tx, &name).await?;
    let found = found.ok_or_else(|| ApiError::not_found("schema for", &name))?;
    Ok(Json(found.into()))
}

/// Registers a JSON Schema for an event type or category.
#[utoipa::path(
    put,
    path = "/schemas/{name}",
    responses((status = 200, description = "As it is registered.", body = View))
)]
async fn put(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
    Json(new): Json<NewSchema>,
) -> Result<Json<View>, ApiError> {
    check(&name)?;
    let text = new.schema.clone();
    let read = api.inspector.apart(move || Schema::new(&text)).await?;
    let now = api.clock.now();
    let registered = Registered {
        dialect: read?.dialect().to_string(),
        schema: new.schema,
        by: caller.subject().to_owned(),
        at: now,
        name,
    };
    let mut tx = api.begin().await?;
    let before = find(&mut tx, &registered.name).await?;
    if schemas::put(&mut tx, &registered).await? > MAX_SCHEMAS {
        return Err(ApiError::Conflict(format!(
            "there are {MAX_SCHEMAS} schemas already, and no room for another"
        )));
    }
    let states = (before.map(|one| one.schema), Some(&registered.schema));
    let subject = registered.name.clone();
    record(&mut tx, &caller, ("schema.put", &subject), states, now).await?;
    commit(tx).await?;
    Ok(Json(registered.into()))
}

/// Demands nothing more.
#[utoipa::path(
    delete,
    path = "/schemas/{name}",
    responses((status = 204, description = "Gone."))
)]
async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    check(&name)?;
    let mut tx = api.begin().await?;
    let before = find(&mut tx, &name).await?;
    if !schemas::delete(&mut tx, &name).await? {
        return Err(ApiError::not_found("schema for", &name));
    }
    let states = (before.map(|one| one.schema), NOTHING);
    let now = api.clock.now();
    record(&mut tx, &caller, ("schema.delete", &name), states, now).await?;
    commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn find(conn: &mut PgConnection, name: &str) -> Result<Option<Registered>, ApiError> {
    let mut found = schemas::find(conn, &[name.to_owned()]).await?;
    Ok(found.pop())
}

/// A type's name, or what a category may be called.
fn check(name: &str) -> Result<(), ApiError> {
    let length = name.chars().count();
    if name.trim().is_empty() || length > MAX_TAG || name.chars().any(char::is_control) {
        let message =
            format!("must be an event type, or a category of at most {MAX_TAG} characters");
        return Err(ApiError::field("name", message));
    }
    Ok(())
}
