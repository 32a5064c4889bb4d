//! The edge's own TLS: the same to a game server, and nothing but TLS on the port.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use std::sync::Arc;

use common::edge::Setup;
use common::game_server::request;
use common::history::History;
use common::history::{assignment, content, epoch, put};
use common::identity::Identity;
use common::origin::Origin;
use common::{clock, start, within};
use futures_util::{SinkExt as _, StreamExt as _};
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::message::ServerMessage;
use liveevents_protocol::version::Version;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// A certificate for `localhost` in files, and a client that believes it.
struct Certified {
    folder: TempDir,
    connector: TlsConnector,
}

impl Certified {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            folder,
            connector: TlsConnector::from(Arc::new(client)),
        }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

struct Server(WebSocketStream<TlsStream<TcpStream>>);

impl Server {
    async fn next(&mut self) -> ServerMessage {
        loop {
            match within("a message", self.0.next()).await.unwrap().unwrap() {
                Message::Text(text) => return ServerMessage::parse(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("instead of a message: {other:?}"),
            }
        }
    }
}

/// A change of 200 KB.
fn long(revision: u32) -> Vec<liveevents_protocol::entry::Entry> {
    let mut content = content("sale", revision);
    let padding = "ü".repeat(100 * 1024);
    content.configuration = JsonText::new(format!("\"{padding}\"")).unwrap();
    vec![content.into(), assignment("sale", revision).into()]
}

#[tokio::test]
async fn a_game_server_over_tls_is_served_like_any_other() {
    let (identity, clock) = (Identity::new(), clock());
    let certified = Certified::new();
    let origin = Origin::start(&identity, &clock.clock());
    let mut history = History::new("us-east", epoch(5));
    history.commit(put("sale", 1), start());
    let edge = Setup::new(&identity, &clock.clock(), &[origin.address])
        .with("http-tls-cert-file", &certified.file("cert.pem"))
        .with("http-tls-key-file", &certified.file("key.pem"))
        .start()
        .await;
    let mut link = origin.serve(&[&history]).await;
    assert!(link.hello.address.starts_with("https://"));

    let token = identity.game_server(&["us-east"]);
    let mut servers = Vec::new();
    for _ in 0..2 {
        let stream = TcpStream::connect(edge.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let shaking = certified.connector.connect(name, stream);
        let stream = within("a handshake", shaking).await.unwrap();
        let upgrading = tokio_tungstenite::client_async(request(&edge, &token), stream);
        let (socket, _) = within("a WebSocket", Box::pin(upgrading)).await.unwrap();
        let mut server = Server(socket);
        let hello = r#"{"type":"hello","region":"us-east","level":"Region"}"#;
        server.0.send(Message::text(hello)).await.unwrap();
        assert!(matches!(server.next().await, ServerMessage::Welcome(_)));
        assert!(matches!(server.next().await, ServerMessage::Snapshot(_)));
        servers.push(server);
    }
    let [quick, slow] = &mut servers[..] else {
        panic!("two of them");
    };
    // More than there is room for anywhere on the way: what was encrypted and not taken is not lost, nor anything else
    // put before it.
    for revision in 2..80 {
        let version = history.commit(long(revision), start());
        link.rows(&history, version.0 - 1, version.0).await;
        link.acked(&history, version).await;
        match quick.next().await {
            ServerMessage::Delta(delta) => assert_eq!(delta.to, version),
            other => panic!("instead of a change: {other:?}"),
        }
    }
    let mut state = history.state(Version(1)).clone();
    let mut messages = 0;
    while state.version() < history.head() {
        let ServerMessage::Delta(delta) = slow.next().await else {
            panic!("not a change");
        };
        state = state.apply(&delta.into_delta()).unwrap();
        messages += 1;
    }
    assert!(state.same_as(history.state(history.head())));
    assert!(messages < 78, "it was sent every single change");
    // A goodbye is one: nobody hangs up in the middle.
    slow.0.close(None).await.unwrap();
    while let Some(message) = within("the end", slow.0.next()).await {
        assert!(matches!(message, Ok(Message::Close(_))), "{message:?}");
    }
}

#[tokio::test]
async fn who_does_not_speak_tls_is_hung_up_on() {
    let (identity, clock) = (Identity::new(), clock());
    let certified = Certified::new();
    let origin = Origin::start(&identity, &clock.clock());
    let edge = Setup::new(&identity, &clock.clock(), &[origin.address])
        .with("http-tls-cert-file", &certified.file("cert.pem"))
        .with("http-tls-key-file", &certified.file("key.pem"))
        .start()
        .await;
    let mut stream = TcpStream::connect(edge.address).await.unwrap();
    let asked = b"GET /health/live HTTP/1.1\r\nHost: edge\r\n\r\n";
    stream.write_all(asked).await.unwrap();
    let mut answer = Vec::new();
    let _ = within("the end", stream.read_to_end(&mut answer)).await;
    assert!(!answer.starts_with(b"HTTP"));
}
