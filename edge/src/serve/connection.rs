//! One game server's connection: one task with a cursor, from hello to close.
//!
//! The cursor is the version sent last. Whenever it is behind what is published, the difference is sent: the text of
//! the one change, or a merged one, or the snapshot, shared with everybody at the same place. There is no queue: a
//! receiver that takes its time skips what it missed and ends current, and costs nobody anything. What it says is read
//! between two messages to it.
//!
//! A receiver ahead of this edge came from another edge that is further on. It is told so and left alone until this
//! edge has passed it; Redis is looked into on its behalf.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::limits::HELLO_DEADLINE;
use liveevents_protocol::message::{
    Ahead, ClientHello, ClientMessage, Cursor, ErrorMessage, Goaway, MessageError, ServerMessage,
    Welcome,
};
use liveevents_service::token::Claims;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep, timeout};
use tracing::{debug, info, warn};

use super::Serving;
use super::registry::{Entry, Place};
use super::socket::{Incoming, Line, Socket, Unsent};
use crate::limits::{CLOSE_DEADLINE, GOAWAY_SPREAD, LOOK_INTERVAL, MISSED_PINGS, PING_INTERVAL};
use crate::replica::{Published, Region, Step};

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The game server left, or was lost.
    Left,
    /// It took nothing for too long. Half a message may be on its way, so nothing more can be said.
    Dead,
    /// This edge closes it. The words are for whoever reads the game server's log.
    Close(CloseReason, String),
}

impl From<Unsent> for End {
    fn from(unsent: Unsent) -> Self {
        match unsent {
            Unsent::Gone => Self::Left,
            Unsent::TooSlow => Self::Dead,
        }
    }
}

impl From<MessageError> for End {
    fn from(error: MessageError) -> Self {
        warn!(%error, "a message cannot be printed");
        Self::Close(CloseReason::Internal, "a fault on this side".to_owned())
    }
}

/// Serves a game server until one of the two has had enough.
pub(super) async fn serve<S: Line>(
    serving: Serving,
    mut socket: Socket<S>,
    claims: Claims,
    place: Place,
) {
    serving.metrics.servers.opened.inc();
    let end = match greet(&serving, &mut socket, &claims).await {
        Ok(hello) => {
            let entry = serving.registry.enter(&hello.region, place);
            match Connection::new(&serving, &mut socket, &hello, &entry) {
                Some(mut connection) => match connection.run().await {
                    Ok(never) => match never {},
                    Err(end) => end,
                },
                None => not_served(&hello),
            }
        }
        Err(end) => end,
    };
    let closed = &serving.metrics.servers.closed;
    let (reason, message) = match end {
        End::Left => {
            closed.with_label_values(&["left"]).inc();
            return debug!("game server left");
        }
        End::Dead => {
            let reason = CloseReason::TimedOut.as_str();
            closed.with_label_values(&[reason]).inc();
            return info!(reason, "game server closed: it takes nothing");
        }
        End::Close(reason, message) => (reason, message),
    };
    closed.with_label_values(&[reason.as_str()]).inc();
    info!(reason = reason.as_str(), message, "game server closed");
    // Whether it was heard or not, the connection ends here.
    let _ = timeout(CLOSE_DEADLINE, farewell(socket, reason, message)).await;
}

/// The last message, the close, and a moment for its answer: a socket closed with something unread loses what was just
/// sent.
async fn farewell<S: Line>(
    mut socket: Socket<S>,
    reason: CloseReason,
    message: String,
) -> Result<(), Unsent> {
    let last = match reason {
        CloseReason::GoingAway => goaway(),
        _ => ServerMessage::Error(ErrorMessage {
            code: reason.as_str().to_owned(),
            message,
        }),
    };
    if let Ok(text) = last.print() {
        socket.send(text.into()).await?;
    }
    socket.close(reason).await
}

fn goaway() -> ServerMessage {
    let spread = GOAWAY_SPREAD.mul_f64(rand::random());
    ServerMessage::Goaway(Goaway {
        reconnect_after_ms: u64::try_from(spread.as_millis()).unwrap_or(u64::MAX),
    })
}

fn not_served(hello: &ClientHello) -> End {
    let message = format!("region: this edge does not serve {}", hello.region);
    End::Close(CloseReason::RegionNotServed, message)
}

/// Waits for the hello, and judges it.
async fn greet<S: Line>(
    serving: &Serving,
    socket: &mut Socket<S>,
    claims: &Claims,
) -> Result<ClientHello, End> {
    let first = timeout(HELLO_DEADLINE, first_text(socket));
    let text = tokio::select! {
        () = serving.goodbye.cancelled() => return Err(going_away()),
        text = first => text.map_err(|_| {
            End::Close(CloseReason::TimedOut, "no hello in time".to_owned())
        })??,
    };
    let hello = match parse(serving, &text)? {
        ClientMessage::Hello(hello) => hello,
        ClientMessage::Ack(_) | ClientMessage::Unknown => {
            return Err(malformed("the first message must be a hello"));
        }
    };
    if !claims.covers(&hello.region) {
        let message = format!("region: the token does not cover {}", hello.region);
        return Err(End::Close(CloseReason::RegionNotAllowed, message));
    }
    if serving.replica.region(&hello.region).is_none() {
        return Err(not_served(&hello));
    }
    Ok(hello)
}

async fn first_text<S: Line>(socket: &mut Socket<S>) -> Result<String, End> {
    loop {
        match socket.next().await {
            Incoming::Text(text) => return Ok(text.as_str().to_owned()),
            Incoming::Life => {}
            Incoming::Closed => return Err(End::Left),
            Incoming::Bad(reason, message) => return Err(End::Close(reason, message)),
        }
    }
}

fn parse(serving: &Serving, text: &str) -> Result<ClientMessage, End> {
    let message = ClientMessage::parse(text).map_err(malformed)?;
    let kind = match &message {
        ClientMessage::Hello(_) => "hello",
        ClientMessage::Ack(_) => "ack",
        ClientMessage::Unknown => "unknown",
    };
    serving
        .metrics
        .servers
        .received
        .with_label_values(&[kind])
        .inc();
    Ok(message)
}

fn malformed(what: impl ToString) -> End {
    End::Close(CloseReason::Malformed, what.to_string())
}

fn going_away() -> End {
    End::Close(
        CloseReason::GoingAway,
        "this edge is shutting down".to_owned(),
    )
}

/// A greeted game server.
struct Connection<'a, S> {
    serving: &'a Serving,
    socket: &'a mut Socket<S>,
    entry: &'a Entry,
    region: Arc<Region>,
    wake: watch::Receiver<()>,
    /// What it was sent last, or says that it holds.
    cursor: Option<Cursor>,
    /// Whether it is ahead and has been told.
    told_ahead: bool,
    pings: Interval,
    unanswered: u8,
}

/// What is to be sent now.
enum Due {
    Delta(Arc<Published>, liveevents_protocol::version::Version),
    Snapshot(Arc<Published>),
    Ahead(Arc<Published>),
}

impl<'a, S: Line> Connection<'a, S> {
    /// `None` if the region is not replicated here.
    fn new(
        serving: &'a Serving,
        socket: &'a mut Socket<S>,
        hello: &ClientHello,
        entry: &'a Entry,
    ) -> Option<Self> {
        let region = Arc::clone(serving.replica.region(&hello.region)?);
        let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Some(Self {
            wake: region.watch(),
            serving,
            socket,
            entry,
            region,
            cursor: hello.position,
            told_ahead: false,
            pings,
            unanswered: 0,
        })
    }

    async fn run(&mut self) -> Result<std::convert::Infallible, End> {
        self.welcome().await?;
        loop {
            let due = self.due();
            tokio::select! {
                biased;
                () = self.serving.goodbye.cancelled() => return Err(going_away()),
                incoming = self.socket.next() => {
                    self.receive(incoming)?;
                    continue;
                }
                _ = self.pings.tick() => {
                    self.ping().await?;
                    continue;
                }
                // Another edge may have written since the last look.
                () = sleep(LOOK_INTERVAL), if self.told_ahead => {
                    self.serving.cache.look(self.region.id());
                    continue;
                }
                // An error would mean that the region is gone, which this task holds.
                _ = self.wake.changed(), if due.is_none() => continue,
                () = std::future::ready(()), if due.is_some() => {}
            }
            if let Some(due) = due {
                Box::pin(self.bring_on(due)).await?;
            }
        }
    }

    /// What the receiver lacks. Marks the bell first: a change in between rings it again.
    fn due(&mut self) -> Option<Due> {
        self.wake.borrow_and_update();
        let published = self.region.load()?;
        match published.step(self.cursor) {
            Step::Current => None,
            Step::Delta(from) => Some(Due::Delta(published, from)),
            Step::Snapshot => Some(Due::Snapshot(published)),
            Step::Ahead if self.told_ahead => None,
            Step::Ahead => Some(Due::Ahead(published)),
        }
    }

    async fn bring_on(&mut self, due: Due) -> Result<(), End> {
        let now = self.now();
        let (kind, text, published) = match due {
            Due::Ahead(published) => {
                self.told_ahead = true;
                self.serving.cache.look(self.region.id());
                let Cursor { epoch, version } = published.cursor();
                let ahead = Ahead {
                    epoch,
                    version,
                    time: now,
                };
                return self.say("ahead", &ServerMessage::Ahead(ahead)).await;
            }
            Due::Delta(published, from) => ("delta", published.delta(from, now).await?, published),
            Due::Snapshot(published) => ("snapshot", published.snapshot(now).await?, published),
        };
        self.send(kind, text).await?;
        self.told_ahead = false;
        self.cursor = Some(published.cursor());
        Ok(())
    }

    fn receive(&mut self, incoming: Incoming) -> Result<(), End> {
        self.unanswered = 0;
        match incoming {
            Incoming::Life => Ok(()),
            Incoming::Closed => Err(End::Left),
            Incoming::Bad(reason, message) => Err(End::Close(reason, message)),
            Incoming::Text(text) => match parse(self.serving, &text)? {
                ClientMessage::Ack(ack) => {
                    self.entry.ack(&ack);
                    Ok(())
                }
                ClientMessage::Hello(_) => Err(malformed("hello has been said already")),
                ClientMessage::Unknown => Ok(()),
            },
        }
    }

    async fn ping(&mut self) -> Result<(), End> {
        if self.unanswered >= MISSED_PINGS {
            let message = format!("no sign of life for {MISSED_PINGS} pings");
            return Err(End::Close(CloseReason::TimedOut, message));
        }
        self.unanswered = self.unanswered.saturating_add(1);
        Ok(self.socket.ping().await?)
    }

    async fn welcome(&mut self) -> Result<(), End> {
        let welcome = Welcome {
            edge: self.serving.edge.clone(),
            installation: self.serving.installation.clone(),
            region: self.entry.region().clone(),
            time: self.now(),
        };
        self.say("welcome", &ServerMessage::Welcome(welcome)).await
    }

    async fn say(&mut self, kind: &str, message: &ServerMessage) -> Result<(), End> {
        self.send(kind, message.print()?.into()).await
    }

    async fn send(&mut self, kind: &str, text: Bytes) -> Result<(), End> {
        let servers = &self.serving.metrics.servers;
        servers.sent.with_label_values(&[kind]).inc();
        servers.sent_bytes.inc_by(text.len() as u64);
        Ok(self.socket.send(text).await?)
    }

    fn now(&self) -> Timestamp {
        self.serving.clock.now()
    }
}

#[cfg(test)]
mod tests;
