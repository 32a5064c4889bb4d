//! The edge that is played: it takes the client's connections, brings it to a state, and knows what it has acked.

use std::time::Duration;

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::{
    AUTHORIZATION, RETRY_AFTER, SEC_WEBSOCKET_PROTOCOL,
};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use uuid::Uuid;

use liveevents_protocol::message::{SUBPROTOCOL, SUBSCRIBE_PATH};

use super::held::Held;
use super::session::{Heard, Session, in_time, short};
use super::{Level, Settings, Unmet, script};
use crate::limits;

/// The edge, and where its one client is.
#[derive(Debug)]
pub(super) struct Stage {
    listener: TcpListener,
    pub(super) settings: Settings,
    /// What the client said that it is, once it has.
    level: Option<Level>,
    /// Its connection, brought up to `held`.
    session: Option<Session>,
    /// A connection that was not welcomed yet.
    newcomer: Option<Session>,
    /// What it has acked.
    held: Option<Held>,
    /// The hello seen last.
    pub(super) hello: Value,
}

/// A connection attempt that was answered by an HTTP error.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) at: Instant,
    pub(super) token: String,
}

impl Stage {
    pub(super) fn new(listener: TcpListener, settings: Settings) -> Self {
        Self {
            listener,
            settings,
            level: settings.level,
            session: None,
            newcomer: None,
            held: None,
            hello: Value::Null,
        }
    }

    pub(super) fn level(&self) -> Option<Level> {
        self.level
    }

    pub(super) fn is_watching(&self) -> bool {
        self.level == Some(Level::Watch)
    }

    /// What the client has acked.
    pub(super) fn held(&self) -> Result<Held, Unmet> {
        self.held
            .ok_or_else(|| Unmet("it has not acked anything yet".to_owned()))
    }

    /// The client's connection.
    pub(super) fn session(&mut self) -> Result<&mut Session, Unmet> {
        self.session
            .as_mut()
            .ok_or_else(|| Unmet("it is not connected".to_owned()))
    }

    pub(super) fn take_session(&mut self) -> Result<Session, Unmet> {
        self.session
            .take()
            .ok_or_else(|| Unmet("it is not connected".to_owned()))
    }

    /// Cuts the connection without a word.
    pub(super) fn cut(&mut self) {
        self.session = None;
        self.newcomer = None;
    }

    /// Brings the client into a state that it has acked, if it is not: after a rule that it broke, nobody knows
    /// where it is.
    pub(super) async fn ready(&mut self) -> Result<(), Unmet> {
        if self.session.is_some() {
            return Ok(());
        }
        let session = self.said_hello().await?;
        self.held = Held::of_hello(&session.hello);
        self.welcomed(session, limits::CONFORM_ACK_INTERVAL).await?;
        self.new_epoch().await
    }

    /// The client's very first connection: it may hold something from an earlier run.
    pub(super) async fn begins(&mut self) -> Result<(), Unmet> {
        let session = self.said_hello().await?;
        self.held = Held::of_hello(&session.hello);
        self.welcomed(session, limits::CONFORM_ACK_INTERVAL).await?;
        self.first_sync().await
    }

    /// A connection that has said hello.
    pub(super) async fn said_hello(&mut self) -> Result<Session, Unmet> {
        let mut session = match self.newcomer.take() {
            Some(session) => session,
            None => self.upgraded().await?,
        };
        if session.hello.is_null() {
            self.greeted(&mut session).await?;
        }
        Ok(session)
    }

    async fn greeted(&mut self, session: &mut Session) -> Result<(), Unmet> {
        session.hello = session.wanted("hello", None).await?;
        self.hello = session.hello.clone();
        let level = session.hello.get("level").and_then(Value::as_str);
        let named = level.and_then(Level::parse).ok_or_else(|| {
            Unmet(format!(
                "a hello without a level: {}",
                short(&session.hello.to_string())
            ))
        })?;
        if session
            .hello
            .get("region")
            .and_then(Value::as_str)
            .is_none()
        {
            return Err(Unmet("a hello without a region".to_owned()));
        }
        match self.level.replace(named) {
            Some(before) if before != named => Err(Unmet(format!(
                "a hello of level {named:?} instead of {before:?}"
            ))),
            _ => Ok(()),
        }
    }

    /// Keeps a connection for the next rule.
    pub(super) fn keep(&mut self, session: Session) {
        self.newcomer = Some(session);
    }

    /// Welcomes it; from then on it is the client's connection.
    async fn welcomed(
        &mut self,
        mut session: Session,
        ack_interval: Duration,
    ) -> Result<(), Unmet> {
        let position = self.held.unwrap_or(Held {
            epoch: Uuid::now_v7(),
            version: 0,
        });
        let millis = u64::try_from(ack_interval.as_millis()).unwrap_or(u64::MAX);
        let region = session.hello.get("region").cloned().unwrap_or_default();
        session
            .send(&script::welcome(&region, position, millis))
            .await?;
        self.session = Some(session);
        Ok(())
    }

    /// The client's first state: parts of a snapshot, or each player's events. It is acked when it is whole, not
    /// earlier.
    async fn first_sync(&mut self) -> Result<(), Unmet> {
        let target = Held {
            epoch: Uuid::now_v7(),
            version: 10,
        };
        let (held, watching) = (self.held, self.is_watching());
        let session = self.session()?;
        if watching {
            named_players(session, held).await?;
            tell_players(session, target).await?;
            session.stays(held).await?;
            session.send(&script::current(target)).await?;
        } else {
            for (index, event) in [(0, "conform-a"), (1, "conform-b")] {
                session
                    .send(&script::chunk(target, index, false, event))
                    .await?;
            }
            session.stays(held).await?;
            session
                .send(&script::chunk(target, 2, true, "conform-c"))
                .await?;
        }
        session.acked(target, held).await?;
        self.held = Some(target);
        Ok(())
    }

    /// Goes on in a later epoch, from its version 1.
    pub(super) async fn new_epoch(&mut self) -> Result<(), Unmet> {
        let target = Held {
            epoch: Uuid::now_v7(),
            version: 1,
        };
        let (held, watching) = (self.held, self.is_watching());
        let session = self.session()?;
        if watching {
            named_players(session, held).await?;
            tell_players(session, target).await?;
            session.send(&script::current(target)).await?;
        } else {
            session
                .send(&script::chunk(target, 0, true, "conform-a"))
                .await?;
        }
        session.acked(target, held).await?;
        self.held = Some(target);
        Ok(())
    }

    /// One ordinary change, acked.
    pub(super) async fn advance(&mut self) -> Result<(), Unmet> {
        let from = self.held()?;
        let message = if self.is_watching() {
            let name = self.a_player()?;
            script::player(&name, from.plus(1), "conform-change", 0)
        } else {
            script::delta(from, from.version + 1)
        };
        self.session()?.send(&message).await?;
        self.goes_to(from.plus(1)).await
    }

    /// After what leads to `target` has been sent: the client acks it.
    pub(super) async fn goes_to(&mut self, target: Held) -> Result<(), Unmet> {
        let (held, watching) = (self.held, self.is_watching());
        let session = self.session()?;
        if watching {
            session.send(&script::current(target)).await?;
        }
        session.acked(target, held).await?;
        self.held = Some(target);
        Ok(())
    }

    /// The client has acked this.
    pub(super) fn reached(&mut self, held: Held) {
        self.held = Some(held);
    }

    /// The name of one of the players watched.
    pub(super) fn a_player(&mut self) -> Result<String, Unmet> {
        let players = &self.session()?.players;
        let first = players.first().cloned();
        first.ok_or_else(|| Unmet("it watches nobody".to_owned()))
    }

    /// The client leaves its connection, if it still has one, and connects again with the position it holds. How
    /// long after `since` it did so.
    pub(super) async fn returns(&mut self, since: Instant) -> Result<Duration, Unmet> {
        let (session, arrived) = self.comes_back(since).await?;
        self.resumed(session, limits::CONFORM_ACK_INTERVAL).await?;
        Ok(arrived)
    }

    /// As [`Stage::returns`], not welcomed yet.
    pub(super) async fn comes_back(
        &mut self,
        since: Instant,
    ) -> Result<(Session, Duration), Unmet> {
        self.left().await?;
        let session = self.said_hello().await?;
        let held = self.held()?;
        match Held::of_hello(&session.hello) {
            Some(position) if position == held => {
                let arrived = session.since.saturating_duration_since(since);
                Ok((session, arrived))
            }
            Some(position) => Err(Unmet(format!(
                "connected again with {position}, but it holds {held}"
            ))),
            None => Err(Unmet(format!(
                "connected again without a position, but it holds {held}"
            ))),
        }
    }

    /// Welcomes a connection that holds what it should. At level Watch it is told its players anew.
    pub(super) async fn resumed(
        &mut self,
        session: Session,
        ack_interval: Duration,
    ) -> Result<(), Unmet> {
        self.welcomed(session, ack_interval).await?;
        if self.is_watching() {
            let held = self.held()?;
            let session = self.session()?;
            named_players(session, Some(held)).await?;
            tell_players(session, held).await?;
            session.send(&script::current(held)).await?;
            session.acked(held, Some(held)).await?;
        }
        Ok(())
    }

    /// Waits until the client has left, or comes by another connection.
    async fn left(&mut self) -> Result<(), Unmet> {
        let until = Instant::now() + limits::CONFORM_REST;
        let held = self.held;
        while let Some(session) = &mut self.session {
            let heard = tokio::select! {
                heard = session.next(until) => heard?,
                accepted = self.listener.accept() => {
                    let (stream, _) = accepted.map_err(|error| Unmet(error.to_string()))?;
                    self.newcomer = upgrade(stream, Instant::now(), self.settings.patience).await?;
                    if self.newcomer.is_some() {
                        self.session = None;
                    }
                    continue;
                }
            };
            match heard {
                Some(Heard::Said(said)) => Held::judge(&said, held)?,
                Some(Heard::Pong(_)) => {}
                Some(Heard::Left(_)) => self.session = None,
                None => {
                    return Err(Unmet(format!(
                        "neither left nor connected again {}",
                        in_time(limits::CONFORM_REST)
                    )));
                }
            }
        }
        Ok(())
    }

    /// The next connection, upgraded.
    pub(super) async fn upgraded(&mut self) -> Result<Session, Unmet> {
        let until = Instant::now() + limits::CONFORM_REST.max(self.settings.wait);
        loop {
            let (stream, since) = self.connection(until).await?.ok_or_else(|| {
                Unmet(format!("did not connect {}", in_time(limits::CONFORM_REST)))
            })?;
            if let Some(session) = upgrade(stream, since, self.settings.patience).await? {
                return Ok(session);
            }
        }
    }

    /// The next connection, `None` if there is none.
    async fn connection(&self, until: Instant) -> Result<Option<(TcpStream, Instant)>, Unmet> {
        match timeout_at(until, self.listener.accept()).await {
            Ok(Ok((stream, _))) => Ok(Some((stream, Instant::now()))),
            Ok(Err(error)) => Err(Unmet(format!("a connection that failed: {error}"))),
            Err(_) => Ok(None),
        }
    }

    /// Answers the next connection by an HTTP error.
    pub(super) async fn refuse(
        &self,
        status: StatusCode,
        retry_after: Option<u64>,
    ) -> Result<Refused, Unmet> {
        let until = Instant::now() + limits::CONFORM_REST;
        loop {
            let (stream, _) = self.connection(until).await?.ok_or_else(|| {
                Unmet(format!(
                    "did not connect again {}",
                    in_time(limits::CONFORM_REST)
                ))
            })?;
            let mut refused = None;
            #[expect(clippy::result_large_err, reason = "the library's signature")]
            let callback = |request: &Request, _: Response| {
                refused = Some(Refused {
                    at: Instant::now(),
                    token: bearer(request).unwrap_or_default(),
                });
                let mut refusal = ErrorResponse::new(Some(String::new()));
                *refusal.status_mut() = status;
                if let Some(seconds) = retry_after {
                    refusal.headers_mut().insert(RETRY_AFTER, seconds.into());
                }
                Err(refusal)
            };
            let answered = Box::pin(accept_hdr_async(stream, callback));
            // What it says is decided by the callback; how it ends does not matter.
            let _ = timeout(self.settings.patience, answered).await;
            if let Some(refused) = refused {
                return Ok(refused);
            }
        }
    }

    /// Whether it connects before `until`; kept for the next rule.
    pub(super) async fn connects(&mut self, until: Instant) -> Result<Option<Instant>, Unmet> {
        loop {
            let Some((stream, since)) = self.connection(until).await? else {
                return Ok(None);
            };
            if let Some(session) = upgrade(stream, since, self.settings.patience).await? {
                self.keep(session);
                return Ok(Some(since));
            }
        }
    }

    /// The token of the connection kept.
    pub(super) fn kept_token(&self) -> Option<&str> {
        self.newcomer.as_ref().map(|session| session.token.as_str())
    }
}

/// Waits until it watches somebody.
async fn named_players(session: &mut Session, held: Option<Held>) -> Result<(), Unmet> {
    while session.players.is_empty() {
        session.wanted("watch", held).await?;
    }
    Ok(())
}

/// Tells each player's events.
async fn tell_players(session: &mut Session, at: Held) -> Result<(), Unmet> {
    for player in session.players.clone() {
        session
            .send(&script::player(&player, at, "conform-a", 0))
            .await?;
    }
    Ok(())
}

/// Upgrades a connection. `None` if it ended before it asked for that: a probe of the port.
async fn upgrade(
    stream: TcpStream,
    since: Instant,
    patience: Duration,
) -> Result<Option<Session>, Unmet> {
    let mut asked = None;
    #[expect(clippy::result_large_err, reason = "the library's signature")]
    let callback = |request: &Request, mut response: Response| {
        let checked = check(request);
        let is_good = checked.is_ok();
        asked = Some(checked);
        if !is_good {
            let mut refusal = ErrorResponse::new(None);
            *refusal.status_mut() = StatusCode::BAD_REQUEST;
            return Err(refusal);
        }
        let subprotocol = HeaderValue::from_static(SUBPROTOCOL);
        response
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
        Ok(response)
    };
    let upgraded = Box::pin(accept_hdr_async(stream, callback));
    let upgraded = timeout(patience, upgraded)
        .await
        .map_err(|_| Unmet(format!("no upgrade {}", in_time(patience))))?;
    match (asked, upgraded) {
        (Some(Ok(token)), Ok(socket)) => Ok(Some(Session::new(socket, token, since, patience))),
        (Some(Err(wrong)), _) => Err(wrong),
        (_, Err(error)) => {
            tell_probe(&error);
            Ok(None)
        }
        (None, Ok(_)) => Err(Unmet("an upgrade that was not asked for".to_owned())),
    }
}

fn tell_probe(error: &tokio_tungstenite::tungstenite::Error) {
    eprintln!("a connection that did not become a WebSocket: {error}");
}

fn check(request: &Request) -> Result<String, Unmet> {
    if request.uri().path() != SUBSCRIBE_PATH {
        return Err(Unmet(format!("an upgrade at {}", request.uri().path())));
    }
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    let offers = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        text.split(',').any(|offer| offer.trim() == SUBPROTOCOL)
    };
    if !offered.iter().any(offers) {
        return Err(Unmet(format!(
            "an upgrade that does not offer {SUBPROTOCOL}"
        )));
    }
    bearer(request).ok_or_else(|| Unmet("an upgrade without a bearer token".to_owned()))
}

fn bearer(request: &Request) -> Option<String> {
    let text = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then(|| token.to_owned())
}
