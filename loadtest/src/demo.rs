//! The show: realistic events on their way from a REST call to game servers, with the times it took.
//!
//! A change that does not arrive ends the show; whatever else is not as it should be is said, and makes the
//! run fail at its end.

mod cast;
mod events;
mod next;
mod placeholders;
mod show;
mod stage;
mod witness;

use liveevents_protocol::id::RegionId;

use crate::arguments::Demo;
use crate::failure::Failure;
use crate::fleet;
use cast::Cast;
use show::Show;
use stage::Stage;

/// Runs it.
///
/// # Errors
/// If it cannot be carried through, or if not everything was as it should be.
pub async fn run(arguments: &Demo) -> Result<(), Failure> {
    let (stage, printer) = Stage::open();
    let outcome = perform(arguments, &stage).await;
    drop(stage);
    printer.finish().await;
    outcome
}

async fn perform(arguments: &Demo, stage: &Stage) -> Result<(), Failure> {
    let (cast, wrong) = tokio::select! {
        played = Box::pin(play(arguments, stage)) => played?,
        interrupted = tokio::signal::ctrl_c() => {
            return Err(interrupted.map_or_else(Failure::Signal, |()| Failure::Interrupted));
        }
    };
    stage.say(verdict(&wrong)).await;
    if !arguments.exit {
        let line = "Game servers go on printing what they receive. Ctrl-C ends the demo.";
        stage.say(line).await;
        tokio::signal::ctrl_c().await.map_err(Failure::Signal)?;
    }
    cast.close().await;
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Failure::Wrong(wrong))
    }
}

/// The show itself: who is still there after it, and what was not as it should be.
async fn play(arguments: &Demo, stage: &Stage) -> Result<(Cast, Vec<String>), Failure> {
    let target = &arguments.target;
    let events = events::read(&arguments.events, crate::clock::now())?;
    let rest = target.log_in().await?;
    let places = fleet::places(&target.edges);
    let regions: Vec<RegionId> = places.iter().map(|place| place.region.clone()).collect();
    let token = rest
        .service_token("GameServer", "demo game servers", &regions)
        .await?;

    stage.title("Game servers").await;
    let cast = Cast::open(&places, arguments.servers, &token, stage).await?;
    let mut show = Show::new(stage, &rest, &target.edges, &cast);
    let star = show.play(events).await?;
    let wrong = show.wrong();
    next::print(stage, &rest, &target.edges, &star).await?;
    Ok((cast, wrong))
}

fn verdict(wrong: &[String]) -> String {
    match wrong.len() {
        0 => "Everything arrived where it should, and nowhere else.".to_owned(),
        number => format!("{number} thing(s) went wrong:\n  {}", wrong.join("\n  ")),
    }
}
