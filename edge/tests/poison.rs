//! Entries that this edge cannot apply: served is the last good content, everything else goes on, the origin hears of
//! it, and it heals.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use common::edge::{Edge, Setup};
use common::game_server::GameServer;
use common::history::{History, assignment, epoch, put, spoil};
use common::identity::Identity;
use common::origin::{Link, Origin};
use common::{clock, redis_url, start};
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::frame::{FORMAT_V1, OriginFrame};
use liveevents_protocol::message::{AckStatus, Cursor, ServerMessage};
use liveevents_protocol::version::{Revision, Version};
use liveevents_service::clock::Clock;
use liveevents_service::token::Role;
use redis::AsyncCommands as _;
use serde_json::{Value, json};
use tempfile::TempDir;

struct World {
    identity: Identity,
    clock: Clock,
    origin: Origin,
    history: History,
}

impl World {
    /// An origin whose region has `sale` and `cup`.
    fn new() -> Self {
        let (identity, clock) = (Identity::new(), clock().clock());
        let origin = Origin::start(&identity, &clock);
        let mut history = History::new("us-east", epoch(5));
        history.commit(put("sale", 1), start());
        history.commit(put("cup", 1), start());
        Self {
            identity,
            clock,
            origin,
            history,
        }
    }

    fn setup(&self) -> Setup {
        Setup::new(&self.identity, &self.clock, &[self.origin.address])
    }

    fn cursor(&self, version: u64) -> Cursor {
        Cursor {
            epoch: self.history.epoch,
            version: Version(version),
        }
    }

    fn token(&self) -> String {
        self.identity.game_server(&["us-east"])
    }

    /// The live revision of each event served, and the version.
    async fn served(&self, edge: &Edge) -> Value {
        let person = self.identity.token(Role::Developer, "eve", &[]);
        let (_, body) = edge.get("/api/v1/regions/us-east/events", &person).await;
        let live = body["assignments"].as_array().unwrap().iter();
        let live: Vec<_> = live.map(|a| json!([a["eventId"], a["live"]])).collect();
        json!([body["version"], live])
    }

    /// A snapshot in which a revision is spoilt.
    async fn spoilt_snapshot(&self, link: &Link, revision: u32) {
        for mut chunk in self.history.chunks(self.history.head()) {
            spoil(&mut chunk.entries, revision);
            link.send(&OriginFrame::SnapshotChunk(chunk)).await;
        }
    }
}

/// What the health report says to be set aside.
async fn degraded(edge: &Edge) -> Vec<String> {
    let report = edge.health().await;
    let entries = report["regions"][0]["degraded"].as_array().cloned();
    let name = |entry: &Value| entry["entry"].as_str().unwrap().to_owned();
    entries.unwrap_or_default().iter().map(name).collect()
}

#[tokio::test]
async fn the_last_good_is_served_the_origin_hears_why_and_what_comes_anew_heals() {
    let mut world = World::new();
    let edge = world.setup().start().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    let mut server = GameServer::subscribe(&edge, &world.token(), None).await;
    server.until(world.cursor(2)).await;

    world
        .history
        .commit_spoilt([put("sale", 2), put("cup", 3)].concat(), 2, start());
    link.rows(&world.history, 2, 3).await;
    // It advances, and says so.
    link.acked(&world.history, Version(3)).await;
    let told = link.degraded().await;
    let told: Vec<_> = told
        .iter()
        .map(|e| (format!("{:?}", e.key), e.version.0))
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter()
            .all(|(key, version)| key.contains("sale") && *version == 3)
    );
    assert_eq!(
        world.served(&edge).await,
        json!([3, [["cup", 3], ["sale", 1]]])
    );
    assert_eq!(degraded(&edge).await, ["content:sale:2", "assignment:sale"]);
    assert_eq!(
        edge.metric("liveevents_region_quarantined_entries").await,
        Some(2.0)
    );
    assert_eq!(edge.metric("liveevents_quarantined_total").await, Some(2.0));
    assert_eq!(edge.get("/health/ready", "").await.0, 200);
    server.until(world.cursor(3)).await;

    // The origin is told again after a welcome.
    link.close(CloseReason::GoingAway);
    let mut link = world.origin.welcome().await;
    assert_eq!(
        link.hello.regions[0].1,
        Some(world.history.position(Version(3)))
    );
    assert_eq!(link.degraded().await.len(), 2);

    // The content comes again, and the assignment that waited for it is applied with it.
    world
        .history
        .commit(vec![common::history::content("sale", 2).into()], start());
    link.rows(&world.history, 3, 4).await;
    link.acked(&world.history, Version(4)).await;
    assert_eq!(link.degraded().await, []);
    assert_eq!(degraded(&edge).await, [""; 0]);
    assert_eq!(
        world.served(&edge).await,
        json!([4, [["cup", 3], ["sale", 2]]])
    );
    server.until(world.cursor(4)).await;
    assert!(
        server
            .state
            .as_ref()
            .unwrap()
            .same_as(world.history.state(Version(4)))
    );
    server.ack(world.cursor(4), AckStatus::Applied).await;
    link.reported(|delivery| delivery.standings.iter().any(|s| s.version == Version(4)))
        .await;
}

#[tokio::test]
async fn an_assignment_without_its_content_waits_and_harms_nobody() {
    let mut world = World::new();
    let edge = world.setup().start().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    world
        .history
        .commit(vec![assignment("sale", 9).into()], start());
    link.rows(&world.history, 2, 3).await;
    link.acked(&world.history, Version(3)).await;
    let told = link.degraded().await;
    assert_eq!(
        told[0].reason,
        "assignment of sale names revision 9, which is not there"
    );
    assert_eq!(
        world.served(&edge).await,
        json!([3, [["cup", 1], ["sale", 1]]])
    );
}

#[tokio::test]
async fn a_snapshot_heals_what_is_set_aside_and_one_that_is_bad_itself_keeps_the_last_good() {
    let mut world = World::new();
    let edge = world.setup().start().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    world.history.commit(put("sale", 2), start());
    world.spoilt_snapshot(&link, 2).await;
    link.acked(&world.history, Version(3)).await;
    assert_eq!(link.degraded().await.len(), 2);
    assert_eq!(
        world.served(&edge).await,
        json!([3, [["cup", 1], ["sale", 1]]])
    );
    // As the origin sends it when the cache is to be warm: of the version held.
    link.snapshot(&world.history, Version(3)).await;
    assert_eq!(link.degraded().await, []);
    assert_eq!(
        world.served(&edge).await,
        json!([3, [["cup", 1], ["sale", 2]]])
    );
}

#[tokio::test]
async fn who_leaves_an_edge_that_lacks_something_is_made_whole_by_another() {
    let mut world = World::new();
    let lacking = world.setup().start().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    let mut server = GameServer::subscribe(&lacking, &world.token(), None).await;
    server.until(world.cursor(2)).await;
    world.history.commit(put("sale", 2), start());
    world.spoilt_snapshot(&link, 2).await;
    link.acked(&world.history, Version(3)).await;
    // It is told where it is, and that this edge does not have all of that.
    match server.receive().await {
        ServerMessage::Delta(delta) => assert_eq!((delta.to, delta.degraded), (Version(3), true)),
        other => panic!("{other:?}"),
    }
    // So is who comes now.
    let mut newcomer = GameServer::subscribe(&lacking, &world.token(), None).await;
    match newcomer.receive().await {
        ServerMessage::Snapshot(snapshot) => assert!(snapshot.degraded),
        other => panic!("{other:?}"),
    }

    // Another edge of the region, at the same version, lacks nothing: without a position it tells everything.
    let sound = world.setup().start().await;
    let _link = world.origin.serve(&[&world.history]).await;
    let mut moved = GameServer::subscribe(&sound, &world.token(), None).await;
    let ServerMessage::Snapshot(first) = moved.receive().await else {
        panic!("not a snapshot");
    };
    let whole = moved.assemble(first).await;
    assert!(!whole.degraded);
    let live: Vec<_> = whole.assignments.iter().map(|a| a.live).collect();
    assert_eq!(live, [Some(Revision(1)), Some(Revision(2))]);
}

#[tokio::test]
async fn undecodable_rows_ask_for_one_snapshot_and_then_the_last_good_state_is_kept() {
    let world = World::new();
    let edge = world.setup().start().await;
    let link = world.origin.serve(&[&world.history]).await;
    let mut rows = {
        let mut next = world.history.clone();
        next.commit(put("sale", 3), start());
        next.rows(Version(2), Version(3))
    };
    let row = &mut rows.rows[0];
    row.entries = b"not entries".to_vec();
    let held = world.history.position(Version(2)).position.digest;
    rows.position.position.digest = held.chain(row.version, row.change, FORMAT_V1, &row.entries);
    link.send(&OriginFrame::Rows(rows)).await;
    assert_eq!(link.closed().await, Some(CloseReason::Malformed));
    let link = world.origin.welcome().await;
    assert_eq!(link.hello.regions[0].1, None);
    let mut chunk = world.history.chunks(Version(2)).remove(0);
    chunk.entries = b"not entries".to_vec();
    link.send(&OriginFrame::SnapshotChunk(chunk)).await;
    assert_eq!(link.closed().await, Some(CloseReason::Malformed));
    let report = edge
        .until("the edge waits", |report| {
            report["uplink"]["state"] == "Waiting"
        })
        .await;
    // Not at once: that would be a snapshot every few seconds.
    let until: jiff::Timestamp = report["uplink"]["until"].as_str().unwrap().parse().unwrap();
    assert!(
        until >= start() + jiff::SignedDuration::from_secs(30),
        "{until}"
    );
    assert_eq!(
        world.served(&edge).await,
        json!([2, [["cup", 1], ["sale", 1]]])
    );
}

#[tokio::test]
async fn an_entry_that_the_last_process_died_of_is_set_aside_and_tried_once_more() {
    let mut world = World::new();
    let folder = TempDir::new().unwrap();
    let setup = world
        .setup()
        .with("state-dir", folder.path().to_str().unwrap());
    let edge = setup.start().await;
    let link = world.origin.serve(&[&world.history]).await;
    edge.stop().await;
    drop(link);
    // What a process leaves that dies in the middle of the assignment of version 3.
    let mark = json!({"region": "us-east", "epoch": world.history.epoch, "version": 3, "entry": "assignment:sale"});
    std::fs::write(folder.path().join("applying"), format!("{mark}\n")).unwrap();

    let edge = setup.start().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    world.history.commit(put("sale", 2), start());
    link.rows(&world.history, 2, 3).await;
    link.acked(&world.history, Version(3)).await;
    assert_eq!(
        link.degraded().await[0].reason,
        "this edge died while applying it"
    );
    assert_eq!(degraded(&edge).await, ["assignment:sale"]);
    assert_eq!(
        world.served(&edge).await,
        json!([3, [["cup", 1], ["sale", 1]]])
    );
    world.history.commit(put("cup", 2), start());
    link.rows(&world.history, 3, 4).await;
    assert_eq!(link.degraded().await, []);
    assert_eq!(
        world.served(&edge).await,
        json!([4, [["cup", 2], ["sale", 2]]])
    );
    edge.stop().await;

    // It had died of it twice: it waits for a newer one, over restarts.
    let suspect = json!({"region": "us-east", "epoch": world.history.epoch, "version": 3,
        "entry": "assignment:sale", "deaths": 1, "build": env!("CARGO_PKG_VERSION")});
    std::fs::write(folder.path().join("suspects"), format!("{suspect}\n")).unwrap();
    std::fs::write(folder.path().join("applying"), format!("{mark}\n")).unwrap();
    for _ in 0..2 {
        let edge = setup.start().await;
        let mut link = world.origin.welcome().await;
        link.snapshot(&world.history, Version(4)).await;
        link.acked(&world.history, Version(4)).await;
        assert_eq!(world.served(&edge).await, json!([4, [["cup", 2]]]));
        assert_eq!(degraded(&edge).await, ["assignment:sale"]);
        edge.stop().await;
    }
    let edge = setup.start().await;
    let mut link = world.origin.welcome().await;
    world.history.commit(put("sale", 5), start());
    link.snapshot(&world.history, Version(5)).await;
    link.acked(&world.history, Version(5)).await;
    assert_eq!(degraded(&edge).await, [""; 0]);
    assert_eq!(
        world.served(&edge).await,
        json!([5, [["cup", 2], ["sale", 5]]])
    );
}

#[tokio::test]
async fn what_is_set_aside_is_remembered_in_redis_and_offered_again_by_a_snapshot() {
    let mut world = World::new();
    let setup = world.setup().with("redis-url", &redis_url());
    let edge = setup.start().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    world.history.commit_spoilt(put("sale", 2), 2, start());
    link.rows(&world.history, 2, 3).await;
    link.acked(&world.history, Version(3)).await;
    // Its last write says what it lacks.
    edge.stop().await;

    let edge = setup.start().await;
    assert_eq!(
        world.served(&edge).await,
        json!([3, [["cup", 1], ["sale", 1]]])
    );
    assert_eq!(degraded(&edge).await, ["content:sale:2", "assignment:sale"]);
    let mut link = world.origin.welcome().await;
    // A position would get it rows from there, and never what it lacks.
    assert_eq!(link.hello.regions[0].1, None);
    link.snapshot(&world.history, Version(3)).await;
    link.acked(&world.history, Version(3)).await;
    assert_eq!(
        world.served(&edge).await,
        json!([3, [["cup", 1], ["sale", 2]]])
    );
    // And Redis has all of it.
    let client = redis::Client::open(redis_url()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let key = format!(
        "liveevent:{{{}:us-east}}:v1:state",
        world.identity.installation
    );
    common::eventually("redis has all of it", async || {
        let (aside, content): (String, Option<Vec<u8>>) = redis
            .hmget(&key, &["aside", "content:sale:2"])
            .await
            .unwrap();
        (aside.is_empty() && content.is_some()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_edge_that_lacks_entries_leaves_the_word_in_redis_to_one_that_does_not() {
    let mut world = World::new();
    let lame = world.setup().with("redis-url", &redis_url()).start().await;
    let mut to_lame = world.origin.serve(&[&world.history]).await;
    let token = world.identity.token(Role::Edge, "edge-2", &["us-east"]);
    let sound = world
        .setup()
        .with("edge-id", "edge-2")
        .with("enrolment-token", &token)
        .with("redis-url", &redis_url())
        .start()
        .await;
    let mut to_sound = world.origin.serve(&[&world.history]).await;
    // The same change; one of the two gets it spoilt, by a fault of its own.
    let mut spoilt = world.history.clone();
    spoilt.commit_spoilt(put("sale", 2), 2, start());
    world.history.commit(put("sale", 2), start());
    to_lame.rows(&spoilt, 2, 3).await;
    to_lame.acked(&spoilt, Version(3)).await;
    to_sound.rows(&world.history, 2, 3).await;
    to_sound.acked(&world.history, Version(3)).await;
    lame.stop().await;
    let client = redis::Client::open(redis_url()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let key = format!(
        "liveevent:{{{}:us-east}}:v1:state",
        world.identity.installation
    );
    common::eventually("redis has all of it", async || {
        let (version, aside, content): (u64, String, Option<Vec<u8>>) = redis
            .hmget(&key, &["version", "aside", "content:sale:2"])
            .await
            .unwrap();
        (version == 3 && aside.is_empty() && content.is_some()).then_some(())
    })
    .await;
    drop(sound);
}
