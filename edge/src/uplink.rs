//! The connection to the origin: what this edge replicates comes from here.
//!
//! One task owns it. It connects to one of the configured addresses, proves itself, takes rows and snapshots into the
//! replica and acks them; when the connection ends it tells the token judge that the edge is cut off, waits as the
//! reason demands, and tries the next address. It decides nothing about content: an entry that cannot be applied is set
//! aside, rows or snapshots that make no sense are refused whole, and what was published before stays.

mod dial;
mod directory;
mod end;
mod journal;
mod retry;
mod session;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;

use liveevents_protocol::backoff::Backoff;
use liveevents_protocol::id::{BootId, EdgeId, Installation, RegionId};
use liveevents_service::clock::Clock;
use liveevents_service::http::Authority;
use liveevents_service::logs::chain;
use liveevents_service::token::Verifier;
use liveevents_service::trust::TrustKey;
use secrecy::SecretString;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub(crate) use dial::{Dialer, OriginAddress, TlsError};
pub(crate) use directory::Directory;
pub(crate) use journal::Journal;
pub(crate) use status::{Status, StatusCell};

use crate::cache::Cache;
use crate::delivery::{ClockOffset, Ledgers};
use crate::engagement::Book;
use crate::limits::{RECONNECT_BASE, RECONNECT_MAX, SETTLED_AFTER};
use crate::metrics::{EngagementMetrics, UplinkMetrics};
use crate::replica::Replica;
use crate::serve::{Drain, Forget};
use end::End;
use retry::delay;
use session::Session;

/// Who this edge is to the origin.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// Whose events it serves.
    pub(crate) installation: Installation,
    /// Its name.
    pub(crate) edge: EdgeId,
    /// This run of its process.
    pub(crate) boot: BootId,
    /// Where game servers and players reach it.
    pub(crate) address: String,
    /// Its proof.
    pub(crate) token: SecretString,
}

/// What the uplink works with.
pub(crate) struct Uplink {
    pub(crate) identity: Identity,
    pub(crate) origins: Vec<OriginAddress>,
    pub(crate) dialer: Dialer,
    pub(crate) trust_key: TrustKey,
    pub(crate) replica: Arc<Replica>,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) authority: Authority,
    pub(crate) cache: Cache,
    pub(crate) clock: Clock,
    pub(crate) status: StatusCell,
    pub(crate) metrics: UplinkMetrics,
    /// What game servers have, to be told to the origin.
    pub(crate) ledgers: Ledgers,
    pub(crate) offset: ClockOffset,
    pub(crate) journal: Journal,
    pub(crate) directory: Directory,
    pub(crate) drain: Drain,
    /// What game servers report.
    pub(crate) engagement: Book,
    pub(crate) engagement_metrics: EngagementMetrics,
    /// Where players are held.
    pub(crate) forget: Forget,
}

/// How often each region's data was refused since some of it was last applied.
type Strikes = BTreeMap<RegionId, u8>;

impl Uplink {
    /// Stays connected until `shutdown`, then says goodbye.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut backoff = Backoff::new(RECONNECT_BASE, RECONNECT_MAX);
        let mut strikes = Strikes::new();
        for origin in self.origins.iter().cycle() {
            let started = Instant::now();
            let end = self.connect(origin, &mut strikes, &shutdown).await;
            if started.elapsed() >= SETTLED_AFTER {
                backoff.reset();
            }
            let reason = end.as_str();
            self.metrics.ended(reason);
            if end.is_failure() {
                self.metrics.failures.inc();
            }
            if let End::Shutdown = end {
                info!(%origin, "left the origin");
                return;
            }
            let wait = delay(&end, &mut backoff, rand::random());
            let until = self
                .clock
                .now()
                .checked_add(wait)
                .unwrap_or(self.clock.now());
            self.status.set(Status::Waiting { until, reason });
            warn!(%origin, reason, error = chain(&end), retry_ms = wait.as_millis(), "no connection to the origin");
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn connect(
        &self,
        origin: &OriginAddress,
        strikes: &mut Strikes,
        shutdown: &CancellationToken,
    ) -> End {
        self.status.set(Status::Connecting {
            origin: origin.to_string(),
        });
        let dialled = tokio::select! {
            () = shutdown.cancelled() => return End::Shutdown,
            dialled = self.dialer.dial(origin) => dialled,
        };
        let line = match dialled {
            Ok(line) => line,
            Err(error) => return End::Unreachable(error),
        };
        let end = Box::pin(Session::run(self, origin, &line, strikes, shutdown)).await;
        line.hang_up(end.close_code()).await;
        end
    }
}
