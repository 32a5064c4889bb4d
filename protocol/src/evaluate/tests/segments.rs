//! Segments among the other rules, and what an explanation says of them.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn segments(json: Value) -> Segments {
    let all: Vec<Segment> = serde_json::from_value(json).unwrap();
    all.into_iter().collect()
}

fn ids(names: &[&str]) -> Vec<SegmentId> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn content(revision: Revision, targets: &[&str], excludes: &[&str]) -> Content {
    Content {
        target_segments: ids(targets),
        exclude_segments: ids(excludes),
        ..plain("event", revision, 0)
    }
}

#[test]
fn an_explanation_names_the_segment_and_the_criterion_that_decided() {
    let held = segments(json!([
        {"segmentId": "vip", "revision": 3, "criteria": {"levelRange": [10, null], "countryCodes": ["DE"]}},
        {"segmentId": "new", "revision": 1, "criteria": {"accountAgeDays": [null, 7], "include": ["player-1"]}},
        {"segmentId": "risk", "revision": 2, "criteria": {"customCriteria": {"churn": {"range": [0.5, 1]}}}},
    ]));
    let attributes: BTreeMap<String, Attribute> =
        serde_json::from_value(json!({"level": 12, "country": "FR", "churn": 0.75})).unwrap();
    let asker = Asker {
        keys: PLAYER,
        build: None,
        attributes: Attributes::new(&attributes),
    };
    let assignment = assignment();
    let explained = |targets, excludes| {
        let live = content(LIVE, targets, excludes);
        let offer = Offer {
            assignment: &assignment,
            live: Some(&live),
            candidate: None,
            salted: None,
            segments: Some(&held),
        };
        let at = Moment::fresh(at(150));
        let explanation = explain(offer, &asker, at);
        assert_eq!(explanation.outcome, evaluate(offer, &asker, at));
        let outcome = explanation.outcome.as_str();
        let rules = explanation.rules.iter();
        let segments = rules.filter(|step| matches!(step.finding, Finding::Segments { .. }));
        let segments: Vec<_> = segments.collect();
        (outcome, serde_json::to_value(segments).unwrap())
    };
    let vip = json!({
        "segmentId": "vip", "revision": 3, "membership": "Fails", "criteria": [
            {"attribute": "level", "demanded": [10, null], "seen": 12, "holds": true},
            {"attribute": "country", "demanded": ["DE"], "seen": "FR", "holds": false},
        ],
    });
    let risk = json!({
        "segmentId": "risk", "revision": 2, "membership": "Meets", "criteria": [
            {"attribute": "churn", "demanded": {"range": [0.5, 1]}, "seen": 0.75, "holds": true},
        ],
    });
    let new = json!({"segmentId": "new", "revision": 1, "membership": "Included"});
    let gone = json!({"segmentId": "gone", "membership": "Missing"});
    let rule = |admits, targets: &[&Value], excludes: &[&Value]| {
        let mut rule = json!({"rule": "Segments", "admits": admits, "revision": 1});
        if !targets.is_empty() {
            rule["targets"] = json!(targets);
        }
        if !excludes.is_empty() {
            rule["excludes"] = json!(excludes);
        }
        json!([rule])
    };
    assert_eq!(explained(&[], &[]), ("Live", json!([])));
    assert_eq!(
        explained(&["vip"], &[]),
        ("OutsideSegments", rule(false, &[&vip], &[]))
    );
    assert_eq!(
        explained(&["vip", "new"], &[]),
        ("Live", rule(true, &[&vip, &new], &[]))
    );
    assert_eq!(
        explained(&["new"], &["risk"]),
        ("OutsideSegments", rule(false, &[&new], &[&risk]))
    );
    assert_eq!(
        explained(&["gone"], &["vip"]),
        ("OutsideSegments", rule(false, &[&gone], &[&vip]))
    );
    assert_eq!(
        explained(&[], &["gone"]),
        ("OutsideSegments", rule(false, &[], &[&gone]))
    );
}

#[test]
fn a_state_without_segments_admits_to_none() {
    let live = content(LIVE, &["vip"], &[]);
    let assignment = assignment();
    let offer = |segments| Offer {
        assignment: &assignment,
        live: Some(&live),
        candidate: None,
        salted: None,
        segments,
    };
    let nobody = Segments::default();
    for held in [None, Some(&nobody)] {
        assert_eq!(
            evaluate(offer(held), &PLAYER.into(), Moment::fresh(at(150))),
            Outcome::OutsideSegments(LIVE)
        );
    }
}

#[test]
fn a_state_finds_its_own_segments() {
    let vip = |revision: u32, level: u32| -> Entry {
        let criteria = json!({"levelRange": [level, null]});
        let segment = json!({"segmentId": "vip", "revision": revision, "criteria": criteria});
        serde_json::from_value::<Segment>(segment).unwrap().into()
    };
    let first = state(vec![
        vip(1, 10),
        content(LIVE, &["vip"], &[]).into(),
        assignment().into(),
    ]);
    let row = |version, entries| Delta::of_row(first.epoch(), Version(version), entries);
    let second = first.apply(&row(2, vec![vip(2, 20)])).unwrap();
    let gone = Entry::Removal(crate::entry::EntryKey::Segment("vip".parse().unwrap()));
    let third = second.apply(&row(3, vec![gone])).unwrap();
    let attributes = [("level".to_owned(), Attribute::Number(15.into()))].into();
    let asker = Asker {
        keys: PLAYER,
        build: None,
        attributes: Attributes::new(&attributes),
    };
    let count = |state: &RegionState| shown(state, &asker, Moment::fresh(at(150))).len();
    assert_eq!((count(&first), count(&second), count(&third)), (1, 0, 0));
}

proptest! {
    /// Whoever is exposed stays so, in whatever segments, and segments take nobody in that exposure does not.
    #[test]
    fn raising_the_exposure_keeps_the_exposed(
        player in "[a-z0-9]{1,12}",
        levels in (0..40_u32, 0..40_u32, 0..40_u32),
        (low, high) in (0..=10_000_u16, 0..=10_000_u16).prop_map(|(a, b)| (a.min(b), a.max(b))),
        excluded: bool,
    ) {
        let (level, target, exclude) = levels;
        let held = segments(json!([
            {"segmentId": "target", "revision": 1, "criteria": {"levelRange": [target, null]}},
            {"segmentId": "exclude", "revision": 1, "criteria": {"levelRange": [exclude, null]}},
        ]));
        let excludes: &[&str] = if excluded { &["exclude"] } else { &[] };
        let (live, tried) = (plain("event", LIVE, 0), content(TRIED, &["target"], excludes));
        let attributes = [("level".to_owned(), Attribute::Number(level.into()))].into();
        let keys = [("player", player.as_str())];
        let asker = Asker { keys: Keys(&keys), build: None, attributes: Attributes::new(&attributes) };
        let gets = |exposure| {
            let assignment = trying(exposure);
            let offer = Offer {
                assignment: &assignment,
                live: Some(&live),
                candidate: Some(&tried),
                salted: None,
                segments: Some(&held),
            };
            evaluate(offer, &asker, Moment::fresh(at(150))) == Outcome::Candidate(TRIED)
        };
        let belongs = level >= target && !(excluded && level >= exclude);
        prop_assert!(!gets(low) || gets(high));
        prop_assert_eq!(gets(high), belongs && bucket(SALT, &player) < high);
    }
}
