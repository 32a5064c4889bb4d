//! One content, and its JSON as players are told it: printed when first asked for, once for each of its languages.
//!
//! Printed is what is the same for everybody, up to where the end of the occurrence and the configuration follow. The
//! configuration is JSON already and is copied from the content when wanted. Of languages there are those that the
//! content has texts in, whatever is asked for, so nobody can make this grow.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, OnceLock};

use liveevents_protocol::id::EventId;
use liveevents_protocol::json_text::JsonText;
use liveevents_protocol::model::{Content, EventType, Localization};
use liveevents_protocol::version::Revision;
use serde::Serialize;

/// How somebody wants to be told of events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wording<'a> {
    /// In which language.
    pub(crate) language: Option<&'a str>,
    /// With the events' configuration.
    pub(crate) configuration: bool,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Printed {
    content: Arc<Content>,
    identity: u64,
    /// In the event's own words, then in each language in the content's order.
    openings: Box<[OnceLock<Box<str>>]>,
}

impl Printed {
    pub(super) fn new(content: Arc<Content>) -> Self {
        let mut hasher = DefaultHasher::new();
        (content.event_id.as_str(), content.revision).hash(&mut hasher);
        let languages = content.localizations.len();
        Self {
            identity: hasher.finish(),
            openings: (0..=languages).map(|_| OnceLock::new()).collect(),
            content,
        }
    }

    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    pub(super) fn is_of(&self, content: &Arc<Content>) -> bool {
        Arc::ptr_eq(&self.content, content) || self.content == *content
    }

    /// Stands for event and revision, the same on every edge of a release.
    pub(super) fn identity(&self) -> u64 {
        self.identity
    }

    /// An object with all but its end: members may follow, and the brace.
    pub(super) fn opening(&self, language: Option<&str>) -> &str {
        let found = language.and_then(|language| localization(&self.content, language));
        let at = found.map_or(0, |index| index + 1);
        let print = || {
            let localized = found.and_then(|index| self.content.localizations.values().nth(index));
            print(&self.content, localized)
        };
        self.openings
            .get(at)
            .map_or("", |opening| opening.get_or_init(print))
    }
}

/// Which of a content's texts are for a language: those of the very tag, else of the tag with fewer and fewer subtags
/// (`zh-Hant` for `zh-Hant-TW`, then `zh`), as RFC 4647 looks up. Case does not matter.
fn localization(content: &Content, language: &str) -> Option<usize> {
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

#[expect(
    clippy::expect_used,
    reason = "texts, numbers and checked JSON always have a JSON form"
)]
fn print(content: &Content, localized: Option<&Localization>) -> Box<str> {
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
    text.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::super::super::history::content;
    use super::*;

    #[test]
    fn a_language_is_found_by_its_tag_and_then_by_less_and_less_of_it() {
        let texts = |name: &str| Localization {
            display_name: Some(name.to_owned()),
            description: None,
            custom_fields: None,
        };
        let mut content = content("sale", 1);
        content.localizations = ["de", "en-GB", "pt-BR", "zh-Hant", "sr-Latn"]
            .map(|tag| (tag.to_owned(), texts(tag)))
            .into();
        let printed = Printed::new(Arc::new(content));
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
            let expected = expected.unwrap_or("sale 1");
            let opening = printed.opening(Some(language));
            let name = format!(r#""displayName":"{expected}""#);
            assert!(opening.contains(&name), "{language}: {opening}");
        }
        let printed_so_far = printed.openings.iter().filter(|o| o.get().is_some());
        assert_eq!(printed_so_far.count(), 5, "en-GB was not asked for");
    }

    #[test]
    fn what_is_printed_is_the_content_but_for_its_end() {
        let mut content = content("sale", 1);
        content.category = Some("\"quoted\"".to_owned());
        content.localizations.insert(
            "fr".to_owned(),
            Localization {
                display_name: None,
                description: Some("Deux fois\n".to_owned()),
                custom_fields: Some(JsonText::new(r#"{"a":1.50}"#.to_owned()).unwrap()),
            },
        );
        let printed = Printed::new(Arc::new(content));
        assert_eq!(
            printed.opening(Some("fr-CA")),
            r#"{"eventId":"sale","revision":1,"type":"LimitedTimeOffer","displayName":"sale 1","description":"Deux fois\n","category":"\"quoted\"","tags":["sale"],"priority":0,"customFields":{"a":1.50}"#
        );
        let first = printed.opening(None).as_ptr();
        assert_eq!(printed.opening(Some("xx")).as_ptr(), first, "printed once");
    }
}
