//! A game server that does what the test says, over a real WebSocket.

use futures_util::{SinkExt as _, StreamExt as _};
use liveevents_protocol::filter::Filter;
use liveevents_protocol::message::{
    AckStatus, ClientAck, ClientHello, ClientMessage, Cursor, Level, SUBPROTOCOL, ServerMessage,
    SnapshotMessage,
};
use liveevents_protocol::state::RegionState;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use super::edge::Edge;
use super::within;

pub struct GameServer {
    pub socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// What it has put together.
    pub state: Option<RegionState>,
}

/// The request that a game server begins with.
pub fn request(edge: &Edge, token: &str) -> Request {
    let mut request = format!("ws://{}/api/v1/subscribe", edge.address)
        .into_client_request()
        .unwrap();
    let headers = request.headers_mut();
    headers.insert("Authorization", format!("Bearer {token}").parse().unwrap());
    headers.insert("Sec-WebSocket-Protocol", SUBPROTOCOL.parse().unwrap());
    request
}

/// Status and body with which the upgrade is refused.
pub async fn refused(request: Request) -> (u16, Option<String>, serde_json::Value) {
    match within("an answer", tokio_tungstenite::connect_async(request)).await {
        Err(Error::Http(answer)) => {
            let retry = answer
                .headers()
                .get("retry-after")
                .map(|v| v.to_str().unwrap().to_owned());
            let body = answer.body().as_deref().unwrap_or_default();
            (
                answer.status().as_u16(),
                retry,
                serde_json::from_slice(body).unwrap(),
            )
        }
        Err(other) => panic!("instead of a refusal: {other}"),
        Ok(_) => panic!("instead of a refusal: a connection"),
    }
}

/// What a game server of `us-east` says that holds nothing.
pub fn hello(level: Level) -> ClientHello {
    ClientHello {
        region: "us-east".parse().unwrap(),
        level,
        position: None,
        build: None,
        filter: Filter::default(),
        capabilities: Vec::new(),
        client: None,
        include_config: true,
        language: None,
    }
}

impl GameServer {
    /// Connected, hello not yet said.
    pub async fn connect(edge: &Edge, token: &str) -> Self {
        let request = request(edge, token);
        let connecting = Box::pin(tokio_tungstenite::connect_async(request));
        let (socket, answer) = within("a WebSocket", connecting).await.unwrap();
        assert_eq!(answer.headers()["Sec-WebSocket-Protocol"], SUBPROTOCOL);
        Self {
            socket,
            state: None,
        }
    }

    /// Connected and welcomed, with what it holds.
    pub async fn subscribe(edge: &Edge, token: &str, position: Option<Cursor>) -> Self {
        Self::subscribe_to(edge, token, "us-east", position).await
    }

    pub async fn subscribe_to(
        edge: &Edge,
        token: &str,
        region: &str,
        position: Option<Cursor>,
    ) -> Self {
        let mut server = Self::connect(edge, token).await;
        server.hello(region, position).await;
        match server.receive().await {
            ServerMessage::Welcome(welcome) => assert_eq!(welcome.region.as_str(), region),
            other => panic!("instead of a welcome: {other:?}"),
        }
        server
    }

    pub async fn hello(&mut self, region: &str, position: Option<Cursor>) {
        self.introduce(region, position, Filter::default()).await;
    }

    /// Says hello with a filter.
    pub async fn introduce(&mut self, region: &str, position: Option<Cursor>, filter: Filter) {
        let hello = ClientHello {
            region: region.parse().unwrap(),
            position,
            filter,
            ..hello(Level::Region)
        };
        self.say(&ClientMessage::Hello(hello)).await;
    }

    /// Connected and welcomed after this hello.
    pub async fn greeted(edge: &Edge, token: &str, hello: ClientHello) -> Self {
        let mut server = Self::connect(edge, token).await;
        server.say(&ClientMessage::Hello(hello)).await;
        match server.receive().await {
            ServerMessage::Welcome(_) => server,
            other => panic!("instead of a welcome: {other:?}"),
        }
    }

    pub async fn ack(&mut self, at: Cursor, status: AckStatus) {
        let Cursor { epoch, version } = at;
        self.say(&ClientMessage::Ack(ClientAck {
            epoch,
            version,
            status,
            held_ms: 0,
        }))
        .await;
    }

    pub async fn say(&mut self, message: &ClientMessage) {
        self.send(Message::text(message.print().unwrap())).await;
    }

    pub async fn send(&mut self, message: Message) {
        within("the edge to take a message", self.socket.send(message))
            .await
            .unwrap();
    }

    /// The next message that is not a notice.
    pub async fn receive(&mut self) -> ServerMessage {
        loop {
            let message = self.receive_any().await;
            let notice = matches!(
                message,
                ServerMessage::Activated(_) | ServerMessage::Deactivated(_)
            );
            if !notice {
                return message;
            }
        }
    }

    /// The next message, whatever it is.
    pub async fn receive_any(&mut self) -> ServerMessage {
        loop {
            match within("a message", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return ServerMessage::parse(&text).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("instead of a message: {other:?}"),
            }
        }
    }

    /// The next change, put together with what is held. Nothing may go back.
    pub async fn update(&mut self) -> Cursor {
        let message = self.receive().await;
        let next = match message {
            ServerMessage::Snapshot(first) => {
                let whole = self.assemble(first).await;
                RegionState::from_snapshot(whole.into_snapshot()).unwrap()
            }
            ServerMessage::Delta(delta) => {
                let held = self
                    .state
                    .as_ref()
                    .expect("a delta needs something to build on");
                assert_eq!(delta.from, held.version());
                held.apply(&delta.into_delta()).unwrap()
            }
            other => panic!("instead of a change: {other:?}"),
        };
        if let Some(held) = &self.state {
            assert!((held.epoch(), held.version()) < (next.epoch(), next.version()));
        }
        let at = Cursor {
            epoch: next.epoch(),
            version: next.version(),
        };
        self.state = Some(next);
        at
    }

    /// Puts the pieces of a snapshot together.
    pub async fn assemble(&mut self, first: SnapshotMessage) -> SnapshotMessage {
        let mut whole = first;
        assert_eq!(whole.index, 0);
        while !whole.last {
            match self.receive().await {
                ServerMessage::Snapshot(mut piece) => {
                    assert_eq!((piece.epoch, piece.to), (whole.epoch, whole.to));
                    assert_eq!(piece.index, whole.index + 1);
                    whole.contents.append(&mut piece.contents);
                    whole.assignments.append(&mut piece.assignments);
                    (whole.index, whole.last) = (piece.index, piece.last);
                }
                other => panic!("instead of the next piece: {other:?}"),
            }
        }
        whole
    }

    /// Takes changes until it is at a version.
    pub async fn until(&mut self, at: Cursor) {
        while self.update().await != at {}
    }

    /// Takes the rest, until the edge has closed: its last message, and its code.
    pub async fn closed(&mut self) -> (Option<ServerMessage>, u16) {
        let mut last = None;
        loop {
            match within("the edge to close", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => last = Some(ServerMessage::parse(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => return (last, frame.code.into()),
                Some(Ok(_)) => {}
                other => panic!("instead of a close: {other:?}"),
            }
        }
    }
}
