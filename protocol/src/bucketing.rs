//! Which side of a share a key is on.
//!
//! Deterministic, and simple enough for any language: the 32-bit murmur3 hash (x86 variant, seed 0,
//! Austin Appleby's MurmurHash3) of the UTF-8 text `"{salt}:{key}"`, modulo 10,000. A key is exposed
//! if its bucket is below the exposure, so raising the exposure keeps everybody who was in.
//!
//! Vectors for other implementations are in `protocol/vectors/bucketing.json`.

use crate::version::BasisPoints;

/// What a salt leaves over (up to three bytes) and a key of this length together are hashed where they are put side by
/// side, without asking for memory. A key is seldom longer.
const INLINE: usize = 64;

/// The bucket of a key, 0 to 9,999.
#[must_use]
pub fn bucket(salt: &str, key: &str) -> u16 {
    Salted::new(salt).bucket(key)
}

/// A salt, hashed as far as it goes: for whoever asks for many keys' buckets by the same salt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Salted {
    hash: u32,
    /// How much of it is in the hash, in bytes.
    hashed: usize,
    /// What is left over of it.
    rest: [u8; 4],
    left: usize,
}

impl Salted {
    /// Hashes a salt and what divides it from the key.
    #[must_use]
    pub fn new(salt: &str) -> Self {
        let (hash, left_over) = blocks(0, salt.as_bytes());
        let mut rest = [0; 4];
        let left = left_over.iter().chain(b":");
        for (slot, byte) in rest.iter_mut().zip(left) {
            *slot = *byte;
        }
        let left = left_over.len().saturating_add(1);
        let length = salt.len().saturating_add(1);
        if left < rest.len() {
            Self {
                hash,
                hashed: length.saturating_sub(left),
                rest,
                left,
            }
        } else {
            Self {
                hash: blocks(hash, &rest).0,
                hashed: length,
                rest,
                left: 0,
            }
        }
    }

    /// The bucket of a key, 0 to 9,999.
    #[must_use]
    pub fn bucket(&self, key: &str) -> u16 {
        let parts = [
            self.rest.get(..self.left).unwrap_or_default(),
            key.as_bytes(),
        ];
        let mut inline = [0; INLINE];
        let hash = match join(parts, &mut inline) {
            Some(text) => self.finish(text),
            None => self.finish(&parts.concat()),
        };
        u16::try_from(hash % 10_000).unwrap_or(u16::MAX)
    }

    /// The hash of the whole text, of which this is what was left.
    fn finish(&self, text: &[u8]) -> u32 {
        let (hash, tail) = blocks(self.hash, text);
        let last = tail
            .iter()
            .rev()
            .fold(0_u32, |last, &byte| last << 8 | u32::from(byte));
        let length = self.hashed.saturating_add(text.len());
        let mut hash = hash ^ scramble(last) ^ u32::try_from(length).unwrap_or(u32::MAX);
        hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
        hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
        hash ^ (hash >> 16)
    }
}

/// Mixes all blocks of four bytes into a hash; what is left over is less than one.
fn blocks(hash: u32, bytes: &[u8]) -> (u32, &[u8]) {
    let (whole, rest) = bytes.as_chunks::<4>();
    let hash = whole.iter().fold(hash, |hash, block| {
        let hash = hash ^ scramble(u32::from_le_bytes(*block));
        hash.rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64)
    });
    (hash, rest)
}

fn scramble(block: u32) -> u32 {
    block
        .wrapping_mul(0xcc9e_2d51)
        .rotate_left(15)
        .wrapping_mul(0x1b87_3593)
}

/// The parts side by side, if there is room.
fn join<'a>(parts: [&[u8]; 2], room: &'a mut [u8; INLINE]) -> Option<&'a [u8]> {
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
            let nothing = Salted {
                hash: 0,
                hashed: 0,
                rest: [0; 4],
                left: 0,
            };
            assert_eq!(nothing.finish(v.text.as_bytes()), v.hash, "{:?}", v.text);
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
    fn any_salt_and_key_are_hashed_as_one_text() {
        for salt_length in 0..9 {
            let salt = "s".repeat(salt_length);
            for length in (0..12).chain(INLINE - 5..INLINE + 5).chain([1_000]) {
                let key: String = ('a'..='z').cycle().take(length).collect();
                let text = format!("{salt}:{key}");
                let hash = mur3::murmurhash3_x86_32(text.as_bytes(), 0);
                let expected = u16::try_from(hash % 10_000).unwrap();
                assert_eq!(bucket(&salt, &key), expected, "{text}");
            }
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
