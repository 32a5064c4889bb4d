//! Bearer tokens: who somebody is, signed by the origin.
//!
//! JWTs signed with Ed25519 (`alg` EdDSA and nothing else). This file says what a token claims and makes
//! one; [`Verifier`] judges them.

mod issuers;
mod known;
mod verifier;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use ed25519_dalek::pkcs8::EncodePrivateKey;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use liveevents_protocol::id::{Installation, RegionId, TokenId};
use liveevents_protocol::message::Attribute;
use serde::{Deserialize, Serialize};

use crate::keys::Keys;

pub use issuers::is_usable;
pub use verifier::{Expiry, TokenError, Verifier};

/// Who issues tokens (`iss`).
const ISSUER: &str = "liveevents";

/// What somebody may do; api.md, *Identity*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Everything.
    Admin,
    /// Approve, deploy, stop, roll back, lifecycle, view.
    Operator,
    /// Create and edit events and segments, view.
    GameDesigner,
    /// View.
    Developer,
    /// Ask for own events.
    Player,
    /// Subscribe, query for any player of its region, report.
    GameServer,
    /// Connect to the origin.
    Edge,
}

impl Role {
    /// Every role, in the order of api.md.
    pub const ALL: [Self; 7] = [
        Self::Admin,
        Self::Operator,
        Self::GameDesigner,
        Self::Developer,
        Self::Player,
        Self::GameServer,
        Self::Edge,
    ];

    /// Whether people have this role. The others are bound to the regions their token names.
    #[must_use]
    pub fn is_person(self) -> bool {
        match self {
            Self::Admin | Self::Operator | Self::GameDesigner | Self::Developer => true,
            Self::Player | Self::GameServer | Self::Edge => false,
        }
    }

    /// As in JSON and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "Admin",
            Self::Operator => "Operator",
            Self::GameDesigner => "GameDesigner",
            Self::Developer => "Developer",
            Self::Player => "Player",
            Self::GameServer => "GameServer",
            Self::Edge => "Edge",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(UnknownRole)
    }
}

/// Not a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be Admin, Operator, GameDesigner, Developer, Player, GameServer or Edge")]
pub struct UnknownRole;

/// What a token says of its bearer. Times are whole seconds in the token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// The installation it is for.
    #[serde(rename = "aud")]
    pub installation: Installation,
    /// User name, player id, or the name of a server or edge.
    #[serde(rename = "sub")]
    pub subject: String,
    /// What the bearer may do.
    pub role: Role,
    /// Where; see [`Claims::covers`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<RegionId>,
    /// The token's own name, to revoke it by.
    #[serde(rename = "jti")]
    pub id: TokenId,
    /// When it was made.
    #[serde(rename = "iat", with = "jiff::fmt::serde::timestamp::second::required")]
    pub issued_at: Timestamp,
    /// The first second at which it is no longer good.
    #[serde(rename = "exp", with = "jiff::fmt::serde::timestamp::second::required")]
    pub expires_at: Timestamp,
    /// Before when it is not good yet, if that is said.
    #[serde(
        rename = "nbf",
        default,
        skip_serializing_if = "Option::is_none",
        with = "jiff::fmt::serde::timestamp::second::optional"
    )]
    pub not_before: Option<Timestamp>,
    /// Of a player: what segments look at. Signed, so that it may decide what the player is shown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Attribute>,
    /// Of a player: bucketing keys besides the player's id, such as a guild.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, String>,
}

impl Claims {
    /// Whether the bearer may act in this region. A person's token that names none covers all; for
    /// players, game servers and edges the region must be named, so that none named is none covered.
    #[must_use]
    pub fn covers(&self, region: &RegionId) -> bool {
        self.regions.contains(region) || (self.regions.is_empty() && self.role.is_person())
    }
}

/// Claims with their issuer, as they stand in the token.
#[derive(Serialize, Deserialize)]
struct Payload<'a> {
    iss: Cow<'a, str>,
    #[serde(flatten)]
    claims: Cow<'a, Claims>,
}

/// Makes tokens, at the origin.
#[derive(Clone)]
pub struct Signer {
    header: Header,
    key: EncodingKey,
}

/// A token could not be made: its claims cannot be encoded.
#[derive(Debug, thiserror::Error)]
#[error("the token cannot be signed")]
pub struct SignError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl Signer {
    /// Signs with the origin's token key.
    ///
    /// # Errors
    /// Never in practice: the key is well formed.
    pub fn new(keys: &Keys) -> Result<Self, SignError> {
        let der = keys
            .token
            .to_pkcs8_der()
            .map_err(|error| SignError(Box::new(error)))?;
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(keys.public().kid);
        Ok(Self {
            header,
            key: EncodingKey::from_ed_der(der.as_bytes()),
        })
    }

    /// The token that says so.
    ///
    /// # Errors
    /// If the claims cannot be encoded.
    pub fn sign(&self, claims: &Claims) -> Result<String, SignError> {
        let payload = Payload {
            iss: Cow::Borrowed(ISSUER),
            claims: Cow::Borrowed(claims),
        };
        jsonwebtoken::encode(&self.header, &payload, &self.key)
            .map_err(|error| SignError(Box::new(error)))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("kid", &self.header.kid)
            .finish_non_exhaustive()
    }
}
