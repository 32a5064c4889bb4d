//! Every rule, their order, and the published cases.

mod explain;
mod segments;

use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::attribute::Attribute;
use crate::bucketing::bucket;
use crate::conditions::{Requires, WhenStale};
use crate::entry::{Delta, Entry};
use crate::id::EventId;
use crate::json_text::JsonText;
use crate::model::{BucketBy, EventType, Suspension};
use crate::schedule::{Occurrence, Schedule};
use crate::segment::Segment;
use crate::version::{BasisPoints, Epoch, Version};

const LIVE: Revision = Revision(1);
const TRIED: Revision = Revision(2);
const SALT: &str = "salt";
const PLAYER: Keys<'_> = Keys(&[("player", "player-1")]);
const NOBODY: Keys<'_> = Keys(&[]);

/// Judges with fresh news and contents that demand nothing.
fn judge(assignment: &Assignment, keys: Keys<'_>, now: Timestamp) -> Outcome {
    let of = |revision| plain("event", revision, 0);
    let live = assignment.live.map(of);
    let candidate = assignment.candidate.as_ref().map(|c| of(c.revision));
    let offer = Offer {
        assignment,
        live: live.as_ref(),
        candidate: candidate.as_ref(),
        salted: None,
        segments: None,
    };
    evaluate(offer, &keys.into(), Moment::fresh(now))
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn event(id: &str) -> EventId {
    EventId::new(id).unwrap()
}

fn schedule(times: &[(i64, i64)]) -> Schedule {
    let occurrence = |&(opens, closes)| Occurrence {
        opens: at(opens),
        closes: at(closes),
    };
    Schedule::new(times.iter().map(occurrence).collect()).unwrap()
}

fn candidate(exposure: u16) -> Candidate {
    Candidate {
        revision: TRIED,
        exposure: BasisPoints::new(exposure).unwrap(),
        bucket_by: BucketBy::default(),
    }
}

/// Open from 100 to 200 and from 300 to 400, live, nothing tried.
fn assignment() -> Assignment {
    Assignment {
        event_id: event("event"),
        salt: SALT.to_owned(),
        live: Some(LIVE),
        candidate: None,
        schedule: schedule(&[(100, 200), (300, 400)]),
        suspension: Suspension::default(),
        full: false,
    }
}

fn trying(exposure: u16) -> Assignment {
    Assignment {
        candidate: Some(candidate(exposure)),
        ..assignment()
    }
}

#[test]
fn the_schedule_is_half_open() {
    let closed = |opens: Option<i64>| Outcome::Closed {
        opens: opens.map(at),
    };
    let table = [
        ("long before", 0, closed(Some(100))),
        ("just before", 99, closed(Some(100))),
        ("at opens", 100, Outcome::Live(LIVE)),
        ("within", 199, Outcome::Live(LIVE)),
        ("at closes", 200, closed(Some(300))),
        ("between", 299, closed(Some(300))),
        ("at the next opens", 300, Outcome::Live(LIVE)),
        ("at the last closes", 400, closed(None)),
        ("long after", 9_999, closed(None)),
    ];
    for (when, now, expected) in table {
        assert_eq!(judge(&assignment(), PLAYER, at(now)), expected, "{when}");
    }
    let never = Assignment {
        schedule: Schedule::default(),
        ..assignment()
    };
    assert_eq!(judge(&never, PLAYER, at(150)), closed(None));
}

#[test]
fn a_microsecond_makes_the_difference() {
    let tick = jiff::SignedDuration::from_micros(1);
    let opens = at(100).checked_sub(tick).unwrap();
    let closes = at(200).checked_sub(tick).unwrap();
    assert_eq!(
        judge(&assignment(), PLAYER, opens).revision(),
        None,
        "one before opens"
    );
    assert_eq!(
        judge(&assignment(), PLAYER, closes).revision(),
        Some(LIVE),
        "one before closes"
    );
}

#[test]
fn either_suspension_hides_whatever_else_is_so() {
    for (paused, stopped) in [(true, false), (false, true), (true, true)] {
        for base in [assignment(), trying(10_000)] {
            let suspended = Assignment {
                suspension: Suspension { paused, stopped },
                ..base
            };
            for now in [0, 100, 150, 200, 9_999] {
                let outcome = judge(&suspended, PLAYER, at(now));
                assert_eq!(outcome, Outcome::Suspended, "{paused} {stopped} {now}");
                assert_eq!(outcome.revision(), None);
            }
        }
    }
}

#[test]
fn a_candidate_waits_for_the_opening_too() {
    let outcome = judge(&trying(10_000), PLAYER, at(99));
    assert_eq!(
        outcome,
        Outcome::Closed {
            opens: Some(at(100))
        }
    );
}

#[test]
fn exposure_decides_between_candidate_and_live() {
    let own = bucket(SALT, "player-1");
    assert!((1..9_999).contains(&own), "{own} lets the table tell");
    let table = [
        (0, false),
        (own, false),
        (own + 1, true),
        (9_999, true),
        (10_000, true),
    ];
    for (exposure, exposed) in table {
        let outcome = judge(&trying(exposure), PLAYER, at(150));
        let expected = if exposed {
            Outcome::Candidate(TRIED)
        } else {
            Outcome::Live(LIVE)
        };
        assert_eq!(outcome, expected, "at {exposure}");
        assert_eq!(outcome.revision(), Some(if exposed { TRIED } else { LIVE }));

        let first = Assignment {
            live: None,
            ..trying(exposure)
        };
        let expected = if exposed {
            Outcome::Candidate(TRIED)
        } else {
            Outcome::Nothing
        };
        let outcome = judge(&first, PLAYER, at(150));
        assert_eq!(outcome, expected, "nothing live, at {exposure}");
        assert_eq!(outcome.revision(), exposed.then_some(TRIED));
    }
}

#[test]
fn a_tenth_gets_a_thousand_basis_points_and_keeps_them() {
    let exposed = |exposure, player: &str| {
        judge(&trying(exposure), Keys(&[("player", player)]), at(150)) == Outcome::Candidate(TRIED)
    };
    let players: Vec<_> = (0..10_000).map(|i| format!("player-{i}")).collect();
    let tenth: Vec<_> = players.iter().filter(|p| exposed(1_000, p)).collect();
    assert!(tenth.len().abs_diff(1_000) < 150, "{}", tenth.len());
    assert!(tenth.iter().all(|player| exposed(3_000, player)));
}

#[test]
fn a_missing_key_is_not_exposed() {
    assert_eq!(judge(&trying(10_000), NOBODY, at(150)), Outcome::Live(LIVE));
    let first = Assignment {
        live: None,
        ..trying(10_000)
    };
    assert_eq!(judge(&first, NOBODY, at(150)), Outcome::Nothing);
}

#[test]
fn the_candidate_names_the_key_that_decides() {
    let by_match = Assignment {
        candidate: Some(Candidate {
            bucket_by: BucketBy("match".to_owned()),
            ..candidate(5_000)
        }),
        ..assignment()
    };
    let (inside, outside): (Vec<_>, Vec<_>) = (0..100)
        .map(|i| format!("match-{i}"))
        .partition(|key| bucket(SALT, key) < 5_000);
    let (inside, outside) = (inside.first().unwrap(), outside.first().unwrap());
    for player in ["player-1", "player-2", "player-3"] {
        let outcome = |key| {
            let keys = [("player", player), ("match", key)];
            judge(&by_match, Keys(&keys), at(150))
        };
        assert_eq!(outcome(inside), Outcome::Candidate(TRIED));
        assert_eq!(outcome(outside), Outcome::Live(LIVE));
    }
    assert_eq!(judge(&by_match, PLAYER, at(150)), Outcome::Live(LIVE));
}

#[test]
fn keys_are_found_by_their_whole_name() {
    let keys = Keys(&[("player", "a"), ("match", ""), ("player", "b")]);
    assert_eq!(keys.find("player"), Some("a"), "the first of a name");
    assert_eq!(keys.find("match"), Some(""), "an empty key is a key");
    assert_eq!(keys.find("Player"), None);
    assert_eq!(keys.find("play"), None);
}

fn content(id: &str, revision: Revision, priority: i32) -> Entry {
    plain(id, revision, priority).into()
}

fn plain(id: &str, revision: Revision, priority: i32) -> Content {
    Content {
        event_id: event(id),
        revision,
        event_type: EventType::LimitedTimeOffer,
        display_name: id.to_owned(),
        description: String::new(),
        category: None,
        priority,
        tags: Vec::new(),
        localizations: BTreeMap::new(),
        requires: Requires::default(),
        when_stale: WhenStale::Keep,
        target_segments: Vec::new(),
        exclude_segments: Vec::new(),
        configuration: JsonText::empty_object(),
    }
}

fn state(entries: Vec<Entry>) -> RegionState {
    let epoch = Epoch(uuid::Uuid::nil());
    RegionState::empty(epoch)
        .apply(&Delta::of_row(epoch, Version(1), entries))
        .unwrap()
}

fn named(id: &str, base: Assignment) -> Entry {
    Assignment {
        event_id: event(id),
        ..base
    }
    .into()
}

fn names(shown: &[Shown<'_>]) -> Vec<(String, u32, bool)> {
    shown
        .iter()
        .map(|s| {
            assert_eq!(s.assignment.event_id, s.content.event_id);
            let Revision(revision) = s.content.revision;
            (s.content.event_id.to_string(), revision, s.candidate)
        })
        .collect()
}

#[test]
fn shown_are_the_open_ones_by_priority_then_name() {
    let state = state(vec![
        content("b-high", LIVE, 10),
        named("b-high", assignment()),
        content("a-high", LIVE, 10),
        named("a-high", assignment()),
        content("below-zero", LIVE, -5),
        named("below-zero", assignment()),
        content("highest", LIVE, -10),
        content("highest", TRIED, 20),
        named("highest", trying(10_000)),
        content("paused", LIVE, 99),
        named(
            "paused",
            Assignment {
                suspension: Suspension {
                    paused: true,
                    stopped: false,
                },
                ..assignment()
            },
        ),
        content("over", LIVE, 99),
        named(
            "over",
            Assignment {
                schedule: schedule(&[(0, 150)]),
                ..assignment()
            },
        ),
    ]);
    let now = shown(&state, &PLAYER.into(), Moment::fresh(at(150)));
    assert_eq!(
        names(&now),
        [
            ("highest".to_owned(), 2, true),
            ("a-high".to_owned(), 1, false),
            ("b-high".to_owned(), 1, false),
            ("below-zero".to_owned(), 1, false),
        ]
    );
    assert!(now.iter().all(|s| s.closes == Some(at(200))));
    let unnamed = names(&shown(&state, &NOBODY.into(), Moment::fresh(at(150))));
    assert_eq!(
        unnamed.last(),
        Some(&("highest".to_owned(), 1, false)),
        "the live revision has a priority of its own"
    );
    assert!(shown(&state, &PLAYER.into(), Moment::fresh(at(250))).is_empty());
}

#[test]
fn what_has_no_content_is_skipped() {
    let state = state(vec![
        named("no-content", assignment()),
        content("no-candidate", LIVE, 0),
        named("no-candidate", trying(10_000)),
        content("whole", LIVE, 0),
        named("whole", assignment()),
        content("no-assignment", LIVE, 0),
    ]);
    assert_eq!(
        names(&shown(&state, &PLAYER.into(), Moment::fresh(at(150)))),
        [
            ("no-candidate".to_owned(), 1, false),
            ("whole".to_owned(), 1, false)
        ],
        "who would get a candidate that is not there gets what everybody gets"
    );
    assert_eq!(
        names(&shown(&state, &NOBODY.into(), Moment::fresh(at(150)))),
        [
            ("no-candidate".to_owned(), 1, false),
            ("whole".to_owned(), 1, false)
        ]
    );
}

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Case {
    name: String,
    assignment: Assignment,
    keys: BTreeMap<String, String>,
    #[serde(default)]
    build: Option<Build>,
    now: Timestamp,
    /// Since the origin was last heard.
    #[serde(default)]
    age_seconds: u64,
    /// What is known of the player.
    #[serde(default)]
    attributes: BTreeMap<String, Attribute>,
    /// Those that are held.
    #[serde(default)]
    segments: Vec<Segment>,
    /// Of each revision that demands something.
    #[serde(default)]
    contents: BTreeMap<u32, Demands>,
    outcome: Expected,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Demands {
    requires: Requires,
    when_stale: WhenStale,
    target_segments: Vec<SegmentId>,
    exclude_segments: Vec<SegmentId>,
}

impl Case {
    fn content(&self, revision: Revision) -> Content {
        let demands = self.contents.get(&revision.0);
        Content {
            requires: demands.map(|d| d.requires).unwrap_or_default(),
            when_stale: demands.map(|d| d.when_stale).unwrap_or_default(),
            target_segments: demands
                .map(|d| d.target_segments.clone())
                .unwrap_or_default(),
            exclude_segments: demands
                .map(|d| d.exclude_segments.clone())
                .unwrap_or_default(),
            ..plain("event", revision, 0)
        }
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    kind: String,
    #[serde(default)]
    revision: Option<Revision>,
    #[serde(default)]
    opens: Option<Timestamp>,
}

#[test]
fn agrees_with_the_published_cases() {
    let vectors: Vectors =
        serde_json::from_str(include_str!("../../vectors/evaluation.json")).unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    for case in &vectors.cases {
        let keys: Vec<_> = case
            .keys
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let assignment = &case.assignment;
        let live = assignment.live.map(|revision| case.content(revision));
        let candidate = assignment.candidate.as_ref();
        let candidate = candidate.map(|candidate| case.content(candidate.revision));
        let segments: Segments = case.segments.iter().cloned().collect();
        let offer = Offer {
            assignment,
            live: live.as_ref(),
            candidate: candidate.as_ref(),
            salted: None,
            segments: Some(&segments),
        };
        let asker = Asker {
            keys: Keys(&keys),
            build: case.build,
            attributes: Attributes::new(&case.attributes),
        };
        let at = Moment {
            now: case.now,
            age: Duration::from_secs(case.age_seconds),
        };
        let outcome = evaluate(offer, &asker, at);
        let (kind, revision, opens) = match outcome {
            Outcome::Suspended => ("Suspended", None, None),
            Outcome::Closed { opens } => ("Closed", None, opens),
            Outcome::Nothing => ("Nothing", None, None),
            Outcome::WrongBuild(revision) => ("WrongBuild", Some(revision), None),
            Outcome::OutsideSegments(revision) => ("OutsideSegments", Some(revision), None),
            Outcome::Stale(revision) => ("Stale", Some(revision), None),
            Outcome::Live(revision) => ("Live", Some(revision), None),
            Outcome::Candidate(revision) => ("Candidate", Some(revision), None),
        };
        let got = Expected {
            kind: kind.to_owned(),
            revision,
            opens,
        };
        assert_eq!(got, case.outcome, "{}", case.name);
        kinds.insert(kind);
    }
    assert!(vectors.cases.len() >= 48 && kinds.len() == 8);
}
