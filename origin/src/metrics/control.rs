//! What the control plane counts.

use liveevents_protocol::model::EventType;
use liveevents_service::metrics::{Failures, Metrics, MetricsError};
use prometheus::{IntCounter, IntCounterVec, IntGauge};
use sqlx::PgPool;

use crate::rollout::deployment::Status;

/// Of what tokens are judged by. Handles; clones count together.
#[derive(Clone)]
pub struct TrustMetrics {
    /// Times that revocations could not be followed.
    pub failures: Failures,
    /// Key sets of issuers that could not be had.
    pub key_set_failures: Failures,
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
            failures: metrics.failures(
                "trust",
                "trust_failures_total",
                "Failures to follow revocations of tokens.",
            )?,
            key_set_failures: metrics.failures(
                "issuers",
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
    deployments: IntCounterVec,
    rollbacks: IntCounterVec,
}

/// What was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenBack {
    /// One deployment.
    Deployment,
    /// An event, as a whole.
    Event,
}

impl TakenBack {
    const ALL: [Self; 2] = [Self::Deployment, Self::Event];

    fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Event => "event",
        }
    }
}

/// Who took it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Somebody.
    Manual,
    /// The origin, since it did harm.
    Automatic,
}

impl Cause {
    const ALL: [Self; 2] = [Self::Manual, Self::Automatic];

    fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Automatic => "automatic",
        }
    }
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
        let deployments = metrics.counters(
            "deployments_total",
            "Deployments, by the event's type and the status that they have come to at this origin; one that is taken back \
             counts as Completed and as RolledBack.",
            &["type", "outcome"],
        )?;
        for event_type in EventType::ALL {
            for outcome in [Status::Completed, Status::RolledBack] {
                deployments.with_label_values(&[event_type.as_str(), outcome.as_str()]);
            }
        }
        let rollbacks = metrics.counters(
            "rollbacks_total",
            "What was taken back at this origin, one deployment or an event as a whole, by somebody or by itself.",
            &["kind", "cause"],
        )?;
        for kind in TakenBack::ALL {
            for cause in Cause::ALL {
                rollbacks.with_label_values(&[kind.as_str(), cause.as_str()]);
            }
        }
        Ok(Self {
            deployments,
            rollbacks,
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

    /// Counts a deployment that has come to a status, once that is committed.
    pub fn deployed(&self, event_type: EventType, outcome: Status) {
        self.deployments
            .with_label_values(&[event_type.as_str(), outcome.as_str()])
            .inc();
    }

    /// Counts a rollback that was committed.
    pub fn rolled_back(&self, kind: TakenBack, cause: Cause) {
        self.rollbacks
            .with_label_values(&[kind.as_str(), cause.as_str()])
            .inc();
    }
}
