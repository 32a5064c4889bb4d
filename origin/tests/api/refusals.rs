//! What the framework itself refuses is in the envelope as well.

use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::json;
use sqlx::PgPool;

use crate::common::{Origin, event};

#[sqlx::test(migrations = "../migrations")]
async fn the_frameworks_own_failures_are_in_the_envelope(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let send = |method: Method, path, body: &'static [u8]| admin.call(method, path, &[], body);

    send(Method::GET, "/nowhere", b"")
        .await
        .refused(404, "NOT_FOUND");
    send(Method::GET, "/events/a/b/c", b"")
        .await
        .refused(404, "NOT_FOUND");
    let outside = Request::get("/elsewhere").body(Body::empty()).unwrap();
    origin.send(outside).await.refused(404, "NOT_FOUND");

    let wrong = send(Method::PATCH, "/events", b"").await;
    assert_eq!(wrong.headers[header::ALLOW], "GET,HEAD,POST");
    wrong.refused(405, "METHOD_NOT_ALLOWED");
    send(Method::from_bytes(b"BREW").unwrap(), "/events", b"")
        .await
        .refused(405, "METHOD_NOT_ALLOWED");

    for bad in [
        &b""[..],
        b"{",
        b"nonsense",
        b"{}{}",
        b"\xff\xfe",
        b"{\"displayName\":\"\xff\"}",
    ] {
        send(Method::POST, "/events", bad)
            .await
            .refused(400, "VALIDATION_ERROR");
    }
    let large = format!("{{\"description\":\"{}\"}}", "x".repeat(8 * 1024 * 1024));
    let large = admin.call(Method::POST, "/events", &[], large).await;
    large.refused(413, "PAYLOAD_TOO_LARGE");
    // A key does not change that, though the body is read before the handler.
    let large = format!("{{\"description\":\"{}\"}}", "x".repeat(8 * 1024 * 1024));
    let key = [("idempotency-key", "k")];
    admin
        .call(Method::POST, "/events", &key, large)
        .await
        .refused(413, "PAYLOAD_TOO_LARGE");

    for (path, field) in [
        ("/events?limit=abc", "limit"),
        ("/events?limit=0", "limit"),
        ("/events?limit=101", "limit"),
        ("/events?offset=-1", "offset"),
        ("/events?from=yesterday", "from"),
        ("/events?colour=red", "colour"),
        ("/events/Not%20a%20slug", "id"),
        ("/events/%ff", "id"),
        ("/changes/1", "id"),
        ("/events/a/revisions/zero", "revision"),
    ] {
        let fields = send(Method::GET, path, b"")
            .await
            .refused(400, "VALIDATION_ERROR");
        assert_eq!(fields, [field], "{path}");
    }
}

/// JSON is what there is, whatever its label; what is no JSON is refused, whatever its label.
#[sqlx::test(migrations = "../migrations")]
async fn a_content_type_neither_makes_json_nor_unmakes_it(pool: PgPool) {
    let origin = Origin::start(pool).await;
    let admin = origin.admin();
    let types = [
        "application/json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml",
        "no type",
    ];
    for (n, kind) in types.iter().enumerate() {
        let headers = [("content-type", *kind)];
        let body = event(&format!("e-{n}"), json!({})).to_string();
        admin
            .call(Method::POST, "/events", &headers, body)
            .await
            .must(201);
        for bad in ["displayName=x", "<event/>"] {
            let refused = admin.call(Method::POST, "/events", &headers, bad).await;
            refused.refused(400, "VALIDATION_ERROR");
        }
    }
    admin
        .call(
            Method::POST,
            "/events",
            &[],
            event("none", json!({})).to_string(),
        )
        .await
        .must(201);
}
