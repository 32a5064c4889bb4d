//! What an idle game server costs an edge in memory: its resident memory with all of them connected, served and pinged,
//! less that before.
//!
//! An allocator keeps what it once had, so every run after the first shows what more it took, which is nothing. There is
//! one run on an edge that has served nobody yet.

use std::sync::Arc;
use std::time::Duration;

use super::changes::Dial;
use super::scene::Scene;
use super::sheet::{Bound, Sheet};
use crate::arguments::bench::Idle;
use crate::failure::Failure;
use crate::limits;
use crate::receivers::Receivers;

/// Runs it.
pub(super) async fn run(idle: &Idle) -> Result<Sheet, Failure> {
    let scene = Arc::new(Scene::of(&idle.measured).await?);
    let dial = Dial::create(&scene).await?;
    let mut plan = scene.receivers(idle.servers);
    plan.address = idle.through.unwrap_or(plan.address);
    let mut sheet = Sheet::new(format!("idle: {} game servers", idle.servers));
    let before = scene.edge.resident()?;
    let receivers = Receivers::opened(plan).await?;
    let opened = scene.edge.resident()?;
    tokio::time::sleep(Duration::from_secs(idle.seconds.into())).await;
    let settled = scene.edge.resident()?;
    let last = dial.turn_at(&scene, 20, 20.0).await?;
    receivers.wait_for_version(last, limits::ARRIVAL).await?;
    let used = scene.edge.resident()?;
    let tally = receivers.tally();
    if tally.lost > 0 {
        let lost = format!("{} of them did not stay idle but were lost", tally.lost);
        return Err(Failure::Wrong(vec![lost]));
    }
    let each = |now: u64| now.saturating_sub(before) as f64 / f64::from(idle.servers) / 1_024.0;
    sheet.judge(
        "memory of each, idle",
        "KiB",
        Bound::AtMost(4.0),
        each(settled),
    );
    sheet.add("memory of each, just opened", "KiB", each(opened));
    sheet.add("memory of each, after 20 changes", "KiB", each(used));
    sheet.add("the edge without them", "MiB", before as f64 / 1_048_576.0);
    Ok(sheet)
}
