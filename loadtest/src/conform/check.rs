//! How each rule is tried. Each begins with a client that has acked a state, and ends with one, or with what it
//! did instead.

mod leaving;
mod order;
mod traffic;

use super::Unmet;
use super::rule::Rule;
use super::stage::Stage;

/// Tries a rule; tells what was seen.
pub(super) async fn check(rule: Rule, stage: &mut Stage) -> Result<String, Unmet> {
    match rule {
        Rule::Upgrade => traffic::upgrade(stage).await,
        Rule::Hello => traffic::hello(stage).await,
        Rule::FirstSync => traffic::first_sync(stage).await,
        Rule::Change => traffic::change(stage).await,
        Rule::Merged => traffic::merged(stage).await,
        Rule::Unknown => traffic::unknown(stage).await,
        Rule::Notices => traffic::notices(stage).await,
        Rule::Removals => traffic::removals(stage).await,
        Rule::Fragments => traffic::fragments(stage).await,
        Rule::Large => traffic::large(stage).await,
        Rule::Ping => traffic::ping(stage).await,
        Rule::AckInterval => traffic::ack_interval(stage).await,
        Rule::Resume => order::resume(stage).await,
        Rule::Gap => order::gap(stage).await,
        Rule::NeverBack => order::never_back(stage).await,
        Rule::Ahead => order::ahead(stage).await,
        Rule::Epoch => order::epoch(stage).await,
        Rule::EarlierEpoch => order::earlier_epoch(stage).await,
        Rule::LaterDelta => order::later_delta(stage).await,
        Rule::Goaway => leaving::goaway(stage).await,
        Rule::GoawayClosed => leaving::goaway_closed(stage).await,
        Rule::RetryAfter => leaving::retry_after(stage).await,
        Rule::BackOff => leaving::back_off(stage).await,
        Rule::UnknownCode => leaving::unknown_code(stage).await,
        Rule::TokenExpiring => leaving::token_expiring(stage).await,
        Rule::Unauthorized => leaving::unauthorized(stage).await,
        Rule::TokenExpired => leaving::token_expired(stage).await,
        Rule::Fix => leaving::fix(stage).await,
        Rule::RateLimited => leaving::rate_limited(stage).await,
    }
}
