//! Opening and closing on the second: what time alone does to what is served.
//!
//! Reads, Watch and notices all go by one [`ServingClock`]. Reads need nothing else: they evaluate at the moment of the
//! question. For those that are not asked but told, one task sleeps until the next moment at which anything switches,
//! and rings the bell of the region concerned. It looks at the clock again at least every [`CLOCK_LOOK`], since a clock
//! that is set does not wake who sleeps by it.

mod clock;
mod notices;
mod standing;
mod timers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use liveevents_protocol::id::RegionId;
use liveevents_protocol::message::{
    Cause, Cursor, MessageError, Notice as NoticeMessage, ServerMessage,
};
use liveevents_protocol::position::Position;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub(crate) use clock::ServingClock;
pub(crate) use notices::{Notice, Notices};

use crate::limits::{CLOCK_LOOK, CLOCK_SET_BACK};
use crate::metrics::ScheduleMetrics;
use crate::replica::{Published, Region, Replica};
use crate::websocket::frame;
use standing::At;
use timers::{News, Side, Switch, Timers};

/// The task that switches.
pub(crate) struct Scheduler {
    replica: Arc<Replica>,
    clock: ServingClock,
    metrics: ScheduleMetrics,
    timers: Timers,
    /// What was in force at the last look at each region, and whether the origin had confirmed it.
    seen: BTreeMap<RegionId, (Position, bool)>,
    /// Whether the clock waits.
    held: bool,
}

impl Scheduler {
    pub(crate) fn new(
        replica: Arc<Replica>,
        clock: ServingClock,
        metrics: ScheduleMetrics,
    ) -> Self {
        Self {
            replica,
            clock,
            metrics,
            timers: Timers::default(),
            seen: BTreeMap::new(),
            held: false,
        }
    }

    /// Switches until `shutdown`.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let replica = Arc::clone(&self.replica);
        let mut changed = replica.watch();
        loop {
            changed.borrow_and_update();
            self.look();
            let wait = self.wait();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                woken = changed.changed() => if woken.is_err() { return },
                () = sleep(wait) => {}
            }
        }
    }

    /// Until the next switch, or the next look at the clock.
    fn wait(&self) -> Duration {
        let until = |moment: Timestamp| moment.duration_since(self.clock.now());
        let next = self.timers.next().map(until);
        next.map_or(CLOCK_LOOK, |next| {
            Duration::try_from(next).unwrap_or_default().min(CLOCK_LOOK)
        })
    }

    fn look(&mut self) {
        self.look_at_the_clock();
        let replica = Arc::clone(&self.replica);
        for region in replica.regions() {
            if let Some(published) = region.load() {
                self.look_at(region, &published);
            }
        }
    }

    fn look_at_the_clock(&mut self) {
        let held = self.clock.held();
        self.metrics.clock_held.set(held.as_secs_f64());
        let waits = held > CLOCK_SET_BACK;
        if waits && !self.held {
            warn!(
                seconds = held.as_secs_f64(),
                "the clock was set back: nothing opens or closes until it has caught up"
            );
        } else if self.held && !waits {
            info!("the clock has caught up");
        }
        self.held = waits;
    }

    fn look_at(&mut self, region: &Region, published: &Published) {
        // The silence first: heard in between, it would be taken for silent at a moment at which it is not.
        let at = At {
            silent_since: region.silent_since(),
            now: self.clock.now(),
        };
        let state = published.state();
        let (position, confirmed) = (published.sealed().position, published.is_confirmed());
        let seen = self.seen.insert(region.id().clone(), (position, confirmed));
        let news = match seen {
            Some((seen, was_confirmed)) if seen == position && was_confirmed == confirmed => {
                News::Same
            }
            Some((_, true)) => News::Later(state),
            _ => News::Other(state),
        };
        let found = self.timers.look(region.id(), news, at);
        let mut notices = Vec::with_capacity(found.switches.len());
        for switch in found.switches {
            self.count(&switch);
            match notice(switch, published.cursor(), self.clock.now()) {
                Ok(notice) => notices.push(notice),
                Err(error) => warn!(%error, "a notice cannot be printed"),
            }
        }
        region.switch(found.switched, notices);
    }

    fn count(&self, switch: &Switch) {
        let kind = match switch.to {
            Side::On(_) => "activated",
            Side::Off(_) => "deactivated",
        };
        let cause = match switch.cause {
            Cause::Schedule => "schedule",
            Cause::Change => "change",
            Cause::Stale => "stale",
        };
        self.metrics
            .switches
            .with_label_values(&[kind, cause])
            .inc();
        if switch.cause == Cause::Schedule {
            let late = self.clock.now().duration_since(switch.at);
            self.metrics.lateness.observe(late.as_secs_f64());
        }
    }
}

fn notice(switch: Switch, as_of: Cursor, time: Timestamp) -> Result<Notice, MessageError> {
    let (occurrence, side): (_, fn(NoticeMessage) -> ServerMessage) = match switch.to {
        Side::On(occurrence) => (Some(occurrence), ServerMessage::Activated),
        Side::Off(next) => (next, ServerMessage::Deactivated),
    };
    let message = side(NoticeMessage {
        event_id: switch.event.clone(),
        epoch: as_of.epoch,
        version: as_of.version,
        time,
        at: switch.at,
        opens: occurrence.map(|occurrence| occurrence.opens),
        closes: occurrence.map(|occurrence| occurrence.closes),
        cause: switch.cause,
    });
    Ok(Notice {
        event: switch.event,
        kind: message.kind(),
        frame: frame::text(&message.print()?),
    })
}
