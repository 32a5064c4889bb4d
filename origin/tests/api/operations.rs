//! What operators rely on beneath the API: the first admin, the role that cannot touch the audit log, and
//! a schema that is migrated once.

use liveevents_origin::config::FirstAdmin;
use liveevents_origin::database::MIGRATIONS;
use liveevents_origin::first_admin::{self, FirstAdminError};
use liveevents_origin::password::Passwords;
use liveevents_service::metrics::Metrics;
use serde_json::json;
use sqlx::PgPool;

use crate::common::{Origin, PASSWORD, event};

fn admin(password: Option<&str>) -> FirstAdmin {
    FirstAdmin {
        username: "root".to_owned(),
        password: password.map(Into::into),
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_first_admin_comes_from_configuration_and_only_while_there_is_nobody(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    let clock = origin.clock.clock();
    let passwords = Passwords::new(&Metrics::new().unwrap()).unwrap();
    let missing = first_admin::ensure(&pool, &passwords, &admin(None), &clock).await;
    assert!(matches!(missing, Err(FirstAdminError::NoPassword)));

    first_admin::ensure(&pool, &passwords, &admin(Some(PASSWORD)), &clock)
        .await
        .unwrap();
    origin
        .log_in("root", PASSWORD)
        .await
        .get("/users")
        .await
        .must(200);

    // A later start with another password changes nothing, nor does one without.
    first_admin::ensure(
        &pool,
        &passwords,
        &admin(Some("another long password")),
        &clock,
    )
    .await
    .unwrap();
    first_admin::ensure(&pool, &passwords, &admin(None), &clock)
        .await
        .unwrap();
    origin.log_in("root", PASSWORD).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn the_service_role_adds_to_the_audit_log_and_cannot_change_it(pool: PgPool) {
    let origin = Origin::start(pool.clone()).await;
    origin
        .admin()
        .post("/events", event("fest", json!({})))
        .await
        .must(201);
    let mut conn = pool.acquire().await.unwrap();
    sqlx::raw_sql("SET ROLE liveevents_service")
        .execute(&mut *conn)
        .await
        .unwrap();
    for forbidden in [
        "UPDATE audit_log SET actor = 'nobody'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "DROP TABLE audit_log",
        "DELETE FROM _sqlx_migrations",
        "ALTER TABLE live_events DROP COLUMN salt",
    ] {
        let refused = sqlx::raw_sql(forbidden)
            .execute(&mut *conn)
            .await
            .unwrap_err();
        let code = refused
            .as_database_error()
            .and_then(|error| error.code().map(String::from));
        assert_eq!(code.as_deref(), Some("42501"), "{forbidden}: {refused}");
    }
    sqlx::raw_sql(
        "INSERT INTO audit_log (at, actor, action, subject) VALUES (now(), 'a', 'b', 'c')",
    )
    .execute(&mut *conn)
    .await
    .unwrap();
    sqlx::raw_sql("RESET ROLE")
        .execute(&mut *conn)
        .await
        .unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn the_whole_api_works_as_the_service_role(pool: PgPool) {
    let options = pool
        .connect_options()
        .as_ref()
        .clone()
        .options([("role", "liveevents_service")]);
    let service = sqlx::postgres::PgPoolOptions::new()
        .max_connections(5)
        .connect_with(options)
        .await
        .unwrap();
    let origin = Origin::start(service.clone()).await;
    let admin = origin.admin();
    let person = json!({ "username": "ada", "password": PASSWORD, "role": "Admin" });
    admin.post("/users", person).await.must(201);
    origin.log_in("ada", PASSWORD).await;
    admin.approved_event("fest", json!({})).await;
    let deployed = admin.deploy("fest", &["us-east"], 100.0).await;
    admin.post("/stop", json!({ "all": true })).await.must(200);
    let id = deployed["deploymentId"].as_str().unwrap();
    admin
        .post(&format!("/deployments/{id}/rollback"), json!({}))
        .await
        .must(200);
    admin.delete("/users/ada").await.refused(409, "CONFLICT");
    assert!(
        admin.get("/audit").await.must(200)["total"]
            .as_u64()
            .unwrap()
            >= 6
    );
    service.close().await;
}

#[sqlx::test(migrations = false)]
async fn migrations_run_once_and_leave_a_current_schema_alone(pool: PgPool) {
    MIGRATIONS.run(&pool).await.unwrap();
    MIGRATIONS.run(&pool).await.unwrap();
    let regions: i64 = sqlx::query_scalar("SELECT count(*) FROM regions")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(regions, 10);
}
