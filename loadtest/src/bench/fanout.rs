//! Changes at a steady rate to many game servers, first through origin, Postgres and edge, then the same number of frames
//! of the same size from a bare loop, to the same receivers.
//!
//! The edge's receivers ack as the protocol says, which is part of what it costs the edge. Its CPU is all that its process
//! used: receiving changes, Redis and acks included.

use std::sync::Arc;
use std::time::Duration;

use super::bare::Loop;
use super::changes::Dial;
use super::process::Busy;
use super::scene::Scene;
use super::sheet::{Bound, Sheet};
use crate::arguments::bench::{Bare, Fanout};
use crate::failure::Failure;
use crate::limits;
use crate::receivers::{Greeting, Plan, Receivers, Tally};
use crate::spread::Spread;

/// What one side did in a run.
struct Side {
    per_cpu_second: f64,
    deliveries: u64,
    each: Spread,
    last: Spread,
    bytes: f64,
    /// Of all cores, in percent.
    busy: f64,
}

impl Side {
    fn of(tally: &Tally, cpu_seconds: f64, busy: f64) -> Self {
        Self {
            busy,
            per_cpu_second: tally.deliveries as f64 / cpu_seconds.max(0.01),
            deliveries: tally.deliveries,
            each: tally.latency.clone(),
            last: tally.to_the_last(),
            bytes: tally.bytes_each(),
        }
    }
}

/// Runs it.
pub(super) async fn run(fanout: &Fanout) -> Result<Sheet, Failure> {
    let scene = Arc::new(Scene::of(&fanout.measured).await?);
    let dial = Dial::create(&scene).await?;
    let mut sheet = Sheet::new(format!(
        "fan-out: {} changes at {}/s to {} game servers",
        fanout.changes, fanout.rate, fanout.servers
    ));
    for _ in 0..fanout.measured.runs {
        let (edge, commit) = through_the_edge(fanout, &scene, &dial).await?;
        let bare = from_the_loop(fanout, edge.bytes).await?;
        let ratio = edge.per_cpu_second / bare.per_cpu_second;
        let of_limit = "of the loop's";
        sheet.judge(
            "deliveries per CPU-second",
            of_limit,
            Bound::AtLeast(0.9),
            ratio,
        );
        let late = edge.last.at(0.99) / bare.last.at(0.99);
        sheet.judge("p99 to the last", of_limit, Bound::AtMost(1.2), late);
        for (name, side) in [("edge", &edge), ("loop", &bare)] {
            sheet.add(
                &format!("{name}: deliveries per CPU-second"),
                "1/s",
                side.per_cpu_second,
            );
            sheet.add(&format!("{name}: cores busy"), "%", side.busy);
            sheet.add(&format!("{name}: to each, p50"), "ms", side.each.at(0.5));
            sheet.add(&format!("{name}: to each, p99"), "ms", side.each.at(0.99));
            sheet.add(
                &format!("{name}: to the last, p50"),
                "ms",
                side.last.at(0.5),
            );
            sheet.add(
                &format!("{name}: to the last, p99"),
                "ms",
                side.last.at(0.99),
            );
        }
        sheet.add("edge: commit to each, p50", "ms", commit.at(0.5));
        sheet.add("edge: commit to each, p99", "ms", commit.at(0.99));
        let asked = f64::from(fanout.changes) * f64::from(fanout.servers);
        sheet.add(
            "edge: changes that came merged",
            "%",
            100.0 * (1.0 - edge.deliveries as f64 / asked),
        );
        sheet.add("bytes of a delivery", "B", edge.bytes);
    }
    Ok(sheet)
}

async fn through_the_edge(
    fanout: &Fanout,
    scene: &Scene,
    dial: &Dial,
) -> Result<(Side, Spread), Failure> {
    let receivers = Receivers::opened(scene.receivers(fanout.servers)).await?;
    // What was just opened should be settled, and what is used for the first time should be there.
    let warm = dial.turn_at(scene, 20, fanout.rate).await?;
    receivers.wait_for_version(warm, limits::ARRIVAL).await?;
    receivers.forget();
    let (before, busy) = (scene.edge.cpu()?, Busy::start()?);
    let last = dial.turn_at(scene, fanout.changes, fanout.rate).await?;
    let tally = receivers.wait_for_version(last, limits::ARRIVAL).await?;
    let (cpu, busy) = (scene.edge.cpu()? - before, busy.percent()?);
    let commit = tally.since_commit.clone();
    Ok((Side::of(&tally, cpu.as_secs_f64(), busy), commit))
}

async fn from_the_loop(fanout: &Fanout, bytes: f64) -> Result<Side, Failure> {
    let bare = Bare {
        servers: fanout.servers,
        frames: fanout.changes,
        rate: fanout.rate,
        bytes: bytes.round().max(300.0) as u32,
    };
    let server = Loop::start(&bare).await?;
    let receivers = Receivers::opened(Plan {
        address: server.address,
        count: bare.servers as usize,
        at_once: limits::OPENING,
        greeting: Greeting::None,
    });
    let receivers = receivers.await?;
    let at_most =
        limits::ARRIVAL + 10 * Duration::from_secs_f64(f64::from(bare.frames) / bare.rate);
    let all = u64::from(bare.frames) * u64::from(bare.servers);
    let busy = Busy::start()?;
    let came = receivers.wait("the loop's frames came", at_most, |tally| {
        tally.deliveries == all
    });
    let tally = came.await?;
    let busy = busy.percent()?;
    let done = server.done(at_most).await?;
    Ok(Side::of(&tally, done.cpu_seconds, busy))
}
