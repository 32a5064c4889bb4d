//! A scripted edge: a real WebSocket server over loopback that does what the test says, step by step,
//! while the client under test runs by itself. Every step has a deadline.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use jiff::Timestamp;
use liveevents_client::{Address, ClientConfig, Timing, Token};
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::message::{
    ClientAck, ClientHello, ClientMessage, Cursor, DeltaMessage, EntryMessage, ServerMessage,
    SnapshotMessage, Welcome,
};
use liveevents_protocol::model::{Assignment, Content, EventType, Suspension};
use liveevents_protocol::schedule::{Occurrence, Schedule};
use liveevents_protocol::version::{Epoch, Revision, Version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use uuid::Uuid;

pub(crate) const EARLIER: Epoch = Epoch(Uuid::from_u128(1));
pub(crate) const EPOCH: Epoch = Epoch(Uuid::from_u128(2));
pub(crate) const LATER: Epoch = Epoch(Uuid::from_u128(3));

/// Longer than any step takes, shorter than a person's patience.
const LIMIT: Duration = Duration::from_secs(20);

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// A configuration for these edges, impatient where waiting proves nothing.
pub(crate) fn config(edges: &[&Edge]) -> ClientConfig {
    let addresses = edges.iter().map(|edge| edge.url()).collect();
    let region = "us-east".parse().unwrap();
    let mut config = ClientConfig::new(region, addresses, Token::fixed("t0ken"));
    config.timing = Timing {
        backoff_base: Duration::from_millis(5),
        backoff_max: Duration::from_millis(50),
        ..Timing::default()
    };
    config
}

pub(crate) struct Edge {
    listener: TcpListener,
    pub(crate) address: SocketAddr,
}

impl Edge {
    pub(crate) async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub(crate) async fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { listener, address }
    }

    pub(crate) fn url(&self) -> Address {
        format!("ws://{}", self.address).parse().unwrap()
    }

    /// A bare connection.
    pub(crate) async fn tcp(&self) -> TcpStream {
        within("a connection", self.listener.accept())
            .await
            .unwrap()
            .0
    }

    /// A connection, upgraded, with its hello.
    pub(crate) async fn accept(&self) -> Peer {
        let stream = self.tcp().await;
        let mut request = Request::default();
        let upgraded = upgrade(stream, |given| request = given.clone());
        let socket = within("an upgrade", upgraded).await.unwrap();
        let mut peer = Peer {
            socket,
            request,
            hello: None,
        };
        match peer.receive().await {
            Some(ClientMessage::Hello(hello)) => peer.hello = Some(hello),
            other => panic!("instead of a hello: {other:?}"),
        }
        peer
    }

    /// A connection, upgraded and welcomed.
    pub(crate) async fn welcome(&self) -> Peer {
        let mut peer = self.accept().await;
        peer.welcome("game-test", Timestamp::UNIX_EPOCH).await;
        peer
    }

    /// A connection whose upgrade is answered with an error.
    pub(crate) async fn refuse(&self, status: u16, body: &str) {
        self.refuse_for(status, body, None).await;
    }

    /// With a word about when to come again.
    pub(crate) async fn refuse_for(&self, status: u16, body: &str, retry_after: Option<u64>) {
        let stream = self.tcp().await;
        #[expect(clippy::result_large_err, reason = "the library's signature")]
        let callback = |_: &Request, _: Response| {
            let mut refusal = ErrorResponse::new(Some(body.to_owned()));
            *refusal.status_mut() = status.try_into().unwrap();
            if let Some(seconds) = retry_after {
                refusal.headers_mut().insert("retry-after", seconds.into());
            }
            Err(refusal)
        };
        within("an upgrade", Box::pin(accept_hdr_async(stream, callback)))
            .await
            .unwrap_err();
    }
}

/// Answers an upgrade as an edge does.
pub(crate) async fn upgrade<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    see: impl FnOnce(&Request) + Unpin,
) -> Result<WebSocketStream<S>, tokio_tungstenite::tungstenite::Error> {
    #[expect(clippy::result_large_err, reason = "the library's signature")]
    let callback = |request: &Request, mut response: Response| {
        see(request);
        let subprotocol = HeaderValue::from_static("liveevents.v1");
        response
            .headers_mut()
            .insert("sec-websocket-protocol", subprotocol);
        Ok(response)
    };
    Box::pin(accept_hdr_async(stream, callback)).await
}

/// The edge's end of a connection.
pub(crate) struct Peer {
    pub(crate) socket: WebSocketStream<TcpStream>,
    pub(crate) request: Request,
    hello: Option<ClientHello>,
}

impl Peer {
    pub(crate) fn hello(&self) -> &ClientHello {
        self.hello.as_ref().unwrap()
    }

    /// Where the client said it was.
    pub(crate) fn position(&self) -> Option<(Epoch, u64)> {
        self.hello()
            .position
            .map(|Cursor { epoch, version }| (epoch, version.0))
    }

    pub(crate) async fn welcome(&mut self, installation: &str, time: Timestamp) {
        self.welcome_with(installation, time, |_| {}).await;
    }

    /// A welcome that says more.
    pub(crate) async fn welcome_with(
        &mut self,
        installation: &str,
        time: Timestamp,
        also: impl FnOnce(&mut Welcome),
    ) {
        let mut welcome = Welcome {
            edge: "edge-1".parse().unwrap(),
            installation: installation.parse().unwrap(),
            region: self.hello().region.clone(),
            time,
            position: None,
            contact_at: None,
            ack_interval_ms: 0,
            token_expires_at: None,
            capabilities: Vec::new(),
        };
        also(&mut welcome);
        self.send(&ServerMessage::Welcome(welcome)).await;
    }

    pub(crate) async fn send(&mut self, message: &ServerMessage) {
        self.message(Message::text(message.print().unwrap())).await;
    }

    pub(crate) async fn message(&mut self, message: Message) {
        within("a write", self.socket.send(message)).await.unwrap();
    }

    pub(crate) async fn snapshot(&mut self, epoch: Epoch, to: u64, events: &[&str]) {
        self.send(&snapshot(epoch, to, events)).await;
    }

    pub(crate) async fn delta(&mut self, epoch: Epoch, from: u64, to: u64, events: &[&str]) {
        self.send(&delta(epoch, from, to, events)).await;
    }

    /// The next message of the client; `None` at its end.
    pub(crate) async fn receive(&mut self) -> Option<ClientMessage> {
        loop {
            match within("a message", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return Some(ClientMessage::parse(&text).unwrap()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_)) | Err(_)) | None => return None,
                Some(Ok(other)) => panic!("the client sent {other:?}"),
            }
        }
    }

    /// Waits for the answer to a ping.
    pub(crate) async fn pong(&mut self, payload: &[u8]) {
        match within("a pong", self.socket.next()).await {
            Some(Ok(Message::Pong(answer))) => assert_eq!(&answer[..], payload),
            other => panic!("instead of a pong: {other:?}"),
        }
    }

    pub(crate) async fn ack(&mut self) -> ClientAck {
        match self.receive().await {
            Some(ClientMessage::Ack(ack)) => ack,
            other => panic!("instead of an ack: {other:?}"),
        }
    }

    /// Waits for the ack of this version.
    pub(crate) async fn acked(&mut self, epoch: Epoch, version: u64) {
        let ack = self.ack().await;
        assert_eq!((ack.epoch, ack.version), (epoch, Version(version)));
    }

    /// Waits until the client has left in order.
    pub(crate) async fn left(&mut self) {
        while let Some(message) = self.receive().await {
            assert!(matches!(message, ClientMessage::Ack(_)), "{message:?}");
        }
    }

    pub(crate) async fn close(&mut self, reason: CloseReason) {
        let frame = CloseFrame {
            code: reason.code().into(),
            reason: reason.as_str().into(),
        };
        self.message(Message::Close(Some(frame))).await;
    }
}

/// Content of an event's first revision; the name tells versions of a test apart.
pub(crate) fn content(event: &str, revision: u32) -> Content {
    Content {
        event_id: event.parse().unwrap(),
        revision: Revision(revision),
        event_type: EventType::LimitedTimeOffer,
        display_name: format!("{event} {revision}"),
        description: String::new(),
        category: None,
        priority: 0,
        tags: Vec::new(),
        localizations: Default::default(),
        requires: Default::default(),
        when_stale: Default::default(),
        target_segments: Vec::new(),
        exclude_segments: Vec::new(),
        configuration: JsonText::empty_object(),
    }
}

/// Its live assignment, open through the 1970s.
pub(crate) fn assignment(event: &str, revision: u32) -> Assignment {
    let occurrence = Occurrence {
        opens: Timestamp::from_second(0).unwrap(),
        closes: Timestamp::from_second(300_000_000).unwrap(),
    };
    Assignment {
        event_id: event.parse().unwrap(),
        salt: "salt".to_owned(),
        live: Some(Revision(revision)),
        candidate: None,
        schedule: Schedule::new(vec![occurrence]).unwrap(),
        suspension: Suspension::default(),
        full: false,
    }
}

pub(crate) fn snapshot(epoch: Epoch, to: u64, events: &[&str]) -> ServerMessage {
    ServerMessage::Snapshot(SnapshotMessage {
        epoch,
        to: Version(to),
        time: Timestamp::UNIX_EPOCH,
        committed_at: None,
        index: 0,
        last: true,
        segments: Vec::new(),
        contents: events.iter().map(|event| content(event, 1)).collect(),
        assignments: events.iter().map(|event| assignment(event, 1)).collect(),
        degraded: false,
        unread: Vec::new(),
    })
}

/// A delta that adds events.
pub(crate) fn delta(epoch: Epoch, from: u64, to: u64, events: &[&str]) -> ServerMessage {
    let contents = events
        .iter()
        .map(|event| EntryMessage::Content(content(event, 1)));
    let assignments = events
        .iter()
        .map(|event| EntryMessage::Assignment(assignment(event, 1)));
    ServerMessage::Delta(DeltaMessage {
        epoch,
        from: Version(from),
        to: Version(to),
        time: Timestamp::UNIX_EPOCH,
        committed_at: None,
        entries: contents.chain(assignments).collect(),
        degraded: false,
        unread: Vec::new(),
    })
}
