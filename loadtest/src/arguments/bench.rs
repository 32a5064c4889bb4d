//! The command line of the benchmarks.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Target, rate};
use crate::address::HttpBase;

/// A benchmark.
#[derive(Debug, Subcommand)]
pub enum Scenario {
    /// Changes at a steady rate to many game servers, against a bare write loop.
    Fanout(Fanout),
    /// Many changes as fast as the origin takes them, until the last game server is current.
    Burst(Burst),
    /// What an idle game server costs in memory.
    Idle(Idle),
    /// Player reads over HTTP, against a static file of nginx.
    Query(Query),
    /// Every game server reconnects at once.
    Storm(Storm),
    /// What a change costs with few and many events.
    Cost(Cost),
    /// How long the origin takes for lists and searches.
    Lists(Lists),
    /// How long it takes to stop everything.
    Stop(Stop),
    /// How soon reports of game servers are counted and shown, and what they cost.
    Reports(Reports),
    /// How much a month of many events' metrics takes, and how long to read.
    Month(Month),
}

/// What is measured, and how often.
#[derive(Debug, Args)]
pub struct Measured {
    #[command(flatten)]
    #[expect(missing_docs, reason = "its fields say it")]
    pub target: Target,
    /// The edge's process on this machine.
    #[arg(long, value_name = "PID")]
    pub edge_pid: u32,
    /// Runs, of which the median counts.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: u32,
    /// Writes the sheet to this file as well.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Arguments of `fanout`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "the arguments' help says it")]
pub struct Fanout {
    #[command(flatten)]
    pub measured: Measured,
    /// Game servers.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub servers: u32,
    /// Changes in a run.
    #[arg(long, value_name = "K", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub changes: u32,
    /// Changes a second.
    #[arg(long, value_name = "R", default_value_t = 20.0, value_parser = rate)]
    pub rate: f64,
}

/// Arguments of `burst`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "the arguments' help says it")]
pub struct Burst {
    #[command(flatten)]
    pub measured: Measured,
    /// Game servers.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub servers: u32,
    /// Changes in a run.
    #[arg(long, value_name = "K", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub changes: u32,
    /// Callers of the origin that make them.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub callers: u32,
}

/// Arguments of `idle`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "the arguments' help says it")]
pub struct Idle {
    #[command(flatten)]
    pub measured: Measured,
    /// Game servers.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub servers: u32,
    /// Seconds that they are idle: more than it takes until each has been pinged.
    #[arg(long, value_name = "S", default_value_t = 25)]
    pub seconds: u32,
    /// Where something speaks to the edge on behalf of game servers, such as a proxy that ends TLS.
    #[arg(long, value_name = "HOST:PORT")]
    pub through: Option<std::net::SocketAddr>,
}

/// Arguments of `query`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "the arguments' help says it")]
pub struct Query {
    #[command(flatten)]
    pub measured: Measured,
    /// The file that nginx serves.
    #[arg(long, value_name = "URL")]
    pub nginx: HttpBase,
    /// nginx' main process; its workers are counted.
    #[arg(long, value_name = "PID")]
    pub nginx_pid: u32,
    /// Active events.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub events: u32,
    /// Those of them that a player is shown.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub matching: u32,
    /// Connections of readers.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub connections: u32,
    /// Seconds of each measurement.
    #[arg(long, value_name = "S", default_value_t = 5)]
    pub seconds: u32,
    /// Game servers of the wave during which reads are measured again.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub servers: u32,
}

/// Arguments of `storm`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "the arguments' help says it")]
pub struct Storm {
    #[command(flatten)]
    pub measured: Measured,
    /// Game servers.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub servers: u32,
    /// Active events, 1 KB each.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub events: u32,
    /// Reads a second meanwhile.
    #[arg(long, value_name = "R", default_value_t = 500.0, value_parser = rate)]
    pub reads: f64,
}

/// Arguments of `cost`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "the arguments' help says it")]
pub struct Cost {
    #[command(flatten)]
    pub measured: Measured,
    /// Game servers.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub servers: u32,
    /// Changes in a run.
    #[arg(long, value_name = "K", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub changes: u32,
    /// Changes a second.
    #[arg(long, value_name = "R", default_value_t = 100.0, value_parser = rate)]
    pub rate: f64,
    /// Active events, in rising numbers.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [10, 100, 1_000])]
    pub events: Vec<u32>,
    /// Events stored but not deployed, at the last.
    #[arg(long, value_name = "N", default_value_t = 50_000)]
    pub stored: u32,
}

/// Arguments of `lists`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "the arguments' help says it")]
pub struct Lists {
    #[command(flatten)]
    pub measured: Measured,
    /// Events that are stored and not deployed.
    #[arg(long, value_name = "N", default_value_t = 49_000)]
    pub stored: u32,
    /// Events that are deployed.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub active: u32,
    /// Requests of each kind in a run.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub requests: u32,
}

/// Arguments of `stop`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "the arguments' help says it")]
pub struct Stop {
    #[command(flatten)]
    pub measured: Measured,
    /// Game servers.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub servers: u32,
    /// Active events.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub events: u32,
    /// Stops in a run.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub stops: u32,
}

/// Processes of this machine whose CPU is told beside the edge's.
#[derive(Debug, Args)]
pub struct Processes {
    /// The origin's.
    #[arg(long, value_name = "PID")]
    pub origin_pid: Option<u32>,
    /// Postgres' main process; those of its connections are counted.
    #[arg(long, value_name = "PID")]
    pub postgres_pid: Option<u32>,
    /// Redis'.
    #[arg(long, value_name = "PID")]
    pub redis_pid: Option<u32>,
    /// Further edges', which are counted with the first.
    #[arg(long = "other-edge-pid", value_name = "PID")]
    pub other_edge_pids: Vec<u32>,
}

/// Arguments of `reports`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "the arguments' help says it")]
pub struct Reports {
    #[command(flatten)]
    pub measured: Measured,
    #[command(flatten)]
    pub processes: Processes,
    /// Game servers that report, and one more that probes.
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub servers: u32,
    /// Reports a second, of all of them together.
    #[arg(long, value_name = "R", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,
    /// Seconds of a run.
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub seconds: u32,
    /// Events that are reported of.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub events: u32,
    /// Players who are reported of.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub players: u32,
}

/// Arguments of `month`.
#[derive(Debug, Args)]
#[expect(missing_docs, reason = "the arguments' help says it")]
pub struct Month {
    #[command(flatten)]
    pub measured: Measured,
    #[command(flatten)]
    pub processes: Processes,
    /// `psql`, to fill the database with.
    #[arg(long, value_name = "FILE")]
    pub psql: PathBuf,
    /// The origin's database, as the owner of its tables. What is made up stays there: give it one that is thrown away.
    #[arg(long, value_name = "URL")]
    pub database: String,
    /// Events.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub events: u32,
    /// Those of them that hundreds of thousands play in an hour.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub large: u32,
    /// Requests of each kind in a run.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub requests: u32,
}

/// Arguments of `bare`.
#[derive(Debug, Args)]
pub struct Bare {
    /// Sockets to wait for.
    #[arg(long, value_name = "N")]
    pub servers: u32,
    /// Frames to write to each.
    #[arg(long, value_name = "K")]
    pub frames: u32,
    /// Frames a second.
    #[arg(long, value_name = "R", value_parser = rate)]
    pub rate: f64,
    /// Bytes of a frame, its header included.
    #[arg(long, value_name = "BYTES", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(300..=60_000))]
    pub bytes: u32,
}

impl Scenario {
    /// What all scenarios have.
    #[must_use]
    pub fn measured(&self) -> &Measured {
        match self {
            Self::Fanout(scenario) => &scenario.measured,
            Self::Burst(scenario) => &scenario.measured,
            Self::Idle(scenario) => &scenario.measured,
            Self::Query(scenario) => &scenario.measured,
            Self::Storm(scenario) => &scenario.measured,
            Self::Cost(scenario) => &scenario.measured,
            Self::Lists(scenario) => &scenario.measured,
            Self::Stop(scenario) => &scenario.measured,
            Self::Reports(scenario) => &scenario.measured,
            Self::Month(scenario) => &scenario.measured,
        }
    }
}
