//! What a region serves of events: contents by (event, revision), and one assignment an event. Who the segments that a
//! content names hold is in [`crate::segment`].
//!
//! The serde form is the one of the WebSocket protocol and of the REST contract: camelCase, enums in
//! PascalCase. The form between origin and edge is another, in [`crate::codec`].

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::conditions::{Requires, WhenStale};
use crate::id::{EventId, SegmentId};
use crate::json_text::JsonText;
use crate::schedule::Schedule;
use crate::version::{BasisPoints, Revision};

/// What kind of event it is. It chooses the default rollout strategy and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventType {
    /// A season's theme: winter, a festival.
    SeasonalPromotion,
    /// A sale or bonus for a short time.
    LimitedTimeOffer,
    /// Players against players: a tournament, a ladder.
    CompetitiveEvent,
    /// New content goes live.
    ContentRelease,
    /// Aimed at players about to leave.
    RetentionCampaign,
    /// One of several variants under test.
    ABTestVariant,
}

impl EventType {
    /// All of them, in the order of the contract.
    pub const ALL: [Self; 6] = [
        Self::SeasonalPromotion,
        Self::LimitedTimeOffer,
        Self::CompetitiveEvent,
        Self::ContentRelease,
        Self::RetentionCampaign,
        Self::ABTestVariant,
    ];

    /// The name used in JSON and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SeasonalPromotion => "SeasonalPromotion",
            Self::LimitedTimeOffer => "LimitedTimeOffer",
            Self::CompetitiveEvent => "CompetitiveEvent",
            Self::ContentRelease => "ContentRelease",
            Self::RetentionCampaign => "RetentionCampaign",
            Self::ABTestVariant => "ABTestVariant",
        }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("is {text:?}, not an event type"))
    }
}

/// Texts of an event in one language. Read on its own, as in a REST request, it refuses unknown fields;
/// within a [`Content`], which a newer edge may have sent, it ignores them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Localization {
    /// Shown instead of the event's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Shown instead of the event's own description; Markdown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whatever else the game translates; an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_fields: Option<JsonText>,
}

/// One revision of an event, as players get it. Immutable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    /// Of which event.
    pub event_id: EventId,
    /// Its number.
    pub revision: Revision,
    /// What kind of event it is.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// Name shown to players.
    pub display_name: String,
    /// Markdown.
    #[serde(default)]
    pub description: String,
    /// The studio's own grouping.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Higher comes first.
    #[serde(default)]
    pub priority: i32,
    /// For filters and stops.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Texts by language tag (BCP 47).
    #[serde(default, deserialize_with = "known_texts")]
    pub localizations: BTreeMap<String, Localization>,
    /// Which game builds it is for.
    #[serde(default, skip_serializing_if = "Requires::is_nothing")]
    pub requires: Requires,
    /// What becomes of it while the origin is away.
    #[serde(default, skip_serializing_if = "WhenStale::is_keep")]
    pub when_stale: WhenStale,
    /// Only for players in one of these segments; for everybody if there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target_segments: Vec<SegmentId>,
    /// Not for players in any of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude_segments: Vec<SegmentId>,
    /// What the game does with it.
    pub configuration: JsonText,
}

fn known_texts<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, Localization>, D::Error> {
    #[derive(Deserialize)]
    #[serde(remote = "Localization", rename_all = "camelCase")]
    struct Known {
        #[serde(default)]
        display_name: Option<String>,
        #[serde(default)]
        description: Option<String>,
        #[serde(default)]
        custom_fields: Option<JsonText>,
    }

    #[derive(Deserialize)]
    struct Texts(#[serde(with = "Known")] Localization);

    let texts = BTreeMap::<String, Texts>::deserialize(deserializer)?;
    Ok(texts
        .into_iter()
        .map(|(language, Texts(texts))| (language, texts))
        .collect())
}

/// What an exposure's bucket is computed from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BucketBy(pub String);

impl BucketBy {
    /// The name under which a player's own identifier is given.
    pub const PLAYER: &str = "player";
}

impl Default for BucketBy {
    fn default() -> Self {
        Self(Self::PLAYER.to_owned())
    }
}

/// A revision being tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// Which.
    pub revision: Revision,
    /// The share of bucketing keys that get it.
    pub exposure: BasisPoints,
    /// Whose bucketing key decides.
    #[serde(default)]
    pub bucket_by: BucketBy,
}

/// A pause (lifecycle) or a stop (emergency), or both. Each is lifted by its own counterpart only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspension {
    /// The event is paused.
    #[serde(default)]
    pub paused: bool,
    /// The event was stopped in this region.
    #[serde(default)]
    pub stopped: bool,
}

impl Suspension {
    /// Whether nothing of the event is shown.
    #[must_use]
    pub fn is_suspended(self) -> bool {
        self.paused || self.stopped
    }
}

/// What one region serves for one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Assignment {
    /// Which event.
    pub event_id: EventId,
    /// The event's own salt, the same in every region and for good, so that a player's bucket never
    /// changes.
    pub salt: String,
    /// Served to everybody who does not get the candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Revision>,
    /// Being tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<Candidate>,
    /// When it is shown.
    #[serde(default)]
    pub schedule: Schedule,
    /// Pause and stop.
    #[serde(default)]
    pub suspension: Suspension,
    /// As many take part as the event has places for. It is shown all the same, and says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub full: bool,
}

impl Assignment {
    /// The revisions whose contents it needs, without repetition.
    pub fn revisions(&self) -> impl Iterator<Item = Revision> {
        let candidate = self.candidate.as_ref().map(|candidate| candidate.revision);
        self.live
            .into_iter()
            .chain(candidate.filter(|&revision| Some(revision) != self.live))
    }
}
