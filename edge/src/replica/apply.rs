//! From what the origin sends to the next state. Pure.
//!
//! Rows are taken only if they continue what is held: without a gap, and by the digest chained over their very
//! bytes. What is held already is skipped, so a row may come twice. All of a frame is applied or nothing.
//!
//! A snapshot comes in chunks and counts once it is whole. Nothing is taken of an earlier epoch than the one the
//! origin has confirmed.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use liveevents_protocol::codec::{self, DecodeError};
use liveevents_protocol::entry::{EntryKey, Snapshot, Stamped};
use liveevents_protocol::frame::{FORMAT_V1, Row, Rows, SnapshotChunk};
use liveevents_protocol::message::Cursor;
use liveevents_protocol::position::{Digest, SealedPosition};
use liveevents_protocol::state::{ApplyError, Dangling, RegionState};
use liveevents_protocol::version::{Epoch, Version};

use super::Published;
use super::quarantine::{Aside, Quarantine, Trial, attempt, settle_row, settle_snapshot};
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
    /// More entries than are set aside one by one.
    #[error("{0} entries cannot be applied")]
    TooMuchAside(usize),
    /// A fault of this program, and no single entry's.
    #[error("this edge failed at it")]
    Panicked,
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
            Self::TooMuchAside(_) => "too-much-aside",
            Self::Panicked => "panicked",
        }
    }
}

/// The state after rows, or `None` if all of them are held already. Entries that cannot be applied are set aside.
///
/// # Errors
/// If they do not continue what is held, or are no rows.
pub(crate) fn apply_rows(
    current: Option<&Published>,
    rows: &Rows,
    trial: &dyn Trial,
) -> Result<Option<Published>, Refused> {
    let applied = guarded(|| continue_with(current, rows, trial));
    trial.end();
    applied
}

/// A fault of this program is as good a reason to refuse as one of the origin.
fn guarded<T>(apply: impl FnOnce() -> Result<T, Refused>) -> Result<T, Refused> {
    catch_unwind(AssertUnwindSafe(apply)).unwrap_or(Err(Refused::Panicked))
}

fn continue_with(
    current: Option<&Published>,
    rows: &Rows,
    trial: &dyn Trial,
) -> Result<Option<Published>, Refused> {
    let to = rows.position.position;
    let (mut state, mut digest, mut quarantine) = base(current, to.epoch)?;
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
            Some(held) if to.version == state.version() && !held.is_confirmed() => {
                let confirmed = Published::from_origin(state, rows.position, held.committed_at());
                Ok(Some(confirmed.without(quarantine).continuing(current)))
            }
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
        (state, quarantine) = settle_row(&state, &quarantine, row, trial)?;
    }
    let committed_at = news.last().map(|row| row.committed_at);
    let next = Published::from_origin(state, rows.position, committed_at);
    Ok(Some(next.without(quarantine).continuing(current)))
}

/// What rows of an epoch have to continue.
fn base(
    current: Option<&Published>,
    epoch: Epoch,
) -> Result<(RegionState, Digest, Quarantine), Refused> {
    match current {
        Some(held) if held.state().epoch() == epoch => Ok((
            held.state().clone(),
            held.sealed().position.digest,
            held.quarantine().clone(),
        )),
        _ => match current.and_then(Published::confirmed) {
            Some(confirmed) if confirmed.epoch > epoch => Err(Refused::EarlierEpoch {
                ours: confirmed.epoch,
                theirs: epoch,
            }),
            _ => Ok((
                RegionState::empty(epoch),
                Digest::START,
                Quarantine::default(),
            )),
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
    /// Entries that are none.
    bad: BTreeMap<EntryKey, Aside>,
}

impl Assembly {
    /// Takes a chunk; gives the state that it completes, with what `current` has in the place of what cannot be applied.
    /// An index of 0 begins anew; after an error there is nothing left to continue.
    ///
    /// # Errors
    /// If it does not follow the chunk before, or the whole is too large or no state.
    pub(crate) fn add(
        slot: &mut Option<Self>,
        chunk: &SnapshotChunk,
        current: Option<&Published>,
        trial: &dyn Trial,
    ) -> Result<Option<Published>, Refused> {
        let added = guarded(|| Self::take(slot, chunk, current, trial));
        trial.end();
        added
    }

    fn take(
        slot: &mut Option<Self>,
        chunk: &SnapshotChunk,
        current: Option<&Published>,
        trial: &dyn Trial,
    ) -> Result<Option<Published>, Refused> {
        let begun = if chunk.index == 0 {
            slot.take();
            Some(Self {
                position: chunk.position,
                floor: chunk.floor,
                next: 0,
                size: 0,
                entries: Vec::new(),
                bad: BTreeMap::new(),
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
        assembly.look_into(chunk, trial)?;
        assembly.next = assembly.next.saturating_add(1);
        if chunk.last {
            assembly.finish(current).map(Some)
        } else {
            *slot = Some(assembly);
            Ok(None)
        }
    }

    fn look_into(&mut self, chunk: &SnapshotChunk, trial: &dyn Trial) -> Result<(), Refused> {
        let read = || codec::read_stamped(&chunk.entries);
        let raws = read().map_err(Refused::Undecodable)?;
        for (index, (version, raw)) in raws.into_iter().enumerate() {
            let key = raw.key().map_err(Refused::Undecodable)?;
            let epoch = self.position.position.epoch;
            let source = || Some(read().ok()?.into_iter().nth(index)?.1);
            match attempt(trial, Cursor { epoch, version }, &key, raw, source) {
                Ok(entry) => self.entries.push(Stamped { version, entry }),
                Err(aside) => drop(self.bad.insert(key, aside)),
            }
        }
        Ok(())
    }

    fn finish(self, current: Option<&Published>) -> Result<Published, Refused> {
        let snapshot = Snapshot {
            epoch: self.position.position.epoch,
            version: self.position.position.version,
            floor: self.floor,
            entries: self.entries,
        };
        let before = current.map(|held| (held.state(), held.quarantine()));
        let (state, quarantine) = settle_snapshot(snapshot, self.bad, before)?;
        Ok(Published::from_origin(state, self.position, None).without(quarantine))
    }
}

/// The state that stamped entries are, complete: nothing in them is forgiven.
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
