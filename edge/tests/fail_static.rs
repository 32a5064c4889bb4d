//! With the origin away an edge serves on, and never silently: every answer says how old it is, health and metrics
//! since when, and readiness is judged anew each time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use common::game_server::GameServer;
use common::history::{History, put};
use common::origin::Origin;
use common::start;
use common::world::World;
use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::message::ServerMessage;
use liveevents_protocol::version::Version;
use serde_json::{Value, json};

/// The message that tells whether the origin is heard.
async fn contact(server: &mut GameServer) -> (Option<Timestamp>, bool) {
    loop {
        if let ServerMessage::Contact(contact) = server.receive().await {
            return (contact.contact_at, contact.stale);
        }
    }
}

#[tokio::test]
async fn answers_health_metrics_and_game_servers_say_since_when_the_origin_is_silent() {
    let world = World::new().await;
    let mut server = GameServer::subscribe(&world.edge, &world.token(), None).await;
    server.until(world.cursor(1)).await;
    let stale = async || world.edge.metric("liveevents_region_stale").await;
    assert_eq!(stale().await, Some(0.0));
    assert_eq!(
        world
            .edge
            .metric("liveevents_region_stale_since_seconds")
            .await,
        Some(0.0)
    );

    let World {
        origin,
        link,
        edge,
        clock,
        identity,
        history,
    } = world;
    let (address, token) = (origin.address, identity.game_server(&["us-east"]));
    drop(link);
    origin.stop().await;
    clock.advance(SignedDuration::from_mins(10));
    let since = start() + SignedDuration::from_secs(15);
    let report = edge
        .until("the region is stale", |report| {
            report["regions"][0]["holds"]["stale"] == true
        })
        .await;
    let holds = &report["regions"][0]["holds"];
    assert_eq!(holds["contactAt"], start().to_string());
    assert_eq!(holds["staleSince"], since.to_string());
    assert_eq!(holds["ageMs"], 600_000);
    assert_eq!(report["status"], "Ready");
    let metric = edge.metric("liveevents_region_stale_since_seconds").await;
    assert_eq!(metric, Some(since.as_second() as f64));
    assert_eq!(edge.metric("liveevents_region_stale").await, Some(1.0));
    for path in [
        "/api/v1/players/p/events?region=us-east",
        "/api/v1/regions/us-east/events",
    ] {
        let (status, body) = edge.get(path, &token).await;
        assert_eq!(status, 200);
        let told = ["epoch", "version", "ageMs", "stale"].map(|name| body[name].clone());
        let expected: [Value; 4] = [json!(history.epoch), json!(1), json!(600_000), json!(true)];
        assert_eq!(told, expected, "{path}");
    }
    assert_eq!(contact(&mut server).await, (Some(start()), true));
    // A newcomer learns it at once.
    let mut newcomer = GameServer::connect(&edge, &token).await;
    newcomer.hello("us-east", None).await;
    let ServerMessage::Welcome(welcome) = newcomer.receive().await else {
        panic!("no welcome");
    };
    assert_eq!(welcome.contact_at, Some(start()));

    // And that it is over.
    let trust = identity.trust(2, &[]);
    let origin = Origin::start_at(address, &identity.authority, trust, &clock.clock());
    let _link = origin.welcome().await;
    edge.until("the region is fresh", |report| {
        report["regions"][0]["holds"]["stale"] == false
    })
    .await;
    assert_eq!(edge.metric("liveevents_region_stale").await, Some(0.0));
    assert!(!contact(&mut server).await.1);
}

#[tokio::test]
async fn however_long_it_lasts_the_edge_stays_ready_unless_a_limit_is_set() {
    let world = World::new().await;
    let limited = World::with(|setup| setup.with("ready-max-age", "PT1H")).await;
    for world in [&world, &limited] {
        world.origin.cut_off();
        world
            .edge
            .until("the origin is away", |report| {
                report["uplink"]["state"] != "Connected"
            })
            .await;
        world.clock.advance(SignedDuration::from_mins(59));
        assert_eq!(world.edge.get("/health/ready", "").await.0, 200);
        world.clock.advance(SignedDuration::from_hours(24 * 365));
        assert_eq!(world.edge.get("/health/live", "").await.0, 200);
    }
    assert_eq!(world.edge.get("/health/ready", "").await.0, 200);
    // Judged at each request: nothing has happened but time.
    assert_eq!(limited.edge.get("/health/ready", "").await.0, 503);
    limited.clock.set(start() + SignedDuration::from_mins(30));
    assert_eq!(limited.edge.get("/health/ready", "").await.0, 200);
}

#[tokio::test]
async fn ready_is_who_has_synced_once_and_an_empty_region_is_one() {
    let world = World::new().await;
    let setup = common::edge::Setup::new(
        &world.identity,
        &world.clock.clock(),
        &[world.origin.address],
    );
    let edge = setup.with("edge-id", "edge-2").start().await;
    assert_eq!(edge.get("/health/ready", "").await.0, 503);
    assert_eq!(edge.get("/health/live", "").await.0, 200);
    let mut link = world.origin.welcome().await;
    let empty = History::new("us-east", world.history.epoch);
    link.snapshot(&empty, Version(0)).await;
    link.acked(&empty, Version(0)).await;
    assert_eq!(edge.get("/health/ready", "").await.0, 200);
    let mut server = GameServer::subscribe(&edge, &world.token(), None).await;
    assert_eq!(server.update().await, world.cursor(0));
    // Its first change is one like any other.
    let mut history = empty;
    history.commit(put("sale", 1), start());
    link.rows(&history, 0, 1).await;
    link.acked(&history, Version(1)).await;
    assert_eq!(server.update().await, world.cursor(1));
}

#[tokio::test]
async fn an_origin_that_is_there_and_says_nothing_is_found_out() {
    let world = World::new().await;
    // The connection stands; what it says is never answered.
    world.link.fall_silent();
    let report = world
        .edge
        .until("the uplink gives it up", |report| {
            report["uplink"]["state"] == "Waiting"
        })
        .await;
    assert_eq!(report["uplink"]["reason"], "silent");
    let mut link = world.origin.welcome().await;
    let mut history = world.history.clone();
    history.commit(put("sale", 2), start());
    link.rows(&history, 1, 2).await;
    link.acked(&history, Version(2)).await;
}
