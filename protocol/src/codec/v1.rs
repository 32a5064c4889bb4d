//! Version 1 of the wire form: structs apart from the domain's, frozen. A field added or moved here breaks
//! every edge in the field; the golden files in `protocol/golden/v1` say so before they do.
//!
//! Times are microseconds since 1970; identifiers are text; UUIDs 16 bytes; JSON is text.

mod convert;
mod engagement;
mod forget;
mod list;
mod raw;
mod report;
mod segment;
mod trust;

use bincode::{Decode, Encode};

use super::{DecodeError, EncodeError, too_large};
use crate::entry::{Entry, Stamped};
use crate::frame::{EdgeFrame, OriginFrame};
use crate::limits::{MAX_AGGREGATE, MAX_BODY, MAX_DECODED, MAX_HELLO, MAX_REPORT, MAX_ROW};
use crate::trust::TrustBundle;
use crate::version::Version;

use list::{Apart, List};
use segment::WireSegment;
use trust::WireSignedTrust;

pub use raw::RawEntry;

#[derive(Encode, Decode)]
struct WireHello {
    installation: String,
    edge: String,
    boot: [u8; 16],
    token: String,
    build: String,
    capabilities: Vec<String>,
    address: String,
    regions: Vec<(String, Option<WirePosition>)>,
}

#[derive(Encode, Decode)]
struct WirePosition {
    epoch: [u8; 16],
    version: u64,
    digest: [u8; 32],
    mac: [u8; 16],
}

#[derive(Encode, Decode)]
struct WireAck {
    region: String,
    epoch: [u8; 16],
    version: u64,
    applied_at: i64,
}

#[derive(Encode, Decode)]
struct WireEdgeHeartbeat {
    sent_at: i64,
}

#[derive(Encode, Decode)]
struct WireBye {}

#[derive(Encode, Decode)]
struct WireWelcome {
    session: u64,
    time: i64,
    trust: WireSignedTrust,
}

#[derive(Encode, Decode)]
struct WireChunk {
    region: String,
    position: WirePosition,
    floor: u64,
    index: u32,
    last: bool,
    entries: Vec<u8>,
}

#[derive(Encode, Decode)]
struct WireRows {
    region: String,
    position: WirePosition,
    rows: Vec<WireRow>,
}

#[derive(Encode, Decode)]
struct WireRow {
    version: u64,
    change: [u8; 16],
    committed_at: i64,
    entries: Vec<u8>,
}

#[derive(Encode, Decode)]
struct WireOriginHeartbeat {
    echo: i64,
    time: i64,
}

#[derive(Encode, Decode)]
struct WireDrain {
    spread_ms: u64,
}

#[derive(Encode, Decode)]
struct WireStamped {
    version: u64,
    entry: WireEntry,
}

#[derive(Encode, Decode)]
enum WireEntry {
    Content(Apart<WireContent>),
    Assignment(WireAssignment),
    RemoveContent { event: String, revision: u32 },
    RemoveAssignment { event: String },
    Segment(Apart<WireSegment>),
    RemoveSegment { segment: String },
}

#[derive(Encode, Decode)]
struct WireContent {
    event: String,
    revision: u32,
    event_type: WireEventType,
    display_name: String,
    description: String,
    category: Option<String>,
    priority: i32,
    tags: List<String>,
    localizations: List<WireLocalization>,
    conditions: WireConditions,
    configuration: String,
}

/// In the place of what first was an optional struct, and lies on the wire as that did.
#[derive(Encode, Decode)]
enum WireConditions {
    None,
    Plain(Box<WireDemands>),
    Segmented(Box<WireSegmented>),
}

#[derive(Encode, Decode)]
struct WireSegmented {
    demands: WireDemands,
    targets: List<String>,
    excludes: List<String>,
}

#[derive(Encode, Decode)]
struct WireDemands {
    min_build: Option<String>,
    max_build: Option<String>,
    /// Seconds; none keeps.
    hide_after: Option<u32>,
}

#[derive(Encode, Decode)]
enum WireEventType {
    SeasonalPromotion,
    LimitedTimeOffer,
    CompetitiveEvent,
    ContentRelease,
    RetentionCampaign,
    ABTestVariant,
}

#[derive(Encode, Decode)]
struct WireLocalization {
    language: String,
    display_name: Option<String>,
    description: Option<String>,
    custom_fields: Option<String>,
}

#[derive(Encode, Decode)]
struct WireAssignment {
    event: String,
    salt: String,
    live: Option<u32>,
    candidate: Option<WireCandidate>,
    schedule: List<(i64, i64)>,
    paused: bool,
    /// Bit 0: stopped; bit 1: full. First it was whether it is stopped, and lies on the wire as that did.
    marks: u8,
}

#[derive(Encode, Decode)]
struct WireCandidate {
    revision: u32,
    exposure: u16,
    bucket_by: String,
}

/// Kind bytes: edges' below 64, the origin's from 64 on.
mod kind {
    pub(super) const HELLO: u8 = 1;
    pub(super) const ACK: u8 = 2;
    pub(super) const EDGE_HEARTBEAT: u8 = 3;
    pub(super) const BYE: u8 = 4;
    pub(super) const DELIVERY: u8 = 5;
    pub(super) const DEGRADED: u8 = 6;
    pub(super) const CLAIM: u8 = 7;
    pub(super) const AGGREGATE: u8 = 8;
    pub(super) const FORGOTTEN: u8 = 9;
    pub(super) const WELCOME: u8 = 64;
    pub(super) const TRUST: u8 = 65;
    pub(super) const SNAPSHOT_CHUNK: u8 = 66;
    pub(super) const ROWS: u8 = 67;
    pub(super) const ORIGIN_HEARTBEAT: u8 = 68;
    pub(super) const DRAIN: u8 = 69;
    pub(super) const DIRECTORY: u8 = 70;
    pub(super) const COUNTING: u8 = 71;
    pub(super) const CLAIMED: u8 = 72;
    pub(super) const COUNTED: u8 = 73;
    pub(super) const FORGET: u8 = 74;
}

pub(super) fn edge_frame_body(frame: &EdgeFrame) -> Result<(u8, Vec<u8>), EncodeError> {
    Ok(match frame {
        EdgeFrame::Hello(hello) => (kind::HELLO, write(WireHello::from(hello), MAX_HELLO)?),
        EdgeFrame::Ack {
            region,
            epoch,
            version,
            applied_at,
        } => {
            let ack = WireAck {
                region: region.to_string(),
                epoch: epoch.0.into_bytes(),
                version: version.0,
                applied_at: applied_at.as_microsecond(),
            };
            (kind::ACK, write(ack, MAX_BODY)?)
        }
        EdgeFrame::Heartbeat { sent_at } => {
            let beat = WireEdgeHeartbeat {
                sent_at: sent_at.as_microsecond(),
            };
            (kind::EDGE_HEARTBEAT, write(beat, MAX_BODY)?)
        }
        EdgeFrame::Delivery(delivery) => (
            kind::DELIVERY,
            write(report::WireDelivery::from(delivery), MAX_REPORT)?,
        ),
        EdgeFrame::Degraded { region, entries } => (
            kind::DEGRADED,
            write(report::WireDegraded::new(region, entries), MAX_REPORT)?,
        ),
        EdgeFrame::Claim(sessions) => (
            kind::CLAIM,
            write(engagement::WireClaim::new(sessions), MAX_REPORT)?,
        ),
        EdgeFrame::Aggregate(aggregate) => (
            kind::AGGREGATE,
            write(engagement::WireAggregate::from(aggregate), MAX_AGGREGATE)?,
        ),
        EdgeFrame::Forgotten(ids) => (
            kind::FORGOTTEN,
            write(forget::WireForgotten::new(ids), MAX_REPORT)?,
        ),
        EdgeFrame::Bye => (kind::BYE, write(WireBye {}, MAX_BODY)?),
    })
}

pub(super) fn edge_frame(kind: u8, body: &[u8]) -> Result<EdgeFrame, DecodeError> {
    match kind {
        kind::HELLO => read::<WireHello, MAX_HELLO>(body)?
            .try_into()
            .map(EdgeFrame::Hello),
        kind::ACK => convert::ack(read::<_, MAX_HELLO>(body)?),
        kind::EDGE_HEARTBEAT => {
            let WireEdgeHeartbeat { sent_at } = read::<_, MAX_HELLO>(body)?;
            Ok(EdgeFrame::Heartbeat {
                sent_at: convert::time("sentAt", sent_at)?,
            })
        }
        kind::BYE => read::<WireBye, MAX_HELLO>(body).map(|WireBye {}| EdgeFrame::Bye),
        kind::DELIVERY => read::<report::WireDelivery, MAX_REPORT>(body)?
            .try_into()
            .map(EdgeFrame::Delivery),
        kind::DEGRADED => read::<report::WireDegraded, MAX_REPORT>(body)?.into_frame(),
        kind::CLAIM => read::<engagement::WireClaim, MAX_REPORT>(body)?.into_frame(),
        kind::AGGREGATE => {
            too_large(body.len(), MAX_AGGREGATE)?;
            read::<engagement::WireAggregate, MAX_DECODED>(body)?.into_frame()
        }
        kind::FORGOTTEN => read::<forget::WireForgotten, MAX_REPORT>(body)?.into_frame(),
        other => Err(DecodeError::UnknownKind(other)),
    }
}

pub(super) fn origin_frame_body(frame: &OriginFrame) -> Result<(u8, Vec<u8>), EncodeError> {
    Ok(match frame {
        OriginFrame::Welcome {
            session,
            time,
            trust,
        } => {
            let welcome = WireWelcome {
                session: *session,
                time: time.as_microsecond(),
                trust: trust.into(),
            };
            (kind::WELCOME, write(welcome, MAX_BODY)?)
        }
        OriginFrame::Trust(trust) => (kind::TRUST, write(WireSignedTrust::from(trust), MAX_BODY)?),
        OriginFrame::SnapshotChunk(chunk) => (
            kind::SNAPSHOT_CHUNK,
            write(WireChunk::from(chunk), MAX_BODY)?,
        ),
        OriginFrame::Rows(rows) => (kind::ROWS, write(WireRows::from(rows), MAX_BODY)?),
        OriginFrame::Heartbeat { echo, time } => {
            let beat = WireOriginHeartbeat {
                echo: echo.as_microsecond(),
                time: time.as_microsecond(),
            };
            (kind::ORIGIN_HEARTBEAT, write(beat, MAX_BODY)?)
        }
        OriginFrame::Drain { spread_ms } => {
            let drain = WireDrain {
                spread_ms: *spread_ms,
            };
            (kind::DRAIN, write(drain, MAX_BODY)?)
        }
        OriginFrame::Directory(regions) => (
            kind::DIRECTORY,
            write(report::WireDirectory::from(regions.as_slice()), MAX_BODY)?,
        ),
        OriginFrame::Counting { key, currencies } => (
            kind::COUNTING,
            write(engagement::WireCounting::new(key, currencies), MAX_REPORT)?,
        ),
        OriginFrame::Claimed(sessions) => (
            kind::CLAIMED,
            write(engagement::WireClaimed::new(sessions), MAX_REPORT)?,
        ),
        OriginFrame::Counted { id, refused } => (
            kind::COUNTED,
            write(engagement::WireCounted::new(*id, refused), MAX_REPORT)?,
        ),
        OriginFrame::Forget { id, player } => (
            kind::FORGET,
            write(forget::WireForget::new(*id, player), MAX_HELLO)?,
        ),
    })
}

pub(super) fn origin_frame(kind: u8, body: &[u8]) -> Result<OriginFrame, DecodeError> {
    match kind {
        kind::WELCOME => convert::welcome(read::<_, MAX_BODY>(body)?),
        kind::TRUST => Ok(OriginFrame::Trust(
            read::<WireSignedTrust, MAX_BODY>(body)?.into(),
        )),
        kind::SNAPSHOT_CHUNK => read::<WireChunk, MAX_BODY>(body)?
            .try_into()
            .map(OriginFrame::SnapshotChunk),
        kind::ROWS => read::<WireRows, MAX_BODY>(body)?
            .try_into()
            .map(OriginFrame::Rows),
        kind::ORIGIN_HEARTBEAT => {
            let WireOriginHeartbeat { echo, time } = read::<_, MAX_HELLO>(body)?;
            Ok(OriginFrame::Heartbeat {
                echo: convert::time("echo", echo)?,
                time: convert::time("time", time)?,
            })
        }
        kind::DRAIN => {
            let WireDrain { spread_ms } = read::<_, MAX_HELLO>(body)?;
            Ok(OriginFrame::Drain { spread_ms })
        }
        kind::DIRECTORY => read::<report::WireDirectory, MAX_BODY>(body)?.into_frame(),
        kind::COUNTING => read::<engagement::WireCounting, MAX_REPORT>(body)?.into_frame(),
        kind::CLAIMED => read::<engagement::WireClaimed, MAX_REPORT>(body)?.into_frame(),
        kind::COUNTED => read::<engagement::WireCounted, MAX_REPORT>(body)?.into_frame(),
        kind::FORGET => read::<forget::WireForget, MAX_HELLO>(body)?.into_frame(),
        other => Err(DecodeError::UnknownKind(other)),
    }
}

pub(super) fn encode_entries(entries: &[Entry]) -> Result<Vec<u8>, EncodeError> {
    list::write::<WireEntry, _>(entries)
}

pub(super) fn decode_entries(bytes: &[u8]) -> Result<Vec<Entry>, DecodeError> {
    list::read::<WireEntry, _>(bytes)
}

pub(super) fn encode_stamped(entries: &[Stamped]) -> Result<Vec<u8>, EncodeError> {
    list::write::<WireStamped, _>(entries)
}

pub(super) fn decode_stamped(bytes: &[u8]) -> Result<Vec<Stamped>, DecodeError> {
    list::read::<WireStamped, _>(bytes)
}

pub(super) fn raw_entries(bytes: &[u8]) -> Result<Vec<RawEntry>, DecodeError> {
    raw::entries(bytes)
}

pub(super) fn raw_stamped(bytes: &[u8]) -> Result<Vec<(Version, RawEntry)>, DecodeError> {
    raw::stamped(bytes)
}

pub(super) fn stamped_len(entry: &Stamped) -> Result<usize, EncodeError> {
    write(WireStamped::from(entry), MAX_ROW).map(|bytes| bytes.len())
}

pub(super) fn encode_trust(bundle: &TrustBundle) -> Result<Vec<u8>, EncodeError> {
    trust::encode(bundle)
}

pub(super) fn decode_trust(bytes: &[u8]) -> Result<TrustBundle, DecodeError> {
    trust::decode(bytes)
}

fn write<T: Encode>(value: T, limit: usize) -> Result<Vec<u8>, EncodeError> {
    let bytes = bincode::encode_to_vec(value, bincode::config::standard())
        .map_err(|error| EncodeError::Unencodable(error.to_string()))?;
    if bytes.len() > limit {
        return Err(EncodeError::TooLarge {
            len: bytes.len(),
            limit,
        });
    }
    Ok(bytes)
}

fn read<T: Decode<()>, const LIMIT: usize>(bytes: &[u8]) -> Result<T, DecodeError> {
    too_large(bytes.len(), LIMIT)?;
    let (value, read) = read_within::<T, LIMIT>(bytes)?;
    no_trailing(bytes, read)?;
    Ok(value)
}

/// A value and how many bytes it was. `MEMORY` is what bincode may claim for it: its bytes, and lists'
/// elements before they are read.
fn read_within<T: Decode<()>, const MEMORY: usize>(
    bytes: &[u8],
) -> Result<(T, usize), DecodeError> {
    let config = bincode::config::standard().with_limit::<MEMORY>();
    bincode::decode_from_slice(bytes, config)
        .map_err(|error| DecodeError::Malformed(error.to_string()))
}

fn no_trailing(bytes: &[u8], read: usize) -> Result<(), DecodeError> {
    match bytes.len().saturating_sub(read) {
        0 => Ok(()),
        more => Err(DecodeError::Trailing(more)),
    }
}
