//! The OpenAPI document: what is the same for every operation, and where it is served.
//!
//! What is particular to an operation stands at its handler, in `#[utoipa::path(..)]`. Everything that follows from its
//! [`Access`] and from what every request goes through is added here: roles, limits, keys, and every error.

mod errors;

use std::collections::BTreeMap;

use axum::Router;
use axum::http::{HeaderValue, Method, header};
use axum::middleware::map_response;
use axum::response::Response;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{Components, Object, ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, Ref, RefOr, Required, Schema, SecurityRequirement};
use utoipa_swagger_ui::{Config, SwaggerUi};

use errors::{ERRORS, quota};

use super::access::Access;
use super::page;
use crate::limits::{IDEMPOTENCY_LIFE_HOURS, MAX_IDEMPOTENCY_KEY};

/// Where machines find it.
const DOCUMENT: &str = "/api/openapi.json";

/// Where people do.
const PAGE: &str = "/api/docs";

const JSON: &str = "application/json";

const BEARER: &str = "bearer";

/// Nothing that the page shows comes from anywhere else, and nobody else shows it. Its styles are in the text.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; form-action 'none'",
);

const ABOUT: &str = "\
Times are RFC 3339 in UTC, durations ISO 8601 (`PT5M`). Unknown fields and unknown query parameters are refused. Every \
failure is an `Error`; all faults of a request are in one answer. `x-roles` of an operation names the roles whose tokens \
may; where it is missing no token is needed. `x-rate-limit` names the limit that an operation counts towards.

Besides these: this document at `/api/openapi.json`, this page at `/api/docs`, and metrics for Prometheus at `/metrics`.";

/// `If-Match`, for operations that look at it: `params(IfMatch)`.
pub(super) struct IfMatch;

impl utoipa::IntoParams for IfMatch {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let what = "Entity tags of the newest revision, or `*`; 412 if somebody was faster.";
        vec![in_header("If-Match", what, text().examples(["\"3\""]))]
    }
}

/// `Idempotency-Key`, for those that treat it in their own way; see [`Access::once`] for the others.
pub(super) struct IdempotencyKey;

impl utoipa::IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![key(
            "A name for the request, under which it is carried out once; 409 if it is sent again.",
        )]
    }
}

fn key(what: &str) -> Parameter {
    let key = text()
        .min_length(Some(1))
        .max_length(Some(MAX_IDEMPOTENCY_KEY));
    in_header("Idempotency-Key", what, key.pattern(Some("^[ -~]+$")))
}

fn in_header(name: &str, what: &str, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(what))
        .schema(Some(schema.build()))
        .build()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// Adds what follows from the operation's access, and from what every request goes through.
pub(super) fn describe(operation: &mut Operation, method: &Method, path: &str, access: Access) {
    operation.operation_id = Some(operation_id(method, path));
    if operation.tags.as_ref().is_none_or(Vec::is_empty) {
        let first = path.split('/').find(|part| !part.is_empty());
        operation.tags = first.map(|first| vec![first.to_owned()]);
    }
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter {
            describe_page(parameter);
        }
    }
    let mut said = vec![operation.description.take().unwrap_or_default()];
    let mut extensions = operation.extensions.take().unwrap_or_default();
    let mut errors = vec![400, 500, 503];
    errors.extend(access.also);
    if let Some(roles) = access.roles {
        let names: Vec<&str> = roles.iter().map(|role| role.as_str()).collect();
        said.push(format!("Roles: {}.", names.join(", ")));
        extensions.insert("x-roles".to_owned(), names.into());
        operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], _>(
            BEARER,
            [],
        )]);
        errors.extend([401, 403]);
        if *method != Method::GET {
            errors.push(409);
        }
    } else {
        said.push("No token is needed.".to_owned());
        operation.security = Some(Vec::new());
    }
    if access.once {
        let what = format!(
            "A name for the request, under which it is carried out once: sent again with the same body within \
             {IDEMPOTENCY_LIFE_HOURS} hours it gets the first answer, with another body 409."
        );
        operation
            .parameters
            .get_or_insert_default()
            .push(key(&what).into());
    }
    if let Some(limit) = access.limit {
        said.push(limit.to_string());
        extensions.insert("x-rate-limit".to_owned(), limit.name().into());
        errors.push(429);
    }
    let names = |name| {
        let parameters = operation.parameters.iter().flatten();
        parameters
            .filter(move |parameter| matches!(parameter, RefOr::T(one) if one.name == name))
            .count()
            > 0
    };
    if path.contains('{') {
        errors.push(404);
    }
    if names("If-Match") {
        errors.push(412);
    }
    if operation.request_body.is_some() {
        errors.push(413);
    }
    said.retain(|part| !part.is_empty());
    operation.description = Some(said.join("\n\n"));
    if !extensions.is_empty() {
        operation.extensions = Some(extensions);
    }
    let responses = &mut operation.responses.responses;
    if access.limit.is_some() {
        for response in responses.values_mut() {
            if let RefOr::T(response) = response {
                response
                    .headers
                    .extend(quota().map(|(name, header)| (name, header.into())));
            }
        }
    }
    for (status, name, _) in ERRORS {
        if errors.contains(status) {
            let named = || RefOr::Ref(Ref::from_response_name(*name));
            responses.entry(status.to_string()).or_insert_with(named);
        }
    }
}

/// The same in every list.
fn describe_page(parameter: &mut Parameter) {
    if parameter.parameter_in != ParameterIn::Query {
        return;
    }
    let whole = || ObjectBuilder::new().schema_type(Type::Integer);
    let (what, schema) = match parameter.name.as_str() {
        "limit" => (
            "How many at most.",
            whole()
                .minimum(Some(1))
                .maximum(Some(page::MAX_LIMIT))
                .default(Some(page::LIMIT.into())),
        ),
        "offset" => (
            "How many to skip.",
            whole().minimum(Some(0)).maximum(Some(u32::MAX)),
        ),
        _ => return,
    };
    parameter.description = Some(what.to_owned());
    parameter.schema = Some(schema.build().into());
}

/// `GET /events/{id}/revisions` is `get_events_id_revisions`.
fn operation_id(method: &Method, path: &str) -> String {
    let parts = path.split(|c: char| !c.is_ascii_alphanumeric());
    let parts = parts.filter(|part| !part.is_empty());
    let method = method.as_str().to_ascii_lowercase();
    [method.as_str()]
        .into_iter()
        .chain(parts)
        .collect::<Vec<_>>()
        .join("_")
}

/// What operations refer to.
fn complete(document: &mut OpenApi) {
    document.info = InfoBuilder::new()
        .title("LiveEvents")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .build();
    let components = document.components.get_or_insert_with(Components::new);
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some(
            "From `POST /api/v1/authentication/login`, or a service token.",
        ));
    components.add_security_scheme(BEARER, SecurityScheme::Http(scheme.build()));
    errors::complete(components);
    open_parts(components);
}

/// What is flattened into something larger refuses unknown fields as a request, not within that.
fn open_parts(components: &mut Components) {
    let closed: BTreeMap<String, Object> = components
        .schemas
        .iter()
        .filter_map(|(name, schema)| match schema {
            RefOr::T(Schema::Object(object)) if object.additional_properties.is_some() => {
                let mut open = object.clone();
                open.additional_properties = None;
                Some((name.clone(), open))
            }
            RefOr::T(_) | RefOr::Ref(_) => None,
        })
        .collect();
    for schema in components.schemas.values_mut() {
        let RefOr::T(Schema::AllOf(all)) = schema else {
            continue;
        };
        for item in &mut all.items {
            let RefOr::Ref(part) = item else { continue };
            let name = part.ref_location.rsplit('/').next().unwrap_or_default();
            if let Some(open) = closed.get(name) {
                *item = open.clone().into();
            }
        }
    }
}

/// Serves the document and its page.
pub(super) fn serve(mut document: OpenApi) -> Router {
    complete(&mut document);
    // Else the page would show the document to a validator on the web.
    let config = Config::default().validator_url("none");
    let page: Router = SwaggerUi::new(PAGE)
        .url(DOCUMENT, document)
        .config(config)
        .into();
    page.layer(map_response(guard))
}

async fn guard(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}
