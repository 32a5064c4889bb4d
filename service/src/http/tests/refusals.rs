//! Failures that no request type is to blame for, and what is counted of them.

use super::*;

#[tokio::test]
async fn the_frameworks_own_refusals_are_in_the_envelope() {
    let (status, code, ..) = refused("GET", "/nowhere", "").await;
    assert_eq!((status, code.as_str()), (404, "NOT_FOUND"));
    let (status, code, ..) = refused("POST", "/events", "{}").await;
    assert_eq!((status, code.as_str()), (404, "NOT_FOUND"));

    for method in ["DELETE", "BREW"] {
        let response = send(request(method, "/orders").body(Body::empty()).unwrap()).await;
        assert_eq!(response.headers()[header::ALLOW], "POST");
        let (status, code, ..) = refusal(response).await;
        assert_eq!((status, code.as_str()), (405, "METHOD_NOT_ALLOWED"));
    }
    let (status, code, message, _) = refused("GET", "/upgrade", "").await;
    assert_eq!((status, code.as_str()), (400, "VALIDATION_ERROR"));
    assert!(message.contains("upgrade"), "{message}");
    let (status, code, message, _) = refused("GET", "/raw", "").await;
    assert_eq!(
        (status, code.as_str(), message.as_str()),
        (400, "VALIDATION_ERROR", "short and stout")
    );
}

#[tokio::test]
async fn what_goes_wrong_inside_stays_inside() {
    for path in ["/panic", "/internal"] {
        let (status, code, _, details) = refused("GET", path, "").await;
        assert_eq!((status, code.as_str()), (500, "INTERNAL_ERROR"), "{path}");
        assert!(details.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_has_a_deadline() {
    let (status, code, ..) = refused("GET", "/late", "").await;
    assert_eq!((status, code.as_str()), (503, "UNAVAILABLE"));
}

#[tokio::test]
async fn an_answer_in_json_is_left_alone_whatever_its_status() {
    let response = send(request("GET", "/ready").body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text(response).await, r#"{"status":"down"}"#);
}

#[tokio::test]
async fn a_limit_says_when_to_come_back() {
    let response = send(request("GET", "/limited").body(Body::empty()).unwrap()).await;
    for (name, value) in [
        ("retry-after", "2"),
        ("x-ratelimit-limit", "10"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "2"),
    ] {
        assert_eq!(response.headers()[name], value, "{name}");
    }
    let (status, code, ..) = refusal(response).await;
    assert_eq!((status, code.as_str()), (429, "RATE_LIMIT_EXCEEDED"));
}

#[test]
fn every_variant_has_the_status_and_code_of_the_contract() {
    let text = || "text".to_owned();
    let misdirected = ApiError::Misdirected {
        message: text(),
        addresses: vec!["http://edge".to_owned()],
    };
    for (error, status, code) in [
        (ApiError::malformed("x"), 400, "VALIDATION_ERROR"),
        (ApiError::Unauthorized("x"), 401, "UNAUTHORIZED"),
        (ApiError::Forbidden(text()), 403, "FORBIDDEN"),
        (ApiError::not_found("event", "fest"), 404, "NOT_FOUND"),
        (ApiError::MethodNotAllowed, 405, "METHOD_NOT_ALLOWED"),
        (ApiError::Conflict(text()), 409, "CONFLICT"),
        (
            ApiError::PreconditionFailed(text()),
            412,
            "PRECONDITION_FAILED",
        ),
        (ApiError::PayloadTooLarge, 413, "PAYLOAD_TOO_LARGE"),
        (misdirected, 421, "MISDIRECTED"),
        (ApiError::internal("x"), 500, "INTERNAL_ERROR"),
        (ApiError::unavailable("x", "y"), 503, "UNAVAILABLE"),
    ] {
        assert_eq!((error.status().as_u16(), error.code()), (status, code));
        // An error that is answered outside our layers has an envelope all the same.
        let response = error.into_response();
        assert_eq!(response.status().as_u16(), status);
    }
}

#[tokio::test]
async fn checks_name_every_fault() {
    let mut checks = Checks::default();
    checks.require(true, "startTime", "is fine");
    checks.require(false, "endTime", "must be after startTime");
    assert_eq!(checks.take("priority", "7".parse::<u8>()), Some(7));
    assert_eq!(checks.take("priority", "x".parse::<u8>()), None);
    assert_eq!(checks.faults().len(), 2);
    let error = checks.finish().unwrap_err();
    assert_eq!(error.to_string(), "2 fields are not valid");
    assert!(Checks::default().finish().is_ok());
}

#[tokio::test]
async fn answers_and_refusals_are_counted_by_route_and_code() {
    let (router, metrics, _) = app();
    for (method, path) in [
        ("GET", "/events/fest"),
        ("GET", "/events/NO"),
        ("BREW", "/events/a"),
        ("GET", "/x/y"),
        ("GET", "/internal"),
        ("GET", "/ready"),
    ] {
        let request = request(method, path).body(Body::empty()).unwrap();
        router.clone().oneshot(request).await.unwrap();
    }
    let scrape = request("GET", "/metrics").body(Body::empty()).unwrap();
    let scraped = text(router.oneshot(scrape).await.unwrap()).await;
    assert_eq!(
        scraped.lines().count(),
        scraped
            .lines()
            .collect::<std::collections::HashSet<_>>()
            .len()
    );
    let count = "liveevents_http_request_duration_seconds_count";
    for line in [
        format!(r#"{count}{{method="GET",route="/events/{{id}}",status="200"}} 1"#),
        format!(r#"{count}{{method="GET",route="/events/{{id}}",status="400"}} 1"#),
        format!(r#"{count}{{method="other",route="/events/{{id}}",status="405"}} 1"#),
        format!(r#"{count}{{method="GET",route="unmatched",status="404"}} 1"#),
        r#"liveevents_http_refusals_total{code="VALIDATION_ERROR"} 1"#.to_owned(),
        r#"liveevents_http_refusals_total{code="METHOD_NOT_ALLOWED"} 1"#.to_owned(),
        r#"liveevents_http_refusals_total{code="NOT_FOUND"} 1"#.to_owned(),
        // Neither a caller's fault is an error of this process, nor what a health report says.
        r#"liveevents_errors_total{source="http"} 1"#.to_owned(),
    ] {
        assert!(
            scraped.lines().any(|found| found == line),
            "{line} in\n{scraped}"
        );
    }
    assert!(metrics.counter("http_refusals_total", "taken").is_err());
}
