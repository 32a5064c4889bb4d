//! Signing the trust bundle at the origin, and checking it at an edge.
//!
//! An edge takes keys and revocations from its origin's connection, or from Redis with the origin away.
//! It believes neither: the bundle is signed by a key that the edge pins by configuration, so whoever
//! can write to Redis still cannot make a token.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use liveevents_protocol::codec::{DecodeError, EncodeError, decode_trust, encode_trust};
use liveevents_protocol::trust::{SignedTrust, TrustBundle};

use crate::keys::Keys;

/// The public key that trust bundles are checked with; edges pin it. As text: 32 bytes in base64url.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustKey(VerifyingKey);

/// Why a trust bundle is not believed.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// Not signed by the pinned key.
    #[error("the trust bundle is not signed by the pinned key")]
    BadSignature,
    /// Signed, but not to be read: made by a release we do not know.
    #[error("the trust bundle cannot be decoded")]
    Undecodable(#[source] DecodeError),
    /// Of another installation.
    #[error("the trust bundle is of another installation")]
    ForeignInstallation,
    /// A key in it is no Ed25519 key.
    #[error("the trust bundle has a key that is not one")]
    BadKey,
}

impl Keys {
    /// The key for edges to pin.
    #[must_use]
    pub fn trust_key(&self) -> TrustKey {
        TrustKey(self.trust.verifying_key())
    }

    /// Encodes and signs a bundle.
    ///
    /// # Errors
    /// If the bundle is larger than the codec's limit.
    pub fn sign_trust(&self, bundle: &TrustBundle) -> Result<SignedTrust, EncodeError> {
        let bytes = encode_trust(bundle)?;
        let signature = self.trust.sign(&bytes).to_bytes();
        Ok(SignedTrust { bytes, signature })
    }
}

/// Checks the signature, then decodes.
///
/// # Errors
/// If the signature is not the pinned key's, or the bytes are not a bundle.
pub fn verify_trust(signed: &SignedTrust, pinned: &TrustKey) -> Result<TrustBundle, TrustError> {
    let signature = Signature::from_bytes(&signed.signature);
    pinned
        .0
        .verify_strict(&signed.bytes, &signature)
        .map_err(|_| TrustError::BadSignature)?;
    decode_trust(&signed.bytes).map_err(TrustError::Undecodable)
}

impl fmt::Display for TrustKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}

impl FromStr for TrustKey {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        URL_SAFE_NO_PAD
            .decode(text.trim_end())
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
            .map(Self)
            .ok_or("must be an Ed25519 public key, 32 bytes in base64url")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secret: &str) -> Keys {
        Keys::derive(&secret.repeat(32).into()).unwrap()
    }

    fn bundle() -> TrustBundle {
        TrustBundle {
            installation: "starfall-test".parse().unwrap(),
            serial: 7,
            keys: vec![keys("a").public()],
            revoked: Vec::new(),
        }
    }

    #[test]
    fn a_signed_bundle_is_believed_by_whoever_pins_the_key() {
        let signed = keys("a").sign_trust(&bundle()).unwrap();
        let pinned: TrustKey = keys("a").trust_key().to_string().parse().unwrap();
        assert_eq!(verify_trust(&signed, &pinned).unwrap(), bundle());
    }

    #[test]
    fn any_other_key_and_any_changed_bit_is_refused() {
        let signed = keys("a").sign_trust(&bundle()).unwrap();
        let pinned = keys("a").trust_key();
        let refused = |signed: &SignedTrust, key: &TrustKey| {
            matches!(verify_trust(signed, key), Err(TrustError::BadSignature))
        };
        assert!(refused(&signed, &keys("b").trust_key()));
        for bit in 0..signed.bytes.len() * 8 {
            let mut changed = signed.clone();
            changed.bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(refused(&changed, &pinned), "bit {bit} of the bundle");
        }
        let mut changed = signed.clone();
        changed.signature[0] ^= 1;
        assert!(refused(&changed, &pinned));
        // The key that signs tokens is not the one that signs trust.
        let by_token_key = SignedTrust {
            signature: keys("a").token.sign(&signed.bytes).to_bytes(),
            bytes: signed.bytes,
        };
        assert!(refused(&by_token_key, &pinned));
    }

    #[test]
    fn signed_garbage_is_an_error() {
        let bytes = vec![0xff; 40];
        let signature = keys("a").trust.sign(&bytes).to_bytes();
        let signed = SignedTrust { bytes, signature };
        assert!(matches!(
            verify_trust(&signed, &keys("a").trust_key()),
            Err(TrustError::Undecodable(_))
        ));
    }

    #[test]
    fn a_trust_key_is_32_bytes_in_base64url() {
        for bad in ["", "AAAA", "not base64!", &"A".repeat(44)] {
            assert!(bad.parse::<TrustKey>().is_err(), "{bad}");
        }
        // A file ends in a line break.
        let text = format!("{}\n", keys("a").trust_key());
        assert_eq!(text.parse(), Ok(keys("a").trust_key()));
    }
}
