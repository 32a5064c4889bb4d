//! What an admin says of a region, judged.
//!
//! Pure. All that is wrong is told at once.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::country::is_country;
use crate::event::fault::Faults;
use crate::event::wall_clock::Zone;
use crate::limits::{MAX_COUNTRIES, MAX_REGION_NAME};

/// What is said of it; of an existing one, what is to be another.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = RegionFields)]
pub struct Fields {
    /// Its name for people.
    pub display_name: Option<String>,
    /// The IANA zone whose wall clock hangs there.
    pub timezone: Option<String>,
    /// Whose players it is for, by ISO 3166-1 alpha-2.
    pub countries: Option<Vec<String>>,
}

/// A region, but for its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Its name for people.
    pub display_name: String,
    /// Whose wall clock hangs there.
    #[serde(serialize_with = "name")]
    pub timezone: Zone,
    /// By ISO 3166-1 alpha-2, none twice.
    pub countries: Vec<String>,
}

fn name<S: serde::Serializer>(zone: &Zone, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(zone.as_str())
}

impl Description {
    /// A new region.
    ///
    /// # Errors
    /// Everything that is missing or wrong.
    pub fn new(fields: &Fields) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        faults.require("displayName", fields.display_name.as_ref());
        faults.require("timezone", fields.timezone.as_ref());
        let display_name = display_name(fields, &mut faults);
        let timezone = zone(fields, &mut faults);
        let countries = countries(fields, &mut faults);
        match (display_name, timezone) {
            (Some(display_name), Some(timezone)) => faults.or_ok().map(|()| Self {
                display_name,
                timezone,
                countries: countries.unwrap_or_default(),
            }),
            _ => Err(faults),
        }
    }

    /// The same with what is to be another.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn edited(&self, fields: &Fields) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        let display_name = display_name(fields, &mut faults);
        let timezone = zone(fields, &mut faults);
        let countries = countries(fields, &mut faults);
        faults.or_ok()?;
        Ok(Self {
            display_name: display_name.unwrap_or_else(|| self.display_name.clone()),
            timezone: timezone.unwrap_or_else(|| self.timezone.clone()),
            countries: countries.unwrap_or_else(|| self.countries.clone()),
        })
    }
}

fn display_name(fields: &Fields, faults: &mut Faults) -> Option<String> {
    let name = fields.display_name.as_deref()?.trim();
    let plain = !name.chars().any(char::is_control);
    if !plain || !(1..=MAX_REGION_NAME).contains(&name.chars().count()) {
        let message = format!("must be 1 to {MAX_REGION_NAME} characters, none of them control");
        faults.add("displayName", message);
        return None;
    }
    Some(name.to_owned())
}

fn zone(fields: &Fields, faults: &mut Faults) -> Option<Zone> {
    faults.take("timezone", fields.timezone.as_deref()?.parse())
}

fn countries(fields: &Fields, faults: &mut Faults) -> Option<Vec<String>> {
    let given = fields.countries.as_ref()?;
    if given.len() > MAX_COUNTRIES {
        faults.add("countries", format!("must be {MAX_COUNTRIES} at most"));
        return None;
    }
    let mut seen = BTreeSet::new();
    for (index, country) in given.iter().enumerate() {
        if !is_country(country) {
            let message = "must be a code of ISO 3166-1 alpha-2 in capital letters, such as DE";
            faults.add(format!("countries[{index}]"), message);
        } else if !seen.insert(country) {
            faults.add(format!("countries[{index}]"), format!("repeats {country}"));
        }
    }
    Some(given.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn fields(json: Value) -> Fields {
        serde_json::from_value(json).unwrap()
    }

    fn named(faults: Faults) -> Vec<String> {
        faults
            .into_vec()
            .into_iter()
            .map(|fault| fault.field)
            .collect()
    }

    #[test]
    fn a_new_region_has_a_name_and_a_zone() {
        let given = fields(json!({ "displayName": " Kathmandu ", "timezone": "Asia/Kathmandu" }));
        let region = Description::new(&given).unwrap();
        assert_eq!(
            serde_json::to_value(&region).unwrap(),
            json!({ "displayName": "Kathmandu", "timezone": "Asia/Kathmandu", "countries": [] })
        );
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let table = [
            (json!({}), &["displayName", "timezone"][..]),
            (
                json!({ "displayName": "  ", "timezone": "Mars/Olympus", "countries": ["DE", "de", "DE"] }),
                &["displayName", "timezone", "countries[1]", "countries[2]"],
            ),
            (
                json!({ "displayName": "a\u{0}", "timezone": "UTC", "countries": vec!["DE"; 251] }),
                &["displayName", "countries"],
            ),
        ];
        for (given, expected) in table {
            let faults = Description::new(&fields(given.clone())).unwrap_err();
            assert_eq!(named(faults), expected, "{given}");
        }
    }

    #[test]
    fn an_edit_leaves_what_it_does_not_name() {
        let given =
            json!({ "displayName": "Nepal", "timezone": "Asia/Kathmandu", "countries": ["NP"] });
        let region = Description::new(&fields(given)).unwrap();
        let edited = region.edited(&fields(json!({ "countries": ["NP", "BT"] })));
        let edited = edited.unwrap();
        assert_eq!(edited.display_name, "Nepal");
        assert_eq!(edited.countries, ["NP", "BT"]);
        assert_eq!(region.edited(&fields(json!({}))).unwrap(), region);
        let faults = region
            .edited(&fields(json!({ "timezone": "" })))
            .unwrap_err();
        assert_eq!(named(faults), ["timezone"]);
    }
}
