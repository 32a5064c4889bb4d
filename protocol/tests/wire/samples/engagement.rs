//! Engagement between edge and origin.

use jiff::Timestamp;
use liveevents_protocol::engagement::{
    Cell, Cohort, Currencies, Distinct, Place, Rate, SenderSession, Sums, Tally,
};
use liveevents_protocol::frame::{Aggregate, EdgeFrame, OriginFrame};
use liveevents_protocol::version::Revision;
use uuid::Uuid;

use super::super::sample::Value;

pub(super) fn all() -> Vec<(&'static str, Value)> {
    let currencies: Currencies = [
        ("EUR".to_owned(), Rate::new(1_080_000).unwrap()),
        ("USD".to_owned(), Rate::DOLLAR),
    ]
    .into_iter()
    .collect();
    let counting = OriginFrame::Counting {
        key: std::array::from_fn(|at| u8::try_from(at).unwrap()),
        currencies,
    };
    let counted = OriginFrame::Counted {
        id: 300,
        refused: vec![session(2)],
    };
    vec![
        (
            "edge-claim",
            Value::Edge(EdgeFrame::Claim(vec![session(1), session(2)])),
        ),
        (
            "edge-aggregate",
            Value::Edge(EdgeFrame::Aggregate(aggregate())),
        ),
        (
            "edge-aggregate-segment",
            Value::Edge(EdgeFrame::Aggregate(of_a_segment())),
        ),
        ("origin-counting", Value::Origin(counting)),
        (
            "origin-claimed",
            Value::Origin(OriginFrame::Claimed(vec![
                (session(1), 0),
                (session(2), 70_000),
            ])),
        ),
        ("origin-counted", Value::Origin(counted)),
    ]
}

pub(super) fn session(n: u128) -> SenderSession {
    SenderSession(Uuid::from_u128(
        0x0190_0000_0000_7000_8000_0000_0000_0000 + n,
    ))
}

fn players(many: u64) -> Distinct {
    let mut players = Distinct::default();
    for n in 0..many {
        players.note(n);
    }
    players
}

/// Plain counts.
fn of_a_segment() -> Aggregate {
    let mut aggregate = aggregate();
    aggregate.cells.truncate(1);
    for cell in &mut aggregate.cells {
        cell.place.segment = Some("whales".parse().unwrap());
        cell.tally = Tally {
            sums: cell.tally.sums,
            ..Tally::default()
        };
    }
    aggregate
}

fn aggregate() -> Aggregate {
    let place = |revision, variant: Option<&str>, cohort| Place {
        region: "us-east".parse().unwrap(),
        event: "summer-fest-2025".parse().unwrap(),
        revision,
        variant: variant.map(str::to_owned),
        cohort,
        segment: None,
    };
    let whole = Tally {
        sums: Sums::from_array(std::array::from_fn(|at| 100 * u64::try_from(at).unwrap())),
        active: players(12),
        participants: players(3),
        completers: players(2),
        payers: players(1),
    };
    let cell = |place, second, tally| Cell {
        place,
        second: Timestamp::from_second(second).unwrap(),
        tally,
    };
    Aggregate {
        id: 7,
        batches: vec![(session(1), 300), (session(2), 1)],
        cells: vec![
            cell(
                place(Some(Revision(7)), Some("b"), Cohort::Exposed),
                1_750_000_000,
                whole,
            ),
            cell(place(None, None, Cohort::Unattributed), 1, Tally::default()),
        ],
    }
}
