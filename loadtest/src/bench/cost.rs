//! What a change costs an edge, with few and with many events that are active or only stored.

use std::sync::Arc;

use super::changes::{Dial, Fate, populate};
use super::scene::Scene;
use super::sheet::{Bound, Sheet};
use crate::arguments::bench::Cost;
use crate::failure::Failure;
use crate::limits;
use crate::receivers::Receivers;

/// What a change cost in one run.
struct Measured {
    micros: f64,
    p50: f64,
}

/// Runs it.
pub(super) async fn run(cost: &Cost) -> Result<Sheet, Failure> {
    let scene = Arc::new(Scene::of(&cost.measured).await?);
    let dial = Dial::create(&scene).await?;
    let mut sheet = Sheet::new(format!(
        "cost: {} changes at {}/s to {} game servers",
        cost.changes, cost.rate, cost.servers
    ));
    let mut active = 1;
    let mut least = None;
    for &events in &cost.events {
        populate(&scene, events.saturating_sub(active), Fate::Live).await?;
        active = active.max(events);
        measure(
            cost,
            &scene,
            &dial,
            &format!("{events} active"),
            &mut least,
            &mut sheet,
        )
        .await?;
    }
    populate(&scene, cost.stored, Fate::Stored).await?;
    let name = format!("{active} active, {} stored", cost.stored);
    measure(cost, &scene, &dial, &name, &mut least, &mut sheet).await?;
    Ok(sheet)
}

/// `least` is what the first row came to, against which the others are held.
async fn measure(
    cost: &Cost,
    scene: &Scene,
    dial: &Dial,
    name: &str,
    least: &mut Option<f64>,
    sheet: &mut Sheet,
) -> Result<(), Failure> {
    let receivers = Receivers::opened(scene.receivers(cost.servers)).await?;
    let mut all = Vec::new();
    for _ in 0..cost.measured.runs {
        let Measured { micros, p50 } = once(cost, scene, dial, &receivers).await?;
        sheet.add(&format!("{name}: edge CPU of a change"), "us", micros);
        sheet.add(&format!("{name}: commit to each, p50"), "ms", p50);
        all.push(micros);
    }
    let mean = all.iter().sum::<f64>() / all.len().max(1) as f64;
    match least {
        None => *least = Some(mean),
        // The kernel counts in hundredths of a second, and other work shares the machine.
        Some(least) => {
            let ratio = mean / least.max(1.0);
            sheet.judge(
                &format!("{name}: edge CPU"),
                "of the first",
                Bound::AtMost(1.2),
                ratio,
            );
        }
    }
    Ok(())
}

async fn once(
    cost: &Cost,
    scene: &Scene,
    dial: &Dial,
    receivers: &Receivers,
) -> Result<Measured, Failure> {
    receivers.forget();
    let before = scene.edge.cpu()?;
    let last = dial.turn_at(scene, cost.changes, cost.rate).await?;
    let tally = receivers.wait_for_version(last, limits::ARRIVAL).await?;
    let cpu = scene.edge.cpu()? - before;
    Ok(Measured {
        micros: cpu.as_secs_f64() * 1e6 / f64::from(cost.changes),
        p50: tally.since_commit.at(0.5),
    })
}
