//! From what the origin sends to the next state. Pure.
//!
//! Rows are taken only if they continue what is held: without a gap, and by the digest chained over their very
//! bytes. What is held already is skipped, so a row may come twice. All of a frame is applied or nothing.
//!
//! A snapshot comes in chunks and counts once it is whole. Nothing is taken of an earlier epoch than the one the
//! origin has confirmed.

use liveevents_protocol::codec::{self, DecodeError};
use liveevents_protocol::entry::{Delta, Snapshot, Stamped};
use liveevents_protocol::frame::{FORMAT_V1, Row, Rows, SnapshotChunk};
use liveevents_protocol::position::{Digest, SealedPosition};
use liveevents_protocol::state::{ApplyError, Dangling, RegionState};
use liveevents_protocol::version::{Epoch, Version};

use super::Published;
use crate::limits::MAX_SNAPSHOT;

/// Why something was not taken. What was held before still is.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// The rows continue another history than the one held.
    #[error("the digests say that the rows continue another history")]
    BrokenChain,
    /// The origin tells an epoch before the one that it has confirmed.
    #[error("epoch {theirs} is before {ours}")]
    EarlierEpoch {
        /// The epoch held.
        ours: Epoch,
        /// The epoch told.
        theirs: Epoch,
    },
    /// Rows are missing.
    #[error("rows begin at {first}, after {version} is held")]
    Gap {
        /// The version held.
        version: Version,
        /// The first row's.
        first: Version,
    },
    /// A chunk that does not follow the one before.
    #[error("chunk {index} does not follow the one before")]
    Disorder {
        /// Its place.
        index: u32,
    },
    /// A snapshot above [`MAX_SNAPSHOT`].
    #[error("a snapshot above {MAX_SNAPSHOT} bytes")]
    TooLarge,
    /// Entries that are none.
    #[error("entries cannot be decoded")]
    Undecodable(#[source] DecodeError),
    /// Entries that contradict their versions.
    #[error("entries cannot be applied")]
    Contradiction(#[source] ApplyError),
    /// An assignment without the content that it names.
    #[error("the state would be incomplete")]
    Incomplete(#[source] Dangling),
}

impl Refused {
    /// The label of a metric.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::BrokenChain => "broken-chain",
            Self::EarlierEpoch { .. } => "earlier-epoch",
            Self::Gap { .. } => "gap",
            Self::Disorder { .. } => "disorder",
            Self::TooLarge => "too-large",
            Self::Undecodable(_) => "undecodable",
            Self::Contradiction(_) => "contradiction",
            Self::Incomplete(_) => "incomplete",
        }
    }
}

/// The state after rows, or `None` if all of them are held already.
///
/// # Errors
/// If they do not continue what is held, or are no rows.
pub(crate) fn apply_rows(
    current: Option<&Published>,
    rows: &Rows,
) -> Result<Option<Published>, Refused> {
    let to = rows.position.position;
    let (mut state, mut digest) = base(current, to.epoch)?;
    let news: Vec<&Row> = rows
        .rows
        .iter()
        .filter(|row| row.version > state.version())
        .collect();
    let Some(first) = news.first() else {
        return match current {
            Some(_) if to.version == state.version() && to.digest != digest => {
                Err(Refused::BrokenChain)
            }
            Some(held) if to.version == state.version() && !held.is_confirmed() => Ok(Some(
                Published::from_origin(state, rows.position, held.committed_at()),
            )),
            _ => Ok(None),
        };
    };
    if first.version != state.version().next() {
        return Err(Refused::Gap {
            version: state.version(),
            first: first.version,
        });
    }
    for row in &news {
        digest = digest.chain(row.version, row.change, FORMAT_V1, &row.entries);
    }
    if digest != to.digest {
        return Err(Refused::BrokenChain);
    }
    for row in &news {
        let entries =
            codec::decode_entries(FORMAT_V1, &row.entries).map_err(Refused::Undecodable)?;
        let events: Vec<_> = entries
            .iter()
            .map(|entry| entry.key().event().clone())
            .collect();
        let delta = Delta::of_row(to.epoch, row.version, entries);
        state = state.apply(&delta).map_err(Refused::Contradiction)?;
        for event in events {
            state.check(&event).map_err(Refused::Incomplete)?;
        }
    }
    let committed_at = news.last().map(|row| row.committed_at);
    Ok(Some(Published::from_origin(
        state,
        rows.position,
        committed_at,
    )))
}

/// What rows of an epoch have to continue.
fn base(current: Option<&Published>, epoch: Epoch) -> Result<(RegionState, Digest), Refused> {
    match current {
        Some(held) if held.state().epoch() == epoch => {
            Ok((held.state().clone(), held.sealed().position.digest))
        }
        _ => match current.and_then(Published::confirmed) {
            Some(confirmed) if confirmed.epoch > epoch => Err(Refused::EarlierEpoch {
                ours: confirmed.epoch,
                theirs: epoch,
            }),
            _ => Ok((RegionState::empty(epoch), Digest::START)),
        },
    }
}

/// A snapshot on its way.
#[derive(Debug)]
pub(crate) struct Assembly {
    position: SealedPosition,
    floor: Version,
    next: u32,
    size: usize,
    entries: Vec<Stamped>,
}

impl Assembly {
    /// Takes a chunk; gives the state that it completes. An index of 0 begins anew; after an error there is
    /// nothing left to continue.
    ///
    /// # Errors
    /// If it does not follow the chunk before, or the whole is too large or no state.
    pub(crate) fn add(
        slot: &mut Option<Self>,
        chunk: &SnapshotChunk,
    ) -> Result<Option<Published>, Refused> {
        let begun = if chunk.index == 0 {
            slot.take();
            Some(Self {
                position: chunk.position,
                floor: chunk.floor,
                next: 0,
                size: 0,
                entries: Vec::new(),
            })
        } else {
            slot.take()
        };
        let follows = |a: &Self| {
            a.next == chunk.index && a.position == chunk.position && a.floor == chunk.floor
        };
        let Some(mut assembly) = begun.filter(follows) else {
            return Err(Refused::Disorder { index: chunk.index });
        };
        assembly.size = assembly.size.saturating_add(chunk.entries.len());
        if assembly.size > MAX_SNAPSHOT {
            return Err(Refused::TooLarge);
        }
        let entries = codec::decode_stamped(&chunk.entries).map_err(Refused::Undecodable)?;
        assembly.entries.extend(entries);
        assembly.next = assembly.next.saturating_add(1);
        if chunk.last {
            assembly.finish().map(Some)
        } else {
            *slot = Some(assembly);
            Ok(None)
        }
    }

    fn finish(self) -> Result<Published, Refused> {
        let state = whole_state(&self.position, self.floor, self.entries)?;
        Ok(Published::from_origin(state, self.position, None))
    }
}

/// The state that stamped entries are, complete.
///
/// # Errors
/// If they contradict their position, or an assignment lacks its content.
pub(crate) fn whole_state(
    sealed: &SealedPosition,
    floor: Version,
    entries: Vec<Stamped>,
) -> Result<RegionState, Refused> {
    let state = RegionState::from_snapshot(Snapshot {
        epoch: sealed.position.epoch,
        version: sealed.position.version,
        floor,
        entries,
    })
    .map_err(Refused::Contradiction)?;
    for assignment in state.assignments() {
        state
            .check(&assignment.event_id)
            .map_err(Refused::Incomplete)?;
    }
    Ok(state)
}
