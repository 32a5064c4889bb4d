//! Guarantees 1 to 5, 7 and 9, by trying to break them: an origin, three edges of two regions and game servers, with links
//! that lose, double, reorder, delay, hold and cut, and with any process killed at any moment, while somebody goes on
//! changing what is served.
//!
//! A seed decides the faults, and when: what is printed as `SEED` repeats them. How the processes meet them is theirs, so
//! a failure may take a few repetitions. `make chaos` runs for ten minutes, one round after another.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;

mod changer;
mod model;
mod plan;
mod reporters;
mod scene;
mod watchman;

use std::time::{Duration, Instant};

use changer::Changer;
use common::Random;
use plan::SERVERS;
use scene::{Scene, region};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Faults go on for so long, then everything has to come to rest.
const SEGMENT: Duration = Duration::from_secs(15);

/// A round is a new installation.
const ROUND: Duration = Duration::from_secs(60);

/// Breaks an installation for so long.
async fn round(seed: u64, length: Duration) {
    println!("SEED={seed}, {length:?}");
    let mut random = Random(seed);
    let mut scene = Box::pin(Scene::start(&mut random)).await;
    let mut changer = Changer::new(scene.rest.clone(), Random(random.next())).await;
    scene.open(&mut random).await;
    scene.converges(&changer, None).await;

    let (stop, stopped) = watch::channel(false);
    let mut readers = JoinSet::new();
    let token = scene.rest.token("GameServer", &model::REGIONS).await;
    for (at, edge) in scene.edges.iter().enumerate() {
        let url = format!(
            "{}/api/v1/players/p-1/events?region={}",
            edge.http,
            region(at)
        );
        readers.spawn(watchman::read(
            url,
            token.clone(),
            scene.lives[at].clone(),
            stopped.clone(),
        ));
    }

    let mut left = length;
    while !left.is_zero() {
        let segment = left.min(SEGMENT);
        left -= segment;
        let steps = plan::plan(&mut random, segment);
        let silent = random.below(SERVERS as u64) as usize;
        let (pause, paused) = watch::channel(false);
        let mut changing = JoinSet::new();
        changing.spawn(changer.work(paused));
        scene.suffer(&steps).await;
        scene.calm(silent).await;
        pause.send_replace(true);
        changer = changing.join_next().await.unwrap().unwrap();

        // Guarantee 5: one who takes nothing keeps nobody from what is new.
        changer.certainly().await;
        scene.converges(&changer, Some(silent)).await;
        scene.release(silent);
        scene.converges(&changer, None).await;
        scene.assert_kept(&changer).await;
        scene.assert_counted().await;
    }

    stop.send_replace(true);
    let answers = readers.join_all().await;
    let shown: Vec<_> = scene
        .servers
        .iter()
        .map(|watched| watched.watchman.shown())
        .collect();
    let reported: Vec<_> = scene
        .servers
        .iter()
        .map(|watched| watched.reported)
        .collect();
    println!(
        "SEED={seed}: {} changes answered, {} not; {answers:?} reads; game servers were shown {shown:?} states and \
         reported {reported:?} times",
        changer.answered.len(),
        changer.unanswered
    );
    assert!(
        answers.iter().all(|answers| *answers > 0),
        "an edge was never read from"
    );
}

/// A number that the command gives.
fn given(name: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests have no other configuration"
    )]
    let given = std::env::var(name).ok().filter(|given| !given.is_empty());
    given.map(|given| given.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_round_of_one_schedule() {
    Box::pin(round(1, Duration::from_secs(8))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_round_of_another() {
    Box::pin(round(2, Duration::from_secs(8))).await;
}

/// `CHAOS_SECONDS` of rounds, the first with `CHAOS_SEED`, each with the next.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by make chaos"]
async fn for_a_long_time() {
    let length = Duration::from_secs(given("CHAOS_SECONDS").unwrap_or(600));
    let first = given("CHAOS_SEED").unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0 >> 16);
    let start = Instant::now();
    for seed in first.. {
        let left = length.saturating_sub(start.elapsed());
        if left.is_zero() {
            break;
        }
        // Whole segments, so that the seed repeats the round whatever time was left.
        Box::pin(round(seed, if length < ROUND { length } else { ROUND })).await;
    }
}
