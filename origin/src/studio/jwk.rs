//! Public keys as JSON (RFC 7517, 7518, 8037): read, and judged before anybody believes them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use liveevents_protocol::trust::IssuerKey;
use liveevents_service::token::is_usable;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::Algorithm;
use crate::limits::{MAX_ISSUER_KEYS, MAX_KID};

/// A key as it is written. What is not needed to verify is left out; a private part is noticed, never kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Jwk {
    /// Its kind.
    pub kty: String,
    /// Its name, which tokens say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// What it is for; signatures if that is not said.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// The algorithm that it is for; what goes with its kind if that is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alg: Option<String>,
    /// Its curve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crv: Option<String>,
    /// A coordinate, or the whole key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<String>,
    /// The other coordinate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// RSA's modulus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n: Option<String>,
    /// RSA's exponent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub e: Option<String>,
    #[serde(default, rename = "d", skip_serializing)]
    private: Option<Private>,
}

/// That there was a private part.
#[derive(Debug, Clone, PartialEq)]
struct Private;

impl<'de> Deserialize<'de> for Private {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// Why nothing was had from a key set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// It is none.
    #[error("what was answered is no JSON Web Key Set")]
    NoSet,
    /// None of its keys can be used.
    #[error("no key in the set can be used: {0}")]
    NoKey(String),
}

/// The usable keys of a set. Others are passed over: a set may have keys for purposes that are not ours.
///
/// # Errors
/// If there is no usable key, since a set that is suddenly empty is a fault and no decision.
pub fn read_set(bytes: &[u8]) -> Result<Vec<Jwk>, SetError> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<serde_json::Value>,
    }
    let set: Set = serde_json::from_slice(bytes).map_err(|_| SetError::NoSet)?;
    let (mut usable, mut problem) = (Vec::<Jwk>::new(), "it has none".to_owned());
    for key in set.keys {
        let read = serde_json::from_value::<Jwk>(key)
            .map_err(|_| "is no key".to_owned())
            .and_then(|key| key.read().map(|_| key).map_err(str::to_owned));
        match read {
            Ok(key) if usable.iter().any(|there| there.kid == key.kid) => {
                problem = "has a kid a second time".to_owned();
            }
            Ok(key) if usable.len() < MAX_ISSUER_KEYS => usable.push(key),
            Ok(_) => break,
            Err(why) => problem = format!("one {why}"),
        }
    }
    if usable.is_empty() {
        return Err(SetError::NoKey(problem));
    }
    Ok(usable)
}

impl Jwk {
    /// Its name, what it is good for, and the key itself.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn read(&self) -> Result<(String, Algorithm, IssuerKey), &'static str> {
        if self.private.is_some() {
            return Err(
                "is a private key, which others have now seen; make another, and give its public part",
            );
        }
        let kid = self
            .kid
            .clone()
            .filter(|kid| (1..=MAX_KID).contains(&kid.len()) && !kid.chars().any(char::is_control));
        let kid = kid.ok_or("has no kid of 1 to 200 bytes, by which tokens name it")?;
        if self
            .purpose
            .as_deref()
            .is_some_and(|purpose| purpose != "sig")
        {
            return Err("is not for signatures");
        }
        let curve = self.crv.as_deref();
        let (algorithm, name, key) = match (self.kty.as_str(), curve) {
            ("OKP", Some("Ed25519")) => {
                let key = bytes(self.x.as_deref()).ok_or("has no x of 32 bytes in base64url")?;
                (Algorithm::EdDSA, "EdDSA", IssuerKey::Ed25519(key))
            }
            ("EC", Some("P-256")) => {
                let point = bytes(self.x.as_deref()).zip(bytes(self.y.as_deref()));
                let (x, y) = point.ok_or("has no x and y of 32 bytes each in base64url")?;
                (Algorithm::ES256, "ES256", IssuerKey::P256 { x, y })
            }
            ("RSA", _) => {
                let number = |text: &Option<String>| {
                    let bytes = URL_SAFE_NO_PAD.decode(text.as_deref()?).ok()?;
                    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                    Some(bytes.into_iter().skip(zeros).collect::<Vec<u8>>())
                };
                let (n, e) = number(&self.n)
                    .zip(number(&self.e))
                    .ok_or("has no n and e in base64url")?;
                (Algorithm::RS256, "RS256", IssuerKey::Rsa { n, e })
            }
            _ => return Err("is none of Ed25519, P-256 and RSA"),
        };
        if self.alg.as_deref().is_some_and(|alg| alg != name) {
            return Err("is for another algorithm than goes with its kind: EdDSA, ES256 or RS256");
        }
        if !is_usable(&key) {
            return Err("is no public key (RSA: of 2048 to 4096 bits)");
        }
        Ok((kid, algorithm, key))
    }
}

fn bytes(text: Option<&str>) -> Option<[u8; 32]> {
    let bytes = URL_SAFE_NO_PAD.decode(text?).ok()?;
    bytes.try_into().ok()
}
