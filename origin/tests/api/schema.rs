//! Requests made from what the OpenAPI document says of them.

use axum::body::Body;
use axum::http::{Request, header};
use serde_json::{Map, Value, json};

use super::document::{operations, resolve};
use crate::common::{Answer, Origin};

/// An operation, and how to ask for it.
pub(super) struct Operation {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) said: Value,
}

pub(super) async fn document(origin: &Origin) -> Value {
    let request = Request::get("/api/openapi.json")
        .body(Body::empty())
        .unwrap();
    origin.send(request).await.must(200)
}

pub(super) fn all(document: &Value) -> Vec<Operation> {
    let all = operations(document).into_iter();
    let all = all.map(|(method, path, said)| Operation { method, path, said });
    all.collect()
}

impl Operation {
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whose tokens may; none if no token is needed.
    pub(super) fn roles(&self) -> Option<Vec<&str>> {
        let roles = self.said["x-roles"].as_array()?;
        Some(roles.iter().map(|role| role.as_str().unwrap()).collect())
    }

    pub(super) fn parameters<'a>(&'a self, document: &'a Value, place: &str) -> Vec<&'a Value> {
        let all = self.said["parameters"].as_array().into_iter().flatten();
        let all = all.map(|parameter| resolve(document, parameter));
        all.filter(|parameter| parameter["in"] == place).collect()
    }

    /// Its path, with `part` telling what stands where.
    pub(super) fn uri(&self, document: &Value, part: impl Fn(&str, &Value) -> String) -> String {
        let mut uri = self.path.clone();
        for parameter in self.parameters(document, "path") {
            let name = parameter["name"].as_str().unwrap();
            let value = part(name, resolve(document, &parameter["schema"]));
            uri = uri.replace(&format!("{{{name}}}"), &value);
        }
        uri
    }

    /// The schema of its body, if it takes one.
    pub(super) fn body<'a>(&'a self, document: &'a Value) -> Option<&'a Value> {
        let schema = &self.said["requestBody"]["content"]["application/json"]["schema"];
        (!schema.is_null()).then(|| resolve(document, schema))
    }

    pub(super) async fn send(
        &self,
        origin: &Origin,
        uri: &str,
        token: Option<&str>,
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(self.method.as_str()).uri(uri);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        origin.send(request.body(body.into()).unwrap()).await
    }
}

/// A part of a path that names nothing.
pub(super) fn nothing(_: &str, schema: &Value) -> String {
    let text = match (schema["type"].as_str(), schema["format"].as_str()) {
        (_, Some("uuid")) => "00000000-0000-7000-8000-000000000000",
        (Some("integer"), _) => "1",
        _ => "none-such",
    };
    text.to_owned()
}

/// Something that a schema allows, with every field.
pub(super) fn sample(document: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolve(document, schema);
    if let Some(first) = schema["enum"].as_array().and_then(|all| all.first()) {
        return first.clone();
    }
    for choice in ["oneOf", "anyOf"] {
        let mut all = schema[choice].as_array().into_iter().flatten();
        if let Some(first) = all.find(|one| one["type"] != "null") {
            return sample(document, first, depth);
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let mut whole = Map::new();
        for part in parts {
            if let Value::Object(fields) = sample(document, part, depth) {
                whole.extend(fields);
            }
        }
        return whole.into();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null").unwrap(),
        kind => kind,
    };
    match kind.as_str() {
        Some("object") if depth > 0 => {
            let mut whole = Map::new();
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                whole.insert(name.clone(), sample(document, field, depth - 1));
            }
            if schema["additionalProperties"].is_object() {
                let other = sample(document, &schema["additionalProperties"], depth - 1);
                whole.insert("de".to_owned(), other);
            }
            whole.into()
        }
        Some("object") => json!({}),
        Some("array") if depth > 0 => json!([sample(document, &schema["items"], depth - 1)]),
        Some("array") => json!([]),
        Some("integer") => json!(1),
        Some("number") => json!(1.5),
        Some("boolean") => json!(true),
        _ => match schema["format"].as_str() {
            Some("date-time") => json!("2026-07-01T10:00:00Z"),
            Some("uuid") => json!("00000000-0000-7000-8000-000000000000"),
            Some("password") => json!("correct horse battery"),
            _ => json!("us-east"),
        },
    }
}

/// JSON pointers of everything in a value but the whole.
pub(super) fn pointers(value: &Value, at: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut into = |name: &str, inner: &Value| {
        let pointer = format!("{at}/{name}");
        all.extend(pointers(inner, &pointer));
        all.push(pointer);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, field)| into(name, field)),
        Value::Array(items) => (0..).zip(items).for_each(|(index, item): (usize, _)| {
            into(&index.to_string(), item);
        }),
        _ => {}
    }
    all
}
