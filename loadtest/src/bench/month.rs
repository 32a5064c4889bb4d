//! A month of many events' metrics: how much it takes in the database, and how long it takes to read.
//!
//! It is made up, since nobody waits for a month, and written straight into the tables by `psql`: sketches of some sizes, with
//! players drawn from a pool, over and over.

mod players;
mod psql;

use std::sync::Arc;

use liveevents_protocol::id::EventId;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::changes::{Fate, join, populate};
use super::machine::Machine;
use super::scene::Scene;
use super::sheet::Sheet;
use crate::arguments::bench::Month;
use crate::failure::Failure;
use crate::spread::Spread;
use psql::Psql;

/// Makes tables and partitions ready; what is to be copied comes after.
const READY: &str = include_str!("month/ready.sql");

/// A line for each grain: its name, rows, bytes with indexes, bytes of them.
const SIZES: &str = include_str!("month/sizes.sql");

/// Hours of the month, and minutes of its last two days: as long as they are kept.
const HOURS: u32 = 30 * 24;
const MINUTES: u32 = 48 * 60;

/// Parts that are filled at the same time.
const PARTS: u32 = 2;

/// One event in so many is active: there are minutes of it.
const ACTIVE: usize = 5;

/// What is asked, without a step and with one.
const WINDOWS: [(&str, &str); 4] = [
    ("PT1H", "PT5M"),
    ("P1D", "PT1H"),
    ("P7D", "PT6H"),
    ("P30D", "P1D"),
];

/// Runs it.
pub(super) async fn run(month: &Month) -> Result<Sheet, Failure> {
    let scene = Arc::new(Scene::of(&month.measured).await?);
    let machine = Machine::of(&month.measured, &month.processes);
    let psql = Psql::new(month);
    let events = populate(&scene, month.events, Fate::Live).await?;
    let (large, usual) = events.split_at(events.len().min(month.large as usize));
    let mut sheet = Sheet::new(format!(
        "month: metrics of {} events, {} of them large, {} requests of each kind",
        events.len(),
        large.len(),
        month.requests
    ));
    let begun = Instant::now();
    fill(&psql, &events, large.len()).await?;
    sheet.add("filling", "s", begun.elapsed().as_secs_f64());
    for line in psql.run(SIZES.to_owned()).await?.lines() {
        size(line, &mut sheet)?;
    }
    for _ in 0..month.measured.runs {
        for (of, events) in [("usual", usual), ("large", large)] {
            for (window, step) in WINDOWS {
                // Of the last hour there is something of active events alone.
                let every = if of == "usual" && window == "PT1H" {
                    ACTIVE
                } else {
                    1
                };
                let events: Vec<&EventId> = events.iter().step_by(every).collect();
                let (plain, stepped) = (
                    format!("window={window}"),
                    format!("window={window}&step={step}"),
                );
                let name = format!("{of}, {window}");
                ask(
                    month,
                    &scene,
                    &machine,
                    &events,
                    (&name, &plain),
                    &mut sheet,
                )
                .await?;
                let name = format!("{of}, {window} by {step}");
                ask(
                    month,
                    &scene,
                    &machine,
                    &events,
                    (&name, &stepped),
                    &mut sheet,
                )
                .await?;
            }
        }
    }
    Ok(sheet)
}

/// One caller, who waits for each answer.
async fn ask(
    month: &Month,
    scene: &Scene,
    machine: &Machine,
    events: &[&EventId],
    (name, query): (&str, &str),
    sheet: &mut Sheet,
) -> Result<(), Failure> {
    let mut spread = Spread::default();
    let since = machine.since()?;
    // Far apart, and all of them in turn where there are fewer than requests.
    let asked = events.iter().cycle().step_by(events.len() / 3 + 1);
    let mut players = 0;
    for event in asked.take(month.requests as usize) {
        let asked = Instant::now();
        let shown = scene.rest.metrics(event, query).await?;
        spread.record(u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX));
        players += shown.engagement.active_players.unwrap_or(0);
    }
    if players == 0 && !spread.is_empty() {
        return Err(Failure::Wrong(vec![format!("{name}: nobody is shown")]));
    }
    sheet.add(&format!("{name}: p50"), "ms", spread.at(0.5));
    sheet.add(&format!("{name}: p99"), "ms", spread.at(0.99));
    for (process, used) in since.spent()? {
        if matches!(process, "origin" | "Postgres") {
            let each = used.as_secs_f64() * 1e3 / f64::from(month.requests);
            sheet.add(&format!("{name}: CPU of the {process}"), "ms", each);
        }
    }
    Ok(())
}

/// Makes the month up, the large events first.
async fn fill(psql: &Psql, events: &[EventId], large: usize) -> Result<(), Failure> {
    let mut script = READY.to_owned();
    script.push_str("COPY bench_events (number, event_id, size, active, regions) FROM STDIN;\n");
    for (number, event) in events.iter().enumerate() {
        let is_large = number < large;
        let size = players::size(number, is_large);
        let is_active = is_large || (number - large).is_multiple_of(ACTIVE);
        let regions = 1 + number % 3;
        script.push_str(&format!(
            "{number}\t{event}\t{size}\t{is_active}\t{regions}\n"
        ));
    }
    script.push_str("\\.\n");
    script.push_str(&players::copied());
    psql.run(script).await?;
    let mut parts = JoinSet::new();
    for part in 0..PARTS {
        for (grain, steps) in [("Hour", HOURS), ("Minute", MINUTES)] {
            let (first, last) = (steps * part / PARTS, steps * (part + 1) / PARTS);
            let psql = psql.clone();
            let script =
                format!("CALL bench_fill('{grain}', {steps} - {first}, {steps} - {last});\n");
            parts.spawn(async move { psql.run(script).await });
        }
    }
    join(parts).await?;
    Ok(())
}

/// Takes a line of [`SIZES`] in.
fn size(line: &str, sheet: &mut Sheet) -> Result<(), Failure> {
    let fields: Vec<&str> = line.split('|').collect();
    let numbers: Vec<f64> = fields
        .iter()
        .skip(1)
        .filter_map(|field| field.parse().ok())
        .collect();
    let (Some(grain), [rows, bytes, indexes]) = (fields.first(), &numbers[..]) else {
        return Err(Failure::Wrong(vec![format!(
            "not what was asked psql for: {line}"
        )]));
    };
    sheet.add(&format!("{grain}: rows"), "million", rows / 1e6);
    sheet.add(
        &format!("{grain}: on disk"),
        "MiB",
        bytes / f64::from(1 << 20),
    );
    sheet.add(
        &format!("{grain}: of these indexes"),
        "MiB",
        indexes / f64::from(1 << 20),
    );
    sheet.add(
        &format!("{grain}: bytes of a row"),
        "B",
        bytes / rows.max(1.0),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_psql_prints() {
        let mut sheet = Sheet::new("month");
        size("Hour|2000000|2097152|1048576", &mut sheet).unwrap();
        let medians: Vec<f64> = sheet.figures.iter().map(|figure| figure.median).collect();
        assert_eq!(medians, [2.0, 2.0, 1.0, 1.048_576]);
        assert!(size("Hour|many", &mut sheet).is_err());
    }
}
