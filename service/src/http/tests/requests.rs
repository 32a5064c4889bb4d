//! What a request says, right and wrong, and which field is named.

use super::*;

#[tokio::test]
async fn a_good_request_is_answered() {
    let body = r#"{"eventId": "fest", "items": [{"amount": 2}, {"amount": 3}]}"#;
    let response = send(request("POST", "/orders").body(Body::from(body)).unwrap()).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(text(response).await, r#"{"id":"fest","sum":5}"#);
    for (path, expected) in [
        ("/pages?limit=7", "7"),
        ("/events/fest", "fest"),
        ("/events/fest/revisions/3", "fest 3"),
        ("/trace", &format!("{TRACE} Some({TRACE})")),
    ] {
        let response = send(request("GET", path).body(Body::empty()).unwrap()).await;
        assert_eq!(text(response).await, expected);
    }
    for (body, expected) in [("", "false"), (r#"{"amount":1}"#, "true")] {
        let response = send(request("POST", "/notes").body(Body::from(body)).unwrap()).await;
        assert_eq!(text(response).await, expected);
    }
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_as_a_whole() {
    let order = r#"{"eventId": "fest", "items": []}"#;
    let trailing = format!("{order} {{}}");
    let cut = &order[..order.len() - 1];
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let nested = format!(r#"{{"eventId": "a", "items": {deep}}}"#);
    let rows = [
        ("/orders", ""),
        ("/orders", "{"),
        ("/orders", "nonsense"),
        ("/orders", "\"\\ud800\""),
        ("/orders", cut),
        ("/orders", &trailing),
        ("/notes", "{"),
        ("/notes", " "),
        // Refused at 128 levels, before the stack is in danger.
        ("/any", &nested),
    ];
    for (path, body) in rows {
        let (status, code, message, details) = refused("POST", path, body).await;
        assert_eq!(
            (status, code.as_str()),
            (400, "VALIDATION_ERROR"),
            "{body:.40}"
        );
        assert!(
            message.starts_with("the body is not JSON: "),
            "{body:.40}: {message}"
        );
        assert!(details.is_empty(), "{body:.40}: {details:?}");
    }
    // Not even read: it would pass for an object whose fields stand in their order.
    let (status, _, message, _) = refused("POST", "/small", "[[[[[[[[[[").await;
    assert_eq!(
        (status, message.as_str()),
        (400, "the body must be an object")
    );
}

#[tokio::test]
async fn the_field_at_fault_is_named_by_its_path() {
    let rows = [
        (r#"{"items": []}"#, "eventId: missing field `eventId`"),
        (
            r#"{"eventId": 7, "items": []}"#,
            "eventId: invalid type: integer `7`",
        ),
        (
            r#"{"eventId": "NO", "items": []}"#,
            "eventId: has 'N'; lower-case letters",
        ),
        (
            r#"{"eventId": "a", "items": [{"amount": 1}, {"amount": "x"}]}"#,
            "items[1].amount: invalid type",
        ),
        (
            r#"{"eventId": "a", "items": [{"amount": -1}]}"#,
            "items[0].amount: invalid value",
        ),
        (
            r#"{"eventId": "a", "items": [{}]}"#,
            "items[0].amount: missing field",
        ),
        (
            r#"{"eventId": "a", "items": [{"amount": 1, "colour": 2}]}"#,
            "items[0].colour: unknown field",
        ),
        (
            r#"{"eventId": "a", "items": [], "colour": 2}"#,
            "colour: unknown field `colour`",
        ),
        (
            r#"{"eventId": "a", "eventId": "a", "items": []}"#,
            "eventId: duplicate field",
        ),
    ];
    for (body, expected) in rows {
        let (status, code, message, details) = refused("POST", "/orders", body).await;
        assert_eq!((status, code.as_str()), (400, "VALIDATION_ERROR"), "{body}");
        assert!(
            details.len() == 1 && details[0].starts_with(expected),
            "{body}: {details:?}"
        );
        assert_eq!(message, details[0]);
    }
    let (.., message, details) = refused("POST", "/orders", "[1]").await;
    assert!(
        details.is_empty() || details[0].starts_with("[0]"),
        "{message}"
    );
}

#[tokio::test]
async fn query_and_path_are_checked_alike() {
    for (path, expected) in [
        ("/pages", "limit: missing field"),
        ("/pages?limit=many", "limit: invalid digit"),
        ("/pages?limit=300", "limit: number too large"),
        ("/pages?limit=1&colour=2", "colour: unknown field"),
        ("/pages?limit=1&limit=2", "limit: duplicate field"),
        ("/events/NO", "id: has 'N'"),
        ("/events/NO/revisions/1", "id: has 'N'"),
        ("/events/%FF", "id: is not valid UTF-8"),
        ("/events/fest/revisions/x", "n: "),
    ] {
        let (status, code, _, details) = refused("GET", path, "").await;
        assert_eq!((status, code.as_str()), (400, "VALIDATION_ERROR"), "{path}");
        assert!(
            details.len() == 1 && details[0].starts_with(expected),
            "{path}: {details:?}"
        );
    }
}

#[tokio::test]
async fn a_body_over_a_mebibyte_is_too_large() {
    let padding = " ".repeat(crate::limits::MAX_BODY);
    let body = r#"{"eventId": "fest", "items": []}"#;
    let fits = format!("{body}{}", &padding[body.len()..]);
    let response = send(request("POST", "/orders").body(Body::from(fits)).unwrap()).await;
    assert_eq!(response.status(), StatusCode::OK);
    for (path, body) in [
        ("/orders", format!("{body}{padding}")),
        ("/notes", format!("{padding} ")),
        // Read by axum's own extractor.
        ("/upload", format!("{padding} ")),
        // A route may allow less.
        ("/small", " ".repeat(11)),
    ] {
        let (status, code, ..) = refused("POST", path, &body).await;
        assert_eq!(
            (status, code.as_str()),
            (413, "PAYLOAD_TOO_LARGE"),
            "{path}"
        );
    }
}
