//! What the origin is told: what has been applied, what could not be, what game servers have, and who was forgotten.

use liveevents_protocol::engagement::SenderSession;
use liveevents_protocol::frame::{EdgeFrame, Quarantined};
use liveevents_protocol::limits::MAX_FORGOTTEN;
use tokio::time::Instant;
use tracing::{info, warn};

use super::Session;
use crate::limits::AGGREGATE_INTERVAL;
use crate::replica::{Published, Region, entry_name};
use crate::uplink::end::End;

impl Session<'_> {
    pub(super) async fn say_acks(&mut self) -> Result<(), End> {
        while let Some((region, (epoch, version))) = self.acks.pop_first() {
            let applied_at = self.uplink.clock.now();
            let ack = EdgeFrame::Ack {
                region,
                epoch,
                version,
                applied_at,
            };
            self.say(&ack).await?;
            self.uplink.metrics.acks.inc();
        }
        Ok(())
    }

    /// That nothing is held any more of players that were to be forgotten.
    pub(super) async fn say_forgotten(&mut self) -> Result<(), End> {
        while !self.forgotten.is_empty() {
            let some = self.forgotten.len().min(MAX_FORGOTTEN);
            let ids = self.forgotten.drain(..some).collect();
            self.say(&EdgeFrame::Forgotten(ids)).await?;
        }
        Ok(())
    }

    /// What is set aside, whole, where it has changed.
    pub(super) async fn say_degraded(&mut self) -> Result<(), End> {
        if !std::mem::take(&mut self.look_aside) {
            return Ok(());
        }
        for region in self.uplink.replica.regions() {
            let held = region.load();
            let entries = held
                .map(|held| held.quarantine().told())
                .unwrap_or_default();
            let known = self.degraded.entry(region.id().clone()).or_default();
            if *known != entries {
                known.clone_from(&entries);
                let region = region.id().clone();
                self.say(&EdgeFrame::Degraded { region, entries }).await?;
            }
        }
        Ok(())
    }

    /// When the first report is due.
    pub(super) fn report_at(&self) -> Option<Instant> {
        let now = Instant::now();
        let due = self
            .uplink
            .ledgers
            .iter()
            .filter_map(|ledger| ledger.due(now));
        due.min().filter(|_| self.welcomed)
    }

    pub(super) async fn say_reports(&mut self) -> Result<(), End> {
        for ledger in self.uplink.ledgers.iter() {
            if let Some(delivery) = ledger.report(Instant::now()) {
                self.say(&EdgeFrame::Delivery(delivery)).await?;
                self.uplink.metrics.reports.inc();
            }
        }
        Ok(())
    }

    /// What game servers have reported, added up, so often as may be; and whose batches are to be taken, at once.
    pub(super) async fn say_engagement(&mut self) -> Result<(), End> {
        let claims = self.uplink.engagement.claims();
        if !claims.is_empty() {
            self.say(&EdgeFrame::Claim(claims)).await?;
        }
        let now = Instant::now();
        if self.tell_at <= now
            && let Some(aggregate) = self.uplink.engagement.aggregate()
        {
            self.tell_at = now + AGGREGATE_INTERVAL;
            self.told = Some((aggregate.id, now));
            self.say(&EdgeFrame::Aggregate(aggregate)).await?;
        }
        Ok(())
    }

    /// The origin has said what became of an aggregate.
    pub(super) fn counted(&mut self, id: u64, refused: &[SenderSession]) {
        if let Some((_, told)) = self.told.take_if(|(told, _)| *told == id) {
            let metrics = &self.uplink.engagement_metrics;
            metrics.answered(refused.is_empty(), told.elapsed());
        }
        self.uplink.engagement.counted(id, refused);
    }

    /// Says once of each entry that it is set aside.
    pub(super) fn note_aside(&mut self, region: &Region, next: &Published) {
        let held = region.load();
        let before = held.as_ref().map(|held| held.quarantine());
        let id = region.id();
        for (entry, label) in next.quarantine().news(before) {
            self.uplink.metrics.set_aside(&entry.key, label);
            let Quarantined {
                key,
                version,
                reason,
            } = entry;
            let entry = entry_name(&key);
            warn!(region = %id, entry, %version, reason, "an entry cannot be applied; its last good content is served on");
        }
        if next.quarantine().is_empty() && before.is_some_and(|before| !before.is_empty()) {
            info!(region = %id, "every entry can be applied again");
        }
        self.look_aside = true;
    }
}
