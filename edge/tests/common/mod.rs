//! What the tests work with: a real edge in this process, a scripted origin that speaks the real protocol over real
//! QUIC, real WebSockets, and Redis from `deploy/services`.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "shared between test crates; each uses a part"
)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

pub mod crowd;
pub mod edge;
pub mod game_server;
pub mod history;
pub mod identity;
pub mod origin;
pub mod proxy;
pub mod redis;
pub mod timetable;
pub mod world;

use std::future::Future;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use liveevents_service::clock::ManualClock;

/// Longer than any step takes on the slowest machine.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Waits for something, and not for ever.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// Asks until there is an answer; the test goes on at the first one.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < LIMIT, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// When tests begin: everybody's clock shows this until somebody moves it.
pub fn start() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().unwrap()
}

/// A clock at the start.
pub fn clock() -> ManualClock {
    ManualClock::new(start())
}

/// The Redis that the test command provides.
pub fn redis_url() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests have no other configuration"
    )]
    std::env::var("REDIS_URL").expect("REDIS_URL is not set: run the tests by `make test`")
}
