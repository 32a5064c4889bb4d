//! Level Watch: the application names its players, and the edge tells each one's events, whole, whenever they change.
//!
//! What is kept is who is watched and what was told last of each. Connections compare that with what they have told
//! their edge; streams of updates compare it with what they have told the application. Nobody has a queue, so a slow
//! application skips what is no longer true, and a lost connection loses nothing.

mod audience;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::Stream;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use jiff::Timestamp;
use liveevents_protocol::engagement::Report;
use liveevents_protocol::id::EventId;
use liveevents_protocol::message::{
    ClientNack, Cursor, PlayerEvents, PlayerMessage, QueryResult, RefusedMessage,
};
use liveevents_protocol::version::Revision;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::client::{end, wait};
use crate::config::{ClientConfig, ConfigError};
use crate::link::Link;
use crate::reports::{ReportError, Reported};
use crate::requests::{self, Asking, QueryError};
use crate::role::Role;
use crate::routes::Routes;
use crate::shared::Shared;
use crate::subscription;

pub(crate) use audience::Audience;
pub use audience::WatchError;

/// A game server that lets the edge evaluate: it names its players, and is told each one's events.
///
/// Dropping the handle ends its task at once, [`WatchClient::close`] in order.
#[derive(Debug)]
pub struct WatchClient {
    config: Arc<ClientConfig>,
    shared: Arc<Shared>,
    audience: Arc<Audience>,
    asking: Asking,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
    _guard: DropGuard,
}

impl WatchClient {
    /// Starts a client. It connects, and keeps connecting, until it is closed.
    ///
    /// # Errors
    /// If the configuration lacks something.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn connect(config: ClientConfig) -> Result<Self, ConfigError> {
        config.check()?;
        if config.state_file.is_some() {
            return Err(ConfigError::StateFile);
        }
        let routes = Routes::new(config.addresses.clone(), &config.timing, rand::random())
            .ok_or(ConfigError::NoAddress)?;
        let config = Arc::new(config);
        let shared = Shared::new(config.clock.clone(), routes.current().clone());
        let shared = Arc::new(shared);
        let audience = Arc::new(Audience::default());
        let shutdown = CancellationToken::new();
        let (asking, requests) = requests::channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(subscription::run(
            Arc::clone(&config),
            routes,
            Arc::clone(&shared),
            Role::Watch(Arc::clone(&audience)),
            requests,
            shutdown.clone(),
        ));
        Ok(Self {
            config,
            shared,
            audience,
            asking,
            _guard: shutdown.clone().drop_guard(),
            shutdown,
            tasks,
        })
    }

    /// Watches these players, or those watched already with other attributes. Nothing waits: without an edge they
    /// are told to the next one.
    ///
    /// # Errors
    /// If there are too many, or one is too large to be told; then nothing of it is done.
    pub fn watch(
        &self,
        players: impl IntoIterator<Item = PlayerMessage>,
    ) -> Result<(), WatchError> {
        self.audience.watch(players)
    }

    /// Watches these players no more.
    pub fn unwatch<'a>(&self, players: impl IntoIterator<Item = &'a str>) {
        self.audience.unwatch(players);
    }

    /// What a player is shown, as told last; `None` if nothing was told yet, or the player is not watched.
    #[must_use]
    pub fn events(&self, player: &str) -> Option<Arc<PlayerEvents>> {
        self.audience.events(player)
    }

    /// A stream of players' events as they are told, beginning with what was told already. Of each player the newest
    /// only: who reads slowly skips what is no longer true.
    #[must_use]
    pub fn updates(&self) -> Updates {
        Updates::new(Arc::clone(&self.audience), self.shutdown.clone())
    }

    /// Waits until every player watched at that time has been told once.
    pub async fn ready(&self) -> Cursor {
        let mut positions = self.shared.positions();
        loop {
            let told = *positions.borrow_and_update();
            if let Some(cursor) = told {
                return cursor;
            }
            wait(&mut positions).await;
        }
    }

    /// Wakes whenever all players have been told as of a later version.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<Option<Cursor>> {
        self.shared.positions()
    }

    /// The edge's time.
    #[must_use]
    pub fn edge_time(&self) -> Timestamp {
        self.shared.clock.now()
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

    /// As [`crate::Client::nack`].
    pub fn nack(&self, event: &EventId, revision: Option<Revision>, reason: &str) -> bool {
        let Some(held) = self.shared.cursor() else {
            return false;
        };
        self.asking.nack(ClientNack {
            epoch: held.epoch,
            version: held.version,
            event_id: event.clone(),
            revision,
            reason: requests::shortened(reason),
        })
    }

    /// As [`crate::Client::report`]. The edge knows the attributes of those watched.
    ///
    /// # Errors
    /// If there is no room for it: then it is dropped.
    pub fn report(&self, report: Report) -> Result<(), ReportError> {
        self.shared.report(report)
    }

    /// As [`crate::Client::reported`].
    #[must_use]
    pub fn reported(&self) -> watch::Receiver<Reported> {
        self.shared.reports.reported()
    }

    /// As [`crate::Client::query`].
    ///
    /// # Errors
    /// If no edge answers, or it refuses.
    pub async fn query(&self, players: Vec<PlayerMessage>) -> Result<QueryResult, QueryError> {
        self.asking.query(players, self.config.include_config).await
    }

    /// Says goodbye to the edge and ends the task.
    pub async fn close(mut self) {
        self.shutdown.cancel();
        end(&mut self.tasks).await;
    }
}

/// What players are shown, as it is told. Ends with its client.
pub struct Updates(BoxStream<'static, Arc<PlayerEvents>>);

impl Updates {
    fn new(audience: Arc<Audience>, shutdown: CancellationToken) -> Self {
        struct Told {
            audience: Arc<Audience>,
            wakes: watch::Receiver<u64>,
            shutdown: CancellationToken,
            upto: u64,
            due: VecDeque<String>,
        }

        let told = Told {
            wakes: audience.wakes(),
            audience,
            shutdown,
            upto: 0,
            due: VecDeque::new(),
        };
        let updates = stream::unfold(told, |mut told| async move {
            loop {
                while let Some(player) = told.due.pop_front() {
                    if let Some(events) = told.audience.events(&player) {
                        return Some((events, told));
                    }
                }
                // First what to wake for, then a look, so that nothing falls between the two.
                told.wakes.borrow_and_update();
                (told.due, told.upto) = told.audience.told_after(told.upto);
                if !told.due.is_empty() {
                    continue;
                }
                tokio::select! {
                    () = told.shutdown.cancelled() => return None,
                    woken = told.wakes.changed() => woken.ok()?,
                }
            }
        });
        Self(updates.boxed())
    }

    /// The next one; `None` when the client has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<Arc<PlayerEvents>> {
        self.0.next().await
    }
}

impl Stream for Updates {
    type Item = Arc<PlayerEvents>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl std::fmt::Debug for Updates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Updates(..)")
    }
}
