//! The messages that the edge played here sends, as the protocol's page writes them.

use serde_json::{Value, json};

use super::held::Held;

/// Open now, whenever that is.
const OPENS: &str = "2020-01-01T00:00:00Z";
const CLOSES: &str = "2120-01-01T00:00:00Z";

fn time() -> String {
    crate::clock::now().to_string()
}

pub(super) fn welcome(region: &Value, position: Held, ack_interval_ms: u64) -> Value {
    json!({
        "type": "welcome", "edge": "conform-1", "installation": "conform", "region": region,
        "time": time(), "position": position.to_json(), "contactAt": time(),
        "ackIntervalMs": ack_interval_ms, "tokenExpiresAt": CLOSES,
        "capabilities": ["conform"],
    })
}

fn content(event: &str, revision: u32) -> Value {
    json!({
        "eventId": event, "revision": revision, "type": "LimitedTimeOffer",
        "displayName": format!("{event} {revision}"), "description": "", "priority": 10, "tags": ["conform"],
        "localizations": {"de": {"displayName": "Übung"}}, "configuration": {"multiplier": revision},
    })
}

fn assignment(event: &str, revision: u32) -> Value {
    json!({
        "eventId": event, "salt": "c41d2a", "live": revision,
        "schedule": [{"opens": OPENS, "closes": CLOSES}],
        "suspension": {"paused": false, "stopped": false},
    })
}

fn put(event: &str, revision: u32) -> Vec<Value> {
    vec![
        json!({"content": content(event, revision)}),
        json!({"assignment": assignment(event, revision)}),
    ]
}

/// One part of a snapshot, with one event.
pub(super) fn chunk(at: Held, index: u64, last: bool, event: &str) -> Value {
    json!({
        "type": "snapshot", "epoch": at.epoch, "to": at.version, "time": time(), "index": index, "last": last,
        "contents": [content(event, 1)], "assignments": [assignment(event, 1)],
    })
}

/// What one change makes of an event.
pub(super) fn delta(from: Held, to: u64) -> Value {
    let revision = u32::try_from(to).unwrap_or(1);
    delta_of(from, to, put("conform-change", revision))
}

pub(super) fn delta_of(from: Held, to: u64, entries: Vec<Value>) -> Value {
    json!({
        "type": "delta", "epoch": from.epoch, "from": from.version, "to": to, "time": time(),
        "committedAt": time(), "entries": entries,
    })
}

/// An event that leaves the filter, one that this client never had, and a content.
pub(super) fn removals(from: Held, to: u64) -> Value {
    delta_of(
        from,
        to,
        vec![
            json!({"removedAssignment": {"eventId": "conform-a"}}),
            json!({"removedContent": {"eventId": "conform-a", "revision": 1}}),
            json!({"removedAssignment": {"eventId": "never-told"}}),
            json!({"removedContent": {"eventId": "never-told", "revision": 9}}),
        ],
    )
}

/// A change by an edge that knows more than the protocol's page says today.
pub(super) fn newer_delta(from: Held, to: u64) -> Value {
    let mut content = content("conform-newer", 1);
    content["type"] = json!("MoonFestival");
    content["moon"] = json!({"phase": "full"});
    let mut assignment = assignment("conform-newer", 1);
    assignment["tide"] = json!(["high", "low"]);
    let mut delta = delta_of(
        from,
        to,
        vec![
            json!({"orbit": {"eventId": "conform-newer", "axis": 23.4}}),
            // Who knows segments takes one whose criterion is not known; who does not, leaves it.
            json!({"segment": {"segmentId": "conform-newer", "revision": 1, "criteria": {"orbit": [1, 2]}}}),
            json!({"removedSegment": {"segmentId": "conform-gone"}}),
            json!({"content": content}),
            json!({"assignment": assignment}),
        ],
    );
    delta["lunar"] = json!(true);
    delta
}

/// A change that makes a long message.
pub(super) fn large_delta(from: Held, to: u64, bytes: usize) -> Value {
    let mut entries = put("conform-large", 1);
    if let Some(entry) = entries.first_mut() {
        entry["content"]["configuration"] = json!({"filling": "x".repeat(bytes)});
    }
    delta_of(from, to, entries)
}

/// What one player is shown, whole.
pub(super) fn player(player: &str, at: Held, event: &str, filling: usize) -> Value {
    json!({
        "type": "player", "player": player, "epoch": at.epoch, "version": at.version, "time": time(),
        "events": [{
            "eventId": event, "revision": 1, "type": "LimitedTimeOffer", "displayName": event, "description": "",
            "tags": ["conform"], "priority": 10, "closes": CLOSES, "configuration": {"filling": "x".repeat(filling)},
        }],
    })
}

/// A player's events by an edge that knows more.
pub(super) fn newer_player(name: &str, at: Held) -> Value {
    let mut message = player(name, at, "conform-newer", 0);
    message["events"][0]["type"] = json!("MoonFestival");
    message["events"][0]["moon"] = json!({"phase": "full"});
    message["lunar"] = json!(true);
    message
}

pub(super) fn no_events(name: &str, at: Held) -> Value {
    let mut message = player(name, at, "", 0);
    message["events"] = json!([]);
    message
}

pub(super) fn current(at: Held) -> Value {
    json!({"type": "current", "epoch": at.epoch, "version": at.version, "time": time()})
}

pub(super) fn ahead(at: Held) -> Value {
    json!({"type": "ahead", "epoch": at.epoch, "version": at.version, "time": time()})
}

pub(super) fn notice(kind: &str, at: Held) -> Value {
    json!({
        "type": kind, "eventId": "conform-b", "epoch": at.epoch, "version": at.version, "time": time(),
        "at": time(), "closes": CLOSES, "cause": "Schedule",
    })
}

pub(super) fn contact(stale: bool) -> Value {
    json!({"type": "contact", "contactAt": time(), "stale": stale, "time": time()})
}

pub(super) fn refused() -> Value {
    json!({"type": "refused", "about": "query", "id": "conform", "message": "nothing was asked"})
}

/// A type of message that nobody knows.
pub(super) fn unknown() -> Value {
    json!({"type": "eclipse", "version": 1, "entries": [], "epoch": "not an epoch"})
}

pub(super) fn token_expiring() -> Value {
    json!({"type": "tokenExpiring", "expiresAt": time()})
}

pub(super) fn token_renewed() -> Value {
    json!({"type": "tokenRenewed", "expiresAt": CLOSES})
}

pub(super) fn goaway(reconnect_after_ms: u64) -> Value {
    json!({"type": "goaway", "reconnectAfterMs": reconnect_after_ms})
}

pub(super) fn error(code: &str) -> Value {
    json!({"type": "error", "code": code, "message": "said by the conformance script"})
}
