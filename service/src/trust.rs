//! Signing the trust bundle at the origin, and checking it at an edge.
//!
//! An edge takes keys and revocations from its origin's connection, or from Redis with the origin away.
//! It believes neither: the bundle is signed by a key that the edge pins by configuration, so whoever
//! can write to Redis still cannot make a token.
//!
//! The pinned key comes from the origin's secret and changes with it. While the secret is replaced, the origin signs
//! each bundle once with the key of every secret that it has, so that edges which pin the old one and edges which pin
//! the new one believe it alike, and can be told of the new one in any order.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use liveevents_protocol::codec::{DecodeError, EncodeError, decode_trust, encode_trust};
use liveevents_protocol::trust::{SignedTrust, TrustBundle};

use crate::keys::{Keyring, Keys};
use crate::limits::MAX_SIGNATURES;

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
}

impl Keyring {
    /// Encodes a bundle and signs it with every secret's key.
    ///
    /// # Errors
    /// If the bundle is larger than the codec's limit.
    pub fn sign_trust(&self, bundle: &TrustBundle) -> Result<SignedTrust, EncodeError> {
        let bytes = encode_trust(bundle)?;
        let signatures = self.all().map(|keys| keys.trust.sign(&bytes).to_bytes());
        Ok(SignedTrust {
            signatures: signatures.collect(),
            bytes,
        })
    }
}

/// Checks the signatures, then decodes.
///
/// # Errors
/// If none of the signatures is the pinned key's, or the bytes are not a bundle.
pub fn verify_trust(signed: &SignedTrust, pinned: &TrustKey) -> Result<TrustBundle, TrustError> {
    let mut signatures = signed.signatures.iter().take(MAX_SIGNATURES);
    let is_theirs = |signature: &[u8; 64]| {
        let signature = Signature::from_bytes(signature);
        pinned.0.verify_strict(&signed.bytes, &signature).is_ok()
    };
    if !signatures.any(is_theirs) {
        return Err(TrustError::BadSignature);
    }
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

    fn ring(secrets: &[&str]) -> Keyring {
        let mut keys = secrets.iter().map(|secret| keys(secret));
        Keyring::new(keys.next().unwrap(), keys.collect())
    }

    fn bundle() -> TrustBundle {
        TrustBundle {
            installation: "starfall-test".parse().unwrap(),
            serial: 7,
            keys: vec![keys("a").public()],
            revoked: Vec::new(),
            issuers: Vec::new(),
        }
    }

    #[test]
    fn a_signed_bundle_is_believed_by_whoever_pins_the_key() {
        let signed = ring(&["a"]).sign_trust(&bundle()).unwrap();
        let pinned: TrustKey = keys("a").trust_key().to_string().parse().unwrap();
        assert_eq!(verify_trust(&signed, &pinned).unwrap(), bundle());
    }

    #[test]
    fn while_a_secret_is_replaced_either_pin_is_good_and_no_third() {
        let believed = |secrets: &[&str], pin: &str| {
            let signed = ring(secrets).sign_trust(&bundle()).unwrap();
            verify_trust(&signed, &keys(pin).trust_key()).is_ok()
        };
        let both = ["b", "a"];
        assert!(believed(&both, "a") && believed(&both, "b") && !believed(&both, "c"));
        assert!(!believed(&["b"], "a"), "the old one is gone");
        let most: Vec<_> = ["c"; MAX_SIGNATURES].into();
        let mut signed = ring(&["a"]).sign_trust(&bundle()).unwrap();
        let ours = signed.signatures.clone();
        signed.signatures = most
            .iter()
            .map(|c| keys(c).trust.sign(&signed.bytes).to_bytes())
            .chain(ours)
            .collect();
        let judged = verify_trust(&signed, &keys("a").trust_key());
        assert!(judged.is_err(), "nobody is made to look at any number");
    }

    #[test]
    fn any_other_key_and_any_changed_bit_is_refused() {
        let signed = ring(&["a"]).sign_trust(&bundle()).unwrap();
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
        changed.signatures[0][0] ^= 1;
        assert!(refused(&changed, &pinned));
        changed.signatures.clear();
        assert!(refused(&changed, &pinned));
        // The key that signs tokens is not the one that signs trust.
        let by_token_key = SignedTrust {
            signatures: vec![keys("a").token.sign(&signed.bytes).to_bytes()],
            bytes: signed.bytes,
        };
        assert!(refused(&by_token_key, &pinned));
    }

    #[test]
    fn signed_garbage_is_an_error() {
        let bytes = vec![0xff; 40];
        let signatures = vec![keys("a").trust.sign(&bytes).to_bytes()];
        let signed = SignedTrust { bytes, signatures };
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
