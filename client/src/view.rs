//! One look at what is held: one version, at one moment.

use std::sync::Arc;

use arc_swap::Guard;
use jiff::Timestamp;
use liveevents_protocol::build::Build;
use liveevents_protocol::entry::{EntryKey, Value};
use liveevents_protocol::evaluate::{self, Asker, Moment, Offer};
use liveevents_protocol::id::EventId;
use liveevents_protocol::model::Content;
use liveevents_protocol::state::RegionState;

use crate::role::Holder;

/// One look at what a [`crate::Client`] holds. Short-lived: it keeps its version in memory.
pub struct View {
    state: Guard<Option<Arc<RegionState>>>,
    moment: Moment,
    build: Option<Build>,
}

/// An event that is shown to a player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What is shown. Shared with the state.
    pub content: Arc<Content>,
    /// Whether it is the candidate rather than the live revision.
    pub candidate: bool,
    /// When the current occurrence ends.
    pub closes: Option<Timestamp>,
}

impl Shown {
    /// Of a state, in which it was found.
    pub(crate) fn of(state: &RegionState, shown: evaluate::Shown<'_>) -> Option<Self> {
        let (event, revision) = (shown.content.event_id.clone(), shown.content.revision);
        let Value::Content(content) = state.value(&EntryKey::Content(event, revision))? else {
            return None;
        };
        Some(Self {
            content: Arc::clone(content),
            candidate: shown.candidate,
            closes: shown.closes,
        })
    }
}

impl View {
    pub(crate) fn of(holder: &Holder, moment: Moment, build: Option<Build>) -> Option<Self> {
        let state = holder.state.load();
        state.is_some().then_some(Self {
            state,
            moment,
            build,
        })
    }

    /// What the region serves.
    ///
    /// # Panics
    /// Never: a view is made of a state.
    #[must_use]
    pub fn state(&self) -> &RegionState {
        #[expect(clippy::expect_used, reason = "a view is made of a state only")]
        self.state.as_deref().expect("a view has a state")
    }

    /// When it was looked, by the edge's time, and how old the news were.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.moment
    }

    /// What is shown of one event, if anything.
    #[must_use]
    pub fn event<'a>(
        &self,
        event: &EventId,
        asker: impl Into<Asker<'a>>,
    ) -> Option<evaluate::Shown<'_>> {
        let state = self.state();
        let offer = Offer::of(state, state.assignment(event)?);
        evaluate::shown_of(offer, &self.asker(asker), self.moment)
    }

    /// What is shown, highest priority first.
    #[must_use]
    pub fn shown<'a>(&self, asker: impl Into<Asker<'a>>) -> Vec<evaluate::Shown<'_>> {
        evaluate::shown(self.state(), &self.asker(asker), self.moment)
    }

    /// The game server's build counts for those who say none.
    fn asker<'a>(&self, asker: impl Into<Asker<'a>>) -> Asker<'a> {
        let asker = asker.into();
        Asker {
            build: asker.build.or(self.build),
            ..asker
        }
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("View")
            .field("version", &self.state().version())
            .field("moment", &self.moment)
            .finish_non_exhaustive()
    }
}
