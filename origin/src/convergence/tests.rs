//! Rows of a table: edges as they stand, when it is, and how the region stands then.

use super::*;

const GRACE: SignedDuration = SignedDuration::from_secs(60);
const HOUR: i64 = 3_600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// Committed at second 100,000, which is when rows count from.
fn facts(edges: Vec<EdgeFacts>) -> Facts {
    Facts {
        committed_at: Some(at(100_000)),
        edges,
        ..Facts::default()
    }
}

/// Last heard from so many seconds after the commit.
fn edge(name: &str, last_seen: i64, holds: bool) -> EdgeFacts {
    EdgeFacts {
        edge: name.parse().unwrap(),
        last_seen: at(100_000 + last_seen),
        signed_off: false,
        holds,
        game_servers: GameServers::default(),
    }
}

fn signed_off(edge: EdgeFacts) -> EdgeFacts {
    EdgeFacts {
        signed_off: true,
        ..edge
    }
}

fn serving(edge: EdgeFacts, of: u64, applied: u64, deferred: u64) -> EdgeFacts {
    EdgeFacts {
        game_servers: GameServers {
            connected: of,
            received: applied + deferred,
            applied,
            deferred,
        },
        ..edge
    }
}

fn told(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Converged => "converged".to_owned(),
        Verdict::NotApplicable => "not applicable".to_owned(),
        Verdict::Breached(breach) => format!(
            "breached by {} nacks, {} entries",
            breach.nacks.len(),
            breach.quarantined.len()
        ),
        Verdict::Waiting(missing) => {
            let names = |edges: &[EdgeId]| {
                let names: Vec<_> = edges.iter().map(EdgeId::as_str).collect();
                names.join(",")
            };
            format!(
                "waiting{} live[{}] awaited[{}] servers {}",
                if missing.nobody_live { " nobody" } else { "" },
                names(&missing.live),
                names(&missing.awaited),
                missing.game_servers
            )
        }
    }
}

#[test]
fn every_live_edge_is_waited_for_and_those_away_during_the_grace() {
    let table: &[(&str, Vec<EdgeFacts>, i64, &str)] = &[
        (
            "no edge",
            vec![],
            1,
            "waiting nobody live[] awaited[] servers 0",
        ),
        (
            "all have it",
            vec![edge("a", 1, true), edge("b", 1, true)],
            1,
            "converged",
        ),
        (
            "a live one lacks it, however late it is",
            vec![edge("a", 9_000, true), edge("b", 9_000, false)],
            9_000,
            "waiting live[b] awaited[] servers 0",
        ),
        (
            "heard from 15 s ago is live",
            vec![edge("a", 0, true)],
            15,
            "converged",
        ),
        (
            "16 s is away, and nobody else is there",
            vec![edge("a", 0, true)],
            16,
            "waiting nobody live[] awaited[] servers 0",
        ),
        (
            "away within the grace",
            vec![edge("a", 59, true), edge("b", -30, false)],
            59,
            "waiting live[] awaited[b] servers 0",
        ),
        (
            "away after it",
            vec![edge("a", 60, true), edge("b", -30, false)],
            60,
            "converged",
        ),
        (
            "away, but has it",
            vec![edge("a", 30, true), edge("b", 1, true)],
            30,
            "converged",
        ),
        (
            "away for an hour is awaited",
            vec![edge("a", 10, true), edge("b", 10 - HOUR, false)],
            10,
            "waiting live[] awaited[b] servers 0",
        ),
        (
            "and for longer is not",
            vec![edge("a", 10, true), edge("b", 9 - HOUR, false)],
            10,
            "converged",
        ),
        (
            "signed off is not",
            vec![edge("a", 1, true), signed_off(edge("b", 1, false))],
            1,
            "converged",
        ),
        (
            "signed off is not live either",
            vec![signed_off(edge("a", 1, true))],
            1,
            "waiting nobody live[] awaited[] servers 0",
        ),
    ];
    for (what, edges, now, expected) in table {
        let verdict = facts(edges.clone()).edges(GRACE, at(100_000 + now));
        assert_eq!(told(&verdict), *expected, "{what}");
    }
}

#[test]
fn what_the_log_has_forgotten_is_beyond_every_grace() {
    let facts = Facts {
        committed_at: None,
        ..facts(vec![edge("a", 1, true), edge("b", -30, false)])
    };
    assert_eq!(told(&facts.edges(GRACE, at(100_001))), "converged");
}

#[test]
fn game_servers_are_those_of_live_edges_and_a_share_is_rounded_up() {
    let table: &[(&str, Vec<EdgeFacts>, u16, &str)] = &[
        ("no edge", vec![], 10_000, "not applicable"),
        (
            "no game server",
            vec![edge("a", 0, true)],
            10_000,
            "not applicable",
        ),
        (
            "all",
            vec![serving(edge("a", 0, true), 3, 3, 0)],
            10_000,
            "converged",
        ),
        (
            "one lacks it",
            vec![serving(edge("a", 0, true), 3, 2, 0)],
            10_000,
            "waiting live[] awaited[] servers 1",
        ),
        (
            "one plays on",
            vec![serving(edge("a", 0, true), 3, 2, 1)],
            10_000,
            "converged",
        ),
        (
            "half of three is two",
            vec![serving(edge("a", 0, true), 3, 2, 0)],
            5_000,
            "converged",
        ),
        (
            "and not one",
            vec![serving(edge("a", 0, true), 3, 1, 0)],
            5_000,
            "waiting live[] awaited[] servers 1",
        ),
        (
            "none is asked for",
            vec![serving(edge("a", 0, true), 3, 0, 0)],
            0,
            "converged",
        ),
        (
            "of two edges",
            vec![
                serving(edge("a", 0, true), 3, 3, 0),
                serving(edge("b", 0, true), 5, 1, 0),
            ],
            10_000,
            "waiting live[] awaited[] servers 4",
        ),
        (
            "those of an edge that is away have gone elsewhere",
            vec![
                serving(edge("a", 0, true), 3, 3, 0),
                serving(edge("b", -60, true), 5, 1, 0),
            ],
            10_000,
            "converged",
        ),
    ];
    for (what, edges, share, expected) in table {
        let share = BasisPoints::new(*share).unwrap();
        let verdict = facts(edges.clone()).game_servers(share, at(100_000));
        assert_eq!(told(&verdict), *expected, "{what}");
    }
}

#[test]
fn the_whole_is_the_worst_of_its_parts() {
    let nack = Nack {
        event: "sale".parse().unwrap(),
        revision: Some(Revision(3)),
        reason: "no such item".to_owned(),
        count: 1,
        first_at: at(0),
        last_at: at(0),
    };
    let quarantined = Quarantined {
        edge: "a".parse().unwrap(),
        key: EntryKey::Assignment("sale".parse().unwrap()),
        version: Version(7),
        reason: "too deep".to_owned(),
        since: at(0),
    };
    let content = facts(vec![serving(edge("a", 0, true), 2, 2, 0)]);
    let behind = facts(vec![serving(edge("a", 0, false), 2, 1, 0)]);
    let table: &[(&str, Facts, &str)] = &[
        ("all content", content.clone(), "converged"),
        (
            "no game servers",
            facts(vec![edge("a", 0, true)]),
            "converged",
        ),
        (
            "nobody is",
            behind.clone(),
            "waiting live[a] awaited[] servers 1",
        ),
        (
            "a game server is not",
            facts(vec![serving(edge("a", 0, true), 2, 1, 0)]),
            "waiting live[] awaited[] servers 1",
        ),
        (
            "one nack, after all had it",
            Facts {
                nacks: vec![nack.clone()],
                ..content.clone()
            },
            "breached by 1 nacks, 0 entries",
        ),
        (
            "an entry in quarantine",
            Facts {
                quarantined: vec![quarantined.clone()],
                ..content
            },
            "breached by 0 nacks, 1 entries",
        ),
        (
            "both, before anybody had it",
            Facts {
                nacks: vec![nack],
                quarantined: vec![quarantined],
                ..behind
            },
            "breached by 1 nacks, 1 entries",
        ),
    ];
    let rule = Rule {
        grace: GRACE,
        share: BasisPoints::ALL,
    };
    for (what, facts, expected) in table {
        assert_eq!(told(&facts.verdict(rule, at(100_000))), *expected, "{what}");
    }
}
