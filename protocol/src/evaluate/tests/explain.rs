//! An explanation names the rule that decided, with what it saw, whichever it is.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const BUILD: &str = "4.12";

/// Of the live revision and of the candidate: a least build, and a patience in seconds.
type Demand = (Option<&'static str>, Option<u32>);

fn demanding(revision: Revision, (build, patience): Demand) -> Content {
    let patience =
        patience.map(|seconds| crate::conditions::Patience::from_seconds(seconds).unwrap());
    Content {
        requires: Requires {
            min_build: build.map(|build| build.parse().unwrap()),
            ..Requires::default()
        },
        when_stale: patience.map_or(WhenStale::Keep, WhenStale::HideAfter),
        ..plain("event", revision, 0)
    }
}

/// Explained to player-1 with build 4.12, 60 s after the origin was last heard.
fn explained(assignment: &Assignment, now: i64, live: Demand, candidate: Demand) -> Value {
    let live = assignment.live.map(|revision| demanding(revision, live));
    let tried = assignment.candidate.as_ref();
    let candidate = tried.map(|tried| demanding(tried.revision, candidate));
    let offer = Offer {
        assignment,
        live: live.as_ref(),
        candidate: candidate.as_ref(),
        salted: None,
        segments: None,
    };
    let asker = Asker {
        keys: PLAYER,
        build: BUILD.parse().ok(),
        attributes: Attributes::default(),
    };
    let moment = Moment {
        now: at(now),
        age: Duration::from_secs(60),
    };
    let explanation = explain(offer, &asker, moment);
    assert_eq!(explanation.outcome, evaluate(offer, &asker, moment));
    serde_json::to_value(explanation).unwrap()
}

#[test]
fn every_rule_says_what_it_saw() {
    const FREE: Demand = (None, None);
    let suspension =
        json!({"rule": "Suspension", "admits": true, "paused": false, "stopped": false});
    let open = json!({
        "rule": "Schedule", "admits": true, "now": "1970-01-01T00:02:30Z",
        "opens": "1970-01-01T00:01:40Z", "closes": "1970-01-01T00:03:20Z",
    });
    let requires = |revision: u32| json!({"rule": "Requires", "admits": true, "revision": revision, "build": BUILD, "demanded": {}});
    let refusing = |revision: u32| {
        json!({
            "rule": "Requires", "admits": false, "revision": revision, "build": BUILD,
            "demanded": {"minBuild": "5.0"},
        })
    };
    let fresh = |revision: u32| json!({"rule": "WhenStale", "admits": true, "revision": revision, "ageMs": 60_000, "whenStale": "Keep"});
    let stale = |revision: u32| {
        json!({
            "rule": "WhenStale", "admits": false, "revision": revision, "ageMs": 60_000,
            "whenStale": {"hideAfter": "PT1M"},
        })
    };
    let bucket = bucket(SALT, "player-1");
    let exposure = |exposure: u16| {
        json!({
            "rule": "Exposure", "admits": bucket < exposure, "revision": 2, "bucketBy": "player",
            "key": "player-1", "bucket": bucket, "exposure": exposure,
        })
    };
    let live = json!({"rule": "Live", "admits": true, "revision": 1});

    let paused = Assignment {
        suspension: Suspension {
            paused: true,
            stopped: false,
        },
        ..assignment()
    };
    let first = Assignment {
        live: None,
        ..trying(0)
    };
    let by_match = Assignment {
        candidate: Some(Candidate {
            bucket_by: BucketBy("match".to_owned()),
            ..candidate(10_000)
        }),
        ..assignment()
    };
    let no_key = json!({
        "rule": "Exposure", "admits": false, "revision": 2, "bucketBy": "match", "exposure": 10_000,
    });
    let both = [suspension.clone(), open.clone()];
    let rows = [
        (
            explained(&paused, 150, FREE, FREE),
            "Suspended",
            vec![json!({"rule": "Suspension", "admits": false, "paused": true, "stopped": false})],
        ),
        (
            explained(&assignment(), 250, FREE, FREE),
            "Closed",
            vec![
                suspension.clone(),
                json!({
                    "rule": "Schedule", "admits": false, "now": "1970-01-01T00:04:10Z",
                    "opens": "1970-01-01T00:05:00Z", "closes": "1970-01-01T00:06:40Z",
                }),
            ],
        ),
        (
            explained(&assignment(), 400, FREE, FREE),
            "Closed",
            vec![
                suspension.clone(),
                json!({"rule": "Schedule", "admits": false, "now": "1970-01-01T00:06:40Z"}),
            ],
        ),
        (
            explained(&trying(10_000), 150, FREE, FREE),
            "Candidate",
            [&both[..], &[requires(2), exposure(10_000), fresh(2)]].concat(),
        ),
        (
            explained(&trying(0), 150, FREE, FREE),
            "Live",
            [
                &both[..],
                &[
                    requires(2),
                    exposure(0),
                    live.clone(),
                    requires(1),
                    fresh(1),
                ],
            ]
            .concat(),
        ),
        (
            explained(&by_match, 150, FREE, FREE),
            "Live",
            [
                &both[..],
                &[requires(2), no_key, live.clone(), requires(1), fresh(1)],
            ]
            .concat(),
        ),
        (
            explained(&first, 150, FREE, FREE),
            "Nothing",
            [
                &both[..],
                &[
                    requires(2),
                    exposure(0),
                    json!({"rule": "Live", "admits": false}),
                ],
            ]
            .concat(),
        ),
        (
            explained(&trying(10_000), 150, FREE, (Some("5.0"), None)),
            "Live",
            [
                &both[..],
                &[refusing(2), live.clone(), requires(1), fresh(1)],
            ]
            .concat(),
        ),
        (
            explained(&assignment(), 150, (Some("5.0"), None), FREE),
            "WrongBuild",
            [&both[..], &[live.clone(), refusing(1)]].concat(),
        ),
        (
            explained(&assignment(), 150, (None, Some(60)), FREE),
            "Stale",
            [&both[..], &[live, requires(1), stale(1)]].concat(),
        ),
        (
            explained(&trying(10_000), 150, FREE, (None, Some(60))),
            "Stale",
            [&both[..], &[requires(2), exposure(10_000), stale(2)]].concat(),
        ),
    ];
    for (explanation, outcome, rules) in rows {
        assert_eq!(explanation["eventId"], "event");
        assert_eq!(explanation["outcome"], outcome, "{explanation}");
        assert_eq!(explanation["rules"], Value::Array(rules), "{outcome}");
        let shown = match outcome {
            "Live" => json!(1),
            "Candidate" => json!(2),
            _ => Value::Null,
        };
        assert_eq!(explanation.get("revision").unwrap_or(&Value::Null), &shown);
    }
}

proptest! {
    /// Whoever reads down to the last rule knows the outcome.
    #[test]
    fn the_last_rule_decides(
        (paused, exposure, has_live, now) in (any::<bool>(), 0..=10_000_u16, any::<bool>(), 0..500_i64),
        builds in prop::array::uniform2(prop::sample::select(vec![None, Some("4"), Some("5")])),
        patience in prop::array::uniform2(prop::sample::select(vec![None, Some(60), Some(61)])),
    ) {
        let mut assignment = trying(exposure);
        assignment.suspension.paused = paused;
        assignment.live = assignment.live.filter(|_| has_live);
        let explanation = explained(&assignment, now, (builds[0], patience[0]), (builds[1], patience[1]));
        let rules = explanation["rules"].as_array().unwrap();
        let (last, others) = rules.split_last().unwrap();
        prop_assert_eq!(last["admits"] == true, explanation.get("revision").is_some());
        for rule in others {
            let of_candidate = rule["revision"] == 2 && rule["rule"] != "WhenStale";
            prop_assert!(rule["admits"] == true || of_candidate, "{}", rule);
        }
    }
}
