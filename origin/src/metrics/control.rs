//! What the control plane counts.

use liveevents_service::metrics::{Metrics, MetricsError};
use prometheus::{IntCounter, IntCounterVec, IntGauge};
use sqlx::PgPool;

/// Of what tokens are judged by. Handles; clones count together.
#[derive(Clone)]
pub struct TrustMetrics {
    /// Times that revocations could not be followed.
    pub failures: IntCounter,
    /// Key sets of issuers that could not be had.
    pub key_set_failures: IntCounter,
    serial: IntGauge,
    revoked: IntGauge,
    issuers: IntGauge,
}

impl TrustMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// If one is there already.
    pub fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        Ok(Self {
            failures: metrics.counter(
                "trust_failures_total",
                "Failures to follow revocations of tokens.",
            )?,
            key_set_failures: metrics.counter(
                "issuer_key_set_failures_total",
                "Times that an issuer's key set could not be had; the last keys stay in force.",
            )?,
            issuers: metrics.gauge(
                "trust_issuers",
                "Issuers of players' tokens that the trust bundle names.",
            )?,
            serial: metrics.gauge("trust_serial", "Serial of the trust bundle in force.")?,
            revoked: metrics.gauge(
                "trust_revoked",
                "Revoked tokens that the trust bundle names.",
            )?,
        })
    }

    /// Notes a bundle that is now in force.
    pub fn issued(&self, serial: u64, revoked: usize, issuers: usize) {
        self.serial.set(i64::try_from(serial).unwrap_or(i64::MAX));
        self.revoked.set(i64::try_from(revoked).unwrap_or(i64::MAX));
        self.issuers.set(i64::try_from(issuers).unwrap_or(i64::MAX));
    }
}

/// Of the REST API, beside what every HTTP side counts. Handles; clones count together.
#[derive(Clone)]
pub struct ApiMetrics {
    /// Logins with the right password.
    pub logins: IntCounter,
    /// Logins with a wrong name or password.
    pub logins_refused: IntCounter,
    /// Logins not judged, since there were too many.
    pub logins_limited: IntCounter,
    changes: IntCounterVec,
}

impl ApiMetrics {
    /// Registers them, and those of the pool.
    ///
    /// # Errors
    /// If one is there already.
    pub fn new(metrics: &Metrics, pool: &PgPool) -> Result<Self, MetricsError> {
        let logins = metrics.counters("logins_total", "Logins, by how they ended.", &["result"])?;
        let (size, idle) = (pool.clone(), pool.clone());
        metrics.pulled(
            "database_connections",
            "Connections to Postgres.",
            move || f64::from(size.size()),
        )?;
        metrics.pulled(
            "database_connections_idle",
            "Connections to Postgres not in use.",
            move || f64::from(u32::try_from(idle.num_idle()).unwrap_or(u32::MAX)),
        )?;
        Ok(Self {
            logins: logins.with_label_values(&["accepted"]),
            logins_refused: logins.with_label_values(&["refused"]),
            logins_limited: logins.with_label_values(&["limited"]),
            changes: metrics.counters(
                "changes_total",
                "Changes made by this origin, by kind.",
                &["kind"],
            )?,
        })
    }

    /// Counts a change that was committed.
    pub fn changed(&self, kind: &'static str) {
        self.changes.with_label_values(&[kind]).inc();
    }
}
