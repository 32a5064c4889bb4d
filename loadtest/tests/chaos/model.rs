//! What each region must serve: events, and what commands make of them. Knows nothing of versions or processes.

use std::collections::BTreeMap;

use liveevents_protocol::state::RegionState;
use serde_json::Value;

use crate::common::Random;

/// The regions, of which the first has two edges.
pub(crate) const REGIONS: [&str; 2] = ["us-east", "eu-west"];
/// Events, deployed in all of them.
pub(crate) const EVENTS: [&str; 3] = ["festival", "sale", "tournament"];
/// Approved revisions of each.
pub(crate) const REVISIONS: u32 = 3;

/// What a region serves of an event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Cell {
    pub(crate) live: Option<u32>,
    /// Revision, and percent of the players.
    pub(crate) candidate: Option<(u32, u32)>,
    pub(crate) paused: bool,
    pub(crate) stopped: bool,
}

/// What a region serves, by event.
pub(crate) type Served = BTreeMap<String, Cell>;

/// What regions serve, by region.
pub(crate) type World = BTreeMap<String, Served>;

/// A change to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Deploy {
        event: &'static str,
        regions: Vec<&'static str>,
        revision: u32,
        percent: u32,
    },
    /// All events in all regions, so that a state with some stopped and some not is half of a change.
    Stop,
    Resume,
    /// One event, in all regions.
    Pause(&'static str),
    Unpause(&'static str),
    /// The newest deployment that has not been.
    RollBack,
}

/// A deployment that was answered.
#[derive(Debug, Clone)]
pub(crate) struct Deployment {
    pub(crate) id: String,
    pub(crate) event: &'static str,
    /// Of each region that it changed: before and after.
    pub(crate) steps: BTreeMap<String, (Cell, Cell)>,
}

/// The model.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) world: World,
    /// Those that may be rolled back, the newest last.
    pub(crate) deployments: Vec<Deployment>,
}

impl Model {
    /// Everything deployed to everybody in its first revision.
    pub(crate) fn new() -> Self {
        let cell = Cell {
            live: Some(1),
            ..Cell::default()
        };
        let served: Served = EVENTS.map(|event| (event.to_owned(), cell.clone())).into();
        let world = REGIONS
            .map(|region| (region.to_owned(), served.clone()))
            .into();
        Self {
            world,
            deployments: Vec::new(),
        }
    }

    /// What a command makes of the world; `None` if it has to be refused as a conflict.
    pub(crate) fn after(&self, command: &Command) -> Option<World> {
        let mut world = self.world.clone();
        match command {
            Command::Deploy {
                event,
                regions,
                revision,
                percent,
            } => {
                for region in regions {
                    let cell = cell(&mut world, region, event);
                    if *percent == 100 {
                        (cell.live, cell.candidate) = (Some(*revision), None);
                    } else {
                        cell.candidate = Some((*revision, *percent));
                    }
                }
                (world != self.world).then_some(world)
            }
            Command::Stop | Command::Resume => {
                let stopped = *command == Command::Stop;
                let cells = world.values_mut().flat_map(BTreeMap::values_mut);
                cells.for_each(|cell| cell.stopped = stopped);
                Some(world)
            }
            Command::Pause(event) | Command::Unpause(event) => {
                let paused = matches!(command, Command::Pause(_));
                for region in REGIONS {
                    cell(&mut world, region, event).paused = paused;
                }
                (world != self.world).then_some(world)
            }
            Command::RollBack => {
                let newest = self.deployments.last()?;
                for (region, (before, after)) in &newest.steps {
                    let cell = cell(&mut world, region, newest.event);
                    if (cell.live, cell.candidate) != (after.live, after.candidate) {
                        return None;
                    }
                    (cell.live, cell.candidate) = (before.live, before.candidate);
                }
                Some(world)
            }
        }
    }

    /// The regions that differ.
    pub(crate) fn changed(&self, after: &World) -> Vec<String> {
        let differs = |(region, served): &(&String, &Served)| after.get(*region) != Some(*served);
        self.world
            .iter()
            .filter(differs)
            .map(|(region, _)| region.clone())
            .collect()
    }

    /// Takes a deployment in that was answered.
    pub(crate) fn deployed(&mut self, id: &str, event: &'static str, after: &World) {
        let changed = self.changed(after);
        let step = |region: String| {
            let step = (
                self.world[&region][event].clone(),
                after[&region][event].clone(),
            );
            (region, step)
        };
        let steps = changed.into_iter().map(step).collect();
        self.deployments.push(Deployment {
            id: id.to_owned(),
            event,
            steps,
        });
    }

    /// A command that somebody might give.
    pub(crate) fn draw(&self, random: &mut Random) -> Command {
        let event = EVENTS[random.below(EVENTS.len() as u64) as usize];
        match random.below(12) {
            0 => Command::Stop,
            1 | 2 => Command::Resume,
            10 => Command::Pause(event),
            11 => Command::Unpause(event),
            3 if !self.deployments.is_empty() => Command::RollBack,
            _ => Command::Deploy {
                event,
                regions: match random.below(4) {
                    0 => vec![REGIONS[0]],
                    1 => vec![REGIONS[1]],
                    _ => REGIONS.to_vec(),
                },
                revision: 1 + random.below(REVISIONS.into()) as u32,
                percent: 1 + random.below(100) as u32,
            },
        }
    }
}

fn cell<'a>(world: &'a mut World, region: &str, event: &str) -> &'a mut Cell {
    world
        .entry(region.to_owned())
        .or_default()
        .entry(event.to_owned())
        .or_default()
}

/// What a copy of a region holds.
pub(crate) fn held(state: &RegionState) -> Served {
    let cell = |assignment: &liveevents_protocol::model::Assignment| Cell {
        live: assignment.live.map(|live| live.0),
        candidate: assignment.candidate.as_ref().map(|candidate| {
            (
                candidate.revision.0,
                u32::from(candidate.exposure.value()) / 100,
            )
        }),
        paused: assignment.suspension.paused,
        stopped: assignment.suspension.stopped,
    };
    let assignments = state.assignments();
    assignments
        .map(|assignment| (assignment.event_id.to_string(), cell(assignment)))
        .collect()
}

/// What an edge says that it serves.
pub(crate) fn told(answer: &Value) -> Served {
    let revision = |value: &Value| value.as_u64().map(|revision| revision as u32);
    let cell = |assignment: &Value| Cell {
        live: revision(&assignment["live"]),
        candidate: revision(&assignment["candidate"]["revision"]).map(|revision| {
            let exposure = assignment["candidate"]["exposure"].as_u64().unwrap();
            (revision, exposure as u32 / 100)
        }),
        paused: assignment["suspension"]["paused"] == true,
        stopped: assignment["suspension"]["stopped"] == true,
    };
    let assignments = answer["assignments"].as_array().unwrap().iter();
    assignments
        .map(|a| (a["eventId"].as_str().unwrap().to_owned(), cell(a)))
        .collect()
}

/// What the origin says that the regions serve of an event.
pub(crate) fn told_of_event(event: &Value) -> BTreeMap<String, Cell> {
    let revision = |value: &Value| value.as_u64().map(|revision| revision as u32);
    let cell = |served: &Value| Cell {
        live: revision(&served["live"]),
        candidate: revision(&served["candidate"]["revision"]).map(|revision| {
            (
                revision,
                served["candidate"]["percentage"].as_f64().unwrap().round() as u32,
            )
        }),
        paused: served["paused"] == true,
        stopped: served["stopped"] == true,
    };
    let regions = event["regions"].as_object().unwrap().iter();
    regions
        .map(|(region, served)| (region.clone(), cell(served)))
        .collect()
}

#[test]
fn a_rollback_takes_back_what_nobody_has_changed_since() {
    let mut model = Model::new();
    let deploy = |revision, percent| Command::Deploy {
        event: "sale",
        regions: vec!["us-east"],
        revision,
        percent,
    };
    let first = model.world.clone();
    let second = model.after(&deploy(2, 10)).unwrap();
    model.deployed("a", "sale", &second);
    model.world = second;
    assert_eq!(model.after(&deploy(2, 10)), None, "nothing would change");
    assert_eq!(model.after(&Command::RollBack), Some(first));
    model.world = model.after(&deploy(3, 10)).unwrap();
    assert_eq!(model.after(&Command::RollBack), None, "somebody has");
}
