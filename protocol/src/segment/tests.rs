//! Who belongs, by which rule, and what is read and written.

use serde_json::{Value, json};

use super::*;

fn criteria(json: Value) -> Criteria {
    serde_json::from_value(json).unwrap()
}

fn said(json: Value) -> BTreeMap<String, Attribute> {
    serde_json::from_value(json).unwrap()
}

fn membership(of: Value, attributes: Value) -> Membership {
    let attributes = said(attributes);
    criteria(of).membership(Some("p-1"), &Attributes::new(&attributes))
}

#[test]
fn lists_come_before_criteria_and_the_excluded_first() {
    let level = json!({"level": 20});
    let table = [
        (json!({}), Membership::Unlisted),
        (json!({"include": ["p-2"]}), Membership::Unlisted),
        (json!({"exclude": ["p-2"]}), Membership::Unlisted),
        (json!({"include": ["p-1"]}), Membership::Included),
        (
            json!({"include": ["p-1"], "exclude": ["p-1"]}),
            Membership::Excluded,
        ),
        (
            json!({"levelRange": [30, null], "include": ["p-1"]}),
            Membership::Included,
        ),
        (
            json!({"levelRange": [10, null], "exclude": ["p-1"]}),
            Membership::Excluded,
        ),
        (
            json!({"levelRange": [10, null], "exclude": ["p-2"]}),
            Membership::Meets,
        ),
        (
            json!({"levelRange": [10, null], "include": ["p-2"]}),
            Membership::Meets,
        ),
        (json!({"levelRange": [30, null]}), Membership::Fails),
        (json!({"orbit": 1}), Membership::Unknown),
        (
            json!({"orbit": 1, "include": ["p-1"]}),
            Membership::Included,
        ),
        (
            json!({"orbit": 1, "exclude": ["p-1"]}),
            Membership::Excluded,
        ),
        (
            json!({"orbit": 1, "levelRange": [30, null]}),
            Membership::Unknown,
        ),
    ];
    for (of, expected) in table {
        assert_eq!(membership(of.clone(), level.clone()), expected, "{of}");
    }
    let listing = criteria(json!({"include": ["p-1"], "exclude": ["p-2"]}));
    let nobody = listing.membership(None, &Attributes::default());
    assert_eq!(nobody, Membership::Unlisted, "who has no id is on no list");
}

#[test]
fn every_criterion_looks_at_its_own_attribute() {
    let table = [
        ("levelRange", json!([10, 50]), "level", json!(10), json!(9)),
        (
            "accountAgeDays",
            json!([null, 7]),
            "accountAgeDays",
            json!(7.0),
            json!(7.1),
        ),
        (
            "lifetimeSpend",
            json!([99.99, null]),
            "lifetimeSpend",
            json!(99.99),
            json!(99.98),
        ),
        (
            "daysSinceLastLogin",
            json!([-1, 0]),
            "daysSinceLastLogin",
            json!(0),
            json!(1),
        ),
        (
            "recentSessionCount",
            json!([null, null]),
            "recentSessionCount",
            json!(-7),
            json!("7"),
        ),
        (
            "countryCodes",
            json!(["DE", "jp"]),
            "country",
            json!("de"),
            json!("FR"),
        ),
        (
            "platforms",
            json!(["PS5"]),
            "platform",
            json!("ps5"),
            json!("ps4"),
        ),
    ];
    for (criterion, demanded, attribute, meets, fails) in table {
        let of = json!({criterion: demanded});
        let with = |name: &str, value: &Value| membership(of.clone(), json!({name: value}));
        assert_eq!(with(attribute, &meets), Membership::Meets, "{criterion}");
        assert_eq!(with(attribute, &fails), Membership::Fails, "{criterion}");
        assert_eq!(
            with("other", &meets),
            Membership::Fails,
            "{criterion}: missing"
        );
        let other_type = match meets {
            Value::String(_) => json!(1),
            _ => json!("10"),
        };
        for wrong in [other_type, json!(true)] {
            assert_eq!(
                with(attribute, &wrong),
                Membership::Fails,
                "{criterion}: {wrong}"
            );
        }
    }
}

#[test]
fn all_that_is_given_must_hold() {
    let of = json!({
        "levelRange": [10, null], "countryCodes": ["DE"],
        "customCriteria": {"vip": {"equals": true}, "tier": {"oneOf": ["gold", 7]}, "karma": {"range": [0, 1]}},
    });
    let all = json!({"level": 10, "country": "DE", "vip": true, "tier": 7.0, "karma": 0.5});
    assert_eq!(membership(of.clone(), all.clone()), Membership::Meets);
    for name in ["level", "country", "vip", "tier", "karma"] {
        let mut less = all.clone();
        less.as_object_mut().unwrap().remove(name);
        assert_eq!(membership(of.clone(), less), Membership::Fails, "{name}");
    }
    for (name, wrong) in [
        ("vip", json!("true")),
        ("tier", json!("Gold")),
        ("tier", json!("7")),
    ] {
        let mut other = all.clone();
        other[name] = wrong;
        assert_eq!(
            membership(of.clone(), other),
            Membership::Fails,
            "{name}: texts as they are"
        );
    }
}

#[test]
fn a_rule_that_is_not_known_leaves_the_answer_open() {
    for rule in [
        json!({}),
        json!({"above": 3}),
        json!({"equals": 3, "weight": 2}),
        json!({"equals": 3, "range": [1, 2]}),
        json!({"unknown": true}),
    ] {
        let of = json!({"customCriteria": {"tier": rule}});
        assert_eq!(
            membership(of.clone(), json!({"tier": 3})),
            Membership::Unknown,
            "{of}"
        );
        assert!(!criteria(of).faults().is_empty());
    }
    assert_eq!(Membership::Unknown.is_in(), None);
    assert_eq!(Membership::Missing.is_in(), None);
}

#[test]
fn criteria_come_back_as_they_were_written() {
    for text in [
        "{}",
        r#"{"levelRange":[10,50],"lifetimeSpend":[99.99,null]}"#,
        r#"{"countryCodes":["DE"],"customCriteria":{"tier":{"oneOf":[true,7,"gold"]}},"exclude":["p-1"]}"#,
        r#"{"customCriteria":{"tier":{"equals":"gold"},"x":{"range":[null,-1.5]},"y":{"unknown":true}},"unknown":true}"#,
    ] {
        let read: Criteria = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
    for bad in [
        json!({"levelRange": [2, 1]}),
        json!({"levelRange": [1]}),
        json!({"levelRange": [1, 2, 3]}),
        json!({"levelRange": {"min": 1}}),
        json!({"countryCodes": "DE"}),
        json!({"customCriteria": {"tier": "gold"}}),
        json!([]),
    ] {
        assert!(
            serde_json::from_value::<Criteria>(bad.clone()).is_err(),
            "{bad}"
        );
        // From a newer edge it is a form that is not known here.
        let segment = json!({"segmentId": "vip", "revision": 3, "criteria": bad});
        let segment: Segment = serde_json::from_value(segment).unwrap();
        assert!(segment.criteria.has_unknown(), "{bad}");
    }
}

#[test]
fn every_bound_is_told_by_its_field() {
    let many = |count: usize| (0..count).map(|i| i.to_string()).collect::<Vec<_>>();
    let long = "x".repeat(MAX_NAME + 1);
    let rules: BTreeMap<_, _> = (0..=MAX_CUSTOM_CRITERIA)
        .map(|i| (i.to_string(), json!({"equals": 1})))
        .collect();
    let table = [
        (json!({"include": many(MAX_LISTED + 1)}), "include"),
        (json!({"exclude": [""]}), "exclude"),
        (
            json!({"platforms": many(MAX_ALTERNATIVES + 1)}),
            "platforms",
        ),
        (json!({"platforms": [long]}), "platforms"),
        (json!({"countryCodes": ["Germany"]}), "countryCodes"),
        (json!({"customCriteria": rules}), "customCriteria"),
        (
            json!({"customCriteria": {"tier": {"oneOf": []}}}),
            "customCriteria.tier.oneOf",
        ),
        (
            json!({"customCriteria": {"tier": {"equals": ""}}}),
            "customCriteria.tier.equals",
        ),
        (
            json!({"customCriteria": {"tier": {"is": 1}}}),
            "customCriteria.tier",
        ),
        (json!({"lvlRange": [1, 2]}), "criteria"),
    ];
    for (of, field) in table {
        let faults = criteria(of).faults();
        let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, [field], "{faults:?}");
    }
    let fine =
        json!({"levelRange": [1, 2], "include": many(MAX_LISTED), "countryCodes": ["DE", "jp"]});
    assert_eq!(criteria(fine).faults(), []);
}

#[test]
fn segments_are_found_by_name() {
    let segment = |id: &str, revision| Segment {
        id: id.parse().unwrap(),
        revision: Revision(revision),
        criteria: criteria(json!({"include": ["p-1"]})),
    };
    let mut held: Segments = [segment("vip", 1), segment("new", 1)].into_iter().collect();
    let before = held.clone();
    held.put(Arc::new(segment("vip", 2)));
    held.remove(&"new".parse().unwrap());
    let revision = |held: &Segments, id: &str| held.get(&id.parse().unwrap()).map(|s| s.revision.0);
    assert_eq!(
        (revision(&held, "vip"), revision(&held, "new")),
        (Some(2), None)
    );
    assert_eq!(
        (revision(&before, "vip"), revision(&before, "new")),
        (Some(1), Some(1))
    );
    let of = |id: &str| held.membership(&id.parse().unwrap(), Some("p-1"), &Attributes::default());
    assert_eq!(
        (of("vip"), of("new")),
        (Membership::Included, Membership::Missing)
    );
}

#[test]
fn agrees_with_the_published_cases() {
    #[derive(serde::Deserialize)]
    struct Vectors {
        cases: Vec<Case>,
    }

    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        name: String,
        player: String,
        criteria: Criteria,
        attributes: BTreeMap<String, Attribute>,
        r#in: Option<bool>,
    }

    let vectors: Vectors =
        serde_json::from_str(include_str!("../../vectors/segments.json")).unwrap();
    for case in &vectors.cases {
        let attributes = Attributes::new(&case.attributes);
        let membership = case.criteria.membership(Some(&case.player), &attributes);
        assert_eq!(membership.is_in(), case.r#in, "{}", case.name);
    }
    assert!(vectors.cases.len() >= 38);
}
