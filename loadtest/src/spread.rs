//! How long things took: a histogram of microseconds, told in milliseconds.

use hdrhistogram::Histogram;
use serde::Serialize;

/// An hour. What took longer counts as that long.
const LONGEST: u64 = 3_600_000_000;

/// Times, to three digits.
#[derive(Debug, Clone)]
pub struct Spread(Histogram<u64>);

/// The numbers to show, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names say it")]
pub struct Quantiles {
    pub count: u64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl Default for Spread {
    #[expect(clippy::expect_used, reason = "constants within the library's bounds")]
    fn default() -> Self {
        Self(Histogram::new_with_max(LONGEST, 3).expect("a histogram"))
    }
}

impl Spread {
    /// Counts one time, in microseconds.
    pub fn record(&mut self, micros: u64) {
        self.0.saturating_record(micros);
    }

    /// Counts what another has.
    pub fn add(&mut self, other: &Self) {
        // Both have the same bounds.
        let _ = self.0.add(&other.0);
    }

    /// How many were counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether none was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The time that this share took at most, in milliseconds.
    #[must_use]
    pub fn at(&self, quantile: f64) -> f64 {
        millis(self.0.value_at_quantile(quantile).min(self.0.max()))
    }

    /// The longest, in milliseconds.
    #[must_use]
    pub fn max(&self) -> f64 {
        millis(self.0.max())
    }

    /// The numbers to show; `None` if nothing was counted.
    #[must_use]
    pub fn quantiles(&self) -> Option<Quantiles> {
        (!self.is_empty()).then(|| Quantiles {
            count: self.len(),
            p50_ms: self.at(0.5),
            p95_ms: self.at(0.95),
            p99_ms: self.at(0.99),
            max_ms: self.max(),
        })
    }
}

/// Microseconds to milliseconds, to the hundredth.
fn millis(micros: u64) -> f64 {
    (micros as f64 / 10.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_quantiles_in_milliseconds() {
        let mut spread = Spread::default();
        assert_eq!(spread.quantiles(), None);
        for micros in (1..=1000).map(|i| i * 1000) {
            spread.record(micros);
        }
        let near = |found: f64, expected: f64| (found - expected).abs() <= expected / 500.0;
        let quantiles = spread.quantiles().unwrap();
        assert_eq!(quantiles.count, 1000);
        assert!(near(quantiles.p50_ms, 500.0), "{quantiles:?}");
        assert!(near(quantiles.p95_ms, 950.0), "{quantiles:?}");
        assert!(near(quantiles.p99_ms, 990.0), "{quantiles:?}");
        assert!(near(quantiles.max_ms, 1000.0), "{quantiles:?}");
    }

    #[test]
    fn takes_any_time() {
        let mut spread = Spread::default();
        spread.record(0);
        spread.record(1_234);
        assert_eq!((spread.at(0.0), spread.max()), (0.0, 1.23));
        spread.record(u64::MAX);
        assert_eq!(spread.len(), 3);
        assert!(spread.max() >= LONGEST as f64 / 1_000.0);
    }
}
