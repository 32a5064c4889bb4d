//! What edges report, and what they are told beside the log: between wire and domain.

use std::time::Duration;

use bincode::{Decode, Encode};
use uuid::Uuid;

use super::convert::{id, invalid};
use crate::codec::DecodeError;
use crate::delay::Delays;
use crate::entry::EntryKey;
use crate::frame::{Arrivals, Delivery, EdgeFrame, Nack, OriginFrame, Quarantined, Standing};
use crate::id::RegionId;
use crate::limits::{MAX_COMPLAINTS, MAX_DIRECTORY, MAX_REASON, MAX_STANDINGS};
use crate::version::{Epoch, Revision, Version};

#[derive(Encode, Decode)]
pub(super) struct WireDelivery {
    region: String,
    epoch: [u8; 16],
    connected: u32,
    standings: Vec<WireStanding>,
    arrivals: Vec<WireArrivals>,
    nacks: Vec<WireNack>,
}

#[derive(Encode, Decode)]
struct WireStanding {
    version: u64,
    received: u32,
    applied: u32,
    deferred: u32,
}

#[derive(Encode, Decode)]
struct WireArrivals {
    version: u64,
    max_micros: u64,
    buckets: Vec<(u8, u64)>,
}

#[derive(Encode, Decode)]
struct WireNack {
    event: String,
    revision: Option<u32>,
    version: u64,
    count: u32,
    reason: String,
}

/// In the place of what first was the optional revision of a content, and lies on the wire as that did.
#[derive(Encode, Decode)]
enum WireWhat {
    Assignment,
    Content(u32),
    Segment,
}

#[derive(Encode, Decode)]
pub(super) struct WireDegraded {
    region: String,
    entries: Vec<WireQuarantined>,
}

#[derive(Encode, Decode)]
struct WireQuarantined {
    /// The event's, or the segment's.
    name: String,
    what: WireWhat,
    version: u64,
    reason: String,
}

#[derive(Encode, Decode)]
pub(super) struct WireDirectory(Vec<(String, Vec<String>)>);

fn at_most(field: &'static str, len: usize, limit: usize) -> Result<(), DecodeError> {
    if len > limit {
        return Err(invalid(field, format!("has {len}, at most {limit} may be")));
    }
    Ok(())
}

impl From<&Delivery> for WireDelivery {
    fn from(delivery: &Delivery) -> Self {
        let standing = |s: &Standing| WireStanding {
            version: s.version.0,
            received: s.received,
            applied: s.applied,
            deferred: s.deferred,
        };
        let arrivals = |a: &Arrivals| WireArrivals {
            version: a.version.0,
            max_micros: u64::try_from(a.delays.max().as_micros()).unwrap_or(u64::MAX),
            buckets: a.delays.buckets().collect(),
        };
        let nack = |n: &Nack| WireNack {
            event: n.event.to_string(),
            revision: n.revision.map(|revision| revision.0),
            version: n.version.0,
            count: n.count,
            reason: n.reason.clone(),
        };
        Self {
            region: delivery.region.to_string(),
            epoch: delivery.epoch.0.into_bytes(),
            connected: delivery.connected,
            standings: delivery.standings.iter().map(standing).collect(),
            arrivals: delivery.arrivals.iter().map(arrivals).collect(),
            nacks: delivery.nacks.iter().map(nack).collect(),
        }
    }
}

impl TryFrom<WireDelivery> for Delivery {
    type Error = DecodeError;

    fn try_from(wire: WireDelivery) -> Result<Self, DecodeError> {
        at_most("standings", wire.standings.len(), MAX_STANDINGS)?;
        at_most("arrivals", wire.arrivals.len(), MAX_STANDINGS)?;
        at_most("nacks", wire.nacks.len(), MAX_COMPLAINTS)?;
        let ascending = wire.standings.iter().map(|standing| standing.version);
        if !ascending.is_sorted_by(|a, b| a < b) {
            return Err(invalid(
                "standings",
                "must be in order of version, each once",
            ));
        }
        let standing = |s: WireStanding| Standing {
            version: Version(s.version),
            received: s.received,
            applied: s.applied,
            deferred: s.deferred,
        };
        let arrivals = |a: WireArrivals| Arrivals {
            version: Version(a.version),
            delays: Delays::from_buckets(a.buckets, Duration::from_micros(a.max_micros)),
        };
        let nack = |n: WireNack| {
            at_most("reason", n.reason.len(), MAX_REASON)?;
            Ok(Nack {
                event: id("event", &n.event)?,
                revision: n.revision.map(Revision),
                version: Version(n.version),
                count: n.count,
                reason: n.reason,
            })
        };
        Ok(Self {
            region: id("region", &wire.region)?,
            epoch: Epoch(Uuid::from_bytes(wire.epoch)),
            connected: wire.connected,
            standings: wire.standings.into_iter().map(standing).collect(),
            arrivals: wire.arrivals.into_iter().map(arrivals).collect(),
            nacks: wire
                .nacks
                .into_iter()
                .map(nack)
                .collect::<Result<_, DecodeError>>()?,
        })
    }
}

impl WireDegraded {
    pub(super) fn new(region: &RegionId, entries: &[Quarantined]) -> Self {
        let entry = |q: &Quarantined| WireQuarantined {
            name: match &q.key {
                EntryKey::Segment(segment) => segment.to_string(),
                EntryKey::Content(event, _) | EntryKey::Assignment(event) => event.to_string(),
            },
            what: match &q.key {
                EntryKey::Assignment(_) => WireWhat::Assignment,
                EntryKey::Content(_, revision) => WireWhat::Content(revision.0),
                EntryKey::Segment(_) => WireWhat::Segment,
            },
            version: q.version.0,
            reason: q.reason.clone(),
        };
        Self {
            region: region.to_string(),
            entries: entries.iter().map(entry).collect(),
        }
    }

    pub(super) fn into_frame(self) -> Result<EdgeFrame, DecodeError> {
        at_most("entries", self.entries.len(), MAX_COMPLAINTS)?;
        let entry = |q: WireQuarantined| {
            at_most("reason", q.reason.len(), MAX_REASON)?;
            Ok(Quarantined {
                key: match q.what {
                    WireWhat::Assignment => EntryKey::Assignment(id("event", &q.name)?),
                    WireWhat::Content(revision) => {
                        EntryKey::Content(id("event", &q.name)?, Revision(revision))
                    }
                    WireWhat::Segment => EntryKey::Segment(id("segment", &q.name)?),
                },
                version: Version(q.version),
                reason: q.reason,
            })
        };
        Ok(EdgeFrame::Degraded {
            region: id("region", &self.region)?,
            entries: self
                .entries
                .into_iter()
                .map(entry)
                .collect::<Result<_, DecodeError>>()?,
        })
    }
}

impl From<&[(RegionId, Vec<String>)]> for WireDirectory {
    fn from(regions: &[(RegionId, Vec<String>)]) -> Self {
        let region =
            |(id, addresses): &(RegionId, Vec<String>)| (id.to_string(), addresses.clone());
        Self(regions.iter().map(region).collect())
    }
}

impl WireDirectory {
    pub(super) fn into_frame(self) -> Result<OriginFrame, DecodeError> {
        at_most("regions", self.0.len(), MAX_DIRECTORY)?;
        let region = |(region, addresses): (String, Vec<String>)| {
            at_most("addresses", addresses.len(), MAX_DIRECTORY)?;
            Ok((id("region", &region)?, addresses))
        };
        let regions = self.0.into_iter().map(region);
        Ok(OriginFrame::Directory(
            regions.collect::<Result<_, DecodeError>>()?,
        ))
    }
}
