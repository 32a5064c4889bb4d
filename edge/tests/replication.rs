//! Between origin and edge: what is replicated, acked, refused, and how a connection is made again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use common::edge::{Edge, Setup};
use common::game_server::GameServer;
use common::history::{History, epoch, put, remove};
use common::identity::{Authority, Identity};
use common::origin::Origin;
use common::{clock, start};
use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::frame::{EdgeFrame, OriginFrame};
use liveevents_protocol::message::Cursor;
use liveevents_protocol::version::Version;
use liveevents_service::clock::Clock;
use liveevents_service::token::Role;

struct World {
    identity: Identity,
    clock: Clock,
    origin: Origin,
    history: History,
}

impl World {
    /// An origin whose region has three versions.
    fn new() -> Self {
        let (identity, clock) = (Identity::new(), clock().clock());
        let origin = Origin::start(&identity, &clock);
        let mut history = History::new("us-east", epoch(5));
        history.commit(put("sale", 1), start());
        history.commit(put("cup", 1), start());
        history.commit(put("sale", 2), start());
        Self {
            identity,
            clock,
            origin,
            history,
        }
    }

    async fn edge(&self) -> Edge {
        Setup::new(&self.identity, &self.clock, &[self.origin.address])
            .start()
            .await
    }

    fn cursor(&self, version: u64) -> Cursor {
        Cursor {
            epoch: self.history.epoch,
            version: Version(version),
        }
    }
}

#[tokio::test]
async fn a_snapshot_and_then_rows_are_served_and_acked() {
    let mut world = World::new();
    let edge = world.edge().await;
    let mut link = world.origin.welcome().await;
    assert_eq!(link.hello.installation, world.identity.installation);
    assert_eq!(link.hello.edge.as_str(), "edge-1");
    assert_eq!(link.hello.regions, [("us-east".parse().unwrap(), None)]);
    assert_eq!(link.hello.address, format!("http://{}", edge.address));

    link.snapshot(&world.history, Version(3)).await;
    link.acked(&world.history, Version(3)).await;
    edge.at_version(3).await;
    for _ in 0..3 {
        let version = world.history.commit(put("sale", 3), start());
        link.rows(&world.history, version.0 - 1, version.0).await;
        link.acked(&world.history, version).await;
        edge.at_version(version.0).await;
    }
    // Several at once, acked by one word for all.
    world.history.commit(remove("cup", 1), start());
    world.history.commit(put("sale", 4), start());
    link.rows(&world.history, 6, 8).await;
    assert_eq!(link.ack().await.2, Version(8));
    let token = world.identity.token(Role::Developer, "eve", &[]);
    let (_, served) = edge.get("/api/v1/regions/us-east/events", &token).await;
    assert_eq!(served["version"], 8);
    assert_eq!(served["assignments"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_empty_region_is_served_as_such() {
    let world = World::new();
    let edge = world.edge().await;
    let mut link = world.origin.welcome().await;
    let empty = History::new("us-east", epoch(5));
    link.snapshot(&empty, Version(0)).await;
    link.acked(&empty, Version(0)).await;
    edge.at_version(0).await;
    assert_eq!(edge.get("/health/ready", "").await.0, 200);
}

#[tokio::test]
async fn rows_that_come_twice_or_late_change_nothing() {
    let mut world = World::new();
    let edge = world.edge().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    let mut server =
        GameServer::subscribe(&edge, &world.identity.game_server(&["us-east"]), None).await;
    server.until(world.cursor(3)).await;

    link.rows(&world.history, 0, 2).await;
    assert_eq!(link.ack().await.2, Version(2));
    link.rows(&world.history, 1, 3).await;
    assert_eq!(link.ack().await.2, Version(3));
    link.snapshot(&world.history, Version(2)).await;
    assert_eq!(link.ack().await.2, Version(2));
    // The next thing that the game server hears is the next change.
    world.history.commit(put("sale", 3), start());
    link.rows(&world.history, 2, 4).await;
    link.acked(&world.history, Version(4)).await;
    assert_eq!(server.update().await, world.cursor(4));
    assert!(
        server
            .state
            .unwrap()
            .same_as(world.history.state(Version(4)))
    );
}

#[tokio::test]
async fn a_lost_connection_is_resumed_from_the_sealed_position() {
    let mut world = World::new();
    let edge = world.edge().await;
    let link = world.origin.serve(&[&world.history]).await;
    link.close(CloseReason::GoingAway);

    let mut link = world.origin.welcome().await;
    assert_eq!(
        link.hello.regions[0].1,
        Some(world.history.position(Version(3)))
    );
    world.history.commit(put("sale", 3), start());
    link.rows(&world.history, 3, 4).await;
    link.acked(&world.history, Version(4)).await;
    edge.at_version(4).await;
    edge.until("the origin is connected", |report| {
        report["uplink"]["state"] == "Connected"
    })
    .await;
}

#[tokio::test]
async fn another_origin_is_tried_when_one_does_not_answer() {
    let world = World::new();
    // Nobody listens there any more.
    let gone = Origin::start(&world.identity, &world.clock);
    let origins = [gone.address, world.origin.address];
    gone.stop().await;
    let edge = Setup::new(&world.identity, &world.clock, &origins)
        .start()
        .await;
    world.origin.serve(&[&world.history]).await;
    edge.at_version(3).await;
}

#[tokio::test]
async fn a_later_epoch_replaces_and_an_earlier_one_is_refused() {
    let world = World::new();
    let edge = world.edge().await;
    let link = world.origin.serve(&[&world.history]).await;
    let mut server =
        GameServer::subscribe(&edge, &world.identity.game_server(&["us-east"]), None).await;
    server.until(world.cursor(3)).await;

    let mut later = History::new("us-east", epoch(6));
    later.commit(put("restored", 1), start());
    let mut link = {
        link.snapshot(&later, Version(1)).await;
        link
    };
    link.acked(&later, Version(1)).await;
    let at = server.update().await;
    assert_eq!((at.epoch, at.version), (epoch(6), Version(1)));
    assert!(
        server
            .state
            .as_ref()
            .unwrap()
            .same_as(later.state(Version(1)))
    );

    link.snapshot(&world.history, Version(3)).await;
    assert_eq!(link.closed().await, Some(CloseReason::BrokenChain));
    // The edge goes on with what it has, and comes back without a position to ask what is wanted of it.
    let mut link = world.origin.serve(&[&later]).await;
    assert_eq!(link.hello.regions[0].1, None);
    later.commit(put("restored", 2), start());
    link.rows(&later, 1, 2).await;
    link.acked(&later, Version(2)).await;
    assert_eq!(server.update().await.version, Version(2));
    assert_eq!(
        edge.metric("liveevents_uplink_refused_total{reason=\"earlier-epoch\"}")
            .await,
        Some(1.0)
    );
}

#[tokio::test]
async fn a_broken_chain_shows_the_position_once_and_then_asks_for_a_snapshot() {
    let mut world = World::new();
    let edge = world.edge().await;
    let link = world.origin.serve(&[&world.history]).await;
    let mut other = History::new("us-east", epoch(5));
    for revision in 1..=4 {
        other.commit(put("other", revision), start());
    }
    link.rows(&other, 3, 4).await;
    assert_eq!(link.closed().await, Some(CloseReason::BrokenChain));
    edge.at_version(3).await;

    let link = world.origin.welcome().await;
    assert_eq!(
        link.hello.regions[0].1,
        Some(world.history.position(Version(3)))
    );
    link.rows(&other, 3, 4).await;
    assert_eq!(link.closed().await, Some(CloseReason::BrokenChain));

    world.history.commit(put("sale", 9), start());
    let link = world.origin.serve(&[&world.history]).await;
    assert_eq!(link.hello.regions[0].1, None);
    edge.at_version(4).await;
    // Forgiven.
    link.close(CloseReason::GoingAway);
    let link = world.origin.welcome().await;
    assert_eq!(
        link.hello.regions[0].1,
        Some(world.history.position(Version(4)))
    );
}

#[tokio::test]
async fn garbage_ends_the_connection_and_nothing_else() {
    let world = World::new();
    let edge = world.edge().await;
    let link = world.origin.serve(&[&world.history]).await;
    link.send_bytes(b"\x00\x00\x00\x09this is not the protocol")
        .await;
    assert_eq!(link.closed().await, Some(CloseReason::Malformed));
    let link = world.origin.welcome().await;
    // Above every limit.
    link.send_bytes(&u32::MAX.to_be_bytes()).await;
    link.send_bytes(&[68, 0]).await;
    assert_eq!(link.closed().await, Some(CloseReason::Malformed));
    let link = world.origin.welcome().await;
    link.rows(
        &History::clone(&{
            let mut foreign = History::new("eu-west", epoch(5));
            foreign.commit(put("sale", 1), start());
            foreign
        }),
        0,
        1,
    )
    .await;
    assert_eq!(link.closed().await, Some(CloseReason::Malformed));
    world.origin.welcome().await;
    edge.at_version(3).await;
}

#[tokio::test]
async fn an_undecodable_row_asks_for_a_snapshot_and_leaves_what_was_served() {
    let world = World::new();
    let edge = world.edge().await;
    let link = world.origin.serve(&[&world.history]).await;
    let mut rows = {
        let mut next = world.history.clone();
        next.commit(put("sale", 3), start());
        next.rows(Version(3), Version(4))
    };
    let row = &mut rows.rows[0];
    row.entries = b"not entries".to_vec();
    let held = world.history.position(Version(3)).position.digest;
    let format = liveevents_protocol::frame::FORMAT_V1;
    rows.position.position.digest = held.chain(row.version, row.change, format, &row.entries);
    link.send(&OriginFrame::Rows(rows)).await;
    assert_eq!(link.closed().await, Some(CloseReason::Malformed));
    let link = world.origin.welcome().await;
    assert_eq!(link.hello.regions[0].1, None);
    edge.at_version(3).await;
}

#[tokio::test]
async fn a_superseded_edge_waits_before_it_comes_back() {
    let world = World::new();
    let edge = world.edge().await;
    let link = world.origin.serve(&[&world.history]).await;
    link.close(CloseReason::Superseded);
    let report = edge
        .until("the edge waits", |report| {
            report["uplink"]["state"] == "Waiting"
        })
        .await;
    assert_eq!(report["uplink"]["reason"], "superseded");
    let until: Timestamp = report["uplink"]["until"].as_str().unwrap().parse().unwrap();
    assert!(until >= start() + SignedDuration::from_secs(30), "{until}");
    // It serves meanwhile.
    edge.at_version(3).await;
}

#[tokio::test]
async fn an_origin_that_others_have_certified_is_not_spoken_to() {
    let world = World::new();
    let stranger = Authority::new();
    let impostor = Origin::start_at(
        "127.0.0.1:0".parse().unwrap(),
        &stranger,
        world.identity.trust(1, &[]),
        &world.clock,
    );
    let edge = Setup::new(&world.identity, &world.clock, &[impostor.address])
        .start()
        .await;
    // Handshakes only happen while somebody takes them.
    let mut accepting = tokio::task::JoinSet::new();
    accepting.spawn(async move { drop(impostor.accept().await) });
    edge.until("the handshake has failed", |report| {
        report["uplink"]["reason"] == "unreachable"
    })
    .await;
    assert_eq!(edge.get("/health/ready", "").await.0, 503);
    assert_eq!(edge.get("/health/live", "").await.0, 200);
}

#[tokio::test]
async fn keys_not_signed_by_the_pinned_one_are_not_believed() {
    let world = World::new();
    let forger = Identity::new();
    world.origin.trusts(forger.trust(1, &[]));
    let edge = world.edge().await;
    let link = world.origin.welcome().await;
    assert_eq!(link.closed().await, Some(CloseReason::ForeignInstallation));
    edge.until("the edge waits", |report| {
        report["uplink"]["reason"] == "distrusted"
    })
    .await;
    // Without keys nobody is judged, and nobody let in.
    let forged = forger.game_server(&["us-east"]);
    assert_eq!(
        edge.get("/api/v1/regions/us-east/events", &forged).await.0,
        503
    );
}

#[tokio::test]
async fn a_revocation_reaches_the_edge_while_it_is_connected() {
    let world = World::new();
    let edge = world.edge().await;
    let link = world.origin.serve(&[&world.history]).await;
    let claims = world
        .identity
        .claims(Role::GameServer, "gs-7", &["us-east"]);
    let token = world.identity.sign(&claims);
    let path = "/api/v1/regions/us-east/events";
    assert_eq!(edge.get(path, &token).await.0, 200);
    link.send(&OriginFrame::Trust(world.identity.trust(2, &[claims.id])))
        .await;
    common::eventually("the token is refused", async || {
        (edge.get(path, &token).await.0 == 401).then_some(())
    })
    .await;
    // An older bundle takes nothing back.
    link.send(&OriginFrame::Trust(world.identity.trust(1, &[])))
        .await;
    link.rows(&world.history, 2, 3).await;
    let mut link = link;
    link.ack().await;
    assert_eq!(edge.get(path, &token).await.0, 401);
}

#[tokio::test]
async fn an_edge_that_ends_says_goodbye() {
    let world = World::new();
    let edge = world.edge().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    edge.begin_stop();
    assert_eq!(link.next().await, Some(EdgeFrame::Bye));
    assert_eq!(link.closed().await, Some(CloseReason::GoingAway));
    edge.stop().await;
}

#[tokio::test]
async fn standby_regions_are_replicated_and_served_too() {
    let world = World::new();
    let token = world
        .identity
        .token(Role::Edge, "edge-1", &["us-east", "eu-west"]);
    let setup = Setup::new(&world.identity, &world.clock, &[world.origin.address])
        .with("standby-for", "eu-west")
        .with("enrolment-token", &token);
    let edge = setup.start().await;
    let mut europe = History::new("eu-west", epoch(5));
    europe.commit(put("sale", 7), start());
    let link = world.origin.serve(&[&world.history, &europe]).await;
    let names: Vec<_> = link
        .hello
        .regions
        .iter()
        .map(|(region, _)| region.as_str())
        .collect();
    assert_eq!(names, ["us-east", "eu-west"]);
    let token = world.identity.game_server(&["eu-west"]);
    let mut server = GameServer::subscribe_to(&edge, &token, "eu-west", None).await;
    server.update().await;
    assert!(server.state.unwrap().same_as(europe.state(Version(1))));
}

/// A first load and a subscription with a gap between them: what lies in the gap would be lost for good.
#[tokio::test]
async fn rows_that_leave_a_gap_after_the_first_load_are_refused_and_all_of_it_is_asked_for() {
    let mut world = World::new();
    let edge = world.edge().await;
    let link = world.origin.serve(&[&world.history]).await;
    world.history.commit(put("cup", 2), start());
    world.history.commit(put("sale", 3), start());
    link.rows(&world.history, 4, 5).await;
    assert_eq!(link.closed().await, Some(CloseReason::Malformed));
    edge.at_version(3).await;
    let mut link = world.origin.welcome().await;
    assert_eq!(link.hello.regions[0].1, None);
    link.snapshot(&world.history, Version(5)).await;
    link.acked(&world.history, Version(5)).await;
    let mut server =
        GameServer::subscribe(&edge, &world.identity.game_server(&["us-east"]), None).await;
    server.until(world.cursor(5)).await;
    let state = server.state.unwrap();
    assert!(state.same_as(world.history.state(Version(5))));
}
