//! Tokens that the origin has signed: that they exist, never they themselves.

use std::collections::BTreeMap;

use jiff::Timestamp;
use liveevents_protocol::id::{RegionId, TokenId};
use liveevents_protocol::message::Attribute;
use liveevents_protocol::trust::Revoked;
use liveevents_service::token::{Claims, Role};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{PgConnection, query, query_as};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Page, Paged, StoreError, Time, count, time};

/// A service token.
#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    /// Its name, to revoke it by.
    pub id: TokenId,
    /// What its bearer may do.
    pub role: Role,
    /// Who its bearer is.
    pub subject: String,
    /// Where its bearer may do it.
    pub regions: Vec<RegionId>,
    /// What it says of a player.
    pub claims: Option<PlayerClaims>,
    /// Who had it made.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ceases to be good.
    pub expires_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// What a token says of a player.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlayerClaims {
    /// What segments look at.
    pub attributes: BTreeMap<String, Attribute>,
    /// Bucketing keys besides the player's id.
    pub keys: BTreeMap<String, String>,
}

impl PlayerClaims {
    /// Of these claims, if they say anything.
    #[must_use]
    pub fn of(claims: &Claims) -> Option<Self> {
        let any = !claims.attributes.is_empty() || !claims.keys.is_empty();
        any.then(|| Self {
            attributes: claims.attributes.clone(),
            keys: claims.keys.clone(),
        })
    }
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
    let said = PlayerClaims::of(claims)
        .map(serde_json::to_value)
        .transpose();
    let said = said.map_err(StoreError::unreadable("a token's claims"))?;
    query!(
        "INSERT INTO tokens (token_id, session, role, subject, regions, created_by, created_at,
             expires_at, idempotency_key, claims)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        claims.id.0,
        session,
        claims.role.as_str(),
        claims.subject,
        &regions,
        created_by,
        time(claims.issued_at) as _,
        time(claims.expires_at) as _,
        key,
        said
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Which service tokens to list; all that hold, where given.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this role.
    pub role: Option<Role>,
    /// Of this bearer.
    pub subject: Option<String>,
    /// Made by this person or token.
    pub created_by: Option<String>,
    /// That may act in this region by name.
    pub region: Option<RegionId>,
    /// That are good at this moment; none for all.
    pub good_at: Option<Timestamp>,
}

struct Row {
    token_id: Uuid,
    role: String,
    subject: String,
    regions: Vec<String>,
    claims: Option<Value>,
    created_by: String,
    created_at: Time,
    expires_at: Time,
    revoked_at: Option<Time>,
}

impl Row {
    fn read(self) -> Result<Token, StoreError> {
        let regions = self.regions.iter().map(|region| RegionId::new(region));
        let regions = regions.collect::<Result<_, _>>();
        Ok(Token {
            id: TokenId(self.token_id),
            role: self
                .role
                .parse()
                .map_err(StoreError::unreadable("a token's role"))?,
            subject: self.subject,
            regions: regions.map_err(StoreError::unreadable("a token's regions"))?,
            claims: self
                .claims
                .map(serde_json::from_value)
                .transpose()
                .map_err(StoreError::unreadable("a token's claims"))?,
            created_by: self.created_by,
            created_at: self.created_at.to_jiff(),
            expires_at: self.expires_at.to_jiff(),
            revoked_at: self.revoked_at.map(Time::to_jiff),
        })
    }
}

/// Service tokens, newest first, and how many there are.
///
/// # Errors
/// If the database fails.
pub async fn list(
    conn: &mut PgConnection,
    filter: &Filter,
    page: Page,
) -> Result<Paged<Token>, StoreError> {
    let role = filter.role.map(Role::as_str);
    let region = filter.region.as_ref().map(RegionId::as_str);
    let items = query_as!(
        Row,
        r#"SELECT token_id, role, subject, regions, claims, created_by, created_at as "created_at: Time",
               expires_at as "expires_at: Time", revoked_at as "revoked_at: Time"
           FROM tokens
           WHERE NOT session AND ($1::text IS NULL OR role = $1) AND ($2::text IS NULL OR subject = $2)
               AND ($3::text IS NULL OR created_by = $3) AND ($4::text IS NULL OR $4 = ANY (regions))
               AND ($5::timestamptz IS NULL OR (revoked_at IS NULL AND expires_at > $5))
           ORDER BY created_at DESC, token_id LIMIT $6 OFFSET $7"#,
        role,
        filter.subject.as_deref(),
        filter.created_by.as_deref(),
        region,
        filter.good_at.map(time) as _,
        i64::from(page.limit),
        i64::from(page.offset)
    )
    .fetch_all(&mut *conn)
    .await?;
    let row = query!(
        "SELECT count(*) FROM tokens
         WHERE NOT session AND ($1::text IS NULL OR role = $1) AND ($2::text IS NULL OR subject = $2)
             AND ($3::text IS NULL OR created_by = $3) AND ($4::text IS NULL OR $4 = ANY (regions))
             AND ($5::timestamptz IS NULL OR (revoked_at IS NULL AND expires_at > $5))",
        role,
        filter.subject.as_deref(),
        filter.created_by.as_deref(),
        region,
        filter.good_at.map(time) as _
    )
    .fetch_one(conn)
    .await?;
    Ok(Paged {
        items: items.into_iter().map(Row::read).collect::<Result<_, _>>()?,
        total: count(row.count),
    })
}

/// One token, a session or not; nobody else revokes it until the transaction ends.
///
/// # Errors
/// If the database fails.
pub async fn lock(conn: &mut PgConnection, id: TokenId) -> Result<Option<Token>, StoreError> {
    let row = query_as!(
        Row,
        r#"SELECT token_id, role, subject, regions, claims, created_by, created_at as "created_at: Time",
               expires_at as "expires_at: Time", revoked_at as "revoked_at: Time"
           FROM tokens WHERE token_id = $1 FOR UPDATE"#,
        id.0
    )
    .fetch_optional(conn)
    .await?;
    row.map(Row::read).transpose()
}

/// Revokes one token.
///
/// # Errors
/// If the database fails.
pub async fn revoke(
    conn: &mut PgConnection,
    id: TokenId,
    now: Timestamp,
) -> Result<(), StoreError> {
    query!(
        "UPDATE tokens SET revoked_at = $2 WHERE token_id = $1",
        id.0,
        time(now) as _
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Whether a service token that is good speaks under this name with a person's role.
///
/// # Errors
/// If the database fails.
pub async fn speaks_as(
    conn: &mut PgConnection,
    name: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let row = query!(
        r#"SELECT EXISTS (
               SELECT FROM tokens WHERE subject = $1 AND NOT session AND revoked_at IS NULL AND expires_at > $2
                   AND role IN ('Admin', 'Operator', 'GameDesigner', 'Developer')) as "speaks!""#,
        name,
        time(now) as _
    )
    .fetch_one(conn)
    .await?;
    Ok(row.speaks)
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

/// The serial of what tokens are judged by.
///
/// # Errors
/// If the database fails, or no serial was ever raised.
pub async fn trust_serial(conn: &mut PgConnection) -> Result<u64, StoreError> {
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
