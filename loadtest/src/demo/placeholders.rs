//! Times in the demo's files, which have to lie around the moment of the demo: a JSON string that is
//! wholly `{{now}}`, `{{now-PT1M}}` or `{{today+P3D}}` becomes a time in UTC to the second.
//!
//! All other text stays as its author wrote it, to the letter: contents are free-form JSON.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Unit};

/// A placeholder that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{{{{{0}}}}} is not now or today, less or plus an ISO 8601 duration")]
pub(super) struct Unknown(String);

/// Replaces all placeholders.
///
/// # Errors
/// Naming the first that means nothing.
pub(super) fn expand(text: &str, now: Timestamp) -> Result<String, Unknown> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\"{{") {
        let placeholder = after.split_once("}}\"").filter(|_| !before.ends_with('\\'));
        let Some((name, after)) = placeholder else {
            expanded.extend([before, "\"{{"]);
            rest = after;
            continue;
        };
        let time = time(name, now).ok_or_else(|| Unknown(name.to_owned()))?;
        expanded.push_str(before);
        expanded.push_str(&format!("\"{time}\""));
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

fn time(name: &str, now: Timestamp) -> Option<Timestamp> {
    let utc = now.to_zoned(TimeZone::UTC);
    let (base, offset) = match name.strip_prefix("now") {
        Some(offset) => (utc, offset),
        None => (utc.start_of_day().ok()?, name.strip_prefix("today")?),
    };
    let moved = match offset.split_at_checked(1) {
        None => base,
        Some(("+", span)) => base.checked_add(span.parse::<Span>().ok()?).ok()?,
        Some(("-", span)) => base.checked_sub(span.parse::<Span>().ok()?).ok()?,
        Some(_) => return None,
    };
    // Downwards, so that what should be open now is.
    let rounding = jiff::TimestampRound::new().smallest(Unit::Second);
    let rounding = rounding.mode(jiff::RoundMode::Floor);
    moved.timestamp().round(rounding).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_noon(text: &str) -> Result<String, Unknown> {
        expand(text, "2026-11-24T12:34:56.789Z".parse().unwrap())
    }

    #[test]
    fn replaces_strings_that_are_times() {
        let table = [
            (r#"{"a":"{{now}}"}"#, r#"{"a":"2026-11-24T12:34:56Z"}"#),
            (r#""{{now-PT1M}}""#, r#""2026-11-24T12:33:56Z""#),
            (
                r#"["{{now+P3D}}", "{{now+P1DT2H}}"]"#,
                r#"["2026-11-27T12:34:56Z", "2026-11-25T14:34:56Z"]"#,
            ),
            (r#""{{today}}""#, r#""2026-11-24T00:00:00Z""#),
            (r#""{{today+P365D}}""#, r#""2027-11-24T00:00:00Z""#),
            (r#""{{today-P1W}}""#, r#""2026-11-17T00:00:00Z""#),
        ];
        for (text, expected) in table {
            assert_eq!(at_noon(text).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn leaves_everything_else_alone() {
        for text in [
            r#"{"b": 1.50,  "a": "Hello {{now}}"}"#,
            r#""say \"{{now}}\" or""#,
            r#""{{player}""#,
            "",
        ] {
            assert_eq!(at_noon(text).as_deref(), Ok(text));
        }
    }

    #[test]
    fn names_what_means_nothing() {
        for name in ["later", "now+soon", "now3", "nowPT1M", "today+", ""] {
            let text = format!("\"{{{{{name}}}}}\"");
            assert_eq!(at_noon(&text), Err(Unknown(name.to_owned())));
        }
        assert_eq!(
            Unknown("later".to_owned()).to_string(),
            "{{later}} is not now or today, less or plus an ISO 8601 duration"
        );
    }
}
