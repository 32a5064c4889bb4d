//! What an edge needs to judge tokens: the public keys, the revoked tokens, and whom else to believe about
//! players; whole, signed.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::id::{Installation, RegionId, TokenId};

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

/// A public key of a studio's. Which kind it is decides the one algorithm that it is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerKey {
    /// Ed25519, for `EdDSA`.
    Ed25519([u8; 32]),
    /// A point of P-256 for `ES256`: both coordinates, uncompressed.
    P256 {
        /// Big-endian.
        x: [u8; 32],
        /// Big-endian.
        y: [u8; 32],
    },
    /// RSA, for `RS256`; both numbers big-endian.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
}

/// Somebody else who says who players are: a token of theirs is a player's, never anybody else's.
///
/// Names of claims are paths, divided by dots, into what the token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlayerIssuer {
    /// What their tokens have as `iss`.
    pub issuer: String,
    /// What their tokens must have in `aud`.
    pub audience: String,
    /// Their keys, by `kid`.
    pub keys: BTreeMap<String, IssuerKey>,
    /// The claim with the player's id.
    pub player: String,
    /// Claims with what segments look at, by the attribute's name.
    pub attributes: BTreeMap<String, String>,
    /// Claims with other bucketing keys, by the key's name.
    pub bucketing: BTreeMap<String, String>,
    /// The claim that says in which of [`Self::regions`] the player may ask; without it, in all of them.
    pub region: Option<String>,
    /// Where their players may ask.
    pub regions: Vec<RegionId>,
}

/// Everything tokens are judged by. It travels whole and replaces what was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustBundle {
    /// Whose tokens.
    pub installation: Installation,
    /// Grows with every issue; a lower one never replaces a higher.
    pub serial: u64,
    /// Keys in use, the one that signs first.
    pub keys: Vec<PublicKey>,
    /// Withdrawn tokens.
    pub revoked: Vec<Revoked>,
    /// Whom else to believe about players.
    pub issuers: Vec<PlayerIssuer>,
}

/// An encoded [`TrustBundle`] ([`crate::codec::encode_trust`]) and the origin's signatures over those
/// bytes: one by each key that an edge may have pinned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTrust {
    /// The bundle as encoded.
    pub bytes: Vec<u8>,
    /// Ed25519 signatures.
    pub signatures: Vec<[u8; 64]>,
}
