//! What edges tell of engagement is counted for metrics as it is for good: after the commit, and once.

use liveevents_protocol::engagement::{Cell, Cents, Cohort, Counted, Place, SenderSession, Tally};
use liveevents_protocol::frame::{Aggregate, EdgeFrame, OriginFrame};
use liveevents_protocol::id::BootId;
use liveevents_protocol::version::Revision;
use sqlx::PgPool;
use uuid::Uuid;

use super::edge::ScriptedEdge;
use super::origin::{Origin, now};

const REGION: &str = "us-east";
const SESSION: SenderSession = SenderSession(Uuid::from_u128(1));

/// Batches of one session up to this, in which a player took part and bought something, of one event that there is and of
/// one that there is not.
fn aggregate(id: u64, batch: u64) -> EdgeFrame {
    let cell = |event: &str| {
        let mut tally = Tally::default();
        tally.count(batch, Counted::Participation);
        tally.count(batch, Counted::Purchase(Cents(499)));
        Cell {
            place: Place {
                region: REGION.parse().unwrap(),
                event: event.parse().unwrap(),
                revision: Some(Revision(1)),
                variant: None,
                cohort: Cohort::Everybody,
                segment: None,
            },
            second: now(),
            tally,
        }
    };
    EdgeFrame::Aggregate(Aggregate {
        id,
        batches: vec![(SESSION, batch)],
        cells: vec![cell("sale"), cell("ghosts")],
    })
}

async fn claim(edge: &mut ScriptedEdge) {
    edge.send(&EdgeFrame::Claim(vec![SESSION])).await;
    edge.next_of(|frame| matches!(frame, OriginFrame::Claimed(_)).then_some(()))
        .await;
}

/// Tells an aggregate, and gives whose sessions are others'.
async fn tell(edge: &mut ScriptedEdge, frame: &EdgeFrame) -> Vec<SenderSession> {
    edge.send(frame).await;
    edge.next_of(|frame| match frame {
        OriginFrame::Counted { refused, .. } => Some(refused),
        _ => None,
    })
    .await
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_counted_is_in_the_metrics_after_the_commit_and_once(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    origin.change(REGION, 100).await;
    // The first commit fails. A sequence remembers that, whatever is rolled back.
    for statement in [
        "CREATE SEQUENCE commits",
        "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF nextval('commits') = 1 THEN RAISE 'no'; END IF;
             RETURN NULL;
         END $$",
        "CREATE CONSTRAINT TRIGGER spoiled AFTER UPDATE ON report_sessions
         DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.counted_at IS NOT NULL) EXECUTE FUNCTION spoil()",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    let boot = BootId(Uuid::new_v4());
    let mut edge = ScriptedEdge::enter(&origin, "a", REGION, boot).await;
    claim(&mut edge).await;
    assert_eq!(tell(&mut edge, &aggregate(1, 1)).await, []);
    let scraped = |expected: &[&str]| {
        let text = origin.scrape.render().unwrap();
        for line in expected {
            assert!(
                text.lines().any(|found| found == *line),
                "{line} in\n{text}"
            );
        }
    };
    let once = [
        "liveevents_participants_total{region=\"us-east\"} 1",
        "liveevents_revenue_total{region=\"us-east\"} 4.99",
        "liveevents_engagement_aggregates_total{result=\"counted\"} 1",
        "liveevents_engagement_transaction_seconds_count 1",
        "liveevents_errors_total{source=\"engagement\"} 1",
    ];
    scraped(&once);
    // Told once more it changes nothing; nor does what is refused, since another connection has claimed the session.
    assert_eq!(tell(&mut edge, &aggregate(2, 1)).await, []);
    let boot = BootId(Uuid::new_v4());
    let mut other = ScriptedEdge::enter(&origin, "b", REGION, boot).await;
    claim(&mut other).await;
    assert_eq!(tell(&mut edge, &aggregate(3, 2)).await, [SESSION]);
    scraped(&once[..3]);
    scraped(&[
        "liveevents_engagement_aggregates_total{result=\"again\"} 1",
        "liveevents_engagement_aggregates_total{result=\"refused\"} 1",
    ]);
    assert_eq!(tell(&mut other, &aggregate(1, 2)).await, []);
    scraped(&[
        "liveevents_participants_total{region=\"us-east\"} 2",
        "liveevents_revenue_total{region=\"us-east\"} 9.98",
    ]);
}
