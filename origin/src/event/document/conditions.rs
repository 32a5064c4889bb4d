//! The rules for what a document demands of whoever shows it. Stricter than the protocol is: what a client of an older
//! release has to tolerate, whoever writes an event must not.

use liveevents_protocol::build::Build;
use liveevents_protocol::conditions::{Requires, WhenStale};
use serde::Deserialize as _;
use serde_json::Value;

use crate::event::fault::Faults;
use crate::event::fields::RequiresFields;

pub(super) fn requires(faults: &mut Faults, given: Option<&Option<RequiresFields>>) -> Requires {
    let Some(given) = given.and_then(Option::as_ref) else {
        return Requires::default();
    };
    let mut build = |field: &str, text: Option<&String>| {
        let text = text?;
        faults.take(&format!("requires.{field}"), text.parse::<Build>())
    };
    let min_build = build("minBuild", given.min_build.as_ref());
    let max_build = build("maxBuild", given.max_build.as_ref());
    if min_build.zip(max_build).is_some_and(|(min, max)| max < min) {
        faults.add("requires.maxBuild", "must not be before minBuild");
    }
    Requires {
        min_build,
        max_build,
        unknown: false,
    }
}

pub(super) fn requires_fields(requires: &Requires) -> Option<RequiresFields> {
    let text = |build: Build| build.to_string();
    (!requires.is_nothing()).then(|| RequiresFields {
        min_build: requires.min_build.map(text),
        max_build: requires.max_build.map(text),
    })
}

pub(super) fn when_stale(faults: &mut Faults, given: Option<&Value>) -> WhenStale {
    let Some(given) = given else {
        return WhenStale::Keep;
    };
    let known = match given {
        Value::String(name) => name == "Keep",
        Value::Object(members) => members.len() == 1 && members.contains_key("hideAfter"),
        _ => false,
    };
    if !known {
        faults.add("whenStale", r#"must be "Keep" or {"hideAfter": "PT10M"}"#);
        return WhenStale::Keep;
    }
    let rule = WhenStale::deserialize(given);
    faults
        .take("whenStale.hideAfter", rule)
        .unwrap_or(WhenStale::Keep)
}
