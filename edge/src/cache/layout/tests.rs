//! What is written is read back, and anything else is rubbish as a whole.

use jiff::Timestamp;
use liveevents_protocol::entry::Delta;
use liveevents_protocol::state::RegionState;
use proptest::prelude::*;

use super::*;
use crate::replica::history::{History, epoch, put, remove};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn sample() -> History {
    let mut history = History::new("us-east", epoch(5));
    history.commit(put("sale", 1), NOW);
    history.commit(put("cup", 1), NOW);
    history.commit(remove("cup", 1), NOW);
    history.commit(put("sale", 2), NOW);
    history
}

/// The hash as `replace.lua` leaves it.
fn written(history: &History, at: u64) -> Fields {
    let sealed = history.position(Version(at));
    let state = history.state(Version(at));
    let mut fields = Fields::from([
        (EPOCH.to_owned(), state.epoch().to_string().into_bytes()),
        (VERSION.to_owned(), at.to_string().into_bytes()),
        (FLOOR.to_owned(), state.floor().to_string().into_bytes()),
        (SEAL.to_owned(), seal(&sealed)),
        (COMMITTED.to_owned(), time(Some(NOW)).into_bytes()),
        (CONTACT.to_owned(), time(Some(NOW)).into_bytes()),
    ]);
    put_entries(&mut fields, entry_fields(state.snapshot().entries).unwrap());
    fields
}

fn put_entries(fields: &mut Fields, pairs: Vec<Vec<u8>>) {
    let mut pairs = pairs.into_iter();
    while let (Some(name), Some(value)) = (pairs.next(), pairs.next()) {
        fields.insert(String::from_utf8(name).unwrap(), value);
    }
}

#[test]
fn keys_keep_installations_and_regions_apart() {
    let (installation, region) = ("starfall-test".parse().unwrap(), "us-east".parse().unwrap());
    assert_eq!(
        region_key(&installation, &region),
        "liveevent:{starfall-test:us-east}:v1:state"
    );
    assert_eq!(
        trust_key(&installation),
        "liveevent:{starfall-test}:v1:trust"
    );
}

#[test]
fn a_state_is_read_back_with_its_removals_and_its_position() {
    let history = sample();
    for at in 0..=4 {
        let fields = written(&history, at);
        let stored = read(&fields).unwrap().unwrap();
        let published = stored.published;
        assert!(published.state().same_as(history.state(Version(at))));
        assert_eq!(
            published.state().snapshot(),
            history.state(Version(at)).snapshot()
        );
        assert_eq!(*published.sealed(), history.position(Version(at)));
        assert_eq!((stored.contact, published.committed_at()), (NOW, Some(NOW)));
        assert!(!published.is_confirmed());
        assert_eq!(stored.fields, fields.len());
    }
    assert!(read(&Fields::new()).unwrap().is_none());
}

#[test]
fn one_wrong_field_makes_all_of_it_rubbish() {
    let history = sample();
    let good = written(&history, 4);
    for name in good.keys() {
        for value in [
            &b""[..],
            b"-1",
            b"\xff\xfe",
            b"99999999999999999999999999",
            &[0; 48],
        ] {
            // Unknown is what an empty time of commit means, and 48 bytes are a seal.
            if (name == COMMITTED && value.is_empty()) || (name == SEAL && value.len() == 48) {
                continue;
            }
            // -1 is a second before 1970.
            if [COMMITTED, CONTACT].contains(&name.as_str()) && value == b"-1" {
                continue;
            }
            let mut bad = good.clone();
            bad.insert(name.clone(), value.to_vec());
            assert!(read(&bad).is_err(), "{name} = {value:?}");
        }
    }
    for name in good
        .keys()
        .filter(|name| !name.starts_with("content:cup") && !name.starts_with("assignment:"))
    {
        let mut bad = good.clone();
        bad.remove(name);
        // A content that nothing names, even if it was there, is not missed.
        if name != "content:sale:1" {
            assert!(read(&bad).is_err(), "without {name}");
        }
    }
    let mut swapped = good.clone();
    let value = swapped["content:sale:1"].clone();
    swapped.insert("content:sale:3".to_owned(), value);
    assert!(read(&swapped).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_a_value_or_rubbish(
        fields in proptest::collection::hash_map(
            prop_oneof![
                Just("epoch".to_owned()), Just("version".to_owned()), Just("floor".to_owned()),
                Just("seal".to_owned()), Just("contact".to_owned()), Just("committed".to_owned()),
                "content:[a-z]{1,4}:[0-9]", "assignment:[a-z]{1,4}", ".{0,9}",
            ],
            proptest::collection::vec(any::<u8>(), 0..64),
            0..9,
        )
    ) {
        let _ = read(&fields);
    }

    #[test]
    fn deltas_written_one_after_the_other_leave_the_last_state(steps in proptest::collection::vec(1..4_u64, 1..4)) {
        let history = sample();
        let mut at = 0;
        let mut fields = written(&history, 0);
        for step in steps {
            let to = (at + step).min(4);
            let state: &RegionState = history.state(Version(to));
            let delta: Delta = state.since(Version(at)).unwrap();
            put_entries(&mut fields, entry_fields(delta.entries).unwrap());
            fields.insert(VERSION.to_owned(), to.to_string().into_bytes());
            fields.insert(SEAL.to_owned(), seal(&history.position(Version(to))));
            at = to;
            let read = read(&fields).unwrap().unwrap();
            prop_assert!(read.published.state().same_as(state));
        }
    }
}
