//! The wall clock, read here only. Times since a commit at the origin are differences of two wall
//! clocks, so they mean something on one machine, or on several with disciplined clocks.

use jiff::Timestamp;

/// The time now.
#[must_use]
pub fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one reading of the wall clock"
    )]
    Timestamp::now()
}
