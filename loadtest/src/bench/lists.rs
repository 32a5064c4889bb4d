//! Lists of events and searches in them, with as many stored as an installation may have. One caller, who waits for each
//! answer: what a person at a console feels.

use std::sync::Arc;
use std::time::Instant;

use liveevents_protocol::id::EventId;

use super::changes::{Fate, populate};
use super::scene::Scene;
use super::sheet::Sheet;
use crate::arguments::bench::Lists;
use crate::failure::Failure;
use crate::spread::Spread;

/// Runs it.
pub(super) async fn run(lists: &Lists) -> Result<Sheet, Failure> {
    let scene = Arc::new(Scene::of(&lists.measured).await?);
    populate(&scene, lists.active, Fate::Live).await?;
    populate(&scene, lists.stored, Fate::Stored).await?;
    let newest = scene.rest.find("limit=1").await?;
    let newest = newest.events.first().map(|event| &event.event_id);
    let newest = newest.ok_or_else(|| Failure::Wrong(vec!["no event is stored".to_owned()]))?;
    let mut sheet = Sheet::new(format!(
        "lists: {} requests each, {} events stored, {} of them active",
        lists.requests,
        lists.stored + lists.active,
        lists.active
    ));
    for _ in 0..lists.measured.runs {
        for (name, query) in questions(newest, lists, &scene) {
            let mut spread = Spread::default();
            for _ in 0..lists.requests {
                let asked = Instant::now();
                scene.rest.find(&query).await?;
                spread.record(u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX));
            }
            sheet.add(&format!("{name}, p50"), "ms", spread.at(0.5));
            sheet.add(&format!("{name}, p99"), "ms", spread.at(0.99));
        }
    }
    Ok(sheet)
}

/// What is asked, from what everybody asks to what costs most.
fn questions(newest: &EventId, lists: &Lists, scene: &Scene) -> Vec<(&'static str, String)> {
    let stored = lists.stored + lists.active;
    let part = newest.as_str();
    let part = &part[part.len() / 2..];
    vec![
        ("first page", "limit=20".to_owned()),
        ("page of 100", "limit=100".to_owned()),
        ("last page", format!("offset={}", stored.saturating_sub(20))),
        (
            "drafts of a type",
            "state=Draft&type=RetentionCampaign".to_owned(),
        ),
        ("of a region", format!("region={}", scene.region)),
        ("search, one found", format!("q={newest}")),
        ("search, part of a word", format!("q={part}")),
        (
            "search, nothing found",
            "q=no-such-event-anywhere".to_owned(),
        ),
        ("search, everything found", "q=benchmark".to_owned()),
    ]
}
