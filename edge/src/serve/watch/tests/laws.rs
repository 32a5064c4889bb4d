//! Whatever happens in whatever order, and however slowly it is taken: in the end every watched player has been told
//! what evaluation says, and nobody else anything; versions never go back.

use std::collections::BTreeMap;

use liveevents_protocol::attribute::{Attribute, Attributes};
use liveevents_protocol::evaluate::{Asker, Keys, shown};
use liveevents_protocol::model::{BucketBy, Content};
use proptest::prelude::*;

use super::*;
use crate::replica::history::{from_level, remove};

#[derive(Debug, Clone)]
enum Step {
    Put {
        event: usize,
        revision: u32,
    },
    Try {
        event: usize,
        exposure: u16,
    },
    Remove {
        event: usize,
    },
    Epoch,
    /// The segment that the races are for begins at a level.
    Segment {
        revision: u32,
        level: u32,
    },
    Watch {
        players: Vec<(usize, Option<usize>)>,
    },
    Unwatch {
        players: Vec<usize>,
    },
    /// The socket takes so many messages.
    Take(usize),
    Wait,
}

const EVENTS: [&str; 3] = ["cup", "race", "sale"];

fn step() -> impl Strategy<Value = Step> {
    let event = 0..EVENTS.len();
    let watched = (0..8_usize, prop::option::of(0..3_usize));
    prop_oneof![
        4 => (event.clone(), 1..5_u32).prop_map(|(event, revision)| Step::Put { event, revision }),
        3 => (event.clone(), 0..=10_000_u16).prop_map(|(event, exposure)| Step::Try { event, exposure }),
        1 => event.prop_map(|event| Step::Remove { event }),
        1 => Just(Step::Epoch),
        3 => (1..5_u32, 0..4_u32).prop_map(|(revision, level)| Step::Segment { revision, level }),
        4 => prop::collection::vec(watched, 0..5).prop_map(|players| Step::Watch { players }),
        2 => prop::collection::vec(0..8_usize, 0..3).prop_map(|players| Step::Unwatch { players }),
        6 => (1..6_usize).prop_map(Step::Take),
        3 => Just(Step::Wait),
    ]
}

/// A game server, as it puts together what it is told.
#[derive(Default)]
struct Server {
    watched: BTreeMap<String, PlayerMessage>,
    told: BTreeMap<String, Vec<(String, u64)>>,
    current: Option<(u128, u64)>,
}

fn name(player: usize) -> String {
    format!("player-{player}")
}

/// Races are for a segment.
fn served(event: &str, revision: u32) -> Content {
    let mut content = content(event, revision);
    if event == "race" {
        content.target_segments = vec!["veterans".parse().unwrap()];
    }
    content
}

fn take(step: Step, desk: &mut Desk, server: &mut Server, epochs: &mut u128) {
    match step {
        Step::Put { event, revision } => desk.change(vec![
            served(EVENTS[event], revision).into(),
            assignment(EVENTS[event], revision).into(),
        ]),
        Step::Segment { revision, level } => {
            desk.change(vec![from_level("veterans", revision, level)]);
        }
        Step::Try { event, exposure } => {
            let mut tried = assignment(EVENTS[event], 1);
            tried.candidate = Some(liveevents_protocol::model::Candidate {
                revision: liveevents_protocol::version::Revision(9),
                exposure: BasisPoints::new(exposure).unwrap(),
                bucket_by: BucketBy("match".to_owned()),
            });
            let contents = [
                served(EVENTS[event], 1).into(),
                served(EVENTS[event], 9).into(),
            ];
            desk.change(contents.into_iter().chain([tried.into()]).collect());
        }
        Step::Remove { event } => desk.change(remove(EVENTS[event], 1)),
        Step::Epoch => {
            *epochs += 1;
            desk.history = History::new("us-east", epoch(*epochs));
            desk.change(put("sale", 1));
        }
        Step::Watch { players } => {
            let players = players.into_iter().map(|(id, at)| match at {
                Some(at) => {
                    let level = i32::try_from(at).unwrap().into();
                    let mut player = in_match(&name(id), &format!("m-{at}"));
                    player.attributes = [("level".to_owned(), Attribute::Number(level))].into();
                    player
                }
                None => player(&name(id)),
            });
            let players: Vec<_> = players.collect();
            for player in &players {
                server.watched.insert(player.player.clone(), player.clone());
            }
            desk.watch.watch(message(players)).unwrap();
        }
        Step::Unwatch { players } => {
            let players: Vec<_> = players.into_iter().map(name).collect();
            for player in &players {
                server.watched.remove(player);
                server.told.remove(player);
            }
            desk.watch.unwatch(&Unwatch { players });
        }
        Step::Take(count) => {
            for _ in 0..count {
                server.take(desk.next(), desk.history.epoch);
            }
        }
        Step::Wait => desk.now += PASS_INTERVAL / 2,
    }
}

impl Server {
    fn take(&mut self, next: Next, epoch: liveevents_protocol::version::Epoch) {
        match next {
            Next::Player(text) => {
                let Sent::Player(id, events) = read(&text) else {
                    panic!("not a player");
                };
                assert!(self.watched.contains_key(&id), "{id} is not watched");
                self.told.insert(id, events);
            }
            Next::Current(current) => {
                assert_eq!(current.epoch, epoch, "the history in force");
                let current = (current.epoch.0.as_u128(), current.version.0);
                assert!(self.current <= Some(current));
                self.current = Some(current);
            }
            Next::Pause | Next::Wait(_) | Next::Nothing(_) => {}
        }
    }
}

proptest! {
    #[test]
    fn in_the_end_every_player_has_been_told_what_evaluation_says(steps in prop::collection::vec(step(), 1..80)) {
        let (mut desk, mut server, mut epochs) = (Desk::new(), Server::default(), 5);
        for step in steps {
            take(step, &mut desk, &mut server, &mut epochs);
            prop_assert!(desk.watch.due.len() <= desk.watch.players.len());
        }
        loop {
            match desk.next() {
                Next::Nothing(_) => break,
                Next::Wait(until) => desk.now = until,
                next => server.take(next, desk.history.epoch),
            }
        }
        let state = desk.published.state();
        let expected: BTreeMap<_, _> = server.watched.iter().map(|(id, player)| {
            let keys = player.keys.iter().map(|(name, key)| (&**name, &**key));
            let keys: Vec<_> = keys.chain([(BucketBy::PLAYER, &**id)]).collect();
            let attributes = Attributes::new(&player.attributes);
            let asker = Asker { keys: Keys(&keys), build: None, attributes };
            let events = shown(state, &asker, desk.at);
            let events = events.iter().map(|shown| {
                (shown.content.event_id.to_string(), u64::from(shown.content.revision.0))
            });
            (id.clone(), events.collect::<Vec<_>>())
        }).collect();
        prop_assert_eq!(&server.told, &expected);
        let cursor = desk.published.cursor();
        prop_assert_eq!(server.current, Some((cursor.epoch.0.as_u128(), cursor.version.0)));
        prop_assert_eq!(desk.watch.share.taken(), server.watched.values().map(size).sum::<usize>());
    }
}
