//! Rules about what may be taken, and what not: positions, gaps, epochs.

use tokio::time::Instant;
use uuid::Uuid;

use super::super::held::Held;
use super::super::stage::Stage;
use super::super::{Unmet, script};

pub(super) async fn resume(stage: &mut Stage) -> Result<String, Unmet> {
    stage.advance().await?;
    stage.cut();
    let after = stage.returns(Instant::now()).await?;
    stage.advance().await?;
    Ok(format!("back after {after:?}, acked {}", stage.held()?))
}

pub(super) async fn gap(stage: &mut Stage) -> Result<String, Unmet> {
    let held = stage.held()?;
    let beyond = script::delta(held.plus(2), held.version + 3);
    stage.session()?.send(&beyond).await?;
    let after = stage.returns(Instant::now()).await?;
    stage.advance().await?;
    Ok(format!("left, back after {after:?} with {held}"))
}

pub(super) async fn never_back(stage: &mut Stage) -> Result<String, Unmet> {
    stage.advance().await?;
    stage.advance().await?;
    let held = stage.held()?;
    let before = Held {
        version: held.version.saturating_sub(1),
        ..held
    };
    let old = if stage.is_watching() {
        script::current(before)
    } else {
        script::chunk(before, 0, true, "conform-old")
    };
    stage.session()?.send(&old).await?;
    kept(stage).await
}

pub(super) async fn ahead(stage: &mut Stage) -> Result<String, Unmet> {
    stage.advance().await?;
    let held = stage.held()?;
    let behind = Held {
        version: held.version.saturating_sub(1),
        ..held
    };
    stage.session()?.send(&script::ahead(behind)).await?;
    kept(stage).await
}

pub(super) async fn epoch(stage: &mut Stage) -> Result<String, Unmet> {
    stage.new_epoch().await?;
    stage.advance().await?;
    Ok(format!("acked {}", stage.held()?))
}

pub(super) async fn earlier_epoch(stage: &mut Stage) -> Result<String, Unmet> {
    let earlier = Held {
        epoch: stage.held()?.epoch,
        version: 1_000,
    };
    stage.new_epoch().await?;
    let old = if stage.is_watching() {
        script::current(earlier)
    } else {
        script::chunk(earlier, 0, true, "conform-old")
    };
    stage.session()?.send(&old).await?;
    kept(stage).await
}

pub(super) async fn later_delta(stage: &mut Stage) -> Result<String, Unmet> {
    let held = stage.held()?;
    let later = Held {
        epoch: Uuid::now_v7(),
        ..held
    };
    let delta = script::delta(later, later.version + 1);
    stage.session()?.send(&delta).await?;
    let after = stage.returns(Instant::now()).await?;
    stage.advance().await?;
    Ok(format!("left, back after {after:?} with {held}"))
}

/// The client keeps what it holds: it stays and ignores what came, or comes again with its own position.
async fn kept(stage: &mut Stage) -> Result<String, Unmet> {
    let held = stage.held()?;
    let stayed = stage.session()?.leaves(Some(held)).await?.is_none();
    if !stayed {
        stage.cut();
        stage.returns(Instant::now()).await?;
    }
    stage.advance().await?;
    let how = if stayed {
        "stayed at"
    } else {
        "came again with"
    };
    Ok(format!("{how} {held}"))
}
