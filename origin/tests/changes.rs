//! Guarantees 1 and 2 at their root: versions without gaps, changes in all their regions or in none, and a
//! log that tells the same as the tables.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;

use liveevents_origin::change::{self, ChangeError, Decision, Edit, Request};
use liveevents_origin::epoch::Cause;
use liveevents_origin::event::document::Document;
use liveevents_origin::store::{self, region_log};
use liveevents_protocol::codec;
use liveevents_protocol::entry::Delta;
use liveevents_protocol::id::{EventId, RegionId};
use liveevents_protocol::model::{Assignment, BucketBy, Candidate};
use liveevents_protocol::position::{Digest, Position};
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::{BasisPoints, Epoch, Revision, Version};
use sqlx::PgPool;
use tokio::task::JoinSet;

fn region(id: &str) -> RegionId {
    id.parse().unwrap()
}

fn now() -> jiff::Timestamp {
    "2026-07-01T10:00:00Z".parse().unwrap()
}

async fn event(pool: &PgPool, id: &str) -> EventId {
    let fields = serde_json::from_value(serde_json::json!({
        "displayName": "Sale", "type": "LimitedTimeOffer",
        "startTime": "2026-07-01T10:00:00Z", "endTime": "2026-07-02T10:00:00Z",
    }));
    let document = Document::parse(&fields.unwrap()).unwrap();
    let id: EventId = id.parse().unwrap();
    let mut tx = pool.begin().await.unwrap();
    store::events::insert(&mut tx, &id, "salt", &document, "designer", now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    id
}

async fn first_epoch(pool: &PgPool) -> Epoch {
    let mut tx = pool.begin().await.unwrap();
    let epoch = store::epoch::mint(&mut tx, None, &Cause::First, now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    epoch
}

fn assignment(event: &EventId, exposure: Option<u16>) -> Assignment {
    Assignment {
        event_id: event.clone(),
        salt: "salt".to_owned(),
        live: exposure.is_none().then_some(Revision(1)),
        candidate: exposure.map(|exposure| Candidate {
            revision: Revision(1),
            exposure: BasisPoints::new(exposure).unwrap(),
            bucket_by: BucketBy::default(),
        }),
        schedule: Default::default(),
        suspension: Default::default(),
        full: false,
    }
}

async fn request(pool: &PgPool, edits: &[(&str, Edit)]) -> Request {
    let mut by_region: BTreeMap<RegionId, Vec<Edit>> = BTreeMap::new();
    let mut contents = Vec::new();
    for (at, edit) in edits {
        by_region.entry(region(at)).or_default().push(edit.clone());
        let mut conn = pool.acquire().await.unwrap();
        let content = store::revisions::content(&mut conn, edit.event(), Revision(1)).await;
        contents.extend(content.unwrap());
    }
    let decision = Decision {
        kind: "Test",
        actor: "tester".to_owned(),
        reason: None,
        event: None,
        deployment: None,
        trace_id: None,
    };
    Request {
        decision,
        edits: by_region,
        contents,
    }
}

/// The state that the log tells, row by row, with its digests checked.
async fn replay(pool: &PgPool, of: &str, epoch: Epoch) -> RegionState {
    let mut conn = pool.acquire().await.unwrap();
    let rows = region_log::rows_after(&mut conn, &region(of), Version::ZERO, 10_000, usize::MAX)
        .await
        .unwrap();
    let mut state = RegionState::empty(epoch);
    let mut digest = Digest::START;
    for row in rows {
        assert_eq!(row.version, state.version().next(), "no gap");
        digest = digest.chain(row.version, row.change, row.format, &row.entries);
        assert_eq!(digest, row.digest);
        let entries = codec::decode_entries(row.format, &row.entries).unwrap();
        state = state
            .apply(&Delta::of_row(epoch, row.version, entries))
            .unwrap();
    }
    state
}

async fn assert_tables_agree_with_log(pool: &PgPool, of: &str, epoch: Epoch) {
    let mut tx = store::begin_snapshot(pool).await.unwrap();
    let (snapshot, position) = store::snapshot::read(&mut tx, &region(of))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (position.epoch, position.version),
        (epoch, snapshot.version)
    );
    let told = replay(pool, of, epoch).await;
    let mut by_tables = snapshot.entries.clone();
    let mut by_log = told.snapshot().entries;
    by_tables.sort_by_key(|stamped| stamped.entry.key());
    by_log.sort_by_key(|stamped| stamped.entry.key());
    assert_eq!(by_tables, by_log, "entries, versions and tombstones");
    assert!(RegionState::from_snapshot(snapshot).unwrap().same_as(&told));
}

#[sqlx::test(migrations = "../migrations")]
async fn the_tables_and_the_log_tell_the_same_whatever_is_done(pool: PgPool) {
    let epoch = first_epoch(&pool).await;
    let (sale, cup) = (event(&pool, "sale").await, event(&pool, "cup").await);
    let steps = [
        vec![("us-east", Edit::Put(assignment(&sale, Some(1_000))))],
        vec![
            ("us-east", Edit::Put(assignment(&sale, None))),
            ("eu-west", Edit::Put(assignment(&sale, None))),
            ("us-east", Edit::Put(assignment(&cup, Some(0)))),
        ],
        vec![("us-east", Edit::Remove(cup.clone()))],
        vec![("us-east", Edit::Put(assignment(&cup, None)))],
        vec![
            ("us-east", Edit::Remove(cup)),
            ("eu-west", Edit::Remove(sale)),
        ],
    ];
    for step in steps {
        let request = request(&pool, &step).await;
        let mut tx = pool.begin().await.unwrap();
        let committed = change::commit(&mut tx, &request).await.unwrap();
        assert_eq!(committed.regions.len(), request.edits.len());
        tx.commit().await.unwrap();
        for of in ["us-east", "eu-west", "us-west"] {
            assert_tables_agree_with_log(&pool, of, epoch).await;
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn versions_have_no_gaps_under_concurrency_and_failures(pool: PgPool) {
    let epoch = first_epoch(&pool).await;
    let pool = Arc::new(pool);
    let mut tasks = JoinSet::new();
    for worker in 0..8_u64 {
        let pool = pool.clone();
        tasks.spawn(async move {
            let sale = event(&pool, &format!("sale-{worker}")).await;
            for round in 0..12_u16 {
                // Regions in an order of each worker's own: locks must not depend on it.
                let mut at = ["us-east", "eu-west", "ap-northeast"];
                at.rotate_left(usize::from(round % 3));
                let edit = Edit::Put(assignment(&sale, Some(round)));
                let edits: Vec<_> = at.iter().map(|at| (*at, edit.clone())).collect();
                let request = request(&pool, &edits).await;
                let mut tx = pool.begin().await.unwrap();
                change::commit(&mut tx, &request).await.unwrap();
                if (u64::from(round) + worker).is_multiple_of(4) {
                    tx.rollback().await.unwrap();
                } else {
                    tx.commit().await.unwrap();
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    for of in ["us-east", "eu-west", "ap-northeast"] {
        assert_eq!(replay(&pool, of, epoch).await.version(), Version(8 * 9));
        assert_tables_agree_with_log(&pool, of, epoch).await;
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_cannot_be_done_everywhere_is_done_nowhere(pool: PgPool) {
    let epoch = first_epoch(&pool).await;
    let sale = event(&pool, "sale").await;
    let put = Edit::Put(assignment(&sale, None));
    let unknown = request(
        &pool,
        &[("us-east", put.clone()), ("atlantis", put.clone())],
    )
    .await;
    let mut bare = request(&pool, &[("us-east", put)]).await;
    bare.contents.clear();
    for request in [unknown, bare] {
        let mut tx = pool.begin().await.unwrap();
        let error = change::commit(&mut tx, &request).await.unwrap_err();
        assert!(matches!(
            error,
            ChangeError::UnknownRegion(_) | ChangeError::MissingContent { .. }
        ));
        drop(tx);
    }
    assert_eq!(
        replay(&pool, "us-east", epoch).await.version(),
        Version::ZERO
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn compaction_keeps_what_a_cursor_at_the_floor_needs(pool: PgPool) {
    first_epoch(&pool).await;
    let sale = event(&pool, "sale").await;
    for round in 0..20 {
        let edit = match round {
            5 => Edit::Remove(sale.clone()),
            _ => Edit::Put(assignment(&sale, Some(round))),
        };
        let request = request(&pool, &[("us-east", edit)]).await;
        let mut tx = pool.begin().await.unwrap();
        change::commit(&mut tx, &request).await.unwrap();
        tx.commit().await.unwrap();
    }
    let mut tx = pool.begin().await.unwrap();
    let here = region("us-east");
    assert_eq!(region_log::compact(&mut tx, &here, 8).await.unwrap(), 11);
    let head = region_log::heads(&mut tx).await.unwrap().remove(&here);
    let head = head.unwrap();
    assert_eq!((head.version, head.floor), (Version(20), Version(12)));
    let kept = region_log::position(&mut tx, &here, Version(12)).await;
    assert!(
        kept.unwrap().is_some(),
        "a cursor at the floor can be checked"
    );
    let rows = region_log::rows_after(&mut tx, &here, Version(12), 100, usize::MAX).await;
    assert_eq!(rows.unwrap().len(), 8);
}

#[sqlx::test(migrations = "../migrations")]
async fn an_epoch_is_minted_once_a_complaint_and_always_later(pool: PgPool) {
    let first = first_epoch(&pool).await;
    let sale = event(&pool, "sale").await;
    let request = request(&pool, &[("us-east", Edit::Put(assignment(&sale, None)))]).await;
    let mut tx = pool.begin().await.unwrap();
    change::commit(&mut tx, &request).await.unwrap();
    tx.commit().await.unwrap();

    let mint = async |complaint, cause: Cause| {
        let mut tx = pool.begin().await.unwrap();
        let epoch = store::epoch::mint(&mut tx, complaint, &cause, now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        epoch
    };
    let second = mint(Some(first), Cause::Database).await;
    assert!(second > first);
    let again = mint(Some(first), Cause::Database).await;
    assert_eq!(again, second, "two replicas complained of one thing");

    let far = u128::from(0xf000_u16) << 96 | 0x7000_u128 << 64;
    let far = Epoch(uuid::Uuid::from_u128(far));
    let position = Position {
        epoch: far,
        version: Version(3),
        digest: Digest::START,
    };
    assert!(mint(Some(second), Cause::Unknown(position)).await > far);

    let mut conn = pool.acquire().await.unwrap();
    let heads = region_log::heads(&mut conn).await.unwrap();
    let head = &heads[&region("us-east")];
    assert_eq!((head.version, head.floor), (Version(1), Version(1)));
}
