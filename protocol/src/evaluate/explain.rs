//! Why somebody is shown what they are shown: every rule that was asked about an event, in order, with what it saw.
//!
//! For people who run events, not for players: it tells of candidates, and of what has not opened yet.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::{Asker, Hear, Moment, Offer, Outcome, Rules, judge};
use crate::attribute::Seen;
use crate::build::Build;
use crate::conditions::{Requires, WhenStale};
use crate::id::{EventId, SegmentId};
use crate::segment::{Criterion, Demand, Membership};
use crate::version::{BasisPoints, Revision};

/// What became of one event for one asker, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation<'a> {
    /// Which event.
    pub event_id: &'a EventId,
    /// What became of it.
    pub outcome: Outcome,
    /// The revision shown, if one is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// In the order asked. The last is what decided.
    pub rules: Vec<Step<'a>>,
}

/// One rule that was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step<'a> {
    /// What it looked at.
    #[serde(flatten)]
    pub finding: Finding<'a>,
    /// Whether it admitted. One that does not ends it, but for those about the candidate: then it is the live
    /// revision's turn.
    pub admits: bool,
}

/// What a rule saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "rule", rename_all_fields = "camelCase")]
pub enum Finding<'a> {
    /// Not paused, and not stopped.
    Suspension {
        /// By the event's lifecycle.
        paused: bool,
        /// In this region.
        stopped: bool,
    },
    /// Within an occurrence.
    Schedule {
        /// The moment asked about.
        now: Timestamp,
        /// The start of the occurrence then, or of the next; none if there is no more.
        #[serde(skip_serializing_if = "Option::is_none")]
        opens: Option<Timestamp>,
        /// Its end.
        #[serde(skip_serializing_if = "Option::is_none")]
        closes: Option<Timestamp>,
    },
    /// For the game's build.
    Requires {
        /// Whose demand it is.
        revision: Revision,
        /// The build that was said.
        #[serde(skip_serializing_if = "Option::is_none")]
        build: Option<Build>,
        /// What is demanded.
        demanded: Requires,
    },
    /// For the player's segments. Not asked of a revision that names none.
    Segments {
        /// Whose demand it is.
        revision: Revision,
        /// One of these must have the player, if there is any.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        targets: Vec<Asked<'a>>,
        /// None of these may.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        excludes: Vec<Asked<'a>>,
    },
    /// Among those that the candidate is tried on.
    Exposure {
        /// The candidate.
        revision: Revision,
        /// What is bucketed by.
        bucket_by: &'a str,
        /// The key given under that name.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a str>,
        /// The key's bucket; a key is exposed if it is below the exposure.
        #[serde(skip_serializing_if = "Option::is_none")]
        bucket: Option<u16>,
        /// The share that gets it, of 10,000.
        exposure: BasisPoints,
    },
    /// That there is a live revision.
    Live {
        /// It.
        #[serde(skip_serializing_if = "Option::is_none")]
        revision: Option<Revision>,
    },
    /// News fresh enough.
    WhenStale {
        /// Whose rule it is.
        revision: Revision,
        /// How long ago the origin was last heard.
        #[serde(rename = "ageMs", serialize_with = "milliseconds")]
        age: Duration,
        /// What is allowed.
        #[serde(rename = "whenStale")]
        rule: WhenStale,
    },
}

/// What a segment says of a player.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked<'a> {
    /// Which segment.
    pub segment_id: &'a SegmentId,
    /// The revision of it that is held; none if it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// Whether the player belongs to it, and by what.
    pub membership: Membership,
    /// Its criteria, where they were asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub criteria: Vec<Weighed<'a>>,
}

/// One criterion, and the value that it saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Weighed<'a> {
    /// The attribute's name.
    pub attribute: &'a str,
    /// What is demanded of it.
    pub demanded: Demand<'a>,
    /// Its value; none if it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<Seen<'a>>,
    /// Whether it is as demanded.
    pub holds: bool,
}

/// What segments say of who asks.
pub(super) fn asked<'a>(
    offer: Offer<'a>,
    segments: &'a [SegmentId],
    asker: &Asker<'a>,
) -> Vec<Asked<'a>> {
    let ask = |segment_id: &'a SegmentId| {
        let membership = offer.membership(segment_id, asker);
        let held = offer.segments.and_then(|held| held.get(segment_id));
        let were_asked = matches!(
            membership,
            Membership::Meets | Membership::Fails | Membership::Unknown
        );
        let criteria = held.into_iter().filter(|_| were_asked);
        let criteria = criteria.flat_map(|segment| segment.criteria.each());
        let weigh = |criterion: Criterion<'a>| {
            let seen = asker.attributes.find(criterion.attribute);
            Weighed {
                attribute: criterion.attribute,
                demanded: criterion.demand,
                seen,
                holds: criterion.holds(seen),
            }
        };
        Asked {
            segment_id,
            revision: held.map(|segment| segment.revision),
            membership,
            criteria: criteria.map(weigh).collect(),
        }
    };
    segments.iter().map(ask).collect()
}

impl<'a> Hear<'a> for &mut Vec<Step<'a>> {
    fn hear(&mut self, admits: bool, finding: impl FnOnce() -> Finding<'a>) {
        self.push(Step {
            finding: finding(),
            admits,
        });
    }
}

/// Judges one event as [`super::evaluate`] does, and says how.
#[must_use]
pub fn explain<'a>(offer: Offer<'a>, asker: &'a Asker<'a>, at: Moment) -> Explanation<'a> {
    let mut rules = Vec::new();
    let outcome = judge(offer, &mut Rules::new(asker, at, &mut rules));
    Explanation {
        event_id: &offer.assignment.event_id,
        outcome,
        revision: outcome.revision(),
        rules,
    }
}

impl Outcome {
    /// In one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suspended => "Suspended",
            Self::Closed { .. } => "Closed",
            Self::Nothing => "Nothing",
            Self::WrongBuild(_) => "WrongBuild",
            Self::OutsideSegments(_) => "OutsideSegments",
            Self::Stale(_) => "Stale",
            Self::Live(_) => "Live",
            Self::Candidate(_) => "Candidate",
        }
    }
}

/// As the word: the values are among the findings.
impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

fn milliseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
