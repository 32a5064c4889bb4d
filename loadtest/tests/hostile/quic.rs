//! The QUIC port: noise, handshakes that come to nothing, frames that make no sense.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::codec::{self, FrameDecoder};
use liveevents_protocol::frame::{EdgeFrame, OriginFrame};
use liveevents_protocol::limits::MAX_BODY;
use liveevents_protocol::version::{Epoch, Version};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::common::cluster::Cluster;
use crate::common::{LIMIT, Random, eventually, seed};
use crate::scene::{Scene, logged};

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
