//! Game servers in great number, and how long a change takes to reach the last of them.
//!
//! The run makes an event of its own, a candidate whose exposure each change raises by a hundredth of a
//! percent: the smallest real change there is. In the end every game server must hold the last exposure.

mod report;

use std::time::Instant;

use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::version::{Epoch, Revision, Version};
use serde_json::json;
use tokio::time::{Duration, MissedTickBehavior, interval};

pub use report::Report;

use crate::arguments::Subscribe;
use crate::failure::Failure;
use crate::fleet::{self, GameServer};
use crate::limits;
use crate::receipts::{Change, Commits, Receipts, arrivals, commits};
use crate::rest::{Changed, Rest};
use crate::spread::Spread;

/// Runs it.
///
/// # Errors
/// If it cannot be carried through. That something was lost is in the report.
pub async fn run(arguments: &Subscribe) -> Result<Report, Failure> {
    let target = &arguments.target;
    let rest = target.log_in().await?;
    let regions: Vec<RegionId> = fleet::places(&target.edges)
        .into_iter()
        .map(|place| place.region)
        .collect();
    let token = rest
        .service_token("GameServer", "liveevents-loadtest", &regions)
        .await?;

    let opening = Instant::now();
    let (servers, receipts) = open(arguments, &token).await?;
    let connect_seconds = opening.elapsed().as_secs_f64();

    let event = create_event(&rest).await?;
    let mut request = Spread::default();
    let first = Instant::now();
    let changes = make_changes(&rest, &event, &regions, arguments, &mut request).await?;
    let rate_made = changes.len() as f64 / first.elapsed().as_secs_f64();
    let Some((epoch, last)) = wait_for(&servers, &changes, arguments).await else {
        let nobody = "no game server holds anything".to_owned();
        return Err(Failure::Wrong(vec![nobody]));
    };

    let received: Vec<_> = servers
        .iter()
        .zip(&receipts)
        .map(|(server, receipts)| (server.region.clone(), receipts.to_vec()))
        .collect();
    let wrong = servers
        .iter()
        .filter(|server| !has_exposure(server, &event, last))
        .count();
    let away = servers
        .iter()
        .filter(|server| !fleet::is_connected(server))
        .count();
    let report = Report {
        servers: servers.len(),
        edges: target.edges.len(),
        regions: regions.len(),
        changes: changes.len(),
        rate_asked: arguments.rate,
        rate_made,
        connect_seconds,
        request: request.quantiles(),
        wrong: wrong as u64,
        away: away as u64,
        ..Report::default()
    };
    let mut commits = commits(epoch, &received);
    ask_for_missing(&rest, &changes, &mut commits).await?;
    Ok(report.with_arrivals(&arrivals(epoch, &commits, &changes, &received)))
}

/// Opens the game servers, a batch at a time, and waits until each holds its region.
async fn open(
    arguments: &Subscribe,
    token: &str,
) -> Result<(Vec<GameServer>, Vec<Receipts>), Failure> {
    let places = fleet::places(&arguments.target.edges);
    let (mut servers, mut receipts) = (Vec::new(), Vec::new());
    // Round the edges, so that a region with more of them gets more game servers.
    let turns = arguments.target.edges.iter().cycle();
    for (number, edge) in (1..=arguments.servers).zip(turns) {
        let Some(place) = places.iter().find(|place| place.region == edge.region) else {
            continue;
        };
        let own = Receipts::default();
        let name = format!("{}/{number}", place.region);
        servers.push(fleet::start(place, name, token, own.observer())?);
        receipts.push(own);
        if servers.len() % limits::OPENING == 0 {
            fleet::ready(&servers).await?;
        }
    }
    fleet::ready(&servers).await?;
    Ok((servers, receipts))
}

async fn create_event(rest: &Rest) -> Result<(EventId, Revision), Failure> {
    let now = crate::clock::now();
    let second = |offset: i64| jiff::Timestamp::from_second(now.as_second() + offset).ok();
    let document = json!({
        "eventId": format!("loadtest-{}", now.as_millisecond()),
        "displayName": "Load test",
        "description": "Made by liveevents-loadtest subscribe; nothing depends on it.",
        "type": "RetentionCampaign",
        "startTime": second(-60),
        "endTime": second(86_400),
        "timezone": "UTC",
        "tags": ["loadtest"],
        "configuration": { "version": "1.0", "customParameters": { "padding": "x".repeat(700) } },
    });
    let created = rest.create_event(document.to_string()).await?;
    rest.approve(&created.event_id, created.revision).await?;
    Ok((created.event_id, created.revision))
}

async fn make_changes(
    rest: &Rest,
    (event, revision): &(EventId, Revision),
    regions: &[RegionId],
    arguments: &Subscribe,
    request: &mut Spread,
) -> Result<Vec<Change>, Failure> {
    let mut ticks = interval(Duration::from_secs_f64(1.0 / arguments.rate));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut changes = Vec::new();
    for exposure in 1..=arguments.changes {
        ticks.tick().await;
        let asked = Instant::now();
        let deployed = rest.deploy(event, *revision, regions, exposure).await?;
        let answered = Instant::now();
        request.record(u64::try_from((answered - asked).as_micros()).unwrap_or(u64::MAX));
        let Changed { change_id, regions } = deployed.changed();
        changes.push(Change {
            id: change_id,
            answered,
            regions,
        });
    }
    Ok(changes)
}

/// Waits, within bounds, until every game server holds the last change; in which epoch that is, and what
/// the last exposure was.
async fn wait_for(
    servers: &[GameServer],
    changes: &[Change],
    arguments: &Subscribe,
) -> Option<(Epoch, u32)> {
    let wait = Duration::try_from(arguments.wait).unwrap_or_default();
    let deadline = tokio::time::Instant::now() + wait;
    for server in servers {
        let last: Option<Version> = changes
            .iter()
            .rev()
            .find_map(|change| change.regions.get(&server.region).copied());
        let last = last?;
        // Who is late is lost by its receipts, not by this.
        fleet::holds(server, deadline, |cursor| cursor.version >= last).await;
    }
    let state = servers.iter().find_map(|server| server.client.state())?;
    Some((state.epoch(), arguments.changes))
}

/// Learns from the origin when those changes were committed that no game server received by themselves.
async fn ask_for_missing(
    rest: &Rest,
    changes: &[Change],
    commits: &mut Commits,
) -> Result<(), Failure> {
    for change in changes {
        let mut versions = change.regions.iter();
        if versions.all(|(region, &version)| commits.contains_key(&(region.clone(), version))) {
            continue;
        }
        for (region, reach) in rest.change(change.id).await?.regions {
            commits.insert((region, reach.version), reach.committed_at);
        }
    }
    Ok(())
}

fn has_exposure(server: &GameServer, (event, _): &(EventId, Revision), last: u32) -> bool {
    let state = server.client.state();
    let assignment = state.as_ref().and_then(|state| state.assignment(event));
    let candidate = assignment.and_then(|assignment| assignment.candidate.as_ref());
    candidate.is_some_and(|candidate| u32::from(candidate.exposure.value()) == last)
}
