//! Real changes, made through REST: events, and one whose exposure is turned up and down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use liveevents_protocol::id::EventId;
use liveevents_protocol::version::Revision;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Duration, MissedTickBehavior, interval};

use super::scene::Scene;
use crate::failure::Failure;
use crate::limits;

/// Days that the turned event goes on: its occurrences make a delta of about 1 KB.
const OCCURRENCES: i64 = 9;

/// An event of which each change deploys its candidate at another exposure: the smallest real change there is.
#[derive(Debug, Clone)]
pub(super) struct Dial {
    event: EventId,
    revision: Revision,
    turns: Arc<AtomicU32>,
}

impl Dial {
    /// Makes the event and deploys it for the first time.
    pub(super) async fn create(scene: &Scene) -> Result<Self, Failure> {
        let now = crate::clock::now();
        let document = event(&json!({
            "eventId": format!("bench-dial-{}", now.as_microsecond()),
            "endTime": second(OCCURRENCES * 86_400 - 3_600),
            "recurrence": { "rule": "FREQ=DAILY", "zone": "UTC", "duration": "PT30M" },
            "configuration": { "version": "1.0" },
        }));
        let created = scene.rest.create_event(document.to_string()).await?;
        scene
            .rest
            .approve(&created.event_id, created.revision)
            .await?;
        let (event, revision) = (created.event_id, created.revision);
        let turns = Arc::default();
        let dial = Self {
            event,
            revision,
            turns,
        };
        dial.turn(scene).await?;
        Ok(dial)
    }

    /// One change; the version that it made.
    pub(super) async fn turn(&self, scene: &Scene) -> Result<u64, Failure> {
        let turns = self.turns.fetch_add(1, Ordering::Relaxed);
        // 100 % would make the candidate live.
        let basis_points = turns % 9_999 + 1;
        let regions = std::slice::from_ref(&scene.region);
        let deployed = scene
            .rest
            .deploy(&self.event, self.revision, regions, basis_points)
            .await?;
        let versions = deployed.changed().regions;
        Ok(versions
            .values()
            .map(|version| version.0)
            .max()
            .unwrap_or_default())
    }

    /// So many changes at this rate, as far as the origin keeps up; the last version.
    pub(super) async fn turn_at(
        &self,
        scene: &Scene,
        changes: u32,
        rate: f64,
    ) -> Result<u64, Failure> {
        let mut ticks = interval(Duration::from_secs_f64(1.0 / rate));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut last = 0;
        for _ in 0..changes {
            ticks.tick().await;
            last = self.turn(scene).await?;
        }
        Ok(last)
    }
}

/// So many changes as fast as the origin takes them from several callers, each with a dial of its own; the last
/// version.
pub(super) async fn turn_fast(
    scene: &Arc<Scene>,
    dials: &[Dial],
    changes: u32,
) -> Result<u64, Failure> {
    let left = Arc::new(AtomicU32::new(changes));
    let last = Arc::<AtomicU64>::default();
    let mut callers = JoinSet::new();
    for dial in dials {
        let (scene, dial) = (Arc::clone(scene), dial.clone());
        let (left, last) = (Arc::clone(&left), Arc::clone(&last));
        callers.spawn(async move {
            let less = |left: u32| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
                .is_ok()
            {
                last.fetch_max(dial.turn(&scene).await?, Ordering::Relaxed);
            }
            Ok::<_, Failure>(())
        });
    }
    join(callers).await?;
    Ok(last.load(Ordering::Relaxed))
}

/// What becomes of the events of [`populate`].
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    /// Deployed to everybody.
    Live,
    /// Deployed to one key in ten thousand.
    Hardly,
    /// Never deployed.
    Stored,
}

/// Makes so many events of 1 KB of configuration, and with texts as short as they come.
pub(super) async fn populate(
    scene: &Arc<Scene>,
    events: u32,
    fate: Fate,
) -> Result<Vec<EventId>, Failure> {
    let name = format!("b{}", crate::clock::now().as_millisecond());
    let next = Arc::<AtomicU32>::default();
    let mut callers = JoinSet::new();
    for _ in 0..limits::CALLERS.min(events) {
        let (scene, name, next) = (Arc::clone(scene), name.clone(), Arc::clone(&next));
        callers.spawn(async move {
            let mut made = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= events {
                    return Ok::<_, Failure>(made);
                }
                made.push(one(&scene, &format!("{name}-{number}"), fate).await?);
            }
        });
    }
    Ok(join(callers).await?.concat())
}

async fn one(scene: &Scene, name: &str, fate: Fate) -> Result<EventId, Failure> {
    let document = event(&json!({
        "eventId": name,
        "endTime": second(86_400),
        "configuration": { "version": "1.0", "customParameters": { "padding": "x".repeat(950) } },
    }));
    let created = scene.rest.create_event(document.to_string()).await?;
    let basis_points = match fate {
        Fate::Stored => return Ok(created.event_id),
        Fate::Live => 10_000,
        Fate::Hardly => 1,
    };
    scene
        .rest
        .approve(&created.event_id, created.revision)
        .await?;
    let regions = std::slice::from_ref(&scene.region);
    scene
        .rest
        .deploy(&created.event_id, created.revision, regions, basis_points)
        .await?;
    Ok(created.event_id)
}

fn event(fields: &Value) -> Value {
    let mut document = json!({
        "displayName": "Benchmark",
        "type": "RetentionCampaign",
        "startTime": second(-60),
        "timezone": "UTC",
    });
    for (name, value) in fields.as_object().into_iter().flatten() {
        document[name] = value.clone();
    }
    document
}

fn second(offset: i64) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_second(crate::clock::now().as_second() + offset).ok()
}

/// Waits for all of them, and gives what they came to in the order of their ends.
pub(super) async fn join<T: 'static>(
    mut tasks: JoinSet<Result<T, Failure>>,
) -> Result<Vec<T>, Failure> {
    let mut all = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        all.push(ended.map_err(|error| Failure::Wrong(vec![error.to_string()]))??);
    }
    Ok(all)
}
