//! As many as an event has places for: counted, shown, and told to the regions that serve it.

use liveevents_origin::participation::Participation;
use liveevents_origin::store::database_clock::DatabaseClock;
use liveevents_origin::store::engagement::{Outcome, claim, count};
use liveevents_protocol::engagement::{Cell, Cohort, Counted, Place, SenderSession, Tally};
use liveevents_protocol::frame::Aggregate;
use liveevents_protocol::id::EdgeId;
use prometheus::IntCounter;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::common::{Caller, Origin, event};

/// So many more players take part in a region.
async fn join(origin: &Origin, batch: u64, region: &str, players: std::ops::Range<u64>) {
    let mut tally = Tally::default();
    for player in players {
        tally.count(player, Counted::Participation);
    }
    let cell = Cell {
        place: Place {
            region: region.parse().unwrap(),
            event: "cup".parse().unwrap(),
            revision: None,
            variant: None,
            cohort: Cohort::Everybody,
            segment: None,
        },
        second: origin.now(),
        tally,
    };
    let (session, edge) = (SenderSession(Uuid::from_u128(1)), EdgeId::new("a").unwrap());
    let mut tx = origin.pool.begin().await.unwrap();
    claim(&mut tx, (&edge, 1), &[session], origin.now())
        .await
        .unwrap();
    let aggregate = Aggregate {
        id: batch,
        batches: vec![(session, batch)],
        cells: vec![cell],
    };
    let by = (&edge, 1);
    let outcome = count(&mut tx, by, &aggregate, origin.now()).await.unwrap();
    assert!(matches!(outcome, Outcome::Counted(_)), "{outcome:?}");
    tx.commit().await.unwrap();
}

async fn looks(origin: &Origin) -> usize {
    let participation = Participation {
        pool: origin.pool.clone(),
        time: DatabaseClock::instead(origin.clock.clock()),
        failures: IntCounter::new("failures", "None.").unwrap(),
    };
    participation.look().await.unwrap().len()
}

async fn cup(admin: &Caller<'_>) -> (Value, Vec<Value>) {
    let cup = admin.get("/events/cup").await.must(200);
    let full = ["eu-west", "us-east"].map(|region| cup["regions"][region]["full"].clone());
    (cup["currentParticipants"].clone(), full.into())
}

/// An origin with an event for so many, in some regions.
async fn with_places(pool: PgPool, places: u32, regions: &[&str]) -> Origin {
    let origin = Origin::start_counting(pool).await;
    let admin = origin.admin();
    let fields = json!({ "maxParticipants": places });
    admin.post("/events", event("cup", fields)).await.must(201);
    deployed(&admin, regions).await;
    origin
}

async fn deployed(admin: &Caller<'_>, regions: &[&str]) {
    admin
        .post("/events/cup/approve", json!({ "notes": "" }))
        .await
        .must(200);
    let deployment = json!({ "eventId": "cup", "regions": regions });
    admin.post("/deployments", deployment).await.must(201);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_full_event_says_so_wherever_it_is_served_until_there_are_places_again(pool: PgPool) {
    let origin = with_places(pool, 10, &["us-east", "eu-west"]).await;
    let admin = origin.admin();
    join(&origin, 1, "us-east", 0..6).await;
    assert_eq!(looks(&origin).await, 0);
    assert_eq!(
        cup(&admin).await,
        (json!(6), vec![json!(false), json!(false)])
    );

    join(&origin, 2, "eu-west", 10..14).await;
    assert_eq!(looks(&origin).await, 1);
    assert_eq!(
        cup(&admin).await,
        (json!(10), vec![json!(true), json!(true)])
    );
    let listed = admin.get("/events").await.must(200);
    assert_eq!(listed["events"][0]["currentParticipants"], 10);
    let served = admin.get("/regions/us-east/events").await.must(200);
    assert_eq!(served["assignments"][0]["full"], true, "{served}");
    let audit = admin.get("/events/cup/audit").await.must(200);
    let entries = audit["entries"].as_array().unwrap().iter();
    assert_eq!(
        entries
            .filter(|entry| entry["action"] == "event.mark-full")
            .count(),
        1,
        "{audit}"
    );
    // Those that come all the same change nothing more, and nothing is written again.
    join(&origin, 3, "us-east", 0..8).await;
    assert_eq!(looks(&origin).await, 0);

    // More places, as soon as they are deployed.
    admin
        .put("/events/cup", json!({ "maxParticipants": 20 }))
        .await
        .must(200);
    assert_eq!(looks(&origin).await, 0);
    deployed(&admin, &["us-east"]).await;
    assert_eq!(looks(&origin).await, 1);
    assert_eq!(
        cup(&admin).await,
        (json!(12), vec![json!(true), json!(false)])
    );
    admin
        .put("/events/cup", json!({ "maxParticipants": null }))
        .await
        .must(200);
    deployed(&admin, &["eu-west"]).await;
    assert_eq!(looks(&origin).await, 1);
    assert_eq!(
        cup(&admin).await,
        (json!(12), vec![json!(false), json!(false)])
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn of_several_origins_one_marks(pool: PgPool) {
    let origin = with_places(pool, 1, &["us-east"]).await;
    join(&origin, 1, "us-east", 0..1).await;
    let marked = futures_util::future::join_all((0..4).map(|_| looks(&origin))).await;
    assert_eq!(marked.iter().sum::<usize>(), 1, "{marked:?}");
}
