//! A stream of what changes: events that appear, change, go, and become active or inactive.
//!
//! There is no queue of changes anywhere. A stream remembers the state that it told last, which costs what has changed
//! since, and compares it with the present one when it has told everything. So a slow reader skips what has been
//! overtaken, ends with what is, and never holds up anybody.
//!
//! What is active is derived from the state and the edge's time, to the second, whether or not an edge is there.

mod compare;

use std::collections::{BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use jiff::Timestamp;
use liveevents_protocol::id::EventId;
use liveevents_protocol::message::Cursor;
use liveevents_protocol::state::RegionState;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::limits::LOOK_AGAIN;
use crate::link::Link;
use crate::role::Holder;
use crate::shared::Shared;

/// Something that has changed with one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which event.
    pub event: EventId,
    /// What has changed.
    pub what: What,
    /// What the client held when it saw that. Readers see this version or a later one.
    pub cursor: Cursor,
    /// The edge's time then.
    pub at: Timestamp,
}

/// What has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The region serves it now.
    Appeared,
    /// Its assignment has changed, or a content that it names.
    Changed,
    /// The region does not serve it any more.
    Removed,
    /// It is shown from now on: it is open, not suspended, and there is something to show.
    Activated {
        /// Until when, if nothing changes.
        closes: Option<Timestamp>,
    },
    /// It is not shown any more.
    Deactivated {
        /// When it opens again, if nothing changes.
        opens: Option<Timestamp>,
    },
}

/// What changes, as it changes. Ends with its client.
pub struct Changes(BoxStream<'static, Change>);

impl Changes {
    pub(crate) fn new(
        shared: Arc<Shared>,
        holder: Arc<Holder>,
        shutdown: CancellationToken,
    ) -> Self {
        let follower = Follower {
            positions: shared.positions(),
            links: shared.link.subscribe(),
            shared,
            holder,
            shutdown,
            told: None,
            active: BTreeSet::new(),
            due: VecDeque::new(),
        };
        Self(stream::unfold(follower, Follower::next).boxed())
    }

    /// The next one; `None` when the client has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<Change> {
        self.0.next().await
    }
}

impl Stream for Changes {
    type Item = Change;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Changes(..)")
    }
}

struct Follower {
    shared: Arc<Shared>,
    holder: Arc<Holder>,
    shutdown: CancellationToken,
    positions: watch::Receiver<Option<Cursor>>,
    /// A welcome may put the edge's time forward.
    links: watch::Receiver<Link>,
    /// What the last comparison was with.
    told: Option<Arc<RegionState>>,
    /// What was active then.
    active: BTreeSet<EventId>,
    /// What that comparison found, and was not told yet: at most a few for each event.
    due: VecDeque<Change>,
}

impl Follower {
    async fn next(mut self) -> Option<(Change, Self)> {
        loop {
            if self.shutdown.is_cancelled() {
                return None;
            }
            if let Some(change) = self.due.pop_front() {
                return Some((change, self));
            }
            // First what to wake for, then a look, so that nothing falls between the two.
            self.positions.borrow_and_update();
            self.links.borrow_and_update();
            let pause = self.look();
            if !self.due.is_empty() {
                continue;
            }
            tokio::select! {
                () = self.shutdown.cancelled() => return None,
                woken = self.positions.changed() => woken.ok()?,
                woken = self.links.changed() => woken.ok()?,
                () = sleep(pause) => {}
            }
        }
    }

    /// Finds what is different from what was told; how long until it may be different again by itself.
    fn look(&mut self) -> Duration {
        let Some(state) = self.holder.state.load_full() else {
            return LOOK_AGAIN;
        };
        let moment = self.shared.moment();
        let active = compare::active(&state, moment);
        self.due = compare::compare(
            (self.told.as_deref(), &self.active),
            (&state, &active),
            moment.now,
        );
        let pause = compare::next_switch(&state, moment.now);
        (self.told, self.active) = (Some(state), active);
        pause.map_or(LOOK_AGAIN, |pause| pause.min(LOOK_AGAIN))
    }
}
