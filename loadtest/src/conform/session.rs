//! One WebSocket connection of the client under test, and everything it says on it.
//!
//! Only JSON values here, none of our own message types: what a client says is judged by the published protocol, and
//! a fault that our types have in common on both sides would otherwise pass.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};

use super::Unmet;
use super::held::Held;
use crate::limits;

/// One connection, upgraded.
#[derive(Debug)]
pub(super) struct Session {
    socket: WebSocketStream<TcpStream>,
    /// How long it may take for one answer.
    patience: Duration,
    pub(super) token: String,
    /// Its hello, once it has come.
    pub(super) hello: Value,
    /// When the connection was made.
    pub(super) since: Instant,
    /// Those named by `watch`, less those taken back.
    pub(super) players: BTreeSet<String>,
}

/// What a client does.
#[derive(Debug)]
pub(super) enum Heard {
    Said(Value),
    Pong(Vec<u8>),
    /// The connection is over; how.
    Left(String),
}

impl Session {
    pub(super) fn new(
        socket: WebSocketStream<TcpStream>,
        token: String,
        since: Instant,
        patience: Duration,
    ) -> Self {
        Self {
            socket,
            patience,
            token,
            hello: Value::Null,
            since,
            players: BTreeSet::new(),
        }
    }

    /// The next thing that the client does, `None` if it does nothing. Cancel safe.
    pub(super) async fn next(&mut self, until: Instant) -> Result<Option<Heard>, Unmet> {
        loop {
            let Ok(message) = timeout_at(until, self.socket.next()).await else {
                return Ok(None);
            };
            let heard = match message {
                Some(Ok(Message::Text(text))) => {
                    let said = serde_json::from_str(&text).map_err(|error| {
                        Unmet(format!(
                            "a text that is not JSON ({error}): {}",
                            short(&text)
                        ))
                    })?;
                    self.note(&said);
                    Heard::Said(said)
                }
                Some(Ok(Message::Pong(payload))) => Heard::Pong(payload.to_vec()),
                Some(Ok(Message::Ping(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Binary(_))) => {
                    return Err(Unmet("a binary message; all are text".to_owned()));
                }
                Some(Ok(Message::Close(frame))) => Heard::Left(closing(frame.as_ref())),
                Some(Err(error)) => Heard::Left(error.to_string()),
                None => Heard::Left("the end of the connection".to_owned()),
            };
            return Ok(Some(heard));
        }
    }

    fn note(&mut self, said: &Value) {
        let players = |member: &str| {
            said.get("players").and_then(Value::as_array).map(|list| {
                let names = list.iter().filter_map(move |player| match player {
                    Value::String(name) => Some(name.clone()),
                    player => Some(player.get(member)?.as_str()?.to_owned()),
                });
                names.collect::<Vec<_>>()
            })
        };
        match kind(said) {
            "watch" => self.players.extend(players("player").unwrap_or_default()),
            "unwatch" => {
                for player in players("player").unwrap_or_default() {
                    self.players.remove(&player);
                }
            }
            _ => {}
        }
    }

    /// Waits for a message of this type; acks have to be of `held`.
    pub(super) async fn wanted(
        &mut self,
        wanted: &str,
        held: Option<Held>,
    ) -> Result<Value, Unmet> {
        let until = Instant::now() + self.patience;
        loop {
            match self.next(until).await? {
                Some(Heard::Said(said)) if kind(&said) == wanted => return Ok(said),
                Some(Heard::Said(said)) => Held::judge(&said, held)?,
                Some(Heard::Pong(_)) => {}
                Some(Heard::Left(how)) => {
                    return Err(Unmet(format!("instead of `{wanted}`: {how}")));
                }
                None => return Err(Unmet(format!("no `{wanted}` {}", in_time(self.patience)))),
            }
        }
    }

    /// Waits until the client has acked `target`; before that only what lies between. Tells the acks it
    /// took.
    pub(super) async fn acked(
        &mut self,
        target: Held,
        held: Option<Held>,
    ) -> Result<Vec<Value>, Unmet> {
        let until = Instant::now() + self.patience;
        let mut acks = Vec::new();
        loop {
            match self.next(until).await? {
                Some(Heard::Said(said)) if kind(&said) == "ack" => {
                    let acked = Held::of_ack(&said)?;
                    // On the way to a later version of the same history, those between may be acked.
                    let is_between =
                        held.is_some_and(|held| held.is_before(acked) && acked.is_before(target));
                    if acked != target && !is_between {
                        Held::judge(&said, held)?;
                    }
                    acks.push(said);
                    if acked == target {
                        return Ok(acks);
                    }
                }
                Some(Heard::Said(_) | Heard::Pong(_)) => {}
                Some(Heard::Left(how)) => {
                    return Err(Unmet(format!("instead of an ack of {target}: {how}")));
                }
                None => {
                    return Err(Unmet(format!(
                        "no ack of {target} {}",
                        in_time(self.patience)
                    )));
                }
            }
        }
    }

    /// Sees to it that the client, for a moment, neither leaves nor acks anything but `held`.
    pub(super) async fn stays(&mut self, held: Option<Held>) -> Result<(), Unmet> {
        match self.leaves(held).await? {
            Some(how) => Err(Unmet(how)),
            None => Ok(()),
        }
    }

    /// Sees to it that the client, for a moment, acks nothing but `held`; whether it leaves, and how.
    pub(super) async fn leaves(&mut self, held: Option<Held>) -> Result<Option<String>, Unmet> {
        let until = Instant::now() + limits::CONFORM_MOMENT;
        loop {
            match self.next(until).await? {
                Some(Heard::Said(said)) => Held::judge(&said, held)?,
                Some(Heard::Pong(_)) => {}
                Some(Heard::Left(how)) => return Ok(Some(how)),
                None => return Ok(None),
            }
        }
    }

    /// Sends a ping and waits for its pong.
    pub(super) async fn ping(&mut self, payload: &[u8], held: Option<Held>) -> Result<(), Unmet> {
        self.write(Message::Ping(payload.to_vec().into())).await?;
        let until = Instant::now() + self.patience;
        loop {
            match self.next(until).await? {
                Some(Heard::Pong(answer)) if answer == payload => return Ok(()),
                Some(Heard::Pong(_)) => {}
                Some(Heard::Said(said)) => Held::judge(&said, held)?,
                Some(Heard::Left(how)) => {
                    return Err(Unmet(format!("instead of a pong: {how}")));
                }
                None => return Err(Unmet(format!("no pong {}", in_time(self.patience)))),
            }
        }
    }

    pub(super) async fn send(&mut self, message: &Value) -> Result<(), Unmet> {
        self.write(Message::text(message.to_string())).await
    }

    /// Sends a message in several fragments, with a ping after the second.
    pub(super) async fn send_in_fragments(&mut self, message: &Value) -> Result<(), Unmet> {
        let bytes = message.to_string().into_bytes();
        let size = (bytes.len() / 5).max(1);
        let last = bytes.len().div_ceil(size).saturating_sub(1);
        for (index, part) in bytes.chunks(size).enumerate() {
            let data = if index == 0 {
                Data::Text
            } else {
                Data::Continue
            };
            let frame = Frame::message(part.to_vec(), OpCode::Data(data), index == last);
            self.write(Message::Frame(frame)).await?;
            if index == 1 {
                self.write(Message::Ping(b"between".to_vec().into()))
                    .await?;
            }
        }
        Ok(())
    }

    /// Says why, closes, and is gone, whatever the client answers.
    pub(super) async fn close(mut self, code: u16, reason: &str) -> Result<(), Unmet> {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.to_owned().into(),
        };
        self.write(Message::Close(Some(frame))).await?;
        let answered = async { while self.socket.next().await.is_some_and(|m| m.is_ok()) {} };
        // A client that does not answer has been told all the same.
        let _ = timeout(limits::CONFORM_MOMENT, answered).await;
        Ok(())
    }

    async fn write(&mut self, message: Message) -> Result<(), Unmet> {
        match timeout(self.patience, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Unmet(format!("took no more messages: {error}"))),
            Err(_) => Err(Unmet(format!("took no message {}", in_time(self.patience)))),
        }
    }
}

/// The `type` of a message; empty if it has none.
pub(super) fn kind(said: &Value) -> &str {
    said.get("type").and_then(Value::as_str).unwrap_or_default()
}

/// A message, cut to what a table has room for.
pub(super) fn short(text: &str) -> String {
    match text.char_indices().nth(limits::CONFORM_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

pub(super) fn in_time(limit: Duration) -> String {
    format!("within {limit:?}")
}

fn closing(frame: Option<&CloseFrame>) -> String {
    match frame {
        Some(frame) => format!(
            "a close with code {} {:?}",
            u16::from(frame.code),
            frame.reason.as_str()
        ),
        None => "a close without a code".to_owned(),
    }
}
