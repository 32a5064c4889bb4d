//! What can go wrong, as the document describes it, and the headers that say so.

use liveevents_service::http::FieldError;
use utoipa::PartialSchema as _;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{
    ArrayBuilder, Components, KnownFormat, ObjectBuilder, SchemaFormat, Type,
};
use utoipa::openapi::{ContentBuilder, Header, Ref, RefOr, Schema};

use super::{JSON, text};

/// What can go wrong: status, name, when.
pub(super) const ERRORS: &[(u16, &str, &str)] = &[
    (
        400,
        "Invalid",
        "The request is wrong; `details` names each field at fault.",
    ),
    (
        401,
        "Unauthorized",
        "No token, or one that is not accepted.",
    ),
    (
        403,
        "Forbidden",
        "The token's role, or its regions, do not suffice.",
    ),
    (404, "NotFound", "There is no such thing."),
    (
        409,
        "Conflict",
        "The request is right, but not in the present state of things.",
    ),
    (412, "PreconditionFailed", "Somebody was faster."),
    (413, "PayloadTooLarge", "The body is too large."),
    (429, "RateLimited", "More requests than allowed."),
    (
        500,
        "Internal",
        "Our fault; the trace id finds it in our logs.",
    ),
    (
        503,
        "Unavailable",
        "A part that we need is away for now, or too many come at once.",
    ),
];

/// The codes of errors, in the order of their statuses.
const CODES: &[&str] = &[
    "VALIDATION_ERROR",
    "UNAUTHORIZED",
    "FORBIDDEN",
    "NOT_FOUND",
    "METHOD_NOT_ALLOWED",
    "CONFLICT",
    "PRECONDITION_FAILED",
    "PAYLOAD_TOO_LARGE",
    "RATE_LIMIT_EXCEEDED",
    "INTERNAL_ERROR",
    "UNAVAILABLE",
];

/// Adds everything that operations refer to.
pub(super) fn complete(components: &mut Components) {
    let (field_error, error) = ("FieldError", "Error");
    components
        .schemas
        .insert(field_error.to_owned(), FieldError::schema());
    components
        .schemas
        .insert(error.to_owned(), envelope(field_error));
    for (status, name, when) in ERRORS {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(error)));
        let mut response = ResponseBuilder::new()
            .description(*when)
            .content(JSON, content.build())
            .build();
        let retry = || {
            let seconds = ObjectBuilder::new()
                .schema_type(Type::Integer)
                .minimum(Some(1));
            let what = "Seconds until it may be tried again.";
            HeaderBuilder::new()
                .schema(Some(seconds.build()))
                .description(Some(what))
                .build()
        };
        match status {
            401 => {
                let scheme = Header::new(text().build());
                response
                    .headers
                    .insert("WWW-Authenticate".to_owned(), scheme.into());
            }
            429 => {
                response
                    .headers
                    .extend(quota().map(|(name, header)| (name, header.into())));
                response
                    .headers
                    .insert("Retry-After".to_owned(), retry().into());
            }
            503 => {
                response
                    .headers
                    .insert("Retry-After".to_owned(), retry().into());
            }
            _ => {}
        }
        components
            .responses
            .insert((*name).to_owned(), response.into());
    }
}

/// What is left to a caller, in headers.
pub(super) fn quota() -> [(String, Header); 3] {
    let header = |name: &str, what: &str| {
        let whole = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(0));
        let header = HeaderBuilder::new()
            .schema(Some(whole.build()))
            .description(Some(what));
        (name.to_owned(), header.build())
    };
    [
        header(
            "X-RateLimit-Limit",
            "Requests allowed in a minute; absent where limits are switched off.",
        ),
        header("X-RateLimit-Remaining", "Those that are left."),
        header("X-RateLimit-Reset", "Seconds until all are allowed again."),
    ]
}

/// Every failure, as [`ApiError`](liveevents_service::http::ApiError) writes it.
fn envelope(field_error: &str) -> RefOr<Schema> {
    let date_time = SchemaFormat::KnownFormat(KnownFormat::DateTime);
    let details = ArrayBuilder::new()
        .items(Ref::from_schema_name(field_error))
        .description(Some(
            "What is wrong with which field; empty where no field is at fault.",
        ));
    let trace_id = text()
        .pattern(Some("^[0-9a-f]{32}$"))
        .description(Some("Finds the request in our logs."));
    let error = ObjectBuilder::new()
        .property("code", text().enum_values(Some(CODES.iter().copied())))
        .property(
            "message",
            text().description(Some("What went wrong as a whole.")),
        )
        .property("details", details)
        .property("traceId", trace_id)
        .property("timestamp", text().format(Some(date_time)))
        .required("code")
        .required("message")
        .required("details")
        .required("traceId")
        .required("timestamp");
    let envelope = ObjectBuilder::new()
        .property("error", error)
        .required("error")
        .description(Some("Why a request was not carried out."));
    envelope.build().into()
}
