//! Who belongs to a segment: named criteria over a player's attributes, in revisions.
//!
//! The rules, in this order, and the first that fits is the answer: who is on the list `exclude` is out, who is on
//! `include` is in; then all criteria that are given must hold. A segment without criteria has only the players that it
//! lists: an empty form must not be everybody. An attribute that is missing, or of another type than its criterion
//! looks at, fails it.
//!
//! A criterion that is not known here makes the whole segment one of which nothing can be said but of the listed: an
//! event for it is shown to nobody, an event not for it is shown to nobody either. So is one that is not held at all.

mod form;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rpds::RedBlackTreeMapSync;
use serde::Serialize;

use crate::attribute::{Attribute, Attributes, Number, Seen, names};
use crate::id::SegmentId;
use crate::limits::{MAX_ALTERNATIVES, MAX_CUSTOM_CRITERIA, MAX_LISTED, MAX_NAME};
use crate::version::Revision;

pub use form::Fault;

/// One revision of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    /// Which.
    #[serde(rename = "segmentId")]
    pub id: SegmentId,
    /// Its number.
    pub revision: Revision,
    /// Who belongs to it.
    pub criteria: Criteria,
}

/// Who belongs to a segment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Criteria {
    /// Of `level`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub level_range: Option<Range>,
    /// Of `accountAgeDays`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_age_days: Option<Range>,
    /// Of `lifetimeSpend`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime_spend: Option<Range>,
    /// Of `daysSinceLastLogin`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_since_last_login: Option<Range>,
    /// Of `recentSessionCount`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recent_session_count: Option<Range>,
    /// `country` is one of these, whatever the case.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub country_codes: BTreeSet<String>,
    /// `platform` is one of these, whatever the case.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub platforms: BTreeSet<String>,
    /// Of attributes that the studio defines, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub custom_criteria: BTreeMap<String, Rule>,
    /// Players that belong to it, whatever their attributes.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub include: BTreeSet<String>,
    /// Players that do not belong to it, even where they are included.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub exclude: BTreeSet<String>,
    /// Whether there is more than is known here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unknown: bool,
}

/// From one number to another, both inclusive. JSON: `[min, max]`, either of which may be null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    min: Option<Number>,
    max: Option<Number>,
}

/// A range that ends before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be [min, max] with min <= max, has [{min}, {max}]")]
pub struct Inverted {
    min: Number,
    max: Number,
}

impl Range {
    /// From `min` to `max`; every number where neither is given.
    ///
    /// # Errors
    /// If it ends before it begins.
    pub fn new(min: Option<Number>, max: Option<Number>) -> Result<Self, Inverted> {
        match (min, max) {
            (Some(min), Some(max)) if max < min => Err(Inverted { min, max }),
            _ => Ok(Self { min, max }),
        }
    }

    /// Where it begins.
    #[must_use]
    pub fn min(&self) -> Option<Number> {
        self.min
    }

    /// Where it ends.
    #[must_use]
    pub fn max(&self) -> Option<Number> {
        self.max
    }

    /// Whether a number is in it.
    #[must_use]
    pub fn contains(&self, number: Number) -> bool {
        self.min.is_none_or(|min| min <= number) && self.max.is_none_or(|max| number <= max)
    }
}

/// What a custom criterion demands. JSON: an object with one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// `{"equals": "gold"}`: this text, number or flag.
    Equals(Attribute),
    /// `{"oneOf": ["gold", "silver"]}`.
    OneOf(BTreeSet<Attribute>),
    /// `{"range": [1, null]}`.
    Range(Range),
    /// Anything else.
    Unknown,
}

/// One criterion: which attribute it looks at, and what it demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Criterion<'a> {
    /// The attribute's name.
    pub attribute: &'a str,
    /// What is demanded.
    pub demand: Demand<'a>,
}

/// What a criterion demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Demand<'a> {
    /// A number within.
    Within(&'a Range),
    /// One of these texts, whatever the case.
    Among(&'a BTreeSet<String>),
    /// A custom rule.
    Rule(&'a Rule),
}

impl Criterion<'_> {
    /// Whether a value meets it.
    #[must_use]
    pub fn holds(&self, seen: Option<Seen<'_>>) -> bool {
        let within = |range: &Range| matches!(seen, Some(Seen::Number(n)) if range.contains(n));
        match self.demand {
            Demand::Within(range) | Demand::Rule(Rule::Range(range)) => within(range),
            Demand::Among(texts) => matches!(
                seen,
                Some(Seen::Text(seen)) if texts.iter().any(|text| text.eq_ignore_ascii_case(seen))
            ),
            Demand::Rule(Rule::Equals(value)) => seen == Some(value.seen()),
            Demand::Rule(Rule::OneOf(values)) => {
                values.iter().any(|value| seen == Some(value.seen()))
            }
            Demand::Rule(Rule::Unknown) => false,
        }
    }
}

impl Criteria {
    /// What is demanded of attributes, in order.
    pub fn each(&self) -> impl Iterator<Item = Criterion<'_>> {
        let ranges = [
            (names::LEVEL, &self.level_range),
            (names::ACCOUNT_AGE_DAYS, &self.account_age_days),
            (names::LIFETIME_SPEND, &self.lifetime_spend),
            (names::DAYS_SINCE_LAST_LOGIN, &self.days_since_last_login),
            (names::RECENT_SESSION_COUNT, &self.recent_session_count),
        ];
        let texts = [
            (names::COUNTRY, &self.country_codes),
            (names::PLATFORM, &self.platforms),
        ];
        let ranges = ranges
            .into_iter()
            .filter_map(|(attribute, range)| Some((attribute, Demand::Within(range.as_ref()?))));
        let texts = texts
            .into_iter()
            .filter(|(_, texts)| !texts.is_empty())
            .map(|(attribute, texts)| (attribute, Demand::Among(texts)));
        let rules = self
            .custom_criteria
            .iter()
            .map(|(attribute, rule)| (attribute.as_str(), Demand::Rule(rule)));
        ranges
            .chain(texts)
            .chain(rules)
            .map(|(attribute, demand)| Criterion { attribute, demand })
    }

    /// Whether something is demanded that is not known here.
    #[must_use]
    pub fn has_unknown(&self) -> bool {
        self.unknown
            || self
                .custom_criteria
                .values()
                .any(|rule| *rule == Rule::Unknown)
    }

    /// Whether a player belongs to it.
    #[must_use]
    pub fn membership(&self, player: Option<&str>, attributes: &Attributes<'_>) -> Membership {
        let is_on = |list: &BTreeSet<String>| player.is_some_and(|player| list.contains(player));
        let mut criteria = self.each().peekable();
        if is_on(&self.exclude) {
            Membership::Excluded
        } else if is_on(&self.include) {
            Membership::Included
        } else if self.has_unknown() {
            Membership::Unknown
        } else if criteria.peek().is_none() {
            Membership::Unlisted
        } else if criteria.all(|criterion| criterion.holds(attributes.find(criterion.attribute))) {
            Membership::Meets
        } else {
            Membership::Fails
        }
    }
}

/// Whether a player belongs to a segment, and by what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Membership {
    /// In: on the list `include`.
    Included,
    /// In: every criterion holds.
    Meets,
    /// Out: on the list `exclude`.
    Excluded,
    /// Out: a criterion does not hold.
    Fails,
    /// Out: not listed, and the segment has no criteria.
    Unlisted,
    /// The segment has a criterion that is not known here.
    Unknown,
    /// The segment is not held here.
    Missing,
}

impl Membership {
    /// Whether the player belongs to it; `None` if nobody here can say.
    #[must_use]
    pub fn is_in(self) -> Option<bool> {
        match self {
            Self::Included | Self::Meets => Some(true),
            Self::Excluded | Self::Fails | Self::Unlisted => Some(false),
            Self::Unknown | Self::Missing => None,
        }
    }
}

/// Segments by name, shared between states.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segments(RedBlackTreeMapSync<SegmentId, Arc<Segment>>);

impl Default for Segments {
    fn default() -> Self {
        Self(RedBlackTreeMapSync::new_sync())
    }
}

impl Segments {
    /// One of them.
    #[must_use]
    pub fn get(&self, id: &SegmentId) -> Option<&Segment> {
        self.0.get(id).map(|segment| &**segment)
    }

    /// All of them, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.0.values().map(|segment| &**segment)
    }

    /// Puts one under its name.
    pub fn put(&mut self, segment: Arc<Segment>) {
        self.0.insert_mut(segment.id.clone(), segment);
    }

    /// Takes one away.
    pub fn remove(&mut self, id: &SegmentId) {
        self.0.remove_mut(id);
    }

    /// Whether a player belongs to one.
    #[must_use]
    pub fn membership(
        &self,
        id: &SegmentId,
        player: Option<&str>,
        attributes: &Attributes<'_>,
    ) -> Membership {
        self.get(id).map_or(Membership::Missing, |segment| {
            segment.criteria.membership(player, attributes)
        })
    }
}

impl FromIterator<Segment> for Segments {
    fn from_iter<I: IntoIterator<Item = Segment>>(segments: I) -> Self {
        let mut all = Self::default();
        for segment in segments {
            all.put(Arc::new(segment));
        }
        all
    }
}
