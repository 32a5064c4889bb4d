//! Game servers that move between edges of one region, one of which is behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use common::edge::{Edge, Setup};
use common::game_server::GameServer;
use common::history::{History, epoch, put};
use common::identity::Identity;
use common::origin::{Link, Origin};
use common::{clock, redis_url, start};
use liveevents_protocol::message::{Cursor, ServerMessage};
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::Version;
use liveevents_service::clock::Clock;

struct World {
    identity: Identity,
    clock: Clock,
    history: History,
}

impl World {
    fn new() -> Self {
        let mut history = History::new("us-east", epoch(5));
        for revision in 1..=5 {
            history.commit(put("sale", revision), start());
        }
        Self {
            identity: Identity::new(),
            clock: clock().clock(),
            history,
        }
    }

    /// An edge at a version, with an origin of its own.
    async fn edge(&self, id: &str, version: u64, redis: bool) -> (Edge, Link, Origin) {
        let origin = Origin::start(&self.identity, &self.clock);
        let mut setup =
            Setup::new(&self.identity, &self.clock, &[origin.address]).with("edge-id", id);
        if redis {
            setup = setup.with("redis-url", &redis_url());
        }
        let edge = setup.start().await;
        let mut link = origin.welcome().await;
        link.snapshot(&self.history, Version(version)).await;
        link.acked(&self.history, Version(version)).await;
        (edge, link, origin)
    }

    /// A game server that holds a version and comes to this edge.
    async fn moved(&self, edge: &Edge, version: u64) -> GameServer {
        let token = self.identity.game_server(&["us-east"]);
        let mut server = GameServer::subscribe(edge, &token, Some(self.cursor(version))).await;
        server.state = Some(self.state(version).clone());
        server
    }

    fn state(&self, version: u64) -> &RegionState {
        self.history.state(Version(version))
    }

    fn cursor(&self, version: u64) -> Cursor {
        Cursor {
            epoch: self.history.epoch,
            version: Version(version),
        }
    }
}

async fn told_ahead(server: &mut GameServer, at: Cursor) {
    match server.receive().await {
        ServerMessage::Ahead(ahead) => {
            assert_eq!((ahead.epoch, ahead.version), (at.epoch, at.version))
        }
        other => panic!("instead of ahead: {other:?}"),
    }
}

#[tokio::test]
async fn a_receiver_ahead_is_told_so_and_served_again_once_the_edge_has_passed_it() {
    let world = World::new();
    let (behind, mut link, _origin) = world.edge("edge-1", 2, false).await;
    let mut server = world.moved(&behind, 4).await;
    told_ahead(&mut server, world.cursor(2)).await;
    // Nearer, and level: nothing to say. Past it: what it lacks, and nothing else.
    for (from, to) in [(2, 3), (3, 4), (4, 5)] {
        link.rows(&world.history, from, to).await;
        link.acked(&world.history, Version(to)).await;
    }
    assert_eq!(server.update().await, world.cursor(5));
    assert!(server.state.unwrap().same_as(world.state(5)));
}

#[tokio::test]
async fn a_receiver_of_a_later_epoch_is_ahead_too() {
    let world = World::new();
    let (behind, mut link, _origin) = world.edge("edge-1", 5, false).await;
    let mut later = History::new("us-east", epoch(6));
    later.commit(put("restored", 1), start());
    let token = world.identity.game_server(&["us-east"]);
    let at = Cursor {
        epoch: epoch(6),
        version: Version(0),
    };
    let mut server = GameServer::subscribe(&behind, &token, Some(at)).await;
    server.state = Some(later.state(Version(0)).clone());
    told_ahead(&mut server, world.cursor(5)).await;
    link.snapshot(&later, Version(1)).await;
    link.acked(&later, Version(1)).await;
    assert_eq!(
        server.update().await,
        Cursor {
            epoch: epoch(6),
            version: Version(1)
        }
    );
    assert!(server.state.unwrap().same_as(later.state(Version(1))));
}

#[tokio::test]
async fn what_another_edge_left_in_redis_is_found_for_a_receiver_ahead() {
    let world = World::new();
    let (behind, _link, _origin) = world.edge("edge-1", 2, true).await;
    let (further, mut link, _other) = world.edge("edge-2", 4, true).await;
    further
        .until("redis has been written", |report| {
            report["cache"]["state"] == "Working"
        })
        .await;
    common::eventually("redis has been written", async || {
        (further.metric("liveevents_cache_writes_total").await >= Some(1.0)).then_some(())
    })
    .await;
    // Its origin tells the edge behind nothing more; a game server that comes from the other one makes it look.
    let mut server = world.moved(&behind, 3).await;
    told_ahead(&mut server, world.cursor(2)).await;
    assert_eq!(server.update().await, world.cursor(4));
    assert!(server.state.as_ref().unwrap().same_as(world.state(4)));
    behind.at_version(4).await;

    // And back, level with the one that was further on.
    drop(server);
    let mut server = world.moved(&further, 4).await;
    link.rows(&world.history, 4, 5).await;
    link.acked(&world.history, Version(5)).await;
    assert_eq!(server.update().await, world.cursor(5));
    assert!(server.state.unwrap().same_as(world.state(5)));
}

#[tokio::test]
async fn rows_go_on_over_what_was_found_in_redis() {
    let world = World::new();
    let (behind, mut link, _origin) = world.edge("edge-1", 2, true).await;
    let (further, _link, _other) = world.edge("edge-2", 4, true).await;
    common::eventually("redis has been written", async || {
        (further.metric("liveevents_cache_writes_total").await >= Some(1.0)).then_some(())
    })
    .await;
    let mut server = world.moved(&behind, 3).await;
    told_ahead(&mut server, world.cursor(2)).await;
    server.until(world.cursor(4)).await;
    // The origin has not noticed: it sends the rows that it thinks are missing, and hears of those alone.
    link.rows(&world.history, 2, 3).await;
    link.acked(&world.history, Version(3)).await;
    link.rows(&world.history, 3, 5).await;
    link.acked(&world.history, Version(5)).await;
    assert_eq!(server.update().await, world.cursor(5));
    assert!(server.state.unwrap().same_as(world.state(5)));
}
