//! Thousands of game servers: a wave to all of them, and all of them coming at once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use std::time::Instant;

use common::crowd::One;
use common::history::{assignment, put};
use common::within;
use common::world::World;
use tokio::task::JoinSet;

/// Of those that run at the same time, about.
const MANY: usize = 2_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_wave_to_thousands_reaches_all_and_reads_are_answered_meanwhile() {
    let mut world = World::new().await;
    let token = world.token();
    let mut crowd = Vec::new();
    for _ in 0..MANY {
        crowd.push(One::connect(world.edge.address, &token).await.unwrap());
    }
    for one in &mut crowd {
        one.until(1).await;
    }
    let last = 20;
    let mut readers = JoinSet::new();
    for mut one in crowd {
        readers.spawn(async move {
            one.until(last).await;
            one
        });
    }
    for _ in 2..=last {
        world.change(vec![assignment("sale", 1).into()]).await;
        let path = "/api/v1/players/p-1/events?region=us-east";
        let (status, body) = world.edge.get(path, &token).await;
        assert_eq!(status, 200, "{body}");
    }
    let mut current = 0;
    while let Some(one) = within("everybody to be current", readers.join_next()).await {
        one.unwrap();
        current += 1;
    }
    assert_eq!(current, MANY);
    // Nearly all of it by shards; those that were still busy with one change are brought on by themselves.
    let writes = world
        .edge
        .metric("liveevents_game_server_shard_writes_total");
    assert!(writes.await > Some(MANY as f64));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_as_fast_as_they_come_reach_everybody_whenever_they_joined() {
    let mut world = World::new().await;
    let token = world.token();
    let last = 400;
    let mut joining = JoinSet::new();
    for at in 2..=last {
        world.change(put("sale", u32::try_from(at).unwrap())).await;
        if at % 10 == 0 {
            let (address, token) = (world.edge.address, token.clone());
            joining.spawn(async move {
                let mut one = One::connect(address, &token).await.unwrap();
                // Nothing comes after the last change: who missed it would wait in vain.
                one.until(last).await;
            });
        }
    }
    while let Some(joined) = within("everybody to be current", joining.join_next()).await {
        joined.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_is_admitted_at_the_rate_and_told_when_to_come_again() {
    let world = World::with(|setup| setup.with("game-servers-admission", "2")).await;
    let token = world.token();
    let start = Instant::now();
    let mut arriving = JoinSet::new();
    for _ in 0..100 {
        let (address, token) = (world.edge.address, token.clone());
        arriving.spawn(async move { One::connect(address, &token).await });
    }
    let (mut taken, mut told) = (0, Vec::new());
    while let Some(arrived) = within("an answer to everybody", arriving.join_next()).await {
        match arrived.unwrap() {
            Ok(_) => taken += 1,
            Err((status, after)) => {
                assert_eq!(status, 503);
                told.push(after);
            }
        }
    }
    assert!((2..100).contains(&taken), "{taken} were taken");
    // Spread over the seconds that so many need, and nobody is told to come at once.
    told.sort_unstable();
    assert!(told[0] >= 1, "{told:?}");
    let needed = u64::try_from(told.len()).unwrap() / 2;
    let last = told[told.len() - 1] + start.elapsed().as_secs();
    assert!(last + 1 >= needed, "{told:?}");
    let refusals = world.edge.metric("liveevents_game_server_refusals_total");
    assert_eq!(refusals.await, Some(told.len() as f64));
}
