//! What edges report of their game servers, and of what they could not apply, is judged, kept and added up.

use std::time::Duration;

use liveevents_origin::convergence::{GameServers, Rule, Verdict};
use liveevents_origin::limits::CONVERGENCE_GRACE;
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::delay::Delays;
use liveevents_protocol::entry::EntryKey;
use liveevents_protocol::frame::{Arrivals, Delivery, EdgeFrame, Nack, Quarantined, Standing};
use liveevents_protocol::id::{BootId, ChangeId};
use liveevents_protocol::position::Position;
use liveevents_protocol::version::{BasisPoints, Epoch, Revision, Version};
use sqlx::PgPool;

use super::edge::ScriptedEdge;
use super::origin::{Origin, now};

const REGION: &str = "us-east";
const RULE: Rule = Rule {
    grace: CONVERGENCE_GRACE,
    share: BasisPoints::ALL,
};

/// An edge that stands at the head.
async fn current(origin: &Origin, edge: &str) -> (ScriptedEdge, Position) {
    let boot = BootId(uuid::Uuid::new_v4());
    let mut this = ScriptedEdge::enter(origin, edge, REGION, boot).await;
    let Position { epoch, version, .. } = origin.sealed(REGION).await.position;
    this.send(&EdgeFrame::Ack {
        region: REGION.parse().unwrap(),
        epoch,
        version,
        applied_at: now(),
    })
    .await;
    (this, origin.sealed(REGION).await.position)
}

/// A report of so many game servers, of which some have received, applied and deferred a version.
fn report(epoch: Epoch, connected: u32, standings: &[(u64, [u32; 3])]) -> Delivery {
    Delivery {
        region: REGION.parse().unwrap(),
        epoch,
        connected,
        standings: standings
            .iter()
            .map(|&(version, [received, applied, deferred])| Standing {
                version: Version(version),
                received,
                applied,
                deferred,
            })
            .collect(),
        arrivals: Vec::new(),
        nacks: Vec::new(),
    }
}

fn took(version: u64, millis: impl IntoIterator<Item = u64>) -> Arrivals {
    let mut delays = Delays::default();
    for millis in millis {
        delays.record(Duration::from_millis(millis));
    }
    Arrivals {
        version: Version(version),
        delays,
    }
}

fn nack(version: u64, reason: &str, count: u32) -> Nack {
    Nack {
        event: "sale".parse().unwrap(),
        revision: Some(Revision(1)),
        version: Version(version),
        count,
        reason: reason.to_owned(),
    }
}

async fn until_counted(origin: &Origin, change: ChangeId, expected: [u64; 4]) {
    let [connected, received, applied, deferred] = expected;
    let expected = GameServers {
        connected,
        received,
        applied,
        deferred,
    };
    let counted = |told: &GameServers| *told == expected;
    origin
        .until_progress(change, &format!("{expected:?}"), |progress| {
            counted(&progress.facts.counted(now()))
        })
        .await;
}

#[sqlx::test(migrations = "../migrations")]
async fn what_game_servers_hold_adds_up_over_edges_and_the_newest_word_counts(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let first = origin.change(REGION, 100).await;
    let second = origin.change(REGION, 200).await;
    let (mut a, Position { epoch, .. }) = current(&origin, "a").await;
    let (mut b, _) = current(&origin, "b").await;
    let delivery = |delivery| EdgeFrame::Delivery(delivery);

    a.send(&delivery(report(
        epoch,
        10,
        &[(1, [4, 6, 0]), (2, [6, 3, 1])],
    )))
    .await;
    b.send(&delivery(report(epoch, 5, &[(2, [5, 5, 0])]))).await;
    until_counted(&origin, first, [15, 15, 14, 1]).await;
    until_counted(&origin, second, [15, 11, 8, 1]).await;
    let rule = RULE;
    let told = origin
        .until_progress(second, "both edges acked", |progress| {
            progress.facts.edges.iter().all(|edge| edge.holds)
        })
        .await;
    let Verdict::Waiting(missing) = told.facts.verdict(rule, now()) else {
        panic!("{:?}", told.facts);
    };
    assert_eq!((missing.game_servers, missing.live.len()), (6, 0));

    a.send(&delivery(report(epoch, 10, &[(2, [10, 9, 1])])))
        .await;
    until_counted(&origin, second, [15, 15, 14, 1]).await;
    let told = origin.until_progress(second, "something", |_| true).await;
    assert_eq!(told.facts.verdict(rule, now()), Verdict::Converged);
    origin
        .until_metric("liveevents_game_servers{region=\"us-east\"} 15")
        .await;
    origin
        .until_metric("liveevents_game_servers_current{region=\"us-east\"} 14")
        .await;

    // The game servers of an edge that leaves on purpose are at other edges, and counted there.
    b.send(&EdgeFrame::Bye).await;
    until_counted(&origin, second, [10, 10, 9, 1]).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn times_of_deliveries_add_up_over_reports_and_edges(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let change = origin.change(REGION, 100).await;
    let (mut a, Position { epoch, .. }) = current(&origin, "a").await;
    let (mut b, _) = current(&origin, "b").await;
    for (teller, millis) in [('a', 1..50), ('a', 50..90), ('b', 90..101)] {
        let mut delivery = report(epoch, 100, &[(1, [100, 100, 0])]);
        delivery.arrivals = vec![took(1, millis)];
        let edge = if teller == 'a' { &mut a } else { &mut b };
        edge.send(&EdgeFrame::Delivery(delivery)).await;
    }
    let told = origin
        .until_progress(change, "all times were told", |progress| {
            let took = progress.to_game_servers;
            took.is_some_and(|took| {
                (50..63).contains(&took.p50.as_millis()) && took.last.as_millis() == 100
            })
        })
        .await;
    let p99 = told.to_game_servers.unwrap().p99.as_millis();
    assert!((99..=100).contains(&p99), "{p99}");
    origin
        .until_metric("liveevents_delivery_seconds_count{region=\"us-east\"} 100")
        .await;
    let text = origin.scrape.render().unwrap();
    let within = |bound: &str| -> u64 {
        let line =
            format!("liveevents_delivery_seconds_bucket{{region=\"us-east\",le=\"{bound}\"}} ");
        let line = text.lines().find_map(|told| told.strip_prefix(&line));
        line.unwrap().parse().unwrap()
    };
    assert!(within("0.0005") == 0 && (40..=50).contains(&within("0.05")) && within("+Inf") == 100);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_nack_breaches_also_after_the_ack_and_is_counted_by_event_and_reason(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let first = origin.change(REGION, 100).await;
    let second = origin.change(REGION, 200).await;
    let (mut a, Position { epoch, .. }) = current(&origin, "a").await;
    let (mut b, _) = current(&origin, "b").await;
    origin
        .until_progress(second, "both edges acked", |progress| {
            let edges = &progress.facts.edges;
            edges.len() == 2 && edges.iter().all(|edge| edge.holds)
        })
        .await;
    for (teller, nacks) in [
        (
            'a',
            vec![nack(2, "no such item", 2), nack(2, "too large", 1)],
        ),
        ('a', vec![nack(2, "no such item", 3)]),
        ('b', vec![nack(2, "no such item", 1)]),
    ] {
        let mut delivery = report(epoch, 10, &[(2, [10, 10, 0])]);
        delivery.nacks = nacks;
        let edge = if teller == 'a' { &mut a } else { &mut b };
        edge.send(&EdgeFrame::Delivery(delivery)).await;
    }
    let told = origin
        .until_progress(second, "seven have complained", |progress| {
            progress
                .facts
                .nacks
                .iter()
                .map(|nack| nack.count)
                .sum::<u64>()
                == 7
        })
        .await;
    let counts: Vec<_> = told
        .facts
        .nacks
        .iter()
        .map(|nack| (&*nack.reason, nack.count))
        .collect();
    assert_eq!(counts, [("no such item", 6), ("too large", 1)]);
    let nack = &told.facts.nacks[0];
    assert_eq!(
        (nack.event.as_str(), nack.revision),
        ("sale", Some(Revision(1)))
    );
    assert!(nack.first_at < nack.last_at);
    assert!(matches!(
        told.facts.verdict(RULE, now()),
        Verdict::Breached(_)
    ));
    let before = origin
        .until_progress(first, "the change before", |_| true)
        .await;
    assert_eq!(before.facts.nacks, []);
    assert_eq!(before.facts.verdict(RULE, now()), Verdict::Converged);
    origin
        .until_metric("liveevents_nacks_total{region=\"us-east\"} 7")
        .await;

    // What is told of rows goes with the rows.
    origin.change(REGION, 300).await;
    origin.change(REGION, 400).await;
    origin.compact(REGION, 1).await;
    let told = origin.until_progress(second, "the change", |_| true).await;
    assert_eq!(
        (told.facts.nacks, told.facts.committed_at),
        (Vec::new(), None)
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn entries_in_quarantine_are_kept_whole_and_go_when_all_is_well(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let first = origin.change(REGION, 100).await;
    let second = origin.change(REGION, 200).await;
    let (mut edge, _) = current(&origin, "a").await;
    let entry = |key, version, reason: &str| Quarantined {
        key,
        version: Version(version),
        reason: reason.to_owned(),
    };
    let content = EntryKey::Content("sale".parse().unwrap(), Revision(1));
    let assignment = EntryKey::Assignment("sale".parse().unwrap());
    let degraded = |entries| EdgeFrame::Degraded {
        region: REGION.parse().unwrap(),
        entries,
    };
    let both = vec![
        entry(content.clone(), 1, "too deep"),
        entry(assignment.clone(), 2, "no content"),
    ];
    edge.send(&degraded(both)).await;
    let told = origin
        .until_edges("two entries are degraded", |edges| {
            edges[0].degraded.len() == 2
        })
        .await;
    let since = told[0].degraded[0].1.since;
    for (change, key) in [(first, &content), (second, &assignment)] {
        let told = origin
            .until_progress(change, "its entry is named", |progress| {
                !progress.facts.quarantined.is_empty()
            })
            .await;
        let [only] = told.facts.quarantined.as_slice() else {
            panic!("{:?}", told.facts.quarantined);
        };
        assert_eq!((only.edge.as_str(), &only.key), ("a", key));
        assert!(matches!(
            told.facts.verdict(RULE, now()),
            Verdict::Breached(_)
        ));
    }
    origin
        .until_metric("liveevents_quarantined_entries{region=\"us-east\"} 2")
        .await;

    // Offered again with a later version, it fails again: for the same reason since the same time.
    edge.send(&degraded(vec![entry(content, 2, "too deep still")]))
        .await;
    let told = origin
        .until_edges("one entry is degraded", |edges| {
            edges[0].degraded.len() == 1
        })
        .await;
    let (_, left) = &told[0].degraded[0];
    assert_eq!(
        (left.version, &*left.reason, left.since),
        (Version(2), "too deep still", since)
    );

    // It comes again and says so again: nothing changes. Then it says that it is there.
    let (mut edge, _) = current(&origin, "a").await;
    edge.send(&degraded(vec![entry(assignment.clone(), 2, "again")]))
        .await;
    edge.send(&EdgeFrame::Heartbeat { sent_at: now() }).await;
    origin
        .until_edges("the other one is degraded", |edges| {
            let [(_, only)] = edges[0].degraded.as_slice() else {
                return false;
            };
            only.key == assignment && edges[0].clock_offset.is_some()
        })
        .await;
    // It comes again with nothing to complain of, and does not say so.
    drop(edge);
    let (mut edge, _) = current(&origin, "a").await;
    edge.send(&EdgeFrame::Heartbeat { sent_at: now() }).await;
    origin
        .until_edges("nothing is degraded", |edges| edges[0].degraded.is_empty())
        .await;

    edge.send(&degraded(vec![entry(assignment, 2, "once more")]))
        .await;
    origin
        .until_edges("it is degraded", |edges| !edges[0].degraded.is_empty())
        .await;
    edge.send(&degraded(Vec::new())).await;
    origin
        .until_edges("nothing is degraded", |edges| edges[0].degraded.is_empty())
        .await;
    let told = origin.until_progress(second, "the change", |_| true).await;
    assert_eq!(told.facts.quarantined, []);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_edges_word_is_about_its_regions_and_what_it_was_sent(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let change = origin.change(REGION, 100).await;
    let epoch = origin.epoch().await;
    let elsewhere = Delivery {
        region: "eu-west".parse().unwrap(),
        ..report(epoch, 1, &[])
    };
    let mut arrived = report(epoch, 1, &[]);
    arrived.arrivals = vec![took(2, [1])];
    let mut nacked = report(epoch, 1, &[]);
    nacked.nacks = vec![nack(2, "no", 1)];
    let later = report(Epoch(uuid::Uuid::max()), 1, &[]);
    let false_ones = [
        EdgeFrame::Delivery(elsewhere),
        EdgeFrame::Delivery(report(epoch, 1, &[(2, [1, 1, 0])])),
        EdgeFrame::Delivery(arrived),
        EdgeFrame::Delivery(nacked),
        EdgeFrame::Delivery(later),
        EdgeFrame::Degraded {
            region: "eu-west".parse().unwrap(),
            entries: Vec::new(),
        },
    ];
    for frame in false_ones {
        let (mut edge, _) = current(&origin, "a").await;
        edge.send(&frame).await;
        assert_eq!(
            edge.closed().await,
            Some(CloseReason::Malformed),
            "{frame:?}"
        );
    }

    // Of an epoch before, it was under way while this one began.
    let (mut edge, _) = current(&origin, "a").await;
    edge.send(&EdgeFrame::Delivery(report(
        Epoch(uuid::Uuid::nil()),
        7,
        &[(9, [7, 7, 0])],
    )))
    .await;
    edge.send(&EdgeFrame::Delivery(report(epoch, 3, &[(1, [3, 3, 0])])))
        .await;
    until_counted(&origin, change, [3, 3, 3, 0]).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_clock_that_is_ahead_is_told(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let (mut edge, _) = current(&origin, "a").await;
    let ahead = jiff::SignedDuration::from_secs(90);
    edge.send(&EdgeFrame::Heartbeat {
        sent_at: now() + ahead,
    })
    .await;
    let told = origin
        .until_edges("the offset is known", |edges| {
            edges[0].clock_offset.is_some()
        })
        .await;
    let offset = told[0].clock_offset.unwrap().as_secs_f64();
    // The heartbeat may have been slow, and never early.
    assert!((60.0..=91.0).contains(&offset), "{offset}");
    assert_eq!(told[0].build.as_deref(), Some("1.2.3"));
}
