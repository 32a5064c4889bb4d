//! From game server to edge.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Cursor, MessageError, Tag, print};
use crate::attribute::Attribute;
use crate::build::Build;
use crate::engagement::Batch;
use crate::filter::Filter;
use crate::id::{EventId, RegionId};
use crate::version::{Epoch, Revision, Version};

/// How much a game server wants the edge to do for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// The raw region state: snapshot or delta, then deltas.
    Region,
    /// The edge evaluates: each watched player's events, whole, whenever they change.
    Watch,
    /// The raw region state, which the client evaluates for its players.
    Local,
}

/// How far a game server has come with a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AckStatus {
    /// It has it.
    Received,
    /// Its players see it.
    Applied,
    /// Its players will see it when the match ends.
    Deferred,
}

/// From game server to edge.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientMessage {
    /// The first message.
    Hello(ClientHello),
    /// It holds a version.
    Ack(ClientAck),
    /// It cannot use an event.
    Nack(ClientNack),
    /// Players to watch (level Watch).
    Watch(Watch),
    /// Players to watch no more.
    Unwatch(Unwatch),
    /// What some players are shown now.
    Query(Query),
    /// A batch of reports of what players do.
    Reports(Batch),
    /// A newer token.
    Token(Renewal),
    /// A type of a newer client.
    Unknown,
}

/// What a game server wants, and what it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientHello {
    /// The region that it is in.
    pub region: RegionId,
    /// What it wants done.
    pub level: Level,
    /// What it holds, from whatever edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Cursor>,
    /// The game's build.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
    /// Which events it wants.
    #[serde(default, skip_serializing_if = "Filter::is_everything")]
    pub filter: Filter,
    /// What it understands beyond this version of the protocol.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Name and version of the client library, for logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// At level Watch: whether events come with their configuration.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub include_config: bool,
    /// At level Watch: in which language, for players that say none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_yes(value: &bool) -> bool {
    *value
}

/// Word that a version has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientAck {
    /// Of which history.
    pub epoch: Epoch,
    /// Up to and including.
    pub version: Version,
    /// How far.
    pub status: AckStatus,
    /// For how many milliseconds it has held that version, since acks may be held back a little.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held_ms: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Word that an event cannot be used, also after an ack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientNack {
    /// Of which history.
    pub epoch: Epoch,
    /// The version that brought it, or the one held now.
    pub version: Version,
    /// Which event.
    pub event_id: EventId,
    /// Which revision of it, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// Why, for people.
    pub reason: String,
}

/// A player, and all that decides what the player is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlayerMessage {
    /// Who. The bucketing key named `player`.
    pub player: String,
    /// Other bucketing keys: match, guild, server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, String>,
    /// What segments look at.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Attribute>,
    /// Texts in this language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// The player's platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// The player's game build; the game server's if none is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
}

/// Players to watch: new ones, or the same with other attributes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Watch {
    /// Each replaces what was said of the player before.
    pub players: Vec<PlayerMessage>,
}

/// Players to watch no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unwatch {
    /// Their identifiers.
    pub players: Vec<String>,
}

/// What some players are shown now, once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Query {
    /// Comes back with the answer.
    pub id: String,
    /// Up to [`crate::limits::MAX_QUERY`].
    pub players: Vec<PlayerMessage>,
    /// Whether events come with their configuration.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub include_config: bool,
}

/// A token in place of the one that the connection was opened with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Renewal {
    /// The token.
    pub token: String,
}

impl std::fmt::Debug for Renewal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Renewal")
    }
}

impl ClientMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// If it is not JSON or not the struct of its type.
    pub fn parse(text: &str) -> Result<Self, MessageError> {
        let tag: Tag<'_> = serde_json::from_str(text)?;
        Ok(match &*tag.kind {
            "hello" => Self::Hello(serde_json::from_str(text)?),
            "ack" => Self::Ack(serde_json::from_str(text)?),
            "nack" => Self::Nack(serde_json::from_str(text)?),
            "watch" => Self::Watch(serde_json::from_str(text)?),
            "unwatch" => Self::Unwatch(serde_json::from_str(text)?),
            "query" => Self::Query(serde_json::from_str(text)?),
            "reports" => Self::Reports(serde_json::from_str(text)?),
            "token" => Self::Token(serde_json::from_str(text)?),
            _ => Self::Unknown,
        })
    }

    /// The message's type, as it stands in the text.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Ack(_) => "ack",
            Self::Nack(_) => "nack",
            Self::Watch(_) => "watch",
            Self::Unwatch(_) => "unwatch",
            Self::Query(_) => "query",
            Self::Reports(_) => "reports",
            Self::Token(_) => "token",
            Self::Unknown => "unknown",
        }
    }

    /// Writes a message.
    ///
    /// # Errors
    /// If a value has no JSON form, which no well-formed message has.
    pub fn print(&self) -> Result<String, MessageError> {
        let kind = self.kind();
        match self {
            Self::Hello(body) => print(kind, body),
            Self::Ack(body) => print(kind, body),
            Self::Nack(body) => print(kind, body),
            Self::Watch(body) => print(kind, body),
            Self::Unwatch(body) => print(kind, body),
            Self::Query(body) => print(kind, body),
            Self::Reports(body) => print(kind, body),
            Self::Token(body) => print(kind, body),
            Self::Unknown => print(kind, &serde_json::Map::new()),
        }
    }
}
