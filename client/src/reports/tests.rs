//! Every report counts once, whatever becomes of connections and of what was told.

use std::collections::BTreeMap;
use std::time::Duration;

use liveevents_protocol::engagement::{Happening, Seen};
use proptest::prelude::*;

use super::*;

const EVERY: Duration = Duration::from_millis(250);

fn report(player: &str) -> Report {
    Report {
        event_id: "sale".parse().unwrap(),
        player: player.to_owned(),
        happening: Happening::Participation,
        seen: Seen::default(),
        attributes: BTreeMap::new(),
        platform: None,
    }
}

fn players(batch: &Batch) -> Vec<String> {
    let player = |report: &Value| report["player"].as_str().unwrap().to_owned();
    batch.reports.iter().map(player).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_reported_together_is_one_batch_after_a_while() {
    let (reports, mut told) = (Reports::new(), Told::default());
    reports.add(&report("a")).unwrap();
    reports.add(&report("b")).unwrap();
    assert_eq!(reports.next(&mut told, EVERY, false), None);
    let due = reports.due_at(&told, EVERY).unwrap();
    assert_eq!(due - Instant::now(), EVERY);
    tokio::time::advance(EVERY).await;
    let batch = reports.next(&mut told, EVERY, false).unwrap();
    assert_eq!(
        (batch.batch, players(&batch)),
        (1, vec!["a".to_owned(), "b".to_owned()])
    );
    assert_eq!(reports.due_at(&told, EVERY), None);
    reports.counted(&mut told, batch.session, 1, &[]);
    let reported = reports.reported().borrow().clone();
    assert_eq!((reported.counted, reported.waiting), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn one_batch_is_told_until_the_edge_has_answered() {
    let (reports, mut told) = (Reports::new(), Told::default());
    for player in ["a", "b", "c"] {
        reports.add(&report(player)).unwrap();
        tokio::time::advance(EVERY).await;
        // So that each is a batch of its own.
        let _ = reports.next(&mut Told::default(), EVERY, false);
    }
    let first = reports.next(&mut told, EVERY, false).unwrap();
    assert_eq!(reports.next(&mut told, EVERY, false), None);
    reports.counted(&mut told, first.session, 1, &[]);
    let rest = [(); 2].map(|()| reports.next(&mut told, EVERY, false).unwrap().batch);
    assert_eq!(rest, [2, 3]);
    // Another connection begins with what is not counted.
    let again = reports.next(&mut Told::default(), EVERY, false).unwrap();
    assert_eq!(again.batch, 2);
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_lost_what_it_counted_is_told_the_rest_in_another_session() {
    let (reports, mut told) = (Reports::new(), Told::default());
    for player in ["a", "b"] {
        reports.add(&report(player)).unwrap();
        let _ = reports.next(&mut told, EVERY, true).unwrap();
        told.answered = true;
    }
    let session = reports.state.lock().session;
    reports.counted(&mut told, session, 1, &[]);
    reports.resend(&mut told, session, 1, Duration::ZERO);
    let batch = reports.next(&mut told, EVERY, false).unwrap();
    assert_ne!(batch.session, session);
    assert_eq!((batch.batch, players(&batch)), (1, vec!["b".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_is_dropped_and_said_to_be() {
    let reports = Reports::new();
    let long = "p".repeat(10_000);
    let room = (0..)
        .find(|_| reports.add(&report(&long)).is_err())
        .unwrap();
    assert_eq!(reports.add(&report(&long)), Err(ReportError::Full));
    assert_eq!(
        reports.add(&report(&"p".repeat(MAX_REPORT))),
        Err(ReportError::TooLarge)
    );
    let reported = reports.reported().borrow().clone();
    assert_eq!((reported.waiting, reported.dropped), (room, 3));
    assert!(reports.state.lock().bytes <= REPORTS_BYTES);
    // Those that are counted make room.
    let mut told = Told::default();
    let batch = reports.next(&mut told, EVERY, false).unwrap();
    reports.counted(&mut told, batch.session, batch.batch, &[]);
    reports.add(&report(&long)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_edge_that_asks_for_a_pause_gets_it() {
    let (reports, mut told) = (Reports::new(), Told::default());
    reports.add(&report("a")).unwrap();
    let batch = reports.next(&mut told, EVERY, true).unwrap();
    reports.resend(&mut told, batch.session, 1, Duration::from_secs(1));
    assert_eq!(reports.next(&mut told, EVERY, false), None);
    let due = reports.due_at(&told, EVERY).unwrap();
    assert_eq!(due - Instant::now(), Duration::from_secs(1));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(reports.next(&mut told, EVERY, false), Some(batch));
}

/// What happens to a client's reports.
#[derive(Debug, Clone, Copy)]
enum Step {
    Report,
    Tell,
    /// The edge has the origin count all that it took, and says so or not.
    Count {
        heard: bool,
    },
    /// The edge loses what it took, or the connection, or both.
    Lose {
        taken: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Report),
        4 => Just(Step::Tell),
        2 => any::<bool>().prop_map(|heard| Step::Count { heard }),
        1 => any::<bool>().prop_map(|taken| Step::Lose { taken }),
    ]
}

proptest! {
    #[test]
    fn every_report_counts_once(steps in proptest::collection::vec(step(), 1..200)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _guard = runtime.enter();
        let (reports, mut told) = (Reports::new(), Told::default());
        let mut counted: BTreeMap<String, u32> = BTreeMap::new();
        // By the origin, and at the edge but not counted.
        let (mut upto, mut taken): (u64, Vec<Batch>) = (0, Vec::new());
        let mut made = 0;
        let end = [Step::Lose { taken: true }, Step::Tell, Step::Count { heard: true }];
        let last = std::iter::repeat_n(end, 220).flatten();
        for step in steps.into_iter().chain(last) {
            match step {
                Step::Report => {
                    made += 1;
                    reports.add(&report(&made.to_string())).unwrap();
                }
                Step::Tell => while let Some(batch) = reports.next(&mut told, EVERY, true) {
                    let expected = upto + 1 + taken.len() as u64;
                    if batch.batch == expected {
                        taken.push(batch);
                    } else if batch.batch > expected {
                        reports.resend(&mut told, batch.session, expected, Duration::ZERO);
                    }
                },
                Step::Count { heard } => {
                    for batch in taken.drain(..) {
                        upto = batch.batch;
                        for player in players(&batch) {
                            *counted.entry(player).or_default() += 1;
                        }
                    }
                    let session = reports.state.lock().session;
                    if heard {
                        reports.counted(&mut told, session, upto, &[]);
                    }
                }
                Step::Lose { taken: lost } => {
                    told = Told::default();
                    if lost {
                        taken.clear();
                    }
                }
            }
        }
        prop_assert_eq!(counted.len(), made);
        prop_assert!(counted.values().all(|&times| times == 1));
        let reported = reports.reported().borrow().clone();
        prop_assert_eq!((reported.counted, reported.waiting), (made as u64, 0));
    }
}
