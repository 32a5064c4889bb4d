//! A client written from the protocol's page alone, as simple as one can be, which can be given a fault.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use liveevents_loadtest::conform::Level;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    NoToken,
    NoLevel,
    /// Acks a part as if it were the whole.
    AcksParts,
    /// Reads nothing after its first state.
    Deaf,
    SingleSteps,
    /// Refuses fields and types that it does not know.
    Strict,
    StrictAboutTypes,
    SmallMessages,
    AcksEach,
    ForgetsPosition,
    /// Whatever comes is taken.
    TakesAnything,
    ForgetsWhenAhead,
    OneEpoch,
    /// Waits for nothing.
    Impatient,
    OneToken,
}

type Held = (String, u64);

pub(crate) struct Simple {
    address: SocketAddr,
    level: Level,
    fault: Option<Fault>,
    held: Option<Held>,
    token: u32,
    failures: u32,
    /// Not to connect before.
    not_before: Option<Instant>,
}

/// The connection is over; how long to wait.
struct Over(Option<Duration>);

struct Link {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    ack_interval: Duration,
    acked: Option<Instant>,
    is_ack_due: bool,
}

impl Simple {
    pub(crate) fn new(address: SocketAddr, level: Level, fault: Option<Fault>) -> Self {
        Self {
            address,
            level,
            fault,
            held: None,
            token: 0,
            failures: 0,
            not_before: None,
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    pub(crate) async fn run(mut self) {
        loop {
            let Over(advice) = self.connection().await;
            self.failures += 1;
            let usual = Duration::from_millis(50) * self.failures.min(20);
            let mut pause = advice.unwrap_or(usual);
            if self.has(Fault::ForgetsPosition) {
                self.held = None;
            }
            if let Some(until) = self.not_before.take() {
                pause = pause.max(until.saturating_duration_since(Instant::now()));
            }
            if !self.has(Fault::Impatient) {
                sleep(pause).await;
            }
        }
    }

    async fn connection(&mut self) -> Over {
        match self.open().await {
            Ok(mut link) => loop {
                if let Err(over) = self.step(&mut link).await {
                    return over;
                }
            },
            Err(Error::Http(response)) => {
                let after = response.headers().get("retry-after");
                let after = after.and_then(|value| value.to_str().ok()?.parse().ok());
                if response.status() == 401 {
                    self.another_token();
                }
                Over(after.map(Duration::from_secs))
            }
            Err(_) => Over(None),
        }
    }

    fn another_token(&mut self) {
        if !self.has(Fault::OneToken) {
            self.token += 1;
        }
    }

    async fn open(&mut self) -> Result<Link, Error> {
        let url = format!("ws://{}/api/v1/subscribe", self.address);
        let mut request = url.into_client_request()?;
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", "liveevents.v1".parse().unwrap());
        if !self.has(Fault::NoToken) {
            let token = format!("Bearer simple-{}", self.token);
            headers.insert("authorization", token.parse().unwrap());
        }
        let size = match self.has(Fault::SmallMessages) {
            true => 1 << 20,
            false => 64 << 20,
        };
        let limits = WebSocketConfig::default()
            .max_message_size(Some(size))
            .max_frame_size(Some(size));
        let (mut socket, _) = connect_async_with_config(request, Some(limits), true).await?;
        let mut hello = json!({"type": "hello", "region": "us-east", "client": "simple"});
        if !self.has(Fault::NoLevel) {
            hello["level"] = json!(format!("{:?}", self.level));
        }
        if let Some((epoch, version)) = &self.held {
            hello["position"] = json!({"epoch": epoch, "version": version});
        }
        socket.send(Message::text(hello.to_string())).await?;
        Ok(Link {
            socket,
            ack_interval: Duration::ZERO,
            acked: None,
            is_ack_due: false,
        })
    }

    async fn step(&mut self, link: &mut Link) -> Result<(), Over> {
        let ack_at = link.acked.map(|at| at + link.ack_interval);
        let message = tokio::select! {
            message = link.socket.next() => message,
            () = sleep_until(ack_at.unwrap_or_else(Instant::now)), if link.is_ack_due => {
                return self.ack(link).await;
            }
            () = leaving(self.not_before) => return Err(Over(None)),
        };
        match message {
            Some(Ok(Message::Text(text))) => {
                let message: Value = serde_json::from_str(&text).unwrap();
                self.take(link, &message).await
            }
            Some(Ok(Message::Close(frame))) => {
                let code = frame.map_or(1000, |frame| u16::from(frame.code));
                if (4010..=4012).contains(&code) {
                    self.another_token();
                }
                Err(Over(match code {
                    4002 | 4003 | 4013..=4017 => Some(Duration::from_secs(2)),
                    4006 => Some(Duration::from_secs(30)),
                    _ => None,
                }))
            }
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => Err(Over(None)),
        }
    }

    async fn take(&mut self, link: &mut Link, message: &Value) -> Result<(), Over> {
        let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| message[name].as_u64().unwrap_or_default();
        if self.has(Fault::Strict) && message.get("lunar").is_some() {
            return Err(Over(None));
        }
        match message["type"].as_str().unwrap_or_default() {
            "welcome" => {
                link.ack_interval = Duration::from_millis(number("ackIntervalMs"));
                if self.level == Level::Watch {
                    let players =
                        json!([{"player": "p-1"}, {"player": "p-2", "keys": {"match": "m"}}]);
                    link.say(&json!({"type": "watch", "players": players}))
                        .await?;
                }
                Ok(())
            }
            "snapshot" if message["last"] == false && !self.has(Fault::AcksParts) => Ok(()),
            "snapshot" => {
                self.advance(link, None, (text("epoch"), number("to")))
                    .await
            }
            "delta" => {
                let from = Some((text("epoch"), number("from")));
                self.advance(link, from, (text("epoch"), number("to")))
                    .await
            }
            "player" if !self.has(Fault::AcksParts) => Ok(()),
            "player" | "current" => {
                self.advance(link, None, (text("epoch"), number("version")))
                    .await
            }
            "ahead" if self.has(Fault::ForgetsWhenAhead) => {
                self.held = None;
                Err(Over(None))
            }
            "goaway" => {
                let delay = Duration::from_millis(number("reconnectAfterMs"));
                self.not_before = (!self.has(Fault::Impatient)).then(|| Instant::now() + delay);
                match self.has(Fault::Impatient) {
                    true => Err(Over(None)),
                    false => Ok(()),
                }
            }
            "tokenExpiring" if !self.has(Fault::OneToken) => {
                self.another_token();
                let token = format!("simple-{}", self.token);
                link.say(&json!({"type": "token", "token": token})).await
            }
            "ahead" | "error" | "tokenExpiring" | "tokenRenewed" => Ok(()),
            _ if self.has(Fault::StrictAboutTypes) => Err(Over(None)),
            _ => Ok(()),
        }
    }

    /// Goes to `to`, if that continues what is held.
    async fn advance(&mut self, link: &mut Link, from: Option<Held>, to: Held) -> Result<(), Over> {
        let held = self.held.as_ref();
        if self.has(Fault::SingleSteps) && from.as_ref().is_some_and(|from| to.1 != from.1 + 1) {
            return Err(Over(None));
        }
        let is_next = match (held, &from) {
            (_, None) => held.is_none_or(|held| *held <= to),
            (held, from) => held == from.as_ref(),
        };
        let is_refused = self.has(Fault::OneEpoch) && held.is_some_and(|held| held.0 != to.0);
        if (!is_next && !self.has(Fault::TakesAnything)) || is_refused {
            return Err(Over(None));
        }
        self.held = Some(to);
        self.failures = 0;
        let waits = link
            .acked
            .is_some_and(|at| at.elapsed() < link.ack_interval);
        link.is_ack_due = waits && !self.has(Fault::AcksEach);
        if !link.is_ack_due {
            self.ack(link).await?;
        }
        if self.has(Fault::Deaf) {
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn ack(&mut self, link: &mut Link) -> Result<(), Over> {
        link.is_ack_due = false;
        link.acked = Some(Instant::now());
        let Some((epoch, version)) = &self.held else {
            return Ok(());
        };
        let ack = json!({"type": "ack", "epoch": epoch, "version": version, "status": "Received"});
        link.say(&ack).await
    }
}

impl Link {
    async fn say(&mut self, message: &Value) -> Result<(), Over> {
        let sent = self.socket.send(Message::text(message.to_string())).await;
        sent.map_err(|_| Over(None))
    }
}

async fn leaving(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
