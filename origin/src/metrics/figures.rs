//! What is told of the whole installation: the same by every origin, each as of its own last look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use liveevents_protocol::id::RegionId;
use liveevents_service::metrics::{Metrics, MetricsError};
use parking_lot::Mutex;
use prometheus::{GaugeVec, IntCounter, IntGauge};

/// Handles; clones count together.
#[derive(Clone)]
pub struct FigureMetrics {
    /// Times that these could not be looked at.
    pub failures: IntCounter,
    active: IntGauge,
    rate: GaugeVec,
    /// Regions that have a rate.
    rated: Arc<Mutex<BTreeSet<RegionId>>>,
}

impl FigureMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// If one is there already.
    pub fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        Ok(Self {
            failures: metrics.errors("figures"),
            active: metrics.gauge(
                "active_count",
                "Events that are Active, in all regions; every origin tells the same.",
            )?,
            rate: metrics.measures(
                "engagement_rate",
                "Different players who took part, of those of whom anything was reported, in this hour by the clock and the \
                 one before it, in events that are Active; nothing where there were none. Every origin tells the same.",
                &["region"],
            )?,
            rated: Arc::default(),
        })
    }

    /// So many events are Active.
    pub fn active(&self, events: u64) {
        self.active.set(i64::try_from(events).unwrap_or(i64::MAX));
    }

    /// Where there was anybody, such a part of them took part.
    pub fn rates(&self, rates: &BTreeMap<RegionId, f64>) {
        let mut rated = self.rated.lock();
        for region in rated.iter().filter(|region| !rates.contains_key(region)) {
            // It is there, having been set.
            let _ = self.rate.remove_label_values(&[region.as_str()]);
        }
        for (region, rate) in rates {
            self.rate.with_label_values(&[region.as_str()]).set(*rate);
        }
        *rated = rates.keys().cloned().collect();
    }
}
