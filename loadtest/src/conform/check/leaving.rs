//! Rules about leaving and coming back: delays, refusals, close codes, tokens.

use std::time::Duration;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::http::StatusCode;

use super::super::session::Session;
use super::super::stage::Stage;
use super::super::{Unmet, script};
use crate::limits;

pub(super) async fn goaway(stage: &mut Stage) -> Result<String, Unmet> {
    stage.advance().await?;
    let since = Instant::now();
    let goaway = script::goaway(delay_ms());
    stage.session()?.send(&goaway).await?;
    // Until it leaves it is served.
    stage.advance().await?;
    let after = stage.returns(since).await?;
    not_before(after)?;
    Ok(format!("back after {after:?}"))
}

pub(super) async fn goaway_closed(stage: &mut Stage) -> Result<String, Unmet> {
    stage.advance().await?;
    let since = Instant::now();
    let mut session = stage.take_session()?;
    session.send(&script::goaway(delay_ms())).await?;
    session.close(4000, "going-away").await?;
    let after = stage.returns(since).await?;
    not_before(after)?;
    Ok(format!("back after {after:?}"))
}

pub(super) async fn retry_after(stage: &mut Stage) -> Result<String, Unmet> {
    stage.advance().await?;
    stage.cut();
    let seconds = limits::CONFORM_DELAY.as_secs();
    let refused = stage
        .refuse(StatusCode::SERVICE_UNAVAILABLE, Some(seconds))
        .await?;
    let after = stage.returns(refused.at).await?;
    not_before(after)?;
    Ok(format!("back after {after:?}"))
}

pub(super) async fn back_off(stage: &mut Stage) -> Result<String, Unmet> {
    stage.advance().await?;
    let mut session = stage.take_session()?;
    let mut pauses = Vec::new();
    for _ in 0..limits::CONFORM_FAILURES {
        close_with_error(session, (4500, "internal")).await?;
        let closed = Instant::now();
        let (next, after) = stage.comes_back(closed).await?;
        pauses.push(after);
        session = next;
    }
    stage.resumed(session, limits::CONFORM_ACK_INTERVAL).await?;
    stage.advance().await?;
    let total: Duration = pauses.iter().sum();
    let seen = format!("pauses of {pauses:?}");
    if total < limits::CONFORM_PAUSES {
        return Err(Unmet(format!("{seen}: it does not back off")));
    }
    Ok(seen)
}

pub(super) async fn unknown_code(stage: &mut Stage) -> Result<String, Unmet> {
    stage.advance().await?;
    let session = stage.take_session()?;
    session.close(4999, "eclipsed").await?;
    let after = stage.returns(Instant::now()).await?;
    stage.advance().await?;
    Ok(format!("back after {after:?}"))
}

pub(super) async fn token_expiring(stage: &mut Stage) -> Result<String, Unmet> {
    let held = stage.held()?;
    let session = stage.session()?;
    session.send(&script::token_expiring()).await?;
    let message = session.wanted("token", Some(held)).await?;
    let token = message.get("token").and_then(|token| token.as_str());
    if token.is_none_or(str::is_empty) {
        return Err(Unmet("a token message without a token".to_owned()));
    }
    let is_new = token != Some(session.token.as_str());
    session.send(&script::token_renewed()).await?;
    stage.advance().await?;
    Ok(match is_new {
        true => "another token".to_owned(),
        false => "the same token again".to_owned(),
    })
}

pub(super) async fn unauthorized(stage: &mut Stage) -> Result<String, Unmet> {
    stage.cut();
    let refused = stage.refuse(StatusCode::UNAUTHORIZED, None).await?;
    another_token_or_rest(stage, &refused.token, refused.at).await
}

pub(super) async fn token_expired(stage: &mut Stage) -> Result<String, Unmet> {
    let session = stage.take_session()?;
    let token = session.token.clone();
    close_with_error(session, (4011, "token-expired")).await?;
    another_token_or_rest(stage, &token, Instant::now()).await
}

pub(super) async fn fix(stage: &mut Stage) -> Result<String, Unmet> {
    let session = stage.take_session()?;
    close_with_error(session, (4002, "malformed")).await?;
    rests(stage, Instant::now()).await
}

pub(super) async fn rate_limited(stage: &mut Stage) -> Result<String, Unmet> {
    let session = stage.take_session()?;
    close_with_error(session, (4006, "rate-limited")).await?;
    rests(stage, Instant::now()).await
}

async fn another_token_or_rest(
    stage: &mut Stage,
    token: &str,
    since: Instant,
) -> Result<String, Unmet> {
    let quiet = stage.settings.quiet;
    let Some(at) = stage.connects(since + quiet).await? else {
        return Ok(format!("stayed away for {quiet:?}"));
    };
    let after = at.saturating_duration_since(since);
    if stage.kept_token() == Some(token) {
        return Err(Unmet(format!("came with the same token after {after:?}")));
    }
    Ok(format!("came with another token after {after:?}"))
}

async fn rests(stage: &mut Stage, since: Instant) -> Result<String, Unmet> {
    let quiet = stage.settings.quiet;
    match stage.connects(since + quiet).await? {
        Some(at) => Err(Unmet(format!(
            "came again after {:?}",
            at.saturating_duration_since(since)
        ))),
        None => Ok(format!("stayed away for {quiet:?}")),
    }
}

/// As an edge does: says why in a message first.
async fn close_with_error(mut session: Session, (code, reason): (u16, &str)) -> Result<(), Unmet> {
    session.send(&script::error(reason)).await?;
    session.close(code, reason).await
}

fn not_before(after: Duration) -> Result<(), Unmet> {
    if after < limits::CONFORM_DELAY {
        return Err(Unmet(format!("back already after {after:?}")));
    }
    Ok(())
}

fn delay_ms() -> u64 {
    u64::try_from(limits::CONFORM_DELAY.as_millis()).unwrap_or(u64::MAX)
}
