//! From edge to game server.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Cursor, DeltaMessage, MessageError, SnapshotMessage, Tag, print};
use crate::engagement::{Refused, SenderSession};
use crate::id::{EdgeId, EventId, Installation, RegionId};
use crate::json_text::JsonText;
use crate::version::{Epoch, Version};

/// From edge to game server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerMessage {
    /// The hello was accepted.
    Welcome(Welcome),
    /// The whole region, or a piece of it.
    Snapshot(SnapshotMessage),
    /// What changed.
    Delta(DeltaMessage),
    /// The game server is ahead of this edge, and is served again once the edge has passed it.
    Ahead(Ahead),
    /// An event is shown from now on.
    Activated(Notice),
    /// An event is shown no more.
    Deactivated(Notice),
    /// All that one watched player is shown.
    Player(PlayerEvents),
    /// Every watched player has been told as of a version.
    Current(Current),
    /// The answer to a query.
    Result(QueryResult),
    /// Reports are counted for good.
    Counted(CountedBatches),
    /// Reports are to be sent again.
    Resend(Resend),
    /// How fresh what this edge knows is.
    Contact(Contact),
    /// The token expires soon.
    TokenExpiring(TokenTime),
    /// A newer token was taken.
    TokenRenewed(TokenTime),
    /// A request was not taken; the connection stays.
    Refused(RefusedMessage),
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
    /// What the edge holds, if it holds anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Cursor>,
    /// When the edge last heard its origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_at: Option<Timestamp>,
    /// One ack in so many milliseconds is enough.
    #[serde(default)]
    pub ack_interval_ms: u64,
    /// When the token expires that the connection was opened with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<Timestamp>,
    /// What the edge understands beyond this version of the protocol.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
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

/// Why an event is shown, or no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Cause {
    /// Its time has come.
    Schedule,
    /// A change.
    Change,
    /// The edge has lost its origin for too long, or has found it again.
    Stale,
}

/// Word that an event is shown, or no more: derived from state and time, and nothing depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// Which event.
    pub event_id: EventId,
    /// The edge's history.
    pub epoch: Epoch,
    /// The version by which it was judged.
    pub version: Version,
    /// The edge's clock.
    pub time: Timestamp,
    /// The moment that was due.
    pub at: Timestamp,
    /// When the occurrence began, or the next begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens: Option<Timestamp>,
    /// When the occurrence ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes: Option<Timestamp>,
    /// Why.
    pub cause: Cause,
}

/// All that one watched player is shown, in the order shown. Replaces what was told of the player before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlayerEvents {
    /// Who.
    pub player: String,
    /// The edge's history.
    pub epoch: Epoch,
    /// The version by which it was judged.
    pub version: Version,
    /// The edge's clock.
    pub time: Timestamp,
    /// As in the answer to a player's HTTP read.
    pub events: Vec<JsonText>,
}

/// Every watched player has been told as of a version, which is to be acked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Current {
    /// The edge's history.
    pub epoch: Epoch,
    /// The version.
    pub version: Version,
    /// The edge's clock.
    pub time: Timestamp,
    /// When that version was written at the origin, where the edge knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_at: Option<Timestamp>,
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryResult {
    /// The query's.
    pub id: String,
    /// The edge's history.
    pub epoch: Epoch,
    /// The version by which it was judged.
    pub version: Version,
    /// How long ago the edge last heard its origin.
    pub age_ms: u64,
    /// Whether that is too long ago.
    pub stale: bool,
    /// The edge's clock.
    pub time: Timestamp,
    /// In the order asked.
    pub players: Vec<PlayerResult>,
}

/// One player's part of the answer to a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlayerResult {
    /// Who.
    pub player: String,
    /// As in the answer to a player's HTTP read.
    pub events: Vec<JsonText>,
}

/// Batches of reports that are counted for good, and never are again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CountedBatches {
    /// Whose.
    pub session: SenderSession,
    /// All up to this one.
    pub batch: u64,
    /// Reports in those sent over this connection that do not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
}

/// Batches of reports that this edge does not have, and that are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Resend {
    /// Whose.
    pub session: SenderSession,
    /// From this one on.
    pub from: u64,
    /// After so many milliseconds.
    #[serde(default)]
    pub after_ms: u64,
}

/// How fresh what this edge knows is: said when it loses its origin, and when it has found it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contact {
    /// When it last heard the origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact_at: Option<Timestamp>,
    /// Whether that is too long ago.
    pub stale: bool,
    /// The edge's clock.
    pub time: Timestamp,
}

/// Until when a token is good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenTime {
    /// The first moment at which it is not.
    pub expires_at: Timestamp,
}

/// A request that was not taken. Nothing of it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusedMessage {
    /// The type of the message that was not taken.
    pub about: String,
    /// The query's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where the fault is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// For people: what was wrong, what would be right.
    pub message: String,
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
            "activated" => Self::Activated(serde_json::from_str(text)?),
            "deactivated" => Self::Deactivated(serde_json::from_str(text)?),
            "player" => Self::Player(serde_json::from_str(text)?),
            "current" => Self::Current(serde_json::from_str(text)?),
            "result" => Self::Result(serde_json::from_str(text)?),
            "counted" => Self::Counted(serde_json::from_str(text)?),
            "resend" => Self::Resend(serde_json::from_str(text)?),
            "contact" => Self::Contact(serde_json::from_str(text)?),
            "tokenExpiring" => Self::TokenExpiring(serde_json::from_str(text)?),
            "tokenRenewed" => Self::TokenRenewed(serde_json::from_str(text)?),
            "refused" => Self::Refused(serde_json::from_str(text)?),
            "goaway" => Self::Goaway(serde_json::from_str(text)?),
            "error" => Self::Error(serde_json::from_str(text)?),
            _ => Self::Unknown,
        })
    }

    /// The message's type, as it stands in the text.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Welcome(_) => "welcome",
            Self::Snapshot(_) => "snapshot",
            Self::Delta(_) => "delta",
            Self::Ahead(_) => "ahead",
            Self::Activated(_) => "activated",
            Self::Deactivated(_) => "deactivated",
            Self::Player(_) => "player",
            Self::Current(_) => "current",
            Self::Result(_) => "result",
            Self::Counted(_) => "counted",
            Self::Resend(_) => "resend",
            Self::Contact(_) => "contact",
            Self::TokenExpiring(_) => "tokenExpiring",
            Self::TokenRenewed(_) => "tokenRenewed",
            Self::Refused(_) => "refused",
            Self::Goaway(_) => "goaway",
            Self::Error(_) => "error",
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
            Self::Welcome(body) => print(kind, body),
            Self::Snapshot(body) => print(kind, body),
            Self::Delta(body) => print(kind, body),
            Self::Ahead(body) => print(kind, body),
            Self::Activated(body) | Self::Deactivated(body) => print(kind, body),
            Self::Player(body) => print(kind, body),
            Self::Current(body) => print(kind, body),
            Self::Result(body) => print(kind, body),
            Self::Counted(body) => print(kind, body),
            Self::Resend(body) => print(kind, body),
            Self::Contact(body) => print(kind, body),
            Self::TokenExpiring(body) | Self::TokenRenewed(body) => print(kind, body),
            Self::Refused(body) => print(kind, body),
            Self::Goaway(body) => print(kind, body),
            Self::Error(body) => print(kind, body),
            Self::Unknown => print(kind, &serde_json::Map::new()),
        }
    }
}
