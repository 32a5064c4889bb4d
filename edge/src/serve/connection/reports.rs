//! Reports of players over the WebSocket: taken at once, answered when they are counted for good.
//!
//! The first batch waits until this edge may take the session's; what comes meanwhile is asked for again. Answers are made
//! when the socket takes them, of what is so then: nothing grows with what was reported.

use std::pin::Pin;
use std::task::{Context, Poll};

use liveevents_protocol::engagement::{Batch, Refused, SenderSession};
use liveevents_protocol::limits::{MAX_BATCH, MAX_REASON};
use liveevents_protocol::message::{CountedBatches, Resend, ServerMessage};
use tokio::io::AsyncRead;
use tokio::sync::watch;

use super::{Connection, End};
use crate::engagement::{Book, Offered, Progress, Sum, View, add_up, judge};
use crate::limits::{RESEND_AFTER, RESEND_SPREAD};
use crate::metrics::{EngagementMetrics, Told};

/// The session that a game server reports under.
pub(super) struct Reporting {
    session: SenderSession,
    progress: watch::Receiver<Progress>,
    next: Next,
    /// Until this edge may take it.
    waiting: Option<Batch>,
    /// The origin was asked what is before the batch that waits.
    asked: bool,
    /// The first batch that came here.
    first: u64,
    /// Up to which batch it was told that they are counted.
    told: u64,
    /// The last batch that was taken here.
    taken: u64,
    /// It has sent what it should have been told before.
    owed: bool,
    /// How often it was told that something was forgotten.
    forgotten: u64,
    /// The first batch that it has to send again.
    lacks: Option<u64>,
    /// Why it could not be taken: the origin is away, or there is no room.
    excused: Excuse,
    refused: Vec<Refused>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Excuse {
    None,
    Away,
    Full,
}

type Next = Pin<Box<dyn Future<Output = bool> + Send>>;

fn next(mut progress: watch::Receiver<Progress>) -> Next {
    Box::pin(async move { progress.changed().await.is_ok() })
}

impl Reporting {
    fn new(session: SenderSession, first: u64, progress: watch::Receiver<Progress>) -> Self {
        let forgotten = progress.borrow().forgotten;
        Self {
            session,
            next: next(progress.clone()),
            progress,
            waiting: None,
            asked: false,
            first,
            told: 0,
            taken: 0,
            owed: false,
            forgotten,
            lacks: None,
            excused: Excuse::None,
            refused: Vec::new(),
        }
    }

    /// It has to send this one again, and all after it.
    fn lacks(&mut self, batch: u64, excuse: Excuse) {
        self.lacks = Some(self.lacks.map_or(batch, |from| from.min(batch)));
        self.excused = excuse;
    }

    /// What is to be said now, if anything. `None` once the session is another edge's.
    fn says(&mut self, metrics: &EngagementMetrics) -> Option<Poll<ServerMessage>> {
        let now = *self.progress.borrow();
        if now.forgotten > self.forgotten {
            self.forgotten = now.forgotten;
            self.lacks(now.counted + 1, Excuse::None);
        }
        if now.counted > self.told || (self.owed && now.claimed) {
            for _ in self.first.max(self.told + 1)..=now.counted.min(self.taken) {
                metrics.told(Told::Counted);
            }
            (self.told, self.owed) = (now.counted, false);
            let later = self.refused.iter().position(|one| one.batch > now.counted);
            let later = self.refused.split_off(later.unwrap_or(self.refused.len()));
            return Some(Poll::Ready(ServerMessage::Counted(CountedBatches {
                session: self.session,
                batch: now.counted,
                refused: std::mem::replace(&mut self.refused, later),
            })));
        }
        // While a batch waits for the claim, what is sent again would only have to be once more; and after a time without an
        // origin, that says first what is counted already.
        let is_known = self.waiting.is_none() && self.excused == Excuse::None;
        if now.connected
            && (now.claimed || is_known)
            && let Some(from) = self.lacks.take()
        {
            let after = match self.excused {
                Excuse::None => std::time::Duration::ZERO,
                Excuse::Away => RESEND_SPREAD.mul_f64(rand::random()),
                Excuse::Full => RESEND_AFTER,
            };
            self.excused = Excuse::None;
            return Some(Poll::Ready(ServerMessage::Resend(Resend {
                session: self.session,
                from: from.max(now.counted + 1),
                after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
            })));
        }
        self.progress.has_changed().ok().map(|_| Poll::Pending)
    }

    /// Remembers to be woken. Whether there is anything new.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> bool {
        let mut news = false;
        while let Poll::Ready(true) = self.next.as_mut().poll(cx) {
            self.progress.mark_unchanged();
            self.next = next(self.progress.clone());
            news = true;
        }
        news
    }
}

impl<R: AsyncRead + Unpin> Connection<R> {
    /// Takes a batch, or has it sent again.
    pub(super) fn report(&mut self, batch: Batch) -> Result<(), End> {
        if let Err((field, message)) = judge(&batch) {
            return self.refuse("reports", Some(field), &message);
        }
        let book = &self.serving.engagement;
        if self.reporting.is_none() {
            let Ok(progress) = book.follow(batch.session) else {
                let message = "too many sessions report here; another edge may have room";
                return self.refuse("reports", None, message);
            };
            self.reporting = Some(Box::new(Reporting::new(
                batch.session,
                batch.batch,
                progress,
            )));
        }
        let Some(reporting) = &mut self.reporting else {
            return Ok(());
        };
        reporting.first = reporting.first.min(batch.batch);
        if reporting.session != batch.session {
            let message = format!(
                "must be {}, the one that this connection began to report under",
                reporting.session
            );
            return self.refuse("reports", Some("session"), &message);
        }
        if reporting.waiting.is_some() {
            reporting.lacks(batch.batch, Excuse::None);
        } else {
            reporting.waiting = Some(batch);
        }
        Ok(())
    }

    /// What is to be said of reports.
    pub(super) fn poll_reports(&mut self, cx: &mut Context<'_>) -> Poll<ServerMessage> {
        let Some(mut reporting) = self.reporting.take() else {
            return Poll::Pending;
        };
        loop {
            self.offer(&mut reporting);
            let said = reporting.says(&self.serving.metrics.engagement);
            match said {
                Some(Poll::Ready(message)) => {
                    self.reporting = Some(reporting);
                    return Poll::Ready(message);
                }
                Some(Poll::Pending) if reporting.poll_next(cx) => {}
                Some(Poll::Pending) => {
                    self.reporting = Some(reporting);
                    return Poll::Pending;
                }
                // Whatever it sends next is claimed anew.
                None => {
                    return Poll::Ready(ServerMessage::Resend(Resend {
                        session: reporting.session,
                        from: reporting.first.max(reporting.told + 1),
                        after_ms: u64::try_from(RESEND_AFTER.as_millis()).unwrap_or(u64::MAX),
                    }));
                }
            }
        }
    }

    /// Takes the batch that waits, if it may be.
    fn offer(&self, reporting: &mut Reporting) {
        let now = *reporting.progress.borrow();
        let Some(batch) = &reporting.waiting else {
            return;
        };
        let (number, book) = (batch.batch, &self.serving.engagement);
        let metrics = &self.serving.metrics.engagement;
        let rules = book.rules().filter(|_| now.connected);
        let Some(rules) = rules else {
            metrics.told(Told::Later);
            reporting.waiting = None;
            reporting.lacks(number, Excuse::Away);
            return;
        };
        if !now.claimed {
            return;
        }
        if reporting.refused.len() >= MAX_BATCH {
            reporting.waiting = None;
            reporting.lacks(number, Excuse::Full);
            return;
        }
        let region = self.link.region();
        let published = region.load();
        let watched = self.players.watched();
        let view = View {
            region: region.id(),
            state: published.as_ref().map(|published| published.state()),
            rules: &rules,
            now: self.serving.clock.now(),
            known: &|player| {
                let player = watched.as_ref()?.player(player)?;
                Some((&player.attributes, player.platform.as_deref()))
            },
        };
        let Sum {
            cells,
            mut refused,
            kinds,
        } = add_up(batch, &view);
        let offered = offer(book, batch, cells);
        if matches!(offered, Some(Offered::Gap { .. })) && !reporting.asked {
            // If the origin is asked, the batch waits for what it says.
            reporting.asked = true;
            if !reporting.progress.borrow().claimed {
                return;
            }
        }
        reporting.waiting = None;
        reporting.asked = false;
        match offered {
            Some(Offered::Counted) => reporting.owed = true,
            Some(Offered::Underway) => {}
            Some(Offered::Taken) => {
                metrics.taken(kinds);
                reporting.taken = number;
            }
            Some(Offered::Gap { expected }) => {
                metrics.told(Told::OutOfPlace);
                return reporting.lacks(expected, Excuse::None);
            }
            Some(Offered::Full) => {
                metrics.told(Told::Later);
                return reporting.lacks(number, Excuse::Full);
            }
            // It hears that the session is another's.
            None => return,
        }
        if !reporting.refused.iter().any(|one| one.batch == number) {
            for one in &mut refused {
                one.message
                    .truncate(one.message.floor_char_boundary(MAX_REASON));
            }
            reporting.refused.append(&mut refused);
        }
    }
}

fn offer(book: &Book, batch: &Batch, cells: crate::engagement::Cells) -> Option<Offered> {
    book.offer(batch.session, batch.batch, batch.reports.len(), || cells)
}
