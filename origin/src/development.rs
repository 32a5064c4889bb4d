//! What Development writes into the data folder, so that edges on the same machine start without a
//! setting being made: the key to pin (`trust-key`) and an enrolment token for all regions (`edge-token`).
//!
//! Nothing of it exists elsewhere: there the operator runs `liveevents-origin trust-key`, and an admin
//! makes enrolment tokens, each for the regions of its edge.

use std::fs;
use std::io;
use std::path::Path;

use liveevents_protocol::id::RegionId;
use liveevents_service::clock::Clock;
use liveevents_service::http::Authority;
use liveevents_service::keys::Keys;
use liveevents_service::token::{Role, SignError};
use sqlx::PgPool;

use crate::issuer::Issuer;
use crate::limits::DEVELOPMENT_TOKEN;
use crate::private_file;
use crate::store::{StoreError, regions, tokens};

/// Why the folder could not be filled.
#[derive(Debug, thiserror::Error)]
pub enum DevelopmentError {
    /// The regions could not be read, or the token not recorded.
    #[error("no enrolment token could be made")]
    Store(#[from] StoreError),
    /// The token could not be signed.
    #[error("no enrolment token could be made")]
    Sign(#[from] SignError),
    /// The folder cannot be written to.
    #[error("the data folder cannot be written to")]
    Write(#[from] io::Error),
}

/// Writes both files. A token that is there and still good for every region is kept: edges may be running
/// with it.
///
/// # Errors
/// If it could not be done.
pub async fn prepare(
    folder: &Path,
    keys: &Keys,
    (issuer, authority): (&Issuer, &Authority),
    pool: &PgPool,
    clock: &Clock,
) -> Result<(), DevelopmentError> {
    let mut tx = pool.begin().await.map_err(StoreError::from)?;
    let regions: Vec<RegionId> = regions::list(&mut tx)
        .await?
        .into_iter()
        .map(|r| r.id)
        .collect();
    fs::create_dir_all(folder)?;
    private_file::write(
        &folder.join("trust-key"),
        &format!("{}\n", keys.trust_key()),
    )?;
    let file = folder.join("edge-token");
    let there = fs::read_to_string(&file).unwrap_or_default();
    if let Ok(claims) = authority.verify(there.trim())
        && claims.role == Role::Edge
        && regions.iter().all(|region| claims.covers(region))
    {
        return Ok(());
    }
    let now = clock.now();
    let claims = issuer.claims("development", Role::Edge, regions, DEVELOPMENT_TOKEN, now);
    let purpose = tokens::Purpose::Service {
        idempotency_key: None,
    };
    tokens::insert(&mut tx, &claims, purpose, "liveevents-origin").await?;
    private_file::write(&file, &format!("{}\n", issuer.sign(&claims)?))?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(())
}
