//! The name of an entry as text, in files and in Redis.

use liveevents_protocol::entry::EntryKey;
use liveevents_protocol::version::Revision;

/// `segment:<segment>`, `content:<event>:<revision>` or `assignment:<event>`.
pub(crate) fn entry_name(key: &EntryKey) -> String {
    match key {
        EntryKey::Segment(segment) => format!("segment:{segment}"),
        EntryKey::Content(event, revision) => format!("content:{event}:{revision}"),
        EntryKey::Assignment(event) => format!("assignment:{event}"),
    }
}

/// The entry of that name.
pub(crate) fn entry_of(name: &str) -> Option<EntryKey> {
    let (kind, rest) = name.split_once(':')?;
    match kind {
        "segment" => Some(EntryKey::Segment(rest.parse().ok()?)),
        "assignment" => Some(EntryKey::Assignment(rest.parse().ok()?)),
        "content" => {
            let (event, revision) = rest.split_once(':')?;
            let revision = Revision(revision.parse().ok()?);
            Some(EntryKey::Content(event.parse().ok()?, revision))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_which_entry() {
        for name in [
            "segment:vip-tier-1",
            "content:flash-sale:3",
            "assignment:flash-sale",
        ] {
            assert_eq!(entry_name(&entry_of(name).unwrap()), name);
        }
        for name in [
            "",
            "content:",
            "content:sale",
            "content:sale:x",
            "assignment:",
            "segment:",
            "segment:A",
            "variant:a",
        ] {
            assert_eq!(entry_of(name), None, "{name}");
        }
    }
}
