//! What tokens are judged by, kept current: our public keys, the revoked tokens, and the issuers of players' tokens.
//!
//! The keeper reads them from the database, signs the bundle for edges, publishes it by a watch
//! channel, and puts it into this process's own verifier. A notification carries nothing and may be
//! lost: whatever wakes the keeper, it reads the whole, and a slow poll is the net. The serial is read
//! first, so that a bundle never claims a serial whose revocations it lacks.
//!
//! Our keys are the one part that is not in the database: they come from each process's configuration. So each start
//! raises the serial, and edges that hold a bundle of an earlier start take the one with the keys of this one.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use liveevents_protocol::backoff::Backoff;
use liveevents_protocol::codec::EncodeError;
use liveevents_protocol::id::Installation;
use liveevents_protocol::trust::{SignedTrust, TrustBundle};
use liveevents_service::clock::Clock;
use liveevents_service::keys::Keyring;
use liveevents_service::logs::chain;
use liveevents_service::token::Verifier;
use liveevents_service::trust::TrustError;
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::limits::{DATABASE_DEADLINE, REVOCATION_MEMORY_HOURS, TRUST_POLL};
use crate::metrics::TrustMetrics;
use crate::store::{StoreError, issuers, tokens};

/// Keeps the trust bundle current. Clones share everything.
#[derive(Clone)]
pub struct Keeper {
    pool: PgPool,
    keys: Keyring,
    installation: Installation,
    clock: Clock,
    verifier: Arc<Verifier>,
    published: watch::Sender<Arc<SignedTrust>>,
    metrics: TrustMetrics,
}

/// Why the trust bundle could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The database did not say what is revoked.
    #[error("revocations could not be read")]
    Store(#[from] StoreError),
    /// It did not answer at all.
    #[error("the database did not answer in time")]
    TimedOut,
    /// So many revocations that they have no wire form.
    #[error("the trust bundle could not be encoded")]
    Encode(#[from] EncodeError),
    /// Our own verifier does not take it.
    #[error("the trust bundle was not taken")]
    Trust(#[from] TrustError),
}

impl From<sqlx::Error> for KeepError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Keeper {
    /// A keeper that has read the database once.
    ///
    /// # Errors
    /// If it could not.
    pub async fn start(
        pool: PgPool,
        keys: Keyring,
        installation: Installation,
        clock: Clock,
        metrics: TrustMetrics,
    ) -> Result<Self, KeepError> {
        let nothing = SignedTrust {
            bytes: Vec::new(),
            signatures: Vec::new(),
        };
        let keeper = Self {
            verifier: Arc::new(Verifier::new(installation.clone())),
            published: watch::Sender::new(Arc::new(nothing)),
            pool,
            keys,
            installation,
            clock,
            metrics,
        };
        timeout(DATABASE_DEADLINE, keeper.raise())
            .await
            .map_err(|_| KeepError::TimedOut)??;
        keeper.refresh().await?;
        Ok(keeper)
    }

    /// Judges tokens by what is known now, and goes on doing so.
    #[must_use]
    pub fn verifier(&self) -> Arc<Verifier> {
        Arc::clone(&self.verifier)
    }

    /// The signed bundle as it is, and as it changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<SignedTrust>> {
        self.published.subscribe()
    }

    /// Reads what is revoked, and publishes it if that is news.
    ///
    /// # Errors
    /// If it could not be read or published; what was in force stays.
    pub async fn refresh(&self) -> Result<(), KeepError> {
        let read = timeout(DATABASE_DEADLINE, self.read());
        let bundle = read.await.map_err(|_| KeepError::TimedOut)??;
        let signed = Arc::new(self.keys.sign_trust(&bundle)?);
        let mut taken = Ok(false);
        // Both under the channel's lock, so that two who refresh at once publish in order of serial.
        self.published.send_if_modified(|published| {
            taken = self.verifier.replace(&bundle);
            let news = matches!(taken, Ok(true));
            if news {
                *published = signed;
            }
            news
        });
        if taken? {
            let (serial, revoked) = (bundle.serial, bundle.revoked.len());
            let issuers = bundle.issuers.len();
            info!(serial, revoked, issuers, "trust bundle issued");
            self.metrics.issued(serial, revoked, issuers);
        }
        Ok(())
    }

    async fn raise(&self) -> Result<(), KeepError> {
        let mut tx = self.pool.begin().await?;
        tokens::raise_trust_serial(&mut tx, self.clock.now()).await?;
        Ok(tx.commit().await?)
    }

    async fn read(&self) -> Result<TrustBundle, KeepError> {
        let now = self.clock.now();
        let memory = SignedDuration::from_hours(REVOCATION_MEMORY_HOURS);
        let mut conn = self.pool.acquire().await?;
        let serial = tokens::trust_serial(&mut conn).await?;
        let revoked = tokens::revoked(&mut conn, now - memory).await?;
        let issuers = issuers::believed(&mut conn).await?;
        Ok(TrustBundle {
            installation: self.installation.clone(),
            serial,
            keys: self.keys.public(),
            revoked,
            issuers,
        })
    }

    /// Follows revocations until `shutdown`. A database that is away is tried again, with back-off.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let followed = tokio::select! {
                () = shutdown.cancelled() => return,
                followed = self.follow(&mut backoff) => followed,
            };
            if let Err(error) = followed {
                self.metrics.failures.inc();
                let error = chain(&error);
                warn!(error, "revocations cannot be followed, trying again");
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(backoff.fail(rand::random())) => {}
            }
        }
    }

    /// Ends when the connection is lost, or the bundle could not be refreshed.
    async fn follow(&self, backoff: &mut Backoff) -> Result<(), KeepError> {
        let listening = async {
            let mut listener = PgListener::connect_with(&self.pool).await?;
            listener.listen(tokens::TRUST_CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        let mut listener = timeout(DATABASE_DEADLINE, listening)
            .await
            .map_err(|_| KeepError::TimedOut)??;
        loop {
            self.refresh().await?;
            backoff.reset();
            // No notification in time: a look all the same.
            match timeout(TRUST_POLL, listener.try_recv()).await {
                Ok(Ok(Some(_))) | Err(_) => {}
                // What was notified while the connection was away is gone.
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return Err(error.into()),
            }
        }
    }
}
