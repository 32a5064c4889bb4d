//! A game server's WebSocket: whole messages in, shared texts out, everything under a deadline.
//!
//! Long texts leave in fragments, which a receiver puts together again (RFC 6455, 5.4): what is copied for a
//! connection is one fragment, however long the text.

use std::fmt;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::limits::MAX_CLIENT_MESSAGE;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use crate::limits::{FRAGMENT, READ_BUFFER, WRITE_DEADLINE};

/// What came.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A message.
    Text(Utf8Bytes),
    /// A ping or pong: a sign of life.
    Life,
    /// The other side has closed, or has gone.
    Closed,
    /// Not what may come here.
    Bad(CloseReason, String),
}

/// A text could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unsent {
    /// The other side has gone.
    Gone,
    /// It does not take what it is sent.
    TooSlow,
}

/// What a WebSocket runs over: a TCP connection, or in tests one in memory.
pub(super) trait Line: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Line for S {}

pub(super) struct Socket<S>(WebSocketStream<S>);

impl<S: Line> Socket<S> {
    /// Takes over an upgraded connection; `read` is what had been read of it already.
    pub(super) async fn new(stream: S, read: Bytes) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_CLIENT_MESSAGE))
            .max_frame_size(Some(MAX_CLIENT_MESSAGE));
        let socket =
            WebSocketStream::from_partially_read(stream, read.into(), Role::Server, Some(config));
        Self(socket.await)
    }

    /// The next message. Pings are answered here.
    ///
    /// # Cancel safety
    /// What has been read of a message is kept.
    pub(super) async fn next(&mut self) -> Incoming {
        match self.0.next().await {
            Some(Ok(Message::Text(text))) => Incoming::Text(text),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Incoming::Life,
            Some(Ok(Message::Binary(_) | Message::Frame(_))) => {
                let message = "binary messages are not part of the protocol";
                Incoming::Bad(CloseReason::Malformed, message.to_owned())
            }
            Some(Ok(Message::Close(_))) | None => Incoming::Closed,
            Some(Err(error)) => match error {
                Error::Capacity(CapacityError::MessageTooLong { .. }) => {
                    let message = format!("a message may have {MAX_CLIENT_MESSAGE} bytes");
                    Incoming::Bad(CloseReason::TooLarge, message)
                }
                // Gone without a word: its process was killed, or the network took it.
                Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Incoming::Closed,
                Error::Capacity(_) | Error::Protocol(_) | Error::Utf8(_) => {
                    Incoming::Bad(CloseReason::Malformed, error.to_string())
                }
                _ => Incoming::Closed,
            },
        }
    }

    /// Sends a text whole.
    ///
    /// # Errors
    /// If the other side is gone, or has not taken it by the deadline.
    ///
    /// # Cancel safety
    /// None: dropped, it may leave half a message behind.
    pub(super) async fn send(&mut self, text: Bytes) -> Result<(), Unsent> {
        let sending = async {
            let mut opcode = Data::Text;
            let mut rest = text;
            loop {
                let fragment = rest.split_to(rest.len().min(FRAGMENT));
                let last = rest.is_empty();
                let frame = Frame::message(fragment, OpCode::Data(opcode), last);
                self.0.send(Message::Frame(frame)).await?;
                if last {
                    return Ok(());
                }
                opcode = Data::Continue;
            }
        };
        within(sending).await
    }

    /// # Errors
    /// As for [`Socket::send`].
    pub(super) async fn ping(&mut self) -> Result<(), Unsent> {
        within(self.0.send(Message::Ping(Bytes::new()))).await
    }

    /// Closes with a reason, and waits for the answer.
    ///
    /// # Errors
    /// As for [`Socket::send`].
    pub(super) async fn close(mut self, reason: CloseReason) -> Result<(), Unsent> {
        let frame = CloseFrame {
            code: CloseCode::from(reason.code()),
            reason: Utf8Bytes::from_static(reason.as_str()),
        };
        within(self.0.close(Some(frame))).await?;
        // Whatever it still says is not read any more.
        while let Some(Ok(_)) = self.0.next().await {}
        Ok(())
    }
}

impl<S> fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Socket")
    }
}

async fn within(sending: impl Future<Output = Result<(), Error>>) -> Result<(), Unsent> {
    match timeout(WRITE_DEADLINE, sending).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Unsent::Gone),
        Err(_) => Err(Unsent::TooSlow),
    }
}
