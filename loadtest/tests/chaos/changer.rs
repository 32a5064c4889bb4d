//! Somebody at work through REST while everything around breaks: gives commands one after another, and keeps the model of
//! what each region must serve.
//!
//! A command that was answered has happened, or was refused as the model says. One that was not answered has happened
//! whole or not at all: which of the two, the origin is asked once it is there again.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::common::rest::Rest;
use crate::common::{Random, eventually};
use crate::model::{Command, EVENTS, Model, REVISIONS, Served, World, told_of_event};

/// Somebody at work.
pub(crate) struct Changer {
    rest: Rest,
    random: Random,
    pub(crate) model: Model,
    /// What each region serves as of a version, where that was answered.
    pub(crate) history: BTreeMap<(String, u64), Served>,
    /// Every change that was answered: its id, and the version in each region.
    pub(crate) answered: Vec<(String, BTreeMap<String, u64>)>,
    pub(crate) unanswered: usize,
}

impl Changer {
    /// Makes the events and deploys them.
    pub(crate) async fn new(rest: Rest, random: Random) -> Self {
        for event in EVENTS {
            rest.event(event).await;
            let regions = crate::model::REGIONS;
            rest.deploy(event, &regions, 100).await;
            for revision in 1..REVISIONS {
                rest.revise(event, json!({ "priority": revision })).await;
            }
        }
        Self {
            rest,
            random,
            model: Model::new(),
            history: BTreeMap::new(),
            answered: Vec::new(),
            unanswered: 0,
        }
    }

    /// Until told to stop.
    pub(crate) async fn work(mut self, stopped: watch::Receiver<bool>) -> Self {
        while !*stopped.borrow() {
            self.one().await;
            // People are not faster than this, and faults are to fall between changes too.
            tokio::time::sleep(Duration::from_millis(self.random.below(50))).await;
        }
        self
    }

    /// One change that is answered, whatever is going on.
    pub(crate) async fn certainly(&mut self) {
        let before = self.answered.len();
        while self.answered.len() == before {
            self.one().await;
        }
    }

    async fn one(&mut self) {
        let command = self.model.draw(&mut self.random);
        let after = self.model.after(&command);
        let (path, body) = self.request(&command);
        match self.rest.send(Method::POST, &path, Some(body)).await {
            Ok((status, answer)) if status.is_success() => {
                let after =
                    after.unwrap_or_else(|| panic!("{command:?} was not refused: {answer}"));
                self.happened(&command, after, &answer);
            }
            Ok((StatusCode::CONFLICT, answer)) => {
                assert_eq!(after, None, "{command:?} was refused: {answer}");
                if command == Command::RollBack {
                    self.model.deployments.pop();
                }
            }
            Ok((status, answer)) if !status.is_server_error() => {
                panic!("{command:?}: {status} {answer}")
            }
            Ok(_) | Err(_) => {
                self.unanswered += 1;
                let told = self.ask().await;
                let happened = Some(&told) == after.as_ref();
                assert!(
                    happened || told == self.model.world,
                    "{command:?} half happened:\nbefore {:?}\nnow {told:?}",
                    self.model.world
                );
                // Whether its deployment is there to be rolled back is not known.
                if command == Command::RollBack {
                    self.model.deployments.pop();
                }
                self.model.world = told;
            }
        }
    }

    fn request(&self, command: &Command) -> (String, Value) {
        let all = || json!({ "all": true, "reason": "chaos" });
        match command {
            Command::Stop => ("/stop".to_owned(), all()),
            Command::Resume => ("/resume".to_owned(), all()),
            Command::Pause(event) => (format!("/events/{event}/pause"), json!({})),
            Command::Unpause(event) => (format!("/events/{event}/resume"), json!({})),
            Command::RollBack => {
                let id = &self.model.deployments.last().unwrap().id;
                (
                    format!("/deployments/{id}/rollback"),
                    json!({ "reason": "chaos" }),
                )
            }
            Command::Deploy {
                event,
                regions,
                revision,
                percent,
            } => {
                let body = json!({
                    "eventId": event, "regions": regions, "revision": revision, "percentage": percent,
                });
                ("/deployments".to_owned(), body)
            }
        }
    }

    fn happened(&mut self, command: &Command, after: World, answer: &Value) {
        let regions = match command {
            Command::Deploy { event, .. } => {
                let id = answer["deploymentId"].as_str().unwrap();
                self.model.deployed(id, event, &after);
                &answer["regionVersions"]
            }
            Command::RollBack => {
                self.model.deployments.pop();
                &answer["regions"]
            }
            Command::Stop | Command::Resume | Command::Pause(_) | Command::Unpause(_) => {
                &answer["regions"]
            }
        };
        let versions: BTreeMap<String, u64> = regions
            .as_object()
            .unwrap()
            .iter()
            .map(|(region, version)| (region.clone(), version.as_u64().unwrap()))
            .collect();
        let changed = self.model.changed(&after);
        assert!(
            versions.keys().eq(&changed),
            "{command:?} changed {changed:?}: {answer}"
        );
        self.model.world = after;
        for (region, &version) in &versions {
            let served = self.model.world[region].clone();
            let other = self.history.insert((region.clone(), version), served);
            assert_eq!(other, None, "version {version} of {region} was given twice");
        }
        if !versions.is_empty() {
            let id = answer["changeId"].as_str().unwrap().to_owned();
            self.answered.push((id, versions));
        }
    }

    /// What the origin says that every region serves, once it does.
    async fn ask(&self) -> World {
        eventually("the origin answered again", || async {
            let mut world = World::new();
            for event in EVENTS {
                let path = format!("/events/{event}");
                let (status, answer) = self.rest.send(Method::GET, &path, None).await.ok()?;
                status.is_success().then_some(())?;
                for (region, cell) in told_of_event(&answer) {
                    world
                        .entry(region)
                        .or_default()
                        .insert(event.to_owned(), cell);
                }
            }
            Some(world)
        })
        .await
    }
}
