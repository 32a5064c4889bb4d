//! Compression, bounded on the way back.

use std::io::Read as _;

use super::{DecodeError, too_large};

/// zstd's own default: a good half of the gain of its best at a tenth of the time.
const LEVEL: i32 = 3;

/// The least window that zstd knows, 1 KiB, and one above every limit of ours, 8 MiB; as powers of two.
const WINDOW_LOG: (u32, u32) = (10, 23);

/// The compressed bytes, if they are fewer.
pub(super) fn compress(body: &[u8]) -> Option<Vec<u8>> {
    zstd::bulk::compress(body, LEVEL)
        .ok()
        .filter(|smaller| smaller.len() < body.len())
}

/// The bytes that were compressed. Grows with what really comes out, never with what is claimed; nor may
/// back-references claim a window above the limit, since no body needs one.
pub(super) fn decompress(bytes: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
    let malformed = |error: std::io::Error| DecodeError::Malformed(error.to_string());
    let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(malformed)?;
    let window = limit
        .next_power_of_two()
        .ilog2()
        .clamp(WINDOW_LOG.0, WINDOW_LOG.1);
    decoder.window_log_max(window).map_err(malformed)?;
    let mut body = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder
        .take(most)
        .read_to_end(&mut body)
        .map_err(malformed)?;
    too_large(body.len(), limit)?;
    Ok(body)
}
