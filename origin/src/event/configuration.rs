//! What a configuration says in the members that every game has: rewards, multipliers, features, assets, texts for
//! the screen.
//!
//! A configuration is the game's: it is carried whole, as the designer wrote it, and `customParameters` may hold
//! anything. What has a known name has a known shape, so that a slip is found before players find it. A name that is
//! not known is carried as well and warned of: it may be a slip, or a game's own that belongs into
//! `customParameters`.

use std::fmt;

use liveevents_protocol::json_text::JsonText;
use serde_json::{Map, Value};
use url::Url;

use super::fault::Faults;
use crate::limits;

/// A configuration as a tree.
#[derive(Debug, Clone)]
pub struct Configuration(Value);

/// Something that a configuration names, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named<T> {
    /// The field, as a request names it.
    pub field: String,
    /// What it names.
    pub name: T,
}

/// What a member has to be.
#[derive(Debug, Clone, Copy)]
enum Shape {
    /// A text or a number.
    Version,
    Text,
    /// An object of texts.
    Texts,
    Flag,
    Number,
    /// A number, or numbers by name.
    Amount,
    /// Numbers by name.
    Amounts,
    /// A list of texts.
    Names,
    /// A list of items: their ids, or objects with `itemId` and, as a rule, `amount`.
    Items,
    /// An object, whatever is in it.
    Anything,
    /// The members listed for it below.
    Members,
    /// An absolute URL.
    Asset,
}

/// Every known member, below which.
const KNOWN: &[(&str, &[(&str, Shape)])] = &[
    (
        "",
        &[
            ("version", Shape::Version),
            ("rewards", Shape::Members),
            ("multipliers", Shape::Amounts),
            ("unlockedFeatures", Shape::Names),
            ("customParameters", Shape::Anything),
            ("assets", Shape::Members),
            ("ui", Shape::Members),
        ],
    ),
    (
        "rewards",
        &[
            ("dailyLoginBonus", Shape::Amount),
            ("questMultiplier", Shape::Number),
            ("items", Shape::Items),
            ("currency", Shape::Amounts),
            ("cosmetics", Shape::Items),
        ],
    ),
    (
        "assets",
        &[
            ("banner", Shape::Asset),
            ("icon", Shape::Asset),
            ("background", Shape::Asset),
            ("music", Shape::Asset),
            ("trailer", Shape::Asset),
        ],
    ),
    (
        "ui",
        &[
            ("bannerPosition", Shape::Text),
            ("colours", Shape::Texts),
            ("animation", Shape::Text),
            ("countdown", Shape::Flag),
        ],
    ),
];

const ROOT: &str = "configuration";

impl Configuration {
    /// Reads one; `None` if it is no object, which [`super::document::Document::parse`] says.
    #[must_use]
    pub fn read(json: &JsonText) -> Option<Self> {
        let value: Value = serde_json::from_str(json.as_str()).ok()?;
        value.is_object().then_some(Self(value))
    }

    /// The tree, for a studio's own schema.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// What has another shape than its name says, and what has no known name.
    pub fn check(&self, errors: &mut Faults, warnings: &mut Faults) {
        for (part, known) in KNOWN {
            let Some(members) = self.part(part) else {
                continue;
            };
            let at = at(part);
            for (name, value) in members {
                let field = format!("{at}.{name}");
                match known.iter().find(|(known, _)| known == name) {
                    Some((_, shape)) => shape.check(&field, value, errors),
                    None => warnings.add(
                        field,
                        "is no member that LiveEvents knows: it is carried as it is; what is the game's own belongs \
                         into customParameters",
                    ),
                }
            }
        }
    }

    /// Every item that it gives away.
    #[must_use]
    pub fn items(&self) -> Vec<Named<&str>> {
        let mut items = Vec::new();
        for part in ["items", "cosmetics"] {
            let listed = self.part("rewards").and_then(|rewards| rewards.get(part));
            let listed = listed.and_then(Value::as_array);
            for (index, item) in listed.into_iter().flatten().enumerate() {
                let field = format!("{ROOT}.rewards.{part}[{index}]");
                if let Some(name) = item.as_str() {
                    items.push(Named { field, name });
                } else if let Some(name) = item.get("itemId").and_then(Value::as_str) {
                    let field = format!("{field}.itemId");
                    items.push(Named { field, name });
                }
            }
        }
        items
    }

    /// Every asset whose URL can be read.
    #[must_use]
    pub fn assets(&self) -> Vec<Named<Url>> {
        let assets = self.part("assets").into_iter().flatten();
        assets
            .filter_map(|(name, value)| {
                let field = format!("{ROOT}.assets.{name}");
                let name = url(value.as_str()?).ok()?;
                Some(Named { field, name })
            })
            .collect()
    }

    fn part(&self, name: &str) -> Option<&Map<String, Value>> {
        match name {
            "" => self.0.as_object(),
            name => self.0.get(name)?.as_object(),
        }
    }
}

fn at(part: &str) -> String {
    match part {
        "" => ROOT.to_owned(),
        part => format!("{ROOT}.{part}"),
    }
}

impl Shape {
    /// Numbers are positive already: [`super::document::Document::parse`] saw to it, and names them.
    fn check(self, field: &str, value: &Value, errors: &mut Faults) {
        match (self, value) {
            (Self::Version, Value::String(text)) | (Self::Text, Value::String(text)) => {
                if text.trim().is_empty() || text.chars().count() > limits::MAX_NAME {
                    let bounds = format!("must have 1 to {} characters", limits::MAX_NAME);
                    errors.add(field, bounds);
                }
            }
            (Self::Asset, Value::String(text)) => {
                errors.take(field, url(text));
            }
            (Self::Texts, Value::Object(members)) => {
                for (name, member) in members {
                    if !member.is_string() {
                        errors.add(format!("{field}.{name}"), "must be a text");
                    }
                }
            }
            (Self::Amount | Self::Amounts, Value::Object(members)) => {
                for (name, member) in members {
                    if !member.is_number() {
                        errors.add(format!("{field}.{name}"), "must be a number");
                    }
                }
            }
            (Self::Names, Value::Array(names)) => {
                for (index, name) in names.iter().enumerate() {
                    let blank = name.as_str().is_none_or(|name| name.trim().is_empty());
                    if blank {
                        errors.add(format!("{field}[{index}]"), "must be a name");
                    }
                }
            }
            (Self::Items, Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    check_item(&format!("{field}[{index}]"), item, errors);
                }
            }
            (Self::Version | Self::Number | Self::Amount, Value::Number(_))
            | (Self::Flag, Value::Bool(_))
            | (Self::Anything | Self::Members, Value::Object(_)) => {}
            (shape, _) => errors.add(field, format!("must be {shape}")),
        }
    }
}

fn check_item(field: &str, item: &Value, errors: &mut Faults) {
    let id = match item {
        Value::Object(members) => {
            if members.get("amount").is_some_and(|amount| !amount.is_u64()) {
                // What is negative, or zero, is named by parse.
                let fraction = members.get("amount").and_then(Value::as_f64);
                if fraction.is_none_or(|amount| amount > 0.0) {
                    errors.add(format!("{field}.amount"), "must be a whole number");
                }
            }
            members.get("itemId")
        }
        id => Some(id),
    };
    let named = id.and_then(Value::as_str);
    if named.is_none_or(|id| id.is_empty() || id.chars().count() > limits::MAX_ITEM_ID) {
        errors.add(
            format!("{field}.itemId"),
            format!(
                "must be an item's id, of 1 to {} characters",
                limits::MAX_ITEM_ID
            ),
        );
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "a text or a number",
            Self::Text => "a text",
            Self::Texts => "an object of texts",
            Self::Flag => "true or false",
            Self::Number => "a number",
            Self::Amount => "a number, or an object of numbers",
            Self::Amounts => "an object of numbers",
            Self::Names => "a list of names",
            Self::Items => "a list of items",
            Self::Anything | Self::Members => "an object",
            Self::Asset => "an absolute URL such as https://cdn.example.com/banner.png",
        })
    }
}

/// A URL that a game can fetch. The same reading decides later whom to ask for it.
fn url(text: &str) -> Result<Url, &'static str> {
    const ABSOLUTE: &str = "must be an absolute URL such as https://cdn.example.com/banner.png";
    if text.len() > limits::MAX_URL {
        return Err("must be a URL of at most 2048 bytes");
    }
    let url = Url::parse(text).map_err(|_| ABSOLUTE)?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(ABSOLUTE);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not carry a user name or password: every player would have them");
    }
    Ok(url)
}

#[cfg(test)]
mod tests;
