//! Whether a client keeps the protocol: plays an edge, lets the client connect, and tries each rule on it.
//!
//! Any client in any language: it is only seen from outside, by the connections it makes and what it says on them.
//! So each rule is one about acks, positions and delays; what a client shows its game is between the two of them.
//! Every wait has an end, and a client that breaks a rule is brought into a known state for the next one.

mod check;
mod held;
mod report;
mod rule;
mod script;
mod session;
mod stage;

use std::fmt;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::net::TcpListener;

use crate::arguments::Conform;
use crate::failure::Failure;
use stage::Stage;

pub use report::{Report, Row, Verdict};
pub use rule::Rule;

/// What a client wants its edge to do for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[value(rename_all = "PascalCase")]
pub enum Level {
    /// Snapshot and deltas.
    Region,
    /// Each player's events.
    Watch,
    /// As `Region`, with evaluation in the client.
    Local,
}

impl Level {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "Region" => Some(Self::Region),
            "Watch" => Some(Self::Watch),
            "Local" => Some(Self::Local),
            _ => None,
        }
    }
}

/// How it is done.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// What the client has to be; whatever it says, if not given.
    pub level: Option<Level>,
    /// How long to wait for its first connection.
    pub wait: Duration,
    /// How long it may take for one answer.
    pub patience: Duration,
    /// How long a client that should come rarely is expected to stay away.
    pub quiet: Duration,
}

/// What a client did instead of what it should.
#[derive(Debug)]
struct Unmet(String);

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Listens, and tries what the command line says; prints each rule as it is known.
///
/// # Errors
/// If it cannot listen there, or the report cannot be written.
pub async fn run(arguments: &Conform) -> Result<Report, Failure> {
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(|source| Failure::Listen {
            address: arguments.listen,
            source,
        })?;
    if let Ok(address) = listener.local_addr() {
        println!("waiting for a client at ws://{address}");
    }
    let report = conform(listener, arguments.settings(), &arguments.rules(), |row| {
        println!("{row}");
    })
    .await;
    if let Some(file) = &arguments.json {
        report.write(file)?;
    }
    Ok(report)
}

/// Tries these rules on whatever client connects.
pub async fn conform(
    listener: TcpListener,
    settings: Settings,
    rules: &[Rule],
    mut tell: impl FnMut(&Row),
) -> Report {
    let mut stage = Stage::new(listener, settings);
    let mut report = Report::default();
    let mut is_gone = false;
    for &rule in rules {
        if !rule.concerns(stage.level()) {
            continue;
        }
        let started = Instant::now();
        let verdict = if is_gone {
            Verdict::Fail("it is gone".to_owned())
        } else {
            match Box::pin(try_rule(rule, &mut stage)).await {
                Ok(verdict) => verdict,
                Err(gone) => {
                    is_gone = true;
                    Verdict::Fail(gone.to_string())
                }
            }
        };
        if verdict.is_fail() {
            stage.cut();
        }
        let row = Row::new(rule, verdict, started.elapsed());
        tell(&row);
        report.rows.push(row);
    }
    report.hello = stage.hello;
    report
}

/// Tries one. An error means that the client cannot be brought into a state to try anything with.
async fn try_rule(rule: Rule, stage: &mut Stage) -> Result<Verdict, Unmet> {
    if rule.needs_a_state() {
        stage.ready().await?;
    }
    Ok(match check::check(rule, stage).await {
        Ok(seen) => Verdict::Pass(seen),
        Err(Unmet(seen)) => Verdict::Fail(seen),
    })
}
