//! Compression, bounded on the way back.

use std::io::Read as _;

use super::{DecodeError, too_large};
use crate::limits::ZSTD_WINDOW_LOG;

/// zstd's own default: a good half of the gain of its best at a tenth of the time.
const LEVEL: i32 = 3;

/// The compressed bytes, if they are fewer.
pub(super) fn compress(body: &[u8]) -> Option<Vec<u8>> {
    zstd::bulk::compress(body, LEVEL)
        .ok()
        .filter(|smaller| smaller.len() < body.len())
}

/// The bytes that were compressed. Grows with what really comes out, never with what is claimed.
pub(super) fn decompress(bytes: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    let malformed = |error: std::io::Error| DecodeError::Malformed(error.to_string());
    let mut decoder = zstd::stream::read::Decoder::new(bytes).map_err(malformed)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(malformed)?;
    let mut body = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder
        .take(most)
        .read_to_end(&mut body)
        .map_err(malformed)?;
    too_large(body.len(), limit)?;
    Ok(body)
}
