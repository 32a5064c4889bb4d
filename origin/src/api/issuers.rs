//! The studio's own issuers of its players' tokens: described, listed, removed.
//!
//! An issuer's key set is not asked for here: the answer comes at once, and the keys within moments. Until then, and
//! wherever they cannot be had, the issuer's own page says so.

use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use liveevents_service::http::{ApiError, Caller, Json, Path};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::access::Routes;
use super::record::{NOTHING, record};
use super::roles::ADMINS;
use super::{Api, commit};
use crate::limits::MAX_ISSUERS;
use crate::store::issuers::{self, ISSUER_IS_TAKEN, Issuer};
use crate::store::{regions, tokens};
use crate::studio::{Algorithm, Description, is_name};

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(ADMINS, routes!(list))
        .add(ADMINS, routes!(show, put, remove))
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Issuer)]
struct View {
    issuer_id: String,
    #[serde(flatten)]
    description: Description,
    /// Those that its tokens may be signed with.
    believed_keys: Vec<Key>,
    /// When its key set was last had.
    fetched_at: Option<Timestamp>,
    /// When it last could not be, if that was later, and why.
    failure: Option<Failure>,
    created_at: Timestamp,
    updated_at: Timestamp,
    updated_by: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = BelievedKey)]
struct Key {
    kid: String,
    algorithm: Algorithm,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FetchFailure)]
struct Failure {
    at: Timestamp,
    problem: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = IssuerList)]
struct Issuers {
    issuers: Vec<View>,
}

impl From<Issuer> for View {
    fn from(issuer: Issuer) -> Self {
        let read = issuer.keys.iter().filter_map(|key| key.read().ok());
        let ours =
            read.filter(|(_, algorithm, _)| issuer.description.algorithms.contains(algorithm));
        let keys = ours.map(|(kid, algorithm, _)| Key { kid, algorithm });
        Self {
            believed_keys: keys.collect(),
            issuer_id: issuer.id,
            description: issuer.description,
            fetched_at: issuer.fetched_at,
            failure: issuer.failure.map(|(at, problem)| Failure { at, problem }),
            created_at: issuer.created_at,
            updated_at: issuer.updated_at,
            updated_by: issuer.updated_by,
        }
    }
}

/// The studio's own issuers of players' tokens.
#[utoipa::path(
    get,
    path = "/issuers",
    responses((status = 200, description = "All of them.", body = Issuers))
)]
async fn list(State(api): State<Api>) -> Result<Json<Issuers>, ApiError> {
    let mut tx = api.begin().await?;
    let issuers = issuers::list(&mut tx).await?.into_iter();
    Ok(Json(Issuers {
        issuers: issuers.map(View::from).collect(),
    }))
}

/// One issuer.
#[utoipa::path(
    get,
    path = "/issuers/{id}",
    responses((status = 200, description = "The issuer.", body = View))
)]
async fn show(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<View>, ApiError> {
    let mut tx = api.begin().await?;
    let found = if is_name(&id) {
        issuers::find(&mut tx, &id).await?
    } else {
        None
    };
    let found = found.ok_or_else(|| ApiError::not_found("issuer", &id))?;
    Ok(Json(found.into()))
}

/// Describes an issuer, new or known.
#[utoipa::path(
    put,
    path = "/issuers/{id}",
    responses((status = 200, description = "It is changed.", body = View), (status = 201, description = "Created.", body = View))
)]
async fn put(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
    Json(description): Json<Description>,
) -> Result<(StatusCode, Json<View>), ApiError> {
    let mut faults = description.faults();
    if !is_name(&id) {
        faults.add("id", "must be 1 to 64 of a-z, 0-9 and -");
    }
    if let Some(url) = &description.jwks_url {
        faults.take("jwksUrl", api.outbound.address(url));
    }
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    for unknown in regions::unknown(&mut tx, &description.regions).await? {
        faults.add("regions", format!("there is no region {unknown}"));
    }
    faults.or_ok()?;
    let others = issuers::lock(&mut tx).await?;
    let before = issuers::find(&mut tx, &id).await?;
    if before.is_none() && others >= MAX_ISSUERS {
        let message =
            format!("there are {MAX_ISSUERS} issuers already, which is as many as there may be");
        return Err(ApiError::Conflict(message));
    }
    match issuers::put(&mut tx, &id, &description, caller.subject(), now).await {
        Err(error) if error.violates(ISSUER_IS_TAKEN) => {
            let message = format!("another issuer is {} already", description.issuer);
            return Err(ApiError::Conflict(message));
        }
        done => done?,
    }
    let after = issuers::find(&mut tx, &id).await?;
    let after = View::from(after.ok_or_else(|| ApiError::not_found("issuer", &id))?);
    let created = before.is_none();
    let before = before.map(View::from);
    let deed = ("issuer.put", id.as_str());
    record(&mut tx, &caller, deed, (before, Some(&after)), now).await?;
    tokens::raise_trust_serial(&mut tx, now).await?;
    commit(tx).await?;
    api.heed_revocations().await;
    let status = if created {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((status, Json(after)))
}

/// Removes an issuer: its tokens are refused within seconds.
#[utoipa::path(
    delete,
    path = "/issuers/{id}",
    responses((status = 204, description = "Gone."))
)]
async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    issuers::lock(&mut tx).await?;
    let before = if is_name(&id) {
        issuers::find(&mut tx, &id).await?
    } else {
        None
    };
    let before = before.ok_or_else(|| ApiError::not_found("issuer", &id))?;
    issuers::delete(&mut tx, &id).await?;
    let deed = ("issuer.delete", id.as_str());
    let states = (Some(View::from(before)), NOTHING);
    record(&mut tx, &caller, deed, states, now).await?;
    tokens::raise_trust_serial(&mut tx, now).await?;
    commit(tx).await?;
    api.heed_revocations().await;
    Ok(StatusCode::NO_CONTENT)
}
