//! Who may try to log in how often, and what a player's token may say.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use liveevents_service::token::Role;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::common::{Answer, Origin, PASSWORD};

/// A try from an address, by whatever stands in front of the origin.
async fn log_in(origin: &Origin, peer: &str, forwarded: Option<&str>, password: &str) -> Answer {
    let body = json!({ "username": "ada", "password": password }).to_string();
    let mut request = Request::post("/api/v1/authentication/login");
    if let Some(forwarded) = forwarded {
        request = request.header("x-forwarded-for", forwarded);
    }
    let mut request = request.body(Body::from(body)).unwrap();
    let peer: SocketAddr = format!("{peer}:40000").parse().unwrap();
    request.extensions_mut().insert(ConnectInfo(peer));
    origin.send(request).await
}

async fn with_ada(pool: PgPool) -> Origin {
    let origin = Origin::start(pool).await;
    let ada = json!({ "username": "ada", "password": PASSWORD, "role": "Developer" });
    origin.admin().post("/users", ada).await.must(201);
    origin
}

#[sqlx::test(migrations = "../migrations")]
async fn an_address_has_ten_tries_a_minute_and_others_have_theirs(pool: PgPool) {
    let origin = with_ada(pool).await;
    for left in (0..10).rev() {
        let answer = log_in(&origin, "203.0.113.5", None, PASSWORD).await;
        assert_eq!(answer.headers["x-ratelimit-limit"], "10");
        assert_eq!(answer.headers["x-ratelimit-remaining"], left.to_string());
        answer.must(200);
    }
    let refused = log_in(&origin, "203.0.113.5", None, PASSWORD).await;
    for header in ["retry-after", "x-ratelimit-reset"] {
        let seconds: u64 = refused.headers[header].to_str().unwrap().parse().unwrap();
        assert!(seconds > 0, "{header}");
    }
    refused.refused(429, "RATE_LIMIT_EXCEEDED");
    // The right password does not help, and another address has its own.
    log_in(&origin, "203.0.113.6", None, PASSWORD)
        .await
        .must(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn only_a_trusted_proxy_is_believed_about_whom_it_stands_for(pool: PgPool) {
    let origin = with_ada(pool).await;
    // Whoever is not trusted may say what they want.
    for n in 0..10 {
        let said = format!("198.51.100.{n}");
        log_in(&origin, "203.0.113.5", Some(&said), PASSWORD)
            .await
            .must(200);
    }
    let refused = log_in(&origin, "203.0.113.5", Some("198.51.100.99"), PASSWORD).await;
    refused.refused(429, "RATE_LIMIT_EXCEEDED");
    // 10.0.0.0/8 is trusted, and the last address before it counts.
    for _ in 0..10 {
        let said = Some("6.6.6.6, 198.51.100.7");
        log_in(&origin, "10.1.2.3", said, PASSWORD).await.must(200);
    }
    let refused = log_in(&origin, "10.9.9.9", Some("198.51.100.7"), PASSWORD).await;
    refused.refused(429, "RATE_LIMIT_EXCEEDED");
    log_in(&origin, "10.1.2.3", Some("198.51.100.8"), PASSWORD)
        .await
        .must(200);
}

#[sqlx::test(migrations = "../migrations")]
async fn nobody_is_locked_out_by_what_others_try(pool: PgPool) {
    let origin = with_ada(pool).await;
    for n in 0..60 {
        let from = format!("203.0.113.{n}");
        let wrong = log_in(&origin, &from, None, "wrong horse battery").await;
        wrong.refused(401, "UNAUTHORIZED");
    }
    log_in(&origin, "198.51.100.1", None, PASSWORD)
        .await
        .must(200);
    let metrics = origin
        .send(Request::get("/metrics").body(Body::empty()).unwrap())
        .await;
    assert!(
        metrics
            .text
            .contains("liveevents_logins_total{result=\"refused\"} 60\n")
    );
}

#[sqlx::test(migrations = "../migrations")]
async fn a_players_token_says_what_is_signed_of_the_player_and_no_other_does(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let token = |role: &str, claims: Value| {
        json!({
            "role": role, "subject": "p-1", "regions": ["us-east"], "expiresIn": "PT1H", "claims": claims,
        })
    };
    let claims = json!({ "attributes": { "level": 12, "vip": true, "tier": "gold" }, "keys": { "guild": "g-7" } });
    let made = admin
        .post("/tokens", token("Player", claims.clone()))
        .await
        .must(201);
    assert_eq!(made["claims"], claims);
    let listed = admin.get("/tokens?role=Player").await.must(200);
    assert_eq!(listed["tokens"][0]["claims"], claims);
    assert_eq!(listed["tokens"][0].get("token"), None);
    let refused = admin.post("/tokens", token("GameServer", claims)).await;
    assert_eq!(refused.refused(400, "VALIDATION_ERROR"), ["claims"]);
    let many: Value = (0..40).map(|n| (format!("a{n}"), json!(n))).collect();
    for (claims, field) in [
        (
            json!({ "attributes": { "level": null } }),
            "claims.attributes.level",
        ),
        (
            json!({ "attributes": { "level": [1] } }),
            "claims.attributes.level",
        ),
        (
            json!({ "attributes": { "note": "x".repeat(201) } }),
            "claims.attributes.note",
        ),
        (
            json!({ "keys": { "player": "another" } }),
            "claims.keys.player",
        ),
        (json!({ "attributes": many }), "claims"),
    ] {
        let refused = admin.post("/tokens", token("Player", claims.clone())).await;
        assert_eq!(
            refused.refused(400, "VALIDATION_ERROR"),
            [field],
            "{claims:.60}"
        );
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn scripts_and_people_have_names_of_their_own(pool: PgPool) {
    let origin = with_ada(pool).await;
    let admin = origin.admin();
    let script =
        |subject: &str| json!({ "role": "Operator", "subject": subject, "expiresIn": "P1D" });
    admin
        .post("/tokens", script("ada"))
        .await
        .refused(409, "CONFLICT");
    admin.post("/tokens", script("nightly")).await.must(201);
    let nightly = json!({ "username": "nightly", "password": PASSWORD, "role": "Operator" });
    admin
        .post("/users", nightly.clone())
        .await
        .refused(409, "CONFLICT");
    origin.clock.advance(jiff::SignedDuration::from_hours(48));
    origin
        .caller(Role::Admin, &[])
        .post("/users", nightly)
        .await
        .must(201);
}
