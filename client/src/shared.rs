//! What the client's task writes and its handle reads, at every level.

use std::sync::OnceLock;

use liveevents_protocol::engagement::Report;
use liveevents_protocol::evaluate::Moment;
use liveevents_protocol::id::{Installation, RegionId};
use liveevents_protocol::message::{Cursor, RefusedMessage};
use tokio::sync::watch;

use crate::address::Address;
use crate::clock::{Clock, EdgeClock};
use crate::config::ClientConfig;
use crate::disconnected::Disconnected;
use crate::freshness::Freshness;
use crate::link::Link;
use crate::reports::{ReportError, Reports};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: EdgeClock,
    pub(crate) freshness: Freshness,
    pub(crate) link: watch::Sender<Link>,
    pub(crate) refused: watch::Sender<Option<RefusedMessage>>,
    pub(crate) reports: Reports,
    position: watch::Sender<Option<Cursor>>,
    /// Whether an edge has told what is held, or that it is current.
    synced: watch::Sender<bool>,
    /// Of the first edge that welcomed us, or of the state file.
    installation: OnceLock<Installation>,
}

impl Shared {
    pub(crate) fn new(clock: Clock, address: Address) -> Self {
        Self {
            clock: EdgeClock::new(clock),
            freshness: Freshness::default(),
            link: watch::Sender::new(Link::Connecting { address }),
            refused: watch::Sender::new(None),
            reports: Reports::new(),
            position: watch::Sender::new(None),
            synced: watch::Sender::new(false),
            installation: OnceLock::new(),
        }
    }

    /// The edge's time, and how old the news are by it.
    pub(crate) fn moment(&self) -> Moment {
        let now = self.clock.now();
        Moment {
            now,
            age: self.freshness.age(now),
        }
    }

    /// Takes a report. One that does not say what was seen says what was held.
    pub(crate) fn report(&self, mut report: Report) -> Result<(), ReportError> {
        let seen = &mut report.seen;
        if seen.revision.is_none() && seen.position.is_none() {
            seen.position = self.cursor();
        }
        self.reports.add(&report)
    }

    /// What is held.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        *self.position.borrow()
    }

    pub(crate) fn positions(&self) -> watch::Receiver<Option<Cursor>> {
        self.position.subscribe()
    }

    pub(crate) fn syncs(&self) -> watch::Receiver<bool> {
        self.synced.subscribe()
    }

    pub(crate) fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Wakes those who wait for what is shown.
    pub(crate) fn wake(&self, cursor: Cursor) {
        self.position.send_replace(Some(cursor));
    }

    /// An edge has told what is held, or that it is current.
    pub(crate) fn synced(&self) {
        self.synced
            .send_if_modified(|synced| !std::mem::replace(synced, true));
    }

    pub(crate) fn installation(&self) -> Option<&Installation> {
        self.installation.get()
    }

    /// Whose events these are, known before any edge is.
    pub(crate) fn belongs_to(&self, installation: Installation) {
        // The first one counts, and there is none before the state file.
        let _ = self.installation.set(installation);
    }

    /// Refuses an edge of another installation: its epochs say nothing about ours.
    pub(crate) fn check(
        &self,
        installation: &Installation,
        region: &RegionId,
        config: &ClientConfig,
    ) -> Result<(), Disconnected> {
        let ours = match &config.installation {
            Some(ours) => ours,
            None => self.installation.get_or_init(|| installation.clone()),
        };
        if ours == installation && *region == config.region {
            self.installation.get_or_init(|| installation.clone());
            return Ok(());
        }
        Err(Disconnected::Foreign {
            ours: format!("{ours} in {}", config.region),
            theirs: format!("{installation} in {region}"),
        })
    }
}
