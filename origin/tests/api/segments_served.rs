//! Published segments travel with the events that name them: they are in a region as long as anything there does, in the
//! revision in effect, and in no other.

use futures_util::future::join_all;
use liveevents_origin::store::{self, region_log, snapshot};
use liveevents_protocol::codec;
use liveevents_protocol::entry::{Delta, EntryKey, Value as Held};
use liveevents_protocol::frame::SEGMENTS;
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::Version;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::edges::connect;
use crate::common::{Caller, Origin};

/// What a region holds of segments: names and revisions.
async fn held(caller: &Caller<'_>, region: &str) -> Vec<(String, u64)> {
    let served = caller
        .get(&format!("/regions/{region}/events"))
        .await
        .must(200);
    let segments = served["segments"].as_array().cloned().unwrap_or_default();
    let named = segments.iter().map(|segment| {
        let name = segment["segmentId"].as_str().unwrap().to_owned();
        (name, segment["revision"].as_u64().unwrap())
    });
    named.collect()
}

fn of(names: &[(&str, u64)]) -> Vec<(String, u64)> {
    let owned = names
        .iter()
        .map(|(name, revision)| ((*name).to_owned(), *revision));
    owned.collect()
}

fn targets(segments: &[&str]) -> Value {
    json!({ "targetSegments": segments })
}

async fn spend(caller: &Caller<'_>, segment: &str, least: u32) {
    let fields = json!({ "criteria": { "lifetimeSpend": [least, null] } });
    caller
        .put(&format!("/segments/{segment}"), fields)
        .await
        .must(200);
}

async fn publish(caller: &Caller<'_>, segment: &str) -> Value {
    let path = format!("/segments/{segment}/publish");
    caller.post(&path, json!({})).await.must(200)
}

/// The region's state as its log tells it, which the tables must tell too; and every segment that is named is there, in
/// the revision in effect, and no other.
async fn check(origin: &Origin, region: &str) -> RegionState {
    let id = region.parse().unwrap();
    let mut tx = store::begin_snapshot(&origin.pool).await.unwrap();
    let (snapshot, position) = snapshot::read(&mut tx, &id).await.unwrap().unwrap();
    let rows = region_log::rows_after(&mut tx, &id, Version::ZERO, 10_000, usize::MAX);
    let mut told = RegionState::empty(position.epoch);
    for row in rows.await.unwrap() {
        let entries = codec::decode_entries(row.format, &row.entries).unwrap();
        let delta = Delta::of_row(position.epoch, row.version, entries);
        told = told.apply(&delta).unwrap();
        for (key, value) in told.values() {
            if let Held::Content(content) = value {
                for segment in content
                    .target_segments
                    .iter()
                    .chain(&content.exclude_segments)
                {
                    assert!(
                        told.segment(segment).is_some(),
                        "{region} {key:?} at {}",
                        row.version
                    );
                }
            }
        }
    }
    let mut by_tables = snapshot.entries.clone();
    let mut by_log = told.snapshot().entries;
    by_tables.sort_by_key(|stamped| stamped.entry.key());
    by_log.sort_by_key(|stamped| stamped.entry.key());
    assert_eq!(
        by_tables, by_log,
        "{region}: entries, versions and tombstones"
    );
    let mut named: Vec<&str> = Vec::new();
    for (_, value) in told.values() {
        if let Held::Content(content) = value {
            let segments = content
                .target_segments
                .iter()
                .chain(&content.exclude_segments);
            named.extend(segments.map(|segment| segment.as_str()));
        }
    }
    named.sort_unstable();
    named.dedup();
    let there: Vec<&str> = told
        .segments()
        .iter()
        .map(|segment| segment.id.as_str())
        .collect();
    assert_eq!(there, named, "{region}");
    for segment in told.segments().iter() {
        let sql = "SELECT p.revision FROM segments JOIN segment_publications p USING (segment_id, publication)
                   WHERE segment_id = $1";
        let revision: i32 = sqlx::query_scalar(sql)
            .bind(segment.id.as_str())
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        assert_eq!(
            u32::try_from(revision).unwrap(),
            segment.revision.0,
            "{region} {}",
            segment.id
        );
    }
    told
}

#[sqlx::test(migrations = "../migrations")]
async fn a_segment_comes_with_the_first_event_and_goes_with_the_last(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin
        .deployed_event(
            "gifts",
            &["us-east"],
            targets(&["vip-tier-1", "vip-tier-2"]),
        )
        .await;
    let not_for = json!({ "excludeSegments": ["vip-tier-1"] });
    admin
        .deployed_event("sale", &["us-east", "eu-west"], not_for)
        .await;
    assert_eq!(
        held(&admin, "us-east").await,
        of(&[("vip-tier-1", 1), ("vip-tier-2", 1)])
    );
    assert_eq!(held(&admin, "eu-west").await, of(&[("vip-tier-1", 1)]));
    let served = admin.get("/regions/us-east/events").await.must(200);
    assert_eq!(served["version"], 2, "in the row of what needs it");
    let used = admin.get("/segments/vip-tier-1").await.must(200);
    assert_eq!(
        used["usedBy"],
        json!({ "regions": ["eu-west", "us-east"], "events": ["gifts", "sale"] })
    );

    // Another revision is tried beside it: its segment comes, and goes with it.
    admin
        .put("/events/gifts", targets(&["new-players"]))
        .await
        .must(200);
    admin
        .post("/events/gifts/approve", json!({}))
        .await
        .must(200);
    let tried = admin.deploy("gifts", &["us-east"], 10.0).await;
    assert_eq!(
        held(&admin, "us-east").await,
        of(&[("new-players", 1), ("vip-tier-1", 1), ("vip-tier-2", 1)])
    );
    let path = format!(
        "/deployments/{}/rollback",
        tried["deploymentId"].as_str().unwrap()
    );
    admin.post(&path, json!({})).await.must(200);
    assert_eq!(
        held(&admin, "us-east").await,
        of(&[("vip-tier-1", 1), ("vip-tier-2", 1)])
    );

    // Stopped, it is still there, and what is there is brought up to date.
    admin.post("/stop", json!({ "all": true })).await.must(200);
    spend(&admin, "vip-tier-2", 300).await;
    publish(&admin, "vip-tier-2").await;
    assert_eq!(
        held(&admin, "us-east").await,
        of(&[("vip-tier-1", 1), ("vip-tier-2", 2)])
    );

    admin.command("gifts", "cancel").await.must(200);
    assert_eq!(held(&admin, "us-east").await, of(&[("vip-tier-1", 1)]));
    admin.command("sale", "cancel").await.must(200);
    for region in ["us-east", "eu-west"] {
        assert_eq!(held(&admin, region).await, of(&[]));
        check(&origin, region).await;
    }
    // Nothing keeps it any more.
    admin.delete("/segments/vip-tier-1").await.must(204);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_publication_is_one_change_wherever_the_segment_is_used(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin
        .deployed_event("gifts", &["us-east", "eu-west"], targets(&["vip-tier-1"]))
        .await;
    admin
        .deployed_event("sale", &["ap-northeast"], json!({}))
        .await;
    spend(&admin, "vip-tier-1", 50).await;
    assert_eq!(
        held(&admin, "us-east").await,
        of(&[("vip-tier-1", 1)]),
        "an edit is none"
    );
    let done = publish(&admin, "vip-tier-1").await;
    assert_eq!(done["regions"], json!({ "eu-west": 2, "us-east": 2 }));
    let path = format!("/changes/{}", done["changeId"].as_str().unwrap());
    let change = admin.get(&path).await.must(200);
    assert_eq!(change["regions"]["us-east"]["version"], 2);
    let back = admin
        .post("/segments/vip-tier-1/rollback", json!({}))
        .await
        .must(200);
    assert_eq!(back["regions"], json!({ "eu-west": 3, "us-east": 3 }));
    for region in ["us-east", "eu-west", "ap-northeast"] {
        check(&origin, region).await;
    }
    assert_eq!(held(&admin, "eu-west").await, of(&[("vip-tier-1", 1)]));
}

#[sqlx::test(migrations = "../migrations")]
async fn who_is_shown_an_event_follows_what_is_published(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let open = json!({
        "startTime": "2026-06-01T12:00:00Z", "endTime": "2026-06-08T12:00:00Z",
        "targetSegments": ["vip-tier-1"], "excludeSegments": ["at-risk"],
    });
    admin.deployed_event("gifts", &["us-east"], open).await;
    let ask = async |query: &str| {
        let path = format!("/players/p-1/events?region=us-east&explain=true{query}");
        let answer = admin.get(&path).await.must(200);
        let shown = answer["events"].as_array().unwrap().len();
        (shown, answer["explanations"][0].clone())
    };
    assert_eq!(ask("&attributes.lifetimeSpend=120").await.0, 1);
    let at_risk = "&attributes.accountAgeDays=40&attributes.daysSinceLastLogin=6";
    let (shown, why) = ask(&format!("&attributes.lifetimeSpend=120{at_risk}")).await;
    assert_eq!(
        (shown, why["outcome"].as_str()),
        (0, Some("OutsideSegments")),
        "{why}"
    );
    let (shown, why) = ask("&attributes.lifetimeSpend=60").await;
    assert_eq!(shown, 0);
    assert!(why.to_string().contains("60"), "the value seen: {why}");
    spend(&admin, "vip-tier-1", 50).await;
    assert_eq!(ask("&attributes.lifetimeSpend=60").await.0, 0);
    publish(&admin, "vip-tier-1").await;
    assert_eq!(ask("&attributes.lifetimeSpend=60").await.0, 1);

    // A revision that is not served yet is previewed with the segments that it would bring.
    admin
        .put("/events/gifts", targets(&["new-players"]))
        .await
        .must(200);
    let next = "&revision=gifts:2&attributes.accountAgeDays";
    assert_eq!(ask(&format!("{next}=3")).await.0, 1);
    assert_eq!(ask(&format!("{next}=30")).await.0, 0);
    assert_eq!(
        held(&admin, "us-east").await,
        of(&[("at-risk", 1), ("vip-tier-1", 2)])
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn what_edges_could_not_evaluate_is_not_deployed(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let segment = json!({ "segmentId": "whales", "displayName": "Whales", "criteria": { "lifetimeSpend": [9, null] } });
    admin.post("/segments", segment).await.must(201);
    admin.approved_event("gifts", targets(&["whales"])).await;
    let deploy = async |regions: &[&str]| {
        let body = json!({ "eventId": "gifts", "regions": regions });
        admin.post("/deployments", body).await
    };
    let refused = deploy(&["us-east"]).await;
    assert!(refused.message().contains("whales"), "{}", refused.text);
    refused.refused(409, "CONFLICT");
    publish(&admin, "whales").await;
    connect(&origin, "new", 1, &[SEGMENTS]).await;
    connect(&origin, "old", 2, &["drain"]).await;
    let refused = deploy(&["eu-west", "us-east"]).await;
    assert!(
        refused.message().contains("evaluate: old;"),
        "{}",
        refused.text
    );
    refused.refused(409, "CONFLICT");
    // Where it is not, nothing hinders; nor does what is for everybody.
    deploy(&["eu-west"]).await.must(201);
    admin.deployed_event("sale", &["us-east"], json!({})).await;
    // It is away for long enough.
    origin.clock.advance(jiff::SignedDuration::from_secs(16));
    deploy(&["us-east"]).await.must(201);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_rollback_brings_back_what_was_for_a_segment_that_is_gone(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin
        .deployed_event("gifts", &["us-east"], targets(&["vip-tier-1"]))
        .await;
    admin.put("/events/gifts", targets(&[])).await.must(200);
    admin
        .post("/events/gifts/approve", json!({}))
        .await
        .must(200);
    admin.deploy("gifts", &["us-east"], 100.0).await;
    admin.delete("/segments/vip-tier-1").await.must(204);
    let back = admin
        .post("/events/gifts/rollback", json!({}))
        .await
        .must(200);
    assert_eq!(back["moves"]["us-east"]["to"]["live"], 1);
    assert_eq!(held(&admin, "us-east").await, of(&[("vip-tier-1", 1)]));
    check(&origin, "us-east").await;
    let again = json!({ "eventId": "gifts", "revision": 1, "regions": ["eu-west"] });
    let refused = admin.post("/deployments", again).await;
    refused.refused(409, "CONFLICT");
}

/// Deployments, publications, rollbacks and ends in any order and at once: the log and the tables tell the same, at every
/// version each segment is there before what names it, and at the end all are in effect.
#[sqlx::test(migrations = "../migrations")]
async fn whatever_is_done_at_once_every_region_holds_what_it_needs(pool: PgPool) {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests have no other configuration"
    )]
    let given = std::env::var("TEST_SEED").ok();
    let seed = given.map_or_else(rand::random::<u64>, |seed| seed.parse().unwrap());
    println!("TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let origin = Origin::start_with(pool, false).await;
    let admin = origin.admin();
    let regions = ["us-east", "eu-west", "ap-northeast"];
    let segments = ["vip-tier-1", "vip-tier-2", "new-players"];
    let ids = ["a", "b", "c", "d"];
    for id in ids {
        let body = crate::common::event(id, json!({}));
        admin.post("/events", body).await.must(201);
    }
    for round in 0..12_u32 {
        let mut work = Vec::new();
        for id in ids {
            let many = random.random_range(0..3);
            let named: Vec<&str> = segments
                .choose_multiple(&mut random, many)
                .copied()
                .collect();
            let many = random.random_range(1..=3);
            let at: Vec<&str> = regions
                .choose_multiple(&mut random, many)
                .copied()
                .collect();
            let (percentage, back) = (random.random_range(1..=100), random.random_bool(0.3));
            let admin = &admin;
            work.push(async move {
                let edit = json!({ "targetSegments": named, "priority": round });
                admin.put(&format!("/events/{id}"), edit).await.must(200);
                let deployment = json!({ "eventId": id, "regions": at, "percentage": percentage });
                let mut answers = vec![admin.post("/deployments", deployment).await];
                if back {
                    answers.push(
                        admin
                            .post(&format!("/events/{id}/rollback"), json!({}))
                            .await,
                    );
                }
                answers
            });
        }
        let segment = *segments.choose(&mut random).unwrap();
        let back = random.random_bool(0.4);
        let published = async {
            spend(&admin, segment, round + 1).await;
            let path = if back { "rollback" } else { "publish" };
            admin
                .post(&format!("/segments/{segment}/{path}"), json!({}))
                .await
        };
        let (answers, published) = tokio::join!(join_all(work), published);
        for answer in answers.into_iter().flatten().chain([published]) {
            let status = answer.status.as_u16();
            assert!([200, 201, 409].contains(&status), "{}", answer.text);
        }
    }
    for region in regions {
        check(&origin, region).await;
    }
    for id in ids {
        let why = json!({ "reason": "over" });
        admin.post(&format!("/events/{id}/cancel"), why).await;
    }
    for region in regions {
        let state = check(&origin, region).await;
        let left = state
            .values()
            .filter(|(key, _)| matches!(key, EntryKey::Segment(_)));
        assert_eq!(left.count(), 0, "{region}");
    }
}
