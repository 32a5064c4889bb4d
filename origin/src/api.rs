//! The REST API: a file per resource. Extract, call, respond; what is decided is decided elsewhere.
//!
//! Every handler says first who may ask. Whatever changes something writes the audit log in the same
//! transaction, and answers only after the commit.

mod access;
mod admin;
mod audit;
mod authentication;
mod calendar;
mod catalog;
mod changes;
mod deployments;
mod document;
mod edges;
mod error;
mod events;
mod gate;
mod health;
mod issuers;
mod life;
mod once;
mod page;
mod players;
mod precondition;
mod record;
mod regions;
mod roles;
mod schemas;
mod segments;
mod stop;
mod tokens;
mod users;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware::from_fn_with_state;
use liveevents_service::clock::Clock;
use liveevents_service::http::{ApiError, Authority};
use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres, Transaction};

use crate::erasure::Names;
use crate::inspect::Inspector;
use crate::issuer::Issuer;
use crate::login::Logins;
use crate::metrics::ApiMetrics;
use crate::outbound::Outbound;
use crate::password::Passwords;
use crate::quotas::Quotas;
use crate::store::StoreError;
use crate::store::database_clock::DatabaseClock;
use crate::trust::Keeper;

use access::Routes;
use gate::Gate;

/// What handlers work with. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// Postgres.
    pub pool: PgPool,
    /// The time.
    pub clock: Clock,
    /// The time by which events are judged to have gone on.
    pub time: DatabaseClock,
    /// Judges tokens.
    pub authority: Authority,
    /// Makes tokens.
    pub issuer: Issuer,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// Is told of revocations.
    pub trust: Keeper,
    /// Who may try to log in how often, and for how long it lasts.
    pub logins: Logins,
    /// How often one caller may ask for what.
    pub quotas: Quotas,
    /// What fingerprints of requests are keyed with.
    pub fingerprint_key: [u8; 32],
    /// What players who were forgotten are known by.
    pub names: Names,
    /// Judges addresses that are to be asked.
    pub outbound: Outbound,
    /// Whether only approved revisions are deployed.
    pub require_approval: bool,
    /// Judges events before they are accepted.
    pub inspector: Inspector,
    /// Whether nobody approves what they wrote themselves.
    pub four_eyes: bool,
    /// What is counted.
    pub metrics: ApiMetrics,
}

impl FromRef<Api> for Authority {
    fn from_ref(api: &Api) -> Self {
        api.authority.clone()
    }
}

impl Api {
    /// After a revocation: this replica judges by it before it answers, the others and the edges within
    /// moments. What is committed is not taken back because reading it again failed.
    async fn heed_revocations(&self) {
        if let Err(error) = self.trust.refresh().await {
            let error = liveevents_service::logs::chain(&error);
            tracing::warn!(error, "a revocation will be heeded later");
        }
    }

    async fn acquire(&self) -> Result<PoolConnection<Postgres>, ApiError> {
        let acquired = self.pool.acquire().await;
        Ok(acquired.map_err(StoreError::from)?)
    }

    async fn begin(&self) -> Result<Transaction<'static, Postgres>, ApiError> {
        let begun = self.pool.begin().await;
        Ok(begun.map_err(StoreError::from)?)
    }
}

async fn commit(tx: Transaction<'static, Postgres>) -> Result<(), ApiError> {
    Ok(tx.commit().await.map_err(StoreError::from)?)
}

/// All routes but `/metrics`, without the layers around them.
pub fn router(api: Api) -> Router {
    let (router, document, rules) = routes().split();
    let gate = Gate::new(api.clone(), rules);
    router
        .layer(from_fn_with_state(gate, gate::pass))
        .with_state(api)
        .merge(document::serve(document))
}

fn routes() -> Routes {
    let v1 = Routes::new()
        .merge(authentication::routes())
        .merge(tokens::routes())
        .merge(users::routes())
        .merge(issuers::routes())
        .merge(events::routes())
        .merge(calendar::routes())
        .merge(catalog::routes())
        .merge(schemas::routes())
        .merge(segments::routes())
        .merge(deployments::routes())
        .merge(stop::routes())
        .merge(changes::routes())
        .merge(players::routes())
        .merge(regions::routes())
        .merge(edges::routes())
        .merge(admin::routes())
        .merge(audit::routes());
    Routes::new().nest("/api/v1", v1).merge(health::routes())
}
