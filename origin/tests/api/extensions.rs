//! Other ends, and other starts, of events that are deployed.

use serde_json::{Value, json};
use sqlx::PgPool;

use crate::common::{Caller, Origin};

async fn put_times(admin: &Caller<'_>, id: &str, body: Value) -> Value {
    admin.extend(id, body).await.must(200)
}

#[sqlx::test(migrations = "../migrations")]
async fn both_ways_in_every_state_and_the_columns_follow(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    admin
        .deployed_event("fest", &["us-east", "eu-west"], json!({}))
        .await;
    for commands in [&[][..], &["activate"], &["pause"]] {
        for command in commands {
            admin.command("fest", command).await.must(200);
        }
        let start = admin.event("fest").await["startTime"]
            .as_str()
            .unwrap()
            .to_owned();
        for (body, end) in [
            (
                json!({ "endTime": "2026-07-20T00:00:00Z" }),
                "2026-07-20T00:00:00Z",
            ),
            (json!({ "extendBy": "-P5D" }), "2026-07-15T00:00:00Z"),
            (
                json!({ "extendBy": "PT10H", "reason": "so popular" }),
                "2026-07-15T10:00:00Z",
            ),
        ] {
            let done = put_times(&admin, "fest", body).await;
            assert_eq!(done["event"]["endTime"], end);
            assert_eq!(done["regions"].as_object().unwrap().len(), 2);
            for region in ["us-east", "eu-west"] {
                let shown = admin.shown("fest", region).await;
                assert_eq!(shown, [format!("{start}/{end}")]);
            }
            let follows: bool =
                sqlx::query_scalar("SELECT end_time = $1::text::timestamptz FROM live_events")
                    .bind(end)
                    .fetch_one(&pool)
                    .await
                    .unwrap();
            assert!(follows, "{end}");
        }
        // What is so already is no change of any region.
        let same = put_times(&admin, "fest", json!({ "endTime": "2026-07-15T10:00:00Z" })).await;
        assert_eq!(same["regions"], json!({}));
    }
    let listed = admin
        .get("/audit?subject=fest&action=event.extend")
        .await
        .must(200);
    let row = &listed["entries"][1];
    assert_eq!(row["before"]["endTime"], "2026-07-15T00:00:00Z");
    assert_eq!(
        (&row["after"]["endTime"], &row["after"]["reason"]),
        (&json!("2026-07-15T10:00:00Z"), &json!("so popular"))
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_wrong_is_told_field_by_field(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin
        .deployed_event("fest", &["us-east", "eu-west"], json!({}))
        .await;
    let table = [
        (json!({}), vec!["endTime"]),
        (
            json!({ "endTime": "2026-07-20T00:00:00Z", "extendBy": "PT1H" }),
            vec!["extendBy"],
        ),
        (json!({ "extendBy": "a while" }), vec!["extendBy"]),
        (json!({ "endTime": "soon" }), vec!["endTime"]),
        (
            json!({ "endTime": "2026-06-01T12:00:00Z", "startTime": "2026-05-01T00:00:00Z" }),
            vec!["endTime", "startTime"],
        ),
        (json!({ "extendBy": "-P60D" }), vec!["endTime"]),
        (
            json!({ "startTime": "2026-07-16T00:00:00Z" }),
            vec!["endTime"],
        ),
    ];
    for (body, fields) in table {
        let mut found = admin
            .extend("fest", body.clone())
            .await
            .refused(400, "VALIDATION_ERROR");
        found.sort();
        assert_eq!(found, fields, "{body}");
    }
    for body in [json!({ "until": "x" }), json!([]), json!({ "extendBy": 5 })] {
        admin
            .extend("fest", body)
            .await
            .refused(400, "VALIDATION_ERROR");
    }
    assert_eq!(
        admin.shown("fest", "us-east").await,
        ["2026-07-01T10:00:00Z/2026-07-15T10:00:00Z"]
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_start_moves_only_before_it(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.deployed_event("fest", &["us-east"], json!({})).await;
    for start in ["2026-07-10T10:00:00Z", "2026-06-02T10:00:00Z"] {
        let done = put_times(&admin, "fest", json!({ "startTime": start })).await;
        assert_eq!(done["event"]["startTime"], start);
        assert_eq!(
            admin.shown("fest", "us-east").await,
            [format!("{start}/2026-07-15T10:00:00Z")]
        );
    }
    // It opens at the new moment, which nobody has told the scheduler.
    origin.at("2026-06-02T10:00:00Z").await;
    assert_eq!(admin.event("fest").await["state"], "Active");
    let later = json!({ "startTime": "2026-06-03T10:00:00Z" });
    admin.extend("fest", later).await.refused(409, "CONFLICT");
    // And it closes at the new one.
    put_times(&admin, "fest", json!({ "endTime": "2026-06-02T11:00:00Z" })).await;
    origin.at("2026-06-02T10:59:59Z").await;
    assert_eq!(admin.event("fest").await["state"], "Active");
    origin.at("2026-06-02T11:00:00Z").await;
    assert_eq!(admin.event("fest").await["state"], "Completed");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_times_are_the_events_and_no_revisions(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    admin.deployed_event("fest", &["us-east"], json!({})).await;
    put_times(&admin, "fest", json!({ "endTime": "2026-08-01T00:00:00Z" })).await;
    // Revision 1 still says what it was approved to say.
    let first = admin.get("/events/fest/revisions/1").await.must(200);
    assert_eq!(first["endTime"], "2026-07-15T10:00:00Z");
    // A region that comes later has the event's times, whichever revision comes.
    admin.deploy("fest", &["eu-west"], 100.0).await;
    let times = ["2026-07-01T10:00:00Z/2026-08-01T00:00:00Z"];
    assert_eq!(admin.shown("fest", "eu-west").await, times);
    // An edit starts from them, cannot change them, and may say them.
    let edit = json!({ "priority": 3, "endTime": "2026-08-01T00:00:00Z" });
    let edited = admin.put("/events/fest", edit).await.must(200);
    assert_eq!(
        (&edited["revision"], &edited["endTime"]),
        (&json!(2), &json!("2026-08-01T00:00:00Z"))
    );
    let back = json!({ "endTime": "2026-07-15T10:00:00Z" });
    admin
        .put("/events/fest", back)
        .await
        .refused(409, "CONFLICT");
    admin
        .post("/events/fest/approve", json!({}))
        .await
        .must(200);
    admin.deploy("fest", &["us-east"], 100.0).await;
    let older = json!({ "eventId": "fest", "revision": 1, "regions": ["us-east", "us-west"] });
    admin.post("/deployments", older).await.must(201);
    for region in ["us-east", "us-west"] {
        assert_eq!(admin.shown("fest", region).await, times);
    }
    // A clone takes them along.
    let clone = admin
        .post("/events/fest/clone", json!({ "eventId": "fest-2" }))
        .await
        .must(201);
    assert_eq!(clone["endTime"], "2026-08-01T00:00:00Z");
}

#[sqlx::test(migrations = "../migrations")]
async fn wall_clock_ends_move_by_each_regions_clock(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let admin = origin.admin();
    let zones = [
        ("us-east", "America/New_York"),
        ("us-west", "America/Los_Angeles"),
        ("eu-central", "Europe/Berlin"),
        ("ap-southeast", "Australia/Sydney"),
        ("ap-northeast", "Australia/Lord_Howe"),
        ("me-central", "Asia/Kathmandu"),
        ("sa-east", "Pacific/Apia"),
    ];
    for (region, zone) in zones {
        sqlx::query("UPDATE regions SET timezone = $2 WHERE region_id = $1")
            .bind(region)
            .bind(zone)
            .execute(&pool)
            .await
            .unwrap();
    }
    let regions: Vec<&str> = zones.iter().map(|(region, _)| *region).collect();
    // The night in which the clocks go back in America, and have gone forward in the south.
    let night = json!({
        "regionLocal": true, "startTime": "2026-10-31T18:00:00", "endTime": "2026-11-01T00:30:00",
        "timezone": "Europe/Berlin",
    });
    admin.deployed_event("night", &regions, night).await;
    let closes = || async {
        let mut closes = Vec::new();
        for region in &regions {
            let shown = admin.shown("night", region).await;
            closes.push(shown[0].split('/').next_back().unwrap()[5..16].to_owned());
        }
        closes
    };
    let before = [
        "11-01T04:30",
        "11-01T07:30",
        "10-31T23:30",
        "10-31T13:30",
        "10-31T13:30",
        "10-31T18:45",
        "10-31T11:30",
    ];
    assert_eq!(closes().await, before);
    // To half past one, which comes twice in New York and Los Angeles: the first.
    put_times(&admin, "night", json!({ "extendBy": "PT1H" })).await;
    let first = [
        "11-01T05:30",
        "11-01T08:30",
        "11-01T00:30",
        "10-31T14:30",
        "10-31T14:30",
        "10-31T19:45",
        "10-31T12:30",
    ];
    assert_eq!(closes().await, first);
    // To half past two, two hours later there by the sun.
    put_times(&admin, "night", json!({ "endTime": "2026-11-01T02:30:00" })).await;
    let second = [
        "11-01T07:30",
        "11-01T10:30",
        "11-01T01:30",
        "10-31T15:30",
        "10-31T15:30",
        "10-31T20:45",
        "10-31T13:30",
    ];
    assert_eq!(closes().await, second);

    // Apia is the first to open, and to close; the last in the event's life is Los Angeles.
    origin.at("2026-10-31T04:59:59Z").await;
    assert_eq!(admin.event("night").await["state"], "Scheduled");
    origin.at("2026-10-31T05:00:00Z").await;
    assert_eq!(admin.event("night").await["state"], "Active");
    // Where it has closed it opens again if its end there lies ahead by now.
    origin.at("2026-10-31T14:00:00Z").await;
    put_times(&admin, "night", json!({ "endTime": "2026-11-01T03:30:00" })).await;
    assert_eq!(
        admin.shown("night", "sa-east").await,
        ["2026-10-31T05:00:00Z/2026-10-31T14:30:00Z"]
    );
    let past = admin
        .extend("night", json!({ "endTime": "2026-11-01T00:45:00" }))
        .await;
    assert!(
        past.message().contains("fields are not valid") || past.message().contains("past in"),
        "{}",
        past.text
    );
    assert!(
        past.refused(400, "VALIDATION_ERROR")
            .iter()
            .all(|field| field == "endTime")
    );
    origin.at("2026-11-01T11:29:59Z").await;
    assert_eq!(admin.event("night").await["state"], "Active");
    origin.at("2026-11-01T11:30:00Z").await;
    let event = admin.event("night").await;
    assert_eq!(
        (&event["state"], &event["endedAt"]),
        (&json!("Completed"), &json!("2026-11-01T11:30:00Z"))
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_series_goes_on_to_its_new_end_and_stops_at_an_earlier_one(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let weekly = json!({
        "endTime": "2026-07-20T00:00:00Z",
        "recurrence": { "rule": "FREQ=WEEKLY", "duration": "PT6H", "until": "2026-07-10T00:00:00" },
    });
    admin.deployed_event("club", &["us-east"], weekly).await;
    let opens = || async {
        let shown = admin.shown("club", "us-east").await;
        let opens = shown.iter().map(|o| o[5..10].to_owned());
        opens.collect::<Vec<_>>()
    };
    assert_eq!(opens().await, ["07-01", "07-08"]);
    put_times(&admin, "club", json!({ "endTime": "2026-07-30T00:00:00Z" })).await;
    assert_eq!(opens().await, ["07-01", "07-08", "07-15", "07-22", "07-29"]);
    origin.at("2026-07-08T12:00:00Z").await;
    // Earlier, within the occurrence that is open.
    put_times(&admin, "club", json!({ "endTime": "2026-07-08T13:00:00Z" })).await;
    assert_eq!(
        admin.shown("club", "us-east").await,
        ["2026-07-08T10:00:00Z/2026-07-08T13:00:00Z"]
    );
    put_times(&admin, "club", json!({ "extendBy": "P7D" })).await;
    assert_eq!(opens().await, ["07-08", "07-15"]);
    origin.at("2026-07-09T00:00:00Z").await;
    // Between two of them an end before the next would leave nothing.
    let nothing = admin
        .extend("club", json!({ "endTime": "2026-07-10T00:00:00Z" }))
        .await;
    assert_eq!(nothing.refused(400, "VALIDATION_ERROR"), ["endTime"]);
    origin.at("2026-07-15T13:00:00Z").await;
    assert_eq!(admin.event("club").await["state"], "Completed");
}
