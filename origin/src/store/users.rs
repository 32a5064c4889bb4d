//! People.

use jiff::Timestamp;
use liveevents_service::token::Role;
use sqlx::{PgConnection, query};

use super::{Page, Paged, StoreError, Time, count, time};
use crate::limits::{NETWORKS_OF_ONE, REMEMBER_NETWORK};

/// Somebody who may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name they log in with.
    pub username: String,
    /// What they may do.
    pub role: Role,
    /// When they were added.
    pub created_at: Timestamp,
    /// When role or password was last changed.
    pub updated_at: Timestamp,
}

/// The constraint that a taken name violates.
pub const NAME_IS_TAKEN: &str = "users_pkey";

struct Row {
    username: String,
    role: String,
    created_at: Time,
    updated_at: Time,
}

impl Row {
    fn read(self) -> Result<User, StoreError> {
        Ok(User {
            role: self
                .role
                .parse()
                .map_err(StoreError::unreadable("a user's role"))?,
            username: self.username,
            created_at: self.created_at.to_jiff(),
            updated_at: self.updated_at.to_jiff(),
        })
    }
}

/// People by name, those of one role if one is given, and how many there are.
///
/// # Errors
/// If the database fails.
pub async fn list(
    conn: &mut PgConnection,
    role: Option<Role>,
    page: Page,
) -> Result<Paged<User>, StoreError> {
    let role = role.map(Role::as_str);
    let items = sqlx::query_as!(
        Row,
        r#"SELECT username, role, created_at as "created_at: Time", updated_at as "updated_at: Time"
           FROM users WHERE $1::text IS NULL OR role = $1 ORDER BY username LIMIT $2 OFFSET $3"#,
        role,
        i64::from(page.limit),
        i64::from(page.offset)
    )
    .fetch_all(&mut *conn)
    .await?;
    let row = query!(
        "SELECT count(*) FROM users WHERE $1::text IS NULL OR role = $1",
        role
    )
    .fetch_one(conn)
    .await?;
    Ok(Paged {
        items: items.into_iter().map(Row::read).collect::<Result<_, _>>()?,
        total: count(row.count),
    })
}

/// One person.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, username: &str) -> Result<Option<User>, StoreError> {
    sqlx::query_as!(
        Row,
        r#"SELECT username, role, created_at as "created_at: Time", updated_at as "updated_at: Time"
           FROM users WHERE username = $1"#,
        username
    )
    .fetch_optional(conn)
    .await?
    .map(Row::read)
    .transpose()
}

/// A person's role and password hash, for a login; they stay as they are until the transaction ends.
///
/// # Errors
/// If the database fails.
pub async fn credentials(
    conn: &mut PgConnection,
    username: &str,
) -> Result<Option<(Role, String)>, StoreError> {
    let row = query!(
        "SELECT role, password_hash FROM users WHERE username = $1 FOR SHARE",
        username
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        let role = row
            .role
            .parse()
            .map_err(StoreError::unreadable("a user's role"))?;
        Ok((role, row.password_hash))
    })
    .transpose()
}

/// Whether somebody has logged in from this network before, and not too long ago: what is older is forgotten when they
/// log in.
///
/// # Errors
/// If the database fails.
pub async fn knows_network(
    conn: &mut PgConnection,
    username: &str,
    network: &str,
) -> Result<bool, StoreError> {
    let row = query!(
        r#"SELECT EXISTS (SELECT FROM known_networks WHERE username = $1 AND network = $2) as "known!""#,
        username,
        network
    )
    .fetch_one(conn)
    .await?;
    Ok(row.known)
}

/// Notes from where somebody has logged in, and forgets what is old, or too much.
///
/// # Errors
/// If the database fails.
pub async fn remember_network(
    conn: &mut PgConnection,
    username: &str,
    network: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    query!(
        "INSERT INTO known_networks (username, network, seen_at) VALUES ($1, $2, $3)
         ON CONFLICT (username, network) DO UPDATE SET seen_at = excluded.seen_at",
        username,
        network,
        time(now) as _
    )
    .execute(&mut *conn)
    .await?;
    query!(
        "DELETE FROM known_networks WHERE username = $1 AND (seen_at < $2 OR network IN (
             SELECT network FROM known_networks WHERE username = $1 ORDER BY seen_at DESC, network OFFSET $3))",
        username,
        time(now - REMEMBER_NETWORK) as _,
        NETWORKS_OF_ONE
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether nobody can log in yet.
///
/// # Errors
/// If the database fails.
pub async fn is_empty(conn: &mut PgConnection) -> Result<bool, StoreError> {
    let row = query!(r#"SELECT NOT EXISTS (SELECT FROM users) as "empty!""#)
        .fetch_one(conn)
        .await?;
    Ok(row.empty)
}

/// Whether this is a person's name.
///
/// # Errors
/// If the database fails.
pub async fn exists(conn: &mut PgConnection, username: &str) -> Result<bool, StoreError> {
    let row = query!(
        r#"SELECT EXISTS (SELECT FROM users WHERE username = $1) as "exists!""#,
        username
    )
    .fetch_one(conn)
    .await?;
    Ok(row.exists)
}

/// Adds a person.
///
/// # Errors
/// [`NAME_IS_TAKEN`], or if the database fails.
pub async fn insert(
    conn: &mut PgConnection,
    username: &str,
    password_hash: &str,
    role: Role,
    now: Timestamp,
) -> Result<(), StoreError> {
    query!(
        "INSERT INTO users (username, password_hash, role, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $4)",
        username,
        password_hash,
        role.as_str(),
        time(now) as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Changes role, password or both. Whether there is such a person.
///
/// # Errors
/// If the database fails.
pub async fn update(
    conn: &mut PgConnection,
    username: &str,
    password_hash: Option<&str>,
    role: Option<Role>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let done = query!(
        "UPDATE users SET password_hash = COALESCE($2, password_hash), role = COALESCE($3, role),
             updated_at = $4
         WHERE username = $1",
        username,
        password_hash,
        role.map(Role::as_str),
        time(now) as _
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes a person. Whether there was one.
///
/// # Errors
/// If the database fails.
pub async fn delete(conn: &mut PgConnection, username: &str) -> Result<bool, StoreError> {
    let done = query!("DELETE FROM users WHERE username = $1", username)
        .execute(conn)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The names of all admins, locked: of two admins removing each other the second waits, and then
/// finds itself the last.
///
/// # Errors
/// If the database fails.
pub async fn lock_admins(conn: &mut PgConnection) -> Result<Vec<String>, StoreError> {
    let rows =
        query!("SELECT username FROM users WHERE role = 'Admin' ORDER BY username FOR UPDATE")
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().map(|row| row.username).collect())
}
