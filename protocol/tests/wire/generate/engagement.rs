//! Any engagement that travels between edge and origin.

use jiff::Timestamp;
use liveevents_protocol::engagement::{
    Cell, Cohort, Currencies, Distinct, Place, Rate, SenderSession, Sums, Tally,
};
use liveevents_protocol::frame::{Aggregate, EdgeFrame, OriginFrame};
use liveevents_protocol::version::Revision;
use proptest::array::uniform;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::{event, region, uuid};

pub(super) fn session() -> impl Strategy<Value = SenderSession> {
    uuid().prop_map(SenderSession)
}

fn distinct() -> impl Strategy<Value = Distinct> {
    vec(any::<u64>(), 0..40).prop_map(|hashes| {
        let mut players = Distinct::default();
        for hash in hashes {
            players.note(hash);
        }
        players
    })
}

fn tally() -> impl Strategy<Value = Tally> {
    let sketches = (distinct(), distinct(), distinct(), distinct());
    (uniform::<_, { Sums::COUNT }>(any::<u64>()), sketches).prop_map(|(sums, sketches)| {
        let (active, participants, completers, payers) = sketches;
        Tally {
            sums: Sums::from_array(sums),
            active,
            participants,
            completers,
            payers,
        }
    })
}

fn cell() -> impl Strategy<Value = Cell> {
    let place = (
        (region(), event()),
        option::of(1_u32..),
        option::of("[a-z]{1,20}"),
        0..Cohort::ALL.len(),
        option::of("[a-z]{1,20}"),
    );
    (place, 0_i64..4_000_000_000, tally()).prop_map(
        |(((region, event), revision, variant, cohort, segment), second, tally)| Cell {
            place: Place {
                region,
                event,
                revision: revision.map(Revision),
                variant,
                cohort: Cohort::ALL[cohort],
                segment: segment.map(|segment| segment.parse().unwrap()),
            },
            second: Timestamp::from_second(second).unwrap(),
            tally,
        },
    )
}

pub(super) fn edge_frame() -> impl Strategy<Value = EdgeFrame> {
    let batches = vec((session(), any::<u64>()), 0..4);
    prop_oneof![
        vec(session(), 0..4).prop_map(EdgeFrame::Claim),
        (any::<u64>(), batches, vec(cell(), 0..3))
            .prop_map(|(id, batches, cells)| Aggregate { id, batches, cells })
            .prop_map(EdgeFrame::Aggregate),
    ]
}

pub(super) fn origin_frame() -> impl Strategy<Value = OriginFrame> {
    let rate = (1_u64..=1_000_000_000_000).prop_map(|micros| Rate::new(micros).unwrap());
    let currencies = btree_map("[A-Z]{3}", rate, 0..4);
    prop_oneof![
        (any::<[u8; 32]>(), currencies).prop_map(|(key, rates)| OriginFrame::Counting {
            key,
            currencies: rates.into_iter().collect::<Currencies>(),
        }),
        vec((session(), any::<u64>()), 0..4).prop_map(OriginFrame::Claimed),
        (any::<u64>(), vec(session(), 0..4))
            .prop_map(|(id, refused)| OriginFrame::Counted { id, refused }),
    ]
}
