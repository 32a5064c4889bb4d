//! What is counted of engagement: aggregates that edges told, and what came of them.

use std::collections::BTreeMap;
use std::time::Duration;

use liveevents_protocol::id::RegionId;
use liveevents_service::metrics::{Metrics, MetricsError, SECONDS};
use prometheus::{CounterVec, Histogram, IntCounter, IntCounterVec};

use crate::store::engagement::Added;

/// Handles; clones count together.
#[derive(Clone)]
pub struct EngagementMetrics {
    /// Times that engagement could not be written.
    pub failures: IntCounter,
    participations: IntCounterVec,
    revenue: CounterVec,
    counted: IntCounter,
    again: IntCounter,
    refused: IntCounter,
    took: Histogram,
}

impl EngagementMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// If one is there already.
    pub fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        let aggregates = metrics.counters(
            "engagement_aggregates_total",
            "Aggregates of reports told by edges: counted; told again although counted before; refused, since other edges \
             have taken over a session in them.",
            &["result"],
        )?;
        Ok(Self {
            failures: metrics.errors("engagement"),
            participations: metrics.counters(
                "participants_total",
                "Players taking part in events, as often as reported and counted for good.",
                &["region"],
            )?,
            revenue: metrics.amounts(
                "revenue_total",
                "What players' purchases have brought, in US dollars, as reported and counted for good.",
                &["region"],
            )?,
            counted: aggregates.with_label_values(&["counted"]),
            again: aggregates.with_label_values(&["again"]),
            refused: aggregates.with_label_values(&["refused"]),
            took: metrics.histogram(
                "engagement_transaction_seconds",
                "Time that Postgres took to count an aggregate, with its commit.",
                SECONDS,
            )?,
        })
    }

    /// Counts an aggregate whose transaction is committed.
    pub fn counted(&self, added: &BTreeMap<RegionId, Added>) {
        self.counted.inc();
        for (region, added) in added {
            let region = &[region.as_str()];
            let participations = self.participations.with_label_values(region);
            participations.inc_by(added.participations);
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53 cents")]
            let dollars = added.revenue as f64 / 100.0;
            self.revenue.with_label_values(region).inc_by(dollars);
        }
    }

    /// Counts one that had been counted.
    pub fn again(&self) {
        self.again.inc();
    }

    /// Counts one of which nothing was counted.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// Notes how long a transaction took.
    pub fn took(&self, time: Duration) {
        self.took.observe(time.as_secs_f64());
    }
}
