//! The handle: starts the client's one task, reads what it holds, ends it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use liveevents_protocol::evaluate::{self, Keys, Moment};
use liveevents_protocol::id::{EdgeId, Installation, RegionId};
use liveevents_protocol::message::Cursor;
use liveevents_protocol::model::Content;
use liveevents_protocol::state::RegionState;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::address::Address;
use crate::clock::{Clock, Offset};
use crate::config::{ClientConfig, ConfigError};
use crate::disconnected::Disconnected;
use crate::routes::Routes;
use crate::subscription;

/// A game server's copy of its region, kept current by a task that this handle owns: dropping the handle
/// aborts it, [`Client::close`] ends it in order.
///
/// Reading never waits and never locks. Without an edge it reads what was last known.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    shutdown: CancellationToken,
    task: JoinSet<()>,
}

/// How the client stands with its edges.
#[derive(Debug, Clone)]
pub enum Link {
    /// On its way to this one.
    Connecting {
        /// Where.
        address: Address,
    },
    /// Subscribed.
    Connected {
        /// Where.
        address: Address,
        /// What the edge calls itself.
        edge: EdgeId,
    },
    /// Waiting before the next try.
    Away {
        /// What became of the last one.
        because: Disconnected,
        /// How long it waits.
        retry_in: Duration,
    },
}

/// An event that is shown to a player.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// What is shown.
    pub content: Content,
    /// Whether it is the candidate rather than the live revision.
    pub candidate: bool,
    /// When the current occurrence ends.
    pub closes: Option<Timestamp>,
}

impl Client {
    /// Starts a client. It connects, and keeps connecting, until it is closed.
    ///
    /// # Errors
    /// If the configuration lacks something.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn connect(config: ClientConfig) -> Result<Self, ConfigError> {
        config.check()?;
        let routes = Routes::new(config.addresses.clone(), &config.timing, rand::random())
            .ok_or(ConfigError::NoAddress)?;
        let shared = Arc::new(Shared::new(config.clock.clone(), routes.current().clone()));
        let shutdown = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(subscription::run(
            config,
            routes,
            Arc::clone(&shared),
            shutdown.clone(),
        ));
        Ok(Self {
            shared,
            shutdown,
            task,
        })
    }

    /// All that the region serves; `None` until the first snapshot.
    #[must_use]
    pub fn state(&self) -> Option<Arc<RegionState>> {
        self.shared.state.load_full()
    }

    /// What the player with these bucketing keys is shown now, highest priority first. Contents are
    /// copied; [`evaluate::shown`] on [`Client::state`] at [`Client::edge_time`] borrows them instead.
    #[must_use]
    pub fn shown(&self, keys: Keys<'_>) -> Vec<Shown> {
        let state = self.shared.state.load();
        let Some(state) = state.as_deref() else {
            return Vec::new();
        };
        evaluate::shown(state, &keys.into(), Moment::fresh(self.edge_time()))
            .into_iter()
            .map(|shown| Shown {
                content: shown.content.clone(),
                candidate: shown.candidate,
                closes: shown.closes,
            })
            .collect()
    }

    /// The edge's time, by which events open and close. Before the first welcome it is our own.
    #[must_use]
    pub fn edge_time(&self) -> Timestamp {
        self.shared.offset.edge_time(self.shared.clock.now())
    }

    /// Wakes whenever the client has gone forward. The value is where it is; what lies between two looks
    /// may be skipped. When it wakes, readers see that version or a later one, and the observer has.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<Option<Cursor>> {
        self.shared.position.subscribe()
    }

    /// How it stands with its edges, and wakes when that changes.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<Link> {
        self.shared.link.subscribe()
    }

    /// Says goodbye to the edge and ends the task. What is not said within [`crate::Timing::close`]
    /// is left unsaid.
    pub async fn close(mut self) {
        self.shutdown.cancel();
        while let Some(ended) = self.task.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "the client's task failed");
            }
        }
    }
}

/// What the task writes and the handle reads.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) state: ArcSwapOption<RegionState>,
    pub(crate) offset: Offset,
    pub(crate) link: watch::Sender<Link>,
    position: watch::Sender<Option<Cursor>>,
    clock: Clock,
    /// Of the first edge that welcomed us.
    installation: OnceLock<Installation>,
}

impl Shared {
    fn new(clock: Clock, address: Address) -> Self {
        Self {
            state: ArcSwapOption::empty(),
            offset: Offset::default(),
            link: watch::Sender::new(Link::Connecting { address }),
            position: watch::Sender::new(None),
            clock,
            installation: OnceLock::new(),
        }
    }

    /// What is held.
    pub(crate) fn cursor(&self) -> Option<Cursor> {
        *self.position.borrow()
    }

    /// Shows readers a state.
    pub(crate) fn show(&self, state: Arc<RegionState>) {
        self.state.store(Some(state));
    }

    /// Wakes those who wait for what is shown.
    pub(crate) fn wake(&self, cursor: Cursor) {
        self.position.send_replace(Some(cursor));
    }

    /// Refuses an edge of another installation: its epochs say nothing about ours.
    pub(crate) fn belongs_to(
        &self,
        installation: &Installation,
        region: &RegionId,
        config: &ClientConfig,
    ) -> Result<(), Disconnected> {
        let ours = self.installation.get_or_init(|| installation.clone());
        if ours == installation && *region == config.region {
            return Ok(());
        }
        Err(Disconnected::Foreign {
            ours: format!("{ours} in {}", config.region),
            theirs: format!("{installation} in {region}"),
        })
    }
}
