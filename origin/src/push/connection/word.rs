//! What an edge says, judged: its word is only about regions that it was given, and versions that it was sent.
//!
//! What is of an epoch before the one sent was under way while that began, and says nothing any more.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::codec;
use liveevents_protocol::frame::{Aggregate, Delivery, EdgeFrame, OriginFrame, Quarantined};
use liveevents_protocol::id::{EdgeId, ErasureId, RegionId};
use liveevents_protocol::version::{Epoch, Version};

use super::{Connection, Ended};
use crate::limits::CLOCK_SAMPLES;
use crate::push::counting::Counter;
use crate::store::acks::Ack;
use crate::store::delivery::Degraded;
use crate::store::erasures::Confirmation;

impl Connection {
    pub(super) async fn take(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        let malformed = |error: codec::DecodeError| {
            let reason = match &error {
                codec::DecodeError::TooLarge { .. } => CloseReason::TooLarge,
                _ => CloseReason::Malformed,
            };
            Ended::closed(reason, format!("frame: {error}"))
        };
        self.decoder.push(bytes);
        while let Some(frame) = self.decoder.next_frame().map_err(malformed)? {
            match codec::decode_edge_frame(&frame).map_err(malformed)? {
                EdgeFrame::Hello(_) => {
                    return Err(Ended::closed(
                        CloseReason::Malformed,
                        "frame: a second hello",
                    ));
                }
                EdgeFrame::Ack {
                    region,
                    epoch,
                    version,
                    applied_at: _,
                } => {
                    self.acked(&region, epoch, version)?;
                }
                EdgeFrame::Heartbeat { sent_at } => {
                    self.all_else_is_well();
                    let time = self.shared.clock.now();
                    let offset = self.clock.sample(sent_at, self.line.connection.rtt(), time);
                    self.shared.acks.seen(&self.edge, offset);
                    self.write_frame(&OriginFrame::Heartbeat {
                        echo: sent_at,
                        time,
                    })
                    .await?;
                }
                EdgeFrame::Delivery(delivery) => self.delivery(delivery)?,
                EdgeFrame::Degraded { region, entries } => self.degraded(&region, entries)?,
                EdgeFrame::Claim(sessions) => {
                    let claiming = self.counter().claim(sessions);
                    self.counting.push(Box::pin(claiming));
                }
                EdgeFrame::Aggregate(aggregate) => self.count(aggregate)?,
                EdgeFrame::Forgotten(ids) => self.forgotten(&ids),
                EdgeFrame::Bye => return Err(Ended::SignedOff),
            }
        }
        Ok(())
    }

    fn counter(&self) -> Counter {
        Counter {
            pool: self.shared.pool.clone(),
            clock: self.shared.clock.clone(),
            edge: self.edge.clone(),
            claim: self.claim,
            metrics: self.shared.metrics.engagement.clone(),
        }
    }

    /// Counts what happened in regions that the edge was given.
    fn count(&mut self, aggregate: Aggregate) -> Result<(), Ended> {
        let given = |region: &RegionId| self.cursors.iter().any(|cursor| cursor.region == *region);
        let mut regions = aggregate.cells.iter().map(|cell| &cell.place.region);
        if let Some(foreign) = regions.find(|region| !given(region)) {
            let message = format!("aggregate: {foreign} is no region of this edge");
            return Err(Ended::closed(CloseReason::Malformed, message));
        }
        let counting = self.counter().count(aggregate);
        self.counting.push(Box::pin(counting));
        Ok(())
    }

    /// Takes word only of what it was told, so that what waits to be written is bounded.
    fn forgotten(&self, ids: &[ErasureId]) {
        let told = self.done.forget.iter().map(|(id, _)| *id);
        for erasure in told.filter(|id| self.capabilities.forget && ids.contains(id)) {
            self.shared.acks.forgotten(Confirmation {
                edge: self.edge.clone(),
                claim: self.claim,
                erasure,
            });
        }
    }

    fn acked(&mut self, region: &RegionId, epoch: Epoch, version: Version) -> Result<(), Ended> {
        if !self.was_sent("ack", region, epoch, version)? {
            return Ok(());
        }
        let mut cursors = self.cursors.iter_mut();
        let Some(cursor) = cursors.find(|cursor| cursor.region == *region) else {
            return Ok(());
        };
        if cursor.acked.is_some_and(|acked| acked >= (epoch, version)) {
            return Ok(());
        }
        let now = self.shared.clock.now();
        self.shared
            .acks
            .ack(ack(&self.edge, region, cursor.acked, epoch, version, now));
        cursor.acked = Some((epoch, version));
        Ok(())
    }

    fn delivery(&mut self, delivery: Delivery) -> Result<(), Ended> {
        let standings = delivery.standings.iter().map(|standing| standing.version);
        let arrivals = delivery.arrivals.iter().map(|arrivals| arrivals.version);
        let nacks = delivery.nacks.iter().map(|nack| nack.version);
        let newest = standings.chain(arrivals).chain(nacks).max();
        let newest = newest.unwrap_or(Version::ZERO);
        if !self.was_sent("delivery", &delivery.region, delivery.epoch, newest)? {
            return Ok(());
        }
        let metrics = &self.shared.metrics.delivery;
        for arrivals in &delivery.arrivals {
            metrics.delivered(&delivery.region, &arrivals.delays);
        }
        for nack in &delivery.nacks {
            metrics.nacked(&delivery.region, u64::from(nack.count));
            let (event, version, count) = (&nack.event, nack.version, nack.count);
            let (region, revision) = (&delivery.region, nack.revision.map(|revision| revision.0));
            tracing::warn!(%region, %version, %event, revision, count, "game servers could not use an event");
        }
        let registry = &self.shared.registry;
        registry.told(&self.edge, &delivery.region, |told| {
            told.connected = delivery.connected;
            told.standings = Some((delivery.epoch, delivery.standings.clone()));
        });
        let now = self.shared.clock.now();
        self.shared.acks.delivery(&self.edge, delivery, now);
        Ok(())
    }

    /// An edge says after its welcome what it cannot apply, if there is anything, and then that it is there. So with
    /// the first heartbeat what earlier connections told of other regions is over.
    fn all_else_is_well(&mut self) {
        let at = self.shared.clock.now();
        for cursor in self.cursors.iter_mut().filter(|cursor| !cursor.told_aside) {
            if let Some(sent) = cursor.position {
                cursor.told_aside = true;
                self.shared.acks.degraded(Degraded {
                    edge: self.edge.clone(),
                    region: cursor.region.clone(),
                    epoch: sent.epoch,
                    entries: Vec::new(),
                    at,
                });
            }
        }
    }

    /// Whatever versions it names: they may be of a history that was lost, and it does not say of which.
    fn degraded(&mut self, region: &RegionId, entries: Vec<Quarantined>) -> Result<(), Ended> {
        let mut cursors = self.cursors.iter_mut();
        let cursor = cursors.find(|cursor| cursor.region == *region);
        let told = cursor.and_then(|cursor| {
            cursor.told_aside = true;
            cursor.position
        });
        let sent = told.ok_or_else(|| {
            let message = format!("degraded: nothing of {region} was ever sent");
            Ended::closed(CloseReason::Malformed, message)
        })?;
        if !entries.is_empty() {
            tracing::warn!(%region, entries = entries.len(), "the edge has entries in quarantine");
        }
        let registry = &self.shared.registry;
        registry.told(&self.edge, region, |told| told.quarantined = entries.len());
        self.shared.acks.degraded(Degraded {
            edge: self.edge.clone(),
            region: region.clone(),
            epoch: sent.epoch,
            entries,
            at: self.shared.clock.now(),
        });
        Ok(())
    }

    /// Whether the edge speaks of the epoch that it was sent last; of a version that it was not sent it may not speak.
    fn was_sent(
        &self,
        frame: &str,
        region: &RegionId,
        epoch: Epoch,
        version: Version,
    ) -> Result<bool, Ended> {
        let never_sent = || {
            let message = format!("{frame}: version {version} of {region} was never sent");
            Ended::closed(CloseReason::Malformed, message)
        };
        let cursor = self.cursors.iter().find(|cursor| cursor.region == *region);
        let sent = cursor
            .and_then(|cursor| cursor.position)
            .ok_or_else(never_sent)?;
        if epoch > sent.epoch || (epoch == sent.epoch && version > sent.version) {
            return Err(never_sent());
        }
        Ok(epoch == sent.epoch)
    }
}

/// How far the edge's clock is ahead of this one: of the last heartbeats the one that seems furthest ahead, since all
/// that can happen to a heartbeat on its way is that it comes later. Half a round trip is taken off. An estimate,
/// as good as the two ways are alike.
#[derive(Debug, Default)]
pub(super) struct ClockOffset(VecDeque<SignedDuration>);

impl ClockOffset {
    fn sample(
        &mut self,
        sent_at: Timestamp,
        round_trip: Duration,
        now: Timestamp,
    ) -> SignedDuration {
        let way = SignedDuration::try_from(round_trip / 2).unwrap_or(SignedDuration::ZERO);
        let seems = sent_at.duration_since(now).saturating_add(way);
        self.0.push_back(seems);
        if self.0.len() > CLOCK_SAMPLES {
            self.0.pop_front();
        }
        self.0.iter().copied().max().unwrap_or(seems)
    }
}

/// An ack of all that lies above what was acked before. Without anything acked in this epoch, only the
/// version itself: of those before it nobody knows when they arrived.
pub(super) fn ack(
    edge: &EdgeId,
    region: &RegionId,
    acked: Option<(Epoch, Version)>,
    epoch: Epoch,
    version: Version,
    at: Timestamp,
) -> Ack {
    let from = acked
        .filter(|(of, _)| *of == epoch)
        .map(|(_, version)| version);
    let from = from
        .unwrap_or(Version(version.0.saturating_sub(1)))
        .min(version);
    Ack {
        edge: edge.clone(),
        region: region.clone(),
        epoch,
        from,
        to: version,
        at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heartbeat_least_delayed_tells_the_offset() {
        let at = |millis| Timestamp::from_millisecond(millis).unwrap();
        let mut clock = ClockOffset::default();
        let round_trip = Duration::from_millis(20);
        // The edge is 100 ms ahead; its heartbeats take 10, 400 and 10 ms.
        let mut told = Vec::new();
        for (sent, arrived) in [(1_100, 1_010), (3_100, 3_400), (5_100, 5_010)] {
            told.push(clock.sample(at(sent), round_trip, at(arrived)).as_millis());
        }
        assert_eq!(told, [100, 100, 100]);
        // It is set back by a second, which is known once what was before is forgotten.
        for n in 0..CLOCK_SAMPLES {
            let now = 10_000 + 2_000 * i64::try_from(n).unwrap();
            let offset = clock
                .sample(at(now - 900), round_trip, at(now + 10))
                .as_millis();
            assert_eq!(offset, if n + 1 < CLOCK_SAMPLES { 100 } else { -900 });
        }
    }
}
