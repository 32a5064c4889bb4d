//! How long one look at the local copy takes: one event, and all events, for one player. No edge, no network; the copy
//! comes from a state file, as it does when every edge is away.
//!
//! ```text
//! cargo bench -p liveevents-client --bench lookup
//! ```
//!
//! Prints medians and 99th percentiles in nanoseconds. Each number is of batches of looks, so that the clock's own
//! cost and grain do not count; every look asks for another event and another player.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use liveevents_client::{Client, ClientConfig, EventId, Keys, Token};
use liveevents_protocol::entry::Snapshot;
use liveevents_protocol::message::SnapshotMessage;
use liveevents_protocol::version::{Epoch, Version};
use serde_json::json;

/// Long enough to settle, short enough to wait for.
const TIME: Duration = Duration::from_secs(2);
const BATCH: usize = 100;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("{:<44} {:>10} {:>10}", "ns for one look", "median", "p99");
    for events in [10, 100, 1_000] {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("state");
        std::fs::write(&file, state_file(events)?)?;
        // Nobody listens there, and nothing is waited for.
        let nowhere = vec!["ws://127.0.0.1:9".parse()?];
        let mut config = ClientConfig::new("us-east".parse()?, nowhere, Token::fixed("none"));
        config.state_file = Some(file);
        let client = Client::connect(config)?;
        let held = client
            .state()
            .map_or(0, |state| state.assignments().count());
        if held != events {
            return Err(
                format!("holds {held} events of {events}: {:?}", client.state_file()).into(),
            );
        }
        measure(&client, events)?;
    }
    Ok(())
}

fn measure(client: &Client, events: usize) -> Result<(), Box<dyn Error>> {
    let names = (0..events).map(|n| format!("event-{n}").parse());
    let names: Vec<EventId> = names.collect::<Result<_, _>>()?;
    let players: Vec<String> = (0..997).map(|n| format!("player-{n}")).collect();
    let of = |turn: usize| {
        let name = names.get(turn % names.len());
        name.zip(players.get(turn % players.len()))
    };
    report(&format!("event(), {events} events"), 1, |turn| {
        let Some((name, player)) = of(turn) else {
            return;
        };
        black_box(client.event(name, Keys(&[("player", player)])));
    });
    report(&format!("view().event(), {events} events"), 1, |turn| {
        let Some((name, player)) = of(turn) else {
            return;
        };
        let view = client.view();
        black_box(
            view.as_ref()
                .and_then(|view| view.event(name, Keys(&[("player", player)]))),
        );
    });
    report(
        &format!("view().shown(), all {events} events"),
        BATCH,
        |turn| {
            let Some((_, player)) = of(turn) else { return };
            let view = client.view();
            black_box(
                view.as_ref()
                    .map(|view| view.shown(Keys(&[("player", player)])).len()),
            );
        },
    );
    Ok(())
}

/// `heavy` is by how much a look is heavier than the lightest.
fn report(what: &str, heavy: usize, mut look: impl FnMut(usize)) {
    let batch = BATCH / heavy;
    let (mut turn, mut times) = (0, Vec::new());
    let start = Instant::now();
    while start.elapsed() < TIME {
        let begun = Instant::now();
        for _ in 0..batch {
            look(turn);
            turn += 1;
        }
        times.push(begun.elapsed().as_nanos() / batch as u128);
    }
    times.sort_unstable();
    let at = |share: usize| {
        times
            .get(times.len() * share / 100)
            .copied()
            .unwrap_or_default()
    };
    println!("{what:<44} {:>10} {:>10}", at(50), at(99));
}

/// Events that are open, each with a live revision and a candidate at 10 % of the players, 4 KB of configuration.
fn state_file(events: usize) -> Result<Vec<u8>, Box<dyn Error>> {
    let (mut contents, mut assignments) = (Vec::new(), Vec::new());
    for n in 0..events {
        let event = format!("event-{n}");
        for revision in [1, 2] {
            contents.push(json!({
                "eventId": event, "revision": revision, "type": "LimitedTimeOffer", "displayName": event,
                "priority": n % 7, "tags": ["sale", "weekend"], "localizations": {"de": {"displayName": event}},
                "configuration": {"filling": "x".repeat(4_000)},
            }));
        }
        assignments.push(json!({
            "eventId": event, "salt": format!("{n:08x}"), "live": 1, "candidate": {"revision": 2, "exposure": 1000},
            "schedule": [{"opens": "2020-01-01T00:00:00Z", "closes": "2120-01-01T00:00:00Z"}],
        }));
    }
    let empty = Snapshot {
        epoch: Epoch(uuid::Uuid::from_u128(1)),
        version: Version(1),
        floor: Version(1),
        entries: Vec::new(),
    };
    let mut snapshot =
        serde_json::to_value(SnapshotMessage::new(empty, Timestamp::UNIX_EPOCH, None))?;
    snapshot["contents"] = contents.into();
    snapshot["assignments"] = assignments.into();
    let body = json!({"installation": "bench", "region": "us-east", "snapshot": snapshot});
    let body = serde_json::to_vec(&body)?;
    let (first, second) = mur3::murmurhash3_x64_128(&body, 0);
    let mut bytes = format!("liveevents-state/1 {first:016x}{second:016x}\n").into_bytes();
    bytes.extend(body);
    Ok(bytes)
}
