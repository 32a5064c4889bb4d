//! All sender sessions of this edge, between who reports and who tells the origin.

use std::collections::HashMap;
use std::sync::Arc;

use liveevents_protocol::engagement::{Cell, Currencies, SenderSession};
use liveevents_protocol::frame::Aggregate;
use liveevents_protocol::limits::MAX_BATCHES;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::sender::{Cells, Claim, Offered, Sender};
use crate::limits::{MAX_HELD, MAX_SENDERS, MAX_WEIGHT_SENT, SENDER_LIFE};

/// What the origin says of counting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    /// What players' names are hashed with.
    pub(crate) key: [u8; 32],
    /// What purchases are worth.
    pub(crate) currencies: Currencies,
}

/// How far a session has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Whether there is an origin that counts.
    pub(crate) connected: bool,
    /// Whether this edge may take its batches.
    pub(crate) claimed: bool,
    /// The last batch that was counted.
    pub(crate) counted: u64,
    /// How often what was taken had to be forgotten.
    pub(crate) forgotten: u64,
}

/// Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Book(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is something for the origin.
    bell: Notify,
}

#[derive(Default)]
struct State {
    rules: Option<Arc<Rules>>,
    senders: HashMap<SenderSession, Entry>,
    flight: Option<Flight>,
    last: u64,
    /// What is kept of all sessions, as of the last look, and what has come since.
    held: usize,
}

struct Entry {
    sender: Sender,
    progress: watch::Sender<Progress>,
    used: Instant,
}

struct Flight {
    id: u64,
    sessions: Vec<SenderSession>,
}

/// There is no room for another session.
#[derive(Debug)]
pub(crate) struct Crowded;

impl Book {
    /// A connection to an origin begins: what was under way may have been counted, and every session is to be claimed anew.
    pub(crate) fn begin(&self) {
        let mut state = self.0.state.lock();
        state.flight = None;
        for entry in state.senders.values_mut() {
            entry.sender.claim = Claim::Wanted;
            entry
                .progress
                .send_modify(|progress| progress.claimed = false);
        }
    }

    /// The origin counts, and by these rules.
    pub(crate) fn count_by(&self, rules: Rules) {
        let mut state = self.0.state.lock();
        state.rules = Some(Arc::new(rules));
        for entry in state.senders.values() {
            entry
                .progress
                .send_modify(|progress| progress.connected = true);
        }
        drop(state);
        self.0.bell.notify_one();
    }

    /// The connection is over: whoever waits is told so, and sends again later what may not be counted.
    pub(crate) fn end(&self) {
        let mut state = self.0.state.lock();
        state.rules = None;
        for entry in state.senders.values() {
            entry
                .progress
                .send_modify(|progress| progress.connected = false);
        }
    }

    /// The rules, while there is an origin that counts.
    pub(crate) fn rules(&self) -> Option<Arc<Rules>> {
        self.0.state.lock().rules.clone()
    }

    /// Returns when there may be something for the origin.
    pub(crate) async fn rings(&self) {
        self.0.bell.notified().await;
    }

    /// Follows a session, which is claimed if it was not.
    pub(crate) fn follow(
        &self,
        session: SenderSession,
    ) -> Result<watch::Receiver<Progress>, Crowded> {
        let mut state = self.0.state.lock();
        let now = Instant::now();
        if let Some(entry) = state.senders.get_mut(&session) {
            entry.used = now;
            return Ok(entry.progress.subscribe());
        }
        if state.senders.len() >= MAX_SENDERS {
            state
                .senders
                .retain(|_, entry| !entry.sender.is_idle() || entry.used.elapsed() < SENDER_LIFE);
        }
        if state.senders.len() >= MAX_SENDERS {
            return Err(Crowded);
        }
        let connected = state.rules.is_some();
        let (progress, follower) = watch::channel(Progress {
            connected,
            ..Progress::default()
        });
        let sender = Sender::new();
        state.senders.insert(
            session,
            Entry {
                sender,
                progress,
                used: now,
            },
        );
        drop(state);
        self.0.bell.notify_one();
        Ok(follower)
    }

    /// Takes a batch. `None` if the session is another edge's by now. Where one is missing before it, others may have
    /// counted that: the origin is asked again.
    pub(crate) fn offer(
        &self,
        session: SenderSession,
        batch: u64,
        reports: usize,
        cells: impl FnOnce() -> Cells,
    ) -> Option<Offered> {
        let mut state = self.0.state.lock();
        let crowded = state.held >= MAX_HELD;
        let entry = state.senders.get_mut(&session)?;
        entry.used = Instant::now();
        if crowded && batch > entry.sender.taken() {
            return Some(Offered::Full);
        }
        let before = entry.sender.weight();
        let offered = entry.sender.offer(batch, reports, cells);
        let more = entry.sender.weight().saturating_sub(before);
        let asks = matches!(offered, Offered::Gap { .. }) && entry.sender.doubt();
        if asks {
            entry
                .progress
                .send_modify(|progress| progress.claimed = false);
        }
        state.held = state.held.saturating_add(more);
        drop(state);
        if asks || offered == Offered::Taken {
            self.0.bell.notify_one();
        }
        Some(offered)
    }

    /// The sessions that the origin has to be told of, once each.
    pub(crate) fn claims(&self) -> Vec<SenderSession> {
        let mut state = self.0.state.lock();
        if state.rules.is_none() {
            return Vec::new();
        }
        let wanted = state
            .senders
            .iter_mut()
            .filter(|(_, entry)| entry.sender.claim == Claim::Wanted);
        let mut claims = Vec::new();
        for (session, entry) in wanted.take(MAX_BATCHES) {
            entry.sender.claim = Claim::Asked;
            claims.push(*session);
        }
        claims
    }

    /// The origin knows of these sessions, and which batch of each was counted last.
    pub(crate) fn claimed(&self, sessions: Vec<(SenderSession, u64)>) {
        let mut state = self.0.state.lock();
        for (session, counted) in sessions {
            if let Some(entry) = state.senders.get_mut(&session)
                && entry.sender.claim == Claim::Asked
            {
                let goes_on = entry.sender.claimed(counted);
                entry.progress.send_modify(|progress| {
                    progress.claimed = true;
                    progress.counted = counted;
                    progress.forgotten += u64::from(!goes_on);
                });
            }
        }
        drop(state);
        self.0.bell.notify_one();
    }

    /// Everything that can be told the origin now, if nothing is under way: of so many sessions as it has room for.
    pub(crate) fn aggregate(&self) -> Option<Aggregate> {
        let mut state = self.0.state.lock();
        let held = state.senders.values().map(|entry| entry.sender.weight());
        state.held = held.fold(0, usize::saturating_add);
        if state.flight.is_some() || state.rules.is_none() {
            return None;
        }
        let mut cells = Cells::new();
        let mut batches = Vec::new();
        let mut weight = 0;
        for (session, entry) in &mut state.senders {
            if batches.len() >= MAX_BATCHES || weight >= MAX_WEIGHT_SENT {
                break;
            }
            if let Some((upto, sent, more)) = entry.sender.send() {
                weight += more;
                batches.push((*session, upto));
                for (key, tally) in sent {
                    cells.entry(key.clone()).or_default().add(tally);
                }
            }
        }
        if batches.is_empty() {
            return None;
        }
        state.last += 1;
        let id = state.last;
        state.flight = Some(Flight {
            id,
            sessions: batches.iter().map(|(session, _)| *session).collect(),
        });
        let cells = cells.into_iter().map(|((place, second), tally)| Cell {
            place,
            second,
            tally,
        });
        Some(Aggregate {
            id,
            batches,
            cells: cells.collect(),
        })
    }

    /// What became of what was told: all of it counted, or none, since these sessions are other edges' by now.
    pub(crate) fn counted(&self, id: u64, refused: &[SenderSession]) {
        let mut state = self.0.state.lock();
        let Some(flight) = state.flight.take_if(|flight| flight.id == id) else {
            return;
        };
        for session in refused {
            // Whoever follows it hears of that by its end.
            state.senders.remove(session);
        }
        for session in flight.sessions {
            let Some(entry) = state.senders.get_mut(&session) else {
                continue;
            };
            if refused.is_empty() {
                entry.sender.sent();
                let counted = entry.sender.counted();
                entry
                    .progress
                    .send_modify(|progress| progress.counted = counted);
            } else {
                entry.sender.unsent();
            }
        }
        drop(state);
        self.0.bell.notify_one();
    }
}
