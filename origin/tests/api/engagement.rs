//! What edges tell of engagement is counted once, by whoever has claimed it; and what it comes to is shown.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use liveevents_origin::figures::Figures;
use liveevents_origin::metrics::FigureMetrics;
use liveevents_origin::store::StoreError;
use liveevents_origin::store::engagement::{Outcome, claim, count};
use liveevents_protocol::engagement::{
    Cell, Cents, Cohort, Counted, Place, SenderSession, Sentiment, Tally,
};
use liveevents_protocol::frame::Aggregate;
use liveevents_protocol::id::EdgeId;
use liveevents_protocol::version::Revision;
use liveevents_service::metrics::Metrics;
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

use crate::common::{Caller, Origin, event};

/// An origin that has room for what is reported on the day when tests begin, and an event.
async fn start(pool: PgPool) -> Origin {
    let origin = Origin::start_counting(pool).await;
    let admin = origin.admin();
    admin
        .post("/events", event("fest", json!({})))
        .await
        .must(201);
    origin
}

fn session(n: u128) -> SenderSession {
    SenderSession(Uuid::from_u128(n))
}

fn edge(name: &str) -> EdgeId {
    name.parse().unwrap()
}

fn cell(
    event: &str,
    region: &str,
    cohort: Cohort,
    second: Timestamp,
    happened: &[(u64, Counted)],
) -> Cell {
    let mut tally = Tally::default();
    for (player, counted) in happened {
        tally.count(*player, *counted);
    }
    Cell {
        place: Place {
            region: region.parse().unwrap(),
            event: event.parse().unwrap(),
            revision: Some(Revision(1)),
            variant: None,
            cohort,
            segment: None,
        },
        second,
        tally,
    }
}

fn aggregate(batches: &[(u128, u64)], cells: Vec<Cell>) -> Aggregate {
    Aggregate {
        id: 1,
        batches: batches
            .iter()
            .map(|(n, batch)| (session(*n), *batch))
            .collect(),
        cells,
    }
}

/// What a connection of an edge is told of its claims.
async fn claimed(origin: &Origin, by: (&str, u64), sessions: &[u128]) -> Vec<u64> {
    let sessions: Vec<SenderSession> = sessions.iter().map(|n| session(*n)).collect();
    let mut tx = origin.pool.begin().await.unwrap();
    let told = claim(&mut tx, (&edge(by.0), by.1), &sessions, origin.now()).await;
    tx.commit().await.unwrap();
    let mut told = told.unwrap();
    told.sort_unstable();
    told.into_iter().map(|(_, batch)| batch).collect()
}

/// What a connection of an edge is told of its aggregate: whose sessions are others'.
async fn counted(origin: &Origin, by: (&str, u64), aggregate: &Aggregate) -> Vec<SenderSession> {
    try_count(origin, by, aggregate).await.unwrap()
}

async fn try_count(
    origin: &Origin,
    by: (&str, u64),
    aggregate: &Aggregate,
) -> Result<Vec<SenderSession>, StoreError> {
    let mut tx = origin.pool.begin().await?;
    match count(&mut tx, (&edge(by.0), by.1), aggregate, origin.now()).await? {
        Outcome::Refused(sessions) => return Ok(sessions),
        Outcome::Counted(_) | Outcome::Again => tx.commit().await?,
    }
    Ok(Vec::new())
}

async fn metrics(caller: &Caller<'_>, more: &str) -> Value {
    caller
        .get(&format!("/events/fest/metrics{more}"))
        .await
        .must(200)
}

/// What a connection of its own tells in one batch.
async fn tell(origin: &Origin, n: u128, cells: Vec<Cell>) {
    claimed(origin, ("a", 1), &[n]).await;
    assert_eq!(
        counted(origin, ("a", 1), &aggregate(&[(n, 1)], cells)).await,
        []
    );
}

const PARTICIPATES: &[(u64, Counted)] = &[(1, Counted::Participation)];

#[sqlx::test(migrations = "../migrations")]
async fn what_happened_is_told_in_rates_by_region_cohort_and_step(pool: PgPool) {
    let origin = start(pool).await;
    let now = origin.now();
    let earlier = now - SignedDuration::from_mins(10);
    let east = cell(
        "fest",
        "us-east",
        Cohort::Exposed,
        now,
        &[
            (1, Counted::SessionStart),
            (2, Counted::SessionStart),
            (1, Counted::Participation),
            (1, Counted::Completion),
            (1, Counted::Purchase(Cents(499))),
            (2, Counted::Feedback(Sentiment::Positive, Some(10))),
        ],
    );
    let west = cell(
        "fest",
        "eu-west",
        Cohort::Control,
        earlier,
        &[
            (2, Counted::SessionEnd(60)),
            (3, Counted::Participation),
            (3, Counted::Error),
        ],
    );
    let nothing = cell("ghosts", "eu-west", Cohort::Control, now, PARTICIPATES);
    assert_eq!(claimed(&origin, ("a", 1), &[1]).await, [0]);
    let told = aggregate(&[(1, 1)], vec![east, west, nothing]);
    assert_eq!(counted(&origin, ("a", 1), &told).await, []);

    let admin = origin.admin();
    let whole = metrics(&admin, "").await;
    assert_eq!(
        whole["engagement"],
        json!({
            "activePlayers": 3, "participants": 2, "participations": 2, "dailyActivePlayers": 3, "monthlyActivePlayers": 3,
            "participationRate": whole["engagement"]["participationRate"],
            "completions": 1, "completionRate": whole["engagement"]["completionRate"], "sessions": 2,
            "averageSessionSeconds": 60.0, "errors": 1, "errorRate": whole["engagement"]["errorRate"],
        })
    );
    let rate = whole["engagement"]["participationRate"].as_f64().unwrap();
    assert!(
        (rate - 2.0 / 3.0).abs() < 0.001,
        "player 2 was in both regions, and is one: {rate}"
    );
    assert_eq!(whole["revenue"]["total"], 4.99);
    assert_eq!(whole["sentiment"]["nps"], 100.0);
    let part = |name: &str, more: &str| format!("/{name}{more}");
    let east = metrics(&admin, &part("engagement", "?region=us-east")).await;
    assert_eq!(
        (&east["activePlayers"], &east["errors"]),
        (&json!(2), &json!(0))
    );
    let control = metrics(&admin, &part("engagement", "?cohort=Control")).await;
    assert_eq!(
        (&control["activePlayers"], &control["errors"]),
        (&json!(2), &json!(1))
    );
    let none = metrics(&admin, &part("revenue", "?variant=b")).await;
    assert_eq!((&none["total"], &none["arpu"]), (&json!(0.0), &Value::Null));
    let recent = metrics(&admin, &part("engagement", "?window=PT5M")).await;
    assert_eq!(recent["activePlayers"], 2);
    for (window, step) in [("PT1H", "PT5M"), ("P30D", "PT1H")] {
        let series = metrics(
            &admin,
            &part("engagement", &format!("?window={window}&step={step}")),
        )
        .await;
        let steps = series["series"].as_array().unwrap();
        let sum = |field: &str| {
            steps
                .iter()
                .map(|step| step[field].as_u64().unwrap())
                .sum::<u64>()
        };
        assert_eq!(
            (sum("sessions"), sum("errors")),
            (2, 1),
            "{window} {step}: {series}"
        );
    }
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM engagement WHERE event_id = 'ghosts'")
        .fetch_one(&origin.pool)
        .await
        .unwrap();
    assert_eq!(kept, 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_asked_wrongly_is_named(pool: PgPool) {
    let origin = start(pool).await;
    let admin = origin.admin();
    for (query, field) in [
        ("window=1h", "window"),
        ("window=P31D", "window"),
        ("window=PT1S", "window"),
        ("step=PT30S", "step"),
        ("step=PT0S", "step"),
        ("window=P30D&step=PT5M", "step"),
        ("window=P2D&step=PT1M", "step"),
        ("cohort=Nobody", "cohort"),
        ("variant=", "variant"),
        ("segment=Big", "segment"),
        ("colour=red", "colour"),
    ] {
        let refused = admin.get(&format!("/events/fest/metrics?{query}")).await;
        assert_eq!(refused.refused(400, "VALIDATION_ERROR"), [field], "{query}");
    }
    let missing = admin.get("/events/ghosts/metrics").await;
    missing.refused(404, "NOT_FOUND");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_batch_counts_once_whoever_tells_it_and_however_often(pool: PgPool) {
    let origin = start(pool).await;
    let admin = origin.admin();
    let participates = || {
        vec![cell(
            "fest",
            "us-east",
            Cohort::Everybody,
            origin.now(),
            PARTICIPATES,
        )]
    };
    let told = async || {
        let whole = metrics(&admin, "/engagement").await;
        let sum = "SELECT coalesce(sum(participations), 0)::bigint FROM engagement WHERE grain = 'Minute'";
        let sum: i64 = sqlx::query_scalar(sum)
            .fetch_one(&origin.pool)
            .await
            .unwrap();
        (whole["participants"].clone(), sum)
    };
    let unclaimed = aggregate(&[(1, 1)], participates());
    assert_eq!(counted(&origin, ("a", 1), &unclaimed).await, [session(1)]);
    assert_eq!(claimed(&origin, ("a", 1), &[1, 2]).await, [0, 0]);
    let both = aggregate(&[(1, 3), (2, 1)], participates());
    assert_eq!(counted(&origin, ("a", 1), &both).await, []);
    assert_eq!(told().await, (json!(1), 1));
    // The commit was not heard of, and it is tried again.
    assert_eq!(counted(&origin, ("a", 1), &both).await, []);
    assert_eq!(told().await, (json!(1), 1));

    // A session moves. What was counted stays so, although the edge tries it again only now.
    assert_eq!(claimed(&origin, ("b", 2), &[2]).await, [1]);
    assert_eq!(counted(&origin, ("a", 1), &both).await, []);
    assert_eq!(told().await, (json!(1), 1));
    // What the first edge tells of it after that is refused whole, and says of whom.
    let next = aggregate(&[(1, 4), (2, 2)], participates());
    assert_eq!(counted(&origin, ("a", 1), &next).await, [session(2)]);
    assert_eq!(told().await, (json!(1), 1));
    let rest = aggregate(&[(1, 4)], participates());
    assert_eq!(counted(&origin, ("a", 1), &rest).await, []);
    assert_eq!(
        counted(&origin, ("b", 2), &aggregate(&[(2, 2)], participates())).await,
        []
    );
    assert_eq!(told().await, (json!(1), 3));
    // So does one to a newer connection of the same edge.
    assert_eq!(claimed(&origin, ("b", 3), &[2]).await, [2]);
    let stale = aggregate(&[(2, 3)], participates());
    assert_eq!(counted(&origin, ("b", 2), &stale).await, [session(2)]);
}

#[sqlx::test(migrations = "../migrations")]
async fn of_many_edges_at_once_nothing_is_lost(pool: PgPool) {
    let origin = start(pool).await;
    let edges: Vec<String> = (0..5).map(|n| format!("edge-{n}")).collect();
    let work = edges.iter().zip(1_u64..).map(|(name, n)| {
        let origin = &origin;
        async move {
            let by = (name.as_str(), n);
            claimed(origin, by, &[n.into()]).await;
            for batch in 1..=8 {
                let place = |region, player| {
                    let participates = [(player, Counted::Participation)];
                    cell(
                        "fest",
                        region,
                        Cohort::Everybody,
                        origin.now(),
                        &participates,
                    )
                };
                // In an order of each edge's own: locks must not depend on it.
                let mut cells = vec![place("us-east", 100 * n + batch), place("eu-west", batch)];
                if n.is_multiple_of(2) {
                    cells.reverse();
                }
                let told = aggregate(&[(n.into(), batch)], cells);
                assert_eq!(counted(origin, by, &told).await, []);
            }
        }
    });
    join_all(work).await;
    let admin = origin.admin();
    let east = metrics(&admin, "/engagement?region=us-east").await;
    let west = metrics(&admin, "/engagement?region=eu-west").await;
    assert_eq!(
        (&east["participants"], &west["participants"]),
        (&json!(40), &json!(8))
    );
    for grain in ["Minute", "Hour"] {
        let sum = "SELECT sum(participations)::bigint FROM engagement WHERE grain = $1";
        let sum: i64 = sqlx::query_scalar(sum)
            .bind(grain)
            .fetch_one(&origin.pool)
            .await
            .unwrap();
        assert_eq!(sum, 80, "{grain}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn of_a_segment_there_are_plain_counts_beside_everybodys(pool: PgPool) {
    let origin = start(pool).await;
    let now = origin.now();
    let happened = [
        (1, Counted::Participation),
        (1, Counted::Purchase(Cents(250))),
    ];
    let everybody = cell("fest", "us-east", Cohort::Exposed, now, &happened);
    let mut whales = everybody.clone();
    whales.place.segment = Some("whales".parse().unwrap());
    whales.tally = Tally {
        sums: whales.tally.sums,
        ..Tally::default()
    };
    tell(&origin, 1, vec![whales.clone(), everybody]).await;
    let admin = origin.admin();
    let whole = metrics(&admin, "").await;
    assert_eq!(
        (
            &whole["engagement"]["participants"],
            &whole["revenue"]["total"]
        ),
        (&json!(1), &json!(2.5))
    );
    let of_whales = metrics(&admin, "?segment=whales").await;
    assert_eq!(
        (
            &of_whales["engagement"]["participations"],
            &of_whales["engagement"]["participants"]
        ),
        (&json!(1), &Value::Null)
    );
    let revenue = &of_whales["revenue"];
    assert_eq!(
        (
            &revenue["total"],
            &revenue["payingPlayers"],
            &revenue["regionsTotal"]
        ),
        (&json!(2.5), &Value::Null, &Value::Null)
    );
    let others = metrics(&admin, "/engagement?segment=newcomers").await;
    assert_eq!(others["participations"], 0);
    // What a segment's players bought came in once.
    let cents: i64 = sqlx::query_scalar("SELECT sum(cents)::bigint FROM region_revenue")
        .fetch_one(&origin.pool)
        .await
        .unwrap();
    assert_eq!(cents, 250);
}

#[sqlx::test(migrations = "../migrations")]
async fn who_stays_is_told_from_one_stretch_to_the_next(pool: PgPool) {
    let origin = start(pool).await;
    let now = origin.now();
    let plays = |players: std::ops::Range<u64>| {
        players
            .map(|player| (player, Counted::SessionStart))
            .collect::<Vec<_>>()
    };
    let of = |minutes, players| {
        let at = now - SignedDuration::from_mins(minutes);
        cell("fest", "us-east", Cohort::Everybody, at, &plays(players))
    };
    tell(&origin, 1, vec![of(50, 0..8), of(20, 6..16)]).await;
    let admin = origin.admin();
    let near = |found: &Value, expected: f64| {
        let found = found.as_f64().unwrap_or_else(|| panic!("{found}"));
        assert!(
            (found - expected).abs() < 0.001,
            "{found} instead of {expected}"
        );
    };
    let half = metrics(&admin, "/sentiment?window=PT30M").await;
    near(&half["retention"], 0.25);
    let series = metrics(&admin, "/sentiment?window=PT1H&step=PT30M").await;
    assert_eq!(
        (&series["retention"], &series["series"][0]["retention"]),
        (&Value::Null, &Value::Null)
    );
    near(&series["series"][1]["retention"], 0.25);
    // Of a month nobody knows the one before.
    assert_eq!(
        metrics(&admin, "/sentiment?window=P30D").await["retention"],
        Value::Null
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn what_came_in_is_compared_with_the_weeks_before_the_event(pool: PgPool) {
    let origin = start(pool).await;
    let (now, admin) = (origin.now(), origin.admin());
    let fields = json!({ "startTime": now, "endTime": now + SignedDuration::from_hours(24) });
    admin.put("/events/fest", fields).await.must(200);
    admin
        .post("/events", event("shop", json!({})))
        .await
        .must(201);
    // Hours of weeks before, as they were counted then: two dollars each.
    sqlx::query(
        "INSERT INTO region_revenue SELECT date_trunc('hour', $1::timestamptz) - n * interval '1 hour', 'us-east', 'a', 200
         FROM generate_series(24, 24 * 15) AS n",
    )
    .bind(now.to_string())
    .execute(&origin.pool)
    .await
    .unwrap();
    let buys = [(1, Counted::Purchase(Cents(300)))];
    let of = |event| cell(event, "us-east", Cohort::Everybody, now, &buys);
    tell(&origin, 1, vec![of("fest"), of("shop")]).await;
    origin.clock.advance(SignedDuration::from_mins(30));
    let revenue = metrics(&admin, "/revenue").await;
    assert_eq!(
        (
            &revenue["total"],
            &revenue["regionsTotal"],
            &revenue["baseline"]
        ),
        (&json!(3.0), &json!(6.0), &json!(1.0)),
        "{revenue}"
    );
    assert_eq!(revenue["uplift"], 5.0);
    // Only the region's own counts, and there was nothing there.
    let west = metrics(&admin, "/revenue?region=eu-west").await;
    assert_eq!(
        (&west["regionsTotal"], &west["baseline"]),
        (&json!(0.0), &Value::Null)
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn figures_for_metrics_are_of_active_events_and_the_last_hours(pool: PgPool) {
    let origin = start(pool.clone()).await;
    let admin = origin.admin();
    let metrics = Metrics::new().unwrap();
    let figures = Figures {
        pool,
        clock: origin.clock.clock(),
        metrics: FigureMetrics::new(&metrics).unwrap(),
    };
    let figures = async || {
        figures.count_active().await.unwrap();
        figures.rate().await.unwrap();
        let text = metrics.render().unwrap();
        let told = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.contains("errors_total"));
        told.map(|line| line.trim_start_matches("liveevents_").to_owned())
            .collect::<Vec<_>>()
    };
    admin
        .deployed_event("gala", &["us-east", "eu-west"], json!({}))
        .await;
    admin.command("gala", "activate").await.must(200);
    // Nobody has reported anything.
    assert_eq!(figures().await, ["active_count 1"]);

    let ago = |hours| origin.now() - SignedDuration::from_hours(hours);
    let played = |player| (player, Counted::SessionStart);
    let takes_part = |player| (player, Counted::Participation);
    let of = |event, region, hours, happened: &[(u64, Counted)]| {
        cell(event, region, Cohort::Everybody, ago(hours), happened)
    };
    let cells = vec![
        of("gala", "us-east", 0, &[played(1), played(2), takes_part(1)]),
        of("gala", "us-east", 1, &[played(2), played(3), played(4)]),
        of("gala", "eu-west", 1, &[played(1), takes_part(2)]),
        // A draft, of which somebody reports all the same.
        of("fest", "us-east", 0, &[takes_part(7), takes_part(8)]),
    ];
    claimed(&origin, ("a", 1), &[1]).await;
    counted(&origin, ("a", 1), &aggregate(&[(1, 1)], cells)).await;
    let told = [
        "active_count 1",
        "engagement_rate{region=\"eu-west\"} 0.5",
        "engagement_rate{region=\"us-east\"} 0.25",
    ];
    assert_eq!(rounded(figures().await), told);
    // The first of these hours is over, and then the other.
    origin.clock.advance(SignedDuration::from_hours(1));
    let told = ["active_count 1", "engagement_rate{region=\"us-east\"} 0.5"];
    assert_eq!(rounded(figures().await), told);
    origin.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(figures().await, ["active_count 1"]);
    admin.command("gala", "deactivate").await.must(200);
    assert_eq!(figures().await, ["active_count 0"]);
}

/// Estimates of a few are exact, but for their last digits.
fn rounded(told: Vec<String>) -> Vec<String> {
    let round = |line: String| match line.rsplit_once(' ') {
        Some((name, value)) => {
            let value: f64 = value.parse().unwrap();
            format!("{name} {}", (value * 1000.0).round() / 1000.0)
        }
        None => line,
    };
    told.into_iter().map(round).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn old_days_go_by_partition(pool: PgPool) {
    let origin = start(pool).await;
    claimed(&origin, ("a", 1), &[1]).await;
    let told = vec![cell(
        "fest",
        "us-east",
        Cohort::Everybody,
        origin.now(),
        PARTICIPATES,
    )];
    counted(&origin, ("a", 1), &aggregate(&[(1, 1)], told)).await;
    let grains = async |today: &str| {
        let sql = format!("SELECT engagement_partitions('{today}')");
        sqlx::query(sqlx::AssertSqlSafe(sql))
            .execute(&origin.pool)
            .await
            .unwrap();
        let sql = "SELECT grain FROM engagement ORDER BY grain";
        sqlx::query_scalar::<_, String>(sql)
            .fetch_all(&origin.pool)
            .await
            .unwrap()
    };
    assert_eq!(grains("2026-06-03").await, ["Hour", "Minute"]);
    assert_eq!(grains("2026-06-04").await, ["Hour"]);
    assert_eq!(grains("2026-07-01").await, ["Hour"]);
    assert_eq!(grains("2026-07-02").await, Vec::<String>::new());
}
