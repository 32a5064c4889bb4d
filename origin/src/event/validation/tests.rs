//! What is an error, what is a warning, and that all of it is in one report.

use liveevents_protocol::json_text::JsonText;
use serde_json::{Value, json};

use super::*;

use liveevents_protocol::schedule::{Occurrence, Schedule};

const NOW: &str = "2026-06-01T12:00:00Z";

fn proposal(changes: &Value) -> Proposal {
    let mut event = json!({
        "displayName": "Summer Fest",
        "type": "SeasonalPromotion",
        "category": "season",
        "startTime": "2026-07-01T10:00:00Z",
        "endTime": "2026-07-15T10:00:00Z",
    });
    for (name, value) in changes.as_object().unwrap() {
        event[name] = value.clone();
    }
    Proposal::read(&serde_json::from_str(&event.to_string()).unwrap())
}

fn facts() -> Facts {
    Facts::new(true, NOW.parse().unwrap())
}

fn fields(faults: &Faults) -> Vec<String> {
    let faults = faults.clone().into_vec().into_iter();
    faults.map(|fault| fault.field).collect()
}

fn schema(text: &Value) -> Schema {
    Schema::new(&JsonText::new(text.to_string()).unwrap()).unwrap()
}

#[test]
fn an_event_without_fault_is_accepted() {
    let proposal = proposal(&json!({}));
    let report = validate(&proposal, &facts());
    assert_eq!(report, Report::default());
    assert_eq!(proposal.accept(report).unwrap().display_name, "Summer Fest");
}

#[test]
fn everything_wrong_is_in_one_report() {
    let wrong = json!({
        "displayName": " ",
        "endTime": "2026-06-15T10:00:00Z",
        "timezone": "Mars/Olympus",
        "maxParticipants": -1,
        "targetSegments": ["vip", "ghosts"],
        "excludeSegments": ["shades"],
        "configuration": {
            "rewards": { "items": [{ "itemId": "lantern", "amount": -1 }, "sword"], "questMultiplier": "2" },
            "multipliers": { "xp": 0 },
            "assets": { "banner": "banner.png" },
            "customParameters": { "rounds": "three" },
            "misspelt": 1,
        },
    });
    let mut facts = facts();
    facts.unknown_items = ["sword".to_owned()].into();
    facts.unknown_segments = ["ghosts", "shades"].map(str::to_owned).into();
    let rounds = json!({ "properties": { "customParameters": { "properties": { "rounds": { "type": "integer" } } } } });
    facts.schemas = [("season".to_owned(), schema(&rounds))].into();
    let report = validate(&proposal(&wrong), &facts);
    let mut errors = fields(&report.errors);
    errors.sort();
    assert_eq!(
        errors,
        [
            "configuration.assets.banner",
            "configuration.customParameters.rounds",
            "configuration.multipliers.xp",
            "configuration.rewards.items[0].amount",
            "configuration.rewards.items[1]",
            "configuration.rewards.questMultiplier",
            "displayName",
            "endTime",
            "excludeSegments[0]",
            "maxParticipants",
            "targetSegments[1]",
            "timezone",
        ]
    );
    assert_eq!(fields(&report.warnings), ["configuration.misspelt"]);
    assert!(proposal(&wrong).accept(report).is_err());
}

#[test]
fn a_draft_lies_ahead_and_what_is_deployed_need_not() {
    let past = json!({ "startTime": "2026-06-01T11:54:59Z" });
    let mut facts = facts();
    assert_eq!(
        fields(&validate(&proposal(&past), &facts).errors),
        ["startTime"]
    );
    facts.draft = false;
    assert_eq!(validate(&proposal(&past), &facts).errors, Faults::default());
}

#[test]
fn what_may_be_wrong_is_a_warning() {
    let mut facts = facts();
    let utc = Zone::utc();
    facts.regions = vec![("us-east".parse().unwrap(), utc)];
    facts.draft = false;
    let banner = "https://cdn.example.com/b.png";
    facts.assets = [(banner.parse().unwrap(), "answered 404".to_owned())].into();
    let over = json!({
        "startTime": "2026-05-01T00:00:00Z", "endTime": "2026-05-02T00:00:00Z",
        "configuration": { "assets": { "banner": banner } },
    });
    let report = validate(&proposal(&over), &facts);
    assert_eq!(report.errors, Faults::default());
    assert_eq!(
        fields(&report.warnings),
        ["endTime", "configuration.assets.banner"]
    );
    facts.broken_schemas = ["season".to_owned()].into();
    assert_eq!(
        fields(&validate(&proposal(&over), &facts).warnings)
            .last()
            .unwrap(),
        "configuration"
    );
    facts.assets_matter = true;
    let report = validate(&proposal(&over), &facts);
    assert_eq!(fields(&report.errors), ["configuration.assets.banner"]);
}

#[test]
fn being_shown_beside_its_like_is_a_warning() {
    let event = json!({ "startTime": "2026-07-01T00:00:00Z", "endTime": "2026-07-03T00:00:00Z" });
    let regions = ["us-east", "eu-west"].map(|region| (region.parse().unwrap(), Zone::utc()));
    let mut facts = facts();
    facts.regions = regions.to_vec();
    let beside = |region: &str, opens: &str, closes: &str| Beside {
        region: region.parse().unwrap(),
        event: "other".parse().unwrap(),
        category: "season".to_owned(),
        schedule: Schedule::new(vec![Occurrence {
            opens: opens.parse().unwrap(),
            closes: closes.parse().unwrap(),
        }])
        .unwrap(),
    };
    facts.beside = vec![
        beside("us-east", "2026-07-02T00:00:00Z", "2026-07-09T00:00:00Z"),
        beside("eu-west", "2026-07-03T00:00:00Z", "2026-07-09T00:00:00Z"),
    ];
    let report = validate(&proposal(&event), &facts);
    assert_eq!(report.errors, Faults::default());
    let warnings = report.warnings.into_vec();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].field, "category");
    for said in [
        "us-east",
        "other",
        "2026-07-02T00:00:00Z to 2026-07-03T00:00:00Z",
    ] {
        assert!(warnings[0].message.contains(said), "{warnings:?}");
    }
}

#[test]
fn what_has_to_be_looked_up_is_named_even_where_the_rest_is_wrong() {
    let wrong = json!({
        "displayName": "",
        "targetSegments": ["vip"],
        "excludeSegments": ["at-risk"],
        "configuration": {
            "rewards": { "items": ["a", { "itemId": "b", "amount": 0 }, "\0"], "cosmetics": ["a"] },
            "assets": { "banner": "https://cdn.example.com/b.png", "icon": "no" },
        },
    });
    let proposal = proposal(&wrong);
    assert!(proposal.document().is_none());
    assert_eq!(proposal.items(), ["a", "b"].into());
    assert_eq!(proposal.scopes(), ["SeasonalPromotion", "season"]);
    assert_eq!(proposal.segments().collect::<Vec<_>>(), ["vip", "at-risk"]);
    assert_eq!(proposal.assets().len(), 1);
}
