//! `liveevents-loadtest`: reads the command line, runs a scenario, and says by its status how it went.

use std::process::ExitCode;

use clap::Parser as _;
use liveevents_loadtest::arguments::{Arguments, Command, Subscribe};
use liveevents_loadtest::failure::{self, Failure};
use liveevents_loadtest::{demo, subscribe};

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Subscribe(arguments) => measure(&arguments).await,
        Command::Demo(arguments) => Box::pin(demo::run(&arguments)).await,
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
