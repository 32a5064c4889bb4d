//! How these types look in the document of the REST API, for the origin alone (feature `openapi`).
//!
//! By hand, since most of them are one text or number whose alphabet and length no derive can see.

use std::borrow::Cow;

use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, Object, ObjectBuilder, SchemaFormat,
    SchemaType, Type,
};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::id::{ChangeId, DeploymentId, EdgeId, ErasureId, EventId, RegionId, SegmentId, TokenId};
use crate::json_text::JsonText;
use crate::limits::{MAX_ALTERNATIVES, MAX_OCCURRENCES};
use crate::message::Attribute;
use crate::model::{EventType, Localization};
use crate::schedule::Schedule;
use crate::segment::{Membership, Range, Rule};
use crate::version::{Epoch, Revision, Version};

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

/// Anything but null, so that an optional one is told from one that is null.
fn any() -> ObjectBuilder {
    let types = [
        Type::Object,
        Type::Array,
        Type::String,
        Type::Number,
        Type::Boolean,
    ];
    ObjectBuilder::new().schema_type(SchemaType::from_iter(types))
}

fn uuid(what: &str) -> ObjectBuilder {
    let format = SchemaFormat::Custom("uuid".to_owned());
    text().format(Some(format)).description(Some(what))
}

fn moment() -> ObjectBuilder {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
}

fn number(what: &str, least: u64) -> ObjectBuilder {
    let object = ObjectBuilder::new().schema_type(Type::Integer);
    object.minimum(Some(least)).description(Some(what))
}

/// A name of at most so many of these characters.
fn name(what: &str, pattern: &str, max: usize) -> ObjectBuilder {
    let object = text().pattern(Some(pattern)).description(Some(what));
    object.min_length(Some(1)).max_length(Some(max))
}

fn described(object: ObjectBuilder) -> RefOr<Schema> {
    let object: Object = object.build();
    object.into()
}

macro_rules! schema {
    ($($type:ident => $schema:expr;)*) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                described($schema)
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed(stringify!($type))
            }
        }
    )*};
}

schema! {
    EventId => name("A live event, such as `summer-fest-2025`.", "^[a-z0-9-]+$", EventId::MAX);
    RegionId => name("A region, such as `us-east`.", "^[a-z0-9-]+$", RegionId::MAX);
    SegmentId => name("A segment of players, such as `vip-tier-1`.", "^[a-z0-9-]+$", SegmentId::MAX);
    EdgeId => name("An edge, such as `us-east-1.dc3`.", "^[A-Za-z0-9_.-]+$", EdgeId::MAX);
    ChangeId => uuid("One decision, in one or several regions.");
    DeploymentId => uuid("One deployment.");
    TokenId => uuid("One token.");
    ErasureId => uuid("One erasure of a player.");
    Epoch => uuid("The history that versions belong to; a later epoch is greater.");
    Revision => number("The number of an event's content, from 1.", 1).maximum(Some(u32::MAX));
    Version => number("A place in a region's log; 0 is the empty region.", 0);
    JsonText => any().description(Some("Free-form JSON, carried as it was written."));
    Attribute => ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::String, Type::Number, Type::Boolean]))
        .description(Some("What is known of a player: true, false, a number or a text."));
    Membership => text()
        .enum_values(Some(["Included", "Meets", "Excluded", "Fails", "Unlisted", "Unknown", "Missing"]))
        .description(Some("Whether a player belongs to a segment, and by what: in by Included and Meets alone."));
    EventType => text()
        .enum_values(Some(EventType::ALL.map(EventType::as_str)))
        .description(Some("What kind of event it is."));
}

/// The end of a range.
fn end(what: &str) -> Object {
    let types = SchemaType::from_iter([Type::Number, Type::Null]);
    let object = ObjectBuilder::new().schema_type(types);
    object.description(Some(what)).build()
}

impl PartialSchema for Range {
    fn schema() -> RefOr<Schema> {
        let array = ArrayBuilder::new()
            .items(end("null is no end."))
            .min_items(Some(2))
            .max_items(Some(2))
            .description(Some("`[min, max]`, both included."));
        array.build().into()
    }
}

impl ToSchema for Range {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("NumberRange")
    }
}

impl PartialSchema for Rule {
    fn schema() -> RefOr<Schema> {
        let values = ArrayBuilder::new()
            .items(Attribute::schema())
            .min_items(Some(1))
            .max_items(Some(MAX_ALTERNATIVES));
        let object = ObjectBuilder::new()
            .property("equals", Attribute::schema())
            .property("oneOf", values)
            .property("range", Range::schema())
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .min_properties(Some(1))
            .max_properties(Some(1))
            .description(Some("What is demanded of an attribute: one of these."));
        described(object)
    }
}

impl ToSchema for Rule {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("CustomCriterion")
    }
}

impl PartialSchema for Localization {
    fn schema() -> RefOr<Schema> {
        let optional =
            || ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Null]));
        let object = ObjectBuilder::new()
            .property("displayName", optional())
            .property("description", optional().description(Some("Markdown.")))
            .property(
                "customFields",
                any().description(Some("Whatever else the game translates; an object.")),
            )
            .additional_properties(Some(AdditionalProperties::FreeForm(false)))
            .description(Some("Texts of an event in one language."));
        described(object)
    }
}

impl ToSchema for Localization {}

impl PartialSchema for Schedule {
    fn schema() -> RefOr<Schema> {
        let occurrence = ObjectBuilder::new()
            .property("opens", moment().description(Some("First instant shown.")))
            .property(
                "closes",
                moment().description(Some("First instant no longer shown.")),
            )
            .required("opens")
            .required("closes");
        let array = ArrayBuilder::new()
            .items(occurrence)
            .max_items(Some(MAX_OCCURRENCES))
            .description(Some("Occurrences in order of time, without overlap."));
        array.build().into()
    }
}

impl ToSchema for Schedule {}
