//! Segments between wire and domain.

use bincode::{Decode, Encode};

use super::List;
use super::convert::{id, invalid};
use crate::attribute::{Attribute, Number};
use crate::codec::DecodeError;
use crate::segment::{Criteria, Range, Rule, Segment};
use crate::version::Revision;

#[derive(Encode, Decode)]
pub(super) struct WireSegment {
    segment: String,
    revision: u32,
    level: Option<WireRange>,
    account_age: Option<WireRange>,
    lifetime_spend: Option<WireRange>,
    since_login: Option<WireRange>,
    sessions: Option<WireRange>,
    countries: List<String>,
    platforms: List<String>,
    custom: List<(String, WireRule)>,
    include: List<String>,
    exclude: List<String>,
    /// Whether there is more that whoever wrote this did not know.
    unknown: bool,
}

#[derive(Encode, Decode)]
struct WireRange {
    min: Option<f64>,
    max: Option<f64>,
}

#[derive(Encode, Decode)]
enum WireRule {
    Equals(WireAttribute),
    OneOf(List<WireAttribute>),
    Range(WireRange),
    Unknown,
}

#[derive(Encode, Decode)]
enum WireAttribute {
    Flag(bool),
    Number(f64),
    Text(String),
}

impl WireSegment {
    /// Its name, unread.
    pub(super) fn id(&self) -> &str {
        &self.segment
    }
}

impl From<&Segment> for WireSegment {
    fn from(segment: &Segment) -> Self {
        let criteria = &segment.criteria;
        let range = |range: &Option<Range>| range.as_ref().map(WireRange::from);
        Self {
            segment: segment.id.to_string(),
            revision: segment.revision.0,
            level: range(&criteria.level_range),
            account_age: range(&criteria.account_age_days),
            lifetime_spend: range(&criteria.lifetime_spend),
            since_login: range(&criteria.days_since_last_login),
            sessions: range(&criteria.recent_session_count),
            countries: criteria.country_codes.iter().cloned().collect(),
            platforms: criteria.platforms.iter().cloned().collect(),
            custom: criteria
                .custom_criteria
                .iter()
                .map(|(name, rule)| (name.clone(), rule.into()))
                .collect(),
            include: criteria.include.iter().cloned().collect(),
            exclude: criteria.exclude.iter().cloned().collect(),
            unknown: criteria.unknown,
        }
    }
}

impl TryFrom<WireSegment> for Segment {
    type Error = DecodeError;

    fn try_from(wire: WireSegment) -> Result<Self, DecodeError> {
        let custom = wire.custom.into_inner().into_iter();
        Ok(Self {
            id: id("segment", &wire.segment)?,
            revision: Revision(wire.revision),
            criteria: Criteria {
                level_range: range("levelRange", wire.level)?,
                account_age_days: range("accountAgeDays", wire.account_age)?,
                lifetime_spend: range("lifetimeSpend", wire.lifetime_spend)?,
                days_since_last_login: range("daysSinceLastLogin", wire.since_login)?,
                recent_session_count: range("recentSessionCount", wire.sessions)?,
                country_codes: wire.countries.into_inner().into_iter().collect(),
                platforms: wire.platforms.into_inner().into_iter().collect(),
                custom_criteria: custom
                    .map(|(name, rule)| Ok((name, rule.try_into()?)))
                    .collect::<Result<_, DecodeError>>()?,
                include: wire.include.into_inner().into_iter().collect(),
                exclude: wire.exclude.into_inner().into_iter().collect(),
                unknown: wire.unknown,
            },
        })
    }
}

impl From<&Range> for WireRange {
    fn from(range: &Range) -> Self {
        Self {
            min: range.min().map(Number::get),
            max: range.max().map(Number::get),
        }
    }
}

fn range(field: &'static str, wire: Option<WireRange>) -> Result<Option<Range>, DecodeError> {
    wire.map(|wire| wire.read(field)).transpose()
}

impl WireRange {
    fn read(self, field: &'static str) -> Result<Range, DecodeError> {
        let end = |end: Option<f64>| end.map(|end| number(field, end)).transpose();
        Range::new(end(self.min)?, end(self.max)?).map_err(|error| invalid(field, error))
    }
}

fn number(field: &'static str, value: f64) -> Result<Number, DecodeError> {
    Number::new(value).map_err(|error| invalid(field, error))
}

impl From<&Rule> for WireRule {
    fn from(rule: &Rule) -> Self {
        match rule {
            Rule::Equals(value) => Self::Equals(value.into()),
            Rule::OneOf(values) => Self::OneOf(values.iter().map(WireAttribute::from).collect()),
            Rule::Range(range) => Self::Range(range.into()),
            Rule::Unknown => Self::Unknown,
        }
    }
}

impl TryFrom<WireRule> for Rule {
    type Error = DecodeError;

    fn try_from(wire: WireRule) -> Result<Self, DecodeError> {
        Ok(match wire {
            WireRule::Equals(value) => Self::Equals(value.try_into()?),
            WireRule::OneOf(values) => Self::OneOf(
                values
                    .into_inner()
                    .into_iter()
                    .map(Attribute::try_from)
                    .collect::<Result<_, DecodeError>>()?,
            ),
            WireRule::Range(range) => Self::Range(range.read("customCriteria")?),
            WireRule::Unknown => Self::Unknown,
        })
    }
}

impl From<&Attribute> for WireAttribute {
    fn from(attribute: &Attribute) -> Self {
        match attribute {
            Attribute::Flag(flag) => Self::Flag(*flag),
            Attribute::Number(number) => Self::Number(number.get()),
            Attribute::Text(text) => Self::Text(text.clone()),
        }
    }
}

impl TryFrom<WireAttribute> for Attribute {
    type Error = DecodeError;

    fn try_from(wire: WireAttribute) -> Result<Self, DecodeError> {
        Ok(match wire {
            WireAttribute::Flag(flag) => Self::Flag(flag),
            WireAttribute::Number(value) => Self::Number(number("customCriteria", value)?),
            WireAttribute::Text(text) => Self::Text(text),
        })
    }
}
