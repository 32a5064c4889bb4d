//! Many reports a second: how soon they are counted and shown, what they cost, and whether the sums are right in the end.

mod mix;
mod probe;
mod reporter;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use liveevents_client::Observer;
use liveevents_protocol::id::EventId;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::changes::{Fate, join, populate};
use super::machine::Machine;
use super::process::Busy;
use super::scene::Scene;
use super::sheet::{Bound, Sheet};
use crate::arguments::bench::Reports;
use crate::failure::Failure;
use crate::fleet::{self, GameServer};
use crate::spread::Spread;
use mix::{Counts, Mix};
use reporter::Reporter;

/// Runs it.
pub(super) async fn run(reports: &Reports) -> Result<Sheet, Failure> {
    let scene = Arc::new(Scene::of(&reports.measured).await?);
    let machine = Machine::of(&reports.measured, &reports.processes);
    let events = populate(&scene, reports.events, Fate::Live).await?;
    let mix = Arc::new(Mix {
        events,
        players: reports.players.into(),
    });
    let servers = fleet_of(reports, &scene, reports.servers).await?;
    let mut reporters: Vec<Reporter> = (0..)
        .zip(servers)
        .map(|(number, server)| {
            let of = u64::from(reports.servers);
            Reporter::new(server, &mix, number, of, reports.rate)
        })
        .collect();
    let time = Duration::from_secs(reports.seconds.into());
    let mut sheet = Sheet::new(format!(
        "reports: {} a second of {} events and {} players by {} game servers at {} edges, for {} s",
        reports.rate,
        reports.events,
        reports.players,
        reports.servers,
        reports.measured.target.edges.len(),
        reports.seconds
    ));
    let mut told = BTreeMap::new();
    for _ in 0..reports.measured.runs {
        let probed = populate(&scene, 1, Fate::Live).await?;
        let server = fleet_of(reports, &scene, 1).await?;
        let (Some(event), Some(server)) = (probed.first(), server.first()) else {
            return Err(Failure::Wrong(vec!["there is nothing to probe".to_owned()]));
        };
        let (busy, since, begun) = (Busy::start()?, machine.since()?, Instant::now());
        let mut running = JoinSet::new();
        for mut reporter in reporters.drain(..) {
            running.spawn(async move {
                let ran = reporter.run(time).await?;
                Ok((reporter, ran))
            });
        }
        let probed = probe::run(&scene, event, server, time).await?;
        let mut counted = Spread::default();
        let mut reported = 0;
        for (reporter, ran) in join(running).await? {
            reporters.push(reporter);
            counted.add(&ran.counted);
            reported += ran.reported;
            for (event, counts) in ran.counts {
                *told.entry(event).or_insert_with(Counts::default) += counts;
            }
        }
        let elapsed = begun.elapsed();
        let target = Bound::AtMost(1_000.0);
        sheet.judge("report to shown, p99", "ms", target, probed.shown.at(0.99));
        sheet.add("report to shown, p50", "ms", probed.shown.at(0.5));
        sheet.add("report to shown, longest", "ms", probed.shown.max());
        sheet.add("report to counted, p50", "ms", counted.at(0.5));
        sheet.add("report to counted, p99", "ms", counted.at(0.99));
        sheet.add("report to counted, longest", "ms", counted.max());
        sheet.add("answer of metrics, p50", "ms", probed.answers.at(0.5));
        let rate = reported as f64 / elapsed.as_secs_f64();
        sheet.add("reports counted", "a second", rate);
        since.cores(&mut sheet)?;
        sheet.add("cores busy", "%", busy.percent()?);
        let off = off(&scene, &told).await?;
        sheet.judge("counts that are off", "", Bound::AtMost(0.0), off as f64);
    }
    Ok(sheet)
}

/// Game servers that hold their region.
async fn fleet_of(
    reports: &Reports,
    scene: &Scene,
    count: u32,
) -> Result<Vec<GameServer>, Failure> {
    let places = fleet::places(&reports.measured.target.edges);
    let place = places.iter().find(|place| place.region == scene.region);
    let mut servers = Vec::new();
    for (number, place) in (0..count).zip(place.into_iter().cycle()) {
        let name = format!("{}/{number}", place.region);
        let observer = Observer::new(|_| {});
        servers.push(fleet::start(place, name, &scene.token, observer)?);
    }
    fleet::ready(&servers).await?;
    Ok(servers)
}

/// How many counts of these events, all together, are not what was reported since the beginning.
async fn off(scene: &Scene, told: &BTreeMap<EventId, Counts>) -> Result<u64, Failure> {
    let mut off = 0;
    for (event, counts) in told {
        let shown = scene.rest.metrics(event, "window=PT6H").await?;
        off += Counts::of(&shown).off(counts);
    }
    Ok(off)
}
