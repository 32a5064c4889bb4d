//! Engagement between edge and origin: between wire and domain.

use bincode::{Decode, Encode};
use jiff::Timestamp;
use uuid::Uuid;

use super::convert::{id, invalid};
use super::list::List;
use crate::codec::DecodeError;
use crate::engagement::{
    Cell, Cohort, Currencies, Distinct, Place, Rate, SenderSession, Sums, Tally,
};
use crate::frame::{Aggregate, EdgeFrame, OriginFrame};
use crate::id::SegmentId;
use crate::limits::{MAX_BATCHES, MAX_CELLS, MAX_CURRENCIES, MAX_NAME};
use crate::version::Revision;

type WireSession = [u8; 16];

#[derive(Encode, Decode)]
pub(super) struct WireClaim(List<WireSession>);

#[derive(Encode, Decode)]
pub(super) struct WireAggregate {
    id: u64,
    batches: List<(WireSession, u64)>,
    cells: List<WireCell>,
}

#[derive(Encode, Decode)]
struct WireCell {
    region: String,
    event: String,
    revision: Option<u32>,
    variant: Option<String>,
    side: WireSide,
    /// Since 1970.
    second: i64,
    sums: List<u64>,
    active: List<u8>,
    participants: List<u8>,
    completers: List<u8>,
    payers: List<u8>,
}

/// In the place of what first was the cohort alone, and lies on the wire as that did for everybody's players.
#[derive(Encode, Decode)]
enum WireSide {
    Everybody,
    Exposed,
    Control,
    Unattributed,
    Segment(String, WireCohort),
}

#[derive(Encode, Decode)]
enum WireCohort {
    Everybody,
    Exposed,
    Control,
    Unattributed,
}

impl WireSide {
    fn of(place: &Place) -> Self {
        match (&place.segment, place.cohort) {
            (Some(segment), cohort) => Self::Segment(segment.to_string(), cohort.into()),
            (None, Cohort::Everybody) => Self::Everybody,
            (None, Cohort::Exposed) => Self::Exposed,
            (None, Cohort::Control) => Self::Control,
            (None, Cohort::Unattributed) => Self::Unattributed,
        }
    }

    fn read(self) -> Result<(Cohort, Option<SegmentId>), DecodeError> {
        Ok(match self {
            Self::Everybody => (Cohort::Everybody, None),
            Self::Exposed => (Cohort::Exposed, None),
            Self::Control => (Cohort::Control, None),
            Self::Unattributed => (Cohort::Unattributed, None),
            Self::Segment(segment, cohort) => (cohort.into(), Some(id("segment", &segment)?)),
        })
    }
}

impl From<Cohort> for WireCohort {
    fn from(cohort: Cohort) -> Self {
        match cohort {
            Cohort::Everybody => Self::Everybody,
            Cohort::Exposed => Self::Exposed,
            Cohort::Control => Self::Control,
            Cohort::Unattributed => Self::Unattributed,
        }
    }
}

impl From<WireCohort> for Cohort {
    fn from(wire: WireCohort) -> Self {
        match wire {
            WireCohort::Everybody => Self::Everybody,
            WireCohort::Exposed => Self::Exposed,
            WireCohort::Control => Self::Control,
            WireCohort::Unattributed => Self::Unattributed,
        }
    }
}

#[derive(Encode, Decode)]
pub(super) struct WireCounting {
    key: [u8; 32],
    currencies: List<(String, u64)>,
}

#[derive(Encode, Decode)]
pub(super) struct WireClaimed(List<(WireSession, u64)>);

#[derive(Encode, Decode)]
pub(super) struct WireCounted {
    id: u64,
    refused: List<WireSession>,
}

fn session(wire: WireSession) -> SenderSession {
    SenderSession(Uuid::from_bytes(wire))
}

fn at_most(field: &'static str, len: usize, limit: usize) -> Result<(), DecodeError> {
    if len > limit {
        return Err(invalid(field, format!("has {len}, at most {limit} may be")));
    }
    Ok(())
}

impl WireClaim {
    pub(super) fn new(sessions: &[SenderSession]) -> Self {
        Self(sessions.iter().map(|one| one.0.into_bytes()).collect())
    }

    pub(super) fn into_frame(self) -> Result<EdgeFrame, DecodeError> {
        let sessions = self.0.into_inner();
        at_most("claim", sessions.len(), MAX_BATCHES)?;
        Ok(EdgeFrame::Claim(
            sessions.into_iter().map(session).collect(),
        ))
    }
}

impl From<&Aggregate> for WireAggregate {
    fn from(aggregate: &Aggregate) -> Self {
        let batches = aggregate.batches.iter();
        Self {
            id: aggregate.id,
            batches: batches
                .map(|(session, batch)| (session.0.into_bytes(), *batch))
                .collect(),
            cells: aggregate.cells.iter().map(WireCell::from).collect(),
        }
    }
}

impl WireAggregate {
    pub(super) fn into_frame(self) -> Result<EdgeFrame, DecodeError> {
        let (batches, cells) = (self.batches.into_inner(), self.cells.into_inner());
        at_most("batches", batches.len(), MAX_BATCHES)?;
        at_most("cells", cells.len(), MAX_CELLS)?;
        let batches = batches.into_iter();
        Ok(EdgeFrame::Aggregate(Aggregate {
            id: self.id,
            batches: batches.map(|(one, batch)| (session(one), batch)).collect(),
            cells: cells
                .into_iter()
                .map(Cell::try_from)
                .collect::<Result<_, _>>()?,
        }))
    }
}

impl From<&Cell> for WireCell {
    fn from(cell: &Cell) -> Self {
        let (place, tally) = (&cell.place, &cell.tally);
        let sketch = |players: &Distinct| players.to_bytes().into_iter().collect();
        Self {
            region: place.region.to_string(),
            event: place.event.to_string(),
            revision: place.revision.map(|revision| revision.0),
            variant: place.variant.clone(),
            side: WireSide::of(place),
            second: cell.second.as_second(),
            sums: tally.sums.to_array().into_iter().collect(),
            active: sketch(&tally.active),
            participants: sketch(&tally.participants),
            completers: sketch(&tally.completers),
            payers: sketch(&tally.payers),
        }
    }
}

impl TryFrom<WireCell> for Cell {
    type Error = DecodeError;

    fn try_from(wire: WireCell) -> Result<Self, DecodeError> {
        let variant = wire.variant.as_ref();
        at_most("variant", variant.map_or(0, String::len), MAX_NAME)?;
        let (cohort, segment) = wire.side.read()?;
        let sums = <[u64; Sums::COUNT]>::try_from(wire.sums.into_inner());
        let sums = sums.map_err(|sums| invalid("sums", format!("has {}", sums.len())))?;
        let sketch = |field, bytes: List<u8>| {
            Distinct::from_bytes(&bytes.into_inner()).map_err(|error| invalid(field, error))
        };
        Ok(Self {
            place: Place {
                region: id("region", &wire.region)?,
                event: id("event", &wire.event)?,
                revision: wire.revision.map(Revision),
                variant: wire.variant,
                cohort,
                segment,
            },
            second: Timestamp::from_second(wire.second)
                .map_err(|error| invalid("second", error))?,
            tally: Tally {
                sums: Sums::from_array(sums),
                active: sketch("active", wire.active)?,
                participants: sketch("participants", wire.participants)?,
                completers: sketch("completers", wire.completers)?,
                payers: sketch("payers", wire.payers)?,
            },
        })
    }
}

impl WireCounting {
    pub(super) fn new(key: &[u8; 32], currencies: &Currencies) -> Self {
        let rates = currencies.iter();
        Self {
            key: *key,
            currencies: rates
                .map(|(code, rate)| (code.to_owned(), rate.micros()))
                .collect(),
        }
    }

    pub(super) fn into_frame(self) -> Result<OriginFrame, DecodeError> {
        let rates = self.currencies.into_inner();
        at_most("currencies", rates.len(), MAX_CURRENCIES)?;
        let rates = rates.into_iter().map(|(code, micros)| {
            at_most("currency", code.len(), MAX_NAME)?;
            let rate = Rate::new(micros).ok_or_else(|| invalid("rate", "is out of bounds"))?;
            Ok((code, rate))
        });
        Ok(OriginFrame::Counting {
            key: self.key,
            currencies: rates.collect::<Result<_, DecodeError>>()?,
        })
    }
}

impl WireClaimed {
    pub(super) fn new(sessions: &[(SenderSession, u64)]) -> Self {
        let sessions = sessions.iter();
        Self(
            sessions
                .map(|(session, batch)| (session.0.into_bytes(), *batch))
                .collect(),
        )
    }

    pub(super) fn into_frame(self) -> Result<OriginFrame, DecodeError> {
        let sessions = self.0.into_inner();
        at_most("claimed", sessions.len(), MAX_BATCHES)?;
        let sessions = sessions.into_iter();
        let claimed = sessions.map(|(one, batch)| (session(one), batch));
        Ok(OriginFrame::Claimed(claimed.collect()))
    }
}

impl WireCounted {
    pub(super) fn new(id: u64, refused: &[SenderSession]) -> Self {
        Self {
            id,
            refused: refused.iter().map(|one| one.0.into_bytes()).collect(),
        }
    }

    pub(super) fn into_frame(self) -> Result<OriginFrame, DecodeError> {
        let refused = self.refused.into_inner();
        at_most("refused", refused.len(), MAX_BATCHES)?;
        Ok(OriginFrame::Counted {
            id: self.id,
            refused: refused.into_iter().map(session).collect(),
        })
    }
}
