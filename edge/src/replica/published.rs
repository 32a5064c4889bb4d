//! A region's state as of one position, with what readers need of it as bytes.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use jiff::Timestamp;
use liveevents_protocol::message::{Cursor, MessageError};
use liveevents_protocol::position::SealedPosition;
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::{Epoch, Version};

use super::Quarantine;
use super::frames::{Base, Frames, Press, Selection, State, Told};
use super::offers::Offers;

/// A region's state as of one position. Immutable, but for the bytes that are made of it when first asked for.
#[derive(Debug)]
pub(crate) struct Published {
    state: RegionState,
    sealed: SealedPosition,
    committed_at: Option<Timestamp>,
    /// Up to where the origin has confirmed: its own cursor, or that of a state which this one has replaced.
    confirmed: Option<Cursor>,
    quarantine: Quarantine,
    frames: Frames,
    /// Of this state, or of one that it continues.
    base: Arc<Base>,
    offers: OnceLock<Offers>,
}

/// What a receiver is to be sent next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing: it holds this very version.
    Current,
    /// What changed since its version.
    Delta(Version),
    /// Everything.
    Snapshot,
    /// It is ahead: of a later epoch, or of a higher version of the same.
    Ahead,
}

/// Epochs are ordered, and versions within them.
pub(crate) fn place(at: Cursor) -> (Epoch, Version) {
    (at.epoch, at.version)
}

impl Published {
    /// A state that the origin told.
    pub(crate) fn from_origin(
        state: RegionState,
        sealed: SealedPosition,
        committed_at: Option<Timestamp>,
    ) -> Self {
        let confirmed = Some(Cursor {
            epoch: state.epoch(),
            version: state.version(),
        });
        let base = Arc::new(Base::new(State {
            state: &state,
            committed_at,
            degraded: false,
        }));
        Self {
            state,
            sealed,
            committed_at,
            confirmed,
            quarantine: Quarantine::default(),
            frames: Frames::default(),
            base,
            offers: OnceLock::new(),
        }
    }

    /// A state found in the cache, which the origin has not confirmed yet.
    pub(crate) fn from_cache(
        state: RegionState,
        sealed: SealedPosition,
        committed_at: Option<Timestamp>,
    ) -> Self {
        Self {
            confirmed: None,
            ..Self::from_origin(state, sealed, committed_at)
        }
    }

    /// The same without what is set aside.
    pub(crate) fn without(self, quarantine: Quarantine) -> Self {
        let lacking = Self { quarantine, ..self };
        let base = Arc::new(Base::new(lacking.told()));
        Self { base, ..lacking }
    }

    fn told(&self) -> State<'_> {
        State {
            state: &self.state,
            committed_at: self.committed_at,
            degraded: !self.quarantine.is_clear(),
        }
    }

    /// What it lacks, since it cannot be applied here.
    pub(crate) fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// Says that it was made by applying rows to what `held` holds: what readers need of it is made from what was
    /// needed of that, at the cost of what has changed.
    pub(crate) fn continuing(self, held: Option<&Self>) -> Self {
        let held = held.filter(|held| held.state.epoch() == self.state.epoch());
        let offers = held.and_then(|held| held.offers().after(&held.state, &self.state));
        let base = held
            .map(|held| &held.base)
            .filter(|base| base.serves(&self.state));
        Self {
            offers: offers.map_or_else(OnceLock::new, OnceLock::from),
            base: Arc::clone(base.unwrap_or(&self.base)),
            ..self
        }
    }

    /// The state.
    pub(crate) fn state(&self) -> &RegionState {
        &self.state
    }

    /// Its position, as the origin sealed it.
    pub(crate) fn sealed(&self) -> &SealedPosition {
        &self.sealed
    }

    /// When its last row was written, where that is known.
    pub(crate) fn committed_at(&self) -> Option<Timestamp> {
        self.committed_at
    }

    /// Whether the origin has told it, or has continued it.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed == Some(self.cursor())
    }

    /// Up to where the origin has confirmed what led here: there is no way back behind it.
    pub(crate) fn confirmed(&self) -> Option<Cursor> {
        self.confirmed
    }

    /// Takes over what was confirmed of the state that this one replaces.
    pub(super) fn succeed(&mut self, before: &Self) {
        if !self.is_confirmed() {
            self.confirmed = before.confirmed;
        }
        // Made of something else, such as a snapshot: what is the same all the same stays printed.
        self.offers
            .get_or_init(|| Offers::of(&self.state, before.offers()));
    }

    /// Its events, ready to be shown.
    pub(crate) fn offers(&self) -> &Offers {
        self.offers
            .get_or_init(|| Offers::of(&self.state, &Offers::default()))
    }

    /// Where a receiver is that holds it.
    pub(crate) fn cursor(&self) -> Cursor {
        Cursor {
            epoch: self.state.epoch(),
            version: self.state.version(),
        }
    }

    /// What a receiver is to be sent that holds `at`.
    pub(crate) fn step(&self, at: Option<Cursor>) -> Step {
        let Some(at) = at else {
            return Step::Snapshot;
        };
        let ours = self.cursor();
        if at == ours {
            Step::Current
        } else if at.epoch > ours.epoch || (at.epoch == ours.epoch && at.version > ours.version) {
            Step::Ahead
        } else if at.epoch < ours.epoch || at.version < self.state.floor() {
            Step::Snapshot
        } else {
            Step::Delta(at.version)
        }
    }

    /// The messages that tell all of it, in order, to a receiver that holds `held`: the same for all who need it. And
    /// where they lead: what changed since then, if anything, is told by a delta.
    ///
    /// # Errors
    /// If it has no JSON form, which no well-formed state has.
    pub(crate) async fn snapshot(
        &self,
        held: Option<Cursor>,
        selection: &Selection,
        press: Press<'_>,
    ) -> Result<(Arc<[Bytes]>, Cursor), MessageError> {
        if self.base.advances(held) {
            let frames = self.base.snapshot(selection, press).await?;
            return Ok((frames, self.base.cursor()));
        }
        // Its filter lets pass what cannot be told from where it is: rare, and made for it alone.
        let own = Base::new(self.told());
        Ok((own.snapshot(selection, press).await?, self.cursor()))
    }

    /// What is told of what changed after `from`, which [`Published::step`] gave: the same for all at the same place.
    ///
    /// # Errors
    /// If it has no JSON form, which no well-formed state has.
    pub(crate) async fn delta(
        &self,
        from: Version,
        selection: &Selection,
        press: Press<'_>,
    ) -> Result<Told, MessageError> {
        self.frames.delta(self.told(), from, selection, press).await
    }
}
