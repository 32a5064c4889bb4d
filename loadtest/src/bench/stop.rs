//! Everything is stopped at once: how long until nothing is shown at the last game server. From the request, since that
//! is when whoever stops begins to wait.

use std::sync::Arc;

use super::changes::{Fate, populate};
use super::scene::Scene;
use super::sheet::Sheet;
use crate::arguments::bench::Stop;
use crate::failure::Failure;
use crate::limits;
use crate::receivers::{Reach, Receivers};
use crate::rest::Suspend;
use crate::spread::Spread;

/// Runs it.
pub(super) async fn run(stop: &Stop) -> Result<Sheet, Failure> {
    let scene = Arc::new(Scene::of(&stop.measured).await?);
    populate(&scene, stop.events, Fate::Live).await?;
    let receivers = Receivers::opened(scene.receivers(stop.servers)).await?;
    let mut sheet = Sheet::new(format!(
        "stop: {} stops of all {} active events at {} game servers",
        stop.stops, stop.events, stop.servers
    ));
    for _ in 0..stop.measured.runs {
        let (mut answered, mut last) = (Spread::default(), Spread::default());
        for _ in 0..stop.stops {
            let asked = crate::clock::now().as_microsecond();
            let reach = carry_out(&scene, &receivers, Suspend::Stop, &mut answered).await?;
            last.record(u64::try_from(reach.last - asked).unwrap_or(0));
            carry_out(&scene, &receivers, Suspend::Resume, &mut Spread::default()).await?;
        }
        sheet.add("request to the answer, p50", "ms", answered.at(0.5));
        sheet.add("request to the last game server, p50", "ms", last.at(0.5));
        sheet.add("request to the last game server, p99", "ms", last.at(0.99));
        sheet.add("request to the last game server, longest", "ms", last.max());
    }
    Ok(sheet)
}

/// Waits until all receivers have it.
async fn carry_out(
    scene: &Scene,
    receivers: &Receivers,
    what: Suspend,
    answered: &mut Spread,
) -> Result<Reach, Failure> {
    receivers.forget();
    let asked = std::time::Instant::now();
    let changed = scene.rest.suspend_all(what, "measured").await?;
    answered.record(u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX));
    let version = changed.regions.get(&scene.region).map(|version| version.0);
    let version = version
        .ok_or_else(|| Failure::Wrong(vec!["nothing was there to stop or resume".to_owned()]))?;
    let tally = receivers.wait_for_version(version, limits::ARRIVAL).await?;
    Ok(tally.versions.get(&version).copied().unwrap_or_default())
}
