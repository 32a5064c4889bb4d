//! The rules for single fields of a document.

use std::collections::{BTreeMap, BTreeSet};

use liveevents_protocol::id::SegmentId;
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::model::Localization;
use serde_json::Value;

use crate::event::fault::Faults;
use crate::event::fields::EventFields;
use crate::limits;

/// A name: not blank, on one line, of a sensible length.
pub(super) fn text(faults: &mut Faults, field: &str, text: &str, max: usize) -> String {
    if text.trim().is_empty() {
        faults.add(field, "must not be blank");
    } else if text.chars().count() > max {
        faults.add(field, format!("must have at most {max} characters"));
    } else if text.chars().any(char::is_control) {
        faults.add(field, "must not have line breaks or control characters");
    }
    text.to_owned()
}

/// A text of many lines. A NUL is nothing that anybody types, and no database keeps it.
pub(super) fn description(faults: &mut Faults, field: &str, text: &str) {
    if text.chars().count() > limits::MAX_DESCRIPTION {
        let most = limits::MAX_DESCRIPTION;
        faults.add(field, format!("must have at most {most} characters"));
    } else if text.contains('\0') {
        faults.add(field, "must not contain a NUL");
    }
}

pub(super) fn tags(faults: &mut Faults, tags: &[String]) {
    if tags.len() > limits::MAX_TAGS {
        faults.add("tags", format!("must have at most {}", limits::MAX_TAGS));
    }
    let mut seen = BTreeSet::new();
    for (index, tag) in tags.iter().enumerate() {
        let field = format!("tags[{index}]");
        text(faults, &field, tag, limits::MAX_TAG);
        if !seen.insert(tag) {
            faults.add(field, format!("repeats {tag:?}"));
        }
    }
}

/// What a bucketing key may be called.
pub(super) fn bucket_by(faults: &mut Faults, name: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > limits::MAX_TAG || !name.chars().all(plain) {
        faults.add(
            "bucketBy",
            "must be a plain name such as player, match or guild",
        );
    }
}

/// Segments by name, none of them twice, none both wanted and unwanted. Whether they exist is not known here.
pub(super) fn segments(
    faults: &mut Faults,
    targets: &[String],
    excluded: &[String],
) -> (Vec<SegmentId>, Vec<SegmentId>) {
    let mut seen = BTreeSet::new();
    let mut read = |field: &str, segments: &[String]| {
        if segments.len() > limits::MAX_SEGMENTS {
            faults.add(field, format!("must have at most {}", limits::MAX_SEGMENTS));
        }
        let mut ids = Vec::with_capacity(segments.len());
        for (index, segment) in segments.iter().enumerate() {
            let field = format!("{field}[{index}]");
            match SegmentId::new(segment) {
                Err(_) => faults.add(field, "must be a segment's id: a-z, 0-9 and -"),
                Ok(id) if seen.insert(id.clone()) => ids.push(id),
                Ok(_) => faults.add(field, format!("repeats {segment:?}")),
            }
        }
        ids
    };
    (
        read("targetSegments", targets),
        read("excludeSegments", excluded),
    )
}

pub(super) fn localizations(faults: &mut Faults, given: &BTreeMap<String, Localization>) {
    if given.len() > limits::MAX_LOCALIZATIONS {
        faults.add(
            "localizations",
            format!("must have at most {}", limits::MAX_LOCALIZATIONS),
        );
    }
    for (language, localization) in given {
        let field = format!("localizations.{language}");
        if !is_language_tag(language) {
            faults.add(field.clone(), "must be a language tag such as de or pt-BR");
        }
        if let Some(name) = &localization.display_name {
            text(
                faults,
                &format!("{field}.displayName"),
                name,
                limits::MAX_NAME,
            );
        }
        if let Some(text) = &localization.description {
            description(faults, &format!("{field}.description"), text);
        }
        if let Some(custom) = &localization.custom_fields {
            object(faults, &format!("{field}.customFields"), custom);
        }
    }
}

/// The shape of BCP 47: a language of letters, then subtags.
fn is_language_tag(tag: &str) -> bool {
    let mut subtags = tag.split('-');
    let language = subtags.next().unwrap_or_default();
    (2..=8).contains(&language.len())
        && language.chars().all(|c| c.is_ascii_alphabetic())
        && tag.len() <= 35
        && subtags.all(|subtag| {
            (1..=8).contains(&subtag.len()) && subtag.chars().all(|c| c.is_ascii_alphanumeric())
        })
}

/// An object, in which bonuses, amounts and multipliers are positive.
pub(super) fn configuration(faults: &mut Faults, configuration: &JsonText) {
    if let Some(members) = object(faults, "configuration", configuration) {
        for part in ["rewards", "multipliers"] {
            if let Some(value) = members.get(part) {
                positive(faults, &format!("configuration.{part}"), value);
            }
        }
    }
}

fn object(
    faults: &mut Faults,
    field: &str,
    json: &JsonText,
) -> Option<serde_json::Map<String, Value>> {
    if let Err(problem) = storable(json.as_str()) {
        faults.add(field, problem);
        return None;
    }
    match serde_json::from_str(json.as_str()) {
        Ok(Value::Object(members)) => Some(members),
        Ok(_) => {
            faults.add(field, "must be an object");
            None
        }
        Err(error) => {
            faults.add(field, error);
            None
        }
    }
}

/// What is JSON and yet kept by no database, and read by no game: a NUL in a text, a number beyond all measure. The text is
/// JSON already.
fn storable(json: &str) -> Result<(), String> {
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let token = match first {
            '"' => {
                let text = quoted(rest);
                if has_nul(text) {
                    return Err("must not contain a NUL".to_owned());
                }
                text.len()
            }
            '-' | '0'..='9' => {
                let end = rest.find(|c: char| {
                    !c.is_ascii_digit() && !matches!(c, '-' | '+' | '.' | 'e' | 'E')
                });
                let number = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
                let exponent = number.split(['e', 'E']).nth(1).unwrap_or("0");
                let moderate = exponent
                    .parse()
                    .is_ok_and(|exponent: i32| exponent.abs() <= 308);
                if number.len() > limits::MAX_NUMBER || !moderate {
                    return Err(format!(
                        "must not have numbers of more than {} digits, or beyond 1e308",
                        limits::MAX_NUMBER
                    ));
                }
                number.len()
            }
            other => other.len_utf8(),
        };
        rest = rest.get(token..).unwrap_or_default();
    }
    Ok(())
}

/// A text's token at the start of what is JSON.
fn quoted(json: &str) -> &str {
    let mut escaped = false;
    let end = json.char_indices().skip(1).find(|(_, c)| {
        let closes = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        closes
    });
    end.and_then(|(end, _)| json.get(..=end)).unwrap_or(json)
}

fn has_nul(token: &str) -> bool {
    token.match_indices("\\u0000").any(|(at, _)| {
        // Of several backslashes each second one stands for itself.
        let before = token.get(..at).unwrap_or_default();
        before
            .len()
            .wrapping_sub(before.trim_end_matches('\\').len())
            % 2
            == 0
    })
}

/// Every number within is positive. Recursion ends where `JsonText` ends nesting.
fn positive(faults: &mut Faults, field: &str, value: &Value) {
    match value {
        Value::Number(number) => {
            if !number.as_f64().is_some_and(|number| number > 0.0) {
                faults.add(field, "must be positive");
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                positive(faults, &format!("{field}[{index}]"), item);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                positive(faults, &format!("{field}.{name}"), member);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

pub(super) fn size(faults: &mut Faults, fields: &EventFields) {
    match serde_json::to_vec(fields) {
        Ok(json) if json.len() > limits::MAX_EVENT => faults.add(
            "configuration",
            format!(
                "the whole event must have at most {} bytes, has {}",
                limits::MAX_EVENT,
                json.len()
            ),
        ),
        Ok(_) => {}
        Err(error) => faults.add("configuration", error),
    }
}
