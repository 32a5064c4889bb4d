//! What comes of reports is counted: by kind, by what senders are told, and by what the origin answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use common::edge::{Edge, Setup};
use common::game_server::GameServer;
use common::history::{History, epoch, put};
use common::identity::Identity;
use common::origin::{Link, Origin};
use common::{clock, start, within};
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::engagement::{Batch, Currencies, SenderSession};
use liveevents_protocol::frame::{Aggregate, EdgeFrame, OriginFrame};
use liveevents_protocol::message::{ClientMessage, ServerMessage};
use liveevents_protocol::version::Version;
use serde_json::{Value, json};
use uuid::Uuid;

const SESSION: SenderSession = SenderSession(Uuid::from_u128(1));

/// An edge that an origin counts for.
async fn counting(identity: &Identity, more: &[(&str, &str)]) -> (Origin, Link, Edge) {
    let clock = clock().clock();
    let origin = Origin::start(identity, &clock);
    let mut history = History::new("us-east", epoch(5));
    history.commit(put("sale", 1), start());
    let mut setup = Setup::new(identity, &clock, &[origin.address]);
    for (flag, value) in more {
        setup = setup.with(flag, value);
    }
    let edge = setup.start().await;
    let mut link = origin.serve(&[&history]).await;
    link.send(&OriginFrame::Counting {
        key: [7; 32],
        currencies: Currencies::default(),
    })
    .await;
    // What comes after it is acked after it.
    history.commit(put("sale", 2), start());
    link.rows(&history, 1, 2).await;
    link.acked(&history, Version(2)).await;
    (origin, link, edge)
}

/// Sends a batch, and gives the status.
async fn post(edge: &Edge, identity: &Identity, session: SenderSession, batch: u64) -> u16 {
    let reports = [
        json!({ "eventId": "sale", "player": "p", "revision": 2, "kind": "Participation" }),
        json!({ "eventId": "sale", "player": "p", "revision": 2, "kind": "Purchase", "amount": 1, "currency": "XXX" }),
        json!({ "eventId": "sale", "player": "p", "revision": 2, "kind": "Dance" }),
    ];
    let body: Value = json!({ "session": session, "batch": batch, "reports": reports });
    let url = format!("http://{}/api/v1/reports?region=us-east", edge.address);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let token = identity.game_server(&["us-east"]);
    let request = client.post(url).bearer_auth(token).json(&body);
    request.send().await.unwrap().status().as_u16()
}

/// What the edge says next, but for acks.
async fn said(link: &mut Link) -> Option<EdgeFrame> {
    loop {
        match link.next().await {
            Some(EdgeFrame::Ack { .. }) => {}
            said => return said,
        }
    }
}

/// Says which batch of a session was counted last.
async fn claim(link: &mut Link, counted: u64) {
    match said(link).await {
        Some(EdgeFrame::Claim(sessions)) => {
            let claimed = sessions.into_iter().map(|session| (session, counted));
            link.send(&OriginFrame::Claimed(claimed.collect())).await;
        }
        other => panic!("instead of a claim: {other:?}"),
    }
}

async fn aggregate(link: &mut Link) -> Aggregate {
    match said(link).await {
        Some(EdgeFrame::Aggregate(aggregate)) => aggregate,
        other => panic!("instead of an aggregate: {other:?}"),
    }
}

/// Counts an aggregate, or says that some sessions in it are other edges'.
async fn answer(link: &mut Link, refused: &[SenderSession]) {
    let id = aggregate(link).await.id;
    let refused = refused.to_vec();
    link.send(&OriginFrame::Counted { id, refused }).await;
}

#[tokio::test]
async fn what_comes_of_reports_is_counted() {
    let identity = Identity::new();
    let (_origin, mut link, edge) = counting(&identity, &[]).await;
    let send = |session, batch| post(&edge, &identity, session, batch);
    let (status, ()) = tokio::join!(send(SESSION, 1), async {
        claim(&mut link, 0).await;
        answer(&mut link, &[]).await;
    });
    assert_eq!(status, 200);
    assert_eq!(send(SESSION, 1).await, 200, "sent again");
    assert_eq!(send(SESSION, 0).await, 400, "none");
    let (status, ()) = tokio::join!(send(SESSION, 3), async {
        // Asked whether others have counted the second, before it is refused and after.
        claim(&mut link, 1).await;
        claim(&mut link, 1).await;
    });
    assert_eq!(status, 409, "the second is missing");
    let (status, ()) = tokio::join!(send(SESSION, 2), answer(&mut link, &[SESSION]));
    assert_eq!(status, 409, "another edge's");
    let last = SenderSession(Uuid::from_u128(2));
    let (status, ()) = tokio::join!(send(last, 1), async {
        claim(&mut link, 0).await;
        aggregate(&mut link).await;
        link.close(CloseReason::GoingAway);
    });
    assert_eq!(status, 503, "nobody knows");

    let (_, text) = edge.get("/metrics", "").await;
    let text = text.as_str().unwrap();
    for line in [
        // Of three batches that were taken, each once.
        "reports_total{kind=\"Participation\",result=\"taken\"} 3",
        "reports_total{kind=\"Purchase\",result=\"refused\"} 3",
        "reports_total{kind=\"unknown\",result=\"refused\"} 3",
        "reports_total{kind=\"Purchase\",result=\"taken\"} 0",
        "batches_total{result=\"counted\"} 2",
        "batches_total{result=\"refused\"} 1",
        "batches_total{result=\"out_of_place\"} 2",
        "batches_total{result=\"later\"} 1",
        "aggregates_total{result=\"counted\"} 1",
        "aggregates_total{result=\"refused\"} 1",
        "aggregates_total{result=\"unanswered\"} 1",
        "answer_seconds_count 2",
    ] {
        let line = format!("liveevents_engagement_{line}");
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}

#[tokio::test]
async fn a_sender_waits_no_longer_than_it_shall() {
    let identity = Identity::new();
    let deadline = [("reports-deadline", "PT0.1S")];
    let (_origin, mut link, edge) = counting(&identity, &deadline).await;
    let (status, _) = tokio::join!(post(&edge, &identity, SESSION, 1), async {
        claim(&mut link, 0).await;
        aggregate(&mut link).await
    });
    assert_eq!(status, 503);
}

/// A game server that reports.
struct Reporter(GameServer);

impl Reporter {
    async fn connect(edge: &Edge, identity: &Identity) -> Self {
        Self(GameServer::subscribe(edge, &identity.game_server(&["us-east"]), None).await)
    }

    async fn reports(&mut self, batch: u64) {
        let reports = vec![
            json!({ "eventId": "sale", "player": "p", "revision": 2, "kind": "Participation" }),
            json!({ "eventId": "sale", "player": "p", "revision": 2, "kind": "Dance" }),
        ];
        let batch = Batch {
            session: SESSION,
            batch,
            reports,
        };
        self.0.say(&ClientMessage::Reports(batch)).await;
    }

    /// The next word about reports.
    async fn hears(&mut self) -> ServerMessage {
        let hearing = async {
            loop {
                let said = self.0.receive().await;
                if matches!(
                    said,
                    ServerMessage::Counted(_)
                        | ServerMessage::Resend(_)
                        | ServerMessage::Refused(_)
                ) {
                    return said;
                }
            }
        };
        within("a word about reports", hearing).await
    }

    /// That all are counted up to a batch, and which reports are not.
    async fn counted(&mut self) -> (u64, Vec<(u64, usize)>) {
        match self.hears().await {
            ServerMessage::Counted(counted) => {
                let refused = counted.refused.iter().map(|one| (one.batch, one.index));
                (counted.batch, refused.collect())
            }
            other => panic!("instead of what is counted: {other:?}"),
        }
    }

    /// From which batch on it is to send again.
    async fn resend(&mut self) -> u64 {
        match self.hears().await {
            ServerMessage::Resend(resend) => resend.from,
            other => panic!("instead of what is to be sent again: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_game_server_hears_of_its_batches_when_they_are_counted() {
    let identity = Identity::new();
    let (_origin, mut link, edge) = counting(&identity, &[]).await;
    let mut server = Reporter::connect(&edge, &identity).await;
    // The second comes while the first waits for the claim, and is not taken.
    server.reports(4).await;
    server.reports(5).await;
    claim(&mut link, 3).await;
    assert_eq!(server.counted().await, (3, vec![]));
    assert_eq!(server.resend().await, 5);
    server.reports(5).await;
    server.reports(6).await;
    let told = aggregate(&mut link).await;
    link.send(&OriginFrame::Counted {
        id: told.id,
        refused: Vec::new(),
    })
    .await;
    let (first, mut refused) = server.counted().await;
    assert!((4..=6).contains(&first), "{first}");
    if first < 6 {
        answer(&mut link, &[]).await;
        let (last, more) = server.counted().await;
        assert_eq!(last, 6);
        refused.extend(more);
    }
    assert_eq!(refused, [(4, 1), (5, 1), (6, 1)]);
    // What was counted before is not again, and is said to be.
    server.reports(5).await;
    assert_eq!(server.counted().await, (6, vec![(5, 1)]));
    // One is left out.
    server.reports(8).await;
    claim(&mut link, 6).await;
    assert_eq!(server.resend().await, 7);
}

#[tokio::test]
async fn what_an_edge_has_taken_is_told_to_the_next_origin_or_sent_again() {
    let identity = Identity::new();
    let (origin, mut link, edge) = counting(&identity, &[]).await;
    let mut server = Reporter::connect(&edge, &identity).await;
    server.reports(1).await;
    claim(&mut link, 0).await;
    let lost = aggregate(&mut link).await;
    link.close(CloseReason::GoingAway);
    let again = async || {
        let mut history = History::new("us-east", epoch(5));
        history.commit(put("sale", 1), start());
        history.commit(put("sale", 2), start());
        let link = origin.serve(&[&history]).await;
        link.send(&OriginFrame::Counting {
            key: [7; 32],
            currencies: Currencies::default(),
        })
        .await;
        link
    };
    // It was not counted before that ended.
    let mut link = again().await;
    claim(&mut link, 0).await;
    let told = aggregate(&mut link).await;
    assert_eq!((&told.batches, &told.cells), (&lost.batches, &lost.cells));
    link.close(CloseReason::GoingAway);
    // It was, without being heard of.
    let mut link = again().await;
    claim(&mut link, 1).await;
    assert_eq!(server.counted().await, (1, vec![(1, 1)]));
    // Another edge has the session by now: nothing was counted, and the game server sends it again, here.
    server.reports(2).await;
    answer(&mut link, &[SESSION]).await;
    assert_eq!(server.resend().await, 2);
    server.reports(2).await;
    claim(&mut link, 1).await;
    assert_eq!(server.counted().await, (1, vec![]));
    answer(&mut link, &[]).await;
    assert_eq!(server.counted().await, (2, vec![(2, 1)]));
}

#[tokio::test]
async fn a_batch_that_is_none_is_refused_and_the_connection_stays() {
    let identity = Identity::new();
    let (_origin, mut link, edge) = counting(&identity, &[]).await;
    let mut server = Reporter::connect(&edge, &identity).await;
    server.reports(0).await;
    let ServerMessage::Refused(refused) = server.hears().await else {
        panic!("it was taken");
    };
    assert_eq!(
        (refused.about.as_str(), refused.field.as_deref()),
        ("reports", Some("batch"))
    );
    server.reports(1).await;
    claim(&mut link, 0).await;
    answer(&mut link, &[]).await;
    assert_eq!(server.counted().await, (1, vec![(1, 1)]));
    let other = Batch {
        session: SenderSession(Uuid::from_u128(2)),
        batch: 1,
        reports: Vec::new(),
    };
    server.0.say(&ClientMessage::Reports(other)).await;
    let ServerMessage::Refused(refused) = server.hears().await else {
        panic!("it was taken");
    };
    assert_eq!(refused.field.as_deref(), Some("session"));
}
