//! Tokens whose signature was found right, so that whoever asks often is verified once.
//!
//! Verifying an Ed25519 signature costs several times what answering a read from memory costs. Remembered is only
//! that one of a set of keys has signed this very text, and what it claims; revocation and expiry are judged anew
//! each time, by the [`super::Verifier`]. A memory belongs to one set of keys and goes with it.
//!
//! It is a table of fixed size in which a text has [`WAYS`] places to be; a newcomer takes an empty one, or another
//! token's, which will have to be verified again. Nothing waits here: every place is an atomic pointer. What is not
//! signed by us never gets in, so nobody can fill it with garbage.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::Claims;
use crate::limits::{KNOWN_TOKENS, MAX_KNOWN_TOKEN};

/// Places where a token may be: with a table half full, one token in twenty finds all of them taken.
const WAYS: usize = 4;

/// Bytes at a token's end that choose its places: a part of the signature, which no two tokens share.
const CHOOSING: usize = 32;

/// See the [module](self).
pub(super) struct Known {
    places: Box<[ArcSwapOption<Verified>]>,
    hasher: RandomState,
}

struct Verified {
    token: Box<str>,
    claims: Arc<Claims>,
}

impl Known {
    /// Knows no token.
    pub(super) fn new() -> Self {
        Self {
            places: (0..KNOWN_TOKENS).map(|_| ArcSwapOption::empty()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// What a token claims, if it was found signed.
    pub(super) fn find(&self, token: &str) -> Option<Arc<Claims>> {
        let (places, _) = self.places(token);
        places.iter().find_map(|place| {
            let verified = place.load();
            let verified = verified.as_ref()?;
            (*verified.token == *token).then(|| Arc::clone(&verified.claims))
        })
    }

    /// Remembers that a token was found signed.
    pub(super) fn remember(&self, token: &str, claims: &Arc<Claims>) {
        if token.len() > MAX_KNOWN_TOKEN {
            return;
        }
        let (places, otherwise) = self.places(token);
        let empty = places.iter().find(|place| place.load().is_none());
        let Some(place) = empty.or_else(|| places.get(otherwise)) else {
            return;
        };
        place.store(Some(Arc::new(Verified {
            token: token.into(),
            claims: Arc::clone(claims),
        })));
    }

    /// A token's places, and which of them it takes if none is empty.
    fn places(&self, token: &str) -> (&[ArcSwapOption<Verified>], usize) {
        let bytes = token.as_bytes();
        let end = bytes.len().saturating_sub(CHOOSING);
        let hash = self.hasher.hash_one(bytes.get(end..));
        // The table's length and the number of ways are powers of two.
        let low = usize::try_from(hash & u64::from(u32::MAX)).unwrap_or_default();
        let start = (low * WAYS) & (self.places.len() - 1);
        let otherwise = usize::try_from(hash >> 62).unwrap_or_default() & (WAYS - 1);
        let places = self.places.get(start..start + WAYS).unwrap_or_default();
        (places, otherwise)
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::*;

    fn claims(subject: &str) -> Arc<Claims> {
        Arc::new(Claims {
            installation: "starfall-test".parse().unwrap(),
            subject: subject.to_owned(),
            role: Role::Player,
            regions: Vec::new(),
            id: liveevents_protocol::id::TokenId(uuid::Uuid::nil()),
            issued_at: jiff::Timestamp::UNIX_EPOCH,
            expires_at: jiff::Timestamp::UNIX_EPOCH,
            not_before: None,
            attributes: Default::default(),
            keys: Default::default(),
        })
    }

    #[test]
    fn the_very_text_is_known_and_no_other() {
        let known = Known::new();
        let token = format!("header.payload.{}", "s".repeat(CHOOSING));
        known.remember(&token, &claims("a"));
        assert_eq!(known.find(&token).unwrap().subject, "a");
        // Ends alike, so it has the same places.
        for other in [token.replacen('h', "H", 1), token[1..].to_owned()] {
            assert!(known.find(&other).is_none(), "{other}");
        }
        assert!(known.find("").is_none());
        let long = "x".repeat(MAX_KNOWN_TOKEN + 1);
        known.remember(&long, &claims("long"));
        assert!(known.find(&long).is_none());
    }

    #[test]
    fn however_many_come_it_holds_what_it_holds_and_is_never_wrong() {
        let known = Known::new();
        let tokens: Vec<_> = (0..2 * KNOWN_TOKENS)
            .map(|i| format!("token-{i}"))
            .collect();
        for (number, token) in tokens.iter().enumerate() {
            known.remember(token, &claims(&number.to_string()));
            assert!(known.find(token).is_some(), "the last is always known");
        }
        let held: Vec<_> = tokens
            .iter()
            .enumerate()
            .filter_map(|(number, token)| Some((number, known.find(token)?)))
            .collect();
        assert!(held.len() <= KNOWN_TOKENS && held.len() > KNOWN_TOKENS / 2);
        for (number, claims) in held {
            assert_eq!(claims.subject, number.to_string());
        }
    }
}
