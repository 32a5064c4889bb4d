//! The item catalogue: replaced whole, asked for what it lacks.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::{PgConnection, query};

use super::{Page, Paged, StoreError, Time, count, time};

/// Something that events give away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What configurations call it.
    pub id: String,
    /// What people call it.
    pub display_name: Option<String>,
}

/// When the catalogue was replaced last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

/// Replaces the whole catalogue. Without items there is none, and none is asked.
///
/// # Errors
/// If the database fails.
pub async fn replace(
    conn: &mut PgConnection,
    items: &[Item],
    author: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    // This row first: whoever replaces at the same time waits here, and finds a whole catalogue to remove.
    query!(
        "INSERT INTO catalog (updated_at, updated_by) VALUES ($1, $2)
         ON CONFLICT (only_one) DO UPDATE SET updated_at = $1, updated_by = $2",
        time(now) as _,
        author
    )
    .execute(&mut *conn)
    .await?;
    query!("DELETE FROM catalog_items")
        .execute(&mut *conn)
        .await?;
    let ids: Vec<String> = items.iter().map(|item| item.id.clone()).collect();
    let names: Vec<Option<String>> = items.iter().map(|i| i.display_name.clone()).collect();
    query!(
        "INSERT INTO catalog_items (item_id, display_name)
         SELECT * FROM unnest($1::text[], $2::text[])",
        &ids,
        &names as &[Option<String>]
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A page of the catalogue, by id, and when it was replaced, if ever.
///
/// # Errors
/// If the database fails.
pub async fn list(
    conn: &mut PgConnection,
    page: Page,
) -> Result<(Paged<Item>, Option<Replaced>), StoreError> {
    let rows = query!(
        "SELECT item_id, display_name FROM catalog_items ORDER BY item_id LIMIT $1 OFFSET $2",
        i64::from(page.limit),
        i64::from(page.offset)
    )
    .fetch_all(&mut *conn)
    .await?;
    let items = rows.into_iter().map(|row| Item {
        id: row.item_id,
        display_name: row.display_name,
    });
    let found = Paged {
        items: items.collect(),
        total: size(&mut *conn).await?,
    };
    let replaced = query!(r#"SELECT updated_at as "at: Time", updated_by FROM catalog"#)
        .fetch_optional(conn)
        .await?;
    let replaced = replaced.map(|row| Replaced {
        at: row.at.to_jiff(),
        by: row.updated_by,
    });
    Ok((found, replaced))
}

/// How many items there are.
///
/// # Errors
/// If the database fails.
pub async fn size(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let row = query!("SELECT count(*) FROM catalog_items")
        .fetch_one(conn)
        .await?;
    Ok(count(row.count))
}

/// Those of the given items that the catalogue lacks; none if there is no catalogue.
///
/// # Errors
/// If the database fails.
pub async fn lacking(
    conn: &mut PgConnection,
    items: &[String],
) -> Result<BTreeSet<String>, StoreError> {
    if items.is_empty() {
        return Ok(BTreeSet::new());
    }
    let rows = query!(
        r#"SELECT asked as "asked!" FROM unnest($1::text[]) AS asked
           WHERE EXISTS (SELECT FROM catalog_items)
             AND NOT EXISTS (SELECT FROM catalog_items WHERE item_id = asked)"#,
        items
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.asked).collect())
}
