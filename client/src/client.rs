//! The handle of a client that holds its region: starts its tasks, reads what it holds, ends them.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use liveevents_protocol::engagement::Report;
use liveevents_protocol::evaluate::{Asker, Moment};
use liveevents_protocol::id::EventId;
use liveevents_protocol::message::{
    ClientNack, Cursor, Level, PlayerMessage, QueryResult, RefusedMessage,
};
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::Revision;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::changes::Changes;
use crate::config::{ClientConfig, ConfigError};
use crate::link::Link;
use crate::reports::{ReportError, Reported};
use crate::requests::{self, Asking, QueryError};
use crate::role::{Holder, Role};
use crate::routes::Routes;
use crate::shared::Shared;
use crate::state_file::{self, StateFile};
use crate::subscription;
use crate::view::{Shown, View};

/// A game server's copy of its region, kept current by tasks that this handle owns: dropping the handle
/// aborts them, [`Client::close`] ends them in order.
///
/// Reading never waits and never locks. Without an edge it reads what was last known.
#[derive(Debug)]
pub struct Client {
    config: Arc<ClientConfig>,
    shared: Arc<Shared>,
    holder: Arc<Holder>,
    asking: Asking,
    file: StateFile,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
    /// Ends the streams of changes when the handle goes.
    _guard: DropGuard,
}

/// That there is something to read, and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// What is held.
    pub cursor: Cursor,
    /// Who has told it.
    pub source: Source,
}

/// Where what is held comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// An edge has told it, or that it is current.
    Edge,
    /// The state file; no edge was heard yet.
    StateFile {
        /// When it was current; unknown if no edge had said.
        current_at: Option<Timestamp>,
    },
}

impl Client {
    /// Starts a client. It reads the state file, if there is one to be used, connects, and keeps connecting, until it
    /// is closed. A state file that cannot be used is no error, [`Client::state_file`] says why.
    ///
    /// # Errors
    /// If the configuration lacks something.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn connect(config: ClientConfig) -> Result<Self, ConfigError> {
        config.check()?;
        if config.level == Level::Watch {
            return Err(ConfigError::Level);
        }
        let routes = Routes::new(config.addresses.clone(), &config.timing, rand::random())
            .ok_or(ConfigError::NoAddress)?;
        let config = Arc::new(config);
        let shared = Shared::new(config.clock.clone(), routes.current().clone());
        let shared = Arc::new(shared);
        let holder = Arc::new(Holder::default());
        let file = state_file::start(&config, &shared, &holder);
        let shutdown = CancellationToken::new();
        let (asking, requests) = requests::channel();
        let mut tasks = JoinSet::new();
        if let Some(path) = file.to_write(&config) {
            tasks.spawn(state_file::keep(
                path,
                Arc::clone(&config),
                Arc::clone(&shared),
                Arc::clone(&holder),
                shutdown.clone(),
            ));
        }
        tasks.spawn(subscription::run(
            Arc::clone(&config),
            routes,
            Arc::clone(&shared),
            Role::Hold(config.level, Arc::clone(&holder)),
            requests,
            shutdown.clone(),
        ));
        Ok(Self {
            config,
            shared,
            holder,
            asking,
            file,
            _guard: shutdown.clone().drop_guard(),
            shutdown,
            tasks,
        })
    }

    /// Waits until there is something to read: an edge's word, or the state file. An empty region is something.
    pub async fn ready(&self) -> Ready {
        let mut positions = self.shared.positions();
        loop {
            let held = *positions.borrow_and_update();
            if let Some(cursor) = held {
                let source = match self.file.loaded() {
                    Some(current_at) if !self.shared.is_synced() => {
                        Source::StateFile { current_at }
                    }
                    _ => Source::Edge,
                };
                return Ready { cursor, source };
            }
            wait(&mut positions).await;
        }
    }

    /// Waits until an edge has told what is held, or that it is current.
    pub async fn synced(&self) {
        let mut syncs = self.shared.syncs();
        while !*syncs.borrow_and_update() {
            wait(&mut syncs).await;
        }
    }

    /// All that the region serves; `None` until there is something.
    #[must_use]
    pub fn state(&self) -> Option<Arc<RegionState>> {
        self.holder.state.load_full()
    }

    /// One look at what is held now: however many questions it is asked, they are about one version and one moment.
    /// The quickest way to ask, nothing is copied.
    #[must_use]
    pub fn view(&self) -> Option<View> {
        View::of(&self.holder, self.moment(), self.config.build)
    }

    /// What is shown of one event now, if anything.
    #[must_use]
    pub fn event<'a>(&self, event: &EventId, asker: impl Into<Asker<'a>>) -> Option<Shown> {
        let view = self.view()?;
        Shown::of(view.state(), view.event(event, asker)?)
    }

    /// What is shown now, highest priority first.
    #[must_use]
    pub fn shown<'a>(&self, asker: impl Into<Asker<'a>>) -> Vec<Shown> {
        let Some(view) = self.view() else {
            return Vec::new();
        };
        let shown = view.shown(asker).into_iter();
        shown
            .filter_map(|shown| Shown::of(view.state(), shown))
            .collect()
    }

    /// A stream of what changes from now on, beginning with all that is there.
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes::new(
            Arc::clone(&self.shared),
            Arc::clone(&self.holder),
            self.shutdown.clone(),
        )
    }

    /// The edge's time, by which events open and close. Before the first welcome it is our own. It goes on by the
    /// monotonic clock between two words of the edge, so a jump of the wall clock moves nothing.
    #[must_use]
    pub fn edge_time(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// The edge's time, and how long ago somebody heard the origin for us, by which events that say so are hidden.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.shared.moment()
    }

    /// When somebody last heard the origin for us, by the edge's time.
    #[must_use]
    pub fn contact_at(&self) -> Option<Timestamp> {
        self.shared.freshness.contact_at()
    }

    /// Wakes whenever the client has gone forward. The value is where it is; what lies between two looks
    /// may be skipped. When it wakes, readers see that version or a later one, and the observer has.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<Option<Cursor>> {
        self.shared.positions()
    }

    /// How it stands with its edges, and wakes when that changes.
    #[must_use]
    pub fn link(&self) -> watch::Receiver<Link> {
        self.shared.link.subscribe()
    }

    /// What the edge refused last, and wakes when it refuses something.
    #[must_use]
    pub fn refused(&self) -> watch::Receiver<Option<RefusedMessage>> {
        self.shared.refused.subscribe()
    }

    /// What became of the state file when the client started.
    #[must_use]
    pub fn state_file(&self) -> &StateFile {
        &self.file
    }

    /// Events that are not as the edge told them last, since something of them could not be read: they stay as they
    /// were. The edge was told.
    #[must_use]
    pub fn unread(&self) -> BTreeSet<EventId> {
        self.holder.unread()
    }

    /// Says that players see this version and all before it. Needed with
    /// [`crate::AckPolicy::ByApplication`] only.
    pub fn applied(&self, cursor: Cursor) {
        self.holder.applied.send_replace(Some(cursor));
    }

    /// Says that an event cannot be used here, and why; for people, in at most
    /// [`liveevents_protocol::limits::MAX_REASON`] bytes. It breaches the gate of the deployment that brought it.
    /// Without an edge it is said to the next one. `false` if nothing is held yet, or too much is to be said.
    pub fn nack(&self, event: &EventId, revision: Option<Revision>, reason: &str) -> bool {
        let Some(held) = self.shared.cursor() else {
            return false;
        };
        self.asking.nack(ClientNack {
            epoch: held.epoch,
            version: held.version,
            event_id: event.clone(),
            revision,
            reason: crate::requests::shortened(reason),
        })
    }

    /// Tells what a player did. It is gathered with others, kept until an edge says that it is counted for good, and sent
    /// again otherwise; without an edge it waits for one. If it does not say what the player saw, the edge finds out from
    /// what is held now and the keys given.
    ///
    /// # Errors
    /// If there is no room for it: then it is dropped.
    pub fn report(&self, report: Report) -> Result<(), ReportError> {
        self.shared.report(report)
    }

    /// What became of the reports so far, and wakes when that changes.
    #[must_use]
    pub fn reported(&self) -> watch::Receiver<Reported> {
        self.shared.reports.reported()
    }

    /// Asks the edge what up to [`liveevents_protocol::limits::MAX_QUERY`] players are shown now.
    ///
    /// # Errors
    /// If no edge answers, or it refuses.
    pub async fn query(&self, players: Vec<PlayerMessage>) -> Result<QueryResult, QueryError> {
        self.asking.query(players, self.config.include_config).await
    }

    /// Says goodbye to the edge, writes the state file, and ends the tasks. What is not said within
    /// [`crate::Timing::close`] is left unsaid; reports are told, but whether they are counted is not waited for: whoever
    /// needs to know waits for [`Client::reported`] first.
    pub async fn close(mut self) {
        self.shutdown.cancel();
        end(&mut self.tasks).await;
    }
}

/// Waits for the tasks' end.
pub(crate) async fn end(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a task of the client failed");
        }
    }
}

/// Waits for a change. The sender is in what the handle holds, and does not end before it.
pub(crate) async fn wait<T>(receiver: &mut watch::Receiver<T>) {
    if receiver.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
