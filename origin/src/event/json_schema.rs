//! A studio's own demands on configurations, as JSON Schemas.
//!
//! A schema comes from outside and is run on every event it concerns, so it is bounded before it is run: in size, in
//! what its references unfold to (a chain of references that each name the next twice doubles with every link), and in
//! its patterns, which are matched in linear time. It may refer to itself by pointers only, and never in a circle;
//! nothing is fetched. Drafts 7, 2019-09 and 2020-12 are spoken, the last unless `$schema` says another.

use std::collections::BTreeMap;
use std::fmt;

use jsonschema::{Draft, PatternOptions, Validator};
use liveevents_protocol::json_text::JsonText;
use serde_json::Value;

use super::fault::{Fault, Faults};
use crate::limits;

/// A schema ready to judge.
pub struct Schema {
    validator: Validator,
    dialect: Dialect,
}

/// Which JSON Schema it is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Draft 7.
    Draft7,
    /// Draft 2019-09.
    Draft201909,
    /// Draft 2020-12.
    Draft202012,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Draft7, Self::Draft201909, Self::Draft202012];

    /// What `$schema` calls it.
    #[must_use]
    pub fn uri(self) -> &'static str {
        match self {
            Self::Draft7 => "http://json-schema.org/draft-07/schema",
            Self::Draft201909 => "https://json-schema.org/draft/2019-09/schema",
            Self::Draft202012 => "https://json-schema.org/draft/2020-12/schema",
        }
    }

    fn of(schema: &Value) -> Result<Self, Fault> {
        let Some(said) = schema.get("$schema") else {
            return Ok(Self::Draft202012);
        };
        let said = said.as_str().unwrap_or_default();
        let known = Self::ALL
            .into_iter()
            .find(|dialect| dialect.uri() == said.strip_suffix('#').unwrap_or(said));
        known.ok_or_else(|| {
            let known = Self::ALL.map(Self::uri).join(", ");
            fault("$schema", format!("must be one of {known}"))
        })
    }

    fn draft(self) -> Draft {
        match self {
            Self::Draft7 => Draft::Draft7,
            Self::Draft201909 => Draft::Draft201909,
            Self::Draft202012 => Draft::Draft202012,
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.uri())
    }
}

impl Schema {
    /// Reads a schema. Takes some milliseconds at the most, and is not for a thread that others wait on.
    ///
    /// # Errors
    /// What is wrong with it, at fields below `schema`.
    pub fn new(text: &JsonText) -> Result<Self, Faults> {
        Self::read(text).map_err(|fault| {
            let mut faults = Faults::default();
            faults.add(fault.field, fault.message);
            faults
        })
    }

    fn read(text: &JsonText) -> Result<Self, Fault> {
        if text.as_str().len() > limits::MAX_SCHEMA {
            let message = format!("must have at most {} bytes", limits::MAX_SCHEMA);
            return Err(fault("", message));
        }
        let schema: Value =
            serde_json::from_str(text.as_str()).map_err(|error| fault("", error.to_string()))?;
        if !schema.is_object() {
            return Err(fault("", "must be an object"));
        }
        let dialect = Dialect::of(&schema)?;
        Unfolding::of(&schema)?;
        let patterns = PatternOptions::regex()
            .size_limit(limits::MAX_PATTERN)
            .dfa_size_limit(limits::MAX_PATTERN);
        let wrong = |error: jsonschema::ValidationError<'_>| {
            fault(error.instance_path().as_str(), said(&error))
        };
        jsonschema::meta::validate(&schema).map_err(wrong)?;
        let validator = jsonschema::options()
            .with_draft(dialect.draft())
            .with_pattern_options(patterns)
            .offline()
            .build(&schema)
            .map_err(wrong)?;
        Ok(Self { validator, dialect })
    }

    /// What it is written in.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What of a configuration does not meet it.
    pub fn check(&self, name: &str, configuration: &Value, faults: &mut Faults) {
        let errors = self.validator.iter_errors(configuration);
        for error in errors.take(limits::MAX_FAULTS) {
            faults.add(
                path("configuration", error.instance_path().as_str()),
                format!("{} (schema {name})", said(&error)),
            );
        }
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({})", self.dialect)
    }
}

fn fault(pointer: &str, message: impl Into<String>) -> Fault {
    let field = match pointer {
        "" => "schema".to_owned(),
        pointer if pointer.starts_with('/') => path("schema", pointer),
        name => format!("schema.{name}"),
    };
    Fault {
        field,
        message: message.into(),
    }
}

/// An error without the value it is about, which may be long.
fn said(error: &jsonschema::ValidationError<'_>) -> String {
    let mut text = error.masked().to_string();
    if let Some((end, _)) = text.char_indices().nth(limits::MAX_SCHEMA_MESSAGE) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// A JSON pointer as the path of a field.
fn path(root: &str, pointer: &str) -> String {
    let mut path = root.to_owned();
    for token in pointer.split('/').skip(1) {
        let token = unescape(token);
        if !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit()) {
            path = format!("{path}[{token}]");
        } else {
            path = format!("{path}.{token}");
        }
    }
    path
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// How many subschemas there are once every reference is replaced by what it names.
///
/// Every object counts as a subschema and every `$ref` text as a reference, also where they are an example or a
/// constant: that is more than there are, never less.
struct Unfolding<'a> {
    root: &'a Value,
    /// By pointer, what a reference unfolds to; `None` while that is being counted.
    targets: BTreeMap<String, Option<Size>>,
    patterns: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Size {
    subschemas: usize,
    /// The longest way from reference to reference.
    chain: usize,
}

impl<'a> Unfolding<'a> {
    fn of(root: &'a Value) -> Result<(), Fault> {
        let mut unfolding = Self {
            root,
            targets: BTreeMap::new(),
            patterns: 0,
        };
        let size = unfolding.size(root, "")?;
        if size.subschemas > limits::MAX_SUBSCHEMAS {
            let most = limits::MAX_SUBSCHEMAS;
            let message = format!("unfolds to more than {most} subschemas by its references");
            return Err(fault("", message));
        }
        if unfolding.patterns > limits::MAX_PATTERNS {
            let message = format!("must have at most {} patterns", limits::MAX_PATTERNS);
            return Err(fault("", message));
        }
        Ok(())
    }

    /// Recursion ends where `JsonText` ends nesting, and where a reference would close a circle.
    fn size(&mut self, value: &'a Value, at: &str) -> Result<Size, Fault> {
        let mut size = Size {
            subschemas: 1,
            chain: 0,
        };
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                    let more = match (name.as_str(), member) {
                        ("$ref", Value::String(target)) => self.reference(target, &at)?,
                        ("$id", Value::String(_)) if at == "/$id" => Size::default(),
                        (
                            "$id" | "$anchor" | "$dynamicAnchor" | "$dynamicRef" | "$recursiveRef",
                            Value::String(_),
                        ) => {
                            return Err(fault(
                                &at,
                                "is not supported: refer by pointers such as #/$defs/item",
                            ));
                        }
                        ("pattern", Value::String(_)) => {
                            self.patterns = self.patterns.saturating_add(1);
                            Size::default()
                        }
                        ("patternProperties", Value::Object(by_pattern)) => {
                            self.patterns = self.patterns.saturating_add(by_pattern.len());
                            self.size(member, &at)?
                        }
                        _ => self.size(member, &at)?,
                    };
                    size = size.and(more);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    size = size.and(self.size(item, &format!("{at}/{index}"))?);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Ok(Size::default());
            }
        }
        Ok(size)
    }

    fn reference(&mut self, target: &str, at: &str) -> Result<Size, Fault> {
        let pointer = match target.strip_prefix('#') {
            Some(pointer) if pointer.is_empty() || pointer.starts_with('/') => pointer,
            _ => {
                return Err(fault(
                    at,
                    "must be a pointer within this schema, such as #/$defs/item; nothing is fetched",
                ));
            }
        };
        match self.targets.get(pointer) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => {
                return Err(fault(at, "leads back to itself, which is not supported"));
            }
            None => {}
        }
        // One that is percent-encoded is taken for what it is not, and so found missing.
        let Some(found) = self.root.pointer(pointer) else {
            return Err(fault(at, "names nothing in this schema"));
        };
        self.targets.insert(pointer.to_owned(), None);
        // Those being counted are the chain that leads here.
        let open = self.targets.values().filter(|size| size.is_none()).count();
        let too_long = || {
            let most = limits::MAX_REFERENCES;
            fault(
                at,
                format!("is part of a chain of more than {most} references"),
            )
        };
        if open > limits::MAX_REFERENCES {
            return Err(too_long());
        }
        let mut size = self.size(found, pointer)?;
        size.chain = size.chain.saturating_add(1);
        if size.chain > limits::MAX_REFERENCES {
            return Err(too_long());
        }
        self.targets.insert(pointer.to_owned(), Some(size));
        Ok(size)
    }
}

impl Size {
    fn and(self, other: Self) -> Self {
        Self {
            subschemas: self.subschemas.saturating_add(other.subschemas),
            chain: self.chain.max(other.chain),
        }
    }
}

#[cfg(test)]
mod tests;
