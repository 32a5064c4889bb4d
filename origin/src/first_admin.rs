//! Somebody who can log in when nobody else can.

use liveevents_service::clock::Clock;
use liveevents_service::token::Role;
use sqlx::PgPool;
use tracing::info;

use crate::config::FirstAdmin;
use crate::password::{PasswordError, Passwords};
use crate::store::audit::{self, Deed};
use crate::store::{StoreError, users};

/// Why nobody can log in.
#[derive(Debug, thiserror::Error)]
pub enum FirstAdminError {
    /// There are no people, and no password to make one with.
    #[error("nobody can log in yet: set admin.password")]
    NoPassword,
    /// The password could not be hashed.
    #[error("the first admin could not be made")]
    Password(#[from] PasswordError),
    /// The database does not take it.
    #[error("the first admin could not be made")]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for FirstAdminError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Makes the first admin, if there are no people. Another replica may do so at the same moment.
///
/// # Errors
/// If there are none and none could be made.
pub async fn ensure(
    pool: &PgPool,
    passwords: &Passwords,
    admin: &FirstAdmin,
    clock: &Clock,
) -> Result<(), FirstAdminError> {
    let mut tx = pool.begin().await?;
    if !users::is_empty(&mut tx).await? {
        return Ok(());
    }
    let password = admin.password.clone().ok_or(FirstAdminError::NoPassword)?;
    let (name, now) = (admin.username.as_str(), clock.now());
    let hash = passwords.hash(password).await?;
    match users::insert(&mut tx, name, &hash, Role::Admin, now).await {
        Err(error) if error.violates(users::NAME_IS_TAKEN) => return Ok(()),
        done => done?,
    }
    let deed = Deed {
        actor: "liveevents-origin",
        action: "user.create",
        subject: name,
        before: None::<()>,
        after: Some(serde_json::json!({ "role": Role::Admin })),
        trace_id: None,
    };
    audit::record(&mut tx, deed, now).await?;
    tx.commit().await?;
    info!(username = name, "first admin made");
    Ok(())
}
