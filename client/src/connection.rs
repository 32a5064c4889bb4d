//! One connection: hello with what is held, welcome, then whatever the edge sends, until it ends.
//!
//! What has come is shown to readers, then to the observer, then those who wait are woken, then it is
//! acked: an ack says that it is applied. A connection never changes what is held in any other way than [`crate::replica`] says.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::message::{
    AckStatus, Ahead, ClientAck, ClientHello, ClientMessage, Cursor, DeltaMessage, ErrorMessage,
    Goaway, Level, ServerMessage, SnapshotMessage, Welcome,
};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::address::Address;
use crate::client::{Link, Shared};
use crate::config::{ClientConfig, Update};
use crate::disconnected::Disconnected;
use crate::limits::MAX_GOAWAY;
use crate::replica::{self, Taken};
use crate::socket::Socket;

/// What the connections of one client have in common.
pub(crate) struct Context<'a> {
    pub(crate) config: &'a ClientConfig,
    pub(crate) shared: &'a Shared,
    pub(crate) shutdown: &'a CancellationToken,
    /// Whether there is another address, so that leaving an edge that is behind can help.
    pub(crate) has_others: bool,
}

/// A connection after the welcome.
pub(crate) struct Connection<'a> {
    context: &'a Context<'a>,
    socket: Socket,
    /// When anything last came.
    heard: Instant,
    pinged: bool,
    /// When to leave, if the edge is going away.
    leave_at: Option<Instant>,
    /// Since when the edge is behind.
    behind_since: Option<Instant>,
    /// What was said to be wrong; the close that follows says it in a number.
    complaint: Option<ErrorMessage>,
    /// Whether the edge has taken the client forward.
    pub(crate) has_worked: bool,
}

/// How a connection ended.
pub(crate) enum End {
    /// The owner closes the client.
    Shutdown,
    /// Anything else.
    Disconnected(Disconnected),
}

impl<'a> Connection<'a> {
    /// Connects, says hello, and is welcomed.
    pub(crate) async fn open(
        context: &'a Context<'a>,
        address: &Address,
    ) -> Result<Self, Disconnected> {
        let mut connection = Self {
            context,
            socket: Socket::open(context.config, address).await?,
            heard: Instant::now(),
            pinged: false,
            leave_at: None,
            behind_since: None,
            complaint: None,
            has_worked: false,
        };
        match connection.greet(address).await {
            Ok(()) => Ok(connection),
            Err(disconnected) => {
                let disconnected = connection.explain(disconnected);
                connection.socket.abandon(context.config.timing.close).await;
                Err(disconnected)
            }
        }
    }

    async fn greet(&mut self, address: &Address) -> Result<(), Disconnected> {
        let Context { config, shared, .. } = self.context;
        let hello = ClientMessage::Hello(ClientHello {
            region: config.region.clone(),
            level: Level::Region,
            position: shared.cursor(),
            build: config.build,
            filter: Default::default(),
            capabilities: Vec::new(),
            client: Some(concat!("liveevents-client/", env!("CARGO_PKG_VERSION")).to_owned()),
            include_config: true,
            language: None,
        });
        let sent = config.clock.now();
        self.socket.send(&hello).await?;
        let deadline = config.timing.welcome;
        let welcome = timeout(deadline, self.welcome())
            .await
            .map_err(|_| Disconnected::TimedOut(deadline))??;
        shared.belongs_to(&welcome.installation, &welcome.region, config)?;
        shared.offset.set(welcome.time, sent, config.clock.now());
        tracing::info!(%address, edge = %welcome.edge, region = %welcome.region, "subscribed");
        shared.link.send_replace(Link::Connected {
            address: address.clone(),
            edge: welcome.edge,
        });
        Ok(())
    }

    async fn welcome(&mut self) -> Result<Welcome, Disconnected> {
        loop {
            match self.socket.next().await? {
                ServerMessage::Welcome(welcome) => return Ok(welcome),
                ServerMessage::Goaway(goaway) => self.goaway(&goaway),
                ServerMessage::Error(error) => self.complaint = Some(error),
                ServerMessage::Unknown => {}
                other => return Err(out_of_turn(&other)),
            }
        }
    }

    /// Takes what comes, until it ends.
    pub(crate) async fn run(&mut self) -> End {
        let context = self.context;
        loop {
            let timer = self.next_timer();
            let event = tokio::select! {
                biased;
                () = context.shutdown.cancelled() => return End::Shutdown,
                message = self.socket.next() => Some(message),
                () = sleep_until(timer) => None,
            };
            let result = match event {
                Some(message) => self.receive(message).await,
                None => self.tick().await,
            };
            if let Err(disconnected) = result {
                return End::Disconnected(self.explain(disconnected));
            }
        }
    }

    /// Leaves: for good, or for the next connection, which is not kept waiting.
    pub(crate) async fn leave(self, end: &End) {
        let deadline = self.context.config.timing.close;
        match end {
            End::Shutdown => self.socket.close(deadline).await,
            End::Disconnected(_) => self.socket.abandon(deadline).await,
        }
    }

    async fn receive(
        &mut self,
        message: Result<ServerMessage, Disconnected>,
    ) -> Result<(), Disconnected> {
        let message = message?;
        let received_at = self.context.config.clock.now();
        self.heard = Instant::now();
        self.pinged = false;
        match message {
            ServerMessage::Snapshot(snapshot) => self.snapshot(snapshot, received_at).await,
            ServerMessage::Delta(delta) => self.delta(delta, received_at).await,
            ServerMessage::Ahead(ahead) => {
                self.ahead(&ahead, received_at);
                Ok(())
            }
            ServerMessage::Goaway(goaway) => {
                self.goaway(&goaway);
                Ok(())
            }
            ServerMessage::Error(error) => {
                self.complaint = Some(error);
                Ok(())
            }
            ServerMessage::Activated(_)
            | ServerMessage::Deactivated(_)
            | ServerMessage::Player(_)
            | ServerMessage::Current(_)
            | ServerMessage::Result(_)
            | ServerMessage::Contact(_)
            | ServerMessage::TokenExpiring(_)
            | ServerMessage::TokenRenewed(_)
            | ServerMessage::Refused(_)
            | ServerMessage::Unknown => Ok(()),
            welcome @ ServerMessage::Welcome(_) => Err(out_of_turn(&welcome)),
        }
    }

    async fn snapshot(
        &mut self,
        message: SnapshotMessage,
        received_at: Timestamp,
    ) -> Result<(), Disconnected> {
        let (time, committed_at) = (message.time, message.committed_at);
        let held = self.context.shared.state.load();
        let taken = replica::snapshot(held.as_deref(), message)?;
        drop(held);
        self.take(taken, time, committed_at, received_at).await
    }

    async fn delta(
        &mut self,
        message: DeltaMessage,
        received_at: Timestamp,
    ) -> Result<(), Disconnected> {
        let (time, committed_at) = (message.time, message.committed_at);
        let held = self.context.shared.state.load();
        let taken = replica::delta(held.as_deref(), message)?;
        drop(held);
        self.take(taken, time, committed_at, received_at).await
    }

    async fn take(
        &mut self,
        taken: Taken,
        time: Timestamp,
        committed_at: Option<Timestamp>,
        received_at: Timestamp,
    ) -> Result<(), Disconnected> {
        let Context { config, shared, .. } = self.context;
        shared.offset.raise(time, received_at);
        self.behind_since = None;
        if let Taken::Forward { from, state } = taken {
            self.has_worked = true;
            let cursor = Cursor {
                epoch: state.epoch(),
                version: state.version(),
            };
            shared.show(Arc::clone(&state));
            if let Some(observer) = &config.observer {
                observer.observe(&Update {
                    epoch: cursor.epoch,
                    from,
                    version: cursor.version,
                    committed_at,
                    received_at,
                    state,
                });
            }
            shared.wake(cursor);
        }
        let Some(held) = shared.cursor() else {
            return Ok(());
        };
        self.socket
            .send(&ClientMessage::Ack(ClientAck {
                epoch: held.epoch,
                version: held.version,
                status: AckStatus::Applied,
                held_ms: 0,
            }))
            .await
    }

    fn goaway(&mut self, goaway: &Goaway) {
        let delay = Duration::from_millis(goaway.reconnect_after_ms).min(MAX_GOAWAY);
        self.leave_at = Some(Instant::now() + delay);
    }

    fn ahead(&mut self, ahead: &Ahead, received_at: Timestamp) {
        self.context.shared.offset.raise(ahead.time, received_at);
        self.behind_since.get_or_insert_with(Instant::now);
        tracing::debug!(epoch = %ahead.epoch, version = %ahead.version, "the edge is behind");
    }

    /// The next moment at which something is due without a message.
    fn next_timer(&self) -> Instant {
        let timing = &self.context.config.timing;
        let silence = if self.pinged {
            timing.dead_after
        } else {
            timing.ping_after
        };
        let patience = self.patience();
        [Some(self.heard + silence), self.leave_at, patience]
            .into_iter()
            .flatten()
            .fold(self.heard + timing.dead_after, Instant::min)
    }

    /// Until when to stay with an edge that is behind.
    fn patience(&self) -> Option<Instant> {
        let since = self.behind_since.filter(|_| self.context.has_others)?;
        Some(since + self.context.config.timing.ahead_patience)
    }

    async fn tick(&mut self) -> Result<(), Disconnected> {
        let (timing, now) = (&self.context.config.timing, Instant::now());
        if self.leave_at.is_some_and(|at| at <= now) {
            return Err(Disconnected::Goaway(Duration::ZERO));
        }
        if now.duration_since(self.heard) >= timing.dead_after {
            return Err(Disconnected::Silent(timing.dead_after));
        }
        if self.patience().is_some_and(|until| until <= now) {
            return Err(Disconnected::StillBehind);
        }
        if !self.pinged && now.duration_since(self.heard) >= timing.ping_after {
            self.pinged = true;
            self.socket.ping().await?;
        }
        Ok(())
    }

    /// Tells the end of a connection by all that the edge said before it.
    fn explain(&self, disconnected: Disconnected) -> Disconnected {
        let complaint = self.complaint.as_ref();
        let (Disconnected::Ended | Disconnected::Io(_) | Disconnected::Closed { .. }) =
            disconnected
        else {
            return disconnected;
        };
        // An edge that said when to come back meant it, however the connection then ended.
        if let Some(at) = self.leave_at {
            return Disconnected::Goaway(at.saturating_duration_since(Instant::now()));
        }
        let reason = match disconnected {
            Disconnected::Closed { reason, .. } => Some(reason),
            _ => complaint.and_then(|error| {
                let mut reasons = CloseReason::ALL.into_iter();
                reasons.find(|reason| reason.as_str() == error.code)
            }),
        };
        reason.map_or(disconnected, |reason| Disconnected::Closed {
            reason,
            message: complaint.map(|error| error.message.clone()),
        })
    }
}

fn out_of_turn(message: &ServerMessage) -> Disconnected {
    let kind = match message {
        ServerMessage::Welcome(_) => "a second welcome",
        _ => "something other than a welcome",
    };
    Disconnected::Malformed(kind.to_owned())
}
