//! Guarantees 2 and 3: game servers that are moved between the edges of their region, in the middle of a stream of
//! changes and also from an edge that is ahead to one that is behind, end with exactly the state of those that never
//! moved. On the way none sees a version of an epoch go backwards, or half of a change.
//!
//! Each game server has a link of its own, which the test leads from one edge to the other. The second edge hears the
//! origin through a link that is held for a while, so that it falls behind.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod common;

use std::time::Duration;

use common::cluster::{Cluster, Edge};
use common::game_server::GameServer;
use common::proxy::Proxy;
use common::rest::Rest;
use common::{Random, eventually, seed};
use liveevents_protocol::state::RegionState;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

const REGION: &str = "us-east";
const EVENTS: [&str; 3] = ["festival", "sale", "tournament"];
const MOVED: usize = 5;
const MOVES: u64 = 100;

/// Two edges of a region, the second of which can be held back, and game servers that move between them.
struct Scene {
    cluster: Cluster,
    rest: Rest,
    edges: [Edge; 2],
    uplink: Proxy,
    /// One with each edge, for good.
    stayed: [GameServer; 2],
    moved: Vec<(GameServer, Proxy)>,
}

impl Scene {
    async fn start(random: &mut Random, more: &[(&'static str, String)]) -> Self {
        let cluster = Cluster::start().await;
        let rest = cluster.rest().await;
        for event in EVENTS {
            rest.event(event).await;
            rest.deploy(event, &[REGION], 100).await;
        }
        let uplink = Proxy::udp(&cluster.quic, Random(random.next())).await;
        let mut behind = vec![("ORIGINS", uplink.address.clone())];
        behind.extend_from_slice(more);
        let edges = [
            cluster.edge_not_awaited("us-east-1", REGION, more).await,
            cluster.edge_not_awaited("us-east-2", REGION, &behind).await,
        ];
        for edge in &edges {
            edge.synced().await;
        }
        let token = rest.token("GameServer", &[REGION]).await;
        let stay = |at: usize| {
            let name = format!("the one that stayed with {}", edges[at].name);
            GameServer::connect(&name, REGION, &edges[at].ws(), &token)
        };
        let stayed = [stay(0), stay(1)];
        let mut moved = Vec::new();
        for at in 0..MOVED {
            let link = Proxy::tcp(edges[at % 2].listener(), Random(random.next())).await;
            link.slow(Duration::from_millis(3));
            let address = format!("ws://{}", link.address);
            let name = format!("mover {at}");
            moved.push((GameServer::connect(&name, REGION, &address, &token), link));
        }
        let scene = Self {
            cluster,
            rest,
            edges,
            uplink,
            stayed,
            moved,
        };
        scene.converge().await;
        scene
    }

    fn game_servers(&self) -> impl Iterator<Item = &GameServer> {
        self.stayed
            .iter()
            .chain(self.moved.iter().map(|(server, _)| server))
    }

    /// Waits until every game server holds what the database has.
    async fn converge(&self) {
        let (epoch, head) = (self.cluster.epoch(), self.cluster.head(REGION));
        for server in self.game_servers() {
            server.reaches(&epoch, head).await;
        }
    }

    /// Leads a game server to an edge, cutting the connection that it has.
    fn lead(&self, mover: usize, edge: usize) {
        self.moved[mover].1.lead_to(self.edges[edge].listener());
    }

    /// Moves game servers about, the second edge now behind and now not, while changes are made.
    async fn move_about(&self, random: &mut Random) {
        let (made, mut changes) = watch::channel(0);
        let (stop, stopped) = watch::channel(false);
        let mut changing = JoinSet::new();
        changing.spawn(change(
            self.rest.clone(),
            Random(random.next()),
            made,
            stopped,
        ));
        for n in 0..MOVES {
            let next = *changes.borrow() + 1 + random.below(2);
            changes.wait_for(|made| *made >= next).await.unwrap();
            match n % 10 {
                4 => self.uplink.hold(),
                9 => self.uplink.release(),
                _ => {}
            }
            self.lead(
                random.below(MOVED as u64) as usize,
                random.below(2) as usize,
            );
        }
        stop.send_replace(true);
        changing.join_all().await;
        println!("{} changes, {MOVES} moves", *changes.borrow());
    }

    /// All are the same, wherever they have been, and went there by going forward only.
    async fn assert_same(&self) {
        self.converge().await;
        let stayed = self.stayed[0].state();
        assert_eq!(stayed.version().0, self.cluster.head(REGION));
        assert_eq!(stayed.assignments().count(), EVENTS.len());
        for server in self.game_servers() {
            assert!(
                server.state().same_as(&stayed),
                "{} holds {:?}\nwho stayed {stayed:?}",
                server.name,
                server.state()
            );
            server.assert_only_went_forward(stopped_together);
        }
    }
}

/// Stops and resumptions are of all events: a state with some stopped and some not is half of a change.
fn stopped_together(state: &RegionState) -> bool {
    let mut stopped = state
        .assignments()
        .map(|assignment| assignment.suspension.stopped);
    let first = stopped.next();
    stopped.all(|stopped| Some(stopped) == first)
}

/// Makes changes until told to stop, counting them.
async fn change(
    rest: Rest,
    mut random: Random,
    made: watch::Sender<u64>,
    stopped: watch::Receiver<bool>,
) {
    let mut percentages = [0; EVENTS.len()];
    while !*stopped.borrow() {
        let which = random.below(EVENTS.len() as u64) as usize;
        let (event, percentage) = (EVENTS[which], &mut percentages[which]);
        let kind = random.below(6);
        if kind == 0 {
            for command in ["/stop", "/resume"] {
                let order = json!({ "all": true, "reason": "tested" });
                rest.post(command, order).await;
                made.send_modify(|made| *made += 1);
            }
            continue;
        }
        if kind == 1 {
            rest.revise(event, json!({ "priority": random.below(100) }))
                .await;
        }
        // 1 to 98, but not the same again, which would be refused.
        *percentage = (*percentage + random.below(97)) % 98 + 1;
        rest.deploy(event, &[REGION], *percentage as u32).await;
        made.send_modify(|made| *made += 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_redis_an_edge_that_is_behind_catches_up_from_it() {
    let mut random = Random(seed());
    let scene = Scene::start(&mut random, &[]).await;
    scene.move_about(&mut random).await;
    scene.uplink.release();
    scene.assert_same().await;

    // One that is ahead comes to an edge that hears nothing from the origin, but finds it in Redis.
    scene.lead(0, 0);
    scene.moved[0].0.is_with("us-east-1").await;
    scene.uplink.hold();
    scene.rest.deploy("sale", &[REGION], 99).await;
    let (epoch, head) = (scene.cluster.epoch(), scene.cluster.head(REGION));
    scene.moved[0].0.reaches(&epoch, head).await;
    // Moved at once: Redis may not have it at the first look.
    scene.lead(0, 1);
    scene.moved[0].0.is_with("us-east-2").await;
    scene.stayed[1].reaches(&epoch, head).await;
    let health = scene.edges[1].health().await;
    assert_eq!(
        health["regions"][0]["holds"]["confirmed"], false,
        "the origin was not heard: {health}"
    );
    assert!(scene.edges[1].metric("cache_loads_total").await >= 1.0);

    scene.uplink.release();
    scene.assert_same().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_game_server_that_is_ahead_waits_until_it_is_passed() {
    let mut random = Random(seed());
    let scene = Scene::start(&mut random, &[("REDIS_URL", String::new())]).await;
    scene.move_about(&mut random).await;
    scene.uplink.release();
    scene.assert_same().await;

    scene.lead(0, 0);
    scene.moved[0].0.is_with("us-east-1").await;
    let told = scene.edges[1]
        .metric("game_server_messages_sent_total{type=\"ahead\"}")
        .await;
    scene.uplink.hold();
    let behind = scene.cluster.head(REGION);
    for percentage in [99, 20, 99] {
        scene.rest.deploy("sale", &[REGION], percentage).await;
    }
    let (epoch, head) = (scene.cluster.epoch(), scene.cluster.head(REGION));
    scene.moved[0].0.reaches(&epoch, head).await;
    scene.lead(0, 1);
    scene.moved[0].0.is_with("us-east-2").await;
    eventually("the game server was told that it is ahead", || async {
        let now = scene.edges[1]
            .metric("game_server_messages_sent_total{type=\"ahead\"}")
            .await;
        (now > told).then_some(())
    })
    .await;
    // It keeps what it has, and who is with the edge that is behind waits with the edge.
    assert_eq!(scene.moved[0].0.version(), head);
    assert_eq!(scene.stayed[1].version(), behind);
    assert_eq!(
        scene.rest.served(&scene.edges[1]).await.unwrap()["version"],
        behind
    );

    scene.uplink.release();
    scene.rest.deploy("festival", &[REGION], 99).await;
    scene.assert_same().await;
}
