//! One report, as a game server writes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Amount, SenderSession};
use crate::attribute::Attribute;
use crate::id::EventId;
use crate::message::Cursor;
use crate::version::Revision;

/// Reports under one number of their session: all of them count once, or are refused one by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Batch {
    /// Whose.
    pub session: SenderSession,
    /// Its number, from 1: the one after the last that was acknowledged, or that is on its way.
    pub batch: u64,
    /// Up to [`crate::limits::MAX_BATCH`]. Left as they were written, so that one that is none spoils no other.
    pub reports: Vec<serde_json::Value>,
}

/// A report that does not count. The others of its batch do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Refused {
    /// The number of its batch.
    pub batch: u64,
    /// Its place there, from 0.
    pub index: usize,
    /// For people: what was wrong, what would be right.
    pub message: String,
}

/// What happened, to whom, and what they were shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Of which event.
    pub event_id: EventId,
    /// Which player. Leaves the edge only within sketches, by a keyed hash.
    pub player: String,
    /// What.
    #[serde(flatten)]
    pub happening: Happening,
    /// What the player was shown.
    #[serde(flatten)]
    pub seen: Seen,
    /// What segments look at, so that it counts for the player's segments too. Does not leave the edge.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, Attribute>,
    /// The player's platform, which segments may look at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "camelCase")]
pub enum Happening {
    /// The player has begun to play while the event was on.
    SessionStart,
    /// The player has stopped.
    SessionEnd {
        /// After so many.
        seconds: u32,
    },
    /// The player takes part in the event.
    Participation,
    /// The player has done all there was to do.
    Completion,
    /// The player has bought something of it.
    Purchase {
        /// For how much, not negative.
        amount: Amount,
        /// In which currency (ISO 4217).
        currency: String,
    },
    /// What the player thinks of it.
    Feedback {
        /// On the whole.
        sentiment: Sentiment,
        /// Would recommend it, from 0 to 10.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        score: Option<u8>,
    },
    /// Something went wrong for the player.
    Error,
}

/// What a player thinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sentiment {
    /// Well.
    Positive,
    /// Nothing much.
    Neutral,
    /// Ill.
    Negative,
}

/// What the player was shown: a revision, or all that it takes to find out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// The revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// The variant, of a revision that has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The player's other bucketing keys, if it is to be found out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub keys: BTreeMap<String, String>,
    /// What the game server held then, if it is to be found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Cursor>,
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(json: Value) -> Result<Report, String> {
        serde_json::from_value(json).map_err(|error| error.to_string())
    }

    #[test]
    fn each_kind_is_read_and_written_alike() {
        let kinds = [
            json!({ "kind": "SessionStart" }),
            json!({ "kind": "SessionEnd", "seconds": 1830 }),
            json!({ "kind": "Participation" }),
            json!({ "kind": "Completion" }),
            json!({ "kind": "Purchase", "amount": "4.99", "currency": "EUR" }),
            json!({ "kind": "Feedback", "sentiment": "Positive", "score": 9 }),
            json!({ "kind": "Feedback", "sentiment": "Neutral" }),
            json!({ "kind": "Error" }),
        ];
        let seen = [
            json!({ "revision": 3, "variant": "b" }),
            json!({ "keys": { "match": "m-1" },
                "position": { "epoch": "01a00000-0000-7000-8000-000000000000", "version": 7 } }),
            json!({ "attributes": { "level": 12, "vip": true }, "platform": "ps5" }),
            json!({}),
        ];
        for kind in &kinds {
            for seen in &seen {
                let mut whole = json!({ "eventId": "sale", "player": "p-1" });
                for part in [kind, seen] {
                    for (name, value) in part.as_object().unwrap() {
                        whole[name] = value.clone();
                    }
                }
                let report = read(whole.clone()).unwrap();
                assert_eq!(serde_json::to_value(&report).unwrap(), whole);
            }
        }
    }

    #[test]
    fn what_is_no_report_says_what_is_wrong() {
        let with = |more: Value| {
            let mut report = json!({ "eventId": "sale", "player": "p-1" });
            for (name, value) in more.as_object().unwrap() {
                report[name] = value.clone();
            }
            read(report).unwrap_err()
        };
        for (more, word) in [
            (json!({}), "kind"),
            (json!({ "kind": "Dance" }), "Dance"),
            (json!({ "kind": "SessionEnd" }), "seconds"),
            (json!({ "kind": "SessionEnd", "seconds": -1 }), "-1"),
            (
                json!({ "kind": "Purchase", "amount": "-1", "currency": "EUR" }),
                "4.99",
            ),
            (json!({ "kind": "Feedback", "sentiment": "Meh" }), "Meh"),
            (json!({ "kind": "Error", "eventId": "A B" }), "lower-case"),
        ] {
            let told = with(more.clone());
            assert!(told.contains(word), "{more}: {told}");
        }
    }
}
