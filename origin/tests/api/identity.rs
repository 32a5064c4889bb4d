//! Logins, service tokens, people.

use jiff::SignedDuration;
use liveevents_origin::issuer::Issuer;
use liveevents_service::keys::Keys;
use liveevents_service::token::Role;
use liveevents_service::trust::verify_trust;
use serde_json::json;
use sqlx::PgPool;

use crate::common::{INSTALLATION, Origin, PASSWORD, SECRET};

const LOGIN: &str = "/api/v1/authentication/login";

async fn with_people(pool: PgPool) -> Origin {
    let origin = Origin::start(pool).await;
    for (username, role) in [("ada", "Admin"), ("grace", "GameDesigner")] {
        let person = json!({ "username": username, "password": PASSWORD, "role": role });
        origin.admin().post("/users", person).await.must(201);
    }
    origin
}

#[sqlx::test(migrations = "../migrations")]
async fn a_login_gives_a_token_of_the_persons_role_for_an_hour(pool: PgPool) {
    let origin = with_people(pool).await;
    let login = json!({ "username": "grace", "password": PASSWORD });
    let answer = origin.post(LOGIN, login).await.must(200);
    assert_eq!(
        answer["user"],
        json!({ "username": "grace", "role": "GameDesigner" })
    );
    assert_eq!(answer["expiresAt"], "2026-06-01T13:00:00Z");

    let grace = origin.bearing(answer["token"].as_str().unwrap());
    grace.get("/events").await.must(200);
    grace.get("/users").await.refused(403, "FORBIDDEN");

    origin.clock.advance(SignedDuration::from_mins(60));
    grace.get("/events").await.refused(401, "UNAUTHORIZED");
}

#[sqlx::test(migrations = "../migrations")]
async fn a_wrong_password_and_an_unknown_name_get_the_same_answer(pool: PgPool) {
    let origin = with_people(pool).await;
    let mut messages = Vec::new();
    for (username, password) in [("ada", "wrong horse battery"), ("nobody", PASSWORD)] {
        let login = json!({ "username": username, "password": password });
        let answer = origin.post(LOGIN, login).await;
        messages.push(answer.message().to_owned());
        answer.refused(401, "UNAUTHORIZED");
    }
    assert_eq!(messages[0], messages[1]);
    let fields = origin
        .post(LOGIN, json!({ "username": "ada" }))
        .await
        .refused(400, "VALIDATION_ERROR");
    assert_eq!(fields, ["password"]);
}

#[sqlx::test(migrations = "../migrations")]
async fn no_token_a_bad_one_an_expired_and_a_foreign_one_are_refused(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let now = origin.now();
    let issuer = |secret: &str, installation: &str| {
        let keys = Keys::derive(&secret.into()).unwrap();
        Issuer::new(&keys, installation.parse().unwrap()).unwrap()
    };
    let token = |issuer: &Issuer, age: i64| {
        let (life, then) = (
            SignedDuration::from_hours(1),
            now - SignedDuration::from_mins(age),
        );
        issuer
            .sign(&issuer.claims("x", Role::Admin, Vec::new(), life, then))
            .unwrap()
    };
    let ours = issuer(SECRET, INSTALLATION);
    origin
        .bearing(token(&ours, 0))
        .get("/events")
        .await
        .must(200);

    let table = [
        ("nothing", String::new()),
        ("garbage", "abc.def.ghi".to_owned()),
        ("expired", token(&ours, 61)),
        (
            "of another installation",
            token(&issuer(SECRET, "title-staging"), 0),
        ),
        (
            "of another key",
            token(
                &issuer("another secret of thirty-two bytes!", INSTALLATION),
                0,
            ),
        ),
        ("changed", format!("{}x", token(&ours, 0))),
    ];
    for (name, token) in table {
        let answer = origin.bearing(token).get("/events").await;
        assert!(answer.headers.contains_key("www-authenticate"), "{name}");
        answer.refused(401, "UNAUTHORIZED");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_service_token_works_until_it_is_revoked(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let new = json!({
        "role": "Developer", "subject": "dashboard", "regions": [], "expiresIn": "P30D",
    });
    let made = admin.post("/tokens", new).await.must(201);
    assert_eq!(made["expiresAt"], "2026-07-01T12:00:00Z");
    let id = made["tokenId"].as_str().unwrap();
    let dashboard = origin.bearing(made["token"].as_str().unwrap());
    dashboard.get("/events").await.must(200);

    let listed = admin.get("/tokens").await.must(200);
    assert_eq!(listed["tokens"][0]["subject"], "dashboard");
    assert!(
        listed["tokens"][0].get("token").is_none(),
        "never shown again"
    );

    let mut bundles = origin.trust.subscribe();
    bundles.mark_unchanged();
    admin.delete(&format!("/tokens/{id}")).await.must(204);
    dashboard.get("/events").await.refused(401, "UNAUTHORIZED");

    // Edges are told: a newer bundle, signed by the pinned key, names it.
    assert!(bundles.has_changed().unwrap());
    let pinned = Keys::derive(&SECRET.into()).unwrap().trust_key();
    let bundle = verify_trust(&bundles.borrow(), &pinned).unwrap();
    assert_eq!(bundle.revoked.len(), 1);
    assert_eq!(bundle.revoked[0].token.to_string(), id);

    // Revoking it again changes nothing; one that never was is not found.
    admin.delete(&format!("/tokens/{id}")).await.must(204);
    admin
        .delete("/tokens/01a00000-0000-7000-8000-000000000000")
        .await
        .refused(404, "NOT_FOUND");
}

#[sqlx::test(migrations = "../migrations")]
async fn another_replica_hears_of_a_revocation(pool: PgPool) {
    let here = Origin::start(pool.clone()).await;
    let there = Origin::start(pool).await;
    let new = json!({ "role": "Developer", "subject": "x", "expiresIn": "PT1H" });
    let made = here.admin().post("/tokens", new).await.must(201);
    let bearer = there.bearing(made["token"].as_str().unwrap());
    bearer.get("/events").await.must(200);

    let mut bundles = there.trust.subscribe();
    bundles.mark_unchanged();
    let stop = tokio_util::sync::CancellationToken::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(there.trust.clone().run(stop.clone()));
    let id = made["tokenId"].as_str().unwrap();
    here.admin()
        .delete(&format!("/tokens/{id}"))
        .await
        .must(204);
    let heard = tokio::time::timeout(std::time::Duration::from_secs(20), bundles.changed());
    heard.await.unwrap().unwrap();
    bearer.get("/events").await.refused(401, "UNAUTHORIZED");
    stop.cancel();
    assert!(tasks.join_next().await.unwrap().is_ok());
}

#[sqlx::test(migrations = "../migrations")]
async fn a_service_token_has_to_be_sensible(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let table = [
        (json!({ "regions": ["us-east"] }), &["expiresAt"][..]),
        (json!({ "expiresIn": "P1D", "regions": [] }), &["regions"]),
        (
            json!({ "expiresIn": "P1D", "regions": ["atlantis"] }),
            &["regions"],
        ),
        (
            json!({ "expiresIn": "P1D", "expiresAt": "2027-01-01T00:00:00Z", "regions": ["us-east"] }),
            &["expiresIn"],
        ),
        (
            json!({ "expiresIn": "a while", "regions": ["us-east"] }),
            &["expiresIn"],
        ),
        (
            json!({ "expiresIn": "P9999D", "regions": ["us-east"] }),
            &["expiresIn"],
        ),
        (
            json!({ "expiresAt": "2026-06-01T12:00:00Z", "regions": ["us-east"] }),
            &["expiresAt"],
        ),
        (
            json!({ "expiresIn": "P1D", "regions": ["us-east"], "subject": "" }),
            &["subject"],
        ),
        (
            json!({ "expiresIn": "P1D", "regions": ["us-east"], "role": "King" }),
            &["role"],
        ),
        (
            json!({ "subject": " ", "regions": [] }),
            &["expiresAt", "subject", "regions"],
        ),
    ];
    for (fields, at_fault) in table {
        let mut new = json!({ "role": "GameServer", "subject": "gs-1" });
        for (name, value) in fields.as_object().unwrap() {
            new[name] = value.clone();
        }
        let found = origin
            .admin()
            .post("/tokens", new)
            .await
            .refused(400, "VALIDATION_ERROR");
        assert_eq!(found, at_fault, "{fields}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_repeated_key_makes_no_second_token(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let new = json!({ "role": "Developer", "subject": "x", "expiresIn": "PT1H" }).to_string();
    let admin = origin.admin();
    let key = [("idempotency-key", "monday")];
    let post = axum::http::Method::POST;
    admin
        .call(post.clone(), "/tokens", &key, new.clone())
        .await
        .must(201);
    admin
        .call(post.clone(), "/tokens", &key, new.clone())
        .await
        .refused(409, "CONFLICT");
    admin
        .call(post, "/tokens", &[("idempotency-key", "tuesday")], new)
        .await
        .must(201);
    let listed = admin.get("/tokens").await.must(200);
    assert_eq!(listed["tokens"].as_array().unwrap().len(), 2);
}

#[sqlx::test(migrations = "../migrations")]
async fn whoever_is_demoted_or_removed_is_logged_out(pool: PgPool) {
    let origin = with_people(pool).await;
    let ada = origin.log_in("ada", PASSWORD).await;
    let grace = origin.log_in("grace", PASSWORD).await;

    ada.put("/users/grace", json!({ "role": "Developer" }))
        .await
        .must(200);
    grace.get("/events").await.refused(401, "UNAUTHORIZED");
    let grace = origin.log_in("grace", PASSWORD).await;
    grace
        .post("/events", json!({}))
        .await
        .refused(403, "FORBIDDEN");

    ada.put(
        "/users/grace",
        json!({ "password": "another long password" }),
    )
    .await
    .must(200);
    grace.get("/events").await.refused(401, "UNAUTHORIZED");
    let old = json!({ "username": "grace", "password": PASSWORD });
    origin.post(LOGIN, old).await.refused(401, "UNAUTHORIZED");
    let grace = origin.log_in("grace", "another long password").await;

    ada.delete("/users/grace").await.must(204);
    grace.get("/events").await.refused(401, "UNAUTHORIZED");
    ada.get("/users/grace").await.refused(404, "NOT_FOUND");
}

#[sqlx::test(migrations = "../migrations")]
async fn the_last_admin_stays(pool: PgPool) {
    let origin = with_people(pool).await;
    let ada = origin.log_in("ada", PASSWORD).await;
    ada.delete("/users/ada").await.refused(409, "CONFLICT");
    ada.put("/users/ada", json!({ "role": "Operator" }))
        .await
        .refused(409, "CONFLICT");
    ada.put("/users/grace", json!({ "role": "Admin" }))
        .await
        .must(200);
    ada.delete("/users/ada").await.must(204);
}

#[sqlx::test(migrations = "../migrations")]
async fn people_are_listed_without_their_passwords(pool: PgPool) {
    let origin = with_people(pool).await;
    let answer = origin.admin().get("/users").await;
    assert!(!answer.text.contains("argon2"), "{}", answer.text);
    let users = answer.must(200);
    let names: Vec<_> = users["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| &user["username"])
        .collect();
    assert_eq!(names, ["ada", "grace"]);

    let again = json!({ "username": "ada", "password": PASSWORD, "role": "Admin" });
    origin
        .admin()
        .post("/users", again)
        .await
        .refused(409, "CONFLICT");
    let bad = json!({ "username": "a b", "password": "short", "role": "GameServer" });
    let fields = origin
        .admin()
        .post("/users", bad)
        .await
        .refused(400, "VALIDATION_ERROR");
    assert_eq!(fields, ["username", "password", "role"]);
}
