//! Serving players and game servers, from memory: HTTP reads, WebSocket subscriptions, health, metrics.
//!
//! Nothing here waits for the origin or for Redis, and nothing here changes what is served.

mod answer;
mod connection;
mod drain;
mod forget;
mod health;
mod players;
mod query;
mod regions;
mod registry;
mod reports;
mod shard;
mod upgrade;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use jiff::Timestamp;
use liveevents_protocol::evaluate::Moment;
use liveevents_protocol::id::{EdgeId, Installation, RegionId};
use liveevents_protocol::message::SUBSCRIBE_PATH;
use liveevents_service::http::{ApiError, Authority, Quota, Spans, layers};
use prometheus::IntGaugeVec;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) use drain::Drain;
pub(crate) use forget::Forget;
pub(crate) use registry::Registry;
pub(crate) use shard::Shards;
pub(crate) use upgrade::Admission;
pub(crate) use watch::Watchers;

use crate::cache::Cache;
use crate::delivery::{ClockOffset, Ledgers};
use crate::engagement::Book;
use crate::limits::FRESH_WITHIN;
use crate::metrics::EdgeMetrics;
use crate::replica::{Published, Region, Replica};
use crate::schedule::ServingClock;
use crate::uplink::{Directory, StatusCell};

/// What every handler and connection works with. Clones share it.
#[derive(Clone)]
pub(crate) struct Serving(Arc<Parts>);

/// See [`Serving`].
pub(crate) struct Parts {
    pub(crate) edge: EdgeId,
    pub(crate) installation: Installation,
    pub(crate) replica: Arc<Replica>,
    pub(crate) authority: Authority,
    /// What everything is evaluated by.
    pub(crate) clock: ServingClock,
    pub(crate) cache: Cache,
    pub(crate) uplink: StatusCell,
    pub(crate) registry: Registry,
    pub(crate) ledgers: Ledgers,
    pub(crate) shards: Shards,
    pub(crate) admission: Admission,
    /// Who has players watched.
    pub(crate) watchers: Watchers,
    /// What game servers report.
    pub(crate) engagement: Book,
    /// Says goodbye to game servers.
    pub(crate) drain: Drain,
    pub(crate) metrics: EdgeMetrics,
    /// How often one player's events may be asked for.
    pub(crate) quota: Option<Arc<Quota>>,
    /// How long a sender of reports waits for them to be counted.
    pub(crate) reports_deadline: Duration,
    /// From what age on this edge is not ready, if from any.
    pub(crate) max_age: Option<Duration>,
    /// How far this clock is from the origin's.
    pub(crate) offset: ClockOffset,
    /// Where other regions are served.
    pub(crate) directory: Directory,
    /// Owns the game servers' connections.
    pub(crate) connections: TaskTracker,
    /// Ends those that take no goodbye.
    pub(crate) abort: CancellationToken,
}

impl std::ops::Deref for Serving {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl FromRef<Serving> for Authority {
    fn from_ref(serving: &Serving) -> Self {
        serving.authority.clone()
    }
}

impl Serving {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// All routes, with the common layers.
    pub(crate) fn router(&self) -> Router {
        let router = Router::new()
            .route("/api/v1/players/{playerId}/events", get(players::events))
            .route("/api/v1/regions/{region}/events", get(regions::events))
            .route("/api/v1/reports", post(reports::take))
            .route(SUBSCRIBE_PATH, get(upgrade::subscribe))
            .route("/health", get(health::report))
            .route("/health/live", get(health::live))
            .route("/health/ready", get(health::ready))
            .route("/metrics", get(scrape))
            .with_state(self.clone());
        let (clock, metrics) = (self.clock.wall().clone(), self.metrics.http.clone());
        layers(router, clock, metrics, Spans::Debugging)
    }

    /// A region that this edge replicates.
    ///
    /// # Errors
    /// `Misdirected` for any other.
    fn region(&self, id: &RegionId) -> Result<&Arc<Region>, ApiError> {
        self.replica.region(id).ok_or_else(|| {
            let served: Vec<_> = self
                .replica
                .regions()
                .map(|region| region.id().as_str())
                .collect();
            ApiError::Misdirected {
                message: format!("this edge serves {}, not {id}", served.join(", ")),
                addresses: self.directory.addresses(id),
            }
        })
    }
}

/// A region's state at the moment of a read.
struct View {
    published: Arc<Published>,
    age: Duration,
    now: Timestamp,
    /// What players are evaluated by.
    at: Moment,
}

impl View {
    /// # Errors
    /// `Unavailable` before the first state.
    fn of(region: &Region, now: Timestamp) -> Result<Self, ApiError> {
        let read = region.load().zip(region.age(now));
        read.map(|(published, age)| Self {
            published,
            age,
            now,
            at: region.moment(now),
        })
        .ok_or_else(|| ApiError::Unavailable {
            message: format!("this edge has not received {} yet", region.id()),
            cause: None,
        })
    }

    fn age_ms(&self) -> u64 {
        u64::try_from(self.age.as_millis()).unwrap_or(u64::MAX)
    }

    fn is_stale(&self) -> bool {
        self.age > FRESH_WITHIN
    }

    /// When the origin was last heard.
    fn contact_at(&self) -> Timestamp {
        self.now.checked_sub(self.age).unwrap_or(Timestamp::MIN)
    }

    /// Since when that is too long ago.
    fn stale_since(&self) -> Option<Timestamp> {
        let since = self.contact_at().checked_add(FRESH_WITHIN);
        since.ok().filter(|_| self.is_stale())
    }
}

async fn scrape(State(serving): State<Serving>) -> Result<impl IntoResponse, ApiError> {
    let now = serving.clock.now();
    for region in serving.replica.regions() {
        let label = [region.id().as_str()];
        let set = |gauge: &IntGaugeVec, value: u64| {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            gauge.with_label_values(&label).set(value);
        };
        if let Some(ledger) = serving.ledgers.region(region.id()) {
            let counts = ledger.counts();
            let servers = &serving.metrics.servers;
            set(&servers.connected, counts.connected.into());
            set(&servers.holding, counts.received.into());
            set(&servers.current, counts.applied.into());
            set(&servers.deferred, counts.deferred.into());
        }
        let Ok(view) = View::of(region, now) else {
            continue;
        };
        let regions = &serving.metrics.regions;
        let stale_since = view.stale_since().map_or(0, Timestamp::as_second);
        set(&regions.version, view.published.state().version().0);
        set(&regions.age, view.age.as_secs());
        set(&regions.stale, view.is_stale().into());
        set(
            &regions.stale_since,
            stale_since.try_into().unwrap_or_default(),
        );
        set(
            &regions.quarantined,
            view.published.quarantine().len() as u64,
        );
    }
    let text = serving
        .metrics
        .registry
        .render()
        .map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text))
}
