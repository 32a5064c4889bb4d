//! What nobody writes by accident: each is a clear refusal, or is kept as the text that it is.

use axum::http::Method;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::common::{Origin, event};

const INJECTIONS: &[&str] = &[
    "'; DROP TABLE live_events; --",
    "\" OR 1=1 --",
    "$1); DELETE FROM revisions; --",
    "\\'; SELECT pg_sleep(10); --",
    "%' AND (SELECT count(*) FROM users) > 0 AND '%'='",
    "{{7*7}} ${7*7} <script>alert(1)</script>",
];

#[sqlx::test(migrations = "../migrations")]
async fn sql_in_any_text_is_text(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    for (n, text) in INJECTIONS.iter().enumerate() {
        let more = json!({
            "displayName": text, "description": text, "category": text, "tags": [text],
            "configuration": { "version": text, "customParameters": { *text: text }, "unlockedFeatures": [text],
                               "rewards": { "items": [text], "currency": { *text: 1 } } },
            "localizations": { "de": { "displayName": text, "description": text, "customFields": { *text: text } } },
        });
        let id = format!("e-{n}");
        let created = admin
            .post("/events", event(&id, more.clone()))
            .await
            .must(201);
        for (name, value) in more.as_object().unwrap() {
            assert_eq!(&created[name], value, "{name}");
        }
        let encode = |text: &str| form_encoded(text);
        for filter in ["q", "category", "tag"] {
            let found = admin
                .get(&format!("/events?{filter}={}", encode(text)))
                .await
                .must(200);
            assert_eq!(found["total"], 1, "{filter} {text}");
            assert_eq!(found["events"][0]["eventId"], id);
        }
        // Where only a name of a known shape belongs, it is refused.
        for field in [
            "eventId",
            "type",
            "timezone",
            "startTime",
            "endTime",
            "bucketBy",
        ] {
            let fields = admin
                .post("/events", event("other", json!({ field: text })))
                .await;
            assert_eq!(fields.refused(400, "VALIDATION_ERROR"), [field], "{text}");
        }
        for field in ["targetSegments", "excludeSegments"] {
            let fields = admin
                .post("/events", event("other", json!({ field: [text] })))
                .await;
            assert_eq!(
                fields.refused(400, "VALIDATION_ERROR"),
                [format!("{field}[0]")],
                "{text}"
            );
        }
        for filter in ["state", "type", "region", "from", "to", "limit", "offset"] {
            let fields = admin
                .get(&format!("/events?{filter}={}", encode(text)))
                .await;
            assert_eq!(fields.refused(400, "VALIDATION_ERROR"), [filter], "{text}");
        }
    }
    assert_eq!(
        admin.get("/events").await.must(200)["total"],
        INJECTIONS.len()
    );
}

fn form_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[sqlx::test(migrations = "../migrations")]
async fn numbers_beyond_measure_are_refused(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let digits = "9".repeat(200_000);
    let table = [
        (
            r#""priority": 1180591620717411303424"#.to_owned(),
            "priority",
        ),
        (r#""priority": 1e400"#.to_owned(), ""),
        (r#""priority": 0.5"#.to_owned(), "priority"),
        (r#""priority": 2147483648"#.to_owned(), "priority"),
        (
            r#""maxParticipants": 1180591620717411303424"#.to_owned(),
            "maxParticipants",
        ),
        (
            r#""maxParticipants": 9223372036854775807"#.to_owned(),
            "maxParticipants",
        ),
        (r#""maxParticipants": 1e400"#.to_owned(), ""),
        (r#""maxParticipants": -1"#.to_owned(), "maxParticipants"),
        (
            r#""configuration": {"multipliers": {"xp": 1e400}}"#.to_owned(),
            "configuration",
        ),
        (
            r#""configuration": {"customParameters": {"x": 1e-20000}}"#.to_owned(),
            "configuration",
        ),
        (
            format!(r#""configuration": {{"customParameters": {{"x": {digits}}}}}"#),
            "configuration",
        ),
        (
            r#""configuration": {"multipliers": {"xp": -1180591620717411303424}}"#.to_owned(),
            "configuration.multipliers.xp",
        ),
        (
            r#""configuration": {"multipliers": {"xp": NaN}}"#.to_owned(),
            "",
        ),
    ];
    for (field, at_fault) in table {
        let body = event("fest", json!({}))
            .to_string()
            .replacen('{', &format!("{{{field},"), 1);
        let fields = admin
            .call(Method::POST, "/events", &[], body)
            .await
            .refused(400, "VALIDATION_ERROR");
        let expected: &[&str] = if at_fault.is_empty() {
            &[]
        } else {
            &[at_fault]
        };
        assert_eq!(fields, expected, "{}", &field[..field.len().min(80)]);
    }
    // 2^70 where any number belongs is one, and keeps its digits.
    let configuration = r#"{"customParameters": {"seed": 1180591620717411303424}}"#;
    let field = format!(r#"{{"configuration": {configuration},"#);
    let body = event("fest", json!({}))
        .to_string()
        .replacen('{', &field, 1);
    let created = admin.call(Method::POST, "/events", &[], body).await;
    assert!(
        created.text.contains("1180591620717411303424"),
        "{}",
        created.text
    );
    created.must(201);
    for filter in [
        "limit=1180591620717411303424",
        "limit=0",
        "limit=-1",
        "limit=1e1",
        "offset=1e400",
        "offset=-1",
        "offset=4294967296",
    ] {
        let name = filter.split('=').next().unwrap();
        let fields = admin
            .get(&format!("/events?{filter}"))
            .await
            .refused(400, "VALIDATION_ERROR");
        assert_eq!(fields, [name], "{filter}");
    }
    assert_eq!(
        admin.get("/events?offset=4294967295").await.must(200)["events"],
        json!([])
    );
    for revision in ["0", "2147483647", "4294967295"] {
        admin
            .get(&format!("/events/fest/revisions/{revision}"))
            .await
            .refused(404, "NOT_FOUND");
    }
    admin
        .get("/events/fest/revisions/4294967296")
        .await
        .refused(400, "VALIDATION_ERROR");
    admin
        .get("/events/fest/revisions/-1")
        .await
        .refused(400, "VALIDATION_ERROR");
}

#[sqlx::test(migrations = "../migrations")]
async fn depth_without_end_is_refused(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    for levels in [57, 10_000, 200_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let end = if open == "[" { "" } else { "1" };
            let deep = format!("{}{end}{}", open.repeat(levels), close.repeat(levels));
            let fields = [
                format!(r#""configuration": {{"customParameters": {{"x": {deep}}}}}"#),
                format!(r#""localizations": {{"de": {{"customFields": {{"x": {deep}}}}}}}"#),
                format!(r#""tags": {deep}"#),
                format!(r#""whenStale": {deep}"#),
                format!(r#""recurrence": {deep}"#),
                format!(r#""unheardOf": {deep}"#),
            ];
            for field in fields {
                let body =
                    event("fest", json!({}))
                        .to_string()
                        .replacen('{', &format!("{{{field},"), 1);
                let answer = admin.call(Method::POST, "/events", &[], body).await;
                let code = answer.status.as_u16();
                assert!(
                    [400, 413].contains(&code),
                    "{levels} {}: {}",
                    &field[..40],
                    answer.text
                );
            }
            let answer = admin
                .call(
                    Method::PUT,
                    "/schemas/x",
                    &[],
                    format!(r#"{{"schema": {deep}}}"#),
                )
                .await;
            assert!(
                [400, 413].contains(&answer.status.as_u16()),
                "{}",
                answer.text
            );
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn bytes_that_are_no_text_are_refused(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let mut body = event("fest", json!({ "description": "@@" }))
        .to_string()
        .into_bytes();
    let at = body.windows(2).position(|two| two == b"@@").unwrap();
    for bad in [[0xff, 0xfe], [0xc3, 0x28], [0xed, 0xa0], [0xc0, 0x80]] {
        body[at..at + 2].copy_from_slice(&bad);
        admin
            .call(Method::POST, "/events", &[], body.clone())
            .await
            .refused(400, "VALIDATION_ERROR");
    }
    for field in [
        "displayName",
        "description",
        "category",
        "timezone",
        "bucketBy",
        "startTime",
        "eventId",
        "type",
    ] {
        let more = json!({ field: "a\0b" });
        let fields = admin
            .post("/events", event("fest", more))
            .await
            .refused(400, "VALIDATION_ERROR");
        assert_eq!(fields, [field]);
    }
    let rule = json!({ "recurrence": { "rule": "FREQ=DAILY\0", "duration": "PT1H" } });
    let fields = admin
        .post("/events", event("fest", rule))
        .await
        .refused(400, "VALIDATION_ERROR");
    assert_eq!(fields, ["recurrence.rule"]);
    let language = json!({ "localizations": { "d\0": {} } });
    admin
        .post("/events", event("fest", language))
        .await
        .refused(400, "VALIDATION_ERROR");
    for filter in ["q", "tag", "category", "state", "type", "region", "from"] {
        for bad in ["%00", "a%00b", "%01", "%0A", "%7F"] {
            let fields = admin.get(&format!("/events?{filter}={bad}")).await;
            assert_eq!(fields.refused(400, "VALIDATION_ERROR"), [filter], "{bad}");
        }
    }
    for path in [
        "/events/%00",
        "/events/%FF",
        "/events/a%00b/revisions",
        "/events/fest/revisions/%00",
    ] {
        admin.get(path).await.refused(400, "VALIDATION_ERROR");
    }
    // Odd, and yet text: found again by itself, in any case.
    let odd = [
        "e\u{301}clair",
        "İstanbul",
        "ﬁnale",
        "夏祭り",
        "👩‍🚀🚀",
        "a\u{202e}b",
        "ẞ",
        "100%_\\",
    ];
    for (n, name) in odd.iter().enumerate() {
        let id = format!("odd-{n}");
        admin
            .post("/events", event(&id, json!({ "displayName": name })))
            .await
            .must(201);
        for text in [(*name).to_owned(), name.to_lowercase()] {
            let found = admin
                .get(&format!("/events?q={}", form_encoded(&text)))
                .await
                .must(200);
            assert_eq!(found["events"][0]["eventId"], id, "{text}");
        }
    }
    let long = "x".repeat(201);
    assert_eq!(
        admin
            .get(&format!("/events?q={long}"))
            .await
            .refused(400, "VALIDATION_ERROR"),
        ["q"]
    );
    let invalid = admin.get("/events?q=%FF%FE").await.must(200);
    assert_eq!(invalid["total"], 0);
}

#[sqlx::test(migrations = "../migrations")]
async fn times_at_the_ends_of_time_are_refused(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let odd_times = [
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "-009999-01-02T01:59:59Z",
        "+999999-01-01T00:00:00Z",
        "1999-12-31T23:59:59Z",
        "2026-02-30T00:00:00Z",
        "2026-07-01T24:00:00Z",
        "2026-07-01T10:00:60.5Z",
        "2026-07-01T10:00:00+26:00",
        "2026-W27-1T10:00:00Z",
        "1782900000",
        "",
        "null",
        "2026-07-01",
    ];
    for time in odd_times {
        for field in ["startTime", "endTime"] {
            let fields = admin
                .post("/events", event("fest", json!({ field: time })))
                .await;
            assert_eq!(fields.refused(400, "VALIDATION_ERROR"), [field], "{time}");
        }
    }
    let odd_zones = [
        "",
        "Mars/Olympus",
        "UTC+25",
        "../../etc/passwd",
        "/etc/localtime",
        "Europe/Berlin\n",
        "EUROPE//BERLIN",
        "+99:99",
        "posixrules/x",
        "\u{202e}UTC",
    ];
    for zone in odd_zones {
        let fields = admin
            .post("/events", event("fest", json!({ "timezone": zone })))
            .await;
        assert_eq!(
            fields.refused(400, "VALIDATION_ERROR"),
            ["timezone"],
            "{zone}"
        );
    }
    // As filters the ends of time are fine where the calendar has them.
    admin
        .post("/events", event("fest", json!({})))
        .await
        .must(201);
    for (filter, total) in [
        ("from=0001-01-01T00:00:00Z", 1),
        ("to=9999-12-30T22:00:00Z", 1),
        ("to=0001-01-01T00:00:00Z", 0),
        ("from=9999-12-30T22:00:00Z", 0),
    ] {
        assert_eq!(
            admin.get(&format!("/events?{filter}")).await.must(200)["total"],
            total,
            "{filter}"
        );
    }
    for filter in [
        "from=-009999-01-02T01:59:59Z",
        "to=-009999-01-02T01:59:59Z",
        "from=99999-01-01T00:00:00Z",
        "from=soon",
    ] {
        admin
            .get(&format!("/events?{filter}"))
            .await
            .refused(400, "VALIDATION_ERROR");
    }
    let rule = |rule: &str, duration: &str, until: &str| json!({ "recurrence": { "rule": rule, "duration": duration, "until": until } });
    for (more, field) in [
        (
            rule("FREQ=SECONDLY", "PT1H", "2026-07-09T00:00:00Z"),
            "recurrence.rule",
        ),
        (
            rule("FREQ=DAILY;INTERVAL=0", "PT1H", "2026-07-09T00:00:00Z"),
            "recurrence.rule",
        ),
        (
            rule("FREQ=DAILY", "P9999999999999Y", "2026-07-09T00:00:00Z"),
            "recurrence.duration",
        ),
        (
            rule("FREQ=DAILY", "PT0S", "2026-07-09T00:00:00Z"),
            "recurrence.duration",
        ),
        (
            rule("FREQ=DAILY", "PT1H", "0001-01-01T00:00:00Z"),
            "recurrence.until",
        ),
    ] {
        let fields = admin.post("/events", event("other", more.clone())).await;
        assert_eq!(fields.refused(400, "VALIDATION_ERROR"), [field], "{more}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn what_is_no_event_is_refused_whole(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let deadline: Value = json!({ "configuration": { "multipliers": { "xp": -1 } } });
    for body in [
        "",
        "null",
        "[]",
        "7",
        "\"event\"",
        "{",
        "{}}",
        "{\"displayName\": \"a\", \"displayName\": \"b\"}",
        "\u{feff}{}",
    ] {
        admin
            .call(Method::POST, "/events", &[], body)
            .await
            .refused(400, "VALIDATION_ERROR");
    }
    for (field, wrong) in [
        ("state", json!("Active")),
        ("revision", json!(7)),
        ("approvalStatus", json!("Approved")),
        ("approvedBy", json!("me")),
        ("createdBy", json!("me")),
        ("salt", json!("0")),
        ("__proto__", json!({})),
        ("tags", json!("a")),
        ("displayName", json!(7)),
        ("configuration", Value::Null),
        ("regionLocal", json!("yes")),
        ("allowOverlap", json!(1)),
        ("priority", json!("high")),
    ] {
        let answer = admin
            .post("/events", event("fest", json!({ field: wrong })))
            .await;
        if field == "configuration" {
            // Left out and null are the same of what has a default.
            assert_eq!(answer.must(201)["configuration"], json!({}));
        } else {
            assert_eq!(answer.refused(400, "VALIDATION_ERROR"), [field]);
        }
    }
    let many: serde_json::Map<_, _> = (0..20_000).map(|n| (format!("m{n}"), json!(-1))).collect();
    let many = json!({ "configuration": { "multipliers": many } });
    let fields = admin
        .post("/events", event("other", many))
        .await
        .refused(400, "VALIDATION_ERROR");
    assert_eq!(fields.len(), 201);
    assert_eq!(fields.last().unwrap(), "request");
    let large = json!({ "configuration": { "customParameters": { "x": "y".repeat(256 * 1024) } } });
    let fields = admin
        .post("/events", event("other", large))
        .await
        .refused(400, "VALIDATION_ERROR");
    assert_eq!(fields, ["configuration"]);
    let huge = json!({ "configuration": { "customParameters": { "x": "y".repeat(1024 * 1024) } } });
    admin
        .post("/events", event("other", huge))
        .await
        .refused(413, "PAYLOAD_TOO_LARGE");
    admin
        .put("/events/fest", deadline)
        .await
        .refused(400, "VALIDATION_ERROR");
}
