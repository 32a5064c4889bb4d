//! From configuration to a running edge, and to its end.
//!
//! Start: what Redis holds, then listening, then the origin; a start never waits for the origin. End, in this order: no
//! game server more, goodbye to those that are here, then reads, the origin, and the last write to Redis; each under its
//! deadline. Every task is in one set here; the first that ends by itself ends the process in the same order, but at
//! once.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use liveevents_protocol::id::BootId;
use liveevents_service::clock::Clock;
use liveevents_service::http::{Authority, Capacity, Quota, serve};
use liveevents_service::metrics::MetricsError;
use liveevents_service::shutdown::announce_ready;
use liveevents_service::token::Verifier;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use uuid::Uuid;

use crate::cache::{Cache, Judge, Owner};
use crate::config::Config;
use crate::delivery::{ClockOffset, Ledgers};
use crate::engagement::Book;
use crate::limits::{DRAIN, DRAIN_CLOSING, DRAIN_GRACE, HTTP_CONNECTIONS};
use crate::metrics::EdgeMetrics;
use crate::replica::Replica;
use crate::schedule::{Scheduler, ServingClock};
use crate::serve::{Admission, Drain, Forget, Parts, Registry, Serving, Shards, Watchers};
use crate::uplink::{Dialer, Directory, Identity, Journal, StatusCell, TlsError, Uplink};

/// Why an edge did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Of the system: no listener, no signal handler, no ready file.
    #[error("the system refuses")]
    Io(#[from] io::Error),
    /// The folder for its state is not there for it.
    #[error("state_dir cannot be used")]
    StateDir(#[source] io::Error),
    /// Two metrics of one name.
    #[error("metrics cannot be registered")]
    Metrics(#[from] MetricsError),
    /// No TLS.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// A task that lives as long as the edge has ended.
    #[error("a task has ended before its time")]
    TaskEnded,
    /// A task has panicked.
    #[error("a task has failed")]
    TaskFailed(#[source] JoinError),
}

/// Listens where the configuration says.
///
/// # Errors
/// If the system refuses.
pub async fn bind(config: &Config) -> Result<TcpListener, RunError> {
    Ok(TcpListener::bind(config.listen).await?)
}

/// Runs an edge until `shutdown`.
///
/// # Errors
/// If it cannot start, or a part of it ends by itself.
pub async fn run(
    config: Config,
    listener: TcpListener,
    clock: Clock,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let address = listener.local_addr()?;
    let scheme = if config.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let metrics = EdgeMetrics::new()?;
    let replica = Arc::new(Replica::new(config.region.clone(), &config.standby_for));
    let verifier = Arc::new(Verifier::new(config.installation.clone()));
    let authority = Authority::new(Arc::clone(&verifier), clock.clone());
    let cache = Cache::new();
    let status = StatusCell::new(clock.now());
    let stages = Stages::default();
    let mut tasks = JoinSet::new();

    if let Some(client) = config.redis {
        let judge = Judge {
            verifier: Arc::clone(&verifier),
            authority: authority.clone(),
            pinned: config.uplink.trust_key,
        };
        let mut owner = Owner::new(
            client,
            config.installation.clone(),
            cache.clone(),
            Arc::clone(&replica),
            judge,
            clock.clone(),
            metrics.cache.clone(),
        );
        owner.warm_start().await;
        tasks.spawn(owner.run(stages.cache.clone()));
    }

    let served = ServingClock::new(clock.clone(), metrics.schedule.clock_followed_back.clone());
    let scheduler = Scheduler::new(
        Arc::clone(&replica),
        served.clone(),
        metrics.schedule.clone(),
    );
    tasks.spawn(scheduler.run(stages.schedule.clone()));

    let journal = Journal::open(config.state_dir.as_deref()).map_err(RunError::StateDir)?;
    let (offset, directory) = (ClockOffset::default(), Directory::default());
    let ledgers = Ledgers::new(&replica, &offset);
    let (draining, engagement) = (Drain::new(), Book::default());
    let quota = (config.player_reads > 0).then(|| Quota::per_minute(config.player_reads));
    let forget = Forget {
        watchers: Watchers::default(),
        quota: quota.map(Arc::new),
    };
    let serving = Serving::new(Parts {
        edge: config.edge.clone(),
        installation: config.installation.clone(),
        replica: Arc::clone(&replica),
        authority: authority.clone(),
        clock: served,
        cache: cache.clone(),
        uplink: status.clone(),
        registry: Registry::new(config.game_servers, config.connections_per_token),
        ledgers: ledgers.clone(),
        shards: Shards::new(&replica),
        admission: Admission::new(config.admission_rate, Instant::now()),
        watchers: forget.watchers.clone(),
        engagement: engagement.clone(),
        drain: draining.clone(),
        metrics: metrics.clone(),
        quota: forget.quota.clone(),
        reports_deadline: config.reports_deadline,
        max_age: config.max_age,
        offset: offset.clone(),
        directory: directory.clone(),
        connections: TaskTracker::new(),
        abort: stages.abort.clone(),
    });
    for shard in serving.shards.iter() {
        let shard = Arc::clone(shard);
        tasks.spawn(shard.run(serving.clone(), stages.game_servers.clone()));
    }
    let capacity = Capacity {
        connections: HTTP_CONNECTIONS,
        drain: DRAIN,
    };
    tasks.spawn(serve(
        listener,
        config.tls.map(TlsAcceptor::from),
        serving.router(),
        capacity,
        metrics.http.clone(),
        stages.http.clone(),
    ));

    let uplink = Uplink {
        identity: Identity {
            installation: config.installation,
            edge: config.edge,
            boot: BootId(Uuid::now_v7()),
            address: config
                .address
                .unwrap_or_else(|| format!("{scheme}://{address}")),
            token: config.uplink.token,
        },
        origins: config.uplink.origins,
        dialer: Dialer::new(config.uplink.roots, config.uplink.server_name)?,
        trust_key: config.uplink.trust_key,
        replica,
        verifier,
        authority,
        cache,
        clock,
        status,
        metrics: metrics.uplink,
        ledgers,
        offset,
        journal,
        directory,
        drain: draining,
        engagement,
        engagement_metrics: metrics.engagement,
        forget,
    };
    tasks.spawn(uplink.run(stages.uplink.clone()));
    announce_ready(config.ready_file.as_deref(), &[("http", address)])?;

    let ended = tokio::select! {
        () = shutdown => Ok(()),
        Some(ended) = tasks.join_next() => Err(match ended {
            Ok(()) => RunError::TaskEnded,
            Err(failure) => RunError::TaskFailed(failure),
        }),
    };
    let spread = if ended.is_ok() {
        config.drain
    } else {
        Duration::ZERO
    };
    stages.end(&serving, spread, &mut tasks).await;
    info!("the edge has ended");
    ended
}

/// What ends when.
#[derive(Default)]
struct Stages {
    http: CancellationToken,
    game_servers: CancellationToken,
    abort: CancellationToken,
    schedule: CancellationToken,
    uplink: CancellationToken,
    cache: CancellationToken,
}

impl Stages {
    /// `spread` is over how long game servers come to other edges.
    async fn end(self, serving: &Serving, spread: Duration, tasks: &mut JoinSet<()>) {
        serving.drain.begin(spread);
        let connections = &serving.connections;
        connections.close();
        let deadline = spread + DRAIN_GRACE + DRAIN_CLOSING;
        if timeout(deadline, connections.wait()).await.is_err() {
            warn!(
                aborted = connections.len(),
                "game servers did not take their goodbye in time"
            );
            self.abort.cancel();
            connections.wait().await;
        }
        self.game_servers.cancel();
        self.http.cancel();
        self.schedule.cancel();
        self.uplink.cancel();
        self.cache.cancel();
        while let Some(ended) = tasks.join_next().await {
            if let Err(failure) = ended {
                warn!(error = %failure, "a task failed");
            }
        }
    }
}
