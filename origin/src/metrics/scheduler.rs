//! What the scheduler counts.

use jiff::Timestamp;
use liveevents_service::metrics::{Failures, Metrics, MetricsError};
use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec};

use crate::settle::Settled;

/// Seconds from the moment that something was due to its being recorded: a second is promised.
const LATENESS: &[f64] = &[0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 60.0, 3600.0];

/// Of the scheduler. Handles; clones count together.
#[derive(Clone)]
pub struct SchedulerMetrics {
    /// Times that events could not be looked at.
    pub failures: Failures,
    last_run: Gauge,
    transitions: IntCounterVec,
    changes: IntCounterVec,
    lateness: Histogram,
    added: IntCounter,
    skipped: IntCounter,
    not_recorded: IntCounter,
}

/// Events whose turn it is. Those of which nobody says that what was due of them is recorded count as failed.
pub struct Due {
    events: u64,
    not_recorded: IntCounter,
}

impl Due {
    /// What was due of them is committed.
    pub fn recorded(mut self) {
        self.events = 0;
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        self.not_recorded.inc_by(self.events);
    }
}

impl SchedulerMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// If one is there already.
    pub fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        let activations = metrics.counters(
            "activation_failures_total",
            "Times that what was due of an event could not be recorded; edges open and close it all the same.",
            &["reason"],
        )?;
        Ok(Self {
            not_recorded: activations.with_label_values(&["not_recorded"]),
            failures: metrics.failures(
                "scheduler",
                "scheduler_failures_total",
                "Failures to look at events that are due.",
            )?,
            last_run: metrics.measure(
                "scheduler_last_run_seconds",
                "When this origin's scheduler last found nothing more to do, in seconds since 1970.",
            )?,
            transitions: metrics.counters(
                "scheduler_transitions_total",
                "Events that went on by themselves, by the state they came to.",
                &["state"],
            )?,
            changes: metrics.counters(
                "scheduler_changes_total",
                "Changes made by the scheduler, by kind.",
                &["kind"],
            )?,
            lateness: metrics.histogram(
                "scheduler_lateness_seconds",
                "From the moment at which an event went on by itself to its being recorded.",
                LATENESS,
            )?,
            added: metrics.counter(
                "scheduler_occurrences_added_total",
                "Occurrences of series that came within the horizon and were given to regions.",
            )?,
            skipped: metrics.counter(
                "scheduler_occurrences_skipped_total",
                "Occurrences left out since another event of the category is shown at the time.",
            )?,
        })
    }

    /// Notes that there is nothing more to do.
    pub fn ran(&self, now: Timestamp) {
        self.last_run.set(now.as_duration().as_secs_f64());
    }

    /// Some events whose turn it is.
    #[must_use]
    pub fn due(&self, events: usize) -> Due {
        Due {
            events: u64::try_from(events).unwrap_or(u64::MAX),
            not_recorded: self.not_recorded.clone(),
        }
    }

    /// Counts what was done.
    pub fn settled(&self, settled: &Settled, now: Timestamp) {
        for (_, step) in &settled.transitions {
            self.transitions
                .with_label_values(&[step.to.as_str()])
                .inc();
            self.lateness
                .observe(step.at.duration_until(now).as_secs_f64());
        }
        for kind in &settled.changes {
            self.changes.with_label_values(&[*kind]).inc();
        }
        let count = |number| u64::try_from(number).unwrap_or(u64::MAX);
        self.added.inc_by(count(settled.added));
        self.skipped.inc_by(count(settled.skipped));
    }
}
