//! One connection: hello with what is held, welcome, then whatever the edge sends, until it ends.
//!
//! What has come is shown to readers, then to the observer, then those who wait are woken, then it is
//! acked: an ack says that it is applied. A connection never changes what is held in any other way than
//! [`crate::replica`] says.

mod acks;
mod assembly;
mod greeting;
mod queries;
mod taking;

use std::collections::BTreeMap;
use std::time::Duration;

use liveevents_protocol::close::CloseReason;
use liveevents_protocol::message::{
    ClientMessage, Contact, CountedBatches, Cursor, ErrorMessage, Goaway, RefusedMessage, Renewal,
    ServerMessage,
};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::client::wait;
use crate::config::ClientConfig;
use crate::disconnected::Disconnected;
use crate::limits::{MAX_GOAWAY, MAX_RESEND, REPORTS_REFUSED, TOKEN_AGAIN};
use crate::reports::Told;
use crate::requests::{Request, Requests};
use crate::role::Role;
use crate::shared::Shared;
use crate::socket::{Received, Socket};
use acks::Acks;
use assembly::Assembly;
use queries::Queries;

/// What the connections of one client have in common.
pub(crate) struct Context<'a> {
    pub(crate) config: &'a ClientConfig,
    pub(crate) shared: &'a Shared,
    pub(crate) role: &'a Role,
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
    acks: Acks,
    assembly: Assembly,
    queries: Queries,
    /// Up to where the application has applied.
    applied: Option<watch::Receiver<Option<Cursor>>>,
    /// The players told to this edge, and as of which of the application's words.
    watched: BTreeMap<String, u64>,
    token: String,
    /// When to ask for a newer token again.
    renew_at: Option<Instant>,
    /// When to leave, if the edge is going away.
    leave_at: Option<Instant>,
    /// Since when the edge is behind.
    behind_since: Option<Instant>,
    /// What was said to be wrong; the close that follows says it in a number.
    complaint: Option<ErrorMessage>,
    /// What it was told of reports.
    told: Told,
    /// Whether the edge knows of reports.
    takes_reports: bool,
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

/// What a connection wakes for.
enum Event {
    Received(Result<Received, Disconnected>),
    Asked(Request),
    /// The application has applied something.
    Applied,
    /// The application watches others than before.
    Watches,
    /// There are reports.
    Reports,
    Timer,
}

impl Connection<'_> {
    /// Takes what comes, until it ends.
    pub(crate) async fn run(&mut self, requests: &mut Requests) -> End {
        let context = self.context;
        loop {
            let timer = self.next_timer();
            let event = tokio::select! {
                biased;
                () = context.shutdown.cancelled() => return End::Shutdown,
                received = self.socket.next() => Event::Received(received),
                request = requests.next() => Event::Asked(request),
                () = changed(self.applied.as_mut()) => Event::Applied,
                () = watches(context.role) => Event::Watches,
                () = context.shared.reports.ring() => Event::Reports,
                () = sleep_until(timer) => Event::Timer,
            };
            let result = match event {
                Event::Received(received) => self.receive(received).await,
                Event::Asked(request) => self.ask(request, requests).await,
                Event::Applied => self.applied().await,
                Event::Watches => self.tell_watched().await,
                Event::Reports => self.send_reports(false).await,
                Event::Timer => self.tick().await,
            };
            if let Err(disconnected) = result {
                return End::Disconnected(self.explain(disconnected));
            }
        }
    }

    /// Leaves: for good, or for the next connection, which is not kept waiting.
    pub(crate) async fn leave(mut self, end: &End) {
        self.context.shared.freshness.lost();
        let deadline = self.context.config.timing.close;
        match end {
            End::Shutdown => {
                // What is not heard by then is not counted, and nobody is told that it is.
                let _ = timeout(deadline, self.send_reports(true)).await;
                self.socket.close(deadline).await;
            }
            End::Disconnected(_) => self.socket.abandon(deadline).await,
        }
    }

    async fn receive(
        &mut self,
        received: Result<Received, Disconnected>,
    ) -> Result<(), Disconnected> {
        let Received { message, bytes } = received?;
        let shared = self.context.shared;
        let received_at = shared.clock.here();
        self.heard = Instant::now();
        self.pinged = false;
        shared.freshness.heard(shared.clock.at(received_at));
        match message {
            ServerMessage::Snapshot(piece) => self.snapshot(piece, bytes, received_at).await,
            ServerMessage::Delta(delta) => self.delta(delta, received_at).await,
            ServerMessage::Player(events) => {
                shared.clock.raise(events.time, received_at);
                self.player(events)
            }
            ServerMessage::Current(current) => {
                shared.clock.raise(current.time, received_at);
                self.current(&current).await
            }
            ServerMessage::Ahead(ahead) => {
                shared.clock.raise(ahead.time, received_at);
                self.behind_since.get_or_insert_with(Instant::now);
                tracing::debug!(epoch = %ahead.epoch, version = %ahead.version, "the edge is behind");
                Ok(())
            }
            ServerMessage::Contact(contact) => {
                shared.clock.raise(contact.time, received_at);
                self.contact(&contact);
                Ok(())
            }
            ServerMessage::Result(result) => {
                self.queries.answered(result);
                Ok(())
            }
            ServerMessage::Counted(counted) => {
                self.counted(&counted);
                self.send_reports(false).await
            }
            ServerMessage::Resend(resend) => {
                let after = Duration::from_millis(resend.after_ms).min(MAX_RESEND);
                let reports = &shared.reports;
                reports.resend(&mut self.told, resend.session, resend.from, after);
                self.send_reports(false).await
            }
            ServerMessage::TokenExpiring(_) => self.renew().await,
            ServerMessage::Refused(refused) => {
                self.refused(refused);
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
            // What opens and closes is derived here, from state and time.
            ServerMessage::Activated(_)
            | ServerMessage::Deactivated(_)
            | ServerMessage::TokenRenewed(_)
            | ServerMessage::Unknown => Ok(()),
            ServerMessage::Welcome(_) => {
                Err(Disconnected::Malformed("a second welcome".to_owned()))
            }
        }
    }

    fn contact(&self, contact: &Contact) {
        let shared = self.context.shared;
        let now = shared.clock.now();
        shared
            .freshness
            .told(contact.contact_at, contact.stale, now);
        tracing::info!(contact_at = ?contact.contact_at, stale = contact.stale, "the edge's contact with its origin");
    }

    fn refused(&mut self, refused: RefusedMessage) {
        tracing::warn!(
            about = refused.about,
            field = refused.field,
            message = refused.message,
            "the edge refused a request"
        );
        self.queries.refused(&refused);
        if refused.about == "reports" {
            let reports = &self.context.shared.reports;
            reports.refused(&mut self.told, REPORTS_REFUSED);
        }
        self.context.shared.refused.send_replace(Some(refused));
    }

    fn counted(&mut self, counted: &CountedBatches) {
        let CountedBatches {
            session,
            batch,
            refused,
        } = counted;
        if let Some(first) = refused.first() {
            let (count, reason) = (refused.len(), &first.message);
            tracing::warn!(count, reason, "the edge refused reports");
        }
        let reports = &self.context.shared.reports;
        reports.counted(&mut self.told, *session, *batch, refused);
    }

    /// Tells what is reported, as far as it may be. Everything, if the client is `leaving`.
    async fn send_reports(&mut self, leaving: bool) -> Result<(), Disconnected> {
        let context = self.context;
        let every = context.config.timing.reports_every;
        while self.takes_reports
            && let Some(batch) = context.shared.reports.next(&mut self.told, every, leaving)
        {
            self.socket.send(&ClientMessage::Reports(batch)).await?;
        }
        Ok(())
    }

    fn goaway(&mut self, goaway: &Goaway) {
        let delay = Duration::from_millis(goaway.reconnect_after_ms).min(MAX_GOAWAY);
        self.leave_at = Some(Instant::now() + delay);
    }

    /// Asks for a newer token, and tells it. Whoever gives it may not have one yet.
    async fn renew(&mut self) -> Result<(), Disconnected> {
        let token = self.context.config.token.get();
        let is_first = self.renew_at.is_none();
        let is_new = token != self.token;
        self.renew_at = (!is_new).then(|| Instant::now() + TOKEN_AGAIN);
        if !is_new && !is_first {
            return Ok(());
        }
        self.token.clone_from(&token);
        self.socket
            .send(&ClientMessage::Token(Renewal { token }))
            .await
    }

    async fn ask(&mut self, request: Request, requests: &mut Requests) -> Result<(), Disconnected> {
        match request {
            Request::Query(query, answer) => {
                let id = query.id.clone();
                if self.queries.asked(id, answer) {
                    self.socket.send(&ClientMessage::Query(query)).await?;
                }
                Ok(())
            }
            Request::Nack(nack) => {
                let told = self.socket.send(&ClientMessage::Nack(nack.clone())).await;
                if told.is_err() {
                    requests.put_back(nack);
                }
                told
            }
        }
    }

    /// The next moment at which something is due without a message.
    fn next_timer(&self) -> Instant {
        let timing = &self.context.config.timing;
        let silence = if self.pinged {
            timing.dead_after
        } else {
            timing.ping_after
        };
        [
            Some(self.heard + silence),
            self.acks.next_at(),
            self.renew_at,
            self.leave_at,
            self.patience(),
            self.reports_due(),
        ]
        .into_iter()
        .flatten()
        .fold(self.heard + timing.dead_after, Instant::min)
    }

    fn reports_due(&self) -> Option<Instant> {
        let context = self.context;
        let every = context.config.timing.reports_every;
        let due = context.shared.reports.due_at(&self.told, every);
        due.filter(|_| self.takes_reports)
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
        self.send_acks().await?;
        self.send_reports(false).await?;
        if self.renew_at.is_some_and(|at| at <= now) {
            self.renew().await?;
        }
        if !self.pinged && now.duration_since(self.heard) >= timing.ping_after {
            self.pinged = true;
            self.socket.ping().await?;
        }
        Ok(())
    }

    async fn send_acks(&mut self) -> Result<(), Disconnected> {
        for ack in self.acks.take(Instant::now()) {
            self.socket.send(&ClientMessage::Ack(ack)).await?;
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

async fn changed(applied: Option<&mut watch::Receiver<Option<Cursor>>>) {
    match applied {
        Some(applied) => wait(applied).await,
        None => std::future::pending().await,
    }
}

async fn watches(role: &Role) {
    match role {
        Role::Watch(audience) => audience.is_asked().await,
        Role::Hold(..) => std::future::pending().await,
    }
}
