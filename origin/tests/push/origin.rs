//! The origin's pushing half on a real database, without the REST API.

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use liveevents_origin::change::{self, Decision, Edit, Request};
use liveevents_origin::config::Tls;
use liveevents_origin::event::document::Document;
use liveevents_origin::metrics::PushMetrics;
use liveevents_origin::push::acks::{self, AckBox};
use liveevents_origin::push::admission::Admission;
use liveevents_origin::push::connection::Shared;
use liveevents_origin::push::counting::Counting;
use liveevents_origin::push::endpoint;
use liveevents_origin::push::follower::Follower;
use liveevents_origin::push::hello::Judge;
use liveevents_origin::push::hub::Hub;
use liveevents_origin::push::registry::Registry;
use liveevents_origin::push::roster::{Roster, Watch};
use liveevents_origin::seal::Sealer;
use liveevents_origin::store::edges::Edge;
use liveevents_origin::store::progress::Progress;
use liveevents_origin::store::{self, region_log};
use liveevents_origin::{quic, tls};
use liveevents_protocol::engagement::Currencies;
use liveevents_protocol::frame::{Hello, Row};
use liveevents_protocol::id::{BootId, ChangeId, EventId, Installation, RegionId, TokenId};
use liveevents_protocol::model::{Assignment, BucketBy, Candidate};
use liveevents_protocol::position::{Position, SealedPosition};
use liveevents_protocol::trust::{Revoked, SignedTrust, TrustBundle};
use liveevents_protocol::version::{BasisPoints, Epoch, Revision, Version};
use liveevents_service::clock::Clock;
use liveevents_service::http::Authority;
use liveevents_service::keys::{Keyring, Keys};
use liveevents_service::metrics::Metrics;
use liveevents_service::token::{Claims, Role, Signer, Verifier};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const INSTALLATION: &str = "title-test";
const REVOKED: TokenId = TokenId(uuid::Uuid::from_u128(66));

pub(crate) fn now() -> Timestamp {
    Clock::system().now()
}

pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    pub(crate) installation: Installation,
    pub(crate) metrics: PushMetrics,
    pub(crate) sealer: Sealer,
    pub(crate) hub: Arc<Hub>,
    pub(crate) scrape: Metrics,
    pub(crate) pool: PgPool,
    keys: Keys,
    folder: tempfile::TempDir,
    _trust_keeper: watch::Sender<Arc<SignedTrust>>,
    _tasks: JoinSet<()>,
}

impl Origin {
    pub(crate) async fn start(pool: PgPool) -> Self {
        Self::start_in(pool, tempfile::tempdir().unwrap()).await
    }

    /// Another process on the same database.
    pub(crate) async fn restart(self) -> Self {
        let Self {
            pool,
            folder,
            _tasks: mut tasks,
            ..
        } = self;
        tasks.shutdown().await;
        Self::start_in(pool, folder).await
    }

    /// Another process beside this one, on the same database.
    pub(crate) async fn beside(&self) -> Self {
        Self::start(self.pool.clone()).await
    }

    /// One whose line of hellos is this short.
    pub(crate) async fn start_admitting(pool: PgPool, admission: Admission) -> Self {
        Self::start_with(pool, tempfile::tempdir().unwrap(), admission).await
    }

    async fn start_in(pool: PgPool, folder: tempfile::TempDir) -> Self {
        Self::start_with(pool, folder, Admission::default()).await
    }

    async fn start_with(pool: PgPool, folder: tempfile::TempDir, admission: Admission) -> Self {
        let installation: Installation = INSTALLATION.parse().unwrap();
        let keys = Keys::derive(&"a secret of at least thirty-two bytes".into()).unwrap();
        let sealer = Sealer::new(&keys.clone().into(), installation.clone());
        let bundle = TrustBundle {
            installation: installation.clone(),
            serial: 1,
            keys: vec![keys.public()],
            revoked: vec![Revoked {
                token: REVOKED,
                until: Timestamp::MAX,
            }],
            issuers: Vec::new(),
        };
        let verifier = Arc::new(Verifier::new(installation.clone()));
        assert!(verifier.replace(&bundle).unwrap());
        let clock = Clock::system();
        let scrape = Metrics::new().unwrap();
        let metrics = PushMetrics::new(&scrape).unwrap();
        let hub = Arc::new(Hub::new(pool.clone(), sealer.clone()));
        let registry = Arc::new(Registry::default());
        let roster = Arc::new(Roster::default());
        let follower = Follower::new(
            pool.clone(),
            hub.clone(),
            registry.clone(),
            roster.clone(),
            clock.clone(),
            metrics.clone(),
        );
        follower.catch_up().await.unwrap();
        let identity = tls::identity(&Tls::Generated {
            folder: folder.path().to_owned(),
            names: vec!["localhost".to_owned()],
        })
        .unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let endpoint = quic::endpoint(identity, keys.reset(), socket).unwrap();
        let signed = Arc::new(Keyring::from(keys.clone()).sign_trust(&bundle).unwrap());
        let (trust_keeper, trust) = watch::channel(signed);
        let boxed = Arc::new(AckBox::default());
        let shared = Shared {
            pool: pool.clone(),
            hub: hub.clone(),
            acks: boxed.clone(),
            trust,
            directory: roster.directory(),
            registry: registry.clone(),
            counting: Arc::new(Counting {
                key: [7; 32],
                currencies: Currencies::default(),
            }),
            clock: clock.clone(),
            metrics: metrics.clone(),
        };
        let watch = Watch {
            pool: pool.clone(),
            roster,
            registry,
            hub: hub.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
        };
        let judge = Judge {
            pool: pool.clone(),
            hub: hub.clone(),
            authority: Authority::new(verifier, clock.clone()),
            clock: clock.clone(),
            metrics: metrics.clone(),
        };
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(follower.run(stop.clone()));
        tasks.spawn(watch.run(stop.clone()));
        tasks.spawn(acks::write(
            boxed,
            pool.clone(),
            clock,
            metrics.clone(),
            stop.clone(),
        ));
        let admission = Arc::new(admission);
        tasks.spawn(endpoint::serve(endpoint, judge, shared, admission, stop));
        Self {
            address,
            installation,
            metrics,
            sealer,
            hub,
            scrape,
            pool,
            keys,
            folder,
            _trust_keeper: trust_keeper,
            _tasks: tasks,
        }
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(crate) fn claims(&self, role: Role, regions: &[&str]) -> Claims {
        Claims {
            installation: self.installation.clone(),
            subject: "test".to_owned(),
            role,
            regions: regions
                .iter()
                .map(|region| region.parse().unwrap())
                .collect(),
            id: TokenId(uuid::Uuid::new_v4()),
            issued_at: now(),
            expires_at: now() + jiff::SignedDuration::from_hours(1),
            not_before: None,
            attributes: Default::default(),
            keys: Default::default(),
        }
    }

    pub(crate) fn sign(&self, claims: &Claims) -> String {
        Signer::new(&self.keys).unwrap().sign(claims).unwrap()
    }

    pub(crate) fn sign_revoked(&self) -> String {
        let mut claims = self.claims(Role::Edge, &["us-east"]);
        claims.id = REVOKED;
        self.sign(&claims)
    }

    pub(crate) fn sign_by_another_key(&self, claims: &Claims) -> String {
        let keys = Keys::derive(&"another secret of at least thirty-two bytes".into()).unwrap();
        Signer::new(&keys).unwrap().sign(claims).unwrap()
    }

    /// Exposes the event `sale` to so many basis points.
    pub(crate) async fn change(&self, region: &str, exposure: u16) -> ChangeId {
        self.change_event(region, "sale", serde_json::json!({}), exposure)
            .await
    }

    /// Brings a new event of about 200 KB, which no compression makes small.
    pub(crate) async fn large_change(&self, region: &str, n: u64) {
        let noise: String = (0..200_000 / 32)
            .map(|_| uuid::Uuid::new_v4().simple().to_string())
            .collect();
        let configuration = serde_json::json!({ "customParameters": { "noise": noise } });
        self.change_event(region, &format!("large-{n}"), configuration, 100)
            .await;
    }

    /// Brings a new event with so many bytes of configuration.
    pub(crate) async fn change_with(&self, region: &str, event: &str, bytes: usize) -> ChangeId {
        let text = "x".repeat(bytes);
        let configuration = serde_json::json!({ "customParameters": { "text": text } });
        self.change_event(region, event, configuration, 100).await
    }

    async fn change_event(
        &self,
        region: &str,
        event: &str,
        configuration: serde_json::Value,
        exposure: u16,
    ) -> ChangeId {
        let event: EventId = event.parse().unwrap();
        let fields = serde_json::json!({
            "displayName": "Sale", "type": "LimitedTimeOffer", "configuration": configuration,
            "startTime": "2026-07-01T10:00:00Z", "endTime": "2026-07-02T10:00:00Z",
        });
        let document = Document::parse(&serde_json::from_value(fields).unwrap()).unwrap();
        let mut tx = self.pool.begin().await.unwrap();
        if !store::events::exists(&mut tx, &event).await.unwrap() {
            store::events::insert(&mut tx, &event, "salt", &document, "test", now())
                .await
                .unwrap();
        }
        let assignment = Assignment {
            event_id: event.clone(),
            salt: "salt".to_owned(),
            live: None,
            candidate: Some(Candidate {
                revision: Revision(1),
                exposure: BasisPoints::new(exposure).unwrap(),
                bucket_by: BucketBy::default(),
            }),
            schedule: Default::default(),
            suspension: Default::default(),
            full: false,
        };
        let content = store::revisions::content(&mut tx, &event, Revision(1))
            .await
            .unwrap();
        let request = Request {
            decision: Decision {
                kind: "Test",
                actor: "tester".to_owned(),
                reason: None,
                event: Some(event),
                deployment: None,
                trace_id: None,
            },
            edits: [(region.parse().unwrap(), vec![Edit::Put(assignment)])].into(),
            contents: content.into_iter().collect(),
        };
        let committed = change::commit(&mut tx, &request).await.unwrap();
        tx.commit().await.unwrap();
        committed.change
    }

    /// The head, as this origin hands it out.
    pub(crate) async fn sealed(&self, region: &str) -> SealedPosition {
        let region: RegionId = region.parse().unwrap();
        let mut conn = self.pool.acquire().await.unwrap();
        let head = region_log::heads(&mut conn)
            .await
            .unwrap()
            .remove(&region)
            .unwrap();
        drop(conn);
        let position = Position {
            epoch: self.epoch().await,
            version: head.version,
            digest: head.digest,
        };
        self.sealer.seal(&region, position)
    }

    /// The rows of a region's log, as they are stored.
    pub(crate) async fn logged(&self, region: &str) -> Vec<Row> {
        let mut conn = self.pool.acquire().await.unwrap();
        let region = region.parse().unwrap();
        let rows = region_log::rows_after(&mut conn, &region, Version::ZERO, 100, usize::MAX).await;
        rows.unwrap()
            .into_iter()
            .map(|row| Row {
                version: row.version,
                change: row.change,
                committed_at: row.committed_at,
                entries: row.entries,
            })
            .collect()
    }

    pub(crate) async fn epoch(&self) -> Epoch {
        let mut conn = self.pool.acquire().await.unwrap();
        store::epoch::read(&mut conn).await.unwrap().unwrap().epoch
    }

    pub(crate) async fn compact(&self, region: &str, keep: u64) {
        let mut tx = self.pool.begin().await.unwrap();
        region_log::compact(&mut tx, &region.parse().unwrap(), keep)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    pub(crate) async fn claim_elsewhere(&self, edge: &str) {
        let home: RegionId = "us-east".parse().unwrap();
        let hello = Hello {
            installation: self.installation.clone(),
            edge: edge.parse().unwrap(),
            boot: BootId(uuid::Uuid::new_v4()),
            token: String::new(),
            build: String::new(),
            capabilities: Vec::new(),
            address: String::new(),
            regions: vec![(home.clone(), None)],
        };
        let mut tx = self.pool.begin().await.unwrap();
        store::acks::claim(&mut tx, &hello, &home, now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// How far a change has come in its only region, once that is so.
    pub(crate) async fn until_progress(
        &self,
        change: ChangeId,
        what: &str,
        holds: impl Fn(&Progress) -> bool,
    ) -> Progress {
        eventually(what, async || {
            let mut tx = store::begin_snapshot(&self.pool).await.unwrap();
            let progress = store::progress::of_change(&mut tx, change, now()).await;
            let progress = progress.unwrap();
            assert_eq!(progress.len(), 1);
            progress.into_values().next().filter(&holds)
        })
        .await
    }

    pub(crate) async fn until_acked(&self, change: ChangeId, edge: &str) {
        let holds = |progress: &Progress| {
            let [known] = progress.facts.edges.as_slice() else {
                panic!("one edge")
            };
            assert_eq!(known.edge.as_str(), edge);
            assert!(!known.holds || progress.to_edges.is_some());
            known.holds
        };
        self.until_progress(change, "an ack was written down", holds)
            .await;
    }

    /// The edges as they are listed, once that is so.
    pub(crate) async fn until_edges(
        &self,
        what: &str,
        holds: impl Fn(&[Edge]) -> bool,
    ) -> Vec<Edge> {
        eventually(what, async || {
            let mut tx = store::begin_snapshot(&self.pool).await.unwrap();
            let edges = store::edges::list(&mut tx).await.unwrap();
            Some(edges).filter(|edges| holds(edges))
        })
        .await
    }

    /// The lines of a metric, once that is so.
    pub(crate) async fn until_metric(&self, line: &str) {
        eventually(line, async || {
            let text = self.scrape.render().unwrap();
            text.lines().any(|told| told == line).then_some(())
        })
        .await;
    }
}

/// What comes to be, within a limit.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
