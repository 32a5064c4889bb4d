//! The whole system under test: real processes, a database of their own, and what tests ask of them.
//!
//! `make test` builds the binaries and provides `DATABASE_URL`, `REDIS_URL` and `TEST_PG_BIN`.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its part of the harness"
)]

pub mod cluster;
pub mod database;
pub mod game_server;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod redis_server;
pub mod rest;
pub mod server;

use std::future::Future;
use std::time::{Duration, Instant};

/// A time by which everything here has happened, on the slowest machine.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Asks until there is an answer. Asking again soon is not waiting for a time to pass: the test goes on at
/// the first answer, and fails at the limit with what it waited for.
pub async fn eventually<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(
            start.elapsed() < LIMIT,
            "in {LIMIT:?} it did not happen that {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A variable that the test command sets.
pub fn variable(name: &str) -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests have no other configuration"
    )]
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run the tests by `make test`"))
}

/// A name that no other test has.
pub fn unique(prefix: &str) -> String {
    format!(
        "{prefix}-{}",
        &uuid::Uuid::new_v4().simple().to_string()[..12]
    )
}

/// The value of a server's metric, named with its label if it has one; 0 if it was never moved.
pub async fn metric(base: &str, name: &str) -> f64 {
    let text = reqwest::get(format!("{base}/metrics"))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let name = format!("liveevents_{name} ");
    let value = text.lines().find_map(|line| line.strip_prefix(&name));
    value.map_or(0.0, |value| value.parse().unwrap())
}

/// A seed for a randomised test, printed so that a failure can be repeated by `TEST_SEED=…`.
pub fn seed() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests have no other configuration"
    )]
    let given = std::env::var("TEST_SEED")
        .ok()
        .map(|seed| seed.parse().unwrap());
    let seed = given.unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
    println!("TEST_SEED={seed}");
    seed
}

/// A small generator for tests: SplitMix64 (Steele, Lea, Flood, 2014).
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
