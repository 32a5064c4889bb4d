//! Tokens that are good, and every way of not being.

use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, encode};
use liveevents_protocol::trust::{PublicKey, Revoked, TrustBundle};
use serde_json::{Value, json};

use super::*;
use crate::limits::CLOCK_LEEWAY;
use crate::trust::TrustError;

const NOW: i64 = 1_800_000_000;

fn keys(name: &str) -> Keys {
    Keys::derive(&name.repeat(32).into()).unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn claims(role: Role) -> Claims {
    Claims {
        installation: "starfall-test".parse().unwrap(),
        subject: "somebody".to_owned(),
        role,
        regions: vec!["us-east".parse().unwrap()],
        id: TokenId(uuid::Uuid::from_u128(1)),
        issued_at: at(NOW - 60),
        expires_at: at(NOW + 60),
        not_before: None,
        attributes: BTreeMap::new(),
        keys: BTreeMap::new(),
    }
}

fn bundle(serial: u64) -> TrustBundle {
    TrustBundle {
        installation: "starfall-test".parse().unwrap(),
        serial,
        keys: vec![keys("a").public()],
        revoked: Vec::new(),
        issuers: Vec::new(),
    }
}

fn verifier() -> Verifier {
    let verifier = Verifier::new("starfall-test".parse().unwrap());
    assert!(verifier.replace(&bundle(1)).unwrap());
    verifier
}

fn sign(claims: &Claims) -> String {
    Signer::new(&keys("a")).unwrap().sign(claims).unwrap()
}

fn verify(token: &str) -> Result<Claims, TokenError> {
    static VERIFIER: LazyLock<Verifier> = LazyLock::new(verifier);
    let judged = VERIFIER.verify(token, at(NOW), Expiry::Strict);
    judged.map(Arc::unwrap_or_clone)
}

/// A token of any header and payload, signed by key `a` as EdDSA all the same.
fn forge(header: &Value, payload: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(payload));
    let der = keys("a").token.to_pkcs8_der().unwrap();
    let key = EncodingKey::from_ed_der(der.as_bytes());
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::EdDSA).unwrap();
    format!("{message}.{signature}")
}

fn header() -> Value {
    json!({"typ": "JWT", "alg": "EdDSA", "kid": keys("a").public().kid})
}

fn payload() -> Value {
    json!({
        "iss": "liveevents", "aud": "starfall-test", "sub": "somebody", "role": "Admin",
        "jti": "00000000-0000-0000-0000-000000000001", "iat": NOW, "exp": NOW + 60,
    })
}

fn with(mut value: Value, field: &str, to: Value) -> Value {
    value[field] = to;
    value
}

#[test]
fn what_was_signed_is_what_is_read() {
    for role in Role::ALL {
        assert_eq!(verify(&sign(&claims(role))), Ok(claims(role)));
        assert_eq!(role.to_string().parse(), Ok(role));
        assert_eq!(serde_json::to_value(role).unwrap(), json!(role.as_str()));
    }
    // Later releases may claim more.
    let token = forge(&header(), &with(payload(), "buildChannel", json!("beta")));
    assert_eq!(verify(&token).unwrap().role, Role::Admin);
}

#[test]
fn the_token_says_what_jwt_readers_expect() {
    let token = sign(&claims(Role::GameServer));
    let parts: Vec<Value> = token
        .split('.')
        .take(2)
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    assert_eq!(parts[0], header());
    assert_eq!(
        parts[1],
        json!({
            "iss": "liveevents", "aud": "starfall-test", "sub": "somebody", "role": "GameServer",
            "regions": ["us-east"], "jti": "00000000-0000-0000-0000-000000000001",
            "iat": NOW - 60, "exp": NOW + 60,
        })
    );
}

#[test]
fn a_token_is_good_until_its_second() {
    let token = sign(&claims(Role::Admin));
    let judge = |now| verifier().verify(&token, at(now), Expiry::Strict).err();
    assert_eq!(judge(NOW + 59), None);
    assert_eq!(judge(NOW + 60), Some(TokenError::Expired));
}

#[test]
fn a_token_is_good_from_its_first_second_by_a_clock_a_minute_off() {
    let leeway = CLOCK_LEEWAY.as_secs().cast_signed();
    let mut claims = claims(Role::GameServer);
    claims.not_before = Some(at(NOW));
    let token = sign(&claims);
    assert_eq!(verify(&token).unwrap(), claims);
    for (now, expected) in [(-leeway - 1, Some(TokenError::NotYet)), (-leeway, None)] {
        let judged = verifier().verify(&token, at(NOW + now), Expiry::Strict);
        assert_eq!(judged.err(), expected, "{now}");
    }
}

#[test]
fn a_player_of_ours_may_have_signed_attributes() {
    let mut claims = claims(Role::Player);
    claims.attributes = [("level".to_owned(), Attribute::Number(12.into()))].into();
    claims.keys = [("guild".to_owned(), "g-7".to_owned())].into();
    assert_eq!(verify(&sign(&claims)), Ok(claims));
}

#[test]
fn cut_off_service_tokens_that_expired_since_are_good() {
    let cut_off = Expiry::AcceptIfExpiredAfter(at(NOW + 50));
    let long_after = at(NOW + 1_000_000);
    let rows = [
        (Role::GameServer, 60, None),
        (Role::Edge, 60, None),
        (Role::GameServer, 50, None),
        // Whoever issues players' tokens may be there.
        (Role::Player, 60, Some(TokenError::Expired)),
        // Expired while the origin could still have renewed it.
        (Role::GameServer, 49, Some(TokenError::Expired)),
        (Role::Admin, 60, Some(TokenError::Expired)),
        (Role::Developer, 60, Some(TokenError::Expired)),
    ];
    for (role, expires, expected) in rows {
        let mut claims = claims(role);
        claims.expires_at = at(NOW + expires);
        let judged = verifier().verify(&sign(&claims), long_after, cut_off);
        assert_eq!(judged.err(), expected, "{role} at {expires}");
    }
}

#[test]
fn a_revoked_token_stays_revoked_also_where_expiry_is_excused() {
    let verifier = verifier();
    let token = sign(&claims(Role::GameServer));
    let mut next = bundle(2);
    next.revoked.push(Revoked {
        token: claims(Role::GameServer).id,
        until: at(NOW + 60),
    });
    verifier.replace(&next).unwrap();
    let cut_off = Expiry::AcceptIfExpiredAfter(at(NOW));
    for (now, expiry) in [
        (NOW, Expiry::Strict),
        (NOW + 100, Expiry::Strict),
        (NOW + 100, cut_off),
    ] {
        let judged = verifier.verify(&token, at(now), expiry);
        assert_eq!(judged, Err(TokenError::Revoked));
    }
}

#[test]
fn what_was_found_right_once_is_still_judged_by_time_revocation_and_keys() {
    let verifier = verifier();
    let token = sign(&claims(Role::Player));
    let judge = |now| {
        let judged = verifier.verify(&token, at(now), Expiry::Strict);
        judged.map(|claims| claims.subject.clone())
    };
    for _ in 0..2 {
        assert_eq!(judge(NOW), Ok("somebody".to_owned()));
        assert_eq!(judge(NOW + 60), Err(TokenError::Expired));
    }
    let mut revoking = bundle(2);
    revoking.revoked.push(Revoked {
        token: claims(Role::Player).id,
        until: at(NOW + 60),
    });
    verifier.replace(&revoking).unwrap();
    assert_eq!(judge(NOW), Err(TokenError::Revoked));
    verifier.replace(&bundle(3)).unwrap();
    assert!(judge(NOW).is_ok());
    let mut other = bundle(4);
    other.keys = vec![keys("b").public()];
    verifier.replace(&other).unwrap();
    assert_eq!(judge(NOW), Err(TokenError::UnknownKey));
    // A key of the same name is not the same key.
    other.serial = 5;
    other.keys[0].kid = keys("a").public().kid;
    verifier.replace(&other).unwrap();
    assert_eq!(judge(NOW), Err(TokenError::BadSignature));
    verifier.replace(&bundle(6)).unwrap();
    assert!(judge(NOW).is_ok());
}

#[test]
fn another_installation_or_issuer_is_refused() {
    let mut foreign = claims(Role::Admin);
    foreign.installation = "starfall-production".parse().unwrap();
    assert_eq!(
        verify(&sign(&foreign)),
        Err(TokenError::ForeignInstallation)
    );
    let other = forge(&header(), &with(payload(), "iss", json!("somebody")));
    assert_eq!(verify(&other), Err(TokenError::WrongIssuer));
}

#[test]
fn an_unknown_key_is_refused_and_a_known_name_does_not_help_it() {
    let signer = Signer::new(&keys("b")).unwrap();
    let token = signer.sign(&claims(Role::Admin)).unwrap();
    assert_eq!(verify(&token), Err(TokenError::UnknownKey));

    let mut posing = signer;
    posing.header.kid = Some(keys("a").public().kid);
    let token = posing.sign(&claims(Role::Admin)).unwrap();
    assert_eq!(verify(&token), Err(TokenError::BadSignature));

    let mut nameless = header();
    nameless.as_object_mut().unwrap().remove("kid");
    assert_eq!(
        verify(&forge(&nameless, &payload())),
        Err(TokenError::UnknownKey)
    );
}

#[test]
fn no_changed_character_goes_unnoticed() {
    let token = sign(&claims(Role::Developer));
    assert!(verify(&token).is_ok());
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        // Bit 5 of the alphabet's index, so that not even unused trailing bits are what differs.
        changed[at] = if changed[at] == b'A' { b'g' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(verify(&changed).is_err(), "character {at}");
    }
    let (head, signature) = token.rsplit_once('.').unwrap();
    assert_eq!(verify(&format!("{head}.")), Err(TokenError::BadSignature));
    let admin = forge(&header(), &payload());
    let (admin, _) = admin.rsplit_once('.').unwrap();
    assert_eq!(
        verify(&format!("{admin}.{signature}")),
        Err(TokenError::BadSignature)
    );
}

/// The classic: a token that chooses how it is verified.
#[test]
fn alg_is_eddsa_whatever_the_token_says() {
    for (alg, expected) in [
        ("none", TokenError::Malformed),
        ("None", TokenError::Malformed),
        ("", TokenError::Malformed),
        ("HS256", TokenError::WrongAlgorithm),
        ("RS256", TokenError::WrongAlgorithm),
        ("ES256", TokenError::WrongAlgorithm),
    ] {
        let token = forge(&with(header(), "alg", json!(alg)), &payload());
        assert_eq!(verify(&token), Err(expected), "{alg}");
        let (head, _) = token.rsplit_once('.').unwrap();
        assert_eq!(
            verify(&format!("{head}.")),
            Err(expected),
            "{alg}, unsigned"
        );
    }
    // The public key as an HMAC secret: it is known to everybody.
    let public = keys("a").public();
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some(public.kid);
    let token = encode(&header, &payload(), &EncodingKey::from_secret(&public.key)).unwrap();
    assert_eq!(verify(&token), Err(TokenError::WrongAlgorithm));
}

#[test]
fn garbage_is_malformed() {
    let good = sign(&claims(Role::Admin));
    let dots = ".".repeat(9000);
    let long = "a".repeat(9000);
    for bad in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        " ",
        "\u{0}",
        &good[1..],
        &dots,
        &long,
    ] {
        assert_eq!(verify(bad), Err(TokenError::Malformed), "{bad:.20}");
    }
    for (field, value) in [
        ("role", json!("Wizard")),
        ("role", Value::Null),
        ("exp", json!("tomorrow")),
        ("exp", json!(-1.5)),
        ("exp", json!(i64::MAX)),
        ("jti", json!("1")),
        ("aud", json!("Not A Slug")),
        ("aud", json!(["starfall-test"])),
        ("regions", json!(["US EAST"])),
        ("iss", json!(7)),
    ] {
        let token = forge(&header(), &with(payload(), field, value.clone()));
        assert_eq!(
            verify(&token),
            Err(TokenError::Malformed),
            "{field}: {value}"
        );
    }
    let critical = with(header(), "crit", json!(["exp"]));
    assert_eq!(
        verify(&forge(&critical, &payload())),
        Err(TokenError::Malformed)
    );
}

#[test]
fn nobody_is_trusted_before_the_first_bundle() {
    let verifier = Verifier::new("starfall-test".parse().unwrap());
    let judged = verifier.verify(&sign(&claims(Role::Admin)), at(NOW), Expiry::Strict);
    assert_eq!((judged, verifier.serial()), (Err(TokenError::NoKeys), None));
}

#[test]
fn only_a_newer_bundle_of_the_same_installation_replaces() {
    let verifier = verifier();
    assert!(verifier.replace(&bundle(5)).unwrap());
    let mut emptied = bundle(5);
    emptied.keys.clear();
    assert!(!verifier.replace(&emptied).unwrap());
    emptied.serial = 4;
    assert!(!verifier.replace(&emptied).unwrap());
    assert_eq!(verifier.serial(), Some(5));

    let mut foreign = bundle(6);
    foreign.installation = "starfall-production".parse().unwrap();
    let mut broken = bundle(6);
    // No point of the curve has this encoding.
    let (kid, key) = ("broken".to_owned(), [0x02; 32]);
    broken.keys.push(PublicKey { kid, key });
    assert!(matches!(
        verifier.replace(&foreign),
        Err(TrustError::ForeignInstallation)
    ));
    assert!(matches!(verifier.replace(&broken), Err(TrustError::BadKey)));
    let token = sign(&claims(Role::Admin));
    assert!(verifier.verify(&token, at(NOW), Expiry::Strict).is_ok());

    // A key that left the bundle is no longer believed.
    emptied.serial = 6;
    assert!(verifier.replace(&emptied).unwrap());
    let judged = verifier.verify(&token, at(NOW), Expiry::Strict);
    assert_eq!(judged, Err(TokenError::UnknownKey));
}

#[test]
fn regions_are_all_for_people_and_as_named_for_the_others() {
    let east: RegionId = "us-east".parse().unwrap();
    let west: RegionId = "us-west".parse().unwrap();
    for role in Role::ALL {
        let mut claims = claims(role);
        assert!(claims.covers(&east) && !claims.covers(&west), "{role}");
        claims.regions.clear();
        assert_eq!(claims.covers(&east), role.is_person(), "{role}");
    }
}
