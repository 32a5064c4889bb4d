//! The origin from start to end: what is opened in which order, who owns the tasks, and who is stopped
//! first.
//!
//! Every task is in one of two sets. The *front* talks to others: REST and edges. The *back* works for the
//! front: the log follower, the roster of edges, the writer of acks, the keeper of trust, who asks for issuers' keys,
//! the scheduler, compaction, who looks at figures. At the end the front
//! says goodbye and drains while the back still works; then the back ends. A task that ends by itself
//! ends the process in the same order.

use std::future::Future;
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use liveevents_service::clock::Clock;
use liveevents_service::config::Environment;
use liveevents_service::http::{Authority, Capacity, Spans, layers, serve};
use liveevents_service::metrics::{HttpMetrics, Metrics, MetricsError};
use liveevents_service::shutdown;
use liveevents_service::token::SignError;
use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::api::{self, Api};
use crate::compaction;
use crate::config::{Config, Tls};
use crate::database::{self, OpenError};
use crate::development::{self, DevelopmentError};
use crate::erasure::Names;
use crate::figures::Figures;
use crate::first_admin::{self, FirstAdminError};
use crate::inspect::Inspector;
use crate::issuer::Issuer;
use crate::limits::{DATABASE_DEADLINE, GOODBYE_DEADLINE};
use crate::login::Logins;
use crate::metrics::{ApiMetrics, FigureMetrics, PushMetrics, SchedulerMetrics, TrustMetrics};
use crate::outbound::Outbound;
use crate::participation::Participation;
use crate::password::{PasswordError, Passwords};
use crate::push::acks::{self, AckBox};
use crate::push::admission::Admission;
use crate::push::connection::Shared;
use crate::push::counting::Counting;
use crate::push::endpoint;
use crate::push::follower::{FollowError, Follower};
use crate::push::hello::Judge;
use crate::push::hub::Hub;
use crate::push::registry::Registry;
use crate::push::roster::{Roster, Watch};
use crate::quic::{self, QuicError};
use crate::quotas::Quotas;
use crate::scheduler::Scheduler;
use crate::seal::Sealer;
use crate::store::database_clock::DatabaseClock;
use crate::store::{StoreError, regions};
use crate::studio::refresh::Refresh;
use crate::tls::{self, TlsError};
use crate::trust::{KeepError, Keeper};

/// The sockets that the origin listens on.
#[derive(Debug)]
pub struct Listeners {
    /// REST.
    pub http: TcpListener,
    /// Edges.
    pub quic: UdpSocket,
}

impl Listeners {
    /// Binds both where the configuration says.
    ///
    /// # Errors
    /// If one cannot be bound.
    pub async fn bind(config: &Config) -> io::Result<Self> {
        let http = TcpListener::bind(config.http.address).await?;
        let quic = UdpSocket::bind(config.quic)?;
        Ok(Self { http, quic })
    }
}

/// Why the origin did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum RunError {
    #[error("cannot listen")]
    Listen(#[from] io::Error),
    #[error("cannot open the database")]
    Database(#[from] OpenError),
    #[error("the regions cannot be read")]
    Regions(#[source] StoreError),
    #[error("the first admin is missing")]
    FirstAdmin(#[from] FirstAdminError),
    #[error("passwords cannot be hashed")]
    Passwords(#[from] PasswordError),
    #[error("tokens cannot be made")]
    Issuer(#[from] SignError),
    #[error("tokens cannot be judged")]
    Trust(#[from] KeepError),
    #[error("the region logs cannot be read")]
    Logs(#[from] FollowError),
    #[error("key sets cannot be asked for")]
    Outbound(#[source] rustls::Error),
    #[error("edges cannot be let in")]
    Tls(#[from] TlsError),
    #[error("edges cannot be let in")]
    Quic(#[from] QuicError),
    #[error("the data folder cannot be filled")]
    Development(#[from] DevelopmentError),
    #[error("metrics cannot be registered")]
    Metrics(#[from] MetricsError),
    #[error("a part of the origin ended by itself")]
    Ended,
    #[error("a part of the origin failed")]
    Failed(#[source] JoinError),
}

/// Runs until `shutdown`, then ends in order.
///
/// # Errors
/// If it could not start, or a part of it ended by itself.
pub async fn run(
    config: Config,
    listeners: Listeners,
    clock: Clock,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let metrics = Metrics::new()?;
    let http_metrics = HttpMetrics::new(&metrics)?;
    let push_metrics = PushMetrics::new(&metrics)?;
    let pool = database::open(&config.database).await?;
    let issuer = Issuer::new(config.keys.current(), config.installation.clone())?;
    let passwords = Passwords::new(&metrics)?;
    check_zones(&pool).await.map_err(RunError::Regions)?;
    first_admin::ensure(&pool, &passwords, &config.admin, &clock).await?;
    let trust_metrics = TrustMetrics::new(&metrics)?;
    let trust = Keeper::start(
        pool.clone(),
        config.keys.clone(),
        config.installation.clone(),
        clock.clone(),
        trust_metrics.clone(),
    )
    .await?;
    let development = config.environment == Environment::Development;
    let outbound = Outbound::new(development).map_err(RunError::Outbound)?;
    let refresh = Refresh {
        pool: pool.clone(),
        outbound: outbound.clone(),
        trust: trust.clone(),
        interval: config.issuer_refresh,
        clock: clock.clone(),
        metrics: trust_metrics,
    };
    let authority = Authority::new(trust.verifier(), clock.clone());

    let sealer = Sealer::new(&config.keys, config.installation.clone());
    let hub = Arc::new(Hub::new(pool.clone(), sealer));
    let registry = Arc::new(Registry::default());
    let roster = Arc::new(Roster::default());
    let follower = Follower::new(
        pool.clone(),
        Arc::clone(&hub),
        Arc::clone(&registry),
        Arc::clone(&roster),
        clock.clone(),
        push_metrics.clone(),
    );
    follower.catch_up().await?;
    let ack_box = Arc::new(AckBox::default());
    let shared = Shared {
        pool: pool.clone(),
        hub: Arc::clone(&hub),
        acks: Arc::clone(&ack_box),
        trust: trust.subscribe(),
        directory: roster.directory(),
        registry: Arc::clone(&registry),
        counting: Arc::new(Counting {
            key: *config.keys.current().players(),
            currencies: config.currencies.clone(),
        }),
        clock: clock.clone(),
        metrics: push_metrics.clone(),
    };
    let watch = Watch {
        pool: pool.clone(),
        roster,
        registry,
        hub: Arc::clone(&hub),
        clock: clock.clone(),
        metrics: push_metrics.clone(),
    };
    let judge = Judge {
        pool: pool.clone(),
        hub,
        authority: authority.clone(),
        clock: clock.clone(),
        metrics: push_metrics.clone(),
    };
    let identity = tls::identity(&config.tls)?;
    if matches!(config.tls, Tls::Generated { .. }) {
        info!("serving edges with a certificate made for Development");
    }
    let quic_address = listeners.quic.local_addr()?;
    let http_address = listeners.http.local_addr()?;
    let quic = quic::endpoint(identity, config.keys.current().reset(), listeners.quic)?;
    if development {
        let identity = (&issuer, &authority);
        development::prepare(
            &config.data_dir,
            config.keys.current(),
            identity,
            &pool,
            &clock,
        )
        .await?;
    }
    let api = Api {
        pool: pool.clone(),
        clock: clock.clone(),
        time: DatabaseClock::default(),
        authority,
        issuer,
        passwords,
        trust: trust.clone(),
        logins: Logins::new(config.login),
        quotas: Quotas::new(config.rate_limits),
        fingerprint_key: *config.keys.current().fingerprint(),
        names: Names::new(&config.keys),
        outbound,
        require_approval: config.require_approval,
        inspector: Inspector::default(),
        four_eyes: config.four_eyes,
        metrics: ApiMetrics::new(&metrics, &pool)?,
    };
    let router = api::router(api).merge(metrics.routes());
    let router = layers(router, clock.clone(), http_metrics.clone(), Spans::Every);
    let capacity = Capacity {
        connections: config.http.connections,
        drain: config.drain,
    };

    let (front_stop, back_stop) = (CancellationToken::new(), CancellationToken::new());
    let (mut front, mut back) = (JoinSet::new(), JoinSet::new());
    back.spawn(follower.run(back_stop.clone()));
    back.spawn(watch.run(back_stop.clone()));
    back.spawn(acks::write(
        ack_box,
        pool.clone(),
        clock.clone(),
        push_metrics,
        back_stop.clone(),
    ));
    back.spawn(trust.run(back_stop.clone()));
    back.spawn(refresh.run(back_stop.clone()));
    if config.scheduler.enabled {
        let scheduler = Scheduler {
            pool: pool.clone(),
            time: DatabaseClock::default(),
            interval: config.scheduler.interval,
            metrics: SchedulerMetrics::new(&metrics)?,
        };
        back.spawn(scheduler.run(back_stop.clone()));
    }
    let participation = Participation {
        pool: pool.clone(),
        time: DatabaseClock::default(),
        failures: metrics.errors("participation"),
    };
    back.spawn(participation.run(back_stop.clone()));
    back.spawn(compaction::run(
        pool.clone(),
        config.log_versions,
        clock.clone(),
        metrics.errors("compaction"),
        back_stop.clone(),
    ));
    let figures = Figures {
        pool: pool.clone(),
        clock,
        metrics: FigureMetrics::new(&metrics)?,
    };
    back.spawn(figures.run(back_stop.clone()));
    front.spawn(serve(
        listeners.http,
        None,
        router,
        capacity,
        http_metrics,
        front_stop.clone(),
    ));
    front.spawn(endpoint::serve(
        quic,
        judge,
        shared,
        Arc::new(Admission::default()),
        front_stop.clone(),
    ));
    let addresses = [("http", http_address), ("quic", quic_address)];
    shutdown::announce_ready(config.ready_file.as_deref(), &addresses)?;

    let ended = tokio::select! {
        () = shutdown => Ok(()),
        Some(ended) = front.join_next() => Err(early(ended)),
        Some(ended) = back.join_next() => Err(early(ended)),
    };
    front_stop.cancel();
    drain(front, config.drain + 2 * GOODBYE_DEADLINE).await;
    back_stop.cancel();
    drain(back, DATABASE_DEADLINE).await;
    if timeout(DATABASE_DEADLINE, pool.close()).await.is_err() {
        warn!("connections to the database did not close in time");
    }
    info!("ended");
    ended
}

/// A region whose zone this machine does not know could not be scheduled: better said now.
async fn check_zones(pool: &sqlx::PgPool) -> Result<(), StoreError> {
    let mut conn = pool.acquire().await?;
    regions::list(&mut conn).await.map(drop)
}

fn early(ended: Result<(), JoinError>) -> RunError {
    ended.map_or_else(RunError::Failed, |()| RunError::Ended)
}

/// Waits for what is ending, and aborts what does not.
async fn drain(mut tasks: JoinSet<()>, deadline: Duration) {
    let all = async { while tasks.join_next().await.is_some() {} };
    if timeout(deadline, all).await.is_err() {
        warn!(aborted = tasks.len(), "parts did not end in time");
        tasks.shutdown().await;
    }
}
