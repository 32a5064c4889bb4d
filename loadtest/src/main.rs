//! `liveevents-loadtest`: reads the command line, runs a scenario, and says by its status how it went.

use std::process::ExitCode;

use clap::Parser as _;
use liveevents_loadtest::arguments::bench::Scenario;
use liveevents_loadtest::arguments::{Arguments, Command, Conform, Subscribe};
use liveevents_loadtest::failure::{self, Failure};
use liveevents_loadtest::{bench, conform, demo, subscribe};

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Subscribe(arguments) => measure(&arguments).await,
        Command::Bench(scenario) => bench_it(&scenario).await,
        Command::Bare(bare) => bench::bare(&bare),
        Command::Demo(arguments) => Box::pin(demo::run(&arguments)).await,
        Command::Conform(arguments) => conform_to(&arguments).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}", failure::chain(&failure));
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &Subscribe) -> Result<(), Failure> {
    let report = Box::pin(subscribe::run(arguments)).await?;
    println!("{report}");
    if let Some(file) = &arguments.json {
        report.write(file)?;
    }
    if report.is_good() {
        Ok(())
    } else {
        Err(Failure::Wrong(vec![
            "not every change arrived everywhere".to_owned(),
        ]))
    }
}

async fn conform_to(arguments: &Conform) -> Result<(), Failure> {
    let report = Box::pin(conform::run(arguments)).await?;
    println!("{report}");
    if report.is_good() {
        Ok(())
    } else {
        Err(Failure::Wrong(vec![
            "the client does not keep the protocol".to_owned(),
        ]))
    }
}

async fn bench_it(scenario: &Scenario) -> Result<(), Failure> {
    let sheet = Box::pin(bench::run(scenario)).await?;
    println!("{sheet}");
    match &scenario.measured().json {
        Some(file) => sheet.write(file),
        None => Ok(()),
    }
}
