//! `liveevents-origin`: runs the origin, or prints the key that edges pin (`trust-key`) or the table of its
//! settings (`settings`).

use std::process::ExitCode;

use liveevents_origin::config::{Config, PROGRAM};
use liveevents_origin::run::{Listeners, RunError, run};
use liveevents_service::clock::Clock;
use liveevents_service::config::Sources;
use liveevents_service::{logs, shutdown};

fn main() -> ExitCode {
    let mut sources = Sources::from_process();
    let trust_key = sources
        .arguments
        .first()
        .is_some_and(|first| first == "trust-key");
    if trust_key {
        sources.arguments.remove(0);
    }
    let config = match PROGRAM.configure_from(&sources, Config::read) {
        Ok(config) => config,
        Err(code) => return code,
    };
    if trust_key {
        println!("{}", config.keys.current().trust_key());
        return ExitCode::SUCCESS;
    }
    let (format, filter) = &config.log;
    if let Err(error) = logs::init(*format, filter) {
        eprintln!("{}: {error}", PROGRAM.name);
        return ExitCode::FAILURE;
    }
    match start(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = logs::chain(&error);
            tracing::error!(error, "the origin cannot go on");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn start(config: Config) -> Result<(), RunError> {
    let shutdown = shutdown::requested()?;
    let listeners = Listeners::bind(&config).await?;
    run(config, listeners, Clock::system(), shutdown).await
}
