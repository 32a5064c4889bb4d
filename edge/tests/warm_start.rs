//! Redis: what an edge starts from with the origin away, and that it harms nothing when it is wrong or gone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use std::net::SocketAddr;

use common::edge::{Edge, Setup};
use common::game_server::GameServer;
use common::history::{History, epoch, from_level, put, put_for, remove};
use common::identity::Identity;
use common::origin::Origin;
use common::proxy::{Proxy, free_address};
use common::{clock, eventually, redis_url, start, within};
use jiff::SignedDuration;
use liveevents_protocol::message::Cursor;
use liveevents_protocol::version::Version;
use liveevents_service::clock::ManualClock;
use liveevents_service::token::Role;
use redis::AsyncCommands as _;
use serde_json::json;

struct World {
    identity: Identity,
    hand: ManualClock,
    origin: Origin,
    history: History,
    redis: redis::aio::MultiplexedConnection,
}

impl World {
    async fn new() -> Self {
        let (identity, hand) = (Identity::new(), clock());
        let origin = Origin::start(&identity, &hand.clock());
        let mut history = History::new("us-east", epoch(5));
        history.commit(put("sale", 1), start());
        history.commit(put("cup", 1), start());
        history.commit(remove("cup", 1), start());
        let client = redis::Client::open(redis_url()).unwrap();
        let redis = client.get_multiplexed_async_connection().await.unwrap();
        Self {
            identity,
            hand,
            origin,
            history,
            redis,
        }
    }

    fn setup(&self, redis: &str) -> Setup {
        Setup::new(&self.identity, &self.hand.clock(), &[self.origin.address])
            .with("redis-url", redis)
    }

    fn key(&self) -> String {
        format!(
            "liveevent:{{{}:us-east}}:v1:state",
            self.identity.installation
        )
    }

    fn trust_key(&self) -> String {
        format!("liveevent:{{{}}}:v1:trust", self.identity.installation)
    }

    /// Waits until Redis holds a version.
    async fn stored(&self, version: u64) {
        let key = self.key();
        eventually("redis holds it", async || {
            let stored: Option<u64> = self.redis.clone().hget(&key, "version").await.unwrap();
            (stored == Some(version)).then_some(())
        })
        .await;
    }

    /// An edge that was served and has ended, leaving its state in Redis.
    async fn leave_a_state(&self) {
        let edge = self.setup(&redis_url()).start().await;
        let _link = self.origin.serve(&[&self.history]).await;
        edge.at_version(self.history.head().0).await;
        edge.stop().await;
        self.stored(self.history.head().0).await;
    }

    fn token(&self) -> String {
        self.identity.game_server(&["us-east"])
    }

    fn cursor(&self, version: u64) -> Cursor {
        Cursor {
            epoch: self.history.epoch,
            version: Version(version),
        }
    }
}

/// `redis://:password@host:port/0` by way of another address.
fn by_way_of(address: SocketAddr) -> (String, String) {
    let url = redis_url();
    let (head, tail) = url.rsplit_once('@').expect("a URL with a password");
    let (host, database) = tail.split_once('/').unwrap();
    (format!("{head}@{address}/{database}"), host.to_owned())
}

async fn serves(edge: &Edge, world: &World, version: u64) {
    let mut server = GameServer::subscribe(edge, &world.token(), None).await;
    server.until(world.cursor(version)).await;
    assert!(
        server
            .state
            .unwrap()
            .same_as(world.history.state(Version(version)))
    );
}

#[tokio::test]
async fn an_edge_without_origin_knows_the_segments_it_left() {
    let mut world = World::new().await;
    let mut entries = vec![from_level("veterans", 1, 10)];
    entries.extend(put_for("reunion", 1, "veterans"));
    world.history.commit(entries, start());
    world
        .history
        .commit(vec![from_level("veterans", 2, 20)], start());
    world.leave_a_state().await;
    world.origin.cut_off();
    let edge = world.setup(&redis_url()).start().await;
    edge.at_version(world.history.head().0).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (level, events) in [(10, 1), (20, 2)] {
        let url = format!(
            "http://{}/api/v1/players/p-1/events?region=us-east&attributes.level={level}",
            edge.address
        );
        let asked = http.get(url).bearer_auth(world.token()).send();
        let answer = within("an answer", asked).await.unwrap();
        let body: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(body["events"].as_array().unwrap().len(), events, "{body}");
    }
}

#[tokio::test]
async fn an_edge_restarted_without_its_origin_serves_from_redis_and_says_how_old() {
    let world = World::new().await;
    world.leave_a_state().await;
    let (address, setup) = (world.origin.address, world.setup(&redis_url()));
    let World {
        origin,
        identity,
        hand,
        history,
        redis,
    } = world;
    origin.stop().await;
    hand.advance(SignedDuration::from_mins(90));

    let edge = setup.start().await;
    let report = edge.health().await;
    let holds = &report["regions"][0]["holds"];
    assert_eq!(holds["version"], 3);
    assert_eq!(holds["ageMs"], 90 * 60 * 1000);
    assert_eq!(
        (&holds["stale"], &holds["confirmed"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(edge.get("/health/ready", "").await.0, 200);

    // The token expired half an hour ago, after the origin was last heard: nobody could renew it.
    let token = identity.game_server(&["us-east"]);
    let (status, body) = edge
        .get("/api/v1/players/p/events?region=us-east", &token)
        .await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        (&body["ageMs"], &body["stale"]),
        (&json!(90 * 60 * 1000), &json!(true))
    );
    assert_eq!(body["events"][0]["eventId"], "sale");
    // A person can log in again, and one that expired before the origin went is expired.
    let person = identity.token(Role::Developer, "eve", &[]);
    assert_eq!(
        edge.get("/api/v1/regions/us-east/events", &person).await.0,
        401
    );
    let mut old = identity.claims(Role::GameServer, "gs", &["us-east"]);
    old.expires_at = start() - SignedDuration::from_secs(1);
    let old = identity.sign(&old);
    assert_eq!(
        edge.get("/api/v1/regions/us-east/events", &old).await.0,
        401
    );

    // The origin comes back and goes on from there.
    let origin = Origin::start_at(
        address,
        &identity.authority,
        identity.trust(2, &[]),
        &hand.clock(),
    );
    let mut link = origin.welcome().await;
    assert_eq!(link.hello.regions[0].1, Some(history.position(Version(3))));
    let mut history = history;
    history.commit(put("sale", 2), start());
    link.rows(&history, 3, 4).await;
    link.acked(&history, Version(4)).await;
    let report = edge.health().await;
    let holds = &report["regions"][0]["holds"];
    assert_eq!(
        (&holds["version"], &holds["stale"], &holds["confirmed"]),
        (&json!(4), &json!(false), &json!(true))
    );
    // And the token is as expired as any.
    assert_eq!(
        edge.get("/api/v1/regions/us-east/events", &token).await.0,
        401
    );
    drop(redis);
}

#[tokio::test]
async fn an_edge_older_than_allowed_is_not_ready_and_serves_all_the_same() {
    let world = World::new().await;
    world.leave_a_state().await;
    world.origin.cut_off();
    world.hand.advance(SignedDuration::from_mins(10));
    let edge = world
        .setup(&redis_url())
        .with("ready-max-age", "PT9M")
        .start()
        .await;
    assert_eq!(edge.get("/health/ready", "").await.0, 503);
    assert_eq!(edge.get("/health/live", "").await.0, 200);
    serves(&edge, &world, 3).await;
}

#[tokio::test]
async fn changes_reach_redis_as_deltas_and_a_lost_hash_is_written_anew() {
    let mut world = World::new().await;
    let edge = world.setup(&redis_url()).start().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    world.stored(3).await;
    let replaced = edge.metric("liveevents_cache_replacements_total").await;
    for revision in 2..5 {
        let version = world.history.commit(put("sale", revision), start());
        link.rows(&world.history, version.0 - 1, version.0).await;
        link.acked(&world.history, version).await;
        world.stored(version.0).await;
    }
    assert_eq!(
        edge.metric("liveevents_cache_replacements_total").await,
        replaced
    );
    // Somebody flushes Redis.
    let _: () = world.redis.clone().del(world.key()).await.unwrap();
    let version = world.history.commit(put("cup", 2), start());
    link.rows(&world.history, version.0 - 1, version.0).await;
    world.stored(version.0).await;
    // What stands there is the whole.
    edge.stop().await;
    let edge = world.setup(&redis_url()).start().await;
    serves(&edge, &world, version.0).await;
}

#[tokio::test]
async fn rubbish_is_ignored_as_a_whole_and_replaced() {
    let world = World::new().await;
    world.leave_a_state().await;
    let mut redis = world.redis.clone();
    let _: () = redis
        .hset(world.key(), "assignment:sale", "rubbish")
        .await
        .unwrap();
    let _: () = redis
        .hset(world.trust_key(), "bytes", "rubbish")
        .await
        .unwrap();
    let edge = world.setup(&redis_url()).start().await;
    let report = edge.health().await;
    assert_eq!(report["regions"][0].get("holds"), None);
    assert!(edge.metric("liveevents_cache_rubbish_total").await >= Some(2.0));
    let link = world.origin.serve(&[&world.history]).await;
    assert_eq!(link.hello.regions[0].1, None);
    serves(&edge, &world, 3).await;
    world.stored(3).await;
    edge.stop().await;
    let edge = world.setup(&redis_url()).start().await;
    assert_eq!(edge.health().await["regions"][0]["holds"]["version"], 3);
}

#[tokio::test]
async fn a_forged_position_yields_to_the_origin() {
    let world = World::new().await;
    world.leave_a_state().await;
    // Somebody claims a later epoch and a version far ahead.
    let mut redis = world.redis.clone();
    let _: () = redis
        .hset(world.key(), "epoch", epoch(9).to_string())
        .await
        .unwrap();
    let _: () = redis.hset(world.key(), "version", 900).await.unwrap();
    let edge = world.setup(&redis_url()).start().await;
    assert_eq!(edge.health().await["regions"][0]["holds"]["version"], 900);
    // The origin did not hand that out: it tells what it has.
    let mut link = world.origin.welcome().await;
    assert_eq!(
        link.hello.regions[0].1.unwrap().position.version,
        Version(900)
    );
    link.snapshot(&world.history, Version(3)).await;
    link.acked(&world.history, Version(3)).await;
    serves(&edge, &world, 3).await;
    // Nobody else starts from the forgery.
    world.stored(3).await;
    let stored: String = redis.hget(world.key(), "epoch").await.unwrap();
    assert_eq!(stored, epoch(5).to_string());
}

#[tokio::test]
async fn redis_may_be_gone_at_the_start_and_come_and_go() {
    let mut world = World::new().await;
    let address = free_address().await;
    let (url, host) = by_way_of(address);
    let edge = world.setup(&url).start().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    serves(&edge, &world, 3).await;
    edge.until("redis is known to be away", |report| {
        report["cache"]["state"] == "Away"
    })
    .await;

    let proxy = Proxy::start(address, host.clone()).await;
    edge.until("redis is back", |report| {
        report["cache"]["state"] == "Working"
    })
    .await;
    world.stored(3).await;

    drop(proxy);
    let version = world.history.commit(put("sale", 2), start());
    link.rows(&world.history, 3, version.0).await;
    link.acked(&world.history, version).await;
    serves(&edge, &world, 4).await;
    edge.until("redis is away again", |report| {
        report["cache"]["state"] == "Away"
    })
    .await;

    let _proxy = Proxy::start(address, host).await;
    world.stored(4).await;
}

#[tokio::test]
async fn an_edge_that_started_with_nothing_takes_what_redis_has_once_it_is_there() {
    let world = World::new().await;
    world.leave_a_state().await;
    world.origin.cut_off();
    let address = free_address().await;
    let (url, host) = by_way_of(address);
    let edge = world.setup(&url).start().await;
    assert_eq!(edge.get("/health/ready", "").await.0, 503);
    let _proxy = Proxy::start(address, host).await;
    edge.at_version(3).await;
    serves(&edge, &world, 3).await;
}

#[tokio::test]
async fn another_installations_state_is_not_looked_at() {
    let (world, other) = (World::new().await, World::new().await);
    world.leave_a_state().await;
    let edge = other.setup(&redis_url()).start().await;
    assert_eq!(edge.health().await["regions"][0].get("holds"), None);
}

#[tokio::test]
async fn a_redis_that_never_answers_delays_nobody() {
    let mut world = World::new().await;
    // It accepts, and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, _) = by_way_of(silent.local_addr().unwrap());
    let setup = world.setup(&url);
    let edge = within("the edge to start", setup.start()).await;
    let mut link = world.origin.serve(&[&world.history]).await;
    let version = world.history.commit(put("sale", 2), start());
    link.rows(&world.history, 3, version.0).await;
    link.acked(&world.history, version).await;
    serves(&edge, &world, 4).await;
    within("the edge to end", edge.stop()).await;
}
