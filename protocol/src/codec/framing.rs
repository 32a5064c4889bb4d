//! Cutting a byte stream into frames.

use super::{DecodeError, EncodeError, too_large, zstd_body};
use crate::limits::{COMPRESS_FROM, MAX_BODY};

const HEADER: usize = 6;
const COMPRESSED: u8 = 1;

/// A frame as it came: kind known to nobody yet, body perhaps compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFrame {
    pub(super) kind: u8,
    flags: u8,
    body: Vec<u8>,
    /// Of the body, decompressed.
    limit: usize,
}

impl RawFrame {
    pub(super) fn body(&self) -> Result<std::borrow::Cow<'_, [u8]>, DecodeError> {
        match self.flags {
            0 => Ok(self.body.as_slice().into()),
            COMPRESSED => zstd_body::decompress(&self.body, self.limit).map(Into::into),
            other => Err(DecodeError::UnknownFlags(other)),
        }
    }
}

/// Puts header and body together; compresses where that makes it smaller.
pub(super) fn frame(kind: u8, body: Vec<u8>) -> Result<Vec<u8>, EncodeError> {
    if body.len() > MAX_BODY {
        return Err(EncodeError::TooLarge {
            len: body.len(),
            limit: MAX_BODY,
        });
    }
    let (flags, body) = match (body.len() >= COMPRESS_FROM)
        .then(|| zstd_body::compress(&body))
        .flatten()
    {
        Some(smaller) => (COMPRESSED, smaller),
        None => (0, body),
    };
    let len = u32::try_from(body.len().saturating_add(2)).map_err(|_| EncodeError::TooLarge {
        len: body.len(),
        limit: MAX_BODY,
    })?;
    let mut frame = Vec::with_capacity(body.len().saturating_add(HEADER));
    frame.extend_from_slice(&len.to_be_bytes());
    frame.push(kind);
    frame.push(flags);
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// Collects bytes as they come and gives the frames that they complete. Holds at most one frame's worth
/// of bytes beyond what one call brought.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    /// Bytes at the front of the buffer that were given out as frames. They go with the next push:
    /// a push may bring thousands of frames, and moving the rest up for each would be quadratic.
    taken: usize,
    limit: usize,
}

impl FrameDecoder {
    /// Takes frames with bodies up to `limit` bytes (at most [`MAX_BODY`]), before and after
    /// decompression.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: Vec::new(),
            taken: 0,
            limit: limit.min(MAX_BODY),
        }
    }

    /// Changes the limit, once the peer has proved who it is.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.min(MAX_BODY);
    }

    /// Takes bytes in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete frame.
    ///
    /// # Errors
    /// If the header claims more than the limit, or less than a header. The stream cannot be read any
    /// further then.
    pub fn next_frame(&mut self) -> Result<Option<RawFrame>, DecodeError> {
        let pending = self.buffer.get(self.taken..).unwrap_or_default();
        let Some((&[a, b, c, d, kind, flags], rest)) = pending.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let len = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        let Some(len) = len.checked_sub(2) else {
            return Err(DecodeError::Malformed(
                "a frame without kind and flags".to_owned(),
            ));
        };
        too_large(len, self.limit)?;
        let Some(body) = rest.get(..len) else {
            return Ok(None);
        };
        let frame = RawFrame {
            kind,
            flags,
            body: body.to_vec(),
            limit: self.limit,
        };
        self.taken = self.taken.saturating_add(HEADER).saturating_add(len);
        Ok(Some(frame))
    }
}
