//! Every game server loses its connection at the same moment and connects again at once, without the jitter that clients
//! have, while something changes and players read.

use std::sync::Arc;
use std::time::Duration;

use super::changes::{Dial, Fate, populate};
use super::requests::{Load, Pace};
use super::scene::Scene;
use super::sheet::{Bound, Sheet};
use crate::arguments::bench::Storm;
use crate::failure::Failure;
use crate::limits;
use crate::receivers::Receivers;

/// Connections of the readers.
const READERS: usize = 16;

/// Runs it.
pub(super) async fn run(storm: &Storm) -> Result<Sheet, Failure> {
    let scene = Arc::new(Scene::of(&storm.measured).await?);
    populate(&scene, storm.events, Fate::Live).await?;
    let dial = Dial::create(&scene).await?;
    let receivers = Receivers::opened(scene.receivers(storm.servers)).await?;
    let mut sheet = Sheet::new(format!(
        "storm: {} game servers reconnect at once, {} events, {} reads a second",
        storm.servers, storm.events, storm.reads
    ));
    let calm = reads(&scene, storm, Duration::from_secs(3)).await?;
    sheet.add("reads in calm: p99", "ms", calm.latency.at(0.99));
    for (name, resume) in [("resuming", true), ("from nothing", false)] {
        for _ in 0..storm.measured.runs {
            receivers.forget();
            let before = scene.edge.cpu()?;
            let start = crate::clock::now().as_microsecond();
            receivers.reconnect(resume);
            let version = dial.turn(&scene).await?;
            let waiting = receivers.wait_for_version(version, limits::STORM);
            let reading = reads(&scene, storm, Duration::from_secs(5));
            let (tally, reads) = tokio::join!(waiting, reading);
            let (tally, reads) = (tally?, reads?);
            let cpu = scene.edge.cpu()? - before;
            let last = tally
                .versions
                .get(&version)
                .map_or(start, |reach| reach.last);
            let seconds = (last - start) as f64 / 1_000_000.0;
            sheet.judge(
                &format!("{name}: until all are current"),
                "s",
                Bound::AtMost(5.0),
                seconds,
            );
            sheet.add(
                &format!("{name}: reads' p50 meanwhile"),
                "ms",
                reads.latency.at(0.5),
            );
            sheet.add(
                &format!("{name}: reads' p99 meanwhile"),
                "ms",
                reads.latency.at(0.99),
            );
            sheet.add(
                &format!("{name}: reads that failed"),
                "",
                reads.failed as f64,
            );
            sheet.add(
                &format!("{name}: upgrades told to come later"),
                "",
                tally.refused as f64,
            );
            sheet.add(
                &format!("{name}: connections that failed"),
                "",
                tally.lost as f64,
            );
            sheet.add(&format!("{name}: edge CPU"), "s", cpu.as_secs_f64());
        }
    }
    Ok(sheet)
}

async fn reads(
    scene: &Scene,
    storm: &Storm,
    time: Duration,
) -> Result<super::requests::Outcome, Failure> {
    let load = Load::player(scene, READERS, 100);
    load.run(Pace::Each(Duration::from_secs_f64(1.0 / storm.reads)), time)
        .await
}
