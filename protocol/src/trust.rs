//! What an edge needs to judge tokens: the public keys and the revoked tokens, whole, signed.

use jiff::Timestamp;

use crate::id::{Installation, TokenId};

/// A public Ed25519 key that tokens are verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The token header's `kid`.
    pub kid: String,
    /// The key itself.
    pub key: [u8; 32],
}

/// A service token withdrawn before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Which.
    pub token: TokenId,
    /// When it expires anyway. An edge cut off from its origin honours tokens that expired since, and
    /// keeps the bundle it had; so the origin may leave a token out some time after this moment.
    pub until: Timestamp,
}

/// Everything tokens are judged by. It travels whole and replaces what was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustBundle {
    /// Whose tokens.
    pub installation: Installation,
    /// Grows with every issue; a lower one never replaces a higher.
    pub serial: u64,
    /// Keys in use, the newest first.
    pub keys: Vec<PublicKey>,
    /// Withdrawn tokens.
    pub revoked: Vec<Revoked>,
}

/// An encoded [`TrustBundle`] ([`crate::codec::encode_trust`]) and the origin's signature over those
/// bytes, by the key that edges pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTrust {
    /// The bundle as encoded.
    pub bytes: Vec<u8>,
    /// Ed25519 signature.
    pub signature: [u8; 64],
}
