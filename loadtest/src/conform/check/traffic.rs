//! Rules about messages on a connection that lasts.

use super::super::stage::Stage;
use super::super::{Unmet, script};
use crate::limits;
use tokio::time::Instant;

pub(super) async fn upgrade(stage: &mut Stage) -> Result<String, Unmet> {
    let session = stage.upgraded().await?;
    stage.keep(session);
    Ok("upgraded".to_owned())
}

pub(super) async fn hello(stage: &mut Stage) -> Result<String, Unmet> {
    let session = stage.said_hello().await?;
    let member = |name: &str| session.hello.get(name).map(ToString::to_string);
    let seen = format!(
        "level {}, region {}, position {}",
        member("level").unwrap_or_default(),
        member("region").unwrap_or_default(),
        member("position").unwrap_or_else(|| "none".to_owned()),
    );
    stage.keep(session);
    Ok(seen)
}

pub(super) async fn first_sync(stage: &mut Stage) -> Result<String, Unmet> {
    stage.begins().await?;
    acked(stage)
}

pub(super) async fn change(stage: &mut Stage) -> Result<String, Unmet> {
    stage.advance().await?;
    stage.advance().await?;
    acked(stage)
}

pub(super) async fn merged(stage: &mut Stage) -> Result<String, Unmet> {
    let held = stage.held()?;
    let delta = script::delta(held, held.version + 4);
    stage.session()?.send(&delta).await?;
    stage.goes_to(held.plus(4)).await?;
    let empty = script::delta_of(held.plus(4), held.version + 300, Vec::new());
    stage.session()?.send(&empty).await?;
    stage.goes_to(held.plus(300)).await?;
    acked(stage)
}

pub(super) async fn unknown(stage: &mut Stage) -> Result<String, Unmet> {
    let held = stage.held()?;
    let message = if stage.is_watching() {
        script::newer_player(&stage.a_player()?, held.plus(1))
    } else {
        script::newer_delta(held, held.version + 1)
    };
    let session = stage.session()?;
    session.send(&script::unknown()).await?;
    session.send(&message).await?;
    stage.goes_to(held.plus(1)).await?;
    stage.advance().await?;
    acked(stage)
}

pub(super) async fn notices(stage: &mut Stage) -> Result<String, Unmet> {
    let held = stage.held()?;
    let session = stage.session()?;
    for message in [
        script::notice("activated", held),
        script::notice("deactivated", held),
        script::contact(true),
        script::contact(false),
        script::refused(),
    ] {
        session.send(&message).await?;
    }
    session.stays(Some(held)).await?;
    stage.advance().await?;
    acked(stage)
}

pub(super) async fn removals(stage: &mut Stage) -> Result<String, Unmet> {
    let held = stage.held()?;
    let message = if stage.is_watching() {
        script::no_events(&stage.a_player()?, held.plus(1))
    } else {
        script::removals(held, held.version + 1)
    };
    stage.session()?.send(&message).await?;
    stage.goes_to(held.plus(1)).await?;
    acked(stage)
}

pub(super) async fn fragments(stage: &mut Stage) -> Result<String, Unmet> {
    let held = stage.held()?;
    let message = if stage.is_watching() {
        script::player(&stage.a_player()?, held.plus(1), "conform-a", 4_000)
    } else {
        script::large_delta(held, held.version + 1, 4_000)
    };
    stage.session()?.send_in_fragments(&message).await?;
    stage.goes_to(held.plus(1)).await?;
    acked(stage)
}

pub(super) async fn large(stage: &mut Stage) -> Result<String, Unmet> {
    let held = stage.held()?;
    let message = if stage.is_watching() {
        let player = stage.a_player()?;
        script::player(&player, held.plus(1), "conform-a", limits::CONFORM_LARGE)
    } else {
        script::large_delta(held, held.version + 1, limits::CONFORM_LARGE)
    };
    stage.session()?.send(&message).await?;
    stage.goes_to(held.plus(1)).await?;
    acked(stage)
}

pub(super) async fn ping(stage: &mut Stage) -> Result<String, Unmet> {
    let held = stage.held()?;
    let session = stage.session()?;
    for payload in [b"one".as_slice(), b"", b"a third one, of some length"] {
        session.ping(payload, Some(held)).await?;
    }
    Ok("three pongs".to_owned())
}

/// The interval counts from one ack to the next: a burst of changes sees the first acked at once, perhaps another
/// at the end of each interval that it lasts, and the newest.
pub(super) async fn ack_interval(stage: &mut Stage) -> Result<String, Unmet> {
    stage.cut();
    let (session, _) = stage.comes_back(Instant::now()).await?;
    stage
        .resumed(session, limits::CONFORM_LONG_INTERVAL)
        .await?;
    let held = stage.held()?;
    let started = Instant::now();
    for step in 0..limits::CONFORM_BURST {
        let from = held.plus(step);
        let message = if stage.is_watching() {
            script::current(from.plus(1))
        } else {
            script::delta(from, from.version + 1)
        };
        stage.session()?.send(&message).await?;
    }
    let target = held.plus(limits::CONFORM_BURST);
    let acks = stage.session()?.acked(target, Some(held)).await?;
    stage.reached(target);
    let intervals = started
        .elapsed()
        .as_millis()
        .div_ceil(limits::CONFORM_LONG_INTERVAL.as_millis());
    let allowed = usize::try_from(intervals)
        .unwrap_or(usize::MAX)
        .saturating_add(1);
    let seen = format!(
        "{} acks for {} changes in {:?}",
        acks.len(),
        limits::CONFORM_BURST,
        started.elapsed()
    );
    // Back to the short interval, for what follows.
    stage.cut();
    if acks.len() > allowed {
        return Err(Unmet(seen));
    }
    stage.returns(Instant::now()).await?;
    Ok(seen)
}

fn acked(stage: &Stage) -> Result<String, Unmet> {
    Ok(format!("acked {}", stage.held()?))
}
