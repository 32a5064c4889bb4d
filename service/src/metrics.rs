//! Prometheus metrics: making handles with the common prefix, and the text endpoint.
//!
//! A binary's metrics are all in its own `metrics.rs`, a struct of handles made from one [`Metrics`].
//! Names get the prefix `liveevents_`; labels come from closed sets. What fails is in one of them for all kinds of work,
//! `errors_total` by `source`.

mod table;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use parking_lot::Mutex;
use prometheus::{
    CounterVec, Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter,
    IntCounterVec, IntGauge, IntGaugeVec, Opts, PullingGauge, Registry, TextEncoder,
    core::{Collector, Desc},
};

pub use prometheus::Error as MetricsError;
pub use table::section;

/// What every name begins with.
const PREFIX: &str = "liveevents";

/// Where a process's metrics are registered. Clones share it.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    /// What was registered, moved or not: without the prefix.
    told: Arc<Mutex<Vec<Desc>>>,
    errors: IntCounterVec,
}

/// Failures of one kind of work: under a name of its own, and among all errors.
#[derive(Clone)]
pub struct Failures {
    own: IntCounter,
    among_all: IntCounter,
}

impl Failures {
    /// Counts one.
    pub fn inc(&self) {
        self.own.inc();
        self.among_all.inc();
    }

    /// How many there were.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.own.get()
    }
}

/// Upper bounds, in seconds, for what takes from a tenth of a millisecond (a read from memory) to ten
/// seconds (a deadline).
pub const SECONDS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

impl Metrics {
    /// An empty set.
    ///
    /// # Errors
    /// Never in practice: the prefix is well formed.
    pub fn new() -> Result<Self, MetricsError> {
        let registry = Registry::new_custom(Some(PREFIX.to_owned()), None)?;
        let errors = Opts::new(
            "errors_total",
            "Requests answered with a server error, and failures of what this process does by itself, by what failed.",
        );
        let errors = IntCounterVec::new(errors, &["source"])?;
        let metrics = Self {
            registry,
            told: Arc::default(),
            errors: errors.clone(),
        };
        metrics.register(errors)?;
        Ok(metrics)
    }

    /// Where failures of some work are counted, in `errors_total`.
    #[must_use]
    pub fn errors(&self, source: &'static str) -> IntCounter {
        self.errors.with_label_values(&[source])
    }

    /// Failures of some work that have a name of their own beside that.
    ///
    /// # Errors
    /// If the name is taken or malformed.
    pub fn failures(
        &self,
        source: &'static str,
        name: &str,
        help: &str,
    ) -> Result<Failures, MetricsError> {
        Ok(Failures {
            own: self.counter(name, help)?,
            among_all: self.errors(source),
        })
    }

    /// A number that only grows; end its name in `_total`.
    ///
    /// # Errors
    /// Like all of these: if the name is taken or malformed.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, MetricsError> {
        self.register(IntCounter::new(name, help)?)
    }

    /// Counters told apart by labels.
    ///
    /// # Errors
    /// If the name is taken or malformed.
    pub fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, MetricsError> {
        self.register(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    /// A whole number that goes up and down.
    ///
    /// # Errors
    /// If the name is taken or malformed.
    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, MetricsError> {
        self.register(IntGauge::new(name, help)?)
    }

    /// A number with fractions that goes up and down, such as an age in seconds.
    ///
    /// # Errors
    /// If the name is taken or malformed.
    pub fn measure(&self, name: &str, help: &str) -> Result<Gauge, MetricsError> {
        self.register(Gauge::new(name, help)?)
    }

    /// Amounts with fractions that only grow, told apart by labels.
    ///
    /// # Errors
    /// If the name is taken or malformed.
    pub fn amounts(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<CounterVec, MetricsError> {
        self.register(CounterVec::new(Opts::new(name, help), labels)?)
    }

    /// Numbers with fractions that go up and down, told apart by labels.
    ///
    /// # Errors
    /// If the name is taken or malformed.
    pub fn measures(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<GaugeVec, MetricsError> {
        self.register(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    /// A number that is asked for at each scrape.
    ///
    /// # Errors
    /// If the name is taken or malformed.
    pub fn pulled(
        &self,
        name: &str,
        help: &str,
        read: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Result<(), MetricsError> {
        let gauge = PullingGauge::new(name, help, Box::new(read))?;
        self.register(gauge).map(drop)
    }

    /// Gauges told apart by labels.
    ///
    /// # Errors
    /// If the name is taken or malformed.
    pub fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, MetricsError> {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    /// A distribution; end its name in its unit.
    ///
    /// # Errors
    /// If the name is taken or malformed.
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        bounds: &[f64],
    ) -> Result<Histogram, MetricsError> {
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        self.register(Histogram::with_opts(options)?)
    }

    /// Distributions told apart by labels.
    ///
    /// # Errors
    /// If the name is taken or malformed.
    pub fn histograms(
        &self,
        name: &str,
        help: &str,
        bounds: &[f64],
        labels: &[&str],
    ) -> Result<HistogramVec, MetricsError> {
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        self.register(HistogramVec::new(options, labels)?)
    }

    /// A metric of one's own making, whose name has no prefix yet.
    ///
    /// # Errors
    /// If the name is taken or malformed.
    pub fn collector<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, MetricsError> {
        self.register(metric)
    }

    fn register<C: Collector + Clone + 'static>(&self, metric: C) -> Result<C, MetricsError> {
        self.registry.register(Box::new(metric.clone()))?;
        self.told.lock().extend(metric.desc().into_iter().cloned());
        Ok(metric)
    }

    /// All values in Prometheus's text format.
    ///
    /// # Errors
    /// If a collector reports what the format cannot say.
    pub fn render(&self) -> Result<String, MetricsError> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// `GET /metrics`.
    pub fn routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let metrics = self.clone();
        let scrape = move || {
            let text = metrics.render().map_err(crate::http::ApiError::internal);
            let content_type = [(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)];
            std::future::ready(text.map(|text| (content_type, text)))
        };
        Router::new().route("/metrics", get(scrape))
    }
}

/// What [`crate::http::layers`] counts.
#[derive(Clone)]
pub struct HttpMetrics {
    answers: HistogramVec,
    refusals: IntCounterVec,
    not_http: IntCounter,
    errors: IntCounter,
}

impl HttpMetrics {
    /// Registers `http_request_duration_seconds`, `http_refusals_total` and `http_malformed_total`.
    ///
    /// # Errors
    /// If they are registered already.
    pub fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        Ok(Self {
            answers: metrics.histograms(
                "http_request_duration_seconds",
                "Time from a request's headers to the head of its answer.",
                SECONDS,
                &["method", "route", "status"],
            )?,
            refusals: metrics.counters(
                "http_refusals_total",
                "Requests answered with an error, by its code.",
                &["code"],
            )?,
            errors: metrics.errors("http"),
            not_http: metrics.counter(
                "http_malformed_total",
                "Connections closed because what came was no HTTP, or had headers without end.",
            )?,
        })
    }

    pub(crate) fn answered(
        &self,
        method: &str,
        route: &str,
        status: axum::http::StatusCode,
        took: Duration,
    ) {
        self.answers
            .with_label_values(&[method, route, status.as_str()])
            .observe(took.as_secs_f64());
    }

    pub(crate) fn refused(&self, code: &str, status: axum::http::StatusCode) {
        self.refusals.with_label_values(&[code]).inc();
        if status.is_server_error() {
            self.errors.inc();
        }
    }

    pub(crate) fn malformed(&self) {
        self.not_http.inc();
    }
}
