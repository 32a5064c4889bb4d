//! Trust bundles.

use bincode::{Decode, Encode};
use uuid::Uuid;

use super::convert::{id, time};
use super::{read, write};
use crate::codec::{DecodeError, EncodeError};
use crate::id::TokenId;
use crate::limits::MAX_TRUST;
use crate::trust::{IssuerKey, PlayerIssuer, PublicKey, Revoked, SignedTrust, TrustBundle};

#[derive(Encode, Decode)]
pub(super) struct WireSignedTrust {
    bytes: Vec<u8>,
    signatures: Vec<[u8; 64]>,
}

#[derive(Encode, Decode)]
struct WireTrust {
    installation: String,
    serial: u64,
    keys: Vec<(String, [u8; 32])>,
    revoked: Vec<([u8; 16], i64)>,
    issuers: Vec<WireIssuer>,
}

#[derive(Encode, Decode)]
struct WireIssuer {
    issuer: String,
    audience: String,
    keys: Vec<(String, WireIssuerKey)>,
    player: String,
    attributes: Vec<(String, String)>,
    bucketing: Vec<(String, String)>,
    region: Option<String>,
    regions: Vec<String>,
}

#[derive(Encode, Decode)]
enum WireIssuerKey {
    Ed25519([u8; 32]),
    P256 { x: [u8; 32], y: [u8; 32] },
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

pub(super) fn encode(bundle: &TrustBundle) -> Result<Vec<u8>, EncodeError> {
    write(WireTrust::from(bundle), MAX_TRUST)
}

pub(super) fn decode(bytes: &[u8]) -> Result<TrustBundle, DecodeError> {
    read::<WireTrust, MAX_TRUST>(bytes)?.try_into()
}

impl From<&SignedTrust> for WireSignedTrust {
    fn from(trust: &SignedTrust) -> Self {
        Self {
            bytes: trust.bytes.clone(),
            signatures: trust.signatures.clone(),
        }
    }
}

impl From<WireSignedTrust> for SignedTrust {
    fn from(wire: WireSignedTrust) -> Self {
        Self {
            bytes: wire.bytes,
            signatures: wire.signatures,
        }
    }
}

impl From<&TrustBundle> for WireTrust {
    fn from(bundle: &TrustBundle) -> Self {
        let keys = bundle.keys.iter().map(|key| (key.kid.clone(), key.key));
        let revoked = bundle
            .revoked
            .iter()
            .map(|r| (r.token.0.into_bytes(), r.until.as_microsecond()));
        Self {
            installation: bundle.installation.to_string(),
            serial: bundle.serial,
            keys: keys.collect(),
            revoked: revoked.collect(),
            issuers: bundle.issuers.iter().map(WireIssuer::from).collect(),
        }
    }
}

impl TryFrom<WireTrust> for TrustBundle {
    type Error = DecodeError;

    fn try_from(wire: WireTrust) -> Result<Self, DecodeError> {
        let keys = wire
            .keys
            .into_iter()
            .map(|(kid, key)| PublicKey { kid, key });
        let revoked = wire.revoked.into_iter().map(|(token, until)| {
            Ok(Revoked {
                token: TokenId(Uuid::from_bytes(token)),
                until: time("until", until)?,
            })
        });
        let issuers = wire.issuers.into_iter().map(PlayerIssuer::try_from);
        Ok(Self {
            installation: id("installation", &wire.installation)?,
            serial: wire.serial,
            keys: keys.collect(),
            revoked: revoked.collect::<Result<_, DecodeError>>()?,
            issuers: issuers.collect::<Result<_, _>>()?,
        })
    }
}

impl From<&PlayerIssuer> for WireIssuer {
    fn from(issuer: &PlayerIssuer) -> Self {
        let keys = issuer
            .keys
            .iter()
            .map(|(kid, key)| (kid.clone(), WireIssuerKey::from(key)));
        Self {
            issuer: issuer.issuer.clone(),
            audience: issuer.audience.clone(),
            keys: keys.collect(),
            player: issuer.player.clone(),
            attributes: issuer.attributes.clone().into_iter().collect(),
            bucketing: issuer.bucketing.clone().into_iter().collect(),
            region: issuer.region.clone(),
            regions: issuer.regions.iter().map(ToString::to_string).collect(),
        }
    }
}

impl TryFrom<WireIssuer> for PlayerIssuer {
    type Error = DecodeError;

    fn try_from(wire: WireIssuer) -> Result<Self, DecodeError> {
        let regions = wire.regions.iter().map(|region| id("region", region));
        Ok(Self {
            issuer: wire.issuer,
            audience: wire.audience,
            keys: wire
                .keys
                .into_iter()
                .map(|(kid, key)| (kid, key.into()))
                .collect(),
            player: wire.player,
            attributes: wire.attributes.into_iter().collect(),
            bucketing: wire.bucketing.into_iter().collect(),
            region: wire.region,
            regions: regions.collect::<Result<_, _>>()?,
        })
    }
}

impl From<&IssuerKey> for WireIssuerKey {
    fn from(key: &IssuerKey) -> Self {
        match key {
            IssuerKey::Ed25519(key) => Self::Ed25519(*key),
            IssuerKey::P256 { x, y } => Self::P256 { x: *x, y: *y },
            IssuerKey::Rsa { n, e } => Self::Rsa {
                n: n.clone(),
                e: e.clone(),
            },
        }
    }
}

impl From<WireIssuerKey> for IssuerKey {
    fn from(wire: WireIssuerKey) -> Self {
        match wire {
            WireIssuerKey::Ed25519(key) => Self::Ed25519(key),
            WireIssuerKey::P256 { x, y } => Self::P256 { x, y },
            WireIssuerKey::Rsa { n, e } => Self::Rsa { n, e },
        }
    }
}
