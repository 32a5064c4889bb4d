//! The end of a connection: counted, logged, and where anybody listens said.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::message::{ErrorMessage, Goaway, ServerMessage};
use tokio::io::AsyncRead;
use tokio::time::timeout;
use tracing::{debug, info};

use super::End;
use crate::limits::{CLOSE_DEADLINE, GOAWAY_SPREAD};
use crate::serve::Serving;
use crate::websocket::{Outgoing, Outlet, Reader, frame};

/// What is left to say.
pub(super) struct Words {
    last: Option<ServerMessage>,
    close: Bytes,
}

impl Words {
    /// Counts and logs an end. `server` is whose; `told_to_go` whether it knows when to come back.
    pub(super) fn of(serving: &Serving, server: &str, end: End, told_to_go: bool) -> Option<Self> {
        let closed = &serving.metrics.servers.closed;
        let (reason, message) = match end {
            End::Left => {
                closed.with_label_values(&["left"]).inc();
                debug!(server, "game server left");
                return None;
            }
            End::Dead => {
                let reason = CloseReason::TimedOut.as_str();
                closed.with_label_values(&[reason]).inc();
                info!(server, reason, "game server closed: it takes nothing");
                return None;
            }
            End::Goodbye(code) => {
                closed.with_label_values(&["left"]).inc();
                debug!(server, code, "game server left");
                return Some(Self {
                    last: None,
                    close: frame::close(code, ""),
                });
            }
            End::Close(reason, message) => (reason, message),
        };
        closed.with_label_values(&[reason.as_str()]).inc();
        info!(
            server,
            reason = reason.as_str(),
            message,
            "game server closed"
        );
        let last = match reason {
            CloseReason::GoingAway => {
                (!told_to_go).then(|| goaway(GOAWAY_SPREAD.mul_f64(rand::random())))
            }
            _ => Some(ServerMessage::Error(ErrorMessage {
                code: reason.as_str().to_owned(),
                message,
            })),
        };
        let close = frame::close(Some(reason.code()), reason.as_str());
        Some(Self { last, close })
    }
}

/// Asks to come back after so long.
pub(super) fn goaway(after: Duration) -> ServerMessage {
    ServerMessage::Goaway(Goaway {
        reconnect_after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
    })
}

/// Says them, after what has been begun, and closes. Whether it was heard or not, the connection ends here.
pub(super) async fn say<R: AsyncRead + Unpin>(
    words: Words,
    reader: &mut Reader<R>,
    mut outgoing: Outgoing,
    outlet: &dyn Outlet,
) {
    let said = async {
        if let Some(text) = words.last.and_then(|last| last.print().ok()) {
            send(&mut outgoing, outlet, frame::text(&text)).await?;
        }
        send(&mut outgoing, outlet, words.close).await?;
        poll_fn(|cx| outgoing.poll_flush(outlet, cx)).await?;
        outlet.hang_up();
        // A moment for the answer: a socket closed with something unread loses what was just sent.
        reader.drain().await;
        io::Result::Ok(())
    };
    let _ = timeout(CLOSE_DEADLINE, said).await;
}

async fn send(outgoing: &mut Outgoing, outlet: &dyn Outlet, frame: Bytes) -> io::Result<()> {
    poll_fn(|cx| outgoing.poll_flush(outlet, cx)).await?;
    outgoing.send(outlet, frame)
}
