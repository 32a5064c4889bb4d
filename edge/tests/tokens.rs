//! A game server's token after it has let it in: renewed, revoked, carried by a subprotocol, used too often.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use common::game_server::{GameServer, refused, request};
use common::history::put;
use common::world::World;
use common::{start, within};
use jiff::SignedDuration;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::frame::OriginFrame;
use liveevents_protocol::message::{ClientMessage, Renewal, ServerMessage};
use liveevents_service::token::Role;

async fn renew(server: &mut GameServer, token: String) -> ServerMessage {
    server.say(&ClientMessage::Token(Renewal { token })).await;
    server.receive().await
}

#[tokio::test]
async fn a_newer_token_of_the_same_bearer_is_taken_and_no_other() {
    let mut world = World::new().await;
    let mut server = GameServer::subscribe(&world.edge, &world.token(), None).await;
    server.update().await;
    let identity = &world.identity;
    let mut foreign = identity.claims(Role::GameServer, "gs-1", &["us-east"]);
    foreign.installation = "another-installation".parse().unwrap();
    let table = [
        ("garbage".to_owned(), "the token is malformed"),
        (
            identity.sign(&foreign),
            "the token is for another installation",
        ),
        (
            identity.token(Role::GameServer, "gs-2", &["us-east"]),
            "same subject",
        ),
        (
            identity.token(Role::Player, "gs-1", &["us-east"]),
            "same subject",
        ),
        (
            identity.token(Role::GameServer, "gs-1", &["eu-west"]),
            "cover the region",
        ),
    ];
    for (token, why) in table {
        match renew(&mut server, token).await {
            ServerMessage::Refused(refused) => {
                assert_eq!(refused.about, "token");
                assert!(refused.message.contains(why), "{}", refused.message);
            }
            other => panic!("instead of a refusal: {other:?}"),
        }
    }
    let mut newer = identity.claims(Role::GameServer, "gs-1", &["us-east"]);
    newer.expires_at = start() + SignedDuration::from_hours(5);
    match renew(&mut server, identity.sign(&newer)).await {
        ServerMessage::TokenRenewed(renewed) => assert_eq!(renewed.expires_at, newer.expires_at),
        other => panic!("instead of word that it was taken: {other:?}"),
    }
    // Nothing else has changed.
    let at = world.change(put("sale", 2)).await;
    assert_eq!(server.update().await, at);
    // No warning for the old one; one for the new.
    world.clock.advance(SignedDuration::from_mins(4 * 60 + 56));
    loop {
        match server.receive().await {
            ServerMessage::TokenExpiring(warning) => {
                assert_eq!(warning.expires_at, newer.expires_at);
                break;
            }
            ServerMessage::Contact(_) => {}
            other => panic!("instead of a warning: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_revoked_token_closes_its_connections_and_no_others() {
    let mut world = World::new().await;
    let identity = &world.identity;
    let claims = identity.claims(Role::GameServer, "gs-1", &["us-east"]);
    let newer = identity.claims(Role::GameServer, "gs-1", &["us-east"]);
    let token = identity.sign(&claims);
    let mut revoked = GameServer::subscribe(&world.edge, &token, None).await;
    let mut renewed = GameServer::subscribe(&world.edge, &token, None).await;
    let mut other = GameServer::subscribe(&world.edge, &world.token(), None).await;
    for server in [&mut revoked, &mut renewed, &mut other] {
        server.update().await;
    }
    let taken = renew(&mut renewed, identity.sign(&newer)).await;
    assert!(matches!(taken, ServerMessage::TokenRenewed(_)));
    let trust = identity.trust(2, &[claims.id]);
    world.link.send(&OriginFrame::Trust(trust)).await;
    let (last, code) = revoked.closed().await;
    assert_eq!(code, CloseReason::TokenRevoked.code());
    assert!(matches!(last, Some(ServerMessage::Error(_))));
    let at = world.change(put("sale", 2)).await;
    assert_eq!(renewed.update().await, at);
    assert_eq!(other.update().await, at);
    let (status, _, _) = refused(request(&world.edge, &token)).await;
    assert_eq!(status, 401);
}

#[tokio::test]
async fn a_client_that_can_set_no_header_brings_its_token_as_a_subprotocol() {
    let world = World::new().await;
    let carrying = |token: &str| {
        let mut request = request(&world.edge, "");
        request.headers_mut().remove("Authorization");
        let protocols = format!("liveevents.v1, liveevents.token.{token}");
        let headers = request.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", protocols.parse().unwrap());
        request
    };
    let connecting = tokio_tungstenite::connect_async(carrying(&world.token()));
    let (socket, answer) = within("a WebSocket", Box::pin(connecting)).await.unwrap();
    // The token is not repeated.
    assert_eq!(answer.headers()["Sec-WebSocket-Protocol"], "liveevents.v1");
    let mut server = GameServer {
        socket,
        state: None,
    };
    server.hello("us-east", None).await;
    let welcome = server.receive().await;
    assert!(matches!(welcome, ServerMessage::Welcome(_)));
    assert_eq!(server.update().await, world.cursor(1));
    assert_eq!(refused(carrying("garbage")).await.0, 401);
}

#[tokio::test]
async fn a_token_has_so_many_connections() {
    let setting = ("game-servers-connections-per-token", "2");
    let world = World::with(|setup| setup.with(setting.0, setting.1)).await;
    let token = world.token();
    let first = GameServer::subscribe(&world.edge, &token, None).await;
    let _second = GameServer::subscribe(&world.edge, &token, None).await;
    let (status, retry, body) = refused(request(&world.edge, &token)).await;
    assert_eq!((status, retry.as_deref()), (429, Some("5")));
    assert_eq!(body["error"]["code"], "RATE_LIMIT_EXCEEDED");
    // Another has its own.
    let _other = GameServer::subscribe(&world.edge, &world.token(), None).await;
    drop(first);
    common::eventually("a place is given back", async || {
        let again = tokio_tungstenite::connect_async(request(&world.edge, &token)).await;
        again.is_ok().then_some(())
    })
    .await;
    let refusals = world
        .edge
        .metric("liveevents_game_server_refusals_total")
        .await;
    assert!(refusals >= Some(1.0));
}
