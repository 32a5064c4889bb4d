//! What players do, on its way to the edge: gathered into batches, kept until the edge says that they are counted, sent
//! again to the next edge otherwise.
//!
//! Batches are numbered within a session, so whatever is sent twice counts once. What is kept is bounded; what finds no room
//! is dropped, and counted as such.

use std::collections::VecDeque;

use liveevents_protocol::engagement::{Batch, Refused, Report, SenderSession};
use liveevents_protocol::limits::MAX_BATCH;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::limits::{BATCH_BYTES, BATCHES_UNDERWAY, MAX_REPORT, REPORTS_BYTES};

/// Why a report was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Too much waits for an edge already: [`crate::limits::REPORTS_BYTES`].
    #[error("too many reports wait for an edge, {REPORTS_BYTES} bytes of them")]
    Full,
    /// It alone is more than a report may be.
    #[error("a report has at most {MAX_REPORT} bytes as JSON")]
    TooLarge,
}

/// What became of the reports so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reported {
    /// Counted for good.
    pub counted: u64,
    /// Not counted, since something is wrong with them.
    pub refused: u64,
    /// On their way, or waiting for an edge.
    pub waiting: u64,
    /// Dropped here, since there was no room.
    pub dropped: u64,
    /// The last one that was refused.
    pub last_refused: Option<Refused>,
}

/// The reports of one client.
#[derive(Debug)]
pub(crate) struct Reports {
    state: Mutex<State>,
    reported: watch::Sender<Reported>,
    /// There is a batch that was not there before.
    bell: Notify,
}

#[derive(Debug)]
struct State {
    session: SenderSession,
    /// Numbered, oldest first, without gaps.
    batches: VecDeque<Kept>,
    /// The number of the next batch.
    next: u64,
    gathered: Kept,
    /// Of all that is kept.
    bytes: usize,
}

#[derive(Debug, Default)]
struct Kept {
    reports: Vec<Value>,
    bytes: usize,
    /// Since when it is gathered.
    since: Option<Instant>,
}

/// How far one connection has told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    session: Option<SenderSession>,
    /// Up to which batch.
    upto: u64,
    /// Whether the edge has answered: it takes one batch before.
    answered: bool,
    /// When to go on.
    pause: Option<Instant>,
}

impl Reports {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                session: SenderSession::from_random(rand::random()),
                batches: VecDeque::new(),
                next: 1,
                gathered: Kept::default(),
                bytes: 0,
            }),
            reported: watch::Sender::default(),
            bell: Notify::new(),
        }
    }

    /// Takes one, or drops it.
    pub(crate) fn add(&self, report: &Report) -> Result<(), ReportError> {
        let written = serde_json::to_value(report).ok();
        let bytes = written.as_ref().map_or(0, |value| value.to_string().len());
        let mut state = self.state.lock();
        let room = match written {
            Some(written) if bytes <= MAX_REPORT => {
                let room = state.bytes + bytes <= REPORTS_BYTES;
                if room {
                    state.gather(written, bytes);
                }
                if room { Ok(()) } else { Err(ReportError::Full) }
            }
            _ => Err(ReportError::TooLarge),
        };
        let due = state.gathered.reports.len() == 1;
        drop(state);
        self.reported.send_modify(|reported| match room {
            Ok(()) => reported.waiting += 1,
            Err(_) => reported.dropped += 1,
        });
        if due {
            self.bell.notify_one();
        }
        room
    }

    /// What became of them.
    pub(crate) fn reported(&self) -> watch::Receiver<Reported> {
        self.reported.subscribe()
    }

    /// Returns when there may be something to tell that was not there before. Cancel safe.
    pub(crate) async fn ring(&self) {
        self.bell.notified().await;
    }

    /// When a connection that has told so much is to look again.
    pub(crate) fn due_at(&self, told: &Told, every: std::time::Duration) -> Option<Instant> {
        let state = self.state.lock();
        if state.has_for(told) {
            return Some(told.pause.unwrap_or_else(Instant::now));
        }
        let gathered = state.gathered.since.map(|since| since + every);
        gathered.map(|at| told.pause.map_or(at, |pause| at.max(pause)))
    }

    /// The next batch to tell, if there is one: what was gathered becomes one after `every`, or at once to the `last`.
    pub(crate) fn next(
        &self,
        told: &mut Told,
        every: std::time::Duration,
        last: bool,
    ) -> Option<Batch> {
        let now = Instant::now();
        if told.pause.is_some_and(|pause| pause > now) {
            return None;
        }
        told.pause = None;
        let mut state = self.state.lock();
        let is_due = |since: Instant| last || since + every <= now;
        if state.gathered.since.is_some_and(is_due) {
            state.close_batch();
        }
        if told.session != Some(state.session) {
            (told.session, told.upto) = (Some(state.session), 0);
        }
        if !state.has_for(told) {
            return None;
        }
        let number = told.upto.max(state.first() - 1) + 1;
        let at = usize::try_from(number - state.first()).ok()?;
        let reports = state.batches.get(at)?.reports.clone();
        told.upto = number;
        Some(Batch {
            session: state.session,
            batch: number,
            reports,
        })
    }

    /// The edge says that all up to this batch are counted.
    pub(crate) fn counted(
        &self,
        told: &mut Told,
        session: SenderSession,
        batch: u64,
        refused: &[Refused],
    ) {
        told.answered = true;
        let mut state = self.state.lock();
        if state.session != session {
            return;
        }
        let mut reports = 0;
        while state.first() <= batch
            && let Some(kept) = state.batches.pop_front()
        {
            state.bytes = state.bytes.saturating_sub(kept.bytes);
            reports += kept.reports.len() as u64;
        }
        drop(state);
        self.reported.send_modify(|reported| {
            let refusals = (refused.len() as u64).min(reports);
            reported.waiting = reported.waiting.saturating_sub(reports);
            reported.counted += reports - refusals;
            reported.refused += refusals;
            if let Some(last) = refused.last() {
                reported.last_refused = Some(last.clone());
            }
        });
    }

    /// The edge lacks what comes from this batch on. If it lacks what is not kept any more, the origin has lost what it had
    /// counted, and the session ends there: what is kept goes on as another's.
    pub(crate) fn resend(
        &self,
        told: &mut Told,
        session: SenderSession,
        from: u64,
        after: std::time::Duration,
    ) {
        told.answered = true;
        told.pause = Some(Instant::now() + after);
        let mut state = self.state.lock();
        if state.session != session {
            return;
        }
        told.upto = told.upto.min(from.saturating_sub(1));
        if from < state.first() {
            tracing::warn!(
                from,
                first = state.first(),
                "the origin has forgotten what it counted; reporting anew"
            );
            state.session = SenderSession::from_random(rand::random());
            state.next = state.batches.len() as u64 + 1;
        }
    }

    /// The edge took nothing.
    pub(crate) fn refused(&self, told: &mut Told, after: std::time::Duration) {
        *told = Told {
            pause: Some(Instant::now() + after),
            ..Told::default()
        };
    }
}

impl State {
    /// The number of the oldest batch that is kept, or of the next.
    fn first(&self) -> u64 {
        self.next - self.batches.len() as u64
    }

    fn gather(&mut self, report: Value, bytes: usize) {
        let is_full =
            self.gathered.reports.len() >= MAX_BATCH || self.gathered.bytes + bytes > BATCH_BYTES;
        if is_full {
            self.close_batch();
        }
        self.bytes += bytes;
        self.gathered.bytes += bytes;
        self.gathered.since.get_or_insert_with(Instant::now);
        self.gathered.reports.push(report);
    }

    fn close_batch(&mut self) {
        self.batches.push_back(std::mem::take(&mut self.gathered));
        self.next += 1;
    }

    /// Whether there is a batch for a connection that has told so much.
    fn has_for(&self, told: &Told) -> bool {
        let first = self.first();
        let upto = match told.session {
            Some(session) if session == self.session => told.upto.max(first - 1),
            _ => first - 1,
        };
        let underway = upto - (first - 1);
        let most = if told.answered { BATCHES_UNDERWAY } else { 1 };
        upto + 1 < self.next && underway < most
    }
}

#[cfg(test)]
mod tests;
