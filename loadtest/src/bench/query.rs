//! Player reads over HTTP against a static file of 1 KB from nginx, by the same readers: each as fast as it goes, then the
//! edge's at half its own rate, alone and during a fan-out wave.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::changes::{Dial, Fate, populate};
use super::process::{Busy, Process};
use super::requests::{Load, Outcome, Pace};
use super::scene::Scene;
use super::sheet::{Bound, Sheet};
use crate::arguments::bench::Query;
use crate::failure::Failure;
use crate::limits;
use crate::receivers::Receivers;

/// Players that are asked for: with fewer, the limit of reads for each would be met.
const PLAYERS: usize = 1_000;

/// Changes a second of the wave.
const WAVE: f64 = 20.0;

/// Runs it.
pub(super) async fn run(query: &Query) -> Result<Sheet, Failure> {
    let scene = Arc::new(Scene::of(&query.measured).await?);
    populate(&scene, query.matching, Fate::Live).await?;
    populate(
        &scene,
        query.events.saturating_sub(query.matching),
        Fate::Hardly,
    )
    .await?;
    let players = matching(&scene, query).await?;
    let connections = query.connections as usize;
    let edge = Load::players(&scene, connections, players.into_iter());
    let nginx = Load::file(address(query)?, connections);
    let time = Duration::from_secs(query.seconds.into());
    let mut sheet = Sheet::new(format!(
        "query: {} active events of which {} match, {} connections",
        query.events, query.matching, query.connections
    ));
    for _ in 0..query.measured.runs {
        let (file, file_rate) = full(&nginx, Process(query.nginx_pid), time).await?;
        let (read, read_rate) = full(&edge, scene.edge, time).await?;
        let ratio = read_rate / file_rate;
        sheet.judge(
            "requests per CPU-second",
            "of nginx's",
            Bound::AtLeast(0.9),
            ratio,
        );
        sheet.add("nginx: requests per CPU-second", "1/s", file_rate);
        sheet.add("edge: requests per CPU-second", "1/s", read_rate);
        sheet.add("nginx: requests a second", "1/s", file.rate());
        sheet.add("edge: requests a second", "1/s", read.rate());
        sheet.add("nginx: bytes of an answer", "B", size(&file));
        sheet.add("edge: bytes of an answer", "B", size(&read));

        let half = Pace::Each(Duration::from_secs_f64(2.0 / read.rate()));
        let busy = Busy::start()?;
        let file_half = nginx.run(half, time).await?;
        sheet.add("nginx at that rate: p50", "ms", file_half.latency.at(0.5));
        sheet.add("nginx at that rate: p99", "ms", file_half.latency.at(0.99));
        sheet.add("nginx at that rate: cores busy", "%", busy.percent()?);
        let busy = Busy::start()?;
        let alone = edge.run(half, time).await?;
        sheet.add("half load: cores busy", "%", busy.percent()?);
        sheet.judge(
            "half load: p99",
            "ms",
            Bound::AtMost(1.0),
            alone.latency.at(0.99),
        );
        sheet.add("half load: p50", "ms", alone.latency.at(0.5));
        let busy = Busy::start()?;
        let wave = during_a_wave(query, &scene, &edge, half, time).await?;
        sheet.judge(
            "half load and a wave: p99",
            "ms",
            Bound::AtMost(1.0),
            wave.latency.at(0.99),
        );
        sheet.add("half load and a wave: p50", "ms", wave.latency.at(0.5));
        sheet.add("half load and a wave: cores busy", "%", busy.percent()?);
        let failed = [&file, &read, &file_half, &alone, &wave].map(|outcome| outcome.failed);
        sheet.judge(
            "answers that failed",
            "",
            Bound::AtMost(0.0),
            failed.iter().sum::<u64>() as f64,
        );
    }
    Ok(sheet)
}

/// As fast as it goes; what came of it, and answers per CPU-second of the server.
async fn full(load: &Load, server: Process, time: Duration) -> Result<(Outcome, f64), Failure> {
    let before = server.cpu()?;
    let outcome = load.run(Pace::Full, time).await?;
    let cpu = server.cpu()? - before;
    let rate = outcome.answers as f64 / cpu.as_secs_f64().max(0.01);
    Ok((outcome, rate))
}

async fn during_a_wave(
    query: &Query,
    scene: &Scene,
    edge: &Load,
    pace: Pace,
    time: Duration,
) -> Result<Outcome, Failure> {
    let dial = Dial::create(scene).await?;
    let receivers = Receivers::opened(scene.receivers(query.servers)).await?;
    let changes = (time.as_secs_f64() * WAVE) as u32;
    let (last, outcome) = tokio::join!(dial.turn_at(scene, changes, WAVE), edge.run(pace, time));
    receivers.wait_for_version(last?, limits::ARRIVAL).await?;
    outcome
}

/// Players who are shown just as many events as are to match.
async fn matching(scene: &Scene, query: &Query) -> Result<Vec<String>, Failure> {
    let edge = query.measured.target.edges.first().map(|edge| &edge.http);
    let Some(edge) = edge.map(|edge| scene.rest.at(edge)) else {
        return Ok(Vec::new());
    };
    let deadline = tokio::time::Instant::now() + limits::ARRIVAL;
    loop {
        let mut found = Vec::new();
        for number in 0..PLAYERS * 2 {
            let player = format!("player-{number}");
            if edge.shown(&player, &scene.region).await?.len() == query.matching as usize {
                found.push(player);
            }
        }
        if found.len() >= PLAYERS {
            return Ok(found);
        }
        if tokio::time::Instant::now() > deadline {
            let what = format!(
                "not {} events are shown to {PLAYERS} players",
                query.matching
            );
            return Err(Failure::Wrong(vec![what]));
        }
    }
}

fn address(query: &Query) -> Result<SocketAddr, Failure> {
    let base = query.nginx.to_string();
    let host = base.trim_start_matches("http://");
    host.parse()
        .map_err(|_| Failure::Wrong(vec![format!("{base} must be http://ADDRESS:PORT")]))
}

fn size(outcome: &Outcome) -> f64 {
    outcome.bytes as f64 / outcome.answers.max(1) as f64
}
