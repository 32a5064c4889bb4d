//! What edges tell of the way to game servers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use liveevents_protocol::delay::Delays;
use liveevents_protocol::id::RegionId;
use liveevents_service::metrics::{Metrics, MetricsError, SECONDS};
use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{HistogramVec, IntCounterVec, IntGaugeVec};

use crate::push::registry::Census;

/// Handles; clones count together.
#[derive(Clone)]
pub struct DeliveryMetrics {
    game_servers: IntGaugeVec,
    current: IntGaugeVec,
    quarantined: IntGaugeVec,
    nacks: IntCounterVec,
    converged: HistogramVec,
    times: Times,
}

impl DeliveryMetrics {
    /// Registers them.
    ///
    /// # Errors
    /// If one is there already.
    pub fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        Ok(Self {
            game_servers: metrics.gauges(
                "game_servers",
                "Game servers connected to the edges that are connected to this origin.",
                &["region"],
            )?,
            current: metrics.gauges(
                "game_servers_current",
                "Those of them that have applied the region's newest version.",
                &["region"],
            )?,
            quarantined: metrics.gauges(
                "quarantined_entries",
                "Entries that edges connected to this origin could not apply.",
                &["region"],
            )?,
            nacks: metrics.counters(
                "nacks_total",
                "Events that game servers said they could not use.",
                &["region"],
            )?,
            converged: metrics.histograms(
                "change_converged_seconds",
                "From the commit of a version to the ack of the last live edge, at whichever origin.",
                SECONDS,
                &["region"],
            )?,
            times: metrics.collector(Times::new()?)?,
        })
    }

    /// Notes what edges have told of a region.
    pub fn census(&self, region: &RegionId, census: &Census) {
        let region = &[region.as_str()];
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let servers = census.game_servers;
        self.game_servers
            .with_label_values(region)
            .set(number(servers.connected));
        self.current
            .with_label_values(region)
            .set(number(servers.applied));
        self.quarantined
            .with_label_values(region)
            .set(i64::try_from(census.quarantined).unwrap_or(i64::MAX));
        self.nacks.with_label_values(region);
    }

    /// Counts nacks.
    pub fn nacked(&self, region: &RegionId, count: u64) {
        self.nacks
            .with_label_values(&[region.as_str()])
            .inc_by(count);
    }

    /// Counts deliveries.
    pub fn delivered(&self, region: &RegionId, delays: &Delays) {
        let mut regions = self.times.regions.lock();
        regions.entry(region.clone()).or_default().merge(delays);
    }

    /// Counts versions that every live edge has.
    pub fn converged(&self, region: &RegionId, times: &[Duration]) {
        let converged = self.converged.with_label_values(&[region.as_str()]);
        for took in times {
            converged.observe(took.as_secs_f64());
        }
    }
}

/// A histogram by region that is told sums, not single values: an edge reports those of ten thousand game servers at
/// once. It is as exact as [`Delays`], a quarter of an octave; the sum is estimated from that.
#[derive(Clone)]
struct Times {
    name: &'static str,
    help: &'static str,
    desc: Desc,
    regions: Arc<Mutex<BTreeMap<RegionId, Delays>>>,
}

impl Times {
    fn new() -> Result<Self, MetricsError> {
        let (name, help) = (
            "delivery_seconds",
            "From the commit of a version to game servers' acks of it, as told by edges connected to this origin.",
        );
        let labels = vec!["region".to_owned()];
        Ok(Self {
            name,
            help,
            desc: Desc::new(name.to_owned(), help.to_owned(), labels, Default::default())?,
            regions: Arc::default(),
        })
    }
}

impl Collector for Times {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let regions = self.regions.lock();
        if regions.is_empty() {
            return Vec::new();
        }
        let metrics = regions.iter().map(|(region, delays)| {
            let mut label = LabelPair::default();
            label.set_name("region".to_owned());
            label.set_value(region.to_string());
            let mut metric = Metric::from_label(vec![label]);
            metric.set_histogram(histogram(delays));
            metric
        });
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(MetricType::HISTOGRAM);
        family.set_metric(metrics.collect());
        vec![family]
    }
}

fn histogram(delays: &Delays) -> Histogram {
    let mut sum = 0.0;
    let mut within = vec![0_u64; SECONDS.len()];
    for (bucket, count) in delays.buckets() {
        let end = Delays::end(bucket).min(delays.max()).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let all = count as f64;
        sum += end * all;
        for (bound, within) in SECONDS.iter().zip(&mut within) {
            if end <= *bound {
                *within += count;
            }
        }
    }
    let buckets = SECONDS.iter().zip(within).map(|(bound, within)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(within);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(delays.count());
    histogram.set_sample_sum(sum);
    histogram
}
