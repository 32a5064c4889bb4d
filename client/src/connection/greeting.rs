//! The beginning of a connection: hello, welcome, and word of what is held.

use std::collections::BTreeMap;

use liveevents_protocol::limits::LIVE_WITHIN;
use liveevents_protocol::message::{
    AckStatus, ClientHello, ClientMessage, Cursor, ServerMessage, Welcome,
};
use tokio::time::{Instant, timeout};

use super::acks::Acks;
use super::assembly::Assembly;
use super::queries::Queries;
use super::{Connection, Context};
use crate::address::Address;
use crate::config::AckPolicy;
use crate::disconnected::Disconnected;
use crate::limits::MAX_ACK_INTERVAL;
use crate::link::Link;
use crate::reports::Told;
use crate::role::Role;
use crate::socket::Socket;

impl<'a> Connection<'a> {
    /// Connects, says hello, and is welcomed.
    pub(crate) async fn open(
        context: &'a Context<'a>,
        address: &Address,
        token: String,
    ) -> Result<Self, Disconnected> {
        let applied = match context.role {
            Role::Hold(_, holder) => Some(holder.applied.subscribe()),
            Role::Watch(_) => None,
        };
        let mut connection = Self {
            context,
            socket: Socket::open(context.config, address, &token).await?,
            heard: Instant::now(),
            pinged: false,
            acks: Acks::default(),
            assembly: Assembly::default(),
            queries: Queries::default(),
            applied,
            watched: BTreeMap::new(),
            token,
            renew_at: None,
            leave_at: None,
            behind_since: None,
            complaint: None,
            has_worked: false,
            told: Told::default(),
            takes_reports: false,
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
            level: self.context.role.level(),
            position: shared.cursor().filter(|_| self.context.role.can_resume()),
            build: config.build,
            filter: config.filter.clone(),
            capabilities: Vec::new(),
            client: Some(concat!("liveevents-client/", env!("CARGO_PKG_VERSION")).to_owned()),
            include_config: config.include_config,
            language: config.language.clone(),
        });
        let sent = shared.clock.here();
        self.socket.send(&hello).await?;
        let deadline = config.timing.welcome;
        let welcome = timeout(deadline, self.welcome())
            .await
            .map_err(|_| Disconnected::TimedOut(deadline))??;
        shared.check(&welcome.installation, &welcome.region, config)?;
        shared.clock.set(welcome.time, sent, shared.clock.here());
        self.welcomed(&welcome);
        tracing::info!(%address, edge = %welcome.edge, region = %welcome.region, "subscribed");
        shared.link.send_replace(Link::Connected {
            address: address.clone(),
            edge: welcome.edge,
        });
        self.tell_watched().await?;
        self.send_acks().await
    }

    async fn welcome(&mut self) -> Result<Welcome, Disconnected> {
        loop {
            match self.socket.next().await?.message {
                ServerMessage::Welcome(welcome) => return Ok(welcome),
                ServerMessage::Goaway(goaway) => self.goaway(&goaway),
                ServerMessage::Error(error) => self.complaint = Some(error),
                ServerMessage::Unknown => {}
                other => {
                    let what = format!("{} before the welcome", other.kind());
                    return Err(Disconnected::Malformed(what));
                }
            }
        }
    }

    fn welcomed(&mut self, welcome: &Welcome) {
        let shared = self.context.shared;
        self.takes_reports = welcome.capabilities.iter().any(|known| known == "reports");
        let interval = std::time::Duration::from_millis(welcome.ack_interval_ms);
        self.acks = Acks::new(interval.min(MAX_ACK_INTERVAL));
        let now = shared.clock.now();
        // An edge that does not say when it heard its origin never has.
        let stale = welcome.contact_at.is_none_or(|contact| {
            welcome.time.duration_since(contact).unsigned_abs() > LIVE_WITHIN
        });
        shared.freshness.told(welcome.contact_at, stale, now);
        // What is held is current if the edge has nothing newer; it is not told again, so it is acked now.
        if let (Some(held), Some(position)) = (shared.cursor(), welcome.position)
            && held == position
        {
            shared.synced();
            self.has_come(held, Instant::now());
        }
    }

    /// A version is there: acks it as far as it has come.
    pub(super) fn has_come(&mut self, held: Cursor, now: Instant) {
        match (&self.context.role, self.context.config.ack_policy) {
            (Role::Hold(_, holder), AckPolicy::ByApplication) => {
                let applied = *holder.applied.borrow();
                match applied {
                    Some(applied) if applied == held => {
                        self.acks.due(held, AckStatus::Applied, now);
                    }
                    _ => self.acks.due(held, AckStatus::Deferred, now),
                }
            }
            _ => self.acks.due(held, AckStatus::Applied, now),
        }
    }
}
