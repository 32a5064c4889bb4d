//! Judging tokens, at the origin and at edges, by what the trust bundle says.
//!
//! The signature comes first, and nothing of a token is believed before: its header only chooses among
//! our keys, and its `alg` must be EdDSA whatever the key. Then issuer, installation, revocation and last
//! expiry, so that a revoked token is told from an expired one.
//!
//! Reading never locks: the bundle in force is behind an atomic pointer and is replaced whole.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ed25519_dalek::VerifyingKey;
use jiff::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use liveevents_protocol::id::{Installation, TokenId};
use liveevents_protocol::trust::TrustBundle;

use super::{Claims, ISSUER, Payload};
use crate::limits::MAX_TOKEN;
use crate::trust::TrustError;

/// Judges tokens.
#[derive(Debug)]
pub struct Verifier {
    installation: Installation,
    validation: Validation,
    trusted: ArcSwap<Trusted>,
}

#[derive(Debug, Default)]
struct Trusted {
    /// None before the first bundle.
    serial: Option<u64>,
    keys: HashMap<String, DecodingKey>,
    revoked: HashSet<TokenId>,
}

/// What becomes of a token past its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// It is refused.
    Strict,
    /// Cut off from the origin since this moment: nobody can renew a service token, so those that have
    /// expired since are accepted. People's tokens are not: they can wait, and decide nothing here.
    AcceptIfExpiredAfter(Timestamp),
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// Not a token of ours in form.
    Malformed,
    /// `alg` is not EdDSA.
    WrongAlgorithm,
    /// There is no bundle yet to judge by, which says nothing about the token.
    NoKeys,
    /// Signed by a key that is not (or no longer) in the bundle.
    UnknownKey,
    /// Changed after it was signed, or not signed by that key.
    BadSignature,
    /// `iss` is somebody else.
    WrongIssuer,
    /// `aud` is another installation.
    ForeignInstallation,
    /// Withdrawn.
    Revoked,
    /// Past its time.
    Expired,
}

impl TokenError {
    /// For answers and logs; shows nothing of the token.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "the token is malformed",
            Self::WrongAlgorithm => "the token is not signed with EdDSA",
            Self::NoKeys => "there are no keys yet to judge the token by",
            Self::UnknownKey => "the token is signed by an unknown key",
            Self::BadSignature => "the token's signature is wrong",
            Self::WrongIssuer => "the token is of another issuer",
            Self::ForeignInstallation => "the token is for another installation",
            Self::Revoked => "the token was revoked",
            Self::Expired => "the token has expired",
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for TokenError {}

impl Verifier {
    /// A verifier that trusts nobody until it is given a bundle.
    #[must_use]
    pub fn new(installation: Installation) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        // The library judges by the machine's clock; we judge claims ourselves, by the clock given.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Self {
            installation,
            validation,
            trusted: ArcSwap::default(),
        }
    }

    /// Trusts this bundle from now on, if its serial is higher than that of the one in force. Says
    /// whether it is taken.
    ///
    /// # Errors
    /// If it is of another installation or has a malformed key. What was in force stays.
    pub fn replace(&self, bundle: &TrustBundle) -> Result<bool, TrustError> {
        if bundle.installation != self.installation {
            return Err(TrustError::ForeignInstallation);
        }
        let keys = bundle
            .keys
            .iter()
            .map(|public| {
                VerifyingKey::from_bytes(&public.key).map_err(|_| TrustError::BadKey)?;
                Ok((public.kid.clone(), DecodingKey::from_ed_der(&public.key)))
            })
            .collect::<Result<_, _>>()?;
        let next = Arc::new(Trusted {
            serial: Some(bundle.serial),
            keys,
            revoked: bundle.revoked.iter().map(|revoked| revoked.token).collect(),
        });
        let before = self.trusted.rcu(|current| {
            let newer = next.serial > current.serial;
            Arc::clone(if newer { &next } else { current })
        });
        Ok(next.serial > before.serial)
    }

    /// The serial of the bundle in force, if there is one.
    #[must_use]
    pub fn serial(&self) -> Option<u64> {
        self.trusted.load().serial
    }

    /// Judges a token.
    ///
    /// # Errors
    /// If it is not accepted, and why.
    pub fn verify(
        &self,
        token: &str,
        now: Timestamp,
        expiry: Expiry,
    ) -> Result<Claims, TokenError> {
        let trusted = self.trusted.load();
        let claims = self.authentic(&trusted, token)?;
        if claims.installation != self.installation {
            return Err(TokenError::ForeignInstallation);
        }
        if trusted.revoked.contains(&claims.id) {
            return Err(TokenError::Revoked);
        }
        if now >= claims.expires_at && !excused(&claims, expiry) {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }

    /// The claims of a token that one of our keys has signed, as our issuer.
    fn authentic(&self, trusted: &Trusted, token: &str) -> Result<Claims, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        if header.alg != Algorithm::EdDSA {
            return Err(TokenError::WrongAlgorithm);
        }
        if header.crit.is_some() {
            // RFC 7515: an extension that must be understood, and we understand none.
            return Err(TokenError::Malformed);
        }
        if trusted.serial.is_none() {
            return Err(TokenError::NoKeys);
        }
        let kid = header.kid.ok_or(TokenError::UnknownKey)?;
        let key = trusted.keys.get(&kid).ok_or(TokenError::UnknownKey)?;
        let payload = jsonwebtoken::decode::<Payload<'_>>(token, key, &self.validation)
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidSignature => TokenError::BadSignature,
                _ => TokenError::Malformed,
            })?
            .claims;
        if payload.iss != ISSUER {
            return Err(TokenError::WrongIssuer);
        }
        Ok(payload.claims.into_owned())
    }
}

fn excused(claims: &Claims, expiry: Expiry) -> bool {
    match expiry {
        Expiry::Strict => false,
        Expiry::AcceptIfExpiredAfter(since) => {
            !claims.role.is_person() && claims.expires_at >= since
        }
    }
}
