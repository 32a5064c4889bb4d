//! The installation that is broken: everything of its own, with a link that can be bent before every edge and every
//! game server.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use liveevents_client::Clock;
use tokio::time::Instant;

use crate::changer::Changer;
use crate::common::cluster::{Cluster, Edge};
use crate::common::database::Database;
use crate::common::game_server::GameServer;
use crate::common::proxy::{Proxy, Weather};
use crate::common::redis_server::RedisServer;
use crate::common::rest::Rest;
use crate::common::server::Server;
use crate::common::{Random, eventually};
use crate::model::{REGIONS, held, told};
use crate::plan::{EDGES, Fault, SERVERS, Step, Victim};
use crate::reporters::REPORTED;
use crate::watchman::{Life, Watchman};

/// A game server with its link, and who looks on.
pub(crate) struct Watched {
    pub(crate) server: GameServer,
    pub(crate) region: &'static str,
    link: Proxy,
    /// Which edge the link leads to.
    at: usize,
    pub(crate) watchman: Watchman,
    /// How much it has reported.
    pub(crate) reported: u64,
}

/// Everything.
pub(crate) struct Scene {
    pub(crate) cluster: Cluster,
    pub(crate) rest: Rest,
    postgres: Server,
    redis: RedisServer,
    pub(crate) edges: Vec<Edge>,
    pub(crate) lives: Vec<Life>,
    uplinks: Vec<Proxy>,
    pub(crate) servers: Vec<Watched>,
    /// By how many seconds the game servers' clock is wrong.
    clock: Arc<AtomicI64>,
    down: Vec<Victim>,
}

/// The region that an edge is in.
pub(crate) fn region(edge: usize) -> &'static str {
    if edge < 2 { REGIONS[0] } else { REGIONS[1] }
}

impl Scene {
    /// An installation with nothing deployed, and nobody there but its edges.
    pub(crate) async fn start(random: &mut Random) -> Self {
        let postgres = Server::start_new();
        let redis = RedisServer::start_new().await;
        let cluster = Cluster::start_on(Database::create_on(&postgres.url())).await;
        let rest = cluster.rest().await;
        rest.event(REPORTED).await;
        let (mut edges, mut uplinks) = (Vec::new(), Vec::new());
        for at in 0..EDGES {
            let uplink = Proxy::udp(&cluster.quic, Random(random.next())).await;
            let settings = [
                ("ORIGINS", uplink.address.clone()),
                ("REDIS_URL", redis.url()),
            ];
            let name = format!("{}-{at}", region(at));
            edges.push(cluster.edge_not_awaited(&name, region(at), &settings).await);
            uplinks.push(uplink);
        }
        for edge in &edges {
            edge.synced().await;
        }
        Self {
            cluster,
            rest,
            postgres,
            redis,
            lives: edges.iter().map(|_| Life::default()).collect(),
            edges,
            uplinks,
            servers: Vec::new(),
            clock: Arc::default(),
            down: Vec::new(),
        }
    }

    /// Lets the game servers come.
    pub(crate) async fn open(&mut self, random: &mut Random) {
        let token = self.rest.token("GameServer", &REGIONS).await;
        for number in 0..SERVERS {
            let at = number % EDGES;
            let link = Proxy::tcp(self.edges[at].listener(), Random(random.next())).await;
            let (name, address) = (
                format!("game server {number}"),
                format!("ws://{}", link.address),
            );
            let wrong = Arc::clone(&self.clock);
            let server = GameServer::connect_with(&name, region(at), &address, &token, |config| {
                config.clock = Clock::new(move || {
                    let wrong = SignedDuration::from_secs(wrong.load(Ordering::Relaxed));
                    now().checked_add(wrong).unwrap()
                });
            });
            let (region, watchman) = (region(at), Watchman::default());
            self.servers.push(Watched {
                server,
                region,
                link,
                at,
                watchman,
                reported: 0,
            });
        }
    }

    /// Goes through a schedule, looking on.
    pub(crate) async fn suffer(&mut self, steps: &[Step]) {
        let start = Instant::now();
        for step in steps {
            // The faults come when the schedule says; nothing is awaited by this.
            self.report_until(start + step.at).await;
            if step.over {
                self.end(step.fault).await;
            } else {
                self.begin(step.fault);
            }
            self.look();
        }
    }

    fn begin(&mut self, fault: Fault) {
        match fault {
            Fault::CutUplink(at) => self.uplinks[at].cut(),
            Fault::HoldUplink(at, None) => self.uplinks[at].hold(),
            Fault::HoldUplink(at, Some(way)) => self.uplinks[at].hold_one(way),
            Fault::WeatherUplink(at, weather) => self.uplinks[at].weather(weather),
            Fault::SlowUplink(at, most) => self.uplinks[at].slow(most),
            Fault::CutLink(at) => self.servers[at].link.cut(),
            Fault::StrandLink(at) => self.servers[at].link.strand(),
            Fault::HoldLink(at, None) => self.servers[at].link.hold(),
            Fault::HoldLink(at, Some(way)) => self.servers[at].link.hold_one(way),
            Fault::SlowLink(at, most) => self.servers[at].link.slow(most),
            Fault::MoveLink(at) => self.move_on(at),
            Fault::JumpClock(seconds) => {
                self.clock.fetch_add(seconds, Ordering::Relaxed);
            }
            Fault::Kill(victim) => self.kill(victim),
        }
    }

    async fn end(&mut self, fault: Fault) {
        match fault {
            Fault::HoldUplink(at, _) => self.uplinks[at].release(),
            Fault::WeatherUplink(at, _) => self.uplinks[at].weather(Weather::default()),
            Fault::SlowUplink(at, _) => self.uplinks[at].slow(std::time::Duration::ZERO),
            Fault::HoldLink(at, _) => self.servers[at].link.release(),
            Fault::SlowLink(at, _) => self.servers[at].link.slow(std::time::Duration::ZERO),
            Fault::Kill(victim) => self.revive(victim).await,
            Fault::CutUplink(_)
            | Fault::CutLink(_)
            | Fault::StrandLink(_)
            | Fault::MoveLink(_)
            | Fault::JumpClock(_) => {}
        }
    }

    /// Leads a game server to the next edge of its region, where there is another.
    fn move_on(&mut self, at: usize) {
        let watched = &mut self.servers[at];
        let others = (1..EDGES).map(|step| (watched.at + step) % EDGES);
        watched.at = others
            .into_iter()
            .find(|&edge| region(edge) == watched.region)
            .unwrap_or(watched.at);
        watched.link.lead_to(self.edges[watched.at].listener());
    }

    fn kill(&mut self, victim: Victim) {
        if self.down.contains(&victim) {
            return;
        }
        self.down.push(victim);
        match victim {
            Victim::Origin => self.cluster.kill_origin(),
            Victim::Edge(at) => {
                self.lives[at].turn();
                self.edges[at].process.kill();
            }
            Victim::Postgres => self.postgres.kill(),
            Victim::Redis => self.redis.kill(),
        }
    }

    async fn revive(&mut self, victim: Victim) {
        let Some(at) = self.down.iter().position(|down| *down == victim) else {
            return;
        };
        self.down.swap_remove(at);
        match victim {
            // It ends without a database, and whoever supervises it would start it until there is one.
            Victim::Origin => {
                Box::pin(self.revive(Victim::Postgres)).await;
                self.cluster.start_origin().await;
            }
            Victim::Edge(at) => {
                self.edges[at].restart(self.cluster.dir.path()).await;
                self.lives[at].turn();
            }
            Victim::Postgres => self.postgres.start_again().await,
            Victim::Redis => self.redis.start().await,
        }
    }

    /// Looks at what the game servers were shown since the last look.
    pub(crate) fn look(&mut self) {
        for watched in &mut self.servers {
            watched.watchman.look(&watched.server);
        }
    }

    /// All is right again, but for the link of one game server that carries nothing.
    pub(crate) async fn calm(&mut self, silent: usize) {
        while let Some(&victim) = self.down.first() {
            self.revive(victim).await;
        }
        for uplink in &self.uplinks {
            uplink.weather(Weather::default());
            uplink.slow(std::time::Duration::ZERO);
            uplink.release();
        }
        for (at, watched) in self.servers.iter().enumerate() {
            watched.link.slow(std::time::Duration::ZERO);
            if at == silent {
                watched.link.hold();
            } else {
                watched.link.release();
            }
        }
    }

    /// Everything but a silent game server comes to what the origin has, and that is what the model says.
    pub(crate) async fn converges(&mut self, changer: &Changer, silent: Option<usize>) {
        self.cluster
            .converge(&self.rest, &self.edges.iter().collect::<Vec<_>>())
            .await;
        for edge in &self.edges {
            let served = told(&self.rest.served(edge).await.unwrap());
            assert_eq!(served, changer.model.world[&edge.region], "{}", edge.name);
        }
        let epoch = self.cluster.epoch();
        let heads = REGIONS.map(|region| self.cluster.head(region));
        for (at, watched) in self.servers.iter_mut().enumerate() {
            if Some(at) == silent {
                continue;
            }
            let head = heads[usize::from(watched.region != REGIONS[0])];
            watched.server.reaches(&epoch, head).await;
            let state = watched.server.state();
            assert_eq!(state.version().0, head, "{}", watched.server.name);
            let expected = &changer.model.world[watched.region];
            assert_eq!(held(&state), *expected, "{}", watched.server.name);
            watched.watchman.look(&watched.server);
            watched
                .watchman
                .compare(&watched.server, watched.region, &changer.history);
        }
        // Those of a region hold the same to the letter, contents and schedules too.
        for (one, other) in self.servers.iter().zip(self.servers.iter().skip(EDGES)) {
            if one.region == other.region && silent.is_none() {
                assert!(
                    one.server.state().same_as(&other.server.state()),
                    "{}",
                    other.server.name
                );
            }
        }
    }

    /// Lets the silent one speak.
    pub(crate) fn release(&self, silent: usize) {
        self.servers[silent].link.release();
    }

    /// Nothing that was answered is lost, and nothing is half there.
    pub(crate) async fn assert_kept(&self, changer: &Changer) {
        self.cluster.database.assert_logs_are_whole();
        let epochs = self
            .cluster
            .database
            .number("SELECT count(*) FROM epoch_history");
        assert_eq!(epochs, 1, "a kill is no loss of history");
        let kept = self
            .cluster
            .database
            .query("SELECT change_id, region_id, version FROM change_regions");
        let kept: std::collections::HashSet<&str> = kept.lines().collect();
        for (change, versions) in &changer.answered {
            for (region, version) in versions {
                let row = format!("{change}|{region}|{version}");
                assert!(
                    kept.contains(row.as_str()),
                    "answered, and not there: {row}"
                );
            }
        }
        // As everybody else would ask for it.
        if let Some((change, _)) = changer.answered.last() {
            eventually("the last change had converged", || async {
                let told = self.rest.get(&format!("/changes/{change}")).await;
                (told["converged"] == true).then_some(())
            })
            .await;
        }
    }
}

fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "the clock that the test sets wrong"
    )]
    Timestamp::now()
}
