//! What a shard does for a game server: writes the change that it lacks, and sees to what is a matter of time.

use std::time::Duration;

use jiff::Timestamp;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::message::{Cursor, Level};
use liveevents_protocol::version::Version;
use liveevents_service::http::Authority;
use tokio::time::Instant;

use super::{Link, Noticed, State, Word};
use crate::limits::{MISSED_PINGS, PING_INTERVAL, TOKEN_WARNING, WRITE_DEADLINE};
use crate::replica::{Step, Told};
use crate::serve::connection::{End, going_away};
use crate::serve::shard::Pass;
use crate::serve::watch::Mark;
use crate::websocket::Written;

/// What came of offering a change.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::serve) enum Offer {
    /// So many bytes are written, or are its own task's to write.
    Taken(usize),
    /// Nothing of it is for this game server.
    Spared,
    /// Only notices.
    Noticed(Noticed),
    /// What changed since its version has to be told first.
    Wants(Version),
    /// It is current already, or its own task sees to it.
    Left,
}

/// What a shard knows when it looks after its game servers.
#[derive(Clone, Copy)]
pub(in crate::serve) struct Look<'a> {
    pub(in crate::serve) now: Instant,
    pub(in crate::serve) time: Timestamp,
    pub(in crate::serve) authority: &'a Authority,
    /// Whether the origin has not been heard for too long.
    pub(in crate::serve) stale: bool,
    /// Over how long goodbyes are spread, once this edge drains.
    pub(in crate::serve) goodbyes: Option<Duration>,
    /// Whether who has not left by now has to go.
    pub(in crate::serve) over: bool,
}

impl Link {
    /// Fetches what [`Self::offer`] will look at from memory.
    pub(in crate::serve) fn fetch(&self) {
        std::hint::black_box(self.state.is_locked());
        self.outlet.fetch();
    }

    /// Writes what it lacks, if that is told already and it waits for nothing else.
    pub(in crate::serve) fn offer(&self, pass: &Pass) -> Offer {
        let published = &*pass.published;
        let mut state = self.state.lock();
        if state.busy {
            return Offer::Left;
        }
        let from = match state.step(published) {
            Step::Ahead if state.told_ahead => return Offer::Left,
            Step::Ahead => {
                state.wake();
                return Offer::Left;
            }
            _ if self.level == Level::Watch => {
                if state.watched != Some(Mark::of(published, self.region.switches())) {
                    state.wake();
                }
                return Offer::Left;
            }
            Step::Delta(from) => from,
            Step::Current if pass.notice == state.noticed => return Offer::Left,
            Step::Current => return Offer::Noticed(self.notify(&mut state, published)),
            Step::Snapshot => {
                state.wake();
                return Offer::Left;
            }
        };
        let to = published.cursor();
        match pass.find(from, &self.selection) {
            None => Offer::Wants(from),
            Some(Told::Everything) => {
                state.wake();
                Offer::Left
            }
            Some(Told::Nothing) => {
                let from = state.spare(to);
                drop(state);
                self.cover(from, to);
                Offer::Spared
            }
            Some(Told::Frame(frame)) => match state.outgoing.write(&self.outlet, frame) {
                Ok(Written::Whole) => {
                    state.has(to);
                    if pass.notice > state.noticed {
                        state.wake();
                    }
                    Offer::Taken(frame.len())
                }
                Ok(Written::Part) => {
                    state.has(to);
                    state.wake();
                    Offer::Taken(frame.len())
                }
                Ok(Written::Nothing) => {
                    state.full = true;
                    state.wake();
                    Offer::Left
                }
                Err(_) => {
                    state.end(End::Left);
                    Offer::Left
                }
            },
        }
    }

    /// Lets its own task look what it lacks.
    pub(in crate::serve) fn wake(&self) {
        self.state.lock().wake();
    }

    /// Sees to all that is a matter of time. Says where it is, if it waits for this edge to pass it.
    pub(in crate::serve) fn look_after(&self, look: &Look<'_>) -> Option<Cursor> {
        let mut state = self.state.lock();
        if let Some(end) = state.overdue(look) {
            state.end(end);
        } else if state.is_free() && look.since(state.pinged) >= PING_INTERVAL {
            state.ping(&self.outlet, look.now);
        }
        if let (Some(spread), Word::Unsaid) = (look.goodbyes, state.goaway) {
            state.goaway = Word::Due(spread.mul_f64(rand::random()));
            state.wake();
        }
        if state.expiring == Word::Unsaid
            && state.expires_at.duration_since(look.time) <= TOKEN_WARNING
        {
            state.expiring = Word::Due(());
            state.wake();
        }
        if state.stale != look.stale {
            state.stale = look.stale;
            state.contact = Word::Due(());
            state.wake();
        }
        state.reached.or(state.held).filter(|_| state.told_ahead)
    }
}

impl Look<'_> {
    fn since(&self, then: Instant) -> Duration {
        self.now.saturating_duration_since(then)
    }
}

impl State {
    /// Why it cannot stay.
    fn overdue(&self, look: &Look<'_>) -> Option<End> {
        let blocked = self.blocked.map(|then| look.since(then));
        if look.over {
            Some(going_away())
        } else if blocked.is_some_and(|blocked| blocked >= WRITE_DEADLINE) {
            Some(End::Dead)
        } else if look.authority.is_revoked(self.token) {
            let message = "the token was revoked".to_owned();
            Some(End::Close(CloseReason::TokenRevoked, message))
        } else if self.unanswered >= MISSED_PINGS && look.since(self.pinged) >= PING_INTERVAL {
            let message = format!("no sign of life for {MISSED_PINGS} pings");
            Some(End::Close(CloseReason::TimedOut, message))
        } else {
            None
        }
    }
}
