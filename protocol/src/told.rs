//! An event as a player is told it: what a read of a player's events answers, at the edge and in previews of the origin.
//!
//! An object of what is the same for everybody ([`opening`]), then `closes`, `full` and, where the asker wants it,
//! `configuration`, which is JSON already. Texts are those for the asker's language ([`localization`]).

use jiff::Timestamp;
use serde::Serialize;

use crate::evaluate::Shown;
use crate::id::EventId;
use crate::json_text::JsonText;
use crate::model::{Content, EventType, Localization};
use crate::version::Revision;

/// Which of a content's texts are for a language: those of the very tag, else of the tag with fewer and fewer subtags
/// (`zh-Hant` for `zh-Hant-TW`, then `zh`), as RFC 4647 looks up. Case does not matter.
#[must_use]
pub fn localization(content: &Content, language: &str) -> Option<usize> {
    let mut wanted = language;
    loop {
        let mut tags = content.localizations.keys();
        let found = tags.position(|tag| tag.eq_ignore_ascii_case(wanted));
        if found.is_some() {
            return found;
        }
        let (shorter, _) = wanted.rsplit_once('-')?;
        // A single letter announces what follows it and says nothing without.
        wanted = match shorter.rsplit_once('-') {
            Some((before, single)) if single.len() == 1 => before,
            _ => shorter,
        };
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Opening<'a> {
    event_id: &'a EventId,
    revision: Revision,
    #[serde(rename = "type")]
    event_type: EventType,
    display_name: &'a str,
    description: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    tags: &'a [String],
    priority: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_fields: Option<&'a JsonText>,
}

/// An object with all but its end: members may follow, and the brace.
#[expect(
    clippy::expect_used,
    reason = "texts, numbers and checked JSON always have a JSON form"
)]
#[must_use]
pub fn opening(content: &Content, localized: Option<&Localization>) -> String {
    let display_name = localized.and_then(|texts| texts.display_name.as_deref());
    let description = localized.and_then(|texts| texts.description.as_deref());
    let mut text = serde_json::to_string(&Opening {
        event_id: &content.event_id,
        revision: content.revision,
        event_type: content.event_type,
        display_name: display_name.unwrap_or(&content.display_name),
        description: description.unwrap_or(&content.description),
        category: content.category.as_deref(),
        tags: &content.tags,
        priority: content.priority,
        custom_fields: localized.and_then(|texts| texts.custom_fields.as_ref()),
    })
    .expect("it has a JSON form");
    text.pop();
    text
}

/// An event that a player is shown, whole.
#[must_use]
pub fn whole(shown: &Shown<'_>, language: Option<&str>, configuration: bool) -> String {
    let content = shown.content;
    let found = language.and_then(|language| localization(content, language));
    let localized = found.and_then(|index| content.localizations.values().nth(index));
    let mut text = opening(content, localized);
    if let Some(at) = shown.closes {
        text.push_str(&closes(at));
    }
    if shown.assignment.full {
        text.push_str(FULL);
    }
    if configuration {
        text.push_str(r#","configuration":"#);
        text.push_str(content.configuration.as_str());
    }
    text.push('}');
    text
}

/// That there are no more places, as the next member of an object.
pub const FULL: &str = r#","full":true"#;

/// The end of an occurrence, as the next member of an object.
#[must_use]
pub fn closes(at: Timestamp) -> String {
    format!(r#","closes":"{at}""#)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(languages: &[&str]) -> Content {
        let text = r#"{"eventId":"sale","revision":1,"type":"LimitedTimeOffer","displayName":"sale 1","configuration":{"xp":2.50}}"#;
        let mut content: Content = serde_json::from_str(text).unwrap();
        content.localizations = languages
            .iter()
            .map(|tag| {
                let texts = Localization {
                    display_name: Some((*tag).to_owned()),
                    description: None,
                    custom_fields: None,
                };
                ((*tag).to_owned(), texts)
            })
            .collect();
        content
    }

    #[test]
    fn a_language_is_found_by_its_tag_and_then_by_less_and_less_of_it() {
        let content = content(&["de", "en-GB", "pt-BR", "zh-Hant", "sr-Latn"]);
        let table = [
            ("de", Some("de")),
            ("DE", Some("de")),
            ("de-AT", Some("de")),
            ("de-CH-1996", Some("de")),
            ("pt-BR", Some("pt-BR")),
            ("pt-br", Some("pt-BR")),
            ("zh-Hant-TW", Some("zh-Hant")),
            ("zh-Hant-x-private", Some("zh-Hant")),
            ("sr-Latn-RS", Some("sr-Latn")),
            ("pt", None),
            ("en", None),
            ("zh-Hans", None),
            ("fr", None),
            ("d", None),
            ("", None),
            ("-", None),
            ("x-de", None),
        ];
        for (language, expected) in table {
            let found = localization(&content, language);
            let found = found.and_then(|index| content.localizations.keys().nth(index));
            assert_eq!(found.map(String::as_str), expected, "{language}");
        }
    }

    #[test]
    fn whole_is_what_opens_and_then_its_end_and_its_configuration() {
        let content = content(&["de"]);
        let assignment = serde_json::from_str(r#"{"eventId":"sale","salt":"s","live":1}"#).unwrap();
        let shown = Shown {
            assignment: &assignment,
            content: &content,
            candidate: false,
            closes: "2026-07-01T10:00:00Z".parse().ok(),
        };
        let opening = r#"{"eventId":"sale","revision":1,"type":"LimitedTimeOffer","displayName":"de","description":"","tags":[],"priority":0"#;
        let closes = r#","closes":"2026-07-01T10:00:00Z""#;
        let whole_of = |configuration| whole(&shown, Some("de-AT"), configuration);
        assert_eq!(
            whole_of(true),
            format!(r#"{opening}{closes},"configuration":{{"xp":2.50}}}}"#)
        );
        assert_eq!(whole_of(false), format!("{opening}{closes}}}"));
    }
}
