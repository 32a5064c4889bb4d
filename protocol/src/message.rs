//! What edge and game server say to each other: JSON text over WebSocket, subprotocol
//! [`SUBPROTOCOL`].
//!
//! Each message is an object with a `type`. Receivers ignore fields, types and kinds of entry that they do
//! not know, so that either side may be the newer one. A message is read in two steps, the type and then its struct,
//! because serde's tagged enums would buffer free-form JSON instead of leaving it text.

mod client;
mod entry;
mod region;
mod server;
mod unread;

use serde::{Deserialize, Serialize};

use crate::version::{Epoch, Version};

pub use crate::attribute::Attribute;
pub use client::{
    AckStatus, ClientAck, ClientHello, ClientMessage, ClientNack, Level, PlayerMessage, Query,
    Renewal, Unwatch, Watch,
};
pub use entry::EntryMessage;
pub use region::{DeltaMessage, SnapshotMessage};
pub use server::{
    Ahead, Cause, Contact, CountedBatches, Current, ErrorMessage, Goaway, Notice, PlayerEvents,
    PlayerResult, QueryResult, RefusedMessage, Resend, ServerMessage, TokenTime, Welcome,
};
pub use unread::Unread;

/// The WebSocket subprotocol, which names the version.
pub const SUBPROTOCOL: &str = "liveevents.v1";

/// Before a token, as a second subprotocol, of clients whose library can set no header.
pub const TOKEN_SUBPROTOCOL: &str = "liveevents.token.";

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cursor {
    /// In which history.
    pub epoch: Epoch,
    /// Up to which version.
    pub version: Version,
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
