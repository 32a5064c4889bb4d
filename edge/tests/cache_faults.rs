//! Redis slow, refusing, emptied, or holding what it should not: reads and pushes go on as before, the trouble is told,
//! and it mends by itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use std::time::Duration;

use common::edge::{Edge, Setup};
use common::game_server::GameServer;
use common::history::{History, epoch, put};
use common::identity::Identity;
use common::origin::{Link, Origin};
use common::proxy::{Proxy, free_address};
use common::redis::Redis;
use common::{clock, eventually, start, within};
use liveevents_protocol::message::{AckStatus, Cursor};
use liveevents_protocol::version::Version;
use liveevents_service::clock::ManualClock;
use redis::AsyncCommands as _;

struct World {
    identity: Identity,
    clock: ManualClock,
    origin: Origin,
    history: History,
    redis: Redis,
}

impl World {
    async fn new() -> Self {
        let (identity, clock) = (Identity::new(), clock());
        let origin = Origin::start(&identity, &clock.clock());
        let mut history = History::new("us-east", epoch(5));
        history.commit(put("sale", 1), start());
        Self {
            identity,
            clock,
            origin,
            history,
            redis: Redis::start().await,
        }
    }

    fn setup(&self) -> Setup {
        Setup::new(&self.identity, &self.clock.clock(), &[self.origin.address])
            .with("redis-url", &self.redis.url())
    }

    fn key(&self) -> String {
        let installation = &self.identity.installation;
        format!("liveevent:{{{installation}:us-east}}:v1:state")
    }

    fn trust_key(&self) -> String {
        format!("liveevent:{{{}}}:v1:trust", self.identity.installation)
    }

    fn cursor(&self, version: u64) -> Cursor {
        Cursor {
            epoch: self.history.epoch,
            version: Version(version),
        }
    }

    /// Waits until Redis holds the newest version and the trust bundle.
    async fn stored(&self) {
        let mut redis = self.redis.connection().await;
        let (key, trust, head) = (self.key(), self.trust_key(), self.history.head().0);
        eventually("redis holds all", async || {
            let version: Result<Option<u64>, _> = redis.hget(&key, "version").await;
            let bytes: Result<Option<Vec<u8>>, _> = redis.hget(&trust, "bytes").await;
            let content: Result<bool, _> =
                redis.hexists(&key, format!("content:sale:{head}")).await;
            let ours = self.identity.trust(1, &[]).bytes;
            (version == Ok(Some(head)) && bytes == Ok(Some(ours)) && content == Ok(true))
                .then_some(())
        })
        .await;
    }

    /// A change reaches a game server, and a reader, whatever Redis does.
    async fn goes_on(&mut self, edge: &Edge, link: &mut Link) {
        let token = self.identity.game_server(&["us-east"]);
        let held = self.cursor(self.history.head().0);
        let mut server = GameServer::subscribe(edge, &token, None).await;
        server.until(held).await;
        let revision = u32::try_from(held.version.0).unwrap() + 1;
        let version = self.history.commit(put("sale", revision), start());
        link.rows(&self.history, held.version.0, version.0).await;
        link.acked(&self.history, version).await;
        let at = server.update().await;
        assert_eq!(at, self.cursor(version.0));
        server.ack(at, AckStatus::Applied).await;
        let path = "/api/v1/players/p/events?region=us-east";
        let (status, body) = edge.get(path, &token).await;
        assert_eq!(
            (status.as_u16(), &body["events"][0]["revision"]),
            (200, &revision.into())
        );
        assert_eq!(edge.get("/health/ready", "").await.0, 200);
    }

    /// An edge that starts from Redis alone has all of it.
    async fn starts_from_redis(&self) {
        self.origin.cut_off();
        let edge = self.setup().start().await;
        edge.at_version(self.history.head().0).await;
        let token = self.identity.game_server(&["us-east"]);
        let path = "/api/v1/regions/us-east/events";
        assert_eq!(edge.get(path, &token).await.0, 200);
    }
}

/// Waits until health says that Redis fails, for this reason, and the metrics that it does.
async fn troubled(edge: &Edge, reason: &str) {
    edge.until(&format!("redis fails: {reason}"), |report| {
        let cache = &report["cache"];
        cache["state"] == "Away" && cache["reason"].as_str().unwrap().contains(reason)
    })
    .await;
    assert_eq!(edge.metric("liveevents_cache_working").await, Some(0.0));
    assert!(edge.metric("liveevents_cache_failures_total").await >= Some(1.0));
}

async fn mended(edge: &Edge) {
    edge.until("redis is back", |report| {
        report["cache"]["state"] == "Working"
    })
    .await;
    assert_eq!(edge.metric("liveevents_cache_working").await, Some(1.0));
}

#[tokio::test]
async fn a_slow_redis_delays_nobody_and_gets_it_all_in_the_end() {
    let mut world = World::new().await;
    let delay = Duration::from_millis(150);
    let proxy = Proxy::slow(free_address().await, world.redis.address.to_string(), delay).await;
    let url = format!("redis://{}/0", proxy.address);
    let edge = world.setup().with("redis-url", &url).start().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    for _ in 0..10 {
        world.goes_on(&edge, &mut link).await;
    }
    world.stored().await;
    within("the edge to end", edge.stop()).await;
    world.starts_from_redis().await;
}

#[tokio::test]
async fn a_redis_that_takes_no_writes_is_read_and_written_once_it_does() {
    // A replica, one without replicas of its own where some are demanded, and one that is full.
    let table = [
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "ReadOnly"),
        (
            "CONFIG SET min-replicas-to-write 1",
            "CONFIG SET min-replicas-to-write 0",
            "NOREPLICAS",
        ),
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "OOM"),
    ];
    for (refuse, allow, reason) in table {
        let mut world = World::new().await;
        let edge = world.setup().start().await;
        let mut link = world.origin.serve(&[&world.history]).await;
        world.stored().await;
        world.redis.command(refuse).await;
        world.goes_on(&edge, &mut link).await;
        troubled(&edge, reason).await;
        world.goes_on(&edge, &mut link).await;
        // Whoever starts now starts from what stands there.
        edge.stop().await;
        drop(link);
        let edge = world.setup().start().await;
        edge.at_version(1).await;
        let mut link = world.origin.serve(&[&world.history]).await;
        world.redis.command(allow).await;
        mended(&edge).await;
        world.goes_on(&edge, &mut link).await;
        world.stored().await;
        edge.stop().await;
        world.starts_from_redis().await;
    }
}

#[tokio::test]
async fn a_wiped_redis_is_filled_again_though_nothing_changes() {
    let world = World::new().await;
    let edge = world.setup().start().await;
    let link = world.origin.serve(&[&world.history]).await;
    world.stored().await;
    world.redis.command("FLUSHALL").await;
    world.stored().await;
    // Also by an edge that is cut off itself.
    drop(link);
    world.origin.cut_off();
    edge.until("the edge is cut off", |report| {
        report["uplink"]["state"] != "Connected"
    })
    .await;
    world.redis.command("FLUSHALL").await;
    world.stored().await;
    assert_eq!(edge.health().await["cache"]["state"], "Working");
    edge.stop().await;
    world.starts_from_redis().await;
}

#[tokio::test]
async fn a_redis_restarted_empty_is_filled_again() {
    let mut world = World::new().await;
    let edge = world.setup().start().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    world.stored().await;
    let address = world.redis.stop().await;
    world.redis = Redis::start_at(address).await;
    world.stored().await;
    world.goes_on(&edge, &mut link).await;
    world.stored().await;
}

#[tokio::test]
async fn what_is_no_hash_is_replaced_under_an_edge_that_runs() {
    let mut world = World::new().await;
    let edge = world.setup().start().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    world.stored().await;
    for key in [world.key(), world.trust_key()] {
        world.redis.command(&format!("SET {key} rubbish")).await;
        world.goes_on(&edge, &mut link).await;
        world.stored().await;
    }
    for key in [world.key(), world.trust_key()] {
        world.redis.command(&format!("DEL {key}")).await;
        world.redis.command(&format!("LPUSH {key} 1 2 3")).await;
    }
    world.stored().await;
    assert_eq!(edge.health().await["cache"]["state"], "Working");
}

#[tokio::test]
async fn rubbish_of_any_kind_at_the_start_is_removed_and_replaced() {
    let huge = "x".repeat(1 << 20);
    let fields = |version: &str, entry: &str, value: &str| {
        format!(
            "epoch {} version {version} floor 0 seal s committed  contact 1 {entry} {value}",
            epoch(5)
        )
    };
    let table = [
        "SET {} rubbish".to_owned(),
        "LPUSH {} 1 2 3".to_owned(),
        "HSET {} version 18446744073709551616".to_owned(),
        "HSET {} version -1 epoch x".to_owned(),
        format!("HSET {{}} {}", fields("7", "assignment:sale", "\u{1}\u{2}")),
        format!("HSET {{}} {}", fields("7", "content:sale:1", &huge)),
    ];
    for command in table {
        let world = World::new().await;
        for key in [world.key(), world.trust_key()] {
            world.redis.command(&command.replace("{}", &key)).await;
        }
        let edge = world.setup().start().await;
        let report = edge.health().await;
        assert_eq!(report["regions"][0].get("holds"), None, "{command:.40}");
        assert!(edge.metric("liveevents_cache_rubbish_total").await >= Some(1.0));
        assert_eq!(edge.get("/health/live", "").await.0, 200);
        let _link = world.origin.serve(&[&world.history]).await;
        world.stored().await;
        edge.stop().await;
        world.starts_from_redis().await;
    }
}

#[tokio::test]
async fn a_forged_trust_bundle_lets_nobody_in_and_is_replaced() {
    let world = World::new().await;
    let forger = Identity::new();
    let forged = forger.trust(u64::from(u32::MAX), &[]);
    let mut redis = world.redis.connection().await;
    let put_there = async |redis: &mut redis::aio::MultiplexedConnection| {
        let fields: [(&str, &[u8]); 3] = [
            ("serial", b"4294967295"),
            ("signatures", &forged.signatures.concat()),
            ("bytes", &forged.bytes),
        ];
        let _: () = redis
            .hset_multiple(world.trust_key(), &fields)
            .await
            .unwrap();
    };
    put_there(&mut redis).await;
    let edge = world.setup().start().await;
    let path = "/api/v1/regions/us-east/events";
    let token = forger.game_server(&["us-east"]);
    assert_eq!(edge.get(path, &token).await.0, 503);
    let _link = world.origin.serve(&[&world.history]).await;
    world.stored().await;
    assert_eq!(edge.get(path, &token).await.0, 401);
    // Under an edge that runs.
    put_there(&mut redis).await;
    world.stored().await;
    assert_eq!(edge.get(path, &token).await.0, 401);
    edge.stop().await;
    world.starts_from_redis().await;
}

#[tokio::test]
async fn a_state_that_the_origin_knows_nothing_of_is_replaced_under_an_edge_that_runs() {
    let mut world = World::new().await;
    let edge = world.setup().start().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    world.stored().await;
    let mut redis = world.redis.connection().await;
    let later = [
        ("epoch", epoch(9).to_string()),
        ("version", "900".to_owned()),
    ];
    let _: () = redis.hset_multiple(world.key(), &later).await.unwrap();
    world.goes_on(&edge, &mut link).await;
    world.stored().await;
    assert!(edge.metric("liveevents_cache_rubbish_total").await >= Some(1.0));
    world.goes_on(&edge, &mut link).await;
    edge.stop().await;
    world.starts_from_redis().await;
}

#[tokio::test]
async fn a_snapshot_of_the_version_held_rewrites_the_hash_whole() {
    let world = World::new().await;
    let edge = world.setup().start().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    world.stored().await;
    // Something that no refresh looks at.
    let mut redis = world.redis.connection().await;
    let _: () = redis
        .hset(world.key(), "content:sale:1", "rubbish")
        .await
        .unwrap();
    link.snapshot(&world.history, Version(1)).await;
    link.acked(&world.history, Version(1)).await;
    let key = world.key();
    eventually("the hash is written whole", async || {
        let content: Vec<u8> = redis.hget(&key, "content:sale:1").await.unwrap();
        (content != b"rubbish").then_some(())
    })
    .await;
    edge.stop().await;
    world.starts_from_redis().await;
}
