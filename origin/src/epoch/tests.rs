//! When an epoch ends, and that the next is later.

use liveevents_protocol::position::Digest;
use liveevents_protocol::version::Version;

use uuid::Uuid;

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

#[test]
fn the_next_epoch_is_later_whatever_the_clock_says() {
    let first = after(None, at(1_000_000), [7; 10]);
    assert_eq!(first.0.get_version_num(), 7);
    for now in [0, 999_999, 1_000_000, 1_000_001, 2_000_000] {
        for random in [[0; 10], [255; 10]] {
            let next = after(Some(first), at(now), random);
            assert!(next > first, "{next} after {first} at {now}");
            assert_eq!(next.0.get_version_num(), 7);
        }
    }
    assert!(after(None, at(-5), [0; 10]) > Epoch(Uuid::nil()));
}

#[test]
fn fingerprints_disagree_only_in_what_both_know() {
    let known = Fingerprint {
        system_identifier: Some("7".to_owned()),
        timeline: Some("00000001".to_owned()),
        database: 5,
        region_log: 100,
    };
    let hidden = Fingerprint {
        system_identifier: None,
        timeline: None,
        ..known.clone()
    };
    assert!(known.agrees_with(&known) && known.agrees_with(&hidden) && hidden.agrees_with(&known));
    for other in [
        Fingerprint {
            system_identifier: Some("8".to_owned()),
            ..known.clone()
        },
        Fingerprint {
            timeline: Some("00000002".to_owned()),
            ..known.clone()
        },
        Fingerprint {
            database: 6,
            ..known.clone()
        },
        Fingerprint {
            region_log: 101,
            ..known.clone()
        },
    ] {
        assert!(!known.agrees_with(&other), "{other:?}");
    }
}

#[test]
fn only_an_impossible_position_is_unknown() {
    let position = |epoch, version, digest| Position {
        epoch: Epoch(Uuid::from_u128(epoch)),
        version: Version(version),
        digest: Digest([digest; 32]),
    };
    let head = position(5, 60, 1);
    let table = [
        (position(5, 60, 1), Some(head), Judgement::Known),
        (position(5, 60, 2), Some(head), Judgement::Unknown),
        (position(5, 61, 1), None, Judgement::Unknown),
        (
            position(5, 40, 2),
            Some(position(5, 40, 2)),
            Judgement::Known,
        ),
        (
            position(5, 40, 2),
            Some(position(5, 40, 3)),
            Judgement::Unknown,
        ),
        (position(5, 10, 2), None, Judgement::Known),
        (position(4, 99, 2), None, Judgement::Earlier),
        (position(6, 1, 2), None, Judgement::Unknown),
    ];
    for (held, row, expected) in table {
        assert_eq!(judge(&held, &head, row.as_ref()), expected, "{held:?}");
    }
}
