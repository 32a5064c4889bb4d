//! Keeps issuers' keys current: asks each key set's address every so often, and at once where an issuer is new.
//!
//! Edges ask nobody: they get keys in the trust bundle. A set that cannot be had, or has no usable key, changes nothing:
//! the last good keys stay in force, and the issuer's record says since when and why. A key that leaves the set leaves
//! the bundle with the next look; a new one is believed from then on, so a studio publishes it some minutes before it
//! signs with it. The origins take turns by moving the due moment on in the database.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use liveevents_protocol::backoff::Backoff;
use liveevents_service::clock::Clock;
use liveevents_service::logs::chain;
use sqlx::PgPool;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::jwk::{Jwk, SetError, read_set};
use crate::limits::{DATABASE_DEADLINE, ISSUER_POLL, ISSUER_RETRY, MAX_JWKS};
use crate::metrics::TrustMetrics;
use crate::outbound::{Outbound, OutboundError};
use crate::store::issuers::{self, Due};
use crate::store::{StoreError, tokens};
use crate::trust::Keeper;

/// Keeps issuers' keys current.
pub struct Refresh {
    /// Where issuers are.
    pub pool: PgPool,
    /// Who asks.
    pub outbound: Outbound,
    /// Is told of new keys, and tells of new issuers.
    pub trust: Keeper,
    /// How often a set is asked for.
    pub interval: Duration,
    /// The time.
    pub clock: Clock,
    /// What is counted.
    pub metrics: TrustMetrics,
}

/// Why a key set was not had.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    #[error("the answer was {0}")]
    Status(StatusCode),
    #[error(transparent)]
    Set(#[from] SetError),
}

impl Refresh {
    /// Until `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let mut changes = self.trust.subscribe();
        loop {
            let round = tokio::select! {
                () = shutdown.cancelled() => return,
                round = self.round() => round,
            };
            let wait = match round {
                Ok(()) => {
                    backoff.reset();
                    ISSUER_POLL
                }
                Err(error) => {
                    self.metrics.failures.inc();
                    let error = chain(&error);
                    warn!(error, "issuers cannot be looked at, trying again");
                    backoff.fail(rand::random())
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                // A new issuer changes the bundle. An error would mean that the keeper is gone, and with it this task.
                _ = changes.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Asks for every set that is due.
    ///
    /// # Errors
    /// If the database fails.
    ///
    /// # Cancel safety
    /// May be dropped at any await: what was claimed is due again soon.
    pub async fn round(&self) -> Result<(), StoreError> {
        while let Some(due) = within(self.claim()).await? {
            match self.fetch(&due).await {
                Ok(keys) => within(self.keep(&due, &keys)).await?,
                Err(error) => {
                    self.metrics.key_set_failures.inc();
                    let problem = chain(&error);
                    warn!(
                        issuer = due.id,
                        error = problem,
                        "an issuer's keys cannot be had; the last ones stay"
                    );
                    within(self.fail(&due, &problem)).await?;
                }
            }
        }
        Ok(())
    }

    async fn claim(&self) -> Result<Option<Due>, StoreError> {
        let mut conn = self.pool.acquire().await?;
        issuers::claim(&mut conn, ISSUER_RETRY).await
    }

    async fn fetch(&self, due: &Due) -> Result<Vec<Jwk>, FetchError> {
        let address = self.outbound.address(&due.jwks_url)?;
        let answered = self.outbound.ask(Method::GET, &address, MAX_JWKS).await?;
        if answered.status != StatusCode::OK {
            return Err(FetchError::Status(answered.status));
        }
        Ok(read_set(&answered.body)?)
    }

    async fn keep(&self, due: &Due, keys: &[Jwk]) -> Result<(), StoreError> {
        let mut tx = self.pool.begin().await?;
        let news = issuers::fetched(&mut tx, due, keys, self.interval).await?;
        if news {
            tokens::raise_trust_serial(&mut tx, self.clock.now()).await?;
        }
        tx.commit().await?;
        if news {
            info!(
                issuer = due.id,
                keys = keys.len(),
                "an issuer has other keys"
            );
            if let Err(error) = self.trust.refresh().await {
                let error = chain(&error);
                warn!(error, "an issuer's keys will be believed later");
            }
        }
        Ok(())
    }

    async fn fail(&self, due: &Due, problem: &str) -> Result<(), StoreError> {
        let mut conn = self.pool.acquire().await?;
        issuers::failed(&mut conn, due, problem).await
    }
}

async fn within<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match timeout(DATABASE_DEADLINE, work).await {
        Ok(done) => done,
        Err(_) => Err(sqlx::Error::PoolTimedOut.into()),
    }
}
