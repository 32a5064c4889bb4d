//! Making tokens: for somebody who logs in, and for services.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::id::{Installation, RegionId, TokenId};
use liveevents_service::keys::Keys;
use liveevents_service::token::{Claims, Role, SignError, Signer};
use uuid::Uuid;

/// Signs tokens of one installation.
#[derive(Debug, Clone)]
pub struct Issuer {
    signer: Signer,
    installation: Installation,
}

impl Issuer {
    /// With the origin's token key.
    ///
    /// # Errors
    /// Never in practice: the key is well formed.
    pub fn new(keys: &Keys, installation: Installation) -> Result<Self, SignError> {
        let signer = Signer::new(keys)?;
        Ok(Self {
            signer,
            installation,
        })
    }

    /// Whose tokens it signs.
    #[must_use]
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Says who somebody is from `now` on, in whole seconds as tokens have them.
    #[must_use]
    pub fn claims(
        &self,
        subject: &str,
        role: Role,
        regions: Vec<RegionId>,
        life: SignedDuration,
        now: Timestamp,
    ) -> Claims {
        let second = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap_or(at);
        Claims {
            installation: self.installation.clone(),
            subject: subject.to_owned(),
            role,
            regions,
            id: TokenId(Uuid::now_v7()),
            issued_at: second(now),
            expires_at: second(now.checked_add(life).unwrap_or(Timestamp::MAX)),
            not_before: None,
            attributes: BTreeMap::new(),
            keys: BTreeMap::new(),
        }
    }

    /// The token that says so.
    ///
    /// # Errors
    /// If the claims cannot be encoded.
    pub fn sign(&self, claims: &Claims) -> Result<String, SignError> {
        self.signer.sign(claims)
    }
}
