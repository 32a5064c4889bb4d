//! All edges come at once, as they do when the origin was away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use liveevents_origin::push::admission::Admission;
use liveevents_protocol::backoff::Backoff;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::frame::{EdgeFrame, OriginFrame};
use liveevents_protocol::version::Version;
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::edge::{ScriptedEdge, endpoint};
use super::origin::{Origin, now};

const REGION: &str = "us-east";
const EDGES: usize = 500;

/// Follows until the edge holds this version, and acks it.
async fn until_current(edge: &mut ScriptedEdge, goal: Version) -> Result<(), quinn::ReadError> {
    loop {
        let reached = match edge.try_next().await? {
            OriginFrame::SnapshotChunk(chunk) if chunk.last => chunk.position.position,
            OriginFrame::Rows(rows) => rows.position.position,
            _ => continue,
        };
        if reached.version >= goal {
            edge.send(&EdgeFrame::Ack {
                region: REGION.parse().unwrap(),
                epoch: reached.epoch,
                version: reached.version,
                applied_at: now(),
            })
            .await;
            return Ok(());
        }
    }
}

/// Comes with nothing, and again if it must, until it is current. Gives up a connection when edges do.
async fn come(origin: &Origin, name: &str, goal: Version) -> (ScriptedEdge, u32) {
    let socket = endpoint(origin);
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(5));
    let mut tries = 0;
    loop {
        tries += 1;
        let connecting = ScriptedEdge::try_connect(&socket, origin);
        if let Ok(Ok(mut edge)) = timeout(Duration::from_secs(5), connecting).await {
            edge.hello(origin, name, &[(REGION, None)]).await;
            if until_current(&mut edge, goal).await.is_ok() {
                return (edge, tries);
            }
        }
        tokio::time::sleep(backoff.fail(rand::random())).await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn five_hundred_edges_with_nothing_are_current_soon_and_others_get_at_the_database(
    pool: PgPool,
) {
    let origin = Arc::new(Origin::start(pool.clone()).await);
    for n in 0..100 {
        origin
            .change_with(REGION, &format!("event-{n}"), 4_000)
            .await;
    }
    let goal = Version(120);
    let (start, mut edges) = (Instant::now(), JoinSet::new());
    for n in 0..EDGES {
        let origin = origin.clone();
        edges.spawn(async move {
            let (edge, tries) = come(&origin, &format!("edge-{n}"), goal).await;
            (edge, tries, start.elapsed())
        });
    }
    // Meanwhile the region changes, and somebody else needs the database.
    let (mut longest, mut last) = (Duration::ZERO, None);
    for exposure in 0..20 {
        let asked = Instant::now();
        last = Some(origin.change(REGION, exposure).await);
        longest = longest.max(asked.elapsed());
        tokio::task::yield_now().await;
    }
    let connected = edges.join_all().await;
    let tries: u32 = connected.iter().map(|(_, tries, _)| tries).sum();
    let mut took: Vec<_> = connected.iter().map(|(_, _, took)| *took).collect();
    took.sort();
    println!(
        "{EDGES} edges current, half of them after {:?}, the last after {:?}, in {tries} tries; the slowest of 20 \
         changes meanwhile took {longest:?}",
        took[EDGES / 2],
        took[EDGES - 1],
    );
    assert_eq!(connected.len(), EDGES);
    assert_eq!(origin.metrics.edges.get(), 500);
    assert!(origin.metrics.snapshots_sent.get() >= 500);
    origin
        .until_progress(last.unwrap(), "all have acked", |progress| {
            let edges = &progress.facts.edges;
            edges.len() == EDGES && edges.iter().all(|edge| edge.holds)
        })
        .await;
}

#[sqlx::test(migrations = "../migrations")]
async fn edges_that_come_together_share_one_snapshot_while_the_feed_goes_on_from_it(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let region = REGION.parse().unwrap();
    origin.change(REGION, 1).await;
    let held = origin.sealed(REGION).await.position;
    let mut witness = ScriptedEdge::connect(&origin).await;
    witness.hello(&origin, "witness", &[(REGION, None)]).await;
    until_current(&mut witness, Version(1)).await.unwrap();
    let made = origin.hub.snapshot(&region, None).await.unwrap();
    origin.change(REGION, 2).await;
    until_current(&mut witness, Version(2)).await.unwrap();
    let again = origin.hub.snapshot(&region, Some(&held)).await.unwrap();
    assert!(Arc::ptr_eq(&made, &again));
    // Who was sent more is not taken back by it.
    let sent = origin.sealed(REGION).await.position;
    let newer = origin.hub.snapshot(&region, Some(&sent)).await.unwrap();
    assert_eq!(newer.position, sent);
}

#[sqlx::test(migrations = "../migrations")]
async fn where_the_line_is_too_long_edges_are_told_when_to_come_again(pool: PgPool) {
    let origin = Origin::start_admitting(pool, Admission::of(1, 0)).await;
    let mut edge = ScriptedEdge::connect(&origin).await;
    edge.hello(&origin, "a", &[(REGION, None)]).await;
    let (reason, words) = edge.closed_saying().await;
    assert_eq!(reason, Some(CloseReason::Overloaded));
    let delay = CloseReason::retry_after(&words).expect(&words);
    assert!((1.0..=2.0).contains(&delay.as_secs_f64()), "{words}");
    assert_eq!(origin.until_edges("edges", |_| true).await, []);
}
