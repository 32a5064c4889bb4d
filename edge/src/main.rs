//! `liveevents-edge`: settings, logs, the edge until a signal, an exit code.

use std::process::ExitCode;

use liveevents_edge::config::{Config, PROGRAM};
use liveevents_edge::run::{bind, run};
use liveevents_service::clock::Clock;
use liveevents_service::logs::{self, chain};
use liveevents_service::shutdown;
use tracing::error;

#[tokio::main]
async fn main() -> ExitCode {
    let config = match PROGRAM.configure(Config::read) {
        Ok(config) => config,
        Err(code) => return code,
    };
    if let Err(error) = logs::init(config.log.0, &config.log.1) {
        eprintln!("{}: {error}", PROGRAM.name);
        return ExitCode::FAILURE;
    }
    let served = async {
        let shutdown = shutdown::requested()?;
        let listener = bind(&config).await?;
        run(config, listener, Clock::system(), shutdown).await
    };
    match served.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = chain(&error), "the edge ends");
            ExitCode::FAILURE
        }
    }
}
