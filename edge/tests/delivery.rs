//! What the origin is told of game servers: who has what, how long it took, and what they could not use.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use std::time::Duration;

use common::edge::Setup;
use common::game_server::GameServer;
use common::history::{History, epoch, event, put};
use common::identity::Identity;
use common::origin::Origin;
use common::{clock, start};
use jiff::SignedDuration;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::filter::Filter;
use liveevents_protocol::frame::{Delivery, OriginFrame, Standing};
use liveevents_protocol::message::{
    AckStatus, ClientAck, ClientMessage, ClientNack, Cursor, ServerMessage,
};
use liveevents_protocol::version::{Revision, Version};
use liveevents_service::clock::ManualClock;

struct World {
    identity: Identity,
    /// The edge's clock.
    hand: ManualClock,
    /// The origin's.
    head_office: ManualClock,
    origin: Origin,
    history: History,
}

impl World {
    fn new() -> Self {
        let (identity, hand, head_office) = (Identity::new(), clock(), clock());
        let origin = Origin::start(&identity, &head_office.clock());
        let mut history = History::new("us-east", epoch(5));
        history.commit(put("sale", 1), start());
        Self {
            identity,
            hand,
            head_office,
            origin,
            history,
        }
    }

    fn setup(&self) -> Setup {
        Setup::new(&self.identity, &self.hand.clock(), &[self.origin.address])
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

fn standing(version: u64, received: u32, applied: u32, deferred: u32) -> Standing {
    Standing {
        version: Version(version),
        received,
        applied,
        deferred,
    }
}

/// Whether game servers stand so.
fn stand(standings: &[Standing]) -> impl FnMut(&Delivery) -> bool + '_ {
    move |delivery| delivery.standings == standings
}

#[tokio::test]
async fn the_origin_hears_who_has_what_and_all_of_it_again_after_a_lost_connection() {
    let mut world = World::new();
    let edge = world.setup().start().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    let mut a = GameServer::subscribe(&edge, &world.token(), None).await;
    let mut b = GameServer::subscribe(&edge, &world.token(), None).await;
    for server in [&mut a, &mut b] {
        server.until(world.cursor(1)).await;
    }
    let told = link.reported(|delivery| delivery.connected == 2).await;
    assert_eq!(told.standings, []);
    a.ack(world.cursor(1), AckStatus::Applied).await;
    b.ack(world.cursor(1), AckStatus::Deferred).await;
    link.reported(stand(&[standing(1, 2, 1, 1)])).await;

    let version = world.history.commit(put("sale", 2), start());
    link.rows(&world.history, 1, version.0).await;
    a.until(world.cursor(2)).await;
    a.ack(world.cursor(2), AckStatus::Received).await;
    let both = [standing(1, 1, 1, 1), standing(2, 1, 0, 0)];
    link.reported(stand(&both)).await;

    link.close(CloseReason::GoingAway);
    let mut link = world.origin.welcome().await;
    let told = link.delivery().await;
    assert_eq!((told.connected, &told.standings[..]), (2, &both[..]));
    drop(b);
    let told = link.reported(|delivery| delivery.connected == 1).await;
    assert_eq!(told.standings, [standing(1, 0, 1, 0), standing(2, 1, 0, 0)]);
    let text = edge.get("/metrics", "").await.1;
    let text = text.as_str().unwrap();
    for line in [
        "liveevents_game_servers{region=\"us-east\"} 1",
        "liveevents_game_servers_received{region=\"us-east\"} 1",
        "liveevents_game_servers_current{region=\"us-east\"} 0",
    ] {
        assert!(text.contains(line), "{line}");
    }
    assert!(edge.metric("liveevents_delivery_reports_total").await >= Some(5.0));
}

#[tokio::test]
async fn times_are_from_the_commit_by_the_origins_clock_less_what_the_ack_was_held_back() {
    let mut world = World::new();
    // Two seconds ahead of the edge.
    world.head_office.advance(SignedDuration::from_secs(2));
    let edge = world.setup().start().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    edge.until("the offset is measured", |report| {
        report["clockOffsetMs"] == 2000 && report["clocksApart"] == true
    })
    .await;
    let mut server = GameServer::subscribe(&edge, &world.token(), None).await;
    server.until(world.cursor(1)).await;
    let committed = start() + SignedDuration::from_secs(2);
    let version = world.history.commit(put("sale", 2), committed);
    link.rows(&world.history, 1, version.0).await;
    server.until(world.cursor(2)).await;
    world.hand.advance(SignedDuration::from_millis(900));
    let Cursor { epoch, version } = world.cursor(2);
    server
        .say(&ClientMessage::Ack(ClientAck {
            epoch,
            version,
            status: AckStatus::Applied,
            held_ms: 650,
        }))
        .await;
    let told = link
        .reported(|delivery| !delivery.arrivals.is_empty())
        .await;
    assert_eq!(told.arrivals.len(), 1);
    assert_eq!(told.arrivals[0].version, Version(2));
    assert_eq!(told.arrivals[0].delays.count(), 1);
    assert_eq!(told.arrivals[0].delays.max(), Duration::from_millis(250));
    // The clocks agree again.
    world.head_office.set(world.hand.clock().now());
    edge.until("that is measured too", |report| {
        report["clocksApart"] == false
    })
    .await;
}

#[tokio::test]
async fn a_version_that_a_filter_leaves_out_counts_as_acked() {
    let mut world = World::new();
    let edge = world.setup().start().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    let mut server = GameServer::connect(&edge, &world.token()).await;
    let filter = Filter {
        event_ids: [event("sale")].into(),
        ..Filter::default()
    };
    server.introduce("us-east", None, filter).await;
    let ServerMessage::Welcome(_) = server.receive().await else {
        panic!("no welcome");
    };
    server.until(world.cursor(1)).await;
    server.ack(world.cursor(1), AckStatus::Applied).await;
    link.reported(stand(&[standing(1, 1, 1, 0)])).await;
    for revision in 1..4 {
        let version = world.history.commit(put("cup", revision), start());
        link.rows(&world.history, version.0 - 1, version.0).await;
        link.reported(stand(&[standing(version.0, 1, 1, 0)])).await;
    }
}

#[tokio::test]
async fn nacks_come_with_their_reasons_and_again_if_they_may_have_been_lost() {
    let world = World::new();
    let edge = world.setup().start().await;
    let mut link = world.origin.serve(&[&world.history]).await;
    let mut server = GameServer::subscribe(&edge, &world.token(), None).await;
    server.until(world.cursor(1)).await;
    server.ack(world.cursor(1), AckStatus::Applied).await;
    for _ in 0..3 {
        let Cursor { epoch, version } = world.cursor(1);
        server
            .say(&ClientMessage::Nack(ClientNack {
                epoch,
                version,
                event_id: event("sale"),
                revision: Some(Revision(1)),
                reason: format!("no such item{}", "!".repeat(500)),
            }))
            .await;
    }
    let told = link.reported(|delivery| !delivery.nacks.is_empty()).await;
    let nack = &told.nacks[0];
    assert_eq!((nack.event.as_str(), nack.count), ("sale", 1));
    assert_eq!(
        (nack.revision, nack.version),
        (Some(Revision(1)), Version(1))
    );
    assert!(nack.reason.starts_with("no such item!"), "{}", nack.reason);
    assert_eq!(nack.reason.len(), 200);
    link.close(CloseReason::GoingAway);
    let mut link = world.origin.welcome().await;
    assert_eq!(link.delivery().await.nacks, told.nacks);
}

#[tokio::test]
async fn the_origins_word_to_drain_and_its_directory_are_heeded() {
    let world = World::new();
    let edge = world.setup().start().await;
    let link = world.origin.serve(&[&world.history]).await;
    for capability in ["drain", "directory"] {
        let named = link
            .hello
            .capabilities
            .iter()
            .any(|name| name == capability);
        assert!(named, "{capability}");
    }
    let addresses = vec!["http://10.1.2.3:8090".to_owned(), "nonsense".to_owned()];
    let directory = vec![("eu-west".parse().unwrap(), addresses)];
    link.send(&OriginFrame::Directory(directory)).await;
    let token = world.identity.game_server(&["us-east", "eu-west"]);
    let path = "/api/v1/regions/eu-west/events";
    common::eventually("the directory is known", async || {
        let (status, body) = edge.get(path, &token).await;
        assert_eq!(status, 421);
        let told = serde_json::to_string(&body).unwrap();
        assert!(!told.contains("nonsense"));
        told.contains("http://10.1.2.3:8090").then_some(())
    })
    .await;
    let mut server = GameServer::subscribe(&edge, &world.token(), None).await;
    link.send(&OriginFrame::Drain { spread_ms: 1000 }).await;
    edge.until("the edge drains", |report| report["draining"] == true)
        .await;
    let goodbye = loop {
        if let ServerMessage::Goaway(goodbye) = server.receive().await {
            break goodbye;
        }
    };
    assert!(goodbye.reconnect_after_ms <= 1000, "{goodbye:?}");
}
