//! Judging tokens, at the origin and at edges, by what the trust bundle says.
//!
//! The signature comes first, and nothing of a token is believed before: its header only chooses among
//! our keys, and its `alg` must be EdDSA whatever the key. Then issuer, installation, revocation and last
//! expiry, so that a revoked token is told from an expired one. A token that another issuer says to have signed is
//! judged by that issuer's keys, and can only be a player's ([`super::issuers`]).
//!
//! Reading never locks: the bundle in force is behind an atomic pointer and is replaced whole. A signature found
//! right is remembered as long as the keys stay the same; all the rest is judged at each request.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use ed25519_dalek::VerifyingKey;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use liveevents_protocol::id::{Installation, TokenId};
use liveevents_protocol::trust::{PlayerIssuer, TrustBundle};

use super::issuers::Issuers;
use super::known::Known;
use super::{Claims, ISSUER, Payload, Role};
use crate::limits::{CLOCK_LEEWAY, MAX_TOKEN};
use crate::trust::TrustError;

/// What a token may be signed with at all; its key then decides. Never `none`, and never with a secret that both sides
/// would have to know.
const ACCEPTED: [Algorithm; 3] = [Algorithm::EdDSA, Algorithm::ES256, Algorithm::RS256];

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
    /// None before the first bundle.
    keys: Option<Arc<KeySet>>,
    revoked: HashSet<TokenId>,
}

/// The keys of a bundle, and what they were found to have signed. Shared by bundles that have the same keys: a
/// revocation must not make every token be verified again.
#[derive(Debug)]
struct KeySet {
    public: BTreeMap<String, [u8; 32]>,
    keys: HashMap<String, DecodingKey>,
    /// As they came.
    others: Vec<PlayerIssuer>,
    issuers: Issuers,
    known: Known,
}

/// What becomes of a token past its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// It is refused.
    Strict,
    /// Cut off from the origin since this moment: nobody can renew the token of a game server or an edge, so those
    /// that have expired since are accepted. People's are not: they can wait, and decide nothing here. Players' are
    /// not: whoever issues them may well be there.
    AcceptIfExpiredAfter(Timestamp),
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenError {
    /// Not a token of ours in form.
    Malformed,
    /// `alg` is not that of the key: EdDSA, for one of ours.
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
    /// `aud` is not what is agreed with its issuer.
    WrongAudience,
    /// Withdrawn.
    Revoked,
    /// Before its time.
    NotYet,
    /// Past its time.
    Expired,
}

impl TokenError {
    /// For answers and logs; shows nothing of the token.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "the token is malformed",
            Self::WrongAlgorithm => "the token is not signed with its key's algorithm",
            Self::NoKeys => "there are no keys yet to judge the token by",
            Self::UnknownKey => "the token is signed by an unknown key",
            Self::BadSignature => "the token's signature is wrong",
            Self::WrongIssuer => "the token is of another issuer",
            Self::ForeignInstallation => "the token is for another installation",
            Self::WrongAudience => "the token is for another audience",
            Self::Revoked => "the token was revoked",
            Self::NotYet => "the token is not good yet",
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
        let mut public = BTreeMap::new();
        for key in &bundle.keys {
            VerifyingKey::from_bytes(&key.key).map_err(|_| TrustError::BadKey)?;
            public.insert(key.kid.clone(), key.key);
        }
        let held = self.trusted.load().keys.clone();
        let keys = held
            .filter(|held| held.public == public && held.others == bundle.issuers)
            .unwrap_or_else(|| Arc::new(KeySet::new(public, bundle.issuers.clone())));
        let next = Arc::new(Trusted {
            serial: Some(bundle.serial),
            keys: Some(keys),
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

    /// Whether the bundle in force withdraws a token.
    #[must_use]
    pub fn is_revoked(&self, token: TokenId) -> bool {
        self.trusted.load().revoked.contains(&token)
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
    ) -> Result<Arc<Claims>, TokenError> {
        let trusted = self.trusted.load();
        let claims = self.authentic(trusted.keys.as_deref(), token)?;
        if claims.installation != self.installation {
            return Err(TokenError::ForeignInstallation);
        }
        if trusted.revoked.contains(&claims.id) {
            return Err(TokenError::Revoked);
        }
        let leeway = SignedDuration::try_from(CLOCK_LEEWAY).unwrap_or_default();
        if claims
            .not_before
            .is_some_and(|from| now.duration_since(from) < -leeway)
        {
            return Err(TokenError::NotYet);
        }
        if now >= claims.expires_at && !excused(&claims, expiry) {
            return Err(TokenError::Expired);
        }
        Ok(claims)
    }

    /// The claims of a token that one of our keys has signed, as our issuer, or another issuer's of a player.
    fn authentic(&self, trusted: Option<&KeySet>, token: &str) -> Result<Arc<Claims>, TokenError> {
        if let Some(claims) = trusted.and_then(|trusted| trusted.known.find(token)) {
            return Ok(claims);
        }
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Malformed);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Malformed)?;
        if !ACCEPTED.contains(&header.alg) {
            return Err(TokenError::WrongAlgorithm);
        }
        if header.crit.is_some() {
            // RFC 7515: an extension that must be understood, and we understand none.
            return Err(TokenError::Malformed);
        }
        let trusted = trusted.ok_or(TokenError::NoKeys)?;
        let kid = header.kid.ok_or(TokenError::UnknownKey)?;
        let issuer = Issuers::issuer_of(token).ok_or(TokenError::Malformed)?;
        if issuer != ISSUER {
            let signed = (header.alg, kid.as_str());
            let claims = trusted
                .issuers
                .authentic(&issuer, token, signed, &self.installation)?;
            let claims = Arc::new(claims);
            trusted.known.remember(token, &claims);
            return Ok(claims);
        }
        if header.alg != Algorithm::EdDSA {
            return Err(TokenError::WrongAlgorithm);
        }
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
        let claims = Arc::new(payload.claims.into_owned());
        trusted.known.remember(token, &claims);
        Ok(claims)
    }
}

impl KeySet {
    fn new(public: BTreeMap<String, [u8; 32]>, others: Vec<PlayerIssuer>) -> Self {
        let keys = public
            .iter()
            .map(|(kid, key)| (kid.clone(), DecodingKey::from_ed_der(key)))
            .collect();
        Self {
            public,
            keys,
            issuers: Issuers::new(&others),
            others,
            known: Known::new(),
        }
    }
}

fn excused(claims: &Claims, expiry: Expiry) -> bool {
    match expiry {
        Expiry::Strict => false,
        Expiry::AcceptIfExpiredAfter(since) => {
            matches!(claims.role, Role::GameServer | Role::Edge) && claims.expires_at >= since
        }
    }
}

#[cfg(test)]
mod tests {
    use liveevents_protocol::trust::Revoked;

    use super::super::{Role, Signer};
    use super::*;
    use crate::keys::Keys;

    #[test]
    fn a_signature_is_verified_once_for_as_long_as_the_keys_stay() {
        let keys = |name: &str| Keys::derive(&name.repeat(32).into()).unwrap();
        let bundle = |serial, key: &Keys, revoked: &[TokenId]| TrustBundle {
            installation: "starfall-test".parse().unwrap(),
            serial,
            keys: vec![key.public()],
            issuers: Vec::new(),
            revoked: revoked
                .iter()
                .map(|&token| Revoked {
                    token,
                    until: Timestamp::MAX,
                })
                .collect(),
        };
        let claims = Claims {
            installation: "starfall-test".parse().unwrap(),
            subject: "p-1".to_owned(),
            role: Role::Player,
            regions: Vec::new(),
            id: TokenId(uuid::Uuid::from_u128(1)),
            issued_at: Timestamp::UNIX_EPOCH,
            expires_at: Timestamp::MAX,
            not_before: None,
            attributes: BTreeMap::new(),
            keys: BTreeMap::new(),
        };
        let token = Signer::new(&keys("a")).unwrap().sign(&claims).unwrap();
        let verifier = Verifier::new("starfall-test".parse().unwrap());
        let known = || {
            let trusted = verifier.trusted.load();
            trusted.keys.as_ref().unwrap().known.find(&token).is_some()
        };
        verifier.replace(&bundle(1, &keys("a"), &[])).unwrap();
        assert!(!known());
        let now = Timestamp::UNIX_EPOCH;
        verifier.verify(&token, now, Expiry::Strict).unwrap();
        assert!(known());
        let other = TokenId(uuid::Uuid::from_u128(2));
        verifier.replace(&bundle(2, &keys("a"), &[other])).unwrap();
        assert!(known(), "a revocation forgets no other token");
        verifier.replace(&bundle(3, &keys("b"), &[])).unwrap();
        assert!(!known());
    }
}
