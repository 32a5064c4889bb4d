//! Postgres: a file per aggregate, its SQL beside the functions that need it.
//!
//! Functions take `&mut PgConnection` and domain types; the caller owns the transaction, and rows never
//! leave their file. `now` is an argument, so that everything written by one request has one time.
//!
//! **Lock order**, for every transaction that locks more than one of these: the event's row in
//! `live_events` or the segment's in `segments`, then the deployment's, then the epoch (shared by a change, alone by
//! whoever mints the next one), then rows of `region_heads` by ascending region id, or that table as a whole. What is
//! decided from an assignment, or from what is in effect of a segment, is decided from one read while its region's head
//! is locked. An edge's row comes before the records of erasures that wait for it, and these by ascending id.

pub mod acks;
pub mod assignments;
pub mod audit;
pub mod calendar;
pub mod catalog;
pub mod changes;
pub mod course;
pub mod database_clock;
pub mod delivery;
pub mod deployments;
pub mod edges;
pub mod engagement;
pub mod epoch;
pub mod erasures;
pub mod events;
pub mod figures;
pub mod idempotency;
pub mod issuers;
pub mod overlaps;
pub mod players;
pub mod progress;
pub mod publications;
pub mod region_log;
pub mod region_segments;
pub mod regions;
pub mod revisions;
pub mod rollbacks;
pub mod schemas;
pub mod segments;
pub mod snapshot;
pub mod tokens;
pub mod users;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx;

/// Why something could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused, or did not answer.
    #[error("the database could not carry out a statement")]
    Database(#[from] sqlx::Error),
    /// A row is not what the service once wrote: somebody edited it, or a later release did.
    #[error("{what} in the database cannot be read")]
    Unreadable {
        /// What it was supposed to be.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether a named constraint of the schema was violated.
    #[must_use]
    pub fn violates(&self, constraint: &str) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.constraint() == Some(constraint),
            Self::Database(_) | Self::Unreadable { .. } => false,
        }
    }

    /// Whether what was sent is what no database keeps: a NUL in a text, a number or a time beyond its range. Whatever
    /// checks come before, this is the caller's fault and not ours.
    #[must_use]
    pub fn is_unstorable(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else {
            return false;
        };
        let codes = ["22021", "22P05", "22003", "22008"];
        error.code().is_some_and(|code| codes.contains(&&*code))
    }

    /// Whether the database is away, rather than unwilling: asking again later may help.
    #[must_use]
    pub fn is_away(&self) -> bool {
        match self {
            Self::Database(error) => is_away(error),
            Self::Unreadable { .. } => false,
        }
    }

    fn unreadable<E>(what: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        move |cause| Self::Unreadable {
            what,
            cause: cause.into(),
        }
    }
}

/// See [`StoreError::is_away`].
#[must_use]
pub fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::WorkerCrashed => true,
        // Class 08: connection lost; 57P: shut down, crashed, starting up; 53: out of resources.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            let classes = ["08", "57P", "53"];
            classes.iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

/// A transaction that sees one state of the database, for reading what belongs together.
///
/// # Errors
/// If the database does not answer.
pub async fn begin_snapshot(
    pool: &sqlx::PgPool,
) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, StoreError> {
    Ok(pool
        .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        .await?)
}

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// At most so many.
    pub limit: u32,
    /// After skipping so many.
    pub offset: u32,
}

/// A part of a list, and how long the whole is.
#[derive(Debug, Clone)]
pub struct Paged<T> {
    /// The part.
    pub items: Vec<T>,
    /// The length of the whole.
    pub total: u64,
}

/// A time on its way into or out of a statement.
type Time = jiff_sqlx::Timestamp;

fn time(at: Timestamp) -> Time {
    at.to_sqlx()
}

fn count(number: Option<i64>) -> u64 {
    number
        .and_then(|number| u64::try_from(number).ok())
        .unwrap_or(0)
}

/// `LIKE` pattern for texts that contain this one, literally.
fn containing(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 2);
    pattern.push('%');
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_literal() {
        assert_eq!(containing(r"50%_\"), r"%50\%\_\\%");
    }
}
