//! What the log says of a request: everything to find its fault by, and nothing of who was asking.

use std::cell::RefCell;
use std::io;
use std::sync::Once;

use super::*;
use crate::logs::{self, Format};

thread_local! {
    /// What the test on this thread has logged.
    static KEPT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

struct Keep;

impl io::Write for Keep {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        KEPT.with_borrow_mut(|kept| kept.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// One subscriber for all threads: with one per test, tests beside it that have none can switch
/// its spans off, for whether a span is wanted is remembered for the whole process.
fn start_logging() {
    static START: Once = Once::new();
    START.call_once(|| {
        let subscriber = logs::subscriber(Format::Json, &"info".parse().unwrap(), || Keep);
        tracing::subscriber::set_global_default(subscriber).unwrap();
    });
    KEPT.take();
}

/// Asks, and gives the log of it, one JSON object a line.
async fn logged(method: &str, path: &str, authorization: &str) -> Vec<Value> {
    start_logging();
    let request = request(method, path).header(header::AUTHORIZATION, authorization);
    send(request.body(Body::empty()).unwrap()).await;
    kept()
}

fn kept() -> Vec<Value> {
    let lines = String::from_utf8(KEPT.take()).unwrap();
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[tokio::test]
async fn a_failure_is_logged_once_with_its_causes_under_its_trace_id() {
    let lines = logged("GET", "/internal", "").await;
    let [line] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    assert_eq!(line["level"], "ERROR");
    assert_eq!(line["message"], "request failed");
    assert_eq!(
        (&line["status"], &line["code"]),
        (&json!(500), &json!("INTERNAL_ERROR"))
    );
    assert_eq!(line["reason"], "hunter2");
    let span = json!({"name": "request", "trace": TRACE, "method": "GET", "route": "/internal"});
    assert_eq!(line["span"], span);
}

#[tokio::test]
async fn a_refusal_is_logged_by_route_and_code_and_repeats_nothing_that_was_sent() {
    let token = token(Role::Admin, -1);
    for (path, bearer, route, code, reason) in [
        (
            "/events/PLAYER-7",
            "",
            "/events/{id}",
            "VALIDATION_ERROR",
            "",
        ),
        ("/PLAYER-7?PLAYER-7", "", "unmatched", "NOT_FOUND", ""),
        (
            "/regions/us-east",
            token.as_str(),
            "/regions/{region}",
            "UNAUTHORIZED",
            "the token has expired",
        ),
    ] {
        let lines = logged("GET", path, &format!("Bearer {bearer}")).await;
        let [line] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        assert_eq!(
            (&line["level"], &line["message"]),
            (&json!("INFO"), &json!("request refused"))
        );
        assert_eq!(
            (&line["span"]["route"], &line["code"]),
            (&json!(route), &json!(code))
        );
        assert_eq!(line["reason"], reason);
        let text = line.to_string();
        assert!(
            !text.contains("PLAYER-7") && !text.contains(&token),
            "{text}"
        );
    }
    assert!(logged("GET", "/events/fest", "").await.is_empty());
}

#[tokio::test]
async fn who_logs_nothing_has_no_span_and_is_found_by_trace_id_when_refused_all_the_same() {
    for (spans, expected) in [(Spans::Every, "true"), (Spans::Debugging, "false")] {
        start_logging();
        let spanned = || async { (!tracing::Span::current().is_none()).to_string() };
        let fail = || async { Err::<(), _>(ApiError::internal("hunter2")) };
        let router = Router::new()
            .route("/spanned", get(spanned))
            .route("/fail", get(fail));
        let metrics = HttpMetrics::new(&Metrics::new().unwrap()).unwrap();
        let router = layers(router, Clock::fixed(now()), metrics, spans);
        let ask = |path| {
            let request = request("GET", path).body(Body::empty()).unwrap();
            router.clone().oneshot(request)
        };
        assert_eq!(text(ask("/spanned").await.unwrap()).await, expected);
        assert!(kept().is_empty());
        ask("/fail").await.unwrap();
        let lines = kept();
        let span = json!({"name": "request", "trace": TRACE, "method": "GET", "route": "/fail"});
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert_eq!(
            (&lines[0]["message"], &lines[0]["span"]),
            (&json!("request failed"), &span)
        );
    }
}

#[tokio::test]
async fn a_crowd_is_told_when_to_come_again_and_does_not_fill_the_log() {
    assert!(logged("GET", "/crowded", "").await.is_empty());
    let request = request("GET", "/crowded").body(Body::empty()).unwrap();
    let answer = send(request).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    // Not before the time.
    assert_eq!(answer.headers()[header::RETRY_AFTER], "2");
}
