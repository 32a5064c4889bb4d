//! The schedule of faults: what happens when, from a seed alone, so that the seed repeats it.

use std::time::Duration;

use crate::common::Random;
use crate::common::proxy::{Way, Weather};

/// Edges: two of the first region, one of the second.
pub(crate) const EDGES: usize = 3;

/// Game servers.
pub(crate) const SERVERS: usize = 6;

/// Something that goes wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The link between origin and an edge loses its place.
    CutUplink(usize),
    /// It carries nothing, or nothing one way.
    HoldUplink(usize, Option<Way>),
    /// It loses, doubles and reorders.
    WeatherUplink(usize, Weather),
    /// It is slow.
    SlowUplink(usize, Duration),
    /// A game server's connection breaks.
    CutLink(usize),
    /// It breaks, and the edge does not notice.
    StrandLink(usize),
    /// It carries nothing, or nothing one way.
    HoldLink(usize, Option<Way>),
    /// It is slow.
    SlowLink(usize, Duration),
    /// It breaks, and leads to another edge of the region from then on.
    MoveLink(usize),
    /// The clock of the game servers jumps by so many seconds.
    JumpClock(i64),
    /// A process is killed, and started again at the fault's end.
    Kill(Victim),
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    /// The origin.
    Origin,
    /// An edge.
    Edge(usize),
    /// Postgres, with what it has written.
    Postgres,
    /// Redis, which comes back empty.
    Redis,
}

/// A moment of the schedule.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    /// Since the beginning.
    pub(crate) at: Duration,
    /// What goes wrong,
    pub(crate) fault: Fault,
    /// or is right again.
    pub(crate) over: bool,
}

/// A schedule of that length.
pub(crate) fn plan(random: &mut Random, length: Duration) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = Duration::ZERO;
    loop {
        at += Duration::from_millis(20 + random.below(300));
        if at >= length {
            break;
        }
        let (fault, longest) = fault(random);
        steps.push(Step {
            at,
            fault,
            over: false,
        });
        let end = at + Duration::from_millis(50 + random.below(longest));
        if end < length {
            steps.push(Step {
                at: end,
                fault,
                over: true,
            });
        }
    }
    // Stable, so that steps of the same moment stay in order.
    steps.sort_by_key(|step| step.at);
    steps
}

/// A fault, and how many milliseconds it lasts at most.
fn fault(random: &mut Random) -> (Fault, u64) {
    let edge = random.below(EDGES as u64) as usize;
    let server = random.below(SERVERS as u64) as usize;
    let way = match random.below(3) {
        0 => None,
        1 => Some(Way::There),
        _ => Some(Way::Back),
    };
    match random.below(100) {
        0..8 => (Fault::CutUplink(edge), 50),
        8..16 => (Fault::HoldUplink(edge, way), 3_000),
        16..28 => {
            let weather = Weather {
                lost: random.below(300),
                doubled: random.below(200),
                late: Duration::from_millis(random.below(60)),
            };
            (Fault::WeatherUplink(edge, weather), 3_000)
        }
        28..34 => (Fault::SlowUplink(edge, millis(random, 30)), 2_000),
        34..44 => (Fault::CutLink(server), 50),
        44..50 => (Fault::StrandLink(server), 50),
        50..58 => (Fault::HoldLink(server, way), 3_000),
        58..66 => (Fault::SlowLink(server, millis(random, 20)), 3_000),
        66..78 => (Fault::MoveLink(server), 50),
        78..82 => {
            let hours = random.below(60) as i64 - 30;
            (Fault::JumpClock(hours * 3_600), 50)
        }
        82..86 => (Fault::Kill(Victim::Origin), 1_500),
        86..93 => (Fault::Kill(Victim::Edge(edge)), 1_500),
        93..96 => (Fault::Kill(Victim::Postgres), 1_000),
        _ => (Fault::Kill(Victim::Redis), 2_000),
    }
}

fn millis(random: &mut Random, below: u64) -> Duration {
    Duration::from_millis(1 + random.below(below))
}

#[test]
fn a_seed_repeats_its_schedule() {
    let print = |seed| format!("{:?}", plan(&mut Random(seed), Duration::from_secs(60)));
    assert_eq!(print(7), print(7));
    assert_ne!(print(7), print(8));
    for kind in [
        "Origin", "Edge(2)", "Postgres", "Redis", "Strand", "Weather", "Jump",
    ] {
        assert!(print(7).contains(kind), "{kind} never happens");
    }
}
