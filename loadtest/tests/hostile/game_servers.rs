//! The WebSocket port: silence, noise, wrong messages, wrong tokens, talk without end.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::limits::MAX_CLIENT_MESSAGE;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::common::cluster::Edge;
use crate::common::game_server::GameServer;
use crate::common::{LIMIT, Random, eventually, seed};
use crate::scene::{REGIONS, Scene, logged};

#[tokio::test(flavor = "multi_thread")]
async fn game_servers_that_misbehave_on_the_websocket_port() {
    let mut random = Random(seed());
    let mut scene = Scene::start().await;
    let token = scene.rest.token("GameServer", &["us-east"]).await;
    let hello = r#"{"type":"hello","region":"us-east","level":"Region"}"#;
    let edge = &scene.edges[0];

    // Some hold their connection and say nothing,
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(TcpStream::connect(edge.listener()).await.unwrap());
    }
    let silent = subscribe(edge, &token).await.unwrap();
    // some break the rules of HTTP, or of WebSocket,
    for _ in 0..50 {
        let mut stream = TcpStream::connect(edge.listener()).await.unwrap();
        let mut noise: Vec<u8> = (0..1 + random.below(4_000))
            .map(|_| random.next() as u8)
            .collect();
        // No method begins so.
        noise[0] = 0;
        // It may hang up before it has taken all.
        let _ = stream.write_all(&noise).await;
        let mut broken = subscribe(edge, &token).await.unwrap();
        if let MaybeTlsStream::Plain(stream) = broken.get_mut() {
            let _ = stream.write_all(&noise).await;
        }
    }
    eventually("the noise was counted", || async {
        (edge.metric("http_malformed_total").await >= 50.0).then_some(())
    })
    .await;
    let log = edge.process.log();
    assert!(logged(
        &log,
        &["closed a connection that does not speak HTTP"]
    ));
    // some those of the protocol,
    let table = [
        (
            "binary",
            Message::binary(vec![1, 2, 3]),
            CloseReason::Malformed,
        ),
        (
            "broken JSON",
            Message::text(r#"{"type":"hello","#),
            CloseReason::Malformed,
        ),
        (
            "too long",
            Message::text(" ".repeat(MAX_CLIENT_MESSAGE + 1)),
            CloseReason::TooLarge,
        ),
        (
            "no hello",
            Message::text(r#"{"type":"chat"}"#),
            CloseReason::Malformed,
        ),
        (
            "a foreign region",
            Message::text(hello.replace("us-east", "eu-west")),
            CloseReason::RegionNotAllowed,
        ),
    ];
    for (what, message, reason) in table {
        let name = format!("game_server_closes_total{{reason=\"{}\"}}", reason.as_str());
        let before = edge.metric(&name).await;
        let mut socket = subscribe(edge, &token).await.unwrap();
        socket.send(message).await.unwrap();
        let (code, said) = closed(socket).await;
        assert_eq!(code, reason.code(), "{what}");
        assert!(
            said.contains(r#""type":"error""#) && said.contains(reason.as_str()),
            "{what}: {said}"
        );
        eventually("the close was counted", || async {
            (edge.metric(&name).await > before).then_some(())
        })
        .await;
        assert!(
            logged(
                &edge.process.log(),
                &["game server closed", reason.as_str()]
            ),
            "{what}"
        );
    }
    // some have no business here,
    let player = scene.rest.token("Player", &["us-east"]).await;
    for (token, status, code) in [
        ("", 401, "UNAUTHORIZED"),
        (player.as_str(), 403, "FORBIDDEN"),
    ] {
        match subscribe(edge, token).await.unwrap_err() {
            Error::Http(answer) => {
                let body = String::from_utf8(answer.body().clone().unwrap_or_default()).unwrap();
                assert_eq!(
                    (answer.status().as_u16(), body.contains(code)),
                    (status, true),
                    "{body}"
                );
            }
            other => panic!("{other}"),
        }
    }
    // and some talk without end.
    let mut flood = subscribe(edge, &token).await.unwrap();
    flood.send(Message::text(hello)).await.unwrap();
    let (mut talk, mut listen) = flood.split();
    let talking = async {
        for _ in 0..20_000 {
            talk.feed(Message::text(r#"{"type":"chat","text":"hello?"}"#))
                .await
                .unwrap();
        }
        talk.flush().await.unwrap();
    };
    let newcomer = GameServer::connect("a newcomer", "us-east", &edge.ws(), &token);
    let (epoch, head) = (scene.cluster.epoch(), scene.cluster.head("us-east"));
    let meanwhile = async {
        newcomer.reaches(&epoch, head).await;
        scene.rest.deploy("sale", &REGIONS, 99).await;
        newcomer.reaches(&epoch, head + 1).await;
        scene.witnesses[0].reaches(&epoch, head + 1).await;
    };
    let listening = async {
        let text = listen.next().await.unwrap().unwrap().to_string();
        assert!(text.contains("welcome"), "{text}");
    };
    tokio::join!(talking, meanwhile, listening);

    let (code, _) = closed(silent).await;
    assert_eq!(code, CloseReason::TimedOut.code());
    drop(idle);
    scene.assert_unharmed().await;
    tokio::time::timeout(Duration::from_secs(1), newcomer.client.close())
        .await
        .unwrap();
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn subscribe(edge: &Edge, token: &str) -> Result<Socket, Error> {
    let url = format!("{}/api/v1/subscribe", edge.ws());
    let mut request = url.into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("sec-websocket-protocol", "liveevents.v1".parse().unwrap());
    headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
    connect_async(request).await.map(|(socket, _)| socket)
}

/// The close code and the error said before it, skipping all else.
async fn closed(mut socket: Socket) -> (u16, String) {
    let mut said = String::new();
    loop {
        match timeout(LIMIT, socket.next()).await.expect("a close") {
            Some(Ok(Message::Text(text))) => said = text.to_string(),
            Some(Ok(Message::Close(Some(close)))) => return (close.code.into(), said),
            Some(Ok(_)) => {}
            other => panic!("closed without a reason: {other:?}"),
        }
    }
}
