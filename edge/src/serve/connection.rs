//! One game server's connection, from hello to close: one task that reads what it says and brings it on.
//!
//! There is no queue to a game server, but a cursor: whenever it is behind what is published it is sent the difference,
//! in a text shared with everybody at the same place. To one that lacks nothing but the newest change a shard writes
//! ([`super::shard`]); everything else is done here: the rest of what a socket did not take, who is further behind, who
//! is ahead, and all answers. A receiver that takes its time skips what it missed and ends current, and costs nobody
//! anything.
//!
//! A receiver ahead of this edge came from another edge that is further on. It is told so and left alone until this
//! edge has passed it; Redis is looked into on its behalf.
//!
//! The future of an idle connection is its memory: what is rare is boxed, and there are no timers in it, since the shard
//! looks after every connection once a second.

mod farewell;
mod greeting;
mod link;
mod players;
mod rate;
mod reports;
mod supply;

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::limits::ACK_INTERVAL;
use liveevents_protocol::message::{
    ClientMessage, MessageError, RefusedMessage, Renewal, ServerMessage, TokenTime, Welcome,
};
use liveevents_service::token::Claims;
use tokio::io::AsyncRead;
use tokio::task::yield_now;
use tokio::time::Instant;
use tracing::warn;

use super::Serving;
use super::registry::Place;
use super::shard::Seat;
use crate::websocket::{Event, Lost, Outgoing, Outlet, Reader, Violation, frame};

use farewell::Words;
use players::Players;
use rate::Rate;
use reports::Reporting;
use supply::Pieces;

pub(super) use link::{Lack, Link, Look, Noticed, Offer};

/// What this edge understands beyond the protocol's first version; in hellos the game server's.
const CAPABILITIES: [&str; 6] = ["filter", "pieces", "renewal", "watch", "query", "reports"];

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum End {
    /// The game server left, or was lost.
    Left,
    /// It took nothing for too long. Half a message may be on its way, so nothing more can be said.
    Dead,
    /// It said that it leaves, with a code.
    Goodbye(Option<u16>),
    /// This edge closes it. The words are for whoever reads the game server's log.
    Close(CloseReason, String),
}

impl From<Lost> for End {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Gone => Self::Left,
            Lost::Broken(violation @ Violation::TooLong { .. }) => {
                Self::Close(CloseReason::TooLarge, violation.to_string())
            }
            Lost::Broken(violation) => malformed(violation),
        }
    }
}

impl From<MessageError> for End {
    fn from(error: MessageError) -> Self {
        warn!(%error, "a message cannot be printed");
        Self::Close(CloseReason::Internal, "a fault on this side".to_owned())
    }
}

fn malformed(what: impl ToString) -> End {
    End::Close(CloseReason::Malformed, what.to_string())
}

fn binary() -> End {
    malformed("binary messages are not part of the protocol")
}

fn going_away() -> End {
    let message = "this edge is shutting down".to_owned();
    End::Close(CloseReason::GoingAway, message)
}

fn parse(serving: &Serving, text: &str) -> Result<ClientMessage, End> {
    let message = ClientMessage::parse(text).map_err(malformed)?;
    let received = &serving.metrics.servers.received;
    received.with_label_values(&[message.kind()]).inc();
    Ok(message)
}

/// Serves a game server until one of the two has had enough. What begins and ends a connection is boxed, and gone while
/// it lasts.
pub(super) fn serve<R, O>(
    serving: Serving,
    reader: Reader<R>,
    outlet: O,
    claims: Arc<Claims>,
    place: Place,
) -> impl Future<Output = ()> + Send
where
    R: AsyncRead + Unpin + Send,
    O: Outlet,
{
    let opening = Box::pin(open(serving, reader, outlet, claims, place));
    async move {
        if let Some(mut connection) = opening.await {
            let Err(end) = connection.serve().await;
            Box::pin(connection.close(end)).await;
        }
    }
}

/// Greets a game server. `None` if there is none to be served.
async fn open<R, O>(
    serving: Serving,
    mut reader: Reader<R>,
    outlet: O,
    claims: Arc<Claims>,
    place: Place,
) -> Option<Box<Connection<R>>>
where
    R: AsyncRead + Unpin,
    O: Outlet,
{
    serving.metrics.servers.opened.inc();
    let mut outgoing = Outgoing::default();
    let greeting = greeting::greet(&serving, &mut reader, &mut outgoing, &outlet, &claims);
    let entry = match greeting.await {
        Ok(entry) => entry,
        Err(end) => {
            let words = Words::of(&serving, &claims.subject, end, false)?;
            farewell::say(words, &mut reader, outgoing, &outlet).await;
            return None;
        }
    };
    let players = Players::new(&serving, &entry);
    let link = Link::open(entry, &claims, outlet, outgoing);
    Some(Box::new(Connection {
        seat: serving.shards.seat(&link),
        serving,
        reader,
        link,
        claims,
        place,
        rate: Rate::new(Instant::now()),
        reply: None,
        pieces: None,
        players,
        reporting: None,
    }))
}

/// A greeted game server, as its own task knows it.
struct Connection<R> {
    serving: Serving,
    reader: Reader<R>,
    link: Arc<Link>,
    seat: Option<Seat>,
    claims: Arc<Claims>,
    place: Place,
    rate: Rate,
    /// The answer to what it said last. Nothing more is heard before that is sent.
    reply: Option<Bytes>,
    /// What is left of a snapshot.
    pieces: Option<Box<Pieces>>,
    /// What it has said of its players.
    players: Players,
    /// The reports that it sends.
    reporting: Option<Box<Reporting>>,
}

/// What a connection's task is to do next.
enum Due {
    Hear(Event),
    Supply(Lack),
    /// To look again.
    Next,
    /// To look again once others have had their turn.
    Pause,
}

impl<R: AsyncRead + Unpin> Connection<R> {
    async fn serve(&mut self) -> Result<Infallible, End> {
        self.reply = Some(self.welcome()?);
        loop {
            match poll_fn(|cx| self.poll(cx)).await? {
                Due::Hear(event) => {
                    self.hear(event)?;
                    if let Some(query) = self.players.query() {
                        Box::pin(self.answer_query(query)).await?;
                    }
                }
                Due::Supply(lack) => Box::pin(self.supply(lack)).await?,
                Due::Next => {}
                Due::Pause => yield_now().await,
            }
        }
    }

    async fn close(mut self: Box<Self>, end: End) {
        // No shard writes to it any more.
        self.seat = None;
        let (outgoing, told_to_go) = self.link.last_words();
        let words = Words::of(&self.serving, &self.claims.subject, end, told_to_go);
        if let Some(words) = words {
            farewell::say(words, &mut self.reader, outgoing, self.link.outlet()).await;
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Due, End>> {
        if self.reply.is_none()
            && let Poll::Ready(said) = self.poll_reports(cx)
        {
            self.answer(&said)?;
        }
        if self.reply.is_none()
            && let Poll::Ready(event) = self.reader.poll_next(cx)
        {
            return Poll::Ready(Ok(Due::Hear(event?)));
        }
        ready!(self.link.poll_clear(cx))?;
        if let Some(reply) = self.reply.take() {
            self.link.send(reply)?;
            return Poll::Ready(Ok(Due::Next));
        }
        if self.pieces.is_some() {
            self.send_piece()?;
            return Poll::Ready(Ok(Due::Pause));
        }
        match self.link.lack(self.serving.clock.now()) {
            Some(Lack::Players(..)) if self.players.poll_pause(cx).is_pending() => {
                self.link.rests();
                Poll::Pending
            }
            Some(lack) => Poll::Ready(Ok(Due::Supply(lack))),
            None => Poll::Pending,
        }
    }

    fn hear(&mut self, event: Event) -> Result<(), End> {
        self.link.alive();
        if !self.rate.admits(Instant::now()) {
            let message = "more messages than may come in the time".to_owned();
            return Err(End::Close(CloseReason::RateLimited, message));
        }
        match event {
            Event::Text(text) => self.take(&text),
            Event::Ping(payload) => self.link.pong(&payload),
            Event::Pong => Ok(()),
            Event::Binary(_) => Err(binary()),
            Event::Close(code) => Err(End::Goodbye(code)),
        }
    }

    fn take(&mut self, text: &str) -> Result<(), End> {
        match parse(&self.serving, text)? {
            ClientMessage::Ack(ack) => self.link.ack(&ack, self.serving.clock.now()),
            ClientMessage::Nack(nack) => self.link.nack(&nack),
            ClientMessage::Token(renewal) => self.renew(&renewal)?,
            ClientMessage::Watch(players) => self.watch(players)?,
            ClientMessage::Unwatch(players) => self.unwatch(&players)?,
            ClientMessage::Query(query) => self.ask(query)?,
            ClientMessage::Reports(batch) => self.report(batch)?,
            ClientMessage::Hello(_) => return Err(malformed("hello has been said already")),
            ClientMessage::Unknown => {}
        }
        Ok(())
    }

    /// Takes a newer token of the same bearer.
    fn renew(&mut self, renewal: &Renewal) -> Result<(), End> {
        let claims = match self.serving.authority.verify(&renewal.token) {
            Ok(claims) => claims,
            Err(error) => return self.refuse("token", Some("token"), error.reason()),
        };
        let same = claims.subject == self.claims.subject && claims.role == self.claims.role;
        if !same || !claims.covers(self.link.region().id()) {
            let message = "must be of the same subject and role, and cover the region";
            return self.refuse("token", Some("token"), message);
        }
        let expires_at = claims.expires_at;
        self.place.renew(claims.id);
        self.link.renew(&claims);
        self.claims = claims;
        self.answer(&ServerMessage::TokenRenewed(TokenTime { expires_at }))
    }

    fn refuse(&mut self, about: &str, field: Option<&str>, message: &str) -> Result<(), End> {
        self.answer(&ServerMessage::Refused(RefusedMessage {
            about: about.to_owned(),
            id: None,
            field: field.map(str::to_owned),
            message: message.to_owned(),
        }))
    }

    fn answer(&mut self, message: &ServerMessage) -> Result<(), End> {
        self.reply = Some(self.frame(message)?);
        Ok(())
    }

    fn welcome(&self) -> Result<Bytes, End> {
        let region = self.link.region();
        self.frame(&ServerMessage::Welcome(Welcome {
            edge: self.serving.edge.clone(),
            installation: self.serving.installation.clone(),
            region: region.id().clone(),
            time: self.serving.clock.now(),
            position: region.load().map(|published| published.cursor()),
            contact_at: region.contact(),
            ack_interval_ms: u64::try_from(ACK_INTERVAL.as_millis()).unwrap_or(u64::MAX),
            token_expires_at: Some(self.claims.expires_at),
            capabilities: CAPABILITIES.map(str::to_owned).into(),
        }))
    }

    /// A message to this game server alone, counted.
    fn frame(&self, message: &ServerMessage) -> Result<Bytes, End> {
        let frame = frame::text(&message.print()?);
        self.count(message.kind(), frame.len());
        Ok(frame)
    }

    fn count(&self, kind: &str, size: usize) {
        let servers = &self.serving.metrics.servers;
        servers.sent.with_label_values(&[kind]).inc();
        servers.sent_bytes.inc_by(size as u64);
    }
}

#[cfg(test)]
mod tests;
