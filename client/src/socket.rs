//! One WebSocket to an edge: reached, upgraded, and messages over it, with a deadline on every write.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::message::{ClientMessage, SUBPROTOCOL, ServerMessage};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::address::Address;
use crate::config::ClientConfig;
use crate::disconnected::Disconnected;
use crate::limits;

/// TCP, or TLS over it.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A message, and the bytes that it took.
pub(crate) struct Received {
    pub(crate) message: ServerMessage,
    pub(crate) bytes: usize,
}

pub(crate) struct Socket {
    socket: WebSocketStream<Box<dyn Stream>>,
    write: Duration,
}

impl Socket {
    /// Reaches an edge and upgrades, all within the deadline.
    pub(crate) async fn open(
        config: &ClientConfig,
        address: &Address,
        token: &str,
    ) -> Result<Self, Disconnected> {
        let deadline = config.timing.connect;
        let socket = timeout(deadline, upgrade(config, address, token))
            .await
            .map_err(|_| Disconnected::TimedOut(deadline))??;
        Ok(Self {
            socket,
            write: config.timing.write,
        })
    }

    /// The next message. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Received, Disconnected> {
        match self.socket.next().await {
            Some(message) => read(message?),
            None => Err(Disconnected::Ended),
        }
    }

    pub(crate) async fn send(&mut self, message: &ClientMessage) -> Result<(), Disconnected> {
        let text = message
            .print()
            .map_err(|error| Disconnected::Malformed(error.to_string()))?;
        self.write(Message::text(text)).await
    }

    pub(crate) async fn ping(&mut self) -> Result<(), Disconnected> {
        self.write(Message::Ping(Vec::new().into())).await
    }

    async fn write(&mut self, message: Message) -> Result<(), Disconnected> {
        timeout(self.write, self.socket.send(message))
            .await
            .map_err(|_| Disconnected::TimedOut(self.write))?
            .map_err(Into::into)
    }

    /// Says goodbye and waits for the answer, as far as there is time for it.
    pub(crate) async fn close(mut self, deadline: Duration) {
        let farewell = async {
            self.socket.close(Some(goodbye())).await?;
            while self
                .socket
                .next()
                .await
                .is_some_and(|message| message.is_ok())
            {}
            Ok::<_, tungstenite::Error>(())
        };
        if !matches!(timeout(deadline, farewell).await, Ok(Ok(()))) {
            tracing::debug!("closed without the edge's answer");
        }
    }

    /// Says goodbye and waits for nothing more, so that the next connection can be made.
    pub(crate) async fn abandon(mut self, deadline: Duration) {
        let farewell = self.socket.close(Some(goodbye()));
        if !matches!(timeout(deadline, farewell).await, Ok(Ok(()))) {
            tracing::debug!("left without a goodbye");
        }
    }
}

fn goodbye() -> CloseFrame {
    CloseFrame {
        code: CloseCode::Away,
        reason: Utf8Bytes::default(),
    }
}

async fn upgrade(
    config: &ClientConfig,
    address: &Address,
    token: &str,
) -> Result<WebSocketStream<Box<dyn Stream>>, Disconnected> {
    let request = request(address, token)?;
    let stream = TcpStream::connect((address.host(), address.port())).await?;
    // Acks are small and must not wait for one another.
    stream.set_nodelay(true)?;
    let stream: Box<dyn Stream> = match &config.tls {
        Some(tls) if address.is_secure() => {
            let name = ServerName::try_from(address.host().to_owned())
                .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error))?;
            Box::new(tls.connector().connect(name, stream).await?)
        }
        _ => Box::new(stream),
    };
    let limits = WebSocketConfig::default()
        .read_buffer_size(limits::READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(limits::MAX_MESSAGE))
        .max_frame_size(Some(limits::MAX_MESSAGE));
    let (socket, _) = client_async_with_config(request, stream, Some(limits)).await?;
    Ok(socket)
}

fn request(address: &Address, token: &str) -> Result<Request, Disconnected> {
    let mut request = address.uri().into_client_request()?;
    let bearer = format!("Bearer {token}");
    let mut bearer = HeaderValue::try_from(bearer).map_err(|_| Disconnected::UnusableToken)?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, bearer);
    request.headers_mut().insert(
        SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(SUBPROTOCOL),
    );
    Ok(request)
}

fn read(message: Message) -> Result<Received, Disconnected> {
    match message {
        Message::Text(text) => Ok(Received {
            message: ServerMessage::parse(&text)
                .map_err(|error| Disconnected::Malformed(error.to_string()))?,
            bytes: text.len(),
        }),
        // A ping is answered by the library with the next read.
        Message::Ping(_) | Message::Pong(_) => Ok(Received {
            message: ServerMessage::Unknown,
            bytes: 0,
        }),
        Message::Close(frame) => Err(closed(frame.as_ref())),
        Message::Binary(_) | Message::Frame(_) => {
            Err(Disconnected::Malformed("a binary message".to_owned()))
        }
    }
}

fn closed(frame: Option<&CloseFrame>) -> Disconnected {
    let code = frame.map(|frame| u64::from(u16::from(frame.code)));
    code.and_then(CloseReason::from_code)
        .map_or(Disconnected::Ended, |reason| Disconnected::Closed {
            reason,
            message: None,
        })
}
