//! Every decoder behind one face.

use liveevents_protocol::codec::{self, FrameDecoder};
use liveevents_protocol::frame::FORMAT_V1;
use liveevents_protocol::limits;
use liveevents_protocol::message::{ClientMessage, ServerMessage};

use super::sample::Value;

/// A decoder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Decoder {
    Edge,
    Origin,
    Entries,
    Stamped,
    Trust,
    Client,
    Server,
}

impl Value {
    pub(crate) fn decoder(&self) -> Decoder {
        match self {
            Self::Edge(_) => Decoder::Edge,
            Self::Origin(_) => Decoder::Origin,
            Self::Entries(_) => Decoder::Entries,
            Self::Stamped(_) => Decoder::Stamped,
            Self::Trust(_) => Decoder::Trust,
            Self::Client(_) => Decoder::Client,
            Self::Server(_) => Decoder::Server,
        }
    }
}

impl Decoder {
    pub(crate) const ALL: [Self; 7] = [
        Self::Edge,
        Self::Origin,
        Self::Entries,
        Self::Stamped,
        Self::Trust,
        Self::Client,
        Self::Server,
    ];

    /// One value and nothing after it; for frames, from the stream on.
    pub(crate) fn decode(self, bytes: &[u8]) -> Result<Value, String> {
        let text = || std::str::from_utf8(bytes).map_err(|error| error.to_string());
        match self {
            Self::Edge => {
                let frame = only_frame(bytes)?;
                let frame = codec::decode_edge_frame(&frame);
                frame.map(Value::Edge).map_err(|error| error.to_string())
            }
            Self::Origin => {
                let frame = only_frame(bytes)?;
                let frame = codec::decode_origin_frame(&frame);
                frame.map(Value::Origin).map_err(|error| error.to_string())
            }
            Self::Entries => codec::decode_entries(FORMAT_V1, bytes)
                .map(Value::Entries)
                .map_err(|error| error.to_string()),
            Self::Stamped => codec::decode_stamped(bytes)
                .map(Value::Stamped)
                .map_err(|error| error.to_string()),
            Self::Trust => codec::decode_trust(bytes)
                .map(Value::Trust)
                .map_err(|error| error.to_string()),
            Self::Client => ClientMessage::parse(text()?)
                .map(Value::Client)
                .map_err(|error| error.to_string()),
            Self::Server => read_whole(text()?).map(Value::Server),
        }
    }
}

/// Reads a message all of whose members can be read.
pub(crate) fn read_whole(text: &str) -> Result<ServerMessage, String> {
    let message = ServerMessage::parse(text).map_err(|error| error.to_string())?;
    let unread = match &message {
        ServerMessage::Snapshot(snapshot) => snapshot.unread.first(),
        ServerMessage::Delta(delta) => delta.unread.first(),
        _ => None,
    };
    match unread {
        Some(unread) => Err(unread.reason.clone()),
        None => Ok(message),
    }
}

fn only_frame(bytes: &[u8]) -> Result<codec::RawFrame, String> {
    let mut decoder = FrameDecoder::new(limits::MAX_BODY);
    decoder.push(bytes);
    let frame = decoder.next_frame().map_err(|error| error.to_string())?;
    let frame = frame.ok_or("the frame is not whole")?;
    match decoder.next_frame() {
        Ok(None) => Ok(frame),
        Ok(Some(_)) => Err("two frames".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
