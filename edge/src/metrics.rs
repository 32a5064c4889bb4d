//! Every metric of the edge. Names get the prefix `liveevents_`; labels come from closed sets: regions of this
//! edge's configuration, close reasons, kinds.

mod engagement;

use std::time::Duration;

use liveevents_protocol::entry::EntryKey;
use liveevents_service::metrics::{Failures, HttpMetrics, Metrics, MetricsError, SECONDS};
use prometheus::{Gauge, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

pub(crate) use engagement::{EngagementMetrics, Judged, Kinds, Told};

use crate::replica::Encodings;

/// All of them.
#[derive(Clone)]
pub(crate) struct EdgeMetrics {
    pub(crate) registry: Metrics,
    pub(crate) http: HttpMetrics,
    pub(crate) uplink: UplinkMetrics,
    pub(crate) cache: CacheMetrics,
    pub(crate) regions: RegionMetrics,
    pub(crate) servers: ServerMetrics,
    pub(crate) queries: QueryMetrics,
    pub(crate) engagement: EngagementMetrics,
    pub(crate) fanout: FanoutMetrics,
    pub(crate) encodings: Encodings,
    pub(crate) schedule: ScheduleMetrics,
}

/// The connection to the origin.
#[derive(Clone)]
pub(crate) struct UplinkMetrics {
    pub(crate) connected: IntGauge,
    pub(crate) connections: IntCounter,
    ends: IntCounterVec,
    pub(crate) rows: IntCounter,
    pub(crate) chunks: IntCounter,
    pub(crate) acks: IntCounter,
    pub(crate) reports: IntCounter,
    /// Connections that did not end in order, and tries that came to nothing.
    pub(crate) failures: IntCounter,
    quarantined: IntCounterVec,
    not_applied: IntCounterVec,
    pub(crate) refused: IntCounterVec,
    pub(crate) round_trip: Gauge,
    pub(crate) clock_offset: Gauge,
}

impl UplinkMetrics {
    /// A connection, or a try, has ended.
    pub(crate) fn ended(&self, reason: &str) {
        self.ends.with_label_values(&[reason]).inc();
    }

    /// An entry is set aside, of an event or of a segment.
    pub(crate) fn set_aside(&self, entry: &EntryKey, reason: &str) {
        self.quarantined.with_label_values(&[reason]).inc();
        if entry.event().is_some() {
            self.not_applied.with_label_values(&[reason]).inc();
        }
    }
}

/// Redis.
#[derive(Clone)]
pub(crate) struct CacheMetrics {
    pub(crate) working: IntGauge,
    pub(crate) loads: IntCounter,
    pub(crate) rubbish: IntCounter,
    pub(crate) writes: IntCounter,
    pub(crate) replacements: IntCounter,
    pub(crate) failures: Failures,
}

/// What is served. Set when somebody scrapes.
#[derive(Clone)]
pub(crate) struct RegionMetrics {
    pub(crate) version: IntGaugeVec,
    pub(crate) age: IntGaugeVec,
    pub(crate) stale: IntGaugeVec,
    pub(crate) stale_since: IntGaugeVec,
    pub(crate) quarantined: IntGaugeVec,
}

/// Opening and closing by the clock.
#[derive(Clone)]
pub(crate) struct ScheduleMetrics {
    pub(crate) switches: IntCounterVec,
    pub(crate) lateness: Histogram,
    pub(crate) clock_held: Gauge,
    pub(crate) clock_followed_back: IntCounter,
}

/// What players are shown, asked for by themselves or by game servers: well-formed questions of callers who may ask.
#[derive(Clone)]
pub(crate) struct QueryMetrics {
    answered: IntCounter,
    /// Asked about a region before its first state.
    pub(crate) unavailable: IntCounter,
    /// Asked about a region that this edge does not replicate.
    pub(crate) misdirected: IntCounter,
    duration: Histogram,
}

impl QueryMetrics {
    /// From memory, for so many players at once.
    pub(crate) fn answered(&self, players: u64, took: Duration) {
        self.answered.inc_by(players);
        self.duration.observe(took.as_secs_f64());
    }
}

/// Game servers.
#[derive(Clone)]
pub(crate) struct ServerMetrics {
    pub(crate) connected: IntGaugeVec,
    pub(crate) holding: IntGaugeVec,
    pub(crate) current: IntGaugeVec,
    pub(crate) deferred: IntGaugeVec,
    pub(crate) opened: IntCounter,
    pub(crate) closed: IntCounterVec,
    pub(crate) sent: IntCounterVec,
    pub(crate) sent_bytes: IntCounter,
    pub(crate) received: IntCounterVec,
}

/// What is written to game servers by whom, and who is not taken.
#[derive(Clone)]
pub(crate) struct FanoutMetrics {
    pub(crate) shard_writes: IntCounter,
    pub(crate) catch_ups: IntCounter,
    pub(crate) spared: IntCounter,
    pub(crate) refused: IntCounterVec,
}

impl EdgeMetrics {
    /// Registers all of them.
    ///
    /// # Errors
    /// Never in practice: no name is taken twice.
    pub(crate) fn new() -> Result<Self, MetricsError> {
        let registry = Metrics::new()?;
        Ok(Self {
            http: HttpMetrics::new(&registry)?,
            uplink: UplinkMetrics::new(&registry)?,
            cache: CacheMetrics::new(&registry)?,
            regions: RegionMetrics::new(&registry)?,
            servers: ServerMetrics::new(&registry)?,
            queries: QueryMetrics::new(&registry)?,
            engagement: EngagementMetrics::new(&registry)?,
            fanout: FanoutMetrics::new(&registry)?,
            encodings: encodings(&registry)?,
            schedule: ScheduleMetrics::new(&registry)?,
            registry,
        })
    }
}

impl UplinkMetrics {
    pub(crate) fn new(m: &Metrics) -> Result<Self, MetricsError> {
        Ok(Self {
            connected: m.gauge(
                "uplink_connected",
                "1 while the origin has welcomed this edge.",
            )?,
            connections: m.counter("uplink_connections_total", "Welcomes by the origin.")?,
            ends: m.counters(
                "uplink_ends_total",
                "Connections to the origin, and tries to make one, that ended, by reason.",
                &["reason"],
            )?,
            rows: m.counter("uplink_rows_total", "Log rows received.")?,
            chunks: m.counter("uplink_snapshot_chunks_total", "Snapshot chunks received.")?,
            acks: m.counter("uplink_acks_total", "Acks sent to the origin.")?,
            reports: m.counter(
                "delivery_reports_total",
                "Reports to the origin of what game servers have.",
            )?,
            failures: m.errors("uplink"),
            not_applied: m.counters(
                "activation_failures_total",
                "Times that an edge could not apply what it was told of an event, by reason; what it held before is served.",
                &["reason"],
            )?,
            quarantined: m.counters(
                "quarantined_total",
                "Entries set aside because they cannot be applied here, by reason.",
                &["reason"],
            )?,
            refused: m.counters(
                "uplink_refused_total",
                "Rows and snapshots not taken, by reason.",
                &["reason"],
            )?,
            round_trip: m.measure(
                "uplink_round_trip_seconds",
                "From the last heartbeat to the origin's answer.",
            )?,
            clock_offset: m.measure(
                "uplink_clock_offset_seconds",
                "The origin's clock minus this one's, at the last heartbeat.",
            )?,
        })
    }
}

impl CacheMetrics {
    fn new(m: &Metrics) -> Result<Self, MetricsError> {
        Ok(Self {
            working: m.gauge("cache_working", "1 while Redis does as asked.")?,
            loads: m.counter("cache_loads_total", "Region states taken from Redis.")?,
            rubbish: m.counter(
                "cache_rubbish_total",
                "Times that Redis held what is no state or no trust bundle of this installation.",
            )?,
            writes: m.counter("cache_writes_total", "Region states written to Redis.")?,
            replacements: m.counter(
                "cache_replacements_total",
                "Of those, the ones that replaced all of a region.",
            )?,
            failures: m.failures(
                "cache",
                "cache_failures_total",
                "Commands that Redis failed.",
            )?,
        })
    }
}

impl RegionMetrics {
    fn new(m: &Metrics) -> Result<Self, MetricsError> {
        Ok(Self {
            version: m.gauges("region_version", "The version served.", &["region"])?,
            age: m.gauges(
                "region_age_seconds",
                "Time since the origin was last heard; nothing before the first state.",
                &["region"],
            )?,
            stale: m.gauges(
                "region_stale",
                "1 while the origin was last heard more than 15 s ago.",
                &["region"],
            )?,
            stale_since: m.gauges(
                "region_stale_since_seconds",
                "Since when, in seconds since 1970; 0 while it is heard.",
                &["region"],
            )?,
            quarantined: m.gauges(
                "region_quarantined_entries",
                "Entries that cannot be applied here; their last good content is served.",
                &["region"],
            )?,
        })
    }
}

impl ScheduleMetrics {
    fn new(m: &Metrics) -> Result<Self, MetricsError> {
        Ok(Self {
            switches: m.counters(
                "schedule_switches_total",
                "Events that began or ended in a region, by what made them.",
                &["kind", "cause"],
            )?,
            lateness: m.histogram(
                "activation_duration_seconds",
                "From the scheduled moment to the notice of it, for what begins or ends by its schedule.",
                SECONDS,
            )?,
            clock_held: m.measure(
                "clock_held_seconds",
                "How far the machine's clock is behind the time served, since it was set back.",
            )?,
            clock_followed_back: m.counter(
                "clock_followed_back_total",
                "Times that the clock went back so far that it must have been wrong, and was followed.",
            )?,
        })
    }
}

/// Upper bounds, in seconds, for what is done in memory: from a microsecond for a few events to what a query for 500
/// players takes.
const MEMORY_SECONDS: &[f64] = &[
    0.000_001,
    0.000_002_5,
    0.000_005,
    0.000_01,
    0.000_025,
    0.000_05,
    0.000_1,
    0.000_25,
    0.000_5,
    0.001,
    0.002_5,
    0.005,
    0.01,
    0.025,
];

impl QueryMetrics {
    fn new(m: &Metrics) -> Result<Self, MetricsError> {
        let queries = m.counters(
            "player_queries_total",
            "Players whose events were asked for, by where the answer came from: this edge's memory; unavailable \
             before the first state; misdirected where this edge does not replicate the region.",
            &["answer"],
        )?;
        let of = |answer: &str| queries.with_label_values(&[answer]);
        let metrics = Self {
            answered: of("memory"),
            unavailable: of("unavailable"),
            misdirected: of("misdirected"),
            duration: m.histogram(
                "query_duration_seconds",
                "Time to evaluate and put together an answer about players, of one or of all those asked for at once.",
                MEMORY_SECONDS,
            )?,
        };
        let counted = metrics.clone();
        m.pulled(
            "cache_hit_rate",
            "Share of player reads answered from the edge's own memory, since it started; 1 before the first.",
            move || counted.hit_rate(),
        )?;
        Ok(metrics)
    }

    /// What part of the players asked for was answered from memory; all before the first.
    pub(crate) fn hit_rate(&self) -> f64 {
        let hits = self.answered.get();
        let misses = self.unavailable.get() + self.misdirected.get();
        if hits + misses == 0 {
            return 1.0;
        }
        hits as f64 / (hits + misses) as f64
    }
}

impl ServerMetrics {
    fn new(m: &Metrics) -> Result<Self, MetricsError> {
        Ok(Self {
            connected: m.gauges("game_servers", "Game servers connected.", &["region"])?,
            holding: m.gauges(
                "game_servers_received",
                "Of those, the ones that have received the version served.",
                &["region"],
            )?,
            deferred: m.gauges(
                "game_servers_deferred",
                "Of those, the ones that have it and will apply it later.",
                &["region"],
            )?,
            current: m.gauges(
                "game_servers_current",
                "Of those, the ones that have applied the version served.",
                &["region"],
            )?,
            opened: m.counter("game_server_connections_total", "WebSockets opened.")?,
            closed: m.counters(
                "game_server_closes_total",
                "WebSockets that ended, by close reason; \"left\" where the game server ended it.",
                &["reason"],
            )?,
            sent: m.counters(
                "game_server_messages_sent_total",
                "Messages sent to game servers.",
                &["type"],
            )?,
            sent_bytes: m.counter(
                "game_server_sent_bytes_total",
                "Bytes of messages sent to game servers.",
            )?,
            received: m.counters(
                "game_server_messages_received_total",
                "Messages received from game servers.",
                &["type"],
            )?,
        })
    }
}

impl FanoutMetrics {
    fn new(m: &Metrics) -> Result<Self, MetricsError> {
        Ok(Self {
            shard_writes: m.counter(
                "game_server_shard_writes_total",
                "Changes written to game servers that lacked nothing else.",
            )?,
            catch_ups: m.counter(
                "game_server_catch_ups_total",
                "Times that a game server was further behind, and brought on by itself.",
            )?,
            spared: m.counter(
                "game_server_spared_total",
                "Changes that were not sent because nothing of them passed the filter.",
            )?,
            refused: m.counters(
                "game_server_refusals_total",
                "Game servers not taken, before the upgrade, by reason.",
                &["reason"],
            )?,
        })
    }
}

fn encodings(m: &Metrics) -> Result<Encodings, MetricsError> {
    let of = m.counters(
        "encodings_total",
        "Texts for game servers that were encoded, each for all who needed the same.",
        &["type"],
    )?;
    Ok(Encodings {
        deltas: of.with_label_values(&["delta"]),
        snapshots: of.with_label_values(&["snapshot"]),
    })
}

#[cfg(test)]
mod tests {
    use liveevents_service::metrics::section;

    use super::*;

    #[test]
    fn the_document_has_every_metric() {
        let document = include_str!("../../docs/metrics.md");
        let table = EdgeMetrics::new().unwrap().registry.table();
        let is_told = section(document, "edge") == Some(table.as_str());
        assert!(is_told, "docs/metrics.md, edge, is to be:\n{table}");
    }
}
