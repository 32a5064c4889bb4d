//! An edge is taken away, and no game server loses its place.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use common::edge::Setup;
use common::game_server::{GameServer, refused, request};
use common::history::put;
use common::world::World;
use liveevents_protocol::message::ServerMessage;
use liveevents_protocol::version::Version;
use liveevents_service::token::Role;

#[tokio::test]
async fn game_servers_are_served_until_they_have_found_another_edge() {
    let mut world = World::with(|setup| setup.with("shutdown-drain", "PT20S")).await;
    let enrolment = world.identity.token(Role::Edge, "edge-2", &["us-east"]);
    let other = Setup::new(
        &world.identity,
        &world.clock.clock(),
        &[world.origin.address],
    )
    .with("edge-id", "edge-2")
    .with("enrolment-token", &enrolment)
    .start()
    .await;
    let other_link = world.origin.serve(&[&world.history]).await;
    let mut server = GameServer::subscribe(&world.edge, &world.token(), None).await;
    server.update().await;

    world.edge.begin_stop();
    let ServerMessage::Goaway(goaway) = server.receive().await else {
        panic!("not a goodbye");
    };
    assert!(goaway.reconnect_after_ms <= 20_000);
    // Nobody new.
    let (status, retry, _) = refused(request(&world.edge, &world.token())).await;
    assert_eq!((status, retry.as_deref()), (503, Some("5")));
    let (ready, _) = world.edge.get("/health/ready", "").await;
    assert_eq!(ready, 503);
    // Reads, and changes, go on as before.
    let path = "/api/v1/players/p-1/events?region=us-east";
    assert_eq!(world.edge.get(path, &world.token()).await.0, 200);
    let at = world.change(put("sale", 2)).await;
    other_link.rows(&world.history, 1, 2).await;
    assert_eq!(server.update().await, at);
    other.at_version(2).await;

    // It finds its place at the other edge before it leaves this one.
    let mut moved = GameServer::subscribe(&other, &world.token(), Some(at)).await;
    moved.state = server.state.take();
    server.socket.close(None).await.unwrap();
    drop(server);
    // Long before the time is over.
    let World {
        edge, mut history, ..
    } = world;
    edge.stop().await;
    history.commit(put("sale", 3), common::start());
    other_link.rows(&history, 2, 3).await;
    assert_eq!(moved.update().await.version, Version(3));
    assert!(moved.state.unwrap().same_as(history.state(Version(3))));
}
