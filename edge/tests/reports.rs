//! What comes of reports is counted: by kind, by what senders are told, and by what the origin answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

mod common;

use common::edge::{Edge, Setup};
use common::history::{History, epoch, put};
use common::identity::Identity;
use common::origin::{Link, Origin};
use common::{clock, start};
use liveevents_protocol::close::CloseReason;
use liveevents_protocol::engagement::{Currencies, SenderSession};
use liveevents_protocol::frame::{Aggregate, EdgeFrame, OriginFrame};
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

/// Says which batch of a session was counted last.
async fn claim(link: &mut Link, counted: u64) {
    match link.next().await {
        Some(EdgeFrame::Claim(sessions)) => {
            let claimed = sessions.into_iter().map(|session| (session, counted));
            link.send(&OriginFrame::Claimed(claimed.collect())).await;
        }
        other => panic!("instead of a claim: {other:?}"),
    }
}

async fn aggregate(link: &mut Link) -> Aggregate {
    match link.next().await {
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
