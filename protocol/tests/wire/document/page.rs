//! The page: its examples are what is really said, its tables are the code's, its links lead somewhere.

use std::path::{Path, PathBuf};

use liveevents_protocol::bucketing::bucket;
use liveevents_protocol::close::{CloseReason, Retry};
use liveevents_protocol::limits;
use liveevents_protocol::message::{ClientMessage, ServerMessage};
use serde_json::Value as Json;

use super::published::Schemas;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"))
}

fn page() -> String {
    std::fs::read_to_string(folder().join("protocol.md")).unwrap()
}

/// What stands in fenced blocks of a kind.
pub(super) fn blocks(page: &str, kind: &str) -> Vec<String> {
    let fence = format!("```{kind}\n");
    let blocks = page.split(fence.as_str()).skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

/// The cells of a table's rows.
fn rows(page: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    rows.map(|row| {
        row.trim_end_matches('|')
            .split('|')
            .map(str::trim)
            .collect()
    })
}

#[test]
fn every_example_is_what_is_really_said() {
    let (page, schemas) = (page(), Schemas::load());
    let mut kinds = std::collections::BTreeSet::new();
    let mut check = |example: &str, printed: String| {
        let example: Json = serde_json::from_str(example).unwrap();
        schemas.assert_documented(&example);
        let printed: Json = serde_json::from_str(&printed).unwrap();
        assert_eq!(printed, example);
        kinds.insert(example["type"].as_str().unwrap().to_owned());
    };
    for example in blocks(&page, "json game-server") {
        let message = ClientMessage::parse(&example).unwrap();
        assert_ne!(message, ClientMessage::Unknown, "{example}");
        check(&example, message.print().unwrap());
    }
    for example in blocks(&page, "json edge") {
        let message = ServerMessage::parse(&example).unwrap();
        assert_ne!(message, ServerMessage::Unknown, "{example}");
        check(&example, message.print().unwrap());
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), schemas.kinds());
    let answers = blocks(&page, "json answer");
    assert_eq!(answers.len(), 1);
    let answer: Json = serde_json::from_str(&answers[0]).unwrap();
    let mut player = answer.clone();
    let object = player.as_object_mut().unwrap();
    for (member, value) in [("type", "player"), ("player", "p-1")] {
        object.insert(member.to_owned(), value.into());
    }
    for member in ["region", "ageMs", "stale"] {
        object.remove(member);
    }
    schemas.assert_documented(&player);
    // Every fence is one of these, or a plain one, so none is left unread.
    for fence in page.lines().filter_map(|line| line.strip_prefix("```")) {
        assert!(
            ["", "json game-server", "json edge", "json answer"].contains(&fence),
            "{fence}"
        );
    }
}

#[test]
fn every_message_is_in_the_tables() {
    let page = page();
    for kind in Schemas::load().kinds() {
        let link = format!("[`{kind}`](protocol/schemas/{kind}.json)");
        assert!(page.contains(&link), "{kind}");
    }
}

#[test]
fn the_close_codes_are_those_of_the_code() {
    let page = page();
    let documented: Vec<_> = rows(&page)
        .filter(|cells| cells.len() == 4 && cells[0].parse::<u16>().is_ok())
        .map(|cells| {
            (
                cells[0].to_owned(),
                cells[1].to_owned(),
                cells[3].to_owned(),
            )
        })
        .collect();
    let real: Vec<_> = CloseReason::ALL
        .into_iter()
        .map(|reason| {
            let again = match reason.retry() {
                Retry::Backoff => "with back-off".to_owned(),
                Retry::After(delay) => format!("after {} s", delay.as_secs()),
                Retry::Fix => "rarely".to_owned(),
            };
            (
                reason.code().to_string(),
                format!("`{}`", reason.as_str()),
                again,
            )
        })
        .collect();
    assert_eq!(documented, real);
}

#[test]
fn the_limits_are_those_of_the_code() {
    let page = page();
    let kib = |bytes: usize| format!("{} KiB", bytes / 1024);
    let thousands = |count: usize| match count {
        1_000.. => format!("{},{:03}", count / 1_000, count % 1_000),
        _ => count.to_string(),
    };
    let table = [
        ("a message of yours", kib(limits::MAX_CLIENT_MESSAGE)),
        (
            "time for hello",
            format!("{} s", limits::HELLO_DEADLINE.as_secs()),
        ),
        (
            "players watched on a connection",
            thousands(limits::MAX_WATCHED),
        ),
        ("players in a query", thousands(limits::MAX_QUERY)),
        (
            "ids and tags in a filter",
            format!("{} each", limits::MAX_FILTER),
        ),
        (
            "occurrences in a schedule",
            thousands(limits::MAX_OCCURRENCES),
        ),
        ("an event's content", kib(limits::MAX_CONTENT)),
        ("a nack's reason", format!("{} bytes", limits::MAX_REASON)),
        (
            "levels of JSON",
            format!("{} in an event", limits::MAX_JSON_DEPTH),
        ),
    ];
    for (what, limit) in table {
        let row = format!("| {what} | {limit} |");
        assert!(page.contains(&row), "{row}");
    }
    let fresh = format!("nothing for {} s it says so", limits::LIVE_WITHIN.as_secs());
    assert!(page.contains(&fresh), "{fresh}");
    let interval = format!("\"ackIntervalMs\": {}", limits::ACK_INTERVAL.as_millis());
    assert!(page.contains(&interval), "{interval}");
}

#[test]
fn the_bucket_is_the_codes() {
    let bucket = bucket("7f3a", "player-42");
    let said = format!("With salt `7f3a`, `player-42` is in bucket {bucket}.");
    assert!(page().contains(&said), "{said}");
}

/// As web pages of Markdown name headings.
fn anchors(page: &str) -> Vec<String> {
    let headings = page.lines().filter_map(|line| {
        let heading = line.trim_start_matches('#');
        (heading.len() < line.len()).then(|| heading.trim())
    });
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase();
        let kept = kept
            .chars()
            .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

fn assert_links_lead_somewhere(file: &Path) {
    let page = std::fs::read_to_string(file).unwrap();
    for link in page.split("](").skip(1) {
        let link = link.split(')').next().unwrap();
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        if path.contains("://") {
            continue;
        }
        let target = match path {
            "" => file.to_owned(),
            path => file.parent().unwrap().join(path),
        };
        assert!(target.exists(), "{}: {link}", file.display());
        if !anchor.is_empty() {
            let anchors = anchors(&std::fs::read_to_string(&target).unwrap());
            assert!(
                anchors.iter().any(|known| known == anchor),
                "{}: {link}",
                file.display()
            );
        }
    }
}

#[test]
fn every_link_leads_somewhere() {
    for file in [
        "protocol.md",
        "protocol/transcript.md",
        "../examples/clients/README.md",
        "../README.md",
    ] {
        assert_links_lead_somewhere(&folder().join(file));
    }
}
