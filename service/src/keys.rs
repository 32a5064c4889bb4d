//! The origin's keys, all derived from the one configured secret.
//!
//! HKDF-SHA256 with a purpose each, so that no key is used for two things and none has to be stored: two
//! replicas with the same secret sign alike. A secret is replaced by having both for a while: a [`Keyring`] signs
//! tokens with one, and stands for what the others have signed.
//! The purposes are part of what is deployed; changing one invalidates every token or position.
//! Private keys never leave this type except to sign.

use std::fmt;

use ed25519_dalek::SigningKey;
use hkdf::Hkdf;
use liveevents_protocol::trust::PublicKey;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

const TOKEN_PURPOSE: &[u8] = b"liveevents token signing v1";
const TRUST_PURPOSE: &[u8] = b"liveevents trust signing v1";
const SEAL_PURPOSE: &[u8] = b"liveevents position seal v1";
const RESET_PURPOSE: &[u8] = b"liveevents quic reset v1";
const FINGERPRINT_PURPOSE: &[u8] = b"liveevents request fingerprint v1";
const PLAYERS_PURPOSE: &[u8] = b"liveevents players in sketches v1";
const ERASED_PURPOSE: &[u8] = b"liveevents erased players v1";

/// The shortest secret, in bytes: as many as each derived key has, so that guessing the secret is not
/// the cheaper way.
pub const MIN_SECRET: usize = 32;

/// What the origin signs and seals with.
#[derive(Clone)]
pub struct Keys {
    pub(crate) token: SigningKey,
    pub(crate) trust: SigningKey,
    seal: [u8; 32],
    reset: [u8; 32],
    fingerprint: [u8; 32],
    players: [u8; 32],
    erased: [u8; 32],
}

/// The keys of the secret in use, and of those that are accepted besides: the one before it while it is replaced, or the
/// one to come.
#[derive(Debug, Clone)]
pub struct Keyring {
    current: Keys,
    others: Vec<Keys>,
}

impl Keyring {
    /// Signs with `current`. A secret that is named twice counts once.
    #[must_use]
    pub fn new(current: Keys, others: Vec<Keys>) -> Self {
        let mut ring = Self {
            current,
            others: Vec::new(),
        };
        for keys in others {
            if ring.all().all(|there| there.public() != keys.public()) {
                ring.others.push(keys);
            }
        }
        ring
    }

    /// What is signed and sealed with.
    #[must_use]
    pub fn current(&self) -> &Keys {
        &self.current
    }

    /// All of them, the current ones first.
    pub fn all(&self) -> impl Iterator<Item = &Keys> {
        std::iter::once(&self.current).chain(&self.others)
    }

    /// What tokens are verified with, for the trust bundle.
    #[must_use]
    pub fn public(&self) -> Vec<PublicKey> {
        self.all().map(Keys::public).collect()
    }
}

/// Those of one secret alone.
impl From<Keys> for Keyring {
    fn from(current: Keys) -> Self {
        Self::new(current, Vec::new())
    }
}

/// The secret has fewer than [`MIN_SECRET`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have at least {MIN_SECRET} bytes")]
pub struct SecretTooShort;

impl Keys {
    /// Derives every key.
    ///
    /// # Errors
    /// If the secret is too short.
    pub fn derive(secret: &SecretString) -> Result<Self, SecretTooShort> {
        let secret = secret.expose_secret().as_bytes();
        if secret.len() < MIN_SECRET {
            return Err(SecretTooShort);
        }
        let hkdf = Hkdf::<Sha256>::new(None, secret);
        Ok(Self {
            token: SigningKey::from_bytes(&expand(&hkdf, TOKEN_PURPOSE)),
            trust: SigningKey::from_bytes(&expand(&hkdf, TRUST_PURPOSE)),
            seal: expand(&hkdf, SEAL_PURPOSE),
            reset: expand(&hkdf, RESET_PURPOSE),
            fingerprint: expand(&hkdf, FINGERPRINT_PURPOSE),
            players: expand(&hkdf, PLAYERS_PURPOSE),
            erased: expand(&hkdf, ERASED_PURPOSE),
        })
    }

    /// What tokens are verified with, for the trust bundle.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let key = self.token.verifying_key().to_bytes();
        PublicKey {
            kid: kid(&key),
            key,
        }
    }

    /// The HMAC-SHA256 key that positions are sealed with.
    #[must_use]
    pub fn seal(&self) -> &[u8; 32] {
        &self.seal
    }

    /// The HMAC-SHA256 key of QUIC's stateless resets (RFC 9000, section 10.3).
    #[must_use]
    pub fn reset(&self) -> &[u8; 32] {
        &self.reset
    }

    /// The HMAC-SHA256 key of the fingerprints by which a request that is sent again is known.
    #[must_use]
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// The HMAC-SHA256 key by which players are known in sketches.
    #[must_use]
    pub fn players(&self) -> &[u8; 32] {
        &self.players
    }

    /// The HMAC-SHA256 key by which the records of players are known who were forgotten.
    #[must_use]
    pub fn erased(&self) -> &[u8; 32] {
        &self.erased
    }
}

/// A key's name in token headers: the first 16 hexadecimal digits of its SHA-256.
pub(crate) fn kid(public: &[u8; 32]) -> String {
    let digest = Sha256::digest(public);
    digest.iter().take(8).map(|b| format!("{b:02x}")).collect()
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("kid", &self.public().kid)
            .finish_non_exhaustive()
    }
}

#[expect(
    clippy::expect_used,
    reason = "HKDF fails only above 255 hashes, 8160 bytes"
)]
fn expand(hkdf: &Hkdf<Sha256>, purpose: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    hkdf.expand(purpose, &mut key).expect("32 bytes");
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a secret of at least thirty-two bytes";

    #[test]
    fn the_same_secret_gives_the_same_keys_and_each_purpose_its_own() {
        let keys = Keys::derive(&SECRET.into()).unwrap();
        let again = Keys::derive(&SECRET.into()).unwrap();
        assert_eq!(keys.public(), again.public());
        assert_eq!(keys.seal(), again.seal());
        assert_ne!(keys.token.to_bytes(), keys.trust.to_bytes());
        assert_ne!(&keys.token.to_bytes(), keys.seal());
        assert_ne!(keys.seal(), keys.reset());
        assert_ne!(keys.players(), keys.erased());
        let other = Keys::derive(&format!("{SECRET}!").into()).unwrap();
        assert_ne!(keys.public(), other.public());
    }

    /// What is deployed depends on the derivation: every token and position out there. The
    /// figures are from another implementation (Python's hmac, and the curve by its formula).
    #[test]
    fn the_derivation_is_pinned() {
        let keys = Keys::derive(&SECRET.into()).unwrap();
        assert_eq!(keys.public().kid, "000a424a66ad3d85");
        assert_eq!(keys.seal()[..4], [99, 18, 166, 23]);
    }

    #[test]
    fn a_ring_signs_with_one_and_stands_for_all_once() {
        let keys = |secret: &str| Keys::derive(&secret.repeat(32).into()).unwrap();
        let ring = Keyring::new(keys("b"), vec![keys("a"), keys("b"), keys("a")]);
        assert_eq!(ring.current().public(), keys("b").public());
        assert_eq!(ring.public(), [keys("b").public(), keys("a").public()]);
        assert_eq!(Keyring::from(keys("a")).public(), [keys("a").public()]);
    }

    #[test]
    fn a_short_secret_is_refused() {
        assert!(matches!(
            Keys::derive(&"x".repeat(31).into()),
            Err(SecretTooShort)
        ));
        assert!(Keys::derive(&"x".repeat(32).into()).is_ok());
    }

    #[test]
    fn debug_shows_no_private_key() {
        let keys = Keys::derive(&SECRET.into()).unwrap();
        let shown = format!("{keys:?}");
        assert_eq!(
            shown,
            format!("Keys {{ kid: {:?}, .. }}", keys.public().kid)
        );
    }
}
