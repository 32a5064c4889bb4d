//! An identifier made from a display name, for events whose author gave none.

use liveevents_protocol::id::EventId;

/// Lower-case ASCII letters and digits of the name, whatever else lies between as one hyphen; `None`
/// for a name without any. `attempt` 0 is the plain one, later ones end in `-2`, `-3`, ...
#[must_use]
pub fn event_id(display_name: &str, attempt: u32) -> Option<EventId> {
    let words: Vec<String> = display_name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let suffix = match attempt {
        0 => String::new(),
        n => format!("-{}", n.saturating_add(1)),
    };
    let mut slug = words.join("-");
    slug.truncate(EventId::MAX - suffix.len());
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        return None;
    }
    EventId::new(&format!("{slug}{suffix}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_slugs() {
        let table = [
            ("Summer Fest 2025", 0, Some("summer-fest-2025")),
            ("  Double -- XP!  ", 0, Some("double-xp")),
            ("Double XP", 1, Some("double-xp-2")),
            ("Über-Sale", 0, Some("ber-sale")),
            ("夏祭り", 0, None),
        ];
        for (name, attempt, expected) in table {
            let made = event_id(name, attempt);
            assert_eq!(made.as_ref().map(EventId::as_str), expected, "{name}");
        }
    }

    #[test]
    fn stays_within_the_limit() {
        let name = "word ".repeat(50);
        assert!(event_id(&name, 0).unwrap().as_str().len() <= EventId::MAX);
        assert!(event_id(&name, 11).unwrap().as_str().ends_with("-12"));
    }
}
