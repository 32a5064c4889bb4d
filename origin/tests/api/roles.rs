//! Every role against every operation, as the document says: a new operation cannot be forgotten.

use axum::body::Body;
use axum::http::Request;
use jiff::SignedDuration;
use liveevents_service::token::Role;
use serde_json::json;
use sqlx::PgPool;

use super::schema::{all, document, nothing};
use crate::common::Origin;

#[sqlx::test(migrations = "../migrations")]
async fn each_operation_is_open_to_its_roles_and_to_nobody_else(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let document = document(&origin).await;
    let operations = all(&document);
    assert!(operations.len() > 40, "{} operations", operations.len());
    for operation in &operations {
        let name = operation.name();
        // Of regions, the one that tokens of machines are for.
        let uri = operation.uri(&document, |name, schema| {
            match operation.path.contains("/regions/{") {
                true => "us-east".to_owned(),
                false => nothing(name, schema),
            }
        });
        let body = || json!({}).to_string();
        let allowed = operation.roles();
        for role in Role::ALL {
            let regions: &[&str] = if role.is_person() { &[] } else { &["us-east"] };
            let token = origin.caller(role, regions).token;
            let answer = operation.send(&origin, &uri, Some(&token), body()).await;
            let may = allowed
                .as_ref()
                .is_none_or(|roles| roles.contains(&role.as_str()));
            let status = answer.status.as_u16();
            if may {
                assert!(
                    ![401, 403].contains(&status) && status < 500,
                    "{role} {name}: {}",
                    answer.text
                );
            } else {
                answer.refused(403, "FORBIDDEN");
            }
        }
        let expired = origin.expired(Role::Admin).token;
        for token in [None, Some("no token"), Some(expired.as_str())] {
            let answer = operation.send(&origin, &uri, token, body()).await;
            match allowed {
                Some(_) => drop(answer.refused(401, "UNAUTHORIZED")),
                None => assert!(![401, 403].contains(&answer.status.as_u16()), "{name}"),
            }
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_refusal_tells_nothing_of_what_there_is(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let player = origin.caller(Role::Player, &["us-east"]);
    // Neither whether it exists, nor what is wrong with the request.
    player
        .put("/users/nobody", json!({ "colour": 1 }))
        .await
        .refused(403, "FORBIDDEN");
    player
        .get("/events?colour=red")
        .await
        .refused(403, "FORBIDDEN");
    let head = Request::head("/api/v1/events").body(Body::empty()).unwrap();
    assert_eq!(origin.send(head).await.status.as_u16(), 401);
    // A token that expires while it is used is refused from then on.
    let admin = origin.admin();
    admin.get("/users").await.must(200);
    origin.clock.advance(SignedDuration::from_hours(24 * 366));
    admin.get("/users").await.refused(401, "UNAUTHORIZED");
}
