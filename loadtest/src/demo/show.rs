//! The acts of the show, and what must be true after each.

use std::future::Future;
use std::time::Instant;

use liveevents_protocol::id::{DeploymentId, EventId, RegionId};
use liveevents_protocol::version::Revision;
use reqwest::StatusCode;
use serde_json::json;

use super::cast::{Cast, PLAYERS};
use super::events::Event;
use super::stage::Stage;
use super::witness::Witness;
use crate::address::EdgeAddress;
use crate::failure::Failure;
use crate::fleet;
use crate::rest::{Changed, Rest, RestError, Suspend};

/// The show in progress.
pub(super) struct Show<'a> {
    stage: &'a Stage,
    rest: &'a Rest,
    edges: &'a [EdgeAddress],
    regions: Vec<RegionId>,
    witness: Witness<'a>,
    events: Vec<EventId>,
}

impl<'a> Show<'a> {
    pub(super) fn new(
        stage: &'a Stage,
        rest: &'a Rest,
        edges: &'a [EdgeAddress],
        cast: &'a Cast,
    ) -> Self {
        let regions = fleet::places(edges)
            .into_iter()
            .map(|place| place.region)
            .collect();
        Self {
            stage,
            rest,
            edges,
            regions,
            witness: Witness::new(stage, rest, cast),
            events: Vec::new(),
        }
    }

    /// What was not as it should be.
    pub(super) fn wrong(self) -> Vec<String> {
        self.witness.wrong()
    }

    /// Plays it, and tells which event played the leading part.
    pub(super) async fn play(&mut self, events: Vec<Event>) -> Result<EventId, Failure> {
        self.stage.title("Events are created and approved").await;
        let mut created = Vec::new();
        for event in events {
            created.push(self.create(event).await?);
        }
        self.events = created
            .iter()
            .map(|(event, _)| event.outline.event_id.clone())
            .collect();
        let now = crate::clock::now();
        let open = created.iter().filter(|(event, _)| event.is_open(now));
        let star = open.max_by_key(|(event, _)| event.outline.priority);
        let Some((star, revision)) = star.cloned() else {
            return Err(Failure::Wrong(vec!["no event is open any more".to_owned()]));
        };
        let star = (star.outline.event_id, revision);
        for (event, revision) in &created {
            let event = &event.outline.event_id;
            if *event != star.0 {
                let title = format!("{event} goes to everybody");
                self.deploy(&title, event, *revision, 100).await?;
            }
        }
        self.roll_out(&star).await?;
        self.stop_and_resume(&star.0).await?;
        self.take_back(&star.0).await?;
        self.look_elsewhere(&star.0).await?;
        Ok(star.0)
    }

    /// Creates an event and has it approved. Where its name is taken, by an earlier demo of the same
    /// installation, it gets one of its own.
    async fn create(&self, event: Event) -> Result<(Event, Revision), Failure> {
        let suffix = crate::clock::now().as_second().to_string();
        let mut event = event;
        let mut answer = self.rest.create_event(event.document.clone()).await;
        if let Err(error) = &answer
            && error.is(StatusCode::CONFLICT)
            && let Some(renamed) = event.renamed(&suffix)
        {
            event = renamed;
            answer = self.rest.create_event(event.document.clone()).await;
        }
        let created = answer?;
        self.rest
            .approve(&created.event_id, created.revision)
            .await?;
        let (outline, opens) = (&event.outline, event.is_open(crate::clock::now()));
        let opens = if opens { "open now" } else { "still to come" };
        let line = format!(
            "  {:<22} {:<18} {} ({opens})",
            outline.event_id.as_str(),
            outline.event_type,
            outline.display_name
        );
        self.stage.say(line).await;
        Ok((event, created.revision))
    }

    /// A tenth of the players first, then all of them.
    async fn roll_out(&mut self, (star, revision): &(EventId, Revision)) -> Result<(), Failure> {
        let title = format!("{star} goes to 10 % of the players");
        self.deploy(&title, star, *revision, 10).await?;
        let a_tenth = PLAYERS / 20..=PLAYERS * 3 / 20;
        self.witness
            .expect_audience(star, |seen| a_tenth.contains(&seen), "about a tenth")
            .await;
        let title = format!("{star} goes to everybody");
        self.deploy(&title, star, *revision, 100).await?;
        self.witness
            .expect_audience(star, |seen| seen == PLAYERS, "everybody")
            .await;
        Ok(())
    }

    async fn stop_and_resume(&mut self, star: &EventId) -> Result<(), Failure> {
        let (rest, regions) = (self.rest, self.regions.clone());
        let stop = rest.suspend(
            Suspend::Stop,
            star,
            &regions,
            "players report empty shelves",
        );
        self.step(&format!("Emergency: {star} is stopped"), stop)
            .await?;
        self.witness
            .expect_audience(star, |seen| seen == 0, "nobody")
            .await;
        let resume = rest.suspend(Suspend::Resume, star, &regions, "shelves are full again");
        self.step(&format!("{star} is resumed"), resume).await?;
        self.witness
            .expect_audience(star, |seen| seen == PLAYERS, "everybody")
            .await;
        Ok(())
    }

    /// A revision with a mistake goes out, and back.
    async fn take_back(&mut self, star: &EventId) -> Result<(), Failure> {
        let fields = json!({ "description": "Everything at 400 % off." });
        let edited = self.rest.edit_event(star, &fields).await?;
        self.rest.approve(star, edited.revision).await?;
        let title = format!("{star}: a revision with a misprint goes to everybody");
        let deployment = self.deploy(&title, star, edited.revision, 100).await?;
        self.witness.expect_revision(star, edited.revision).await;

        let rest = self.rest;
        let back = rest.roll_back(deployment, "the description is wrong");
        self.step(&format!("{star}: the misprint is rolled back"), back)
            .await?;
        let before = Revision(edited.revision.0.saturating_sub(1));
        self.witness.expect_revision(star, before).await;
        Ok(())
    }

    /// The other regions have heard nothing of it.
    async fn look_elsewhere(&mut self, star: &EventId) -> Result<(), Failure> {
        self.stage.title("Elsewhere").await;
        let all = self.rest.regions().await?;
        let Some(third) = all
            .into_iter()
            .find(|region| !self.regions.contains(region))
        else {
            self.stage
                .say("  There is no region without an edge here to compare with.")
                .await;
            return Ok(());
        };
        let assigned = self.rest.assigned(&third).await?;
        let nothing = assigned.iter().all(|event| !self.events.contains(event));
        self.witness
            .expect(
                nothing,
                format!("the origin has none of these events in {third}"),
            )
            .await;
        for edge in self.edges {
            let refused = match self.rest.at(&edge.http).served(&third).await {
                Err(error) => error.is(StatusCode::MISDIRECTED_REQUEST),
                Ok(_) => false,
            };
            let claim = format!("the edge of {} does not answer for {third}", edge.region);
            self.witness.expect(refused, claim).await;
        }
        for edge in self.edges {
            let served = self.rest.at(&edge.http).served(&edge.region).await?;
            let held = self
                .witness
                .all_at(&edge.region, served.epoch, served.version);
            let claim = format!(
                "the edge of {} and its game servers are all at version {}",
                edge.region, served.version
            );
            self.witness.expect(held, claim).await;
            let sees = self
                .rest
                .at(&edge.http)
                .shown("player-1", &edge.region)
                .await?
                .contains(star);
            let claim = format!(
                "player-1 asks the edge of {} and is shown {star}",
                edge.region
            );
            self.witness.expect(sees, claim).await;
        }
        Ok(())
    }

    async fn deploy(
        &mut self,
        title: &str,
        event: &EventId,
        revision: Revision,
        percent: u32,
    ) -> Result<DeploymentId, Failure> {
        self.stage.title(title).await;
        let deploy = self
            .rest
            .deploy(event, revision, &self.regions, percent * 100);
        let deployed = deploy.await?;
        let answered = Instant::now();
        let id = deployed.deployment_id;
        self.witness.watch(&deployed.changed(), answered).await?;
        Ok(id)
    }

    /// Makes a change and watches it arrive.
    async fn step(
        &mut self,
        title: &str,
        change: impl Future<Output = Result<Changed, RestError>>,
    ) -> Result<(), Failure> {
        self.stage.title(title).await;
        let changed = change.await?;
        self.witness.watch(&changed, Instant::now()).await
    }
}
