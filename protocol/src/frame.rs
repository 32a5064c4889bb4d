//! What origin and edge say to each other.
//!
//! These are the domain's terms; how they lie on the wire is [`crate::codec`]'s business. One
//! bidirectional stream a connection: the edge opens it and says [`EdgeFrame::Hello`], the origin answers
//! [`OriginFrame::Welcome`] or closes with a [`crate::close::CloseReason`]; then, for each region of the
//! hello, rows from the cursor or a snapshot, then rows as they happen.

use jiff::Timestamp;

use crate::delay::Delays;
use crate::engagement::{Cell, Currencies, SenderSession};
use crate::entry::EntryKey;
use crate::id::{BootId, ChangeId, EdgeId, ErasureId, EventId, Installation, RegionId};
use crate::position::SealedPosition;
use crate::trust::SignedTrust;
use crate::version::{Epoch, Revision, Version};

/// The protocol version spoken here, as ALPN names it.
pub const ALPN_V1: &[u8] = b"liveevents/1";

/// The format number of entries encoded by version 1, as stored beside each log row.
pub const FORMAT_V1: u8 = 1;

/// The capability of an edge that understands [`OriginFrame::Drain`].
pub const DRAIN: &str = "drain";

/// The capability of an edge that understands [`OriginFrame::Directory`].
pub const DIRECTORY: &str = "directory";

/// The capability of an edge that holds segments and evaluates contents for them: an entry of a segment, and a content
/// that names one, is nothing that an edge without it can read.
pub const SEGMENTS: &str = "segments";

/// The capability of an edge that tells what game servers report: it is sent [`OriginFrame::Counting`], and only then claims
/// sessions, since an older origin would not know what that is.
pub const ENGAGEMENT: &str = "engagement";

/// The capability of an edge that reads an assignment that is marked full.
pub const PLACES: &str = "places";

/// The capability of an edge that understands [`OriginFrame::Forget`].
pub const FORGET: &str = "forget";

/// From edge to origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EdgeFrame {
    /// The first frame.
    Hello(Hello),
    /// The edge holds this version of a region.
    Ack {
        /// Which region.
        region: RegionId,
        /// Of which history.
        epoch: Epoch,
        /// Up to and including.
        version: Version,
        /// When it was applied, by the edge's clock.
        applied_at: Timestamp,
    },
    /// Sign of life, answered by the origin's.
    Heartbeat {
        /// The edge's clock.
        sent_at: Timestamp,
    },
    /// What the game servers of one region hold.
    Delivery(Delivery),
    /// What this edge cannot apply, whole: said after a welcome if there is any, and whenever it changes.
    Degraded {
        /// In which region.
        region: RegionId,
        /// At most [`crate::limits::MAX_COMPLAINTS`]; none once all is well.
        entries: Vec<Quarantined>,
    },
    /// The edge is about to take the batches of these sessions; at most [`crate::limits::MAX_BATCHES`].
    Claim(Vec<SenderSession>),
    /// What game servers have reported. One is under way at a time.
    Aggregate(Aggregate),
    /// The edge holds nothing more of what it was told to forget; at most [`crate::limits::MAX_FORGOTTEN`].
    Forgotten(Vec<ErasureId>),
    /// The edge leaves on purpose and is not to be waited for.
    Bye,
}

/// What the game servers of one region of one edge hold, and what has happened since the last report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Which region.
    pub region: RegionId,
    /// Of which history.
    pub epoch: Epoch,
    /// Game servers connected.
    pub connected: u32,
    /// How many stand where, by ascending version; at most [`crate::limits::MAX_STANDINGS`].
    pub standings: Vec<Standing>,
    /// Deliveries acked since the last report, by version; at most as many.
    pub arrivals: Vec<Arrivals>,
    /// What game servers could not use, since the last report; at most [`crate::limits::MAX_COMPLAINTS`].
    pub nacks: Vec<Nack>,
}

/// Game servers whose newest version of a kind is exactly this one. The oldest told stands for all older ones too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The version.
    pub version: Version,
    /// Have received it, and nothing newer.
    pub received: u32,
    /// Show it, and nothing newer.
    pub applied: u32,
    /// Have deferred it, and show something older.
    pub deferred: u32,
}

/// How long a version took from its commit to game servers' acks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrivals {
    /// The version.
    pub version: Version,
    /// How long.
    pub delays: Delays,
}

/// Game servers that could not use an event, for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nack {
    /// Which event.
    pub event: EventId,
    /// Which revision, if it is one.
    pub revision: Option<Revision>,
    /// The newest version of which it was said.
    pub version: Version,
    /// How many said so.
    pub count: u32,
    /// Their words; at most [`crate::limits::MAX_REASON`] bytes.
    pub reason: String,
}

/// An entry that an edge has set aside, serving the last good one under its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Which.
    pub key: EntryKey,
    /// The version that brought it.
    pub version: Version,
    /// Why; at most [`crate::limits::MAX_REASON`] bytes.
    pub reason: String,
}

/// Batches of some sessions, added up: counted all together, or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregate {
    /// Comes back with the answer.
    pub id: u64,
    /// Whose, and up to which batch; at most [`crate::limits::MAX_BATCHES`].
    pub batches: Vec<(SenderSession, u64)>,
    /// What they come to; at most [`crate::limits::MAX_CELLS`].
    pub cells: Vec<Cell>,
}

/// Who connects, and what it holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Hello {
    /// Which installation the edge serves.
    pub installation: Installation,
    /// Its name, stable across restarts.
    pub edge: EdgeId,
    /// This run of its process.
    pub boot: BootId,
    /// Proof that it may replicate the regions.
    pub token: String,
    /// Its release.
    pub build: String,
    /// What it understands beyond the protocol version.
    pub capabilities: Vec<String>,
    /// Where game servers and players reach it (`http://host:port`), told to those who ask a wrong
    /// edge.
    pub address: String,
    /// The regions it replicates, its home first, each with the position it holds.
    pub regions: Vec<(RegionId, Option<SealedPosition>)>,
}

impl std::fmt::Debug for Hello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hello")
            .field("installation", &self.installation)
            .field("edge", &self.edge)
            .field("boot", &self.boot)
            .field("build", &self.build)
            .field("regions", &self.regions)
            .finish_non_exhaustive()
    }
}

/// From origin to edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OriginFrame {
    /// The hello was accepted.
    Welcome {
        /// This connection's number; a higher one supersedes it.
        session: u64,
        /// The origin's clock.
        time: Timestamp,
        /// Keys and revocations, whole.
        trust: SignedTrust,
    },
    /// Keys and revocations have changed.
    Trust(SignedTrust),
    /// A piece of a region's whole state.
    SnapshotChunk(SnapshotChunk),
    /// Log rows, one version after another.
    Rows(Rows),
    /// Answer to a heartbeat.
    Heartbeat {
        /// When the edge sent the one it answers, by the edge's clock.
        echo: Timestamp,
        /// The origin's clock.
        time: Timestamp,
    },
    /// Send the game servers elsewhere. Only to edges whose hello names [`DRAIN`].
    Drain {
        /// Over how many milliseconds.
        spread_ms: u64,
    },
    /// Where each region is served: addresses of live edges. Only to edges whose hello names [`DIRECTORY`].
    Directory(Vec<(RegionId, Vec<String>)>),
    /// How reports are counted. Only to edges whose hello names [`ENGAGEMENT`].
    Counting {
        /// What players' names are hashed with, so that sketches of all edges add up.
        key: [u8; 32],
        /// What purchases are worth.
        currencies: Currencies,
    },
    /// The edge may take the batches of these sessions, after those that were counted.
    Claimed(Vec<(SenderSession, u64)>),
    /// What became of an aggregate.
    Counted {
        /// Which.
        id: u64,
        /// Sessions in it that are other edges' by now. If there are any, nothing was counted; otherwise all was.
        refused: Vec<SenderSession>,
    },
    /// Drop all that is held of a player, and say so. Only to edges whose hello names [`FORGET`].
    Forget {
        /// Comes back with the answer.
        id: ErasureId,
        /// Whom; at most [`crate::limits::MAX_NAME`] bytes.
        player: String,
    },
}

/// A piece of a region's whole state. Chunks of one snapshot follow each other without rows of the same
/// region in between; an index of 0 begins anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotChunk {
    /// Which region.
    pub region: RegionId,
    /// The position that the whole is as of.
    pub position: SealedPosition,
    /// The oldest version from which the state can tell a delta.
    pub floor: Version,
    /// Its place, from 0.
    pub index: u32,
    /// Whether it completes the snapshot.
    pub last: bool,
    /// Stamped entries, encoded ([`crate::codec::decode_stamped`]).
    pub entries: Vec<u8>,
}

/// Consecutive log rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// Which region.
    pub region: RegionId,
    /// The position after the last row. The rows are `position.version - rows.len() + 1` and on.
    pub position: SealedPosition,
    /// At least one.
    pub rows: Vec<Row>,
}

/// One row of a region log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its version.
    pub version: Version,
    /// The decision it is part of.
    pub change: ChangeId,
    /// When it was written, by the database's clock.
    pub committed_at: Timestamp,
    /// Its entries as stored ([`crate::codec::decode_entries`]); the digest is taken over these bytes.
    pub entries: Vec<u8>,
}
