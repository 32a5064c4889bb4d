//! One game server's purchases, each awaited in what the origin shows of its event.

use std::collections::VecDeque;
use std::time::Duration;

use liveevents_protocol::id::EventId;
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::mix::{purchase, report};
use super::reporter::micros;
use crate::bench::scene::Scene;
use crate::failure::Failure;
use crate::fleet::GameServer;
use crate::limits;
use crate::spread::Spread;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Probed {
    /// From a report until an answer shows it.
    pub(super) shown: Spread,
    /// How long answers took.
    pub(super) answers: Spread,
}

/// Reports for so long, of an event of which nobody else does.
pub(super) async fn run(
    scene: &Scene,
    event: &EventId,
    server: &GameServer,
    time: Duration,
) -> Result<Probed, Failure> {
    let waiting = Mutex::new(VecDeque::new());
    let probes = time.as_millis() / limits::PROBE.as_millis();
    let probes = u64::try_from(probes).unwrap_or(u64::MAX);
    let (told, probed) = tokio::join!(
        tell(event, server, probes, &waiting),
        watch(scene, event, probes, &waiting)
    );
    told?;
    probed
}

async fn tell(
    event: &EventId,
    server: &GameServer,
    probes: u64,
    waiting: &Mutex<VecDeque<Instant>>,
) -> Result<(), Failure> {
    let mut ticks = interval(limits::PROBE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0..probes {
        ticks.tick().await;
        let report = report(event.clone(), format!("player-{number}"), purchase()?);
        waiting.lock().push_back(Instant::now());
        let taken = server.client.report(report);
        taken.map_err(|error| Failure::Wrong(vec![format!("a probe: {error}")]))?;
    }
    Ok(())
}

/// Asks again and again, until all are shown.
async fn watch(
    scene: &Scene,
    event: &EventId,
    probes: u64,
    waiting: &Mutex<VecDeque<Instant>>,
) -> Result<Probed, Failure> {
    let mut probed = Probed::default();
    let mut progress = Instant::now();
    while probed.shown.len() < probes {
        let asked = Instant::now();
        let shown = scene.rest.metrics(event, "window=PT1H").await?;
        probed.answers.record(micros(asked.elapsed()));
        while probed.shown.len() < shown.revenue.purchases {
            let Some(at) = waiting.lock().pop_front() else {
                return Err(Failure::Wrong(vec![
                    "more is shown than reported".to_owned(),
                ]));
            };
            progress = Instant::now();
            probed.shown.record(micros(at.elapsed()));
        }
        if progress.elapsed() > limits::ARRIVAL {
            let what = format!("{} probes of {probes} are shown", probed.shown.len());
            return Err(Failure::Wrong(vec![what]));
        }
        sleep(limits::PROBE_AGAIN).await;
    }
    Ok(probed)
}
