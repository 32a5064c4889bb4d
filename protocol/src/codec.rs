//! How frames and entries lie on the wire. Nothing outside this module knows bincode or zstd.
//!
//! A frame is a length (4 bytes, big-endian, of what follows), a kind byte, a flags byte (bit 0: the body
//! is compressed), and the body: bincode 2 (standard configuration: little-endian, variable-length
//! integers) of a struct in [`v1`], frozen by golden files.
//!
//! Decoders are total: any bytes give a value or a [`DecodeError`], and none may trail. Whatever lengths the
//! bytes claim and however small their elements are, what decoding takes in memory is bounded by
//! [`limits`]: for a frame by four times its limit, for entries by [`limits::MAX_DECODED`] and their bytes.

mod framing;
mod v1;
mod zstd_body;

use crate::entry::{Entry, Stamped};
use crate::frame::{EdgeFrame, OriginFrame};
use crate::limits;
use crate::trust::TrustBundle;
use crate::version::Version;

pub use framing::{FrameDecoder, RawFrame};
pub use v1::RawEntry;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Above the limit.
    #[error("has {len} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Bytes claimed or found.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A kind that this version does not have.
    #[error("frame kind {0} is unknown")]
    UnknownKind(u8),
    /// Flags that this version does not have.
    #[error("frame flags {0:#04x} are unknown")]
    UnknownFlags(u8),
    /// Entries of another format.
    #[error("entry format {0} is unknown")]
    UnknownFormat(u8),
    /// Not the struct it should be.
    #[error("is malformed: {0}")]
    Malformed(String),
    /// The struct, and then more.
    #[error("has {0} bytes after its end")]
    Trailing(usize),
    /// Right in form, impossible in content.
    #[error("{field} {problem}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// Why something was not encoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Above the limit.
    #[error("encodes to {len} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Bytes it would take.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A value that the form has no place for.
    #[error("cannot be encoded: {0}")]
    Unencodable(String),
}

/// Encodes a frame whole, length included.
///
/// # Errors
/// If its body is above [`limits::MAX_BODY`].
pub fn encode_edge_frame(frame: &EdgeFrame) -> Result<Vec<u8>, EncodeError> {
    let (kind, body) = v1::edge_frame_body(frame)?;
    framing::frame(kind, body)
}

/// Encodes a frame whole, length included.
///
/// # Errors
/// If its body is above [`limits::MAX_BODY`].
pub fn encode_origin_frame(frame: &OriginFrame) -> Result<Vec<u8>, EncodeError> {
    let (kind, body) = v1::origin_frame_body(frame)?;
    framing::frame(kind, body)
}

/// Decodes a frame that an edge sent.
///
/// # Errors
/// If it is none.
pub fn decode_edge_frame(frame: &RawFrame) -> Result<EdgeFrame, DecodeError> {
    v1::edge_frame(frame.kind, &frame.body()?)
}

/// Decodes a frame that the origin sent.
///
/// # Errors
/// If it is none.
pub fn decode_origin_frame(frame: &RawFrame) -> Result<OriginFrame, DecodeError> {
    v1::origin_frame(frame.kind, &frame.body()?)
}

/// Encodes the entries of one log row, as they are stored and sent.
///
/// # Errors
/// If they are above [`limits::MAX_ROW`].
pub fn encode_entries(entries: &[Entry]) -> Result<Vec<u8>, EncodeError> {
    v1::encode_entries(entries)
}

/// Decodes the entries of one log row.
///
/// # Errors
/// If the format is unknown or the bytes are none.
pub fn decode_entries(format: u8, bytes: &[u8]) -> Result<Vec<Entry>, DecodeError> {
    match format {
        crate::frame::FORMAT_V1 => v1::decode_entries(bytes),
        other => Err(DecodeError::UnknownFormat(other)),
    }
}

/// Reads the entries of one log row without looking into them.
///
/// # Errors
/// If the format is unknown or the bytes are no list of entries.
pub fn read_entries(format: u8, bytes: &[u8]) -> Result<Vec<RawEntry>, DecodeError> {
    match format {
        crate::frame::FORMAT_V1 => v1::raw_entries(bytes),
        other => Err(DecodeError::UnknownFormat(other)),
    }
}

/// Reads stamped entries without looking into them.
///
/// # Errors
/// If the bytes are no list of stamped entries.
pub fn read_stamped(bytes: &[u8]) -> Result<Vec<(Version, RawEntry)>, DecodeError> {
    v1::raw_stamped(bytes)
}

/// Encodes stamped entries: a snapshot chunk, or a value in an edge's cache.
///
/// # Errors
/// If they are above [`limits::MAX_ROW`].
pub fn encode_stamped(entries: &[Stamped]) -> Result<Vec<u8>, EncodeError> {
    v1::encode_stamped(entries)
}

/// Decodes stamped entries.
///
/// # Errors
/// If the bytes are none.
pub fn decode_stamped(bytes: &[u8]) -> Result<Vec<Stamped>, DecodeError> {
    v1::decode_stamped(bytes)
}

/// Encodes a trust bundle, to be signed.
///
/// # Errors
/// If it is above [`limits::MAX_BODY`].
pub fn encode_trust(bundle: &TrustBundle) -> Result<Vec<u8>, EncodeError> {
    v1::encode_trust(bundle)
}

/// Decodes a trust bundle. Check its signature first.
///
/// # Errors
/// If the bytes are none.
pub fn decode_trust(bytes: &[u8]) -> Result<TrustBundle, DecodeError> {
    v1::decode_trust(bytes)
}

fn too_large(len: usize, limit: usize) -> Result<(), DecodeError> {
    if len > limit {
        Err(DecodeError::TooLarge { len, limit })
    } else {
        Ok(())
    }
}

/// Splits a snapshot's entries into encoded chunks of about [`limits::SNAPSHOT_CHUNK`] bytes; an entry
/// larger than that is a chunk of its own, and none has more than [`limits::CHUNK_ENTRIES`]. At least one
/// chunk, which may be empty.
///
/// # Errors
/// If one entry alone is above [`limits::MAX_ROW`].
pub fn encode_chunks(entries: &[Stamped]) -> Result<Vec<Vec<u8>>, EncodeError> {
    let mut chunks = Vec::new();
    let mut rest = entries;
    while !rest.is_empty() {
        let mut size = 0_usize;
        let mut count = 0_usize;
        for entry in rest {
            let len = v1::stamped_len(entry)?;
            let full =
                size.saturating_add(len) > limits::SNAPSHOT_CHUNK || count >= limits::CHUNK_ENTRIES;
            if count > 0 && full {
                break;
            }
            size = size.saturating_add(len);
            count = count.saturating_add(1);
        }
        let (chunk, later) = rest.split_at(count.min(rest.len()));
        chunks.push(encode_stamped(chunk)?);
        rest = later;
    }
    if chunks.is_empty() {
        chunks.push(encode_stamped(&[])?);
    }
    Ok(chunks)
}
