//! Players' tokens of a studio that are good, and every way of not being.

use std::sync::Arc;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use jsonwebtoken::{EncodingKey, Header};
use liveevents_protocol::trust::TrustBundle;
use serde_json::json;

use super::super::{Expiry, Signer, Verifier};
use super::*;
use crate::keys::Keys;

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://id.studio.example";

// A token of player p-1, good until NOW + 60, as OpenSSL has signed it, and the keys.
const BY_EC: &str = "eyJhbGciOiJFUzI1NiIsImtpZCI6ImVjIn0.eyJpc3MiOiJodHRwczovL2lkLnN0dWRpby5leGFtcGxlIiwiYXVkIjoic3RhcmZh\
    bGwiLCJzdWIiOiJwLTEiLCJleHAiOjE4MDAwMDAwNjB9.eJr0I2dh0BehU617cWwdok7pm3ZewqlW0fONNfT_15uYdVM2u3fMcKW\
    PQiSsgFh1hbsUgjDdQA2yYtw0PTgcFQ";
const BY_RSA: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6InJzYSJ9.eyJpc3MiOiJodHRwczovL2lkLnN0dWRpby5leGFtcGxlIiwiYXVkIjoic3RhcmZ\
    hbGwiLCJzdWIiOiJwLTEiLCJleHAiOjE4MDAwMDAwNjB9.XSAxnL4EZMZdr1SVg_4lgB0FnbaMEXHdCVfVs9Ejhz3nF6CurJ5Xo7\
    QVwoh8aszlk1bOZfKiNnq9Up-Y5T-rcwnybxpBk-ZUs6Vx7-KQzBZt2GCkDF1QTBGA1NSuXBrxqAcMrmfEVPIhOhsg4iR5jT1LZn\
    tv9Zy6bHu16bY_Az35Ovyz6IHfKxGpCdwwr6UlkVwECTaWqWeC1RXh1zOO0Qxsok-kt0jx0-rx3u4CY82DAOYHPUn6KuB4fYvG5_\
    nC0OF3igA8W8bkN3vCMV3qLWLmM6NjDdqEONm-Hc-VggbY0W3NLzYcli11-7em7xJofekclWX5vRx5X7_lb7BYww";
const EC: [&str; 2] = [
    "mkThhUk_vvJB1vqCEp2knn5LfnaS_ZfD7zWwucsFR-E",
    "A6CFcjgoP9J6mmpOYUHO5oBYqvdcDgaxXJbhsImjkCg",
];
const RSA: &str = "vYzwL7YrrTK0sjaKHRrjNJ0r9BPhXfBMfO4A6BSLrsu_dZh_d8eicjYHf0bNQgH0UR2lv6flK0aHJCHF5KZQJTDNEGc_x4eM6Rhi\
    hL1V3oQRis53ePWwFs4VbYB3N0xuM6-S0xCUxmM7RES7uCqtqB0OMpP6jf02HIT0NIl85H2CtXqHiC4txmI8ZZJu0jGyM-Izuh4w\
    9sxMvNaR1zu8-y38LH8EfVek7P9S-SRT5P2oQ3ss4LvkPqA7cgSEHHhg4URqqxV5qI0kPxniYIWSjnYsibhF_LAPRErfKctimDUu\
    jd5Gd8JlXRjVUVZKGv22BQqEzkLlneRVBtv02KzwAQ";

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn bytes<T: TryFrom<Vec<u8>>>(text: &str) -> T {
    let decoded = URL_SAFE_NO_PAD.decode(text).unwrap();
    T::try_from(decoded).ok().unwrap()
}

fn signing(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn ed(seed: u8) -> IssuerKey {
    IssuerKey::Ed25519(signing(seed).verifying_key().to_bytes())
}

fn rsa() -> IssuerKey {
    IssuerKey::Rsa {
        n: bytes(RSA),
        e: vec![1, 0, 1],
    }
}

fn studio() -> PlayerIssuer {
    let ec = IssuerKey::P256 {
        x: bytes(EC[0]),
        y: bytes(EC[1]),
    };
    PlayerIssuer {
        issuer: ISSUER.to_owned(),
        audience: "starfall".to_owned(),
        keys: [("ed", ed(1)), ("ec", ec), ("rsa", rsa())]
            .map(|(kid, key)| (kid.to_owned(), key))
            .into(),
        player: "sub".to_owned(),
        attributes: [
            ("level", "game.level"),
            ("country", "https://studio.example/country"),
            ("tester", "tester"),
        ]
        .map(|(name, path)| (name.to_owned(), path.to_owned()))
        .into(),
        bucketing: [("guild".to_owned(), "game.guild".to_owned())].into(),
        region: None,
        regions: vec!["us-east".parse().unwrap(), "eu-west".parse().unwrap()],
    }
}

fn keys() -> Keys {
    Keys::derive(&"a".repeat(32).into()).unwrap()
}

fn verifier(serial: u64, issuers: Vec<PlayerIssuer>) -> Verifier {
    let verifier = Verifier::new("starfall-test".parse().unwrap());
    replace(&verifier, serial, issuers);
    verifier
}

fn replace(verifier: &Verifier, serial: u64, issuers: Vec<PlayerIssuer>) {
    let bundle = TrustBundle {
        installation: "starfall-test".parse().unwrap(),
        serial,
        keys: vec![keys().public()],
        revoked: Vec::new(),
        issuers,
    };
    assert!(verifier.replace(&bundle).unwrap());
}

fn said() -> Value {
    json!({ "iss": ISSUER, "aud": "starfall", "sub": "p-1", "exp": NOW + 60 })
}

fn with(mut value: Value, field: &str, to: Value) -> Value {
    value[field] = to;
    value
}

fn sign(seed: u8, kid: &str, said: &Value) -> String {
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(kid.to_owned());
    let der = signing(seed).to_pkcs8_der().unwrap();
    let key = EncodingKey::from_ed_der(der.as_bytes());
    jsonwebtoken::encode(&header, said, &key).unwrap()
}

fn judge(verifier: &Verifier, token: &str, now: i64) -> Result<Claims, TokenError> {
    let judged = verifier.verify(token, at(now), Expiry::Strict);
    judged.map(Arc::unwrap_or_clone)
}

fn verify(said: &Value) -> Result<Claims, TokenError> {
    judge(&verifier(1, vec![studio()]), &sign(1, "ed", said), NOW)
}

#[test]
fn what_others_have_signed_by_each_algorithm_is_read() {
    let verifier = verifier(1, vec![studio()]);
    for token in [BY_EC, BY_RSA, &sign(1, "ed", &said())] {
        // The second time it is known.
        for _ in 0..2 {
            let claims = judge(&verifier, token, NOW).unwrap();
            assert_eq!(claims.subject, "p-1");
            assert_eq!(claims.role, Role::Player);
            assert_eq!(claims.installation.as_str(), "starfall-test");
            assert_eq!(claims.regions, studio().regions);
        }
        let mut changed = token.to_owned();
        let middle = changed.len() - 60;
        let other = if changed.as_bytes()[middle] == b'A' {
            "B"
        } else {
            "A"
        };
        changed.replace_range(middle..=middle, other);
        assert_eq!(
            judge(&verifier, &changed, NOW),
            Err(TokenError::BadSignature)
        );
    }
}

#[test]
fn its_bearer_is_a_player_whatever_it_claims() {
    let grand = with(
        with(
            with(said(), "role", json!("Admin")),
            "regions",
            json!(["ap-southeast"]),
        ),
        "attributes",
        json!({ "level": 99 }),
    );
    let claims = verify(&grand).unwrap();
    assert_eq!(claims.role, Role::Player);
    assert_eq!(claims.regions, studio().regions);
    assert!(claims.attributes.is_empty(), "only what is mapped");
    // To be ours it has to be signed by us.
    let posing = with(
        with(grand, "iss", json!("liveevents")),
        "aud",
        json!("starfall-test"),
    );
    assert_eq!(verify(&posing), Err(TokenError::UnknownKey));
}

#[test]
fn claims_are_mapped_by_path_and_of_the_wrong_kind_left_out() {
    let said = json!({
        "iss": ISSUER, "aud": ["other", "starfall"], "exp": NOW + 60, "sub": 12_345,
        "game": { "level": 12.5, "guild": 7 }, "https://studio.example/country": "DE", "tester": true,
    });
    let claims = verify(&said).unwrap();
    assert_eq!(claims.subject, "12345");
    let attributes = serde_json::to_value(&claims.attributes).unwrap();
    assert_eq!(
        attributes,
        json!({ "level": 12.5, "country": "DE", "tester": true })
    );
    assert_eq!(claims.keys, [("guild".to_owned(), "7".to_owned())].into());

    let odd = json!({
        "iss": ISSUER, "aud": "starfall", "exp": NOW + 60, "sub": "p-1",
        "game": { "level": [1], "guild": 1.5 }, "https://studio.example/country": "x".repeat(201),
        "tester": null,
    });
    let claims = verify(&odd).unwrap();
    assert!(
        claims.attributes.is_empty() && claims.keys.is_empty(),
        "{claims:?}"
    );
    for bad in [
        json!(""),
        json!(null),
        json!("a\u{7}"),
        json!(1.5),
        json!("x".repeat(201)),
    ] {
        let judged = verify(&with(said.clone(), "sub", bad.clone()));
        assert_eq!(judged, Err(TokenError::Malformed), "{bad}");
    }
}

#[test]
fn a_player_may_ask_where_the_issuer_may_and_the_token_says() {
    let mut studio = studio();
    studio.region = Some("game.region".to_owned());
    let verifier = verifier(1, vec![studio]);
    let regions = |region: Value| {
        let token = sign(1, "ed", &with(said(), "game", json!({ "region": region })));
        let claims = judge(&verifier, &token, NOW).unwrap();
        claims
            .regions
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(regions(json!("eu-west")), ["eu-west"]);
    assert_eq!(regions(json!(["eu-west", "ap-southeast"])), ["eu-west"]);
    assert!(regions(json!("ap-southeast")).is_empty());
    assert!(regions(json!(null)).is_empty());
}

#[test]
fn audience_issuer_key_and_algorithm_have_to_be_the_agreed_ones() {
    for audience in [json!("starfall-test"), json!(["a"]), json!(7), json!(null)] {
        let judged = verify(&with(said(), "aud", audience.clone()));
        assert_eq!(judged, Err(TokenError::WrongAudience), "{audience}");
    }
    let other = verify(&with(said(), "iss", json!("https://id.other.example")));
    assert_eq!(other, Err(TokenError::WrongIssuer));

    let verifier = verifier(1, vec![studio()]);
    let judged = |token: &str| judge(&verifier, token, NOW).err();
    assert_eq!(
        judged(&sign(2, "ed", &said())),
        Some(TokenError::BadSignature)
    );
    assert_eq!(
        judged(&sign(1, "elsewhere", &said())),
        Some(TokenError::UnknownKey)
    );
    // The key decides, not the token.
    assert_eq!(
        judged(&sign(1, "rsa", &said())),
        Some(TokenError::WrongAlgorithm)
    );
    // Our own key speaks for nobody else, and theirs not for us.
    let ours = Signer::new(&keys()).unwrap();
    let mut claims = verify(&said()).unwrap();
    assert_eq!(judged(&ours.sign(&claims).unwrap()), None);
    claims.expires_at = at(NOW);
    assert_eq!(
        judged(&ours.sign(&claims).unwrap()),
        Some(TokenError::Expired)
    );
    let kid = keys().public().kid;
    assert_eq!(
        judged(&sign(1, &kid, &said())),
        Some(TokenError::UnknownKey)
    );
}

#[test]
fn public_keys_are_no_secrets_to_sign_with() {
    let verifier = verifier(1, vec![studio()]);
    let n: Vec<u8> = bytes(RSA);
    for alg in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let mut header = Header::new(alg);
        header.kid = Some("rsa".to_owned());
        let token = jsonwebtoken::encode(&header, &said(), &EncodingKey::from_secret(&n)).unwrap();
        assert_eq!(
            judge(&verifier, &token, NOW),
            Err(TokenError::WrongAlgorithm)
        );
    }
    let header = URL_SAFE_NO_PAD.encode(json!({ "alg": "none", "kid": "ed" }).to_string());
    let payload = URL_SAFE_NO_PAD.encode(said().to_string());
    let bare = format!("{header}.{payload}.");
    assert_eq!(judge(&verifier, &bare, NOW), Err(TokenError::Malformed));
}

#[test]
fn clocks_may_be_a_minute_apart() {
    let leeway = CLOCK_LEEWAY.as_secs().cast_signed();
    let timed = with(said(), "nbf", json!(NOW));
    let token = sign(1, "ed", &timed);
    let verifier = verifier(1, vec![studio()]);
    let rows = [
        (NOW - leeway - 1, Some(TokenError::NotYet)),
        (NOW - leeway, None),
        (NOW + 60 + leeway - 1, None),
        (NOW + 60 + leeway, Some(TokenError::Expired)),
    ];
    for (now, expected) in rows {
        assert_eq!(
            judge(&verifier, &token, now).err(),
            expected,
            "{}",
            now - NOW
        );
    }
    // With the origin away, too: whoever issues players' tokens may be there.
    let cut_off = Expiry::AcceptIfExpiredAfter(at(NOW));
    let late = verifier.verify(&token, at(NOW + 60 + leeway), cut_off);
    assert_eq!(late.err(), Some(TokenError::Expired));
    // Seconds with a fraction are in the standard.
    let judged = verify(&with(said(), "exp", json!(NOW as f64 + 0.75)));
    assert_eq!(judged.unwrap().expires_at, at(NOW + leeway));
    for (claim, bad) in [
        ("exp", json!(null)),
        ("exp", json!("1800000060")),
        ("exp", json!(1e300)),
        ("nbf", json!("soon")),
        ("iat", json!({})),
    ] {
        let judged = verify(&with(said(), claim, bad.clone()));
        assert_eq!(judged, Err(TokenError::Malformed), "{claim} {bad}");
    }
    let mut endless = said();
    endless.as_object_mut().unwrap().remove("exp");
    assert_eq!(verify(&endless), Err(TokenError::Malformed));
}

#[test]
fn keys_overlap_while_they_are_replaced_and_what_is_gone_is_forgotten() {
    let (old, new) = (sign(1, "ed", &said()), sign(2, "next", &said()));
    let both = || {
        let mut studio = studio();
        studio.keys.insert("next".to_owned(), ed(2));
        studio
    };
    let verifier = verifier(1, vec![studio()]);
    assert!(judge(&verifier, &old, NOW).is_ok());
    assert_eq!(judge(&verifier, &new, NOW), Err(TokenError::UnknownKey));
    replace(&verifier, 2, vec![both()]);
    assert!(judge(&verifier, &old, NOW).is_ok() && judge(&verifier, &new, NOW).is_ok());
    let mut after = both();
    after.keys.remove("ed");
    replace(&verifier, 3, vec![after]);
    assert_eq!(judge(&verifier, &old, NOW), Err(TokenError::UnknownKey));
    assert!(judge(&verifier, &new, NOW).is_ok());
    // What is mapped is judged anew as well.
    let mut elsewhere = both();
    elsewhere.audience = "other".to_owned();
    replace(&verifier, 4, vec![elsewhere]);
    assert_eq!(judge(&verifier, &new, NOW), Err(TokenError::WrongAudience));
    replace(&verifier, 5, Vec::new());
    assert_eq!(judge(&verifier, &new, NOW), Err(TokenError::WrongIssuer));
}

#[test]
fn a_key_that_is_none_spoils_no_other() {
    let small = IssuerKey::Rsa {
        n: vec![0xff; 128],
        e: vec![1, 0, 1],
    };
    let even = IssuerKey::Rsa {
        n: [vec![0xff; 255], vec![0xfe]].concat(),
        e: vec![1, 0, 1],
    };
    let exponents = [vec![], vec![1], vec![2], vec![0xff; 6]];
    let odd = exponents.map(|e| IssuerKey::Rsa { n: bytes(RSA), e });
    // No point of the curve has this encoding.
    let off = IssuerKey::Ed25519([0x02; 32]);
    for bad in [small, even, off].into_iter().chain(odd) {
        assert!(!is_usable(&bad), "{bad:?}");
        let mut studio = studio();
        studio.keys.insert("bad".to_owned(), bad);
        let verifier = verifier(1, vec![studio]);
        assert!(judge(&verifier, BY_RSA, NOW).is_ok());
        let token = sign(1, "bad", &said());
        assert_eq!(judge(&verifier, &token, NOW), Err(TokenError::UnknownKey));
    }
    assert!(is_usable(&rsa()) && is_usable(&ed(1)));
}
