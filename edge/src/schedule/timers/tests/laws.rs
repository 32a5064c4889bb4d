//! Laws, by random clocks and random changes: what was told, put together, is what is shown now; nothing changes between
//! two looks but at the moments foreseen.

use std::time::Duration;

use liveevents_protocol::evaluate::{Asker, Keys, Moment, Offer, Outcome, evaluate};
use liveevents_protocol::model::{BucketBy, Candidate};
use liveevents_protocol::version::{BasisPoints, Revision};
use liveevents_service::clock::{Clock, ManualClock};
use prometheus::IntCounter;
use proptest::prelude::*;

use super::*;
use crate::schedule::clock::ServingClock;

const REGIONS: [&str; 2] = ["eu-west", "us-east"];
const EVENTS: [&str; 3] = ["cup", "race", "sale"];

/// What happens next.
#[derive(Debug, Clone)]
enum Step {
    /// The wall clock moves, either way.
    Jump(i64),
    /// An event is put, with its schedule, its sides, and whether it is paused.
    Put {
        region: usize,
        event: usize,
        occurrences: Vec<(i64, i64)>,
        live: bool,
        candidate: Option<bool>,
        paused: bool,
        patience: [Option<u32>; 2],
    },
    Remove {
        region: usize,
        event: usize,
    },
    /// The origin falls silent, or is heard again.
    Silence {
        region: usize,
        silent: bool,
    },
    /// The region's history is another.
    Epoch {
        region: usize,
    },
}

fn occurrences() -> impl Strategy<Value = Vec<(i64, i64)>> {
    let pairs = prop::collection::vec((0_i64..40, 1_i64..40), 0..12);
    pairs.prop_map(|pairs| {
        let mut at = 0;
        let place = |(gap, length): (i64, i64)| {
            let opens = at + gap;
            at = opens + length;
            (opens, at)
        };
        pairs.into_iter().map(place).collect()
    })
}

fn step() -> impl Strategy<Value = Step> {
    let region = 0..REGIONS.len();
    let event = 0..EVENTS.len();
    let jump = prop_oneof![
        6 => 0_i64..30,
        2 => -60_i64..60,
        1 => -90_000_i64..-86_000,
        1 => 86_000_i64..90_000,
    ];
    let hide = prop::option::of(1_u32..60);
    let put = (
        region.clone(),
        event.clone(),
        occurrences(),
        any::<bool>(),
        any::<Option<bool>>(),
        prop::bool::weighted(0.1),
        [hide.clone(), hide],
    );
    prop_oneof![
        10 => jump.prop_map(Step::Jump),
        4 => put.prop_map(|(region, event, occurrences, live, candidate, paused, patience)| Step::Put {
            region, event, occurrences, live, candidate, paused, patience,
        }),
        1 => (region.clone(), event).prop_map(|(region, event)| Step::Remove { region, event }),
        2 => (region.clone(), any::<bool>()).prop_map(|(region, silent)| Step::Silence { region, silent }),
        1 => region.prop_map(|region| Step::Epoch { region }),
    ]
}

/// One region as the tests know it, and what its game servers have put together from what they were told.
struct Room {
    id: RegionId,
    epoch: u128,
    history: History,
    news: Fresh,
    silent_since: Option<Timestamp>,
    told: BTreeMap<EventId, Option<Occurrence>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fresh {
    No,
    Later,
    Other,
}

impl Room {
    fn new(name: &str) -> Self {
        Self {
            id: name.parse().unwrap(),
            epoch: 5,
            history: History::new(name, epoch(5)),
            news: Fresh::Other,
            silent_since: None,
            told: BTreeMap::new(),
        }
    }

    fn state(&self) -> &RegionState {
        self.history.state(self.history.head())
    }

    fn commit(&mut self, entries: Vec<Entry>) {
        self.history.commit(entries, second(0));
        if self.news == Fresh::No {
            self.news = Fresh::Later;
        }
    }

    /// What somebody without and somebody with the key is shown of each event, by the rules that reads go by.
    fn outcomes(&self, now: Timestamp) -> BTreeMap<EventId, [Outcome; 2]> {
        let age = self.silent_since.map(|since| now.duration_since(since));
        let moment = Moment {
            now,
            age: age
                .and_then(|age| Duration::try_from(age).ok())
                .unwrap_or_default(),
        };
        let judge = |assignment: &Assignment| {
            let keys: [&[(&str, &str)]; 2] = [&[], &[("player", "p-1")]];
            let outcomes = keys.map(|keys| {
                let asker = Asker {
                    keys: Keys(keys),
                    build: None,
                    ..Asker::default()
                };
                evaluate(Offer::of(self.state(), assignment), &asker, moment)
            });
            (assignment.event_id.clone(), outcomes)
        };
        self.state().assignments().map(judge).collect()
    }
}

fn shown(outcomes: &[Outcome; 2]) -> bool {
    outcomes.iter().any(|outcome| outcome.revision().is_some())
}

/// The edge's clock and rooms.
struct World {
    hand: ManualClock,
    clock: ServingClock,
    timers: Timers,
    rooms: Vec<Room>,
}

impl World {
    fn new() -> Self {
        let hand = ManualClock::new(second(0));
        let counter = IntCounter::new("followed", "help").unwrap();
        Self {
            clock: ServingClock::new(Clock::clone(&hand.clock()), counter),
            hand,
            timers: Timers::default(),
            rooms: REGIONS.into_iter().map(Room::new).collect(),
        }
    }

    fn take(&mut self, step: Step) {
        let now = self.clock.now();
        match step {
            Step::Jump(seconds) => self.hand.advance(SignedDuration::from_secs(seconds)),
            Step::Put {
                region,
                event,
                occurrences,
                live,
                candidate,
                paused,
                patience,
            } => {
                let name = EVENTS[event];
                let contents = patience.into_iter().zip(1..).map(|(seconds, revision)| {
                    let when_stale = seconds.map_or(WhenStale::Keep, hide_after);
                    Entry::from(Content {
                        when_stale,
                        ..content(name, revision)
                    })
                });
                let exposure = |all| {
                    if all {
                        BasisPoints::ALL
                    } else {
                        BasisPoints::ZERO
                    }
                };
                let mut assignment = scheduled(name, &occurrences);
                assignment.live = live.then_some(Revision(1));
                assignment.candidate = candidate.map(|all| Candidate {
                    revision: Revision(2),
                    exposure: exposure(all),
                    bucket_by: BucketBy::default(),
                });
                assignment.suspension.paused = paused;
                self.rooms[region].commit(contents.chain([assignment.into()]).collect());
            }
            Step::Remove { region, event } => {
                let key = liveevents_protocol::entry::EntryKey::Assignment(
                    EVENTS[event].parse().unwrap(),
                );
                self.rooms[region].commit(vec![Entry::Removal(key)]);
            }
            Step::Silence { region, silent } => {
                let room = &mut self.rooms[region];
                room.silent_since = silent.then(|| room.silent_since.unwrap_or(now));
            }
            Step::Epoch { region } => {
                let room = &mut self.rooms[region];
                room.epoch += 1;
                let entries = room.state().snapshot().entries.into_iter().map(|e| e.entry);
                let kept = entries
                    .take(3)
                    .filter(|entry| matches!(entry, Entry::Put(_)));
                let mut history = History::new(room.id.as_str(), epoch(room.epoch));
                history.commit(kept.collect(), second(0));
                room.history = history;
                room.news = Fresh::Other;
            }
        }
    }

    /// One look at every region, as the task does it.
    fn look(&mut self) -> Vec<Found> {
        let mut found = Vec::new();
        for room in &mut self.rooms {
            let state = room.history.state(room.history.head());
            let news = match std::mem::replace(&mut room.news, Fresh::No) {
                Fresh::No => News::Same,
                Fresh::Later => News::Later(state),
                Fresh::Other => News::Other(state),
            };
            let at = At {
                now: self.clock.now(),
                silent_since: room.silent_since,
            };
            found.push(self.timers.look(&room.id, news, at));
        }
        found
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_was_told_is_what_is_shown_whatever_the_clock_does(steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        world.look();
        for step in steps {
            let before: Vec<_> = world.rooms.iter().map(|room| room.outcomes(world.clock.now())).collect();
            let by_time = matches!(step, Step::Jump(_) | Step::Silence { .. });
            let foreseen = world.timers.next();
            let was = world.clock.now();
            world.take(step.clone());
            let now = world.clock.now();
            let found = world.look();
            for ((room, found), before) in world.rooms.iter_mut().zip(found).zip(before) {
                for switch in &found.switches {
                    prop_assert!(switch.at <= now);
                    let told = room.told.entry(switch.event.clone()).or_default();
                    // Whoever is on goes off, and the other way round: nothing is told twice.
                    match switch.to {
                        Side::On(occurrence) => prop_assert_eq!(told.replace(occurrence), None),
                        Side::Off(_) => prop_assert!(told.take().is_some()),
                    }
                }
                let outcomes = room.outcomes(now);
                for event in EVENTS {
                    let event: EventId = event.parse().unwrap();
                    let told = room.told.get(&event).is_some_and(Option::is_some);
                    prop_assert_eq!(told, outcomes.get(&event).is_some_and(shown), "{} at {}", event, now);
                }
                if by_time {
                    // Whoever waits for a switch to evaluate anew misses nothing.
                    let revisions = |outcomes: &BTreeMap<EventId, [Outcome; 2]>| -> Vec<_> {
                        outcomes.values().flatten().map(|outcome| outcome.revision()).collect()
                    };
                    prop_assert!(found.switched || revisions(&before) == revisions(&outcomes));
                    if matches!(step, Step::Jump(_)) && now >= was && foreseen.is_none_or(|next| now < next) {
                        prop_assert!(!found.switched && revisions(&before) == revisions(&outcomes));
                    }
                }
            }
        }
    }

    #[test]
    fn a_clock_that_only_shakes_opens_and_closes_every_occurrence_exactly_once(
        occurrences in occurrences(),
        shakes in prop::collection::vec(-20_i64..20, 1..20),
    ) {
        let mut world = World::new();
        world.take(Step::Put {
            region: 0, event: 0, occurrences: occurrences.clone(), live: true, candidate: None, paused: false, patience: [None; 2],
        });
        world.look();
        let open_at_first = occurrences.first().is_some_and(|&(opens, _)| opens == 0);
        let mut begun = Vec::new();
        let mut ended = 0;
        let end = occurrences.last().map_or(0, |&(_, closes)| closes) + 40;
        let mut shakes = shakes.iter().cycle();
        while world.clock.now() < second(end) {
            // Looked at as the task does it, never later than the next moment.
            let now = world.clock.now();
            let next = world.timers.next().map_or(5, |next| next.duration_since(now).as_secs()).min(5);
            world.hand.set(now + SignedDuration::from_secs(next));
            for found in world.look() {
                for switch in found.switches {
                    prop_assert_eq!(switch.at, world.clock.now());
                    match switch.to {
                        Side::On(occurrence) => begun.push(occurrence),
                        Side::Off(_) => ended += 1,
                    }
                }
            }
            // Set back, or a little forwards within what is foreseen.
            world.hand.advance(SignedDuration::from_secs(shakes.next().map_or(0, |shake| (*shake).min(0))));
        }
        let expected: Vec<_> = occurrences.iter().skip(usize::from(open_at_first)).map(occurrence).collect();
        prop_assert_eq!(begun, expected);
        prop_assert_eq!(ended, occurrences.len());
    }
}
