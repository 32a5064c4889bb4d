//! One content, and its JSON as players are told it: printed when first asked for, once for each of its languages.
//!
//! Printed is what is the same for everybody, up to where the end of the occurrence and the configuration follow. The
//! configuration is JSON already and is copied from the content when wanted. Of languages there are those that the
//! content has texts in, whatever is asked for, so nobody can make this grow.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, OnceLock};

use liveevents_protocol::model::Content;
use liveevents_protocol::told::{localization, opening};

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
            opening(&self.content, localized).into_boxed_str()
        };
        self.openings
            .get(at)
            .map_or("", |opening| opening.get_or_init(print))
    }
}

#[cfg(test)]
mod tests {
    use liveevents_protocol::json_text::JsonText;
    use liveevents_protocol::model::Localization;

    use super::super::super::history::content;
    use super::*;

    #[test]
    fn a_language_is_printed_when_it_is_asked_for() {
        let texts = |name: &str| Localization {
            display_name: Some(name.to_owned()),
            description: None,
            custom_fields: None,
        };
        let mut content = content("sale", 1);
        content.localizations = ["de", "en-GB"]
            .map(|tag| (tag.to_owned(), texts(tag)))
            .into();
        let printed = Printed::new(Arc::new(content));
        for (language, expected) in [
            (Some("de-AT"), "de"),
            (Some("fr"), "sale 1"),
            (None, "sale 1"),
        ] {
            let opening = printed.opening(language);
            let name = format!(r#""displayName":"{expected}""#);
            assert!(opening.contains(&name), "{language:?}: {opening}");
        }
        let printed_so_far = printed.openings.iter().filter(|o| o.get().is_some());
        assert_eq!(printed_so_far.count(), 2, "en-GB was not asked for");
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
