//! Guarantee 5: whatever comes to the ports, by noise, by mistake or on purpose, is refused with a reason where there
//! is somebody to tell it to, logged and counted, and nobody else notices: other edges and their game servers go on
//! over the connections that they had.
//!
//! What each message and frame is refused with is tested beside the code (`origin/tests/push.rs`,
//! `edge/tests/refusals.rs`); here it happens to processes at work.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::cluster::{Cluster, Edge};
use common::game_server::GameServer;
use common::rest::Rest;
use common::{LIMIT, Random, eventually, metric, seed};
use futures_util::future::join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::codec::{self, FrameDecoder};
use liveevents_protocol::frame::{EdgeFrame, Hello, OriginFrame};
use liveevents_protocol::id::BootId;
use liveevents_protocol::limits::{MAX_BODY, MAX_CLIENT_MESSAGE};
use liveevents_protocol::version::{Epoch, Version};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use reqwest::StatusCode;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const REGIONS: [&str; 2] = ["us-east", "eu-west"];

/// An installation at work: two edges, and a game server with each.
struct Scene {
    cluster: Cluster,
    rest: Rest,
    edges: Vec<Edge>,
    witnesses: Vec<GameServer>,
    percentage: u32,
}

impl Scene {
    async fn start() -> Self {
        let cluster = Cluster::start().await;
        let rest = cluster.rest().await;
        rest.event("sale").await;
        let (mut edges, mut witnesses) = (Vec::new(), Vec::new());
        for region in REGIONS {
            let edge = cluster.edge(&format!("{region}-1"), region).await;
            let token = rest.token("GameServer", &[region]).await;
            witnesses.push(GameServer::connect(region, region, &edge.ws(), &token));
            edges.push(edge);
        }
        let mut scene = Self {
            cluster,
            rest,
            edges,
            witnesses,
            percentage: 0,
        };
        scene.assert_unharmed().await;
        scene
    }

    /// The next change reaches everybody over the connections that they had.
    async fn assert_unharmed(&mut self) {
        self.percentage += 1;
        self.rest.deploy("sale", &REGIONS, self.percentage).await;
        for (edge, witness) in self.edges.iter().zip(&self.witnesses) {
            witness
                .reaches(&self.cluster.epoch(), self.cluster.head(&edge.region))
                .await;
            witness.assert_only_went_forward(|_| true);
            assert!(witness.is_connected_to(&edge.name));
            assert_eq!(
                edge.metric("uplink_connections_total").await,
                1.0,
                "{}",
                edge.name
            );
            assert_eq!(edge.metric("uplink_connected").await, 1.0, "{}", edge.name);
        }
    }

    /// A metric of the origin.
    async fn metric(&self, name: &str) -> f64 {
        metric(&format!("http://{}", self.cluster.http), name).await
    }

    /// Whether the origin has logged a line with all of this.
    fn logged(&self, parts: &[&str]) -> bool {
        logged(&self.cluster.origin.as_ref().unwrap().log(), parts)
    }

    /// What the origin wrote for edges.
    fn file(&self, name: &str) -> std::path::PathBuf {
        self.cluster.dir.path().join("origin").join(name)
    }

    fn hello(&self) -> Hello {
        Hello {
            installation: self.cluster.installation.parse().unwrap(),
            edge: "intruder".parse().unwrap(),
            boot: BootId(uuid::Uuid::new_v4()),
            token: std::fs::read_to_string(self.file("edge-token"))
                .unwrap()
                .trim()
                .to_owned(),
            build: "0".to_owned(),
            capabilities: Vec::new(),
            address: "http://127.0.0.1:1".to_owned(),
            regions: vec![("us-east".parse().unwrap(), None)],
        }
    }
}

fn logged(log: &str, parts: &[&str]) -> bool {
    log.lines()
        .any(|line| parts.iter().all(|part| line.contains(part)))
}

/// A QUIC client that trusts the origin's authority and names this protocol.
fn quic(ca: &Path, alpn: &[u8]) -> Endpoint {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(ca).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![alpn.to_vec()];
    let tls = QuicClientConfig::try_from(tls).unwrap();
    let mut endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(tls)));
    endpoint
}

async fn dial(endpoint: &Endpoint, scene: &Scene) -> Result<Connection, ConnectionError> {
    let address = scene.cluster.quic.parse().unwrap();
    endpoint.connect(address, "localhost").unwrap().await
}

#[tokio::test(flavor = "multi_thread")]
async fn noise_and_failed_handshakes_on_the_quic_port() {
    let mut random = Random(seed());
    let mut scene = Scene::start().await;
    let other = Cluster::start().await;

    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for n in 0..500 {
        let len = 1 + random.below(1_400) as usize;
        let mut datagram: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        // Every other one begins as QUIC's first packet does: long header, initial, version 1.
        if n % 2 == 0 && len > 5 {
            datagram[..5].copy_from_slice(&[0xc3, 0, 0, 0, 1]);
            datagram.resize(1_200, 0);
        }
        socket
            .send_to(&datagram, &scene.cluster.quic)
            .await
            .unwrap();
    }
    scene.assert_unharmed().await;

    let failed = scene.metric("push_handshakes_failed_total").await;
    let endpoint = quic(&scene.file("tls/ca.pem"), b"h3");
    let refused = dial(&endpoint, &scene).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("doesn't support any known protocol"),
        "{refused}"
    );
    eventually("the handshake was counted", || async {
        (scene.metric("push_handshakes_failed_total").await > failed).then_some(())
    })
    .await;
    assert!(scene.logged(&["a QUIC handshake failed"]));

    // An edge that trusts somebody else does not talk to this origin.
    let foreign = other.dir.path().join("origin/tls/ca.pem");
    let more = [
        ("CA_FILE", foreign.display().to_string()),
        ("REDIS_URL", String::new()),
    ];
    let edge = scene
        .cluster
        .edge_not_awaited("distrustful", "us-east", &more)
        .await;
    eventually("the edge has refused the origin", || async {
        (edge
            .metric("uplink_ends_total{reason=\"unreachable\"}")
            .await
            >= 1.0)
            .then_some(())
    })
    .await;
    let log = edge.process.log();
    assert!(
        logged(
            &log,
            &[
                "no connection to the origin",
                "handshake failed",
                "invalid peer certificate"
            ]
        ),
        "{log}"
    );
    assert_eq!(edge.health().await["status"], "NotReady");
    assert_eq!(scene.metric("edges_connected").await, 2.0);
    scene.assert_unharmed().await;
}

/// A connection on which a test says what it likes.
struct Line {
    connection: Connection,
    send: SendStream,
    recv: RecvStream,
}

impl Line {
    async fn open(endpoint: &Endpoint, scene: &Scene) -> Self {
        let connection = dial(endpoint, scene).await.unwrap();
        let (send, recv) = connection.open_bi().await.unwrap();
        Self {
            connection,
            send,
            recv,
        }
    }

    /// Says hello, as an edge that may, and waits to be welcomed.
    async fn welcomed(mut self, scene: &Scene) -> Self {
        self.say(&EdgeFrame::Hello(scene.hello())).await;
        let mut decoder = FrameDecoder::new(MAX_BODY);
        loop {
            if let Some(frame) = decoder.next_frame().unwrap() {
                let frame = codec::decode_origin_frame(&frame).unwrap();
                assert!(matches!(frame, OriginFrame::Welcome { .. }), "{frame:?}");
                return self;
            }
            let chunk = self.recv.read_chunk(MAX_BODY, true).await.unwrap().unwrap();
            decoder.push(&chunk.bytes);
        }
    }

    async fn say(&mut self, frame: &EdgeFrame) {
        self.bytes(&codec::encode_edge_frame(frame).unwrap()).await;
    }

    async fn bytes(&mut self, bytes: &[u8]) {
        self.send.write_all(bytes).await.unwrap();
    }

    /// Why the origin closed it.
    async fn closed(&self) -> CloseReason {
        match timeout(LIMIT, self.connection.closed())
            .await
            .expect("a close")
        {
            ConnectionError::ApplicationClosed(close) => {
                let reason = CloseReason::from_code(close.error_code.into_inner()).unwrap();
                assert!(
                    close.reason.starts_with(reason.as_str().as_bytes()),
                    "{close}"
                );
                reason
            }
            other => panic!("closed without a reason: {other}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_make_no_sense_on_the_quic_port() {
    let mut random = Random(seed());
    let mut scene = Scene::start().await;
    let endpoint = quic(&scene.file("tls/ca.pem"), b"liveevents/1");
    let noise: Vec<u8> = (0..64).map(|_| random.next() as u8).collect();
    let hello = codec::encode_edge_frame(&EdgeFrame::Hello(scene.hello())).unwrap();
    let bye = codec::encode_edge_frame(&EdgeFrame::Bye).unwrap();
    let mut expected: BTreeMap<&str, f64> = BTreeMap::new();
    let mut closed = async |line: &Line, reason: CloseReason, what: &str| {
        assert_eq!(line.closed().await, reason, "{what}");
        *expected.entry(reason.as_str()).or_default() += 1.0;
    };

    // These say nothing, and too little, for as long as they are borne with.
    let silent = dial(&endpoint, &scene).await.unwrap();
    let mut slow = Line::open(&endpoint, &scene).await;
    slow.bytes(&hello[..hello.len() - 1]).await;

    let framed = |len: u32, rest: &[u8]| [&len.to_be_bytes()[..], rest].concat();
    let before_hello: [(&str, Vec<u8>, CloseReason); 5] = [
        (
            "noise in a frame",
            framed(66, &[&[1, 0], &noise[..]].concat()),
            CloseReason::Malformed,
        ),
        (
            "a frame of 4 GiB",
            framed(u32::MAX, &noise),
            CloseReason::TooLarge,
        ),
        ("no frame", framed(1, &noise), CloseReason::Malformed),
        (
            "an unknown kind",
            framed(2, &[200, 0]),
            CloseReason::Malformed,
        ),
        ("bye", bye, CloseReason::Malformed),
    ];
    for (what, bytes, reason) in before_hello {
        let mut line = Line::open(&endpoint, &scene).await;
        line.bytes(&bytes).await;
        closed(&line, reason, what).await;
    }
    let mut line = Line::open(&endpoint, &scene).await;
    line.bytes(&hello[..10]).await;
    line.send.finish().unwrap();
    closed(&line, CloseReason::Malformed, "the end within the hello").await;

    let ack = |region: &str, epoch| {
        let (region, version) = (region.parse().unwrap(), Version(u64::MAX));
        let applied_at = Timestamp::UNIX_EPOCH;
        let ack = EdgeFrame::Ack {
            region,
            epoch: Epoch(epoch),
            version,
            applied_at,
        };
        codec::encode_edge_frame(&ack).unwrap()
    };
    let after_welcome: [(&str, Vec<u8>, CloseReason); 5] = [
        (
            "noise after the welcome",
            framed(66, &[&[2, 0], &noise[..]].concat()),
            CloseReason::Malformed,
        ),
        (
            "64 MiB after the welcome",
            framed(64 << 20, &noise),
            CloseReason::TooLarge,
        ),
        ("a second hello", hello.clone(), CloseReason::Malformed),
        (
            "an ack of the future",
            ack("us-east", uuid::Uuid::max()),
            CloseReason::Malformed,
        ),
        (
            "an ack of nowhere",
            ack("atlantis", uuid::Uuid::nil()),
            CloseReason::Malformed,
        ),
    ];
    for (what, bytes, reason) in after_welcome {
        let mut line = Line::open(&endpoint, &scene).await.welcomed(&scene).await;
        line.bytes(&bytes).await;
        closed(&line, reason, what).await;
    }
    scene.assert_unharmed().await;

    closed(&slow, CloseReason::TimedOut, "a hello that never ends").await;
    let silence = Line {
        connection: silent,
        send: slow.send,
        recv: slow.recv,
    };
    closed(&silence, CloseReason::TimedOut, "no hello").await;
    for (reason, count) in expected {
        let name = format!("push_closed_total{{reason=\"{reason}\"}}");
        assert_eq!(scene.metric(&name).await, count, "{name}");
        assert!(
            scene.logged(&["closed an edge's connection", reason]),
            "{reason}"
        );
    }
    scene.assert_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_that_may_not_replicate_know_why_and_leave_the_origin_alone() {
    let mut scene = Scene::start().await;
    let other = Cluster::start().await;
    let rest = &scene.rest;
    let (revoked_id, revoked) = rest.token_for("Edge", &["us-east"], "PT1H").await;
    let (_, expired) = rest.token_for("Edge", &["us-east"], "PT1S").await;
    rest.revoke(&revoked_id).await;
    let http = reqwest::Client::new();
    eventually("the token has expired", || async {
        let url = format!("http://{}/api/v1/events", scene.cluster.http);
        let answer = http.get(url).bearer_auth(&expired).send().await.unwrap();
        (answer.status() == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    let foreign = other.rest().await.token("Edge", &["us-east"]).await;
    let token = |text: String| {
        vec![
            ("ENROLMENT_TOKEN_FILE", String::new()),
            ("ENROLMENT_TOKEN", text),
        ]
    };
    let elsewhere = vec![("INSTALLATION", other.installation.clone())];
    let table = [
        (
            token("rubbish".to_owned()),
            "us-east",
            CloseReason::TokenInvalid,
        ),
        (token(expired), "us-east", CloseReason::TokenExpired),
        (token(revoked), "us-east", CloseReason::TokenRevoked),
        (token(foreign), "us-east", CloseReason::ForeignInstallation),
        (elsewhere, "us-east", CloseReason::ForeignInstallation),
        (
            token(rest.token("GameServer", &["us-east"]).await),
            "us-east",
            CloseReason::RoleNotAllowed,
        ),
        (
            token(rest.token("Edge", &["us-east"]).await),
            "eu-west",
            CloseReason::RegionNotAllowed,
        ),
        (Vec::new(), "atlantis", CloseReason::RegionNotAllowed),
    ];
    let refused = table
        .iter()
        .enumerate()
        .map(|(at, (more, region, reason))| {
            let scene = &scene;
            async move {
                let name = format!("intruder-{at}");
                // Without Redis, from which it might serve what others put there.
                let mut more = more.clone();
                more.push(("REDIS_URL", String::new()));
                let edge = scene.cluster.edge_not_awaited(&name, region, &more).await;
                let reason = reason.as_str();
                eventually(&format!("{name} was refused as {reason}"), || async {
                    let uplink = edge.health().await["uplink"].clone();
                    let waits = uplink["state"] == "Waiting" && uplink["reason"] == reason;
                    let until: Timestamp = uplink["until"].as_str()?.parse().unwrap();
                    let patience = until.duration_since(jiff::Zoned::now().timestamp());
                    (waits && patience > SignedDuration::from_secs(20)).then_some(())
                })
                .await;
                assert!(
                    logged(
                        &edge.process.log(),
                        &["no connection to the origin", reason]
                    ),
                    "{name}"
                );
                assert!(
                    scene.logged(&["closed an edge's connection", &name, reason]),
                    "{name}"
                );
                let ready = reqwest::get(format!("{}/health/ready", edge.http))
                    .await
                    .unwrap();
                assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE, "{name}");
                let counted = format!("uplink_ends_total{{reason=\"{reason}\"}}");
                assert_eq!(
                    edge.metric(&counted).await,
                    1.0,
                    "{name} tries again and again"
                );
            }
        });
    join_all(refused).await;
    let known = scene.rest.get("/edges").await;
    assert_eq!(
        known["edges"].as_array().unwrap().len(),
        REGIONS.len(),
        "{known}"
    );
    scene.assert_unharmed().await;
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
        let noise: Vec<u8> = (0..1 + random.below(4_000))
            .map(|_| random.next() as u8)
            .collect();
        // It may hang up before it has taken all.
        let _ = stream.write_all(&noise).await;
        let mut broken = subscribe(edge, &token).await.unwrap();
        if let MaybeTlsStream::Plain(stream) = broken.get_mut() {
            let _ = stream.write_all(&noise).await;
        }
    }
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
