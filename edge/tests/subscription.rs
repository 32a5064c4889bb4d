//! Game servers: what they are sent, in what order, and that nobody is in anybody's way.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use common::edge::{Edge, Setup};
use common::game_server::{GameServer, request};
use common::history::{History, content, epoch, put, remove};
use common::identity::Identity;
use common::origin::{Link, Origin};
use common::{clock, start, within};
use futures_util::StreamExt as _;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::message::{AckStatus, Cursor, ServerMessage};
use liveevents_protocol::version::Version;
use liveevents_service::clock::Clock;
use tokio_tungstenite::tungstenite::Message;

struct World {
    identity: Identity,
    clock: Clock,
    origin: Origin,
    history: History,
}

impl World {
    fn new() -> Self {
        let (identity, clock) = (Identity::new(), clock().clock());
        let origin = Origin::start(&identity, &clock);
        let mut history = History::new("us-east", epoch(5));
        history.commit(put("sale", 1), start());
        history.commit(put("cup", 1), start());
        history.commit(remove("cup", 1), start());
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

    /// An edge that holds the history.
    async fn edge(&self) -> (Edge, Link) {
        let edge = self.setup().start().await;
        let link = self.origin.serve(&[&self.history]).await;
        (edge, link)
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

    /// One change more, everywhere but at the game servers.
    async fn change(&mut self, link: &mut Link, revision: u32) -> Cursor {
        let version = self.history.commit(put("sale", revision), start());
        link.rows(&self.history, version.0 - 1, version.0).await;
        link.acked(&self.history, version).await;
        self.cursor(version.0)
    }
}

#[tokio::test]
async fn a_new_game_server_gets_a_snapshot_and_then_every_change() {
    let mut world = World::new();
    let (edge, mut link) = world.edge().await;
    let mut server = GameServer::subscribe(&edge, &world.token(), None).await;
    let ServerMessage::Snapshot(snapshot) = server.receive().await else {
        panic!("not a snapshot");
    };
    assert_eq!((snapshot.epoch, snapshot.to), (epoch(5), Version(3)));
    assert_eq!(snapshot.time, start());
    server.state = Some(
        liveevents_protocol::state::RegionState::from_snapshot(snapshot.into_snapshot()).unwrap(),
    );
    for revision in 2..10 {
        let at = world.change(&mut link, revision).await;
        assert_eq!(server.update().await, at);
        assert!(
            server
                .state
                .as_ref()
                .unwrap()
                .same_as(world.history.state(at.version))
        );
    }
}

#[tokio::test]
async fn a_game_server_that_returns_gets_what_it_missed_and_no_more() {
    let mut world = World::new();
    let (edge, mut link) = world.edge().await;
    for held in [0, 1, 2] {
        let mut server =
            GameServer::subscribe(&edge, &world.token(), Some(world.cursor(held))).await;
        server.state = Some(world.history.state(Version(held)).clone());
        let message = server.receive().await;
        let ServerMessage::Delta(delta) = message else {
            panic!("instead of a delta: {message:?}");
        };
        assert_eq!((delta.from, delta.to), (Version(held), Version(3)));
        let told = world
            .history
            .state(Version(3))
            .since(Version(held))
            .unwrap();
        assert_eq!(delta.entries.len(), told.entries.len());
        let next = server.state.unwrap().apply(&delta.into_delta()).unwrap();
        assert!(next.same_as(world.history.state(Version(3))), "from {held}");
    }
    // One that lacks nothing hears nothing until something changes.
    let mut server = GameServer::subscribe(&edge, &world.token(), Some(world.cursor(3))).await;
    server.state = Some(world.history.state(Version(3)).clone());
    let at = world.change(&mut link, 2).await;
    assert_eq!(server.update().await, at);
    // Of another, earlier history: everything.
    let earlier = Cursor {
        epoch: epoch(4),
        version: Version(900),
    };
    let mut server = GameServer::subscribe(&edge, &world.token(), Some(earlier)).await;
    assert!(matches!(server.receive().await, ServerMessage::Snapshot(_)));
}

#[tokio::test]
async fn a_game_server_may_come_before_the_first_state() {
    let world = World::new();
    let edge = world.setup().start().await;
    let link = world.origin.welcome().await;
    edge.until("the origin is connected", |report| {
        report["uplink"]["state"] == "Connected"
    })
    .await;
    let mut server = GameServer::subscribe(&edge, &world.token(), None).await;
    link.snapshot(&world.history, Version(3)).await;
    assert_eq!(server.update().await, world.cursor(3));
}

#[tokio::test]
async fn acks_say_how_many_are_current() {
    let mut world = World::new();
    let (edge, mut link) = world.edge().await;
    let counts = |report: &serde_json::Value| {
        let region = &report["regions"][0];
        (
            region["gameServers"].as_i64().unwrap(),
            region["currentGameServers"].as_i64().unwrap(),
        )
    };
    let mut one = GameServer::subscribe(&edge, &world.token(), None).await;
    let mut other = GameServer::subscribe(&edge, &world.token(), None).await;
    let at = one.update().await;
    edge.until("both are counted", |report| counts(report) == (2, 0))
        .await;
    one.ack(at, AckStatus::Received).await;
    one.ack(at, AckStatus::Applied).await;
    other.ack(at, AckStatus::Deferred).await;
    edge.until("one has applied", |report| counts(report) == (2, 1))
        .await;
    other.ack(at, AckStatus::Applied).await;
    edge.until("both have applied", |report| counts(report) == (2, 2))
        .await;
    assert_eq!(
        edge.metric("liveevents_game_servers_current").await,
        Some(2.0)
    );
    world.change(&mut link, 2).await;
    edge.until("nobody is current", |report| counts(report) == (2, 0))
        .await;
    drop(one);
    edge.until("one has left", |report| counts(report) == (1, 0))
        .await;
}

#[tokio::test]
async fn a_game_server_that_reads_nothing_delays_nobody_and_ends_current() {
    let mut world = World::new();
    let (edge, link) = world.edge().await;
    let mut slow = GameServer::subscribe(&edge, &world.token(), None).await;
    slow.until(world.cursor(3)).await;
    let mut quick = GameServer::subscribe(&edge, &world.token(), None).await;
    quick.until(world.cursor(3)).await;
    // Far more than sockets on the way hold: 200 changes of 200 KB each, of which the slow one reads none.
    let padding = "x".repeat(200 * 1024);
    for revision in 1..=200 {
        let mut fat = content("sale", revision);
        fat.configuration = JsonText::new(format!("{{\"padding\":\"{padding}\"}}")).unwrap();
        let entries = vec![
            fat.into(),
            common::history::assignment("sale", revision).into(),
        ];
        let before = common::history::remove("sale", revision - 1).pop().unwrap();
        let version = world
            .history
            .commit([vec![before], entries].concat(), start());
        link.rows(&world.history, version.0 - 1, version.0).await;
        quick.until(world.cursor(version.0)).await;
    }
    // The slow one wakes up: it skips most, and ends with what the quick one has.
    let mut updates = 0;
    while slow.update().await != world.cursor(203) {
        updates += 1;
    }
    assert!(updates < 190, "{updates} of 200 changes were not skipped");
    assert!(
        slow.state
            .unwrap()
            .same_as(world.history.state(Version(203)))
    );
}

#[tokio::test]
async fn a_message_longer_than_a_fragment_arrives_whole() {
    let mut world = World::new();
    let mut fat = content("sale", 9);
    let padding = "ü".repeat(100 * 1024);
    fat.configuration = JsonText::new(format!("{{\"padding\":\"{padding}\"}}")).unwrap();
    world.history.commit(vec![fat.clone().into()], start());
    let (edge, _link) = world.edge().await;
    let mut server = GameServer::subscribe(&edge, &world.token(), None).await;
    let at = server.update().await;
    let state = server.state.unwrap();
    assert_eq!(state.content(&fat.event_id, fat.revision), Some(&fat));
    assert_eq!(at, world.cursor(4));
}

#[tokio::test]
async fn pings_are_answered() {
    let world = World::new();
    let (edge, _link) = world.edge().await;
    let mut server = GameServer::subscribe(&edge, &world.token(), Some(world.cursor(3))).await;
    server.send(Message::Ping("are you there".into())).await;
    let answer = within("a pong", server.socket.next())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer, Message::Pong("are you there".into()));
}

#[tokio::test]
async fn an_edge_that_ends_tells_its_game_servers_when_to_come_back() {
    let world = World::new();
    let (edge, _link) = world.edge().await;
    let mut greeted = GameServer::subscribe(&edge, &world.token(), None).await;
    let mut silent = GameServer::connect(&edge, &world.token()).await;
    edge.begin_stop();
    for server in [&mut greeted, &mut silent] {
        let (last, code) = server.closed().await;
        let Some(ServerMessage::Goaway(goaway)) = last else {
            panic!("instead of a goaway: {last:?}");
        };
        assert!(goaway.reconnect_after_ms < 10_000);
        assert_eq!(code, CloseReason::GoingAway.code());
    }
    edge.stop().await;
}

#[tokio::test]
async fn no_more_game_servers_are_taken_than_there_is_room_for() {
    let world = World::new();
    let edge = world
        .setup()
        .with("game-servers-connections", "1")
        .start()
        .await;
    world.origin.serve(&[&world.history]).await;
    let mut first = GameServer::subscribe(&edge, &world.token(), None).await;
    first.update().await;
    let (status, retry, body) = common::game_server::refused(request(&edge, &world.token())).await;
    assert_eq!((status, retry.as_deref()), (503, Some("5")));
    assert_eq!(body["error"]["code"], "UNAVAILABLE");
    drop(first);
    // Its place is given back.
    common::eventually("there is room again", async || {
        let again = tokio_tungstenite::connect_async(request(&edge, &world.token())).await;
        again.is_ok().then_some(())
    })
    .await;
}
