//! A place in a history: epoch, version, digest.
//!
//! Versions of different epochs belong to unrelated histories, so a [`Position`] is not `Ord`:
//! [`Position::order`] answers `None` across epochs, and whoever compares has to say what then.

use std::cmp::Ordering;
use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::id::ChangeId;
use crate::version::{Epoch, Version};

/// SHA-256 over a log row and the digest of its predecessor: equal digests mean equal histories.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Of the empty log.
    pub const START: Self = Self([0; 32]);

    /// The digest of a row after `self`:
    /// `SHA-256(self ‖ version as 8 bytes big-endian ‖ change id, 16 bytes ‖ format, 1 byte ‖ entries)`.
    #[must_use]
    pub fn chain(&self, version: Version, change: ChangeId, format: u8, entries: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(version.0.to_be_bytes());
        hash.update(change.0.as_bytes());
        hash.update([format]);
        hash.update(entries);
        Self(hash.finalize().into())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.iter().take(4) {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…")
    }
}

/// A place in the log of one region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Which history.
    pub epoch: Epoch,
    /// Where in it.
    pub version: Version,
    /// Of the row at that version.
    pub digest: Digest,
}

impl Position {
    /// Which of two places in one history comes first; `None` where the histories differ.
    #[must_use]
    pub fn order(&self, other: &Self) -> Option<Ordering> {
        (self.epoch == other.epoch).then(|| self.version.cmp(&other.version))
    }
}

/// A position with the origin's word that it handed it out. Only the origin can check the MAC; for
/// everybody else it is opaque and comes back as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedPosition {
    /// The position.
    pub position: Position,
    /// HMAC-SHA-256 over installation, region and position, first 16 bytes.
    pub mac: [u8; 16],
}
