//! Events: what designers write, as plain data and pure functions.
//!
//! A request's fields become a [`document::Document`] once, at the rim; inside, nothing is checked
//! twice. Nothing here knows HTTP, SQL, the clock or randomness: time is an argument.

pub mod approval;
pub mod configuration;
pub mod copy;
pub mod document;
pub mod extend;
pub mod fault;
pub mod fields;
pub mod json_schema;
pub mod lifecycle;
pub mod naming;
pub mod outlook;
pub mod overlap;
pub mod record;
pub mod recurrence;
pub mod schedule;
pub mod series;
pub mod times;
pub mod timing;
pub mod validation;
pub mod wall_clock;
