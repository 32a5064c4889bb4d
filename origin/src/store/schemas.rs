//! JSON Schemas that a studio has registered for configurations, by event type or category.

use jiff::Timestamp;
use liveevents_protocol::json_text::JsonText;
use sqlx::{PgConnection, query};

use super::{StoreError, Time, count, time};

/// A schema as it was registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// The type or category that it is for.
    pub name: String,
    /// Itself.
    pub schema: JsonText,
    /// The draft that it is read by.
    pub dialect: String,
    /// When it was registered.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

struct Row {
    name: String,
    schema: String,
    dialect: String,
    updated_at: Time,
    updated_by: String,
}

impl Row {
    fn read(self) -> Result<Registered, StoreError> {
        Ok(Registered {
            name: self.name,
            schema: JsonText::new(self.schema).map_err(StoreError::unreadable("a schema"))?,
            dialect: self.dialect,
            at: self.updated_at.to_jiff(),
            by: self.updated_by,
        })
    }
}

/// Those of the given names that are registered.
///
/// # Errors
/// If the database fails.
pub async fn find(
    conn: &mut PgConnection,
    names: &[String],
) -> Result<Vec<Registered>, StoreError> {
    sqlx::query_as!(
        Row,
        r#"SELECT name, schema::text as "schema!", dialect, updated_at as "updated_at: Time", updated_by
           FROM configuration_schemas WHERE name = ANY($1) ORDER BY name"#,
        names
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(Row::read)
    .collect()
}

/// All names, in order, with draft, time and author.
///
/// # Errors
/// If the database fails.
pub async fn list(
    conn: &mut PgConnection,
) -> Result<Vec<(String, String, Timestamp, String)>, StoreError> {
    let rows = query!(
        r#"SELECT name, dialect, updated_at as "updated_at: Time", updated_by
           FROM configuration_schemas ORDER BY name"#
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(|row| {
        (
            row.name,
            row.dialect,
            row.updated_at.to_jiff(),
            row.updated_by,
        )
    });
    Ok(rows.collect())
}

/// Registers a schema, in place of the one of its name, and gives how many there are then. Whoever does so at the same
/// time waits, so that the number is right.
///
/// # Errors
/// If the database fails.
pub async fn put(conn: &mut PgConnection, new: &Registered) -> Result<i64, StoreError> {
    query!("LOCK TABLE configuration_schemas IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *conn)
        .await?;
    query!(
        "INSERT INTO configuration_schemas (name, schema, dialect, updated_at, updated_by)
         VALUES ($1, $2::text::json, $3, $4, $5)
         ON CONFLICT (name) DO UPDATE SET schema = $2::text::json, dialect = $3, updated_at = $4, updated_by = $5",
        new.name,
        new.schema.as_str(),
        new.dialect,
        time(new.at) as _,
        new.by
    )
    .execute(&mut *conn)
    .await?;
    let row = query!("SELECT count(*) FROM configuration_schemas")
        .fetch_one(conn)
        .await?;
    Ok(i64::try_from(count(row.count)).unwrap_or(i64::MAX))
}

/// Forgets a schema, and says whether there was one.
///
/// # Errors
/// If the database fails.
pub async fn delete(conn: &mut PgConnection, name: &str) -> Result<bool, StoreError> {
    let done = query!("DELETE FROM configuration_schemas WHERE name = $1", name)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() > 0)
}
