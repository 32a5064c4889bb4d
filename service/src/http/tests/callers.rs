//! Who may ask.

use super::*;

#[tokio::test]
async fn a_caller_needs_a_good_token_a_role_and_the_region() {
    let ask = |path: &'static str, authorization: Option<String>| async move {
        let mut request = request("GET", path);
        if let Some(value) = authorization {
            request = request.header(header::AUTHORIZATION, value);
        }
        send(request.body(Body::empty()).unwrap()).await
    };
    let bearer = |role, expires_in| Some(format!("Bearer {}", token(role, expires_in)));

    for value in [
        bearer(Role::GameServer, 60),
        Some(format!("bearer  {}", token(Role::Admin, 1))),
    ] {
        let response = ask("/regions/us-east", value).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(text(response).await, "somebody");
    }
    let token = token(Role::Admin, 60);
    for (value, reason) in [
        (None, "a bearer token is needed"),
        (Some(token.clone()), "a bearer token is needed"),
        (Some(format!("Basic {token}")), "a bearer token is needed"),
        (Some("Bearer ".to_owned()), "the token is malformed"),
        (
            Some(format!("Bearer {token}A")),
            "the token's signature is wrong",
        ),
        (bearer(Role::Admin, 0), "the token has expired"),
    ] {
        let response = ask("/regions/us-east", value).await;
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
        let (status, code, message, _) = refusal(response).await;
        assert_eq!(
            (status, code.as_str(), message.as_str()),
            (401, "UNAUTHORIZED", reason)
        );
    }
    for (path, role, reason) in [
        (
            "/regions/us-east",
            Role::Player,
            "this needs the role Admin, GameServer; the token's is Player",
        ),
        (
            "/regions/us-west",
            Role::Admin,
            "the token does not cover the region us-west",
        ),
    ] {
        let (status, code, message, _) = refusal(ask(path, bearer(role, 60)).await).await;
        assert_eq!(
            (status, code.as_str(), message.as_str()),
            (403, "FORBIDDEN", reason)
        );
    }
}

#[tokio::test]
async fn an_edge_cut_off_excuses_expiry_until_it_is_back() {
    let (_, _, authority) = app();
    let expired = token(Role::GameServer, -10);
    assert!(authority.verify(&expired).is_err());
    authority.cut_off(now() - jiff::SignedDuration::from_secs(10));
    assert!(authority.clone().verify(&expired).is_ok());
    authority.cut_off(now() - jiff::SignedDuration::from_secs(9));
    assert!(authority.verify(&expired).is_err());
    authority.cut_off(now() - jiff::SignedDuration::from_secs(60));
    authority.in_contact();
    assert!(authority.verify(&expired).is_err());
}
