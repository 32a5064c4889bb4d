//! Segments as JSON, and their bounds.
//!
//! Read within a message, a segment is never refused for its criteria: a form that is not known here is an unknown
//! criterion. [`Criteria`] by themselves, as in a REST request, are refused where a known member has a wrong form; unknown
//! members are noted, and for the reader to refuse.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Attribute, Criteria, MAX_ALTERNATIVES, MAX_CUSTOM_CRITERIA, MAX_LISTED, MAX_NAME, Number,
    Range, Rule, Segment,
};
use crate::id::SegmentId;
use crate::version::Revision;

impl<'de> Deserialize<'de> for Segment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Read {
            segment_id: SegmentId,
            revision: Revision,
            #[serde(default)]
            criteria: serde_json::Value,
        }

        let read = Read::deserialize(deserializer)?;
        let criteria = Criteria::deserialize(read.criteria);
        Ok(Self {
            id: read.segment_id,
            revision: read.revision,
            criteria: criteria.unwrap_or_else(|_| Criteria {
                unknown: true,
                ..Criteria::default()
            }),
        })
    }
}

impl<'de> Deserialize<'de> for Criteria {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Known {
            level_range: Option<Range>,
            account_age_days: Option<Range>,
            lifetime_spend: Option<Range>,
            days_since_last_login: Option<Range>,
            recent_session_count: Option<Range>,
            #[serde(default)]
            country_codes: BTreeSet<String>,
            #[serde(default)]
            platforms: BTreeSet<String>,
            #[serde(default)]
            custom_criteria: BTreeMap<String, Rule>,
            #[serde(default)]
            include: BTreeSet<String>,
            #[serde(default)]
            exclude: BTreeSet<String>,
            #[serde(flatten)]
            others: BTreeMap<String, IgnoredAny>,
        }

        let known = Known::deserialize(deserializer)?;
        Ok(Self {
            level_range: known.level_range,
            account_age_days: known.account_age_days,
            lifetime_spend: known.lifetime_spend,
            days_since_last_login: known.days_since_last_login,
            recent_session_count: known.recent_session_count,
            country_codes: known.country_codes,
            platforms: known.platforms,
            custom_criteria: known.custom_criteria,
            include: known.include,
            exclude: known.exclude,
            unknown: !known.others.is_empty(),
        })
    }
}

impl Serialize for Range {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.min, self.max).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Range {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (min, max) = <(Option<Number>, Option<Number>)>::deserialize(deserializer)?;
        Self::new(min, max).map_err(D::Error::custom)
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        enum Form<'a> {
            Equals(&'a Attribute),
            OneOf(&'a BTreeSet<Attribute>),
            Range(&'a Range),
            Unknown(bool),
        }

        let form = match self {
            Self::Equals(value) => Form::Equals(value),
            Self::OneOf(values) => Form::OneOf(values),
            Self::Range(range) => Form::Range(range),
            Self::Unknown => Form::Unknown(true),
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Known {
            equals: Option<Attribute>,
            one_of: Option<BTreeSet<Attribute>>,
            range: Option<Range>,
            #[serde(flatten)]
            others: BTreeMap<String, IgnoredAny>,
        }

        let known = Known::deserialize(deserializer)?;
        Ok(match (known.equals, known.one_of, known.range) {
            _ if !known.others.is_empty() => Self::Unknown,
            (Some(value), None, None) => Self::Equals(value),
            (None, Some(values), None) => Self::OneOf(values),
            (None, None, Some(range)) => Self::Range(range),
            _ => Self::Unknown,
        })
    }
}

/// A member of criteria that is out of bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which member, such as `customCriteria.tier.oneOf`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.problem)
    }
}

impl Criteria {
    /// All that is out of bounds, or not known here.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut tell = |field: &str, problem: String| {
            faults.push(Fault {
                field: field.to_owned(),
                problem,
            });
        };
        if self.unknown {
            tell("criteria", "has a member that is not known".to_owned());
        }
        let lists = [
            ("countryCodes", &self.country_codes, MAX_ALTERNATIVES),
            ("platforms", &self.platforms, MAX_ALTERNATIVES),
            ("include", &self.include, MAX_LISTED),
            ("exclude", &self.exclude, MAX_LISTED),
        ];
        for (field, list, most) in lists {
            at_most(list.len(), most, |problem| tell(field, problem));
            texts(list.iter().map(String::as_str), |problem| {
                tell(field, problem)
            });
        }
        if let Some(code) = self.country_codes.iter().find(|code| !is_country(code)) {
            tell(
                "countryCodes",
                format!("has {code:?}, not a country of two letters (ISO 3166-1)"),
            );
        }
        let custom = &self.custom_criteria;
        at_most(custom.len(), MAX_CUSTOM_CRITERIA, |problem| {
            tell("customCriteria", problem);
        });
        texts(custom.keys().map(String::as_str), |problem| {
            tell("customCriteria", problem);
        });
        for (name, rule) in custom {
            let field = |member: &str| format!("customCriteria.{name}{member}");
            match rule {
                Rule::Equals(value) => {
                    texts(text(value), |problem| tell(&field(".equals"), problem));
                }
                Rule::OneOf(values) => {
                    let field = field(".oneOf");
                    if values.is_empty() {
                        tell(&field, "must have a value at least".to_owned());
                    }
                    at_most(values.len(), MAX_ALTERNATIVES, |p| tell(&field, p));
                    texts(values.iter().filter_map(text), |p| tell(&field, p));
                }
                Rule::Range(_) => {}
                Rule::Unknown => tell(
                    &field(""),
                    "must have one of equals, oneOf and range, and nothing else".to_owned(),
                ),
            }
        }
        faults
    }
}

fn is_country(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn text(value: &Attribute) -> Option<&str> {
    match value {
        Attribute::Text(text) => Some(text),
        Attribute::Flag(_) | Attribute::Number(_) => None,
    }
}

fn at_most(len: usize, most: usize, tell: impl FnOnce(String)) {
    if len > most {
        tell(format!("has {len}, at most {most} may be"));
    }
}

/// Tells the first that is empty or too long.
fn texts<'a>(all: impl IntoIterator<Item = &'a str>, tell: impl FnOnce(String)) {
    let bad = |text: &&str| text.is_empty() || text.len() > MAX_NAME;
    if let Some(text) = all.into_iter().find(bad) {
        let start: String = text.chars().take(20).collect();
        tell(format!(
            "has {start:?}… of {} bytes, each must have 1 to {MAX_NAME}",
            text.len()
        ));
    }
}
