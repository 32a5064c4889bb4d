//! The published schemas of all messages, as validators. Used by the tests of whole systems too.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jsonschema::Validator;
use serde_json::{Value as Json, json};

/// Of both directions, by the message's type.
pub(crate) struct Schemas(pub(crate) BTreeMap<String, Schema>);

pub(crate) struct Schema {
    pub(crate) text: Json,
    /// As published: members that nobody knows are allowed.
    pub(crate) open: Validator,
    /// Allows what is documented only.
    pub(crate) closed: Validator,
}

impl Schemas {
    pub(crate) fn load() -> Self {
        let folder = PathBuf::from(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../docs/protocol/schemas"
        ));
        let read = |path: PathBuf| -> Json {
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
        };
        let definitions = read(folder.join("definitions.json"));
        let schemas = std::fs::read_dir(&folder).unwrap().filter_map(|file| {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name != "definitions").then(|| (name, Schema::new(read(path), &definitions)))
        });
        Self(schemas.collect())
    }

    /// The types of all messages.
    pub(crate) fn kinds(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    fn of(&self, message: &Json) -> &Schema {
        let kind = message["type"].as_str().unwrap();
        self.0
            .get(kind)
            .unwrap_or_else(|| panic!("{kind} has no schema"))
    }

    /// Fails unless a message, and all in it, is as documented.
    pub(crate) fn assert_documented(&self, message: &Json) {
        if let Err(error) = self.of(message).closed.validate(message) {
            panic!("{error}, at {}: {message}", error.instance_path());
        }
    }
}

impl Schema {
    fn new(text: Json, definitions: &Json) -> Self {
        let mut whole = text.clone();
        whole["$defs"] = definitions["$defs"].clone();
        let whole: Json =
            serde_json::from_str(&whole.to_string().replace("definitions.json#/", "#/")).unwrap();
        let mut closed = whole.clone();
        close(&mut closed);
        let validator = |schema: &Json| {
            let options = jsonschema::options().should_validate_formats(false);
            options.build(schema).unwrap()
        };
        Self {
            text,
            open: validator(&whole),
            closed: validator(&closed),
        }
    }
}

/// Refuses members that are not named.
fn close(schema: &mut Json) {
    match schema {
        Json::Object(members) => {
            members.values_mut().for_each(close);
            if members.contains_key("properties") && members.contains_key("required") {
                members.insert("additionalProperties".to_owned(), json!(false));
            }
        }
        Json::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
