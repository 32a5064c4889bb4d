//! What a client's connections are for: holding the region, or watching players.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use liveevents_protocol::id::EventId;
use liveevents_protocol::message::{Cursor, Level};
use liveevents_protocol::state::RegionState;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::replica::Forward;
use crate::watch::Audience;

/// What a client's connections are for.
#[derive(Debug, Clone)]
pub(crate) enum Role {
    /// To hold the region's state.
    Hold(Level, Arc<Holder>),
    /// To be told each player's events.
    Watch(Arc<Audience>),
}

/// The region's state, which readers look at without waiting.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) state: ArcSwapOption<RegionState>,
    /// Up to where the application says that its players see it.
    pub(crate) applied: watch::Sender<Option<Cursor>>,
    /// Events that are not as the edge told them: something of them could not be read.
    unread: Mutex<BTreeSet<EventId>>,
    /// Whether the state lacks something that another edge, or this program if it comes from a file, may know.
    anew: AtomicBool,
}

impl Default for Holder {
    fn default() -> Self {
        Self {
            state: ArcSwapOption::empty(),
            applied: watch::Sender::new(None),
            unread: Mutex::default(),
            anew: AtomicBool::new(false),
        }
    }
}

impl Holder {
    /// Shows readers a state.
    pub(crate) fn take(&self, forward: &Forward) {
        {
            let mut unread = self.unread.lock();
            match &forward.read {
                Some(read) => unread.retain(|event| !read.contains(event)),
                None => unread.clear(),
            }
            unread.extend(forward.unread.iter().filter_map(|u| u.event.clone()));
        }
        // What an edge lacked is told by the next whole state. A delta may start after it.
        if forward.read.is_none() || forward.degraded {
            self.anew.store(forward.degraded, Ordering::Relaxed);
        }
        self.state.store(Some(Arc::clone(&forward.state)));
    }

    /// Starts from a file.
    pub(crate) fn load(&self, state: Arc<RegionState>, unread: BTreeSet<EventId>, degraded: bool) {
        self.anew
            .store(degraded || !unread.is_empty(), Ordering::Relaxed);
        *self.unread.lock() = unread;
        self.state.store(Some(state));
    }

    /// Whether the edge should tell everything again.
    pub(crate) fn lacks_something(&self) -> bool {
        self.anew.load(Ordering::Relaxed)
    }

    pub(crate) fn unread(&self) -> BTreeSet<EventId> {
        self.unread.lock().clone()
    }
}

impl Role {
    pub(crate) fn level(&self) -> Level {
        match self {
            Self::Hold(level, _) => *level,
            Self::Watch(_) => Level::Watch,
        }
    }

    /// Whether what is held is enough to go on from.
    pub(crate) fn can_resume(&self) -> bool {
        match self {
            Self::Hold(_, holder) => !holder.lacks_something(),
            Self::Watch(_) => true,
        }
    }
}
