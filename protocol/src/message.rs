//! What edge and game server say to each other: JSON text over WebSocket, subprotocol
//! [`SUBPROTOCOL`].
//!
//! Each message is an object with a `type`. Receivers ignore fields, types and kinds of entry that they do
//! not know, so that either side may be the newer one. A message is read in two steps, the type and then its struct,
//! because serde's tagged enums would buffer free-form JSON instead of leaving it text.

mod entry;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::entry::{Delta, Entry, Snapshot, Stamped, Value};
use crate::id::{EdgeId, Installation, RegionId};
use crate::model::{Assignment, Content};
use crate::version::{Epoch, Version};

pub use entry::EntryMessage;

/// The WebSocket subprotocol, which names the version.
pub const SUBPROTOCOL: &str = "liveevents.v1";

/// The path of the WebSocket endpoint on an edge.
pub const SUBSCRIBE_PATH: &str = "/api/v1/subscribe";

/// Why a text is not a message.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// Not JSON, or not the struct of its type; the message names the field.
    #[error("{0}")]
    Malformed(#[from] serde_json::Error),
}

/// Where a game server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cursor {
    /// In which history.
    pub epoch: Epoch,
    /// Up to which version.
    pub version: Version,
}

/// How much a game server wants the edge to do for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// The raw region state: snapshot or delta, then deltas.
    Region,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage {
    /// The first message.
    Hello(ClientHello),
    /// It holds a version.
    Ack(ClientAck),
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
    /// The game's build, dotted numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
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
}

/// From edge to game server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerMessage {
    /// The hello was accepted.
    Welcome(Welcome),
    /// The whole region.
    Snapshot(SnapshotMessage),
    /// What changed.
    Delta(DeltaMessage),
    /// The game server is ahead of this edge, and is served again once the edge has passed it.
    Ahead(Ahead),
    /// This edge is about to close.
    Goaway(Goaway),
    /// What was wrong; the connection closes.
    Error(ErrorMessage),
    /// A type of a newer edge.
    Unknown,
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    /// The edge.
    pub edge: EdgeId,
    /// Whose events.
    pub installation: Installation,
    /// The region served on this connection.
    pub region: RegionId,
    /// The edge's clock.
    pub time: Timestamp,
}

/// The whole region as of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotMessage {
    /// Of which history.
    pub epoch: Epoch,
    /// The version that it is as of.
    pub to: Version,
    /// The edge's clock when this was written.
    pub time: Timestamp,
    /// When that version was written at the origin, where the edge knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_at: Option<Timestamp>,
    /// Revisions' contents.
    pub contents: Vec<Content>,
    /// What is served.
    pub assignments: Vec<Assignment>,
}

/// What changed after `from` up to and including `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeltaMessage {
    /// Of which history.
    pub epoch: Epoch,
    /// The version that it starts from.
    pub from: Version,
    /// The version that it leads to.
    pub to: Version,
    /// The edge's clock when this was written.
    pub time: Timestamp,
    /// When version `to` was written at the origin, where the edge knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_at: Option<Timestamp>,
    /// To be applied together. Those of a newer edge that are not known here are left out.
    #[serde(deserialize_with = "entry::known")]
    pub entries: Vec<EntryMessage>,
}

/// Where this edge is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ahead {
    /// The edge's history.
    pub epoch: Epoch,
    /// The edge's version.
    pub version: Version,
    /// The edge's clock.
    pub time: Timestamp,
}

/// When to come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Goaway {
    /// Connect again, here or elsewhere, after so many milliseconds.
    pub reconnect_after_ms: u64,
}

/// What was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorMessage {
    /// The close reason, [`crate::close::CloseReason::as_str`].
    pub code: String,
    /// For people: which field, what was wrong, what would be right.
    pub message: String,
}

#[derive(Deserialize)]
struct Tag<'a> {
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
}

#[derive(Serialize)]
struct Tagged<'a, T> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(flatten)]
    body: &'a T,
}

fn print<T: Serialize>(kind: &'static str, body: &T) -> Result<String, MessageError> {
    Ok(serde_json::to_string(&Tagged { kind, body })?)
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
            _ => Self::Unknown,
        })
    }

    /// Writes a message.
    ///
    /// # Errors
    /// If a value has no JSON form, which no well-formed message has.
    pub fn print(&self) -> Result<String, MessageError> {
        match self {
            Self::Hello(body) => print("hello", body),
            Self::Ack(body) => print("ack", body),
            Self::Unknown => print("unknown", &serde_json::Map::new()),
        }
    }
}

impl ServerMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// If it is not JSON or not the struct of its type.
    pub fn parse(text: &str) -> Result<Self, MessageError> {
        let tag: Tag<'_> = serde_json::from_str(text)?;
        Ok(match &*tag.kind {
            "welcome" => Self::Welcome(serde_json::from_str(text)?),
            "snapshot" => Self::Snapshot(serde_json::from_str(text)?),
            "delta" => Self::Delta(serde_json::from_str(text)?),
            "ahead" => Self::Ahead(serde_json::from_str(text)?),
            "goaway" => Self::Goaway(serde_json::from_str(text)?),
            "error" => Self::Error(serde_json::from_str(text)?),
            _ => Self::Unknown,
        })
    }

    /// Writes a message.
    ///
    /// # Errors
    /// If a value has no JSON form, which no well-formed message has.
    pub fn print(&self) -> Result<String, MessageError> {
        match self {
            Self::Welcome(body) => print("welcome", body),
            Self::Snapshot(body) => print("snapshot", body),
            Self::Delta(body) => print("delta", body),
            Self::Ahead(body) => print("ahead", body),
            Self::Goaway(body) => print("goaway", body),
            Self::Error(body) => print("error", body),
            Self::Unknown => print("unknown", &serde_json::Map::new()),
        }
    }
}

impl SnapshotMessage {
    /// Of a region's state. Removals are left out: a game server tells nobody a delta.
    #[must_use]
    pub fn new(snapshot: Snapshot, time: Timestamp, committed_at: Option<Timestamp>) -> Self {
        let (mut contents, mut assignments) = (Vec::new(), Vec::new());
        for stamped in snapshot.entries {
            match stamped.entry {
                Entry::Put(Value::Content(content)) => contents.push((*content).clone()),
                Entry::Put(Value::Assignment(a)) => assignments.push((*a).clone()),
                Entry::Removal(_) => {}
            }
        }
        Self {
            epoch: snapshot.epoch,
            to: snapshot.version,
            time,
            committed_at,
            contents,
            assignments,
        }
    }

    /// The state that it tells.
    #[must_use]
    pub fn into_snapshot(self) -> Snapshot {
        let contents = self.contents.into_iter().map(Entry::from);
        let entries = contents
            .chain(self.assignments.into_iter().map(Entry::from))
            .map(|entry| Stamped {
                version: self.to,
                entry,
            })
            .collect();
        Snapshot {
            epoch: self.epoch,
            version: self.to,
            floor: self.to,
            entries,
        }
    }
}

impl DeltaMessage {
    /// Of a delta.
    #[must_use]
    pub fn new(delta: Delta, time: Timestamp, committed_at: Option<Timestamp>) -> Self {
        Self {
            epoch: delta.epoch,
            from: delta.from,
            to: delta.to,
            time,
            committed_at,
            entries: delta
                .entries
                .into_iter()
                .map(|stamped| stamped.entry.into())
                .collect(),
        }
    }

    /// The delta that it tells. Every entry is stamped with the version that it leads to: a game
    /// server has no use for more.
    #[must_use]
    pub fn into_delta(self) -> Delta {
        let version = self.to;
        let entries = self
            .entries
            .into_iter()
            .map(|entry| Stamped {
                version,
                entry: entry.into(),
            })
            .collect();
        Delta {
            epoch: self.epoch,
            from: self.from,
            to: self.to,
            entries,
        }
    }
}
