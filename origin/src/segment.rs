//! A segment as people describe it, judged; and who moves when another revision of it takes effect.
//!
//! Pure. All that is wrong is told at once. Who belongs where is told by the same code as at edges.

use std::collections::{BTreeMap, BTreeSet};

use liveevents_protocol::attribute::{Attribute, Attributes};
use liveevents_protocol::codec::{self, EncodeError};
use liveevents_protocol::entry::Entry;
use liveevents_protocol::segment::{Criteria, Membership, Range, Rule, Segment};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::event::fault::Faults;
use crate::limits::{MAX_DESCRIPTION, MAX_NAME};

/// What is said of it; of an existing one, what is to be another.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = SegmentFields)]
pub struct Fields {
    /// Its name for people.
    pub display_name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Who belongs to it, whole.
    pub criteria: Option<CriteriaFields>,
}

/// Who belongs to a segment: everybody for whom all that is given holds. Without any of them, the players of `include` alone.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schema(as = SegmentCriteria)]
pub struct CriteriaFields {
    /// Of the attribute `level`, both ends included; null is no end.
    pub level_range: Option<Range>,
    /// Of `accountAgeDays`.
    pub account_age_days: Option<Range>,
    /// Of `lifetimeSpend`.
    pub lifetime_spend: Option<Range>,
    /// Of `daysSinceLastLogin`.
    pub days_since_last_login: Option<Range>,
    /// Of `recentSessionCount`.
    pub recent_session_count: Option<Range>,
    /// `country` is one of these (ISO 3166-1 alpha-2).
    pub country_codes: BTreeSet<String>,
    /// `platform` is one of these.
    pub platforms: BTreeSet<String>,
    /// Of the studio's own attributes, by name.
    pub custom_criteria: BTreeMap<String, Rule>,
    /// Players that belong to it whatever their attributes.
    pub include: BTreeSet<String>,
    /// Players that do not, even where they are included.
    pub exclude: BTreeSet<String>,
}

/// One revision of a segment, but for its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Its name for people.
    pub display_name: String,
    /// What it is for.
    pub description: String,
    /// Who belongs to it.
    pub criteria: Criteria,
}

impl Description {
    /// A new segment.
    ///
    /// # Errors
    /// Everything that is missing or wrong.
    pub fn new(fields: &Fields) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        faults.require("displayName", fields.display_name.as_ref());
        faults.require("criteria", fields.criteria.as_ref());
        let nothing = Self {
            display_name: String::new(),
            description: String::new(),
            criteria: Criteria::default(),
        };
        match nothing.edited(fields) {
            Ok(described) => faults.or_ok().map(|()| described),
            Err(others) => Err(faults.and(others)),
        }
    }

    /// The same with what is to be another.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn edited(&self, fields: &Fields) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let mut edited = self.clone();
        if let Some(name) = &fields.display_name {
            let plain = !name.chars().any(char::is_control);
            if !plain || !(1..=MAX_NAME).contains(&name.trim().chars().count()) {
                let message = format!("must be 1 to {MAX_NAME} characters, none of them control");
                faults.add("displayName", message);
            }
            name.trim().clone_into(&mut edited.display_name);
        }
        if let Some(text) = &fields.description {
            if text.chars().count() > MAX_DESCRIPTION || text.contains('\0') {
                let message =
                    format!("must have at most {MAX_DESCRIPTION} characters, none of them NUL");
                faults.add("description", message);
            }
            edited.description.clone_from(text);
        }
        if let Some(given) = &fields.criteria {
            edited.criteria = given.criteria();
            for fault in edited.criteria.faults() {
                faults.add(format!("criteria.{}", fault.field), fault.problem);
            }
        }
        faults.or_ok().map(|()| edited)
    }
}

impl CriteriaFields {
    fn criteria(&self) -> Criteria {
        let given = self.clone();
        Criteria {
            level_range: given.level_range,
            account_age_days: given.account_age_days,
            lifetime_spend: given.lifetime_spend,
            days_since_last_login: given.days_since_last_login,
            recent_session_count: given.recent_session_count,
            country_codes: given.country_codes,
            platforms: given.platforms,
            custom_criteria: given.custom_criteria,
            include: given.include,
            exclude: given.exclude,
            unknown: false,
        }
    }
}

/// Whether regions have room for it at all.
///
/// # Errors
/// If it alone is more than a log row holds.
pub fn fits(segment: &Segment) -> Result<(), EncodeError> {
    codec::encode_entries(&[Entry::from(segment.clone())]).map(drop)
}

/// What another revision does to a player.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = SegmentMove)]
pub enum Move {
    /// In afterwards, not before.
    Joins,
    /// In before, not afterwards.
    Leaves,
    /// In before and afterwards.
    Stays,
    /// In neither.
    Outside,
}

/// Whether a player belongs to a segment before and after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// By the revision in effect; missing if none is.
    pub before: Membership,
    /// By the other.
    pub after: Membership,
}

impl Moved {
    /// What becomes of one player.
    #[must_use]
    pub fn of(
        before: Option<&Criteria>,
        after: &Criteria,
        player: &str,
        attributes: &BTreeMap<String, Attribute>,
    ) -> Self {
        let attributes = Attributes::new(attributes);
        let membership = |criteria: &Criteria| criteria.membership(Some(player), &attributes);
        Self {
            before: before.map_or(Membership::Missing, membership),
            after: membership(after),
        }
    }

    /// What that is called. Of whom nothing can be said is not in.
    #[must_use]
    pub fn name(self) -> Move {
        let is_in = |membership: Membership| membership.is_in() == Some(true);
        match (is_in(self.before), is_in(self.after)) {
            (false, true) => Move::Joins,
            (true, false) => Move::Leaves,
            (true, true) => Move::Stays,
            (false, false) => Move::Outside,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn fields(json: Value) -> Fields {
        serde_json::from_value(json).unwrap()
    }

    fn named(faults: Faults) -> Vec<String> {
        let faults = faults.into_vec().into_iter();
        faults.map(|fault| fault.field).collect()
    }

    #[test]
    fn every_criterion_is_taken_over() {
        let criteria = json!({
            "levelRange": [1, 10], "accountAgeDays": [null, 7], "lifetimeSpend": [0.5, null],
            "daysSinceLastLogin": [3, 3], "recentSessionCount": [20, null],
            "countryCodes": ["DE", "FR"], "platforms": ["ps5"],
            "customCriteria": {
                "clan": { "equals": "red" }, "season": { "oneOf": [1, 2] }, "wins": { "range": [5, null] },
            },
            "include": ["p-1"], "exclude": ["p-2"],
        });
        let given = json!({ "displayName": " Whales ", "criteria": criteria.clone() });
        let segment = Description::new(&fields(given)).unwrap();
        assert_eq!(segment.display_name, "Whales");
        assert_eq!(serde_json::to_value(&segment.criteria).unwrap(), criteria);
        // And by the reader of edges and clients.
        let read: Criteria = serde_json::from_value(criteria).unwrap();
        assert_eq!(read, segment.criteria);
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let given = json!({
            "displayName": "", "description": "a\0b",
            "criteria": {
                "countryCodes": ["Germany"], "platforms": [""],
                "customCriteria": { "clan": { "equals": 1, "oneOf": [2] }, "rank": { "oneOf": [] } },
            },
        });
        assert_eq!(
            named(Description::new(&fields(given)).unwrap_err()),
            [
                "displayName",
                "description",
                "criteria.platforms",
                "criteria.countryCodes",
                "criteria.customCriteria.clan",
                "criteria.customCriteria.rank.oneOf",
            ]
        );
        assert_eq!(
            named(Description::new(&fields(json!({}))).unwrap_err()),
            ["displayName", "criteria"]
        );
    }

    #[test]
    fn an_edit_changes_what_it_names_and_criteria_as_a_whole() {
        let given = json!({ "displayName": "Whales", "description": "Big spenders.",
            "criteria": { "lifetimeSpend": [1000, null], "include": ["p-1"] } });
        let before = Description::new(&fields(given)).unwrap();
        let edit = fields(json!({ "criteria": { "lifetimeSpend": [500, null] } }));
        let after = before.edited(&edit).unwrap();
        assert_eq!(after.display_name, "Whales");
        assert!(after.criteria.include.is_empty());
        assert_eq!(before.edited(&Fields::default()).unwrap(), before);
    }

    #[test]
    fn who_moves_is_told_by_before_and_after() {
        let criteria = |json: Value| serde_json::from_value::<Criteria>(json).unwrap();
        let before = criteria(json!({ "lifetimeSpend": [1000, null] }));
        let after = criteria(json!({ "lifetimeSpend": [500, null], "exclude": ["cheater"] }));
        let moved = |before: Option<&Criteria>, player: &str, spent: i32| {
            let attributes = [("lifetimeSpend".to_owned(), Attribute::Number(spent.into()))].into();
            Moved::of(before, &after, player, &attributes)
        };
        for (player, spent, expected) in [
            ("p-1", 700, Move::Joins),
            ("p-1", 1500, Move::Stays),
            ("p-1", 100, Move::Outside),
            ("cheater", 1500, Move::Leaves),
        ] {
            assert_eq!(moved(Some(&before), player, spent).name(), expected);
        }
        let first = moved(None, "p-1", 700);
        assert_eq!(
            (first.before, first.name()),
            (Membership::Missing, Move::Joins)
        );
    }
}
