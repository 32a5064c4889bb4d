//! Guarantee: the conformance script passes clients that keep the protocol, the reference client among them, and
//! catches each that does not by the rule that it breaks.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

mod simple;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use liveevents_client::{Client, ClientConfig, Timing, Token};
use liveevents_loadtest::conform::{Level, Report, Rule, Settings, conform};
use simple::{Fault, Simple};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// As usual, but for the long waits.
const SETTINGS: Settings = Settings {
    level: None,
    wait: Duration::from_secs(20),
    patience: Duration::from_secs(20),
    quiet: Duration::from_millis(600),
};

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

async fn try_simple(
    level: Level,
    fault: Option<Fault>,
    rules: &[Rule],
    settings: Settings,
) -> Report {
    let (listener, address) = listen().await;
    let mut task = JoinSet::new();
    task.spawn(Simple::new(address, level, fault).run());
    conform(listener, settings, rules, |_| {}).await
}

fn is_good(report: &Report) {
    let rows: Vec<_> = report.rows.iter().map(ToString::to_string).collect();
    assert!(report.is_good(), "{}", rows.join("\n"));
}

#[tokio::test]
async fn the_reference_client_keeps_every_rule() {
    let (listener, address) = listen().await;
    let tokens = AtomicU32::new(0);
    let token =
        Token::provider(move || format!("t0ken-{}", tokens.fetch_add(1, Ordering::Relaxed)));
    let url = format!("ws://{address}").parse().unwrap();
    let mut config = ClientConfig::new("us-east".parse().unwrap(), vec![url], token);
    config.timing = Timing {
        // Half of it at least, so that it is longer than the quiet asked for.
        fix_rest: Duration::from_secs(2),
        ..Timing::default()
    };
    let _client = Client::connect(config).unwrap();
    let report = conform(listener, SETTINGS, &Rule::ALL, |_| {}).await;
    is_good(&report);
    assert_eq!(report.rows.len(), Rule::ALL.len());
}

#[tokio::test]
async fn a_client_of_each_level_that_is_written_by_the_book_keeps_every_rule() {
    let mut tries = JoinSet::new();
    for level in [Level::Watch, Level::Local] {
        tries.spawn(async move { try_simple(level, None, &Rule::ALL, SETTINGS).await });
    }
    for report in tries.join_all().await {
        is_good(&report);
    }
}

#[tokio::test]
async fn each_fault_breaks_its_rule() {
    use Fault::*;
    let table = [
        (NoToken, Level::Region, Rule::Upgrade),
        (NoLevel, Level::Region, Rule::Hello),
        (AcksParts, Level::Region, Rule::FirstSync),
        (AcksParts, Level::Watch, Rule::FirstSync),
        (Deaf, Level::Watch, Rule::Change),
        (SingleSteps, Level::Region, Rule::Merged),
        (Strict, Level::Region, Rule::Unknown),
        (Strict, Level::Watch, Rule::Unknown),
        (StrictAboutTypes, Level::Watch, Rule::Notices),
        (Deaf, Level::Region, Rule::Removals),
        (Deaf, Level::Region, Rule::Fragments),
        (SmallMessages, Level::Watch, Rule::Large),
        (Deaf, Level::Region, Rule::Ping),
        (AcksEach, Level::Region, Rule::AckInterval),
        (AcksEach, Level::Watch, Rule::AckInterval),
        (ForgetsPosition, Level::Region, Rule::Resume),
        (ForgetsPosition, Level::Watch, Rule::Resume),
        (TakesAnything, Level::Region, Rule::Gap),
        (TakesAnything, Level::Region, Rule::NeverBack),
        (TakesAnything, Level::Watch, Rule::NeverBack),
        (ForgetsWhenAhead, Level::Watch, Rule::Ahead),
        (OneEpoch, Level::Watch, Rule::Epoch),
        (TakesAnything, Level::Region, Rule::EarlierEpoch),
        (TakesAnything, Level::Watch, Rule::EarlierEpoch),
        (TakesAnything, Level::Region, Rule::LaterDelta),
        (Impatient, Level::Region, Rule::Goaway),
        (Impatient, Level::Watch, Rule::GoawayClosed),
        (Impatient, Level::Region, Rule::RetryAfter),
        (Impatient, Level::Watch, Rule::BackOff),
        (ForgetsPosition, Level::Region, Rule::UnknownCode),
        (OneToken, Level::Watch, Rule::TokenExpiring),
        (OneToken, Level::Region, Rule::Unauthorized),
        (OneToken, Level::Watch, Rule::TokenExpired),
        (Impatient, Level::Region, Rule::Fix),
        (Impatient, Level::Region, Rule::RateLimited),
    ];
    let mut tries = JoinSet::new();
    for (fault, level, rule) in table {
        tries.spawn(async move {
            let good = try_simple(level, None, &[rule], SETTINGS).await;
            is_good(&good);
            let settings = Settings {
                patience: Duration::from_secs(3),
                ..SETTINGS
            };
            let bad = try_simple(level, Some(fault), &[rule], settings).await;
            bad.is_good()
                .then(|| format!("{fault:?} passes {rule:?} at {level:?}"))
        });
    }
    let passed: Vec<String> = tries.join_all().await.into_iter().flatten().collect();
    assert!(passed.is_empty(), "{}", passed.join("\n"));
    // No rule is without a client that breaks it.
    for rule in Rule::ALL {
        assert!(
            table.iter().any(|&(_, _, broken)| broken == rule),
            "{rule:?}"
        );
    }
}
