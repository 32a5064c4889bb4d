//! A value that travels, the bytes that it travels as, and the file that pins them.

use std::path::PathBuf;

use liveevents_protocol::codec;
use liveevents_protocol::entry::{Entry, Stamped};
use liveevents_protocol::frame::{EdgeFrame, OriginFrame};
use liveevents_protocol::message::{ClientMessage, ServerMessage};
use liveevents_protocol::trust::TrustBundle;

/// Whatever travels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Edge(EdgeFrame),
    Origin(OriginFrame),
    Entries(Vec<Entry>),
    Stamped(Vec<Stamped>),
    Trust(TrustBundle),
    Client(ClientMessage),
    Server(ServerMessage),
}

impl Value {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Edge(frame) => codec::encode_edge_frame(frame).unwrap(),
            Self::Origin(frame) => codec::encode_origin_frame(frame).unwrap(),
            Self::Entries(entries) => codec::encode_entries(entries).unwrap(),
            Self::Stamped(entries) => codec::encode_stamped(entries).unwrap(),
            Self::Trust(bundle) => codec::encode_trust(bundle).unwrap(),
            Self::Client(message) => message.print().unwrap().into_bytes(),
            Self::Server(message) => message.print().unwrap().into_bytes(),
        }
    }
}

/// A pinned value.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) value: Value,
}

impl Sample {
    /// Where its bytes are pinned.
    pub(crate) fn path(&self) -> PathBuf {
        let extension = match self.value {
            Value::Client(_) | Value::Server(_) => "json",
            _ => "bin",
        };
        folder().join(self.name).with_extension(extension)
    }
}

pub(crate) fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/golden/v1"))
}

/// The bytes for people: offset, hex, ASCII; and what they mean.
pub(crate) fn readable(value: &Value, bytes: &[u8]) -> String {
    let mut text = String::new();
    for (line, bytes) in bytes.chunks(16).enumerate() {
        let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let printable = |&byte: &u8| {
            let shown = byte.is_ascii_graphic() || byte == b' ';
            char::from(if shown { byte } else { b'.' })
        };
        let ascii: String = bytes.iter().map(printable).collect();
        text += &format!("{:04x}  {:47}  {ascii}\n", line * 16, hex.join(" "));
    }
    format!("{text}\n{value:#?}\n")
}
