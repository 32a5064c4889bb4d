//! Sealing positions, so that one which comes back can be believed.
//!
//! An authentic position that the log does not know proves that the database has lost history, which
//! costs every receiver a snapshot. A forged one must therefore prove nothing: the MAC covers
//! installation, region and all of the position, under a key that only the origin can derive.

use hmac::{Hmac, Mac as _};
use liveevents_protocol::id::{Installation, RegionId};
use liveevents_protocol::position::{Position, SealedPosition};
use sha2::Sha256;

/// Makes and checks seals for one installation.
#[derive(Clone)]
pub struct Sealer {
    key: [u8; 32],
    installation: Installation,
}

impl Sealer {
    /// `key` is `service::keys::Keys::seal`.
    #[must_use]
    pub fn new(key: [u8; 32], installation: Installation) -> Self {
        Self { key, installation }
    }

    /// The position with its seal.
    #[must_use]
    pub fn seal(&self, region: &RegionId, position: Position) -> SealedPosition {
        let whole = self.mac(region, &position).finalize().into_bytes();
        let mut mac = [0; 16];
        mac.copy_from_slice(&whole[..16]);
        SealedPosition { position, mac }
    }

    /// The position, if this installation handed it out for this region.
    #[must_use]
    pub fn open(&self, region: &RegionId, sealed: &SealedPosition) -> Option<Position> {
        self.mac(region, &sealed.position)
            .verify_truncated_left(&sealed.mac)
            .is_ok()
            .then_some(sealed.position)
    }

    /// HMAC-SHA-256 (RFC 2104). Lengths go before the two texts, so that no two pairs read alike.
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    fn mac(&self, region: &RegionId, position: &Position) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of 32 bytes");
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

    use super::*;

    fn sealer(key: u8, installation: &str) -> Sealer {
        Sealer::new([key; 32], installation.parse().unwrap())
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
