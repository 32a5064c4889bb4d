//! Which side of a share a key is on.
//!
//! Deterministic, and simple enough for any language: the 32-bit murmur3 hash (x86 variant, seed 0,
//! Austin Appleby's MurmurHash3) of the UTF-8 text `"{salt}:{key}"`, modulo 10,000. A key is exposed
//! if its bucket is below the exposure, so raising the exposure keeps everybody who was in.
//!
//! Vectors for other implementations are in `protocol/vectors/bucketing.json`.

use crate::version::BasisPoints;

/// Salt and key of this length together are hashed where they are put side by side, without asking for memory: an event's
/// salt is a UUID, and a key seldom longer.
const INLINE: usize = 128;

/// The bucket of a key, 0 to 9,999.
#[must_use]
pub fn bucket(salt: &str, key: &str) -> u16 {
    let parts = [salt.as_bytes(), b":", key.as_bytes()];
    let mut inline = [0; INLINE];
    let hash = match join(parts, &mut inline) {
        Some(text) => mur3::murmurhash3_x86_32(text, 0),
        None => mur3::murmurhash3_x86_32(&parts.concat(), 0),
    };
    u16::try_from(hash % 10_000).unwrap_or(u16::MAX)
}

/// The parts side by side, if there is room.
fn join<'a>(parts: [&[u8]; 3], room: &'a mut [u8; INLINE]) -> Option<&'a [u8]> {
    let mut end = 0_usize;
    for part in parts {
        let next = end.saturating_add(part.len());
        room.get_mut(end..next)?.copy_from_slice(part);
        end = next;
    }
    room.get(..end)
}

/// Whether a key is within a share.
#[must_use]
pub fn is_exposed(salt: &str, key: &str, exposure: BasisPoints) -> bool {
    bucket(salt, key) < exposure.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Vectors {
        hashes: Vec<Hash>,
        buckets: Vec<Bucket>,
    }

    #[derive(serde::Deserialize)]
    struct Hash {
        text: String,
        hash: u32,
    }

    #[derive(serde::Deserialize)]
    struct Bucket {
        salt: String,
        key: String,
        bucket: u16,
    }

    #[test]
    fn agrees_with_the_published_vectors() {
        let vectors: Vectors =
            serde_json::from_str(include_str!("../vectors/bucketing.json")).unwrap();
        assert!(vectors.hashes.len() >= 5 && vectors.buckets.len() >= 20);
        for v in vectors.hashes {
            assert_eq!(
                mur3::murmurhash3_x86_32(v.text.as_bytes(), 0),
                v.hash,
                "{:?}",
                v.text
            );
        }
        for v in vectors.buckets {
            assert_eq!(
                bucket(&v.salt, &v.key),
                v.bucket,
                "{:?} {:?}",
                v.salt,
                v.key
            );
        }
    }

    #[test]
    fn long_keys_are_hashed_like_short_ones() {
        for length in [0, 1, INLINE - 6, INLINE - 5, INLINE - 4, 1_000] {
            let key = "k".repeat(length);
            let text = format!("salt:{key}");
            let hash = mur3::murmurhash3_x86_32(text.as_bytes(), 0);
            assert_eq!(u32::from(bucket("salt", &key)), hash % 10_000, "{length}");
        }
    }

    #[test]
    fn shares_are_even_and_nested() {
        let count = |exposure| {
            let exposure = BasisPoints::new(exposure).unwrap();
            (0..100_000)
                .filter(|i| is_exposed("salt", &format!("player-{i}"), exposure))
                .count()
        };
        for (share, expected) in [(0, 0), (1_000, 10_000), (5_000, 50_000), (10_000, 100_000)] {
            let got = count(share);
            assert!(got.abs_diff(expected) < 500, "{share}: {got}");
        }
        for i in 0..10_000 {
            let key = format!("player-{i}");
            if is_exposed("salt", &key, BasisPoints::new(1_000).unwrap()) {
                assert!(is_exposed("salt", &key, BasisPoints::new(3_000).unwrap()));
            }
        }
    }
}
