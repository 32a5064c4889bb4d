//! Descriptions that are good, and everything that is wrong with others.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::jwk::{SetError, read_set};
use super::*;

/// RFC 8037, appendix A.2.
const ED25519: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

fn key() -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": "k-1", "x": ED25519 })
}

/// With a modulus of so many bits.
fn rsa(modulus: usize) -> Value {
    let n = URL_SAFE_NO_PAD.encode(vec![0xff; modulus / 8]);
    json!({ "kty": "RSA", "kid": "r-1", "n": n, "e": "AQAB" })
}

fn described(more: Value) -> Value {
    let mut description = json!({
        "issuer": "https://id.studio.example", "audience": "starfall", "algorithms": ["EdDSA"],
        "keys": [key()], "regions": ["us-east"],
    });
    for (name, value) in more.as_object().unwrap() {
        description[name] = value.clone();
    }
    description
}

fn faults(more: Value) -> Vec<String> {
    let mut description = described(more);
    description
        .as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    let description: Description = serde_json::from_value(description).unwrap();
    let faults = description.faults().into_vec().into_iter();
    faults.map(|fault| fault.field).collect()
}

#[test]
fn what_is_wrong_is_named() {
    let long = "x".repeat(501);
    let many: Vec<Value> = (0..17).map(|n| with_kid(&n.to_string())).collect();
    let names: BTreeMap<String, String> =
        (0..33).map(|n| (n.to_string(), "a".to_owned())).collect();
    let table = [
        (json!({}), &[][..]),
        (json!({ "issuer": "" }), &["issuer"]),
        (json!({ "issuer": "liveevents" }), &["issuer"]),
        (json!({ "issuer": "a\u{0}" }), &["issuer"]),
        (json!({ "audience": long }), &["audience"]),
        (json!({ "algorithms": ["RS256"] }), &["keys[0]"]),
        (json!({ "algorithms": [] }), &["algorithms", "keys[0]"]),
        (json!({ "keys": null }), &["jwksUrl"]),
        (json!({ "keys": [] }), &["keys"]),
        (json!({ "jwksUrl": "https://a/" }), &["keys"]),
        (json!({ "keys": many }), &["keys"]),
        (json!({ "keys": [key(), key()] }), &["keys[1]"]),
        (json!({ "regions": [] }), &["regions"]),
        (json!({ "claims": { "player": "" } }), &["claims.player"]),
        (json!({ "claims": { "regions": "" } }), &["claims.regions"]),
        (
            json!({ "claims": { "attributes": { "level": "" } } }),
            &["claims.attributes.level"],
        ),
        (
            json!({ "claims": { "attributes": { "": "a" } } }),
            &["claims.attributes"],
        ),
        (
            json!({ "claims": { "attributes": names } }),
            &["claims.attributes"],
        ),
        (json!({ "claims": { "keys": names } }), &["claims.keys"]),
        (
            json!({ "claims": { "keys": { "player": "a" } } }),
            &["claims.keys"],
        ),
    ];
    for (more, expected) in table {
        assert_eq!(faults(more.clone()), expected, "{more}");
    }
}

fn with_kid(kid: &str) -> Value {
    let mut key = key();
    key["kid"] = json!(kid);
    key
}

#[test]
fn algorithms_are_from_a_list_and_fields_are_known() {
    for bad in ["none", "HS256", "HS512", "RS384", "PS256", "ES384", "eddsa"] {
        let description = described(json!({ "algorithms": [bad] }));
        assert!(
            serde_json::from_value::<Description>(description).is_err(),
            "{bad}"
        );
    }
    let odd = described(json!({ "role": "Admin" }));
    assert!(serde_json::from_value::<Description>(odd).is_err());
}

#[test]
fn a_key_is_judged_before_anybody_believes_it() {
    let judge = |change: Value| {
        let mut key = key();
        for (name, value) in change.as_object().unwrap() {
            key[name] = value.clone();
        }
        key.as_object_mut()
            .unwrap()
            .retain(|_, value| !value.is_null());
        let read: Jwk = serde_json::from_value(key).unwrap();
        read.read().map(|(_, algorithm, _)| algorithm)
    };
    assert_eq!(judge(json!({})), Ok(Algorithm::EdDSA));
    assert_eq!(
        judge(json!({ "use": "sig", "alg": "EdDSA", "x5c": [] })),
        Ok(Algorithm::EdDSA)
    );
    for bad in [
        json!({ "kid": null }),
        json!({ "kid": "" }),
        json!({ "kid": "a\u{0}" }),
        json!({ "kid": "x".repeat(201) }),
        json!({ "use": "enc" }),
        json!({ "alg": "ES256" }),
        json!({ "alg": "none" }),
        json!({ "crv": "X25519" }),
        json!({ "kty": "oct", "k": "c2VjcmV0" }),
        json!({ "x": "AAAA" }),
        json!({ "x": null }),
        // No point of the curve.
        json!({ "x": "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI" }),
        // It is a private key.
        json!({ "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" }),
        json!({ "kty": "EC", "crv": "P-384", "y": ED25519 }),
    ] {
        assert!(judge(bad.clone()).is_err(), "{bad}");
    }
    let point = json!({ "kty": "EC", "crv": "P-256", "y": ED25519 });
    assert_eq!(judge(point), Ok(Algorithm::ES256));
    assert_eq!(judge(rsa(2048)), Ok(Algorithm::RS256));
    assert!(judge(rsa(1024)).is_err() && judge(rsa(4104)).is_err());
}

#[test]
fn of_a_set_the_usable_keys_are_taken_and_none_is_a_fault() {
    let set = |keys: Value| read_set(json!({ "keys": keys, "more": 1 }).to_string().as_bytes());
    let kids = |keys: Value| {
        let keys = set(keys).unwrap().into_iter();
        keys.map(|key| key.kid.unwrap()).collect::<Vec<_>>()
    };
    let odd = json!({ "kty": "oct", "kid": "k-2", "k": "c2VjcmV0" });
    assert_eq!(
        kids(json!([odd, key(), 7, with_kid("k-3"), key()])),
        ["k-1", "k-3"]
    );
    let many: Vec<Value> = (0..40).map(|n| with_kid(&n.to_string())).collect();
    assert_eq!(kids(json!(many)).len(), MAX_ISSUER_KEYS);
    for none in [json!([]), json!([odd]), json!([7])] {
        assert!(
            matches!(set(none.clone()), Err(SetError::NoKey(_))),
            "{none}"
        );
    }
    for bad in ["", "[]", "{}", r#"{"keys": {}}"#, "<html>"] {
        assert_eq!(read_set(bad.as_bytes()), Err(SetError::NoSet), "{bad}");
    }
}

#[test]
fn edges_are_told_of_keys_whose_algorithm_is_allowed() {
    let description = described(json!({
        "algorithms": ["EdDSA"], "keys": null, "jwksUrl": "https://id.studio.example/keys",
        "claims": { "attributes": { "level": "game.level" }, "keys": { "guild": "guild" }, "regions": "region" },
    }));
    let mut description = description;
    description.as_object_mut().unwrap().remove("keys");
    let description: Description = serde_json::from_value(description).unwrap();
    let keys: Vec<Jwk> = [key(), rsa(2052)]
        .map(|key| serde_json::from_value(key).unwrap())
        .into();
    let believed = description.believed(&keys);
    assert_eq!(believed.keys.keys().collect::<Vec<_>>(), ["k-1"]);
    assert_eq!(believed.player, "sub");
    assert_eq!(believed.attributes["level"], "game.level");
    assert_eq!(believed.bucketing["guild"], "guild");
    assert_eq!(believed.region.as_deref(), Some("region"));
    // What is stored is what was said.
    let stored = serde_json::to_value(&description).unwrap();
    assert_eq!(
        serde_json::from_value::<Description>(stored).unwrap(),
        description
    );
}
