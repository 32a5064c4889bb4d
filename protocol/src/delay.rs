//! How long deliveries took: a histogram that is small on the wire and adds up.
//!
//! Buckets are four to the octave, from 1 µs on: what is read from it is at most a quarter too large. The largest
//! value is kept exactly.

use std::collections::BTreeMap;
use std::time::Duration;

/// Buckets to an octave, as a power of two.
const SPLIT: u32 = 2;

/// Counts of durations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Delays {
    buckets: BTreeMap<u8, u64>,
    max_micros: u64,
}

impl Delays {
    /// The last bucket there is: what is longer than 12 days counts as 12 days.
    pub const LAST_BUCKET: u8 = 160;

    /// Counts one.
    pub fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.add(bucket(micros), 1, micros);
    }

    /// Counts all of another.
    pub fn merge(&mut self, other: &Self) {
        for (&bucket, &count) in &other.buckets {
            self.add(bucket, count, other.max_micros);
        }
    }

    fn add(&mut self, bucket: u8, count: u64, micros: u64) {
        let counted = self.buckets.entry(bucket).or_default();
        *counted = counted.saturating_add(count);
        self.max_micros = self.max_micros.max(micros);
    }

    /// What was told by [`Delays::buckets`] and [`Delays::max`] elsewhere. Empty buckets and ones past the last
    /// are left out.
    #[must_use]
    pub fn from_buckets(buckets: impl IntoIterator<Item = (u8, u64)>, max: Duration) -> Self {
        let mut delays = Self::default();
        let micros = u64::try_from(max.as_micros()).unwrap_or(u64::MAX);
        for (bucket, count) in buckets {
            if count > 0 && bucket <= Self::LAST_BUCKET {
                delays.add(bucket, count, micros);
            }
        }
        delays
    }

    /// The counts, by bucket.
    pub fn buckets(&self) -> impl Iterator<Item = (u8, u64)> {
        self.buckets.iter().map(|(&bucket, &count)| (bucket, count))
    }

    /// The longest duration that is counted in a bucket.
    #[must_use]
    pub fn end(bucket: u8) -> Duration {
        Duration::from_micros(end(bucket.min(Self::LAST_BUCKET)))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.values().copied().fold(0, u64::saturating_add)
    }

    /// The longest; zero if there is none.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.max_micros)
    }

    /// A duration that at least this share (0 to 1) did not exceed; `None` if there is none.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "counts of game servers, far below 2^52, times a share"
        )]
        let wanted = ((self.count() as f64 * share).ceil() as u64).max(1);
        let mut passed = 0_u64;
        for (&bucket, &count) in &self.buckets {
            passed = passed.saturating_add(count);
            if passed >= wanted {
                return Some(Duration::from_micros(end(bucket).min(self.max_micros)));
            }
        }
        None
    }
}

/// The bucket of a duration: octave, then quarter of it.
fn bucket(micros: u64) -> u8 {
    let octave = micros.max(1).ilog2();
    let quarter = match octave.checked_sub(SPLIT) {
        Some(shift) => (micros >> shift) & 0b11,
        None => (micros.max(1) << SPLIT.saturating_sub(octave)) & 0b11,
    };
    let index = u64::from(octave << SPLIT).saturating_add(quarter);
    u8::try_from(index)
        .unwrap_or(u8::MAX)
        .min(Delays::LAST_BUCKET)
}

/// The longest duration of a bucket, in microseconds.
fn end(bucket: u8) -> u64 {
    let (octave, quarter) = (u32::from(bucket) >> SPLIT, u64::from(bucket & 0b11));
    // The first that belongs to the next bucket, four times over to keep it whole.
    let next = quarter
        .saturating_add(5)
        .checked_shl(octave)
        .unwrap_or(u64::MAX);
    (next.saturating_sub(1)) >> SPLIT
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bucket_ends_at_most_a_quarter_above(micros in 1..1_u64 << 40) {
            let end = end(bucket(micros));
            prop_assert!(end >= micros);
            prop_assert!(end <= micros + micros / 4, "{} {}", micros, end);
        }

        #[test]
        fn buckets_are_in_order(a in 0..1_u64 << 41, b in 0..1_u64 << 41) {
            prop_assert_eq!(bucket(a.min(b)).cmp(&bucket(a.max(b))).is_gt(), false);
        }

        #[test]
        fn parts_add_up(all in prop::collection::vec(0..10_000_000_u64, 0..40), at in 0..40_usize) {
            let of = |micros: &[u64]| {
                let mut delays = Delays::default();
                micros.iter().for_each(|&m| delays.record(Duration::from_micros(m)));
                delays
            };
            let (first, second) = all.split_at(at.min(all.len()));
            let mut merged = of(first);
            merged.merge(&of(second));
            let told = Delays::from_buckets(merged.buckets(), merged.max());
            prop_assert_eq!(&merged, &of(&all));
            prop_assert_eq!(told, merged);
        }
    }

    #[test]
    fn quantiles_are_of_ranks() {
        let mut delays = Delays::default();
        assert_eq!(delays.quantile(0.5), None);
        for millis in 1..=100 {
            delays.record(Duration::from_millis(millis));
        }
        let millis = |share| delays.quantile(share).unwrap().as_millis();
        assert!((50..=62).contains(&millis(0.5)), "{}", millis(0.5));
        assert!((99..=100).contains(&millis(0.99)));
        assert_eq!(delays.max(), Duration::from_millis(100));
        assert_eq!(millis(1.0), 100);
        delays.record(Duration::MAX);
        assert_eq!(delays.count(), 101);
    }
}
