//! Sealing positions, so that one which comes back can be believed.
//!
//! An authentic position that the log does not know proves that the database has lost history, which
//! costs every receiver a snapshot. A forged one must therefore prove nothing: the MAC covers
//! installation, region and all of the position, under a key that only the origin can derive.

use hmac::{Hmac, Mac as _};
use liveevents_protocol::id::{Installation, RegionId};
use liveevents_protocol::position::{Position, SealedPosition};
use liveevents_service::keys::Keyring;
use sha2::Sha256;

/// Makes and checks seals for one installation.
#[derive(Clone)]
pub struct Sealer {
    key: [u8; 32],
    /// Of secrets that are accepted besides: what they sealed is as authentic.
    others: Vec<[u8; 32]>,
    installation: Installation,
}

impl Sealer {
    /// Seals with the current key of the ring, and opens what any of its keys has sealed.
    #[must_use]
    pub fn new(keys: &Keyring, installation: Installation) -> Self {
        Self {
            key: *keys.current().seal(),
            others: keys.all().skip(1).map(|keys| *keys.seal()).collect(),
            installation,
        }
    }

    /// The position with its seal.
    #[must_use]
    pub fn seal(&self, region: &RegionId, position: Position) -> SealedPosition {
        let whole = self
            .mac(&self.key, region, &position)
            .finalize()
            .into_bytes();
        let mut mac = [0; 16];
        mac.copy_from_slice(&whole[..16]);
        SealedPosition { position, mac }
    }

    /// The position, if this installation handed it out for this region.
    #[must_use]
    pub fn open(&self, region: &RegionId, sealed: &SealedPosition) -> Option<Position> {
        let mut keys = std::iter::once(&self.key).chain(&self.others);
        let ours = keys.any(|key| {
            let mac = self.mac(key, region, &sealed.position);
            mac.verify_truncated_left(&sealed.mac).is_ok()
        });
        ours.then_some(sealed.position)
    }

    /// HMAC-SHA-256 (RFC 2104). Lengths go before the two texts, so that no two pairs read alike.
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    fn mac(&self, key: &[u8; 32], region: &RegionId, position: &Position) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of 32 bytes");
        for text in [self.installation.as_str(), region.as_str()] {
            mac.update(&(text.len() as u64).to_be_bytes());
            mac.update(text.as_bytes());
        }
        mac.update(position.epoch.0.as_bytes());
        mac.update(&position.version.0.to_be_bytes());
        mac.update(&position.digest.0);
        mac
    }
}

#[cfg(test)]
mod tests {
    use liveevents_protocol::position::Digest;
    use liveevents_protocol::version::{Epoch, Version};

    use liveevents_service::keys::Keys;

    use super::*;

    fn keys(secret: u8) -> Keys {
        Keys::derive(&secret.to_string().repeat(32).into()).unwrap()
    }

    fn sealer(secret: u8, installation: &str) -> Sealer {
        Sealer::new(&keys(secret).into(), installation.parse().unwrap())
    }

    #[test]
    fn opens_only_what_it_sealed() {
        let (here, there): (RegionId, RegionId) =
            ("us-east".parse().unwrap(), "us-west".parse().unwrap());
        let position = Position {
            epoch: Epoch(uuid::Uuid::from_u128(7)),
            version: Version(3),
            digest: Digest([9; 32]),
        };
        let sealer_a = sealer(1, "title-staging");
        let sealed = sealer_a.seal(&here, position);
        assert_eq!(sealer_a.open(&here, &sealed), Some(position));

        assert_eq!(sealer_a.open(&there, &sealed), None);
        assert_eq!(sealer(2, "title-staging").open(&here, &sealed), None);
        assert_eq!(sealer(1, "title-production").open(&here, &sealed), None);
        // While a secret is replaced, what the old one sealed is good; what is sealed now is the new one's.
        let both = Keyring::new(keys(2), vec![keys(1)]);
        let both = Sealer::new(&both, "title-staging".parse().unwrap());
        assert_eq!(both.open(&here, &sealed), Some(position));
        assert_eq!(
            sealer(2, "title-staging").open(&here, &both.seal(&here, position)),
            Some(position)
        );
        for forged in [
            Position {
                version: Version(4),
                ..position
            },
            Position {
                epoch: Epoch(uuid::Uuid::from_u128(8)),
                ..position
            },
            Position {
                digest: Digest([8; 32]),
                ..position
            },
        ] {
            let sealed = SealedPosition {
                position: forged,
                mac: sealed.mac,
            };
            assert_eq!(sealer_a.open(&here, &sealed), None);
        }
    }
}
