//! A game server that reports at an even pace, and notes how long it takes until each report is counted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use liveevents_client::Reported;
use liveevents_protocol::engagement::Report;
use liveevents_protocol::id::EventId;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout_at};

use super::mix::{Counts, Mix};
use crate::failure::Failure;
use crate::fleet::GameServer;
use crate::limits;
use crate::spread::Spread;

/// Such a game server.
#[derive(Debug)]
pub(super) struct Reporter {
    pub(super) told: Told,
    mix: Arc<Mix>,
    /// Between two reports.
    every: Duration,
    /// Its numbers: from here on, with gaps for the others.
    next: u64,
    step: u64,
}

/// A game server and what it has reported.
#[derive(Debug)]
pub(super) struct Told {
    server: GameServer,
    reported: watch::Receiver<Reported>,
    /// When, and how many there had been with those, of what is not counted yet.
    waiting: VecDeque<(Instant, u64)>,
    all: u64,
    settled: u64,
    pub(super) counted: Spread,
}

/// What became of a run.
#[derive(Debug)]
pub(super) struct Ran {
    /// From the report until the client knows that it is counted.
    pub(super) counted: Spread,
    /// How many.
    pub(super) reported: u64,
    /// What they come to.
    pub(super) counts: BTreeMap<EventId, Counts>,
}

impl Reporter {
    /// One of so many, which together report so many times a second.
    pub(super) fn new(server: GameServer, mix: &Arc<Mix>, number: u64, of: u64, rate: u32) -> Self {
        Self {
            told: Told::new(server),
            mix: Arc::clone(mix),
            every: Duration::from_secs_f64(of as f64 / f64::from(rate)),
            next: number,
            step: of,
        }
    }

    /// Reports for so long, and waits until all of it is counted.
    pub(super) async fn run(&mut self, time: Duration) -> Result<Ran, Failure> {
        let mut counts: BTreeMap<EventId, Counts> = BTreeMap::new();
        // Not all at the same moment.
        let apart =
            limits::REPORTING.mul_f64(self.next as f64 % self.step as f64 / self.step as f64);
        let begun = Instant::now() + apart;
        let mut ticks = interval_at(begun, limits::REPORTING);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut due_at = begun;
        let before = self.told.all;
        while due_at < begun + time {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.told.changed() => {
                    self.told.settle();
                    continue;
                }
            }
            let now = Instant::now().min(begun + time);
            while due_at < now {
                let report = self.mix.report(self.next)?;
                let counts = counts.entry(report.event_id.clone()).or_default();
                counts.note(&report.happening);
                self.told.report(report)?;
                self.next += self.step;
                due_at += self.every;
            }
        }
        self.told.all_counted().await?;
        Ok(Ran {
            counted: std::mem::take(&mut self.told.counted),
            reported: self.told.all - before,
            counts,
        })
    }
}

impl Told {
    pub(super) fn new(server: GameServer) -> Self {
        Self {
            reported: server.client.reported(),
            server,
            waiting: VecDeque::new(),
            all: 0,
            settled: 0,
            counted: Spread::default(),
        }
    }

    pub(super) fn report(&mut self, report: Report) -> Result<(), Failure> {
        let taken = self.server.client.report(report);
        taken.map_err(|error| Failure::Wrong(vec![format!("{}: {error}", self.server.name)]))?;
        self.all += 1;
        self.waiting.push_back((Instant::now(), self.all));
        Ok(())
    }

    /// Returns when something has been counted. Cancel safe.
    pub(super) async fn changed(&mut self) {
        if self.reported.changed().await.is_err() {
            // The client has ended; whoever waits has a deadline.
            std::future::pending::<()>().await;
        }
    }

    /// Notes what has been counted. The client's own count moves with each report too.
    pub(super) fn settle(&mut self) {
        let now = Instant::now();
        let settled = self.reported.borrow_and_update().counted;
        self.settled = settled;
        while let Some((at, number)) = self.waiting.front().copied() {
            if number > settled {
                return;
            }
            self.counted.record(micros(now.duration_since(at)));
            self.waiting.pop_front();
        }
    }

    /// Waits until all is counted.
    pub(super) async fn all_counted(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + limits::ARRIVAL;
        loop {
            self.settle();
            if self.settled == self.all {
                return Ok(());
            }
            if timeout_at(deadline, self.changed()).await.is_err() {
                let reported = self.reported.borrow().clone();
                let what = format!(
                    "{}: {} reports, of which {} are counted: {reported:?}",
                    self.server.name, self.all, self.settled
                );
                return Err(Failure::Wrong(vec![what]));
            }
        }
    }
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
