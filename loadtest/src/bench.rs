//! What the edge costs and how fast it is, against the limit of the machine it runs on, and how fast the origin counts and
//! answers.
//!
//! A scenario measures both within one run, since on a shared machine only their ratio means something, and
//! repeats that; its [`Sheet`] has the median of each figure. CPU is the server process's, as the kernel counts it.

mod bare;
mod burst;
mod changes;
mod cost;
mod fanout;
mod idle;
mod lists;
mod machine;
mod month;
mod process;
mod query;
mod reports;
mod requests;
mod scene;
mod sheet;
mod stop;
mod storm;

pub use bare::serve as bare;
pub use sheet::{Bound, Sheet};

use crate::arguments::bench::Scenario;
use crate::failure::Failure;

/// Runs a scenario.
///
/// # Errors
/// If it cannot be carried through. That a figure is missed is in the sheet.
pub async fn run(scenario: &Scenario) -> Result<Sheet, Failure> {
    match scenario {
        Scenario::Fanout(fanout) => Box::pin(fanout::run(fanout)).await,
        Scenario::Burst(burst) => Box::pin(burst::run(burst)).await,
        Scenario::Idle(idle) => Box::pin(idle::run(idle)).await,
        Scenario::Query(query) => Box::pin(query::run(query)).await,
        Scenario::Storm(storm) => Box::pin(storm::run(storm)).await,
        Scenario::Cost(cost) => Box::pin(cost::run(cost)).await,
        Scenario::Lists(lists) => Box::pin(lists::run(lists)).await,
        Scenario::Stop(stop) => Box::pin(stop::run(stop)).await,
        Scenario::Reports(reports) => Box::pin(reports::run(reports)).await,
        Scenario::Month(month) => Box::pin(month::run(month)).await,
    }
}
