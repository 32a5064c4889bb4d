//! How these types look in the document of the origin's REST API (feature `openapi`).

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::http::FieldError;
use crate::token::Role;

impl PartialSchema for Role {
    fn schema() -> RefOr<Schema> {
        let object = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(Self::ALL.map(Self::as_str)))
            .description(Some("What a token's bearer may do."));
        object.build().into()
    }
}

impl ToSchema for Role {}

impl PartialSchema for FieldError {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        let path = "Its path, such as `localizations.de.displayName` or `items[3].amount`.";
        let object = ObjectBuilder::new()
            .property("field", text().description(Some(path)))
            .property(
                "message",
                text().description(Some("What is wrong, and what would be right.")),
            )
            .required("field")
            .required("message")
            .description(Some("What is wrong with one field."));
        object.build().into()
    }
}

impl ToSchema for FieldError {}
