//! What both processes share in answering HTTP: one error envelope, extractors that fail with it,
//! the layers around every router, and the loop that serves a listener.
//!
//! A handler takes its input by [`Json`], [`Query`], [`Path`] and [`Caller`] from here, not by axum's of
//! the same names, and answers `Result<_, ApiError>`. Should a framework's own refusal slip through all
//! the same, [`layers`] puts it into the envelope.

mod caller;
mod error;
mod extract;
mod layers;
pub mod question;
mod quota;
mod serve;
mod trace;

#[cfg(test)]
mod tests;

pub use caller::{Authority, Caller};
pub use error::{ApiError, BoxError, Checks, FieldError};
pub use extract::{Json, Path, Query, body};
pub use layers::{Spans, layers};
pub use quota::{Allowance, Quota};
pub use serve::{Capacity, serve};
pub use trace::TraceId;
