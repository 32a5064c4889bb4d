//! Reports of players over the WebSocket: added up at once, answered when they are counted for good.
//!
//! The first batch waits, added up, until this edge may take the session's; what comes meanwhile is asked for again. Answers
//! are made when the socket takes them, of what is so then: nothing grows with what was reported, and no player's name stays.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use liveevents_protocol::engagement::{Batch, Refused, SenderSession};
use liveevents_protocol::limits::{MAX_BATCH, MAX_REASON};
use liveevents_protocol::message::{CountedBatches, Resend, ServerMessage};
use tokio::io::AsyncRead;
use tokio::sync::watch;

use super::{Connection, End};
use crate::engagement::{Book, Offered, Progress, Rules, Sum, View, add_up, judge};
use crate::limits::{RESEND_AFTER, RESEND_SPREAD};
use crate::metrics::{EngagementMetrics, Told};

/// The session that a game server reports under.
pub(super) struct Reporting {
    session: SenderSession,
    progress: watch::Receiver<Progress>,
    news: News,
    /// Until this edge may take it.
    waiting: Option<Waiting>,
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
    /// The first batch that it has to send again, and why.
    lacks: Option<(u64, Why)>,
    refused: Vec<Refused>,
}

/// A batch, added up.
struct Waiting {
    batch: u64,
    reports: usize,
    sum: Sum,
    /// The origin was asked what is before it.
    asked: bool,
}

/// Why a batch was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// Another is to come first.
    Order,
    /// The origin is away.
    Away,
    /// There is no room.
    Full,
}

impl Why {
    /// How long to wait before it is sent again.
    fn pause(self) -> Duration {
        match self {
            Self::Order => Duration::ZERO,
            Self::Away => RESEND_SPREAD.mul_f64(rand::random()),
            Self::Full => RESEND_AFTER,
        }
    }
}

/// What is to be said of reports now.
enum Word {
    Say(ServerMessage),
    Nothing,
    /// The session is another edge's.
    Gone,
}

/// Ready when the progress is another, or nobody's any more.
type News = Pin<Box<dyn Future<Output = ()> + Send>>;

fn news(mut progress: watch::Receiver<Progress>) -> News {
    Box::pin(async move {
        // That it is nobody's any more is seen where it is read.
        let _ = progress.changed().await;
    })
}

impl Reporting {
    fn new(session: SenderSession, first: u64, progress: watch::Receiver<Progress>) -> Self {
        let forgotten = progress.borrow().forgotten;
        Self {
            session,
            news: news(progress.clone()),
            progress,
            waiting: None,
            first,
            told: 0,
            taken: 0,
            owed: false,
            forgotten,
            lacks: None,
            refused: Vec::new(),
        }
    }

    /// It has to send this one again, and all after it.
    fn lacks(&mut self, batch: u64, why: Why) {
        let from = self.lacks.map_or(batch, |(from, _)| from.min(batch));
        self.lacks = Some((from, why));
    }

    fn word(&mut self, metrics: &EngagementMetrics) -> Word {
        let now = *self.progress.borrow();
        if now.forgotten > self.forgotten {
            self.forgotten = now.forgotten;
            self.lacks(now.counted + 1, Why::Order);
        }
        if now.counted > self.told || (self.owed && now.claimed) {
            return Word::Say(self.counted(now.counted, metrics));
        }
        if let Some((from, why)) = self.lacks
            && now.connected
            && (now.claimed || self.knows(why))
        {
            self.lacks = None;
            return Word::Say(self.resend(from.max(now.counted + 1), why.pause()));
        }
        match self.progress.has_changed() {
            Ok(_) => Word::Nothing,
            Err(_) => Word::Gone,
        }
    }

    /// Whether what it lacks is known before the origin has said what is counted. While a batch waits for that, what is sent
    /// again would only have to be once more; and after a time without an origin most may be counted.
    fn knows(&self, why: Why) -> bool {
        self.waiting.is_none() && why != Why::Away
    }

    fn counted(&mut self, upto: u64, metrics: &EngagementMetrics) -> ServerMessage {
        for _ in self.first.max(self.told + 1)..=upto.min(self.taken) {
            metrics.told(Told::Counted);
        }
        (self.told, self.owed) = (upto, false);
        let later = self.refused.iter().position(|one| one.batch > upto);
        let later = self.refused.split_off(later.unwrap_or(self.refused.len()));
        ServerMessage::Counted(CountedBatches {
            session: self.session,
            batch: upto,
            refused: std::mem::replace(&mut self.refused, later),
        })
    }

    fn resend(&self, from: u64, after: Duration) -> ServerMessage {
        ServerMessage::Resend(Resend {
            session: self.session,
            from,
            after_ms: u64::try_from(after.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Remembers to be woken. Whether there is anything new.
    fn poll_news(&mut self, cx: &mut Context<'_>) -> bool {
        let is_new = self.news.as_mut().poll(cx).is_ready();
        if is_new {
            self.progress.mark_unchanged();
            self.news = news(self.progress.clone());
        }
        is_new
    }

    /// Offers the batch that waits, once this edge may take it.
    fn offer(&mut self, book: &Book, metrics: &EngagementMetrics) {
        let now = *self.progress.borrow();
        let Some(mut waiting) = self.waiting.take() else {
            return;
        };
        let batch = waiting.batch;
        if !now.connected {
            metrics.told(Told::Later);
            return self.lacks(batch, Why::Away);
        }
        if !now.claimed {
            self.waiting = Some(waiting);
            return;
        }
        if self.refused.len() >= MAX_BATCH {
            metrics.told(Told::Later);
            return self.lacks(batch, Why::Full);
        }
        let cells = || std::mem::take(&mut waiting.sum.cells);
        match book.offer(self.session, batch, waiting.reports, cells) {
            // If the origin is asked, the batch waits for what it says.
            Some(Offered::Gap { .. }) if !waiting.asked && !self.progress.borrow().claimed => {
                waiting.asked = true;
                self.waiting = Some(waiting);
            }
            Some(Offered::Gap { expected }) => {
                metrics.told(Told::OutOfPlace);
                self.lacks(expected, Why::Order);
            }
            Some(Offered::Full) => {
                metrics.told(Told::Later);
                self.lacks(batch, Why::Full);
            }
            Some(Offered::Taken) => {
                metrics.taken(waiting.sum.kinds);
                self.taken = batch;
                self.refuse(batch, waiting.sum.refused);
            }
            Some(Offered::Underway) => self.refuse(batch, waiting.sum.refused),
            Some(Offered::Counted) => {
                self.owed = true;
                self.refuse(batch, waiting.sum.refused);
            }
            // It hears that the session is another's.
            None => {}
        }
    }

    /// Notes which reports of a batch do not count, once.
    fn refuse(&mut self, batch: u64, refused: Vec<Refused>) {
        if self.refused.iter().any(|one| one.batch == batch) {
            return;
        }
        let shortened = refused.into_iter().map(|mut one| {
            let end = one.message.floor_char_boundary(MAX_REASON);
            one.message.truncate(end);
            one
        });
        self.refused.extend(shortened);
    }
}

impl<R: AsyncRead + Unpin> Connection<R> {
    /// Takes a batch, or has it sent again.
    pub(super) fn report(&mut self, batch: Batch) -> Result<(), End> {
        if let Err((field, message)) = judge(&batch) {
            return self.refuse("reports", Some(field), &message);
        }
        let (session, number) = (batch.session, batch.batch);
        let mut reporting = match self.reporting.take() {
            Some(reporting) => reporting,
            None => match self.serving.engagement.follow(session) {
                Ok(progress) => Box::new(Reporting::new(session, number, progress)),
                Err(_) => {
                    let message = "too many sessions report here; another edge may have room";
                    return self.refuse("reports", None, message);
                }
            },
        };
        let of = reporting.session;
        if of == session {
            self.take_batch(&mut reporting, &batch);
        }
        self.reporting = Some(reporting);
        if of != session {
            let message =
                format!("must be {of}, the one that this connection began to report under");
            return self.refuse("reports", Some("session"), &message);
        }
        Ok(())
    }

    fn take_batch(&self, reporting: &mut Reporting, batch: &Batch) {
        let number = batch.batch;
        reporting.first = reporting.first.min(number);
        match self.serving.engagement.rules() {
            _ if reporting.waiting.is_some() => reporting.lacks(number, Why::Order),
            None => {
                self.serving.metrics.engagement.told(Told::Later);
                reporting.lacks(number, Why::Away);
            }
            Some(rules) => {
                reporting.waiting = Some(Waiting {
                    batch: number,
                    reports: batch.reports.len(),
                    sum: self.add_up(batch, &rules),
                    asked: false,
                });
            }
        }
    }

    fn add_up(&self, batch: &Batch, rules: &Rules) -> Sum {
        let region = self.link.region();
        let published = region.load();
        let watched = self.players.watched();
        let view = View {
            region: region.id(),
            state: published.as_ref().map(|published| published.state()),
            rules,
            now: self.serving.clock.now(),
            known: &|player| {
                let player = watched.as_ref()?.player(player)?;
                Some((&player.attributes, player.platform.as_deref()))
            },
        };
        add_up(batch, &view)
    }

    /// What is to be said of reports.
    pub(super) fn poll_reports(&mut self, cx: &mut Context<'_>) -> Poll<ServerMessage> {
        let Some(reporting) = &mut self.reporting else {
            return Poll::Pending;
        };
        let metrics = &self.serving.metrics.engagement;
        loop {
            reporting.offer(&self.serving.engagement, metrics);
            match reporting.word(metrics) {
                Word::Say(message) => return Poll::Ready(message),
                Word::Nothing if reporting.poll_news(cx) => {}
                Word::Nothing => return Poll::Pending,
                Word::Gone => break,
            }
        }
        // Whatever it sends next is claimed anew.
        let from = reporting.first.max(reporting.told + 1);
        let again = reporting.resend(from, RESEND_AFTER);
        self.reporting = None;
        Poll::Ready(again)
    }
}
