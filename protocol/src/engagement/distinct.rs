//! How many different players, without who they are.

use std::fmt;

use datasketches::hll::{HllSketch, HllType, HllUnion};

/// log2 of the number of registers.
const LG_K: u8 = 12;

/// The largest sketch, in bytes: 4,096 registers of four bits, their exceptions, and a header.
const MAX_BYTES: usize = 8 * 1024;

/// More than there are people by far.
const MAX_ESTIMATE: f64 = 1e12;

/// A set of players that only knows how many there are: a HyperLogLog sketch of 4,096 registers (Flajolet, Fusy, Gandouet,
/// Meunier: "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm", 2007), in the encoding of
/// Apache DataSketches. Its relative standard error is 1.04 / sqrt(4096) = 1.6 %, also after merging; up to some hundred
/// players it is exact but for one in millions. A few players are a few bytes, millions 2 KiB.
///
/// What is noted are keyed hashes of players, so that nobody without the key can ask whether a player is in it.
#[derive(Clone)]
pub struct Distinct(HllSketch);

/// Bytes that are no such set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no sketch of players: {0}")]
pub struct Unreadable(String);

impl Distinct {
    /// Notes one player, by a keyed hash.
    pub fn note(&mut self, hash: u64) {
        self.0.update(hash);
    }

    /// Adds all that another has.
    pub fn merge(&mut self, other: &Self) {
        if other.0.is_empty() {
            return;
        }
        if self.0.is_empty() {
            self.clone_from(other);
            return;
        }
        if let Ok(mut union) = HllUnion::new(LG_K) {
            union.update(&self.0);
            union.update(&other.0);
            self.0 = union.to_sketch(HllType::Hll4);
        }
    }

    /// Whether nobody was noted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// About how many.
    #[must_use]
    pub fn estimate(&self) -> f64 {
        if self.0.is_empty() {
            0.0
        } else {
            self.0.estimate()
        }
    }

    /// As it is kept and sent; nothing for nobody.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.0.is_empty() {
            Vec::new()
        } else {
            self.0.serialize()
        }
    }

    /// Reads what [`Distinct::to_bytes`] wrote.
    ///
    /// # Errors
    /// If it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        if bytes.len() > MAX_BYTES {
            return Err(Unreadable(format!("{} bytes", bytes.len())));
        }
        let sketch =
            HllSketch::deserialize(bytes).map_err(|error| Unreadable(error.to_string()))?;
        if sketch.lg_config_k() != LG_K {
            return Err(Unreadable("another number of registers".to_owned()));
        }
        // The estimate is kept beside the registers, and may be anything.
        let read = Self(sketch);
        if !(0.0..=MAX_ESTIMATE).contains(&read.estimate()) {
            return Err(Unreadable("an impossible number of players".to_owned()));
        }
        Ok(read)
    }
}

impl Default for Distinct {
    #[expect(clippy::expect_used, reason = "12 is within 4 to 21")]
    fn default() -> Self {
        Self(HllSketch::new(LG_K, HllType::Hll4).expect("a good size"))
    }
}

/// As many, which is all that one knows.
impl PartialEq for Distinct {
    fn eq(&self, other: &Self) -> bool {
        self.estimate().to_bits() == other.estimate().to_bits()
    }
}

impl fmt::Debug for Distinct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Distinct(about {:.1})", self.estimate())
    }
}

impl Eq for Distinct {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// SplitMix64's finalizer, in place of a keyed hash.
    fn hash(n: u64) -> u64 {
        let mixed = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
    }

    fn of(range: std::ops::Range<u64>) -> Distinct {
        let mut players = Distinct::default();
        for n in range {
            players.note(hash(n));
        }
        players
    }

    #[test]
    fn few_are_counted_exactly_and_many_within_four_times_the_error() {
        for many in [0_u32, 1, 5, 100] {
            let estimate = of(0..many.into()).estimate();
            assert!(
                (estimate - f64::from(many)).abs() < 0.01,
                "{many}: {estimate}"
            );
        }
        for many in [1_000_u32, 50_000, 1_000_000] {
            let estimate = of(0..many.into()).estimate();
            let error = (estimate / f64::from(many) - 1.0).abs();
            assert!(error < 4.0 * 0.0163, "{many}: {estimate}");
        }
    }

    /// Of 40 sets of each size up to 10,000, and of fewer larger ones: the error is as stated, also of sets put together from
    /// parts, and nobody is further off than four times that.
    #[test]
    fn the_error_is_as_stated_from_ten_players_to_ten_million() {
        const STATED: f64 = 0.0163;
        let sizes = [
            (10, 40),
            (100, 40),
            (1_000, 40),
            (10_000, 40),
            (100_000, 10),
            (1_000_000, 2),
            (10_000_000, 1),
        ];
        for (many, sets) in sizes {
            let mut squares = 0.0;
            for set in 0..sets {
                let first = set << 40;
                let parts = (0..8).map(|part| {
                    let (from, to) = (many * part / 8, many * (part + 1) / 8);
                    // Parts overlap, as of players who are in two hours.
                    of(first + from..first + many.min(to + many / 16))
                });
                let merged = parts.reduce(|mut whole, part| {
                    whole.merge(&part);
                    whole
                });
                #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
                let error = merged.unwrap().estimate() / many as f64 - 1.0;
                assert!(error.abs() < 4.0 * STATED, "{many}: {error}");
                squares += error * error;
            }
            #[expect(clippy::cast_precision_loss, reason = "40 at the most")]
            let standard = (squares / sets as f64).sqrt();
            println!("{many} players: standard error {:.2} %", 100.0 * standard);
            if sets >= 10 {
                // Of 10 sets the standard error is itself off by a fifth or so.
                assert!(standard < 1.5 * STATED, "{many}: {standard}");
            }
        }
    }

    #[test]
    fn parts_that_overlap_add_up_to_the_whole() {
        let mut merged = of(0..30_000);
        merged.merge(&of(20_000..60_000));
        merged.merge(&Distinct::default());
        let error = (merged.estimate() / 60_000.0 - 1.0).abs();
        assert!(error < 4.0 * 0.0163, "{}", merged.estimate());
        let mut nothing = Distinct::default();
        nothing.merge(&of(0..3));
        assert!((nothing.estimate() - 3.0).abs() < 0.01);
    }

    #[test]
    fn what_was_written_is_read_and_sizes_are_bounded() {
        for many in [0, 1, 40, 600, 100_000] {
            let players = of(0..many);
            let bytes = players.to_bytes();
            assert!(bytes.len() <= MAX_BYTES, "{many}: {}", bytes.len());
            let read = Distinct::from_bytes(&bytes).unwrap();
            assert_eq!(read.estimate().to_bits(), players.estimate().to_bits());
        }
        assert!(of(0..3).to_bytes().len() < 64);
        let other = HllSketch::new(10, HllType::Hll8).unwrap();
        let mut other_size = other.clone();
        other_size.update(1_u64);
        assert!(Distinct::from_bytes(&other_size.serialize()).is_err());
        assert!(Distinct::from_bytes(&vec![1; MAX_BYTES + 1]).is_err());
    }

    proptest! {
        /// Nothing that a peer sends panics, and what is read can be merged and written.
        #[test]
        fn whatever_bytes_come(many in 0_u64..2_000, at in 0_usize..4_096, to: u8, cut in 0_usize..64) {
            let mut bytes = of(0..many).to_bytes();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = to;
            }
            bytes.truncate(bytes.len().saturating_sub(cut));
            if let Ok(read) = Distinct::from_bytes(&bytes) {
                let mut merged = of(0..500);
                merged.merge(&read);
                prop_assert!(merged.estimate().is_finite());
                Distinct::from_bytes(&merged.to_bytes()).unwrap();
            }
        }
    }
}
