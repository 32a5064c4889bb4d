//! What the push to edges counts.

use liveevents_protocol::close::CloseReason;
use liveevents_protocol::id::RegionId;
use liveevents_protocol::version::Version;
use liveevents_service::metrics::{Failures, Metrics, MetricsError};
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::{DeliveryMetrics, EngagementMetrics};

/// Handles; clones count together.
#[derive(Clone)]
pub struct PushMetrics {
    /// Edges connected to this process.
    pub edges: IntGauge,
    /// Log rows sent.
    pub rows_sent: IntCounter,
    /// Snapshots sent.
    pub snapshots_sent: IntCounter,
    /// Acks written down.
    pub acks: IntCounter,
    /// QUIC handshakes that came to nothing.
    pub handshakes_failed: IntCounter,
    /// Positions with a seal that is not ours.
    pub forged_positions: IntCounter,
    /// Epochs minted by this process.
    pub epochs_minted: IntCounter,
    /// Times that the logs could not be read on.
    pub follower_errors: Failures,
    /// Times that acks could not be written down.
    pub ack_errors: IntCounter,
    /// Times that the edges could not be looked at.
    pub roster_errors: IntCounter,
    /// Seconds since the oldest erasure was asked for that edges are waited for; 0 if there is none.
    pub erasure_waits: IntGauge,
    /// Of what edges tell of game servers.
    pub delivery: DeliveryMetrics,
    /// Of what edges tell of engagement.
    pub engagement: EngagementMetrics,
    internal: IntCounter,
    closed: IntCounterVec,
    heads: IntGaugeVec,
}

impl PushMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// If one is there already.
    pub fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        let this = Self {
            edges: metrics.gauge("edges_connected", "Edges connected to this origin.")?,
            rows_sent: metrics.counter("push_rows_total", "Region log rows sent to edges.")?,
            snapshots_sent: metrics
                .counter("push_snapshots_total", "Region snapshots sent to edges.")?,
            acks: metrics.counter("edge_acks_total", "Acks of edges written down.")?,
            handshakes_failed: metrics.counter(
                "push_handshakes_failed_total",
                "QUIC handshakes that failed.",
            )?,
            forged_positions: metrics.counter(
                "forged_positions_total",
                "Positions shown by edges that this installation never handed out.",
            )?,
            epochs_minted: metrics.counter(
                "epochs_minted_total",
                "Epochs minted because history was lost.",
            )?,
            follower_errors: metrics.failures(
                "follower",
                "log_follower_errors_total",
                "Failures to read the region logs.",
            )?,
            ack_errors: metrics.errors("acks"),
            roster_errors: metrics.errors("roster"),
            internal: metrics.errors("edges"),
            erasure_waits: metrics.gauge(
                "erasure_pending_seconds",
                "Time since the oldest erasure of a player that is not done was asked for.",
            )?,
            delivery: DeliveryMetrics::new(metrics)?,
            engagement: EngagementMetrics::new(metrics)?,
            closed: metrics.counters(
                "push_closed_total",
                "Connections of edges closed by this origin, by reason.",
                &["reason"],
            )?,
            heads: metrics.gauges(
                "region_log_version",
                "Newest version of a region's log that this origin has read.",
                &["region"],
            )?,
        };
        for reason in CloseReason::ALL {
            this.closed.with_label_values(&[reason.as_str()]);
        }
        Ok(this)
    }

    /// Counts a connection closed by this side.
    pub fn refused(&self, reason: CloseReason) {
        self.closed.with_label_values(&[reason.as_str()]).inc();
        if reason == CloseReason::Internal {
            self.internal.inc();
        }
    }

    /// Notes where a region's log has come to.
    pub fn log_head(&self, region: &RegionId, version: Version) {
        let version = i64::try_from(version.0).unwrap_or(i64::MAX);
        self.heads
            .with_label_values(&[region.as_str()])
            .set(version);
    }
}
