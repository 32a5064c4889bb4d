//! Tokens that the origin has signed: that they exist, never they themselves.

use jiff::Timestamp;
use liveevents_protocol::id::{RegionId, TokenId};
use liveevents_protocol::trust::Revoked;
use liveevents_service::token::{Claims, Role};
use sqlx::{PgConnection, query};

use super::{StoreError, Time, time};

/// A service token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its name, to revoke it by.
    pub id: TokenId,
    /// What its bearer may do.
    pub role: Role,
    /// Who its bearer is.
    pub subject: String,
    /// Where its bearer may do it.
    pub regions: Vec<RegionId>,
    /// Who had it made.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ceases to be good.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// Why a token was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// Somebody logged in.
    Session,
    /// Somebody asked for it, perhaps under a key by which a repetition is told.
    Service {
        /// The request's `Idempotency-Key`.
        idempotency_key: Option<&'a str>,
    },
}

/// The constraint that a repeated idempotency key violates.
pub const KEY_IS_USED: &str = "tokens_idempotency_key";

/// Told whenever a token is revoked.
pub const TRUST_CHANNEL: &str = "liveevents_trust";

/// Records a token about to be handed out.
///
/// # Errors
/// [`KEY_IS_USED`], or if the database fails.
pub async fn insert(
    conn: &mut PgConnection,
    claims: &Claims,
    purpose: Purpose<'_>,
    created_by: &str,
) -> Result<(), StoreError> {
    let (session, key) = match purpose {
        Purpose::Session => (true, None),
        Purpose::Service { idempotency_key } => (false, idempotency_key),
    };
    let regions: Vec<String> = claims.regions.iter().map(RegionId::to_string).collect();
    query!(
        "INSERT INTO tokens (token_id, session, role, subject, regions, created_by, created_at,
             expires_at, idempotency_key)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        claims.id.0,
        session,
        claims.role.as_str(),
        claims.subject,
        &regions,
        created_by,
        time(claims.issued_at) as _,
        time(claims.expires_at) as _,
        key
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// All service tokens, newest first.
///
/// # Errors
/// If the database fails.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Token>, StoreError> {
    let rows = query!(
        r#"SELECT token_id, role, subject, regions, created_by,
               created_at as "created_at: Time", expires_at as "expires_at: Time",
               revoked_at as "revoked_at: Time"
           FROM tokens WHERE NOT session ORDER BY created_at DESC, token_id"#
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let regions = row
                .regions
                .iter()
                .map(|region| RegionId::new(region))
                .collect::<Result<_, _>>();
            Ok(Token {
                id: TokenId(row.token_id),
                role: row
                    .role
                    .parse()
                    .map_err(StoreError::unreadable("a token's role"))?,
                subject: row.subject,
                regions: regions.map_err(StoreError::unreadable("a token's regions"))?,
                created_by: row.created_by,
                created_at: row.created_at.to_jiff(),
                expires_at: row.expires_at.to_jiff(),
                revoked_at: row.revoked_at.map(Time::to_jiff),
            })
        })
        .collect()
}

/// Revokes one token. Whether there is one; revoking again changes nothing.
///
/// # Errors
/// If the database fails.
pub async fn revoke(
    conn: &mut PgConnection,
    id: TokenId,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let done = query!(
        "UPDATE tokens SET revoked_at = COALESCE(revoked_at, $2) WHERE token_id = $1",
        id.0,
        time(now) as _
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Revokes all sessions of a person.
///
/// # Errors
/// If the database fails.
pub async fn revoke_sessions(
    conn: &mut PgConnection,
    username: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    query!(
        "UPDATE tokens SET revoked_at = $2
         WHERE session AND subject = $1 AND revoked_at IS NULL AND expires_at > $2",
        username,
        time(now) as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets sessions of a person that expired before a moment.
///
/// # Errors
/// If the database fails.
pub async fn forget_sessions(
    conn: &mut PgConnection,
    username: &str,
    before: Timestamp,
) -> Result<(), StoreError> {
    query!(
        "DELETE FROM tokens WHERE session AND subject = $1 AND expires_at < $2",
        username,
        time(before) as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What verifiers have to know: revoked tokens that expire after a moment.
///
/// # Errors
/// If the database fails.
pub async fn revoked(
    conn: &mut PgConnection,
    after: Timestamp,
) -> Result<Vec<Revoked>, StoreError> {
    let rows = query!(
        r#"SELECT token_id, expires_at as "expires_at: Time"
           FROM tokens WHERE revoked_at IS NOT NULL AND expires_at > $1 ORDER BY token_id"#,
        time(after) as _
    )
    .fetch_all(conn)
    .await?;
    let revoked = rows.into_iter().map(|row| Revoked {
        token: TokenId(row.token_id),
        until: row.expires_at.to_jiff(),
    });
    Ok(revoked.collect())
}

/// The serial of what tokens are judged by, made if this is the first start.
///
/// # Errors
/// If the database fails.
pub async fn trust_serial(conn: &mut PgConnection, now: Timestamp) -> Result<u64, StoreError> {
    query!(
        "INSERT INTO trust (serial) VALUES ($1) ON CONFLICT DO NOTHING",
        now.as_microsecond()
    )
    .execute(&mut *conn)
    .await?;
    let row = query!("SELECT serial FROM trust").fetch_one(conn).await?;
    u64::try_from(row.serial).map_err(StoreError::unreadable("the serial of the trust bundle"))
}

/// Raises the serial, and tells every replica once the transaction commits.
///
/// # Errors
/// If the database fails.
pub async fn raise_trust_serial(conn: &mut PgConnection, now: Timestamp) -> Result<(), StoreError> {
    query!(
        "INSERT INTO trust AS t (serial) VALUES ($1)
         ON CONFLICT (only_one) DO UPDATE SET serial = greatest(t.serial + 1, excluded.serial)",
        now.as_microsecond()
    )
    .execute(&mut *conn)
    .await?;
    query!("SELECT pg_notify($1, '')", TRUST_CHANNEL)
        .execute(conn)
        .await?;
    Ok(())
}
