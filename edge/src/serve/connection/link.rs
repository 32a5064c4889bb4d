//! What a game server's own task and the shard that serves it share: its cursor, and what it has not taken yet.
//!
//! A game server that lacks nothing is *current*: a shard writes the next change to it. Otherwise it is *busy*: its own
//! task brings it on, and makes it current under the same lock under which it found nothing lacking, so that no change
//! falls between the two. Locked for a write that does not wait at most, and never across an await.

mod notices;
mod offer;

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use liveevents_protocol::id::TokenId;
use liveevents_protocol::message::{
    ClientAck, ClientNack, Contact, Cursor, Level, ServerMessage, TokenTime,
};
use liveevents_service::token::Claims;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::greeting::Entry;
use super::{End, farewell};
use crate::delivery::Receiver;
use crate::replica::{Published, Region, Selection, Step};
use crate::serve::watch::Mark;
use crate::websocket::{Outgoing, Outlet, Written, frame};

pub(in crate::serve) use notices::Noticed;
pub(in crate::serve) use offer::{Look, Offer};

/// See the module.
///
/// Thousands are gone through for each change, and what costs is to fetch them from memory: what that looks at lies
/// together, at the front.
#[repr(C)]
pub(in crate::serve) struct Link<O: ?Sized = dyn Outlet> {
    selection: Selection,
    level: Level,
    state: Mutex<State>,
    region: Arc<Region>,
    receiver: Receiver,
    outlet: O,
}

#[repr(C)]
struct State {
    busy: bool,
    /// The last write found no room at all, and left nothing behind: what is next is chosen when there is some.
    full: bool,
    /// Whether it is ahead and has been told.
    told_ahead: bool,
    /// Up to where nothing is lacking: beyond `held` where there was nothing for it since.
    reached: Option<Cursor>,
    /// What the game server was sent last, or says that it holds.
    held: Option<Cursor>,
    outgoing: Outgoing,
    /// The last notice that it was sent, or was not to be sent.
    noticed: u64,
    /// At level Watch: as of what all its players have been told.
    watched: Option<Mark>,
    task: Waker,
    /// Since when something waits for room.
    blocked: Option<Instant>,
    pinged: Instant,
    unanswered: u8,
    goaway: Word<Duration>,
    token: TokenId,
    expires_at: Timestamp,
    expiring: Word<()>,
    /// Whether it was told that this edge has not heard its origin for too long.
    stale: bool,
    contact: Word<()>,
    end: Option<Box<End>>,
}

/// Something that is said once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word<T> {
    Unsaid,
    Due(T),
    Said,
}

/// What its own task is to do for a game server.
pub(in crate::serve) enum Lack {
    /// Bring it on.
    Step(Arc<Published>, Step),
    /// Tell what has begun or ended.
    Notices(Arc<Published>),
    /// Tell its players; with how often the clock has switched something.
    Players(Arc<Published>, u64),
    /// Say this.
    Word(Box<ServerMessage>),
}

impl<O: Outlet> Link<O> {
    /// A game server that has said hello, busy.
    pub(super) fn open(entry: Entry, claims: &Claims, outlet: O, outgoing: Outgoing) -> Arc<Link> {
        let state = State {
            outgoing,
            full: false,
            busy: true,
            held: entry.position,
            reached: None,
            told_ahead: false,
            noticed: entry.region.notices().latest(),
            watched: None,
            task: Waker::noop().clone(),
            blocked: None,
            pinged: Instant::now(),
            unanswered: 0,
            goaway: Word::Unsaid,
            token: claims.id,
            expires_at: claims.expires_at,
            expiring: Word::Unsaid,
            stale: false,
            contact: Word::Unsaid,
            end: None,
        };
        Arc::new(Self {
            region: entry.region,
            level: entry.level,
            selection: entry.selection,
            receiver: entry.receiver,
            state: Mutex::new(state),
            outlet,
        })
    }
}

impl Link {
    pub(in crate::serve) fn region(&self) -> &Arc<Region> {
        &self.region
    }

    pub(in crate::serve) fn selection(&self) -> &Selection {
        &self.selection
    }
}

/// For its own task.
impl Link {
    /// Ready when nothing waits to be sent. From then on it is busy.
    pub(super) fn poll_clear(&self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let mut state = self.state.lock();
        state.task.clone_from(cx.waker());
        if let Some(end) = state.end.take() {
            return Poll::Ready(Err(*end));
        }
        match state.poll_clear(&self.outlet, cx) {
            Poll::Ready(Ok(())) => {
                state.blocked = None;
                state.busy = true;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(_)) => Poll::Ready(Err(End::Left)),
            Poll::Pending => {
                state.blocked.get_or_insert_with(Instant::now);
                Poll::Pending
            }
        }
    }

    /// What is to be done for it; with nothing lacking it is current from now on.
    pub(super) fn lack(&self, now: Timestamp) -> Option<Lack> {
        let mut state = self.state.lock();
        if let Some(word) = state.word(&self.region, now) {
            return Some(Lack::Word(Box::new(word)));
        }
        let lack = self
            .region
            .load()
            .and_then(|published| match state.step(&published) {
                Step::Ahead if state.told_ahead => None,
                step @ Step::Ahead => Some(Lack::Step(published, step)),
                _ if self.level == Level::Watch => {
                    let switches = self.region.switches();
                    let news = state.watched != Some(Mark::of(&published, switches));
                    news.then_some(Lack::Players(published, switches))
                }
                Step::Current => {
                    let news = self.region.notices().latest() > state.noticed;
                    news.then_some(Lack::Notices(published))
                }
                step => Some(Lack::Step(published, step)),
            });
        state.busy = lack.is_some();
        lack
    }

    /// Sends a frame, while busy and with nothing waiting.
    pub(super) fn send(&self, frame: Bytes) -> Result<(), End> {
        let sent = self.state.lock().outgoing.send(&self.outlet, frame);
        sent.map_err(|_| End::Left)
    }

    /// Sends the frame that brings it to `to`, while busy and with nothing waiting. If there is no room at all it stays
    /// where it is: when there is some, there may be something newer. Says whether it was sent.
    pub(super) fn bring_on(&self, frame: &Bytes, to: Cursor) -> Result<bool, End> {
        let mut state = self.state.lock();
        match state.outgoing.write(&self.outlet, frame) {
            Ok(Written::Whole | Written::Part) => {
                state.has(to);
                Ok(true)
            }
            Ok(Written::Nothing) => {
                state.full = true;
                Ok(false)
            }
            Err(_) => Err(End::Left),
        }
    }

    /// There was nothing for it up to `to`.
    pub(super) fn spare(&self, to: Cursor) {
        let from = self.state.lock().spare(to);
        self.cover(from, to);
    }

    /// What it holds, as far as is known.
    pub(super) fn held(&self) -> Option<Cursor> {
        self.state.lock().held
    }

    /// It has all up to `to`.
    pub(super) fn has(&self, to: Cursor) {
        self.state.lock().has(to);
    }

    /// It is ahead, and is told so. Gives where it is.
    pub(super) fn told_ahead(&self) -> Option<Cursor> {
        let mut state = self.state.lock();
        state.told_ahead = true;
        state.reached.or(state.held)
    }

    /// All its players have been told as of this.
    pub(super) fn has_told(&self, mark: Mark) {
        self.state.lock().watched = Some(mark);
    }

    /// It has said something new of its players.
    pub(super) fn has_named(&self) {
        self.state.lock().watched = None;
    }

    /// Its own task waits; a shard may wake it and ask whether it is there.
    pub(super) fn rests(&self) {
        self.state.lock().busy = false;
    }

    /// It has given a sign of life.
    pub(super) fn alive(&self) {
        self.state.lock().unanswered = 0;
    }

    /// Answers a ping, now or after what waits.
    pub(super) fn pong(&self, payload: &[u8]) -> Result<(), End> {
        let pong = frame::pong(payload);
        let sent = self.state.lock().outgoing.pong(&self.outlet, pong);
        sent.map_err(|_| End::Left)
    }

    pub(super) fn ack(&self, ack: &ClientAck, now: Timestamp) {
        self.receiver.ack(ack, now);
    }

    pub(super) fn nack(&self, nack: &ClientNack) {
        self.receiver.nack(nack);
    }

    /// It has a newer token.
    pub(super) fn renew(&self, claims: &Claims) {
        let mut state = self.state.lock();
        (state.token, state.expires_at) = (claims.id, claims.expires_at);
        state.expiring = Word::Unsaid;
    }

    /// What is left to be said, once no shard knows it any more; and whether it has been told to go.
    pub(super) fn last_words(&self) -> (Outgoing, bool) {
        let mut state = self.state.lock();
        state.busy = true;
        let told = state.goaway == Word::Said;
        (std::mem::take(&mut state.outgoing), told)
    }

    pub(super) fn outlet(&self) -> &dyn Outlet {
        &self.outlet
    }

    fn cover(&self, from: Option<Cursor>, to: Cursor) {
        if let Some(from) = from {
            self.receiver.covers(from, to);
        }
    }
}

impl State {
    fn step(&self, published: &Published) -> Step {
        if self.reached == Some(published.cursor()) {
            return Step::Current;
        }
        published.step(self.held)
    }

    fn has(&mut self, to: Cursor) {
        (self.held, self.reached) = (Some(to), Some(to));
        self.told_ahead = false;
    }

    /// Whether a shard may write to it. An answer to a ping may wait although its own task is not busy.
    fn is_free(&self) -> bool {
        !self.busy && self.outgoing.is_clear()
    }

    /// From where on it was spared.
    fn spare(&mut self, to: Cursor) -> Option<Cursor> {
        let from = self.reached.or(self.held);
        self.reached = Some(to);
        self.told_ahead = false;
        from
    }

    fn poll_clear(&mut self, outlet: &dyn Outlet, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.full {
            ready!(outlet.poll_writable(cx))?;
            self.full = false;
        }
        self.outgoing.poll_flush(outlet, cx)
    }

    /// What is to be said before anything else.
    fn word(&mut self, region: &Region, now: Timestamp) -> Option<ServerMessage> {
        if let Word::Due(after) = self.goaway {
            self.goaway = Word::Said;
            return Some(farewell::goaway(after));
        }
        if self.expiring == Word::Due(()) {
            self.expiring = Word::Said;
            let expires_at = self.expires_at;
            return Some(ServerMessage::TokenExpiring(TokenTime { expires_at }));
        }
        if self.contact == Word::Due(()) {
            self.contact = Word::Said;
            return Some(ServerMessage::Contact(Contact {
                contact_at: region.contact(),
                stale: self.stale,
                time: now,
            }));
        }
        None
    }

    fn ping(&mut self, outlet: &dyn Outlet, now: Instant) {
        self.pinged = now;
        self.unanswered += 1;
        match self.outgoing.send(outlet, frame::ping()) {
            Ok(()) if self.outgoing.is_clear() => {}
            Ok(()) => self.wake(),
            Err(_) => self.end(End::Left),
        }
    }

    fn end(&mut self, end: End) {
        self.end.get_or_insert(Box::new(end));
        self.wake();
    }

    /// Its own task sees to it from here.
    fn wake(&mut self) {
        self.busy = true;
        self.task.wake_by_ref();
    }
}
