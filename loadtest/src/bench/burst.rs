//! Many changes as fast as the origin takes them. What counts is how long after the last of them every game server is
//! current: whoever is behind skips what it missed.

use std::sync::Arc;
use std::time::Instant;

use super::changes::{Dial, turn_fast};
use super::scene::Scene;
use super::sheet::{Bound, Sheet};
use crate::arguments::bench::Burst;
use crate::failure::Failure;
use crate::limits;
use crate::receivers::Receivers;

/// Runs it.
pub(super) async fn run(burst: &Burst) -> Result<Sheet, Failure> {
    let scene = Arc::new(Scene::of(&burst.measured).await?);
    let mut dials = Vec::new();
    for _ in 0..burst.callers {
        dials.push(Dial::create(&scene).await?);
    }
    let receivers = Receivers::opened(scene.receivers(burst.servers)).await?;
    let mut sheet = Sheet::new(format!(
        "burst: {} changes from {} callers to {} game servers",
        burst.changes, burst.callers, burst.servers
    ));
    for _ in 0..burst.measured.runs {
        receivers.forget();
        let before = scene.edge.cpu()?;
        let start = Instant::now();
        let last = turn_fast(&scene, &dials, burst.changes).await?;
        let rate = f64::from(burst.changes) / start.elapsed().as_secs_f64();
        let tally = receivers.wait_for_version(last, limits::ARRIVAL).await?;
        let cpu = scene.edge.cpu()? - before;
        let reach = tally.versions.get(&last).copied().unwrap_or_default();
        let after =
            |moment: Option<i64>| moment.map(|moment| (reach.last - moment) as f64 / 1_000.0);
        if let Some(millis) = after(reach.time) {
            sheet.judge(
                "last change at the edge to all current",
                "ms",
                Bound::AtMost(100.0),
                millis,
            );
        }
        if let Some(millis) = after(reach.committed) {
            sheet.add("last commit to all current", "ms", millis);
        }
        sheet.add("changes a second", "1/s", rate);
        let each = tally.deliveries as f64 / receivers.count() as f64;
        sheet.add("messages to each game server", "", each);
        sheet.add("edge CPU", "s", cpu.as_secs_f64());
    }
    Ok(sheet)
}
