//! Names and passwords of people.
//!
//! Passwords are kept as argon2id hashes. Hashing takes tens of milliseconds of one core and 19 MiB by
//! intent, so it runs off the runtime's threads, only so many at once, and so many wait for it. A login of somebody
//! unknown costs the same as one of somebody known, so that the time taken tells nothing.

use std::sync::Arc;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Argon2, Params};
use liveevents_service::metrics::{Metrics, MetricsError};
use prometheus::IntCounter;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use crate::limits;

/// A password could not be hashed or checked: the machine's fault, not the password's.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Argon2 refused.
    #[error("a password could not be hashed: {0}")]
    Hash(argon2::password_hash::Error),
    /// The hashing task died, or the process is ending.
    #[error("a password could not be hashed in time")]
    Abandoned,
    /// So many wait already.
    #[error("too many passwords wait to be hashed")]
    Crowded,
    /// Two metrics of one name.
    #[error("the work of hashing cannot be counted")]
    Metrics(#[from] MetricsError),
}

/// Hashes and checks passwords, a few at a time.
#[derive(Debug, Clone)]
pub struct Passwords {
    slots: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    work: IntCounter,
    /// Of nobody's password, checked in place of a hash that does not exist.
    nobody: Arc<str>,
}

impl Passwords {
    /// Takes the time of one hashing.
    ///
    /// # Errors
    /// If hashing does not work.
    pub fn new(metrics: &Metrics) -> Result<Self, PasswordError> {
        let nobody: [u8; 16] = rand::random();
        Ok(Self {
            slots: Arc::new(Semaphore::new(limits::HASHINGS)),
            queue: Arc::new(Semaphore::new(limits::HASHINGS + limits::HASHINGS_WAITING)),
            work: metrics.counter(
                "password_work_kibibytes_total",
                "Memory that hashing of passwords went through: its cost, whoever's password it was.",
            )?,
            nobody: hash(&nobody)?.into(),
        })
    }

    /// The hash to store.
    ///
    /// # Errors
    /// If hashing does not work.
    pub async fn hash(&self, password: SecretString) -> Result<String, PasswordError> {
        let hash = self
            .run(move || hash(password.expose_secret().as_bytes()))
            .await??;
        self.work.inc_by(work(&hash));
        Ok(hash)
    }

    /// Whether this is the password of the hash. Without a hash it is not, after the same time.
    ///
    /// # Errors
    /// If hashing does not work.
    pub async fn verify(
        &self,
        password: SecretString,
        hash: Option<String>,
    ) -> Result<bool, PasswordError> {
        let nobody = Arc::clone(&self.nobody);
        // One that cannot be read is as good as none.
        let theirs = hash.filter(|hash| PasswordHash::new(hash).is_ok());
        let (matches, work) = self
            .run(move || {
                let known = theirs.is_some();
                let hash = theirs.as_deref().unwrap_or(&nobody);
                let matches = PasswordHash::new(hash).is_ok_and(|hash| {
                    let password = password.expose_secret().as_bytes();
                    Argon2::default().verify_password(password, &hash).is_ok()
                });
                (matches && known, work(hash))
            })
            .await?;
        self.work.inc_by(work);
        Ok(matches)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let place = Arc::clone(&self.queue).try_acquire_owned();
        let place = place.map_err(|_| PasswordError::Crowded)?;
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let slot = slot.map_err(|_| PasswordError::Abandoned)?;
        let work = spawn_blocking(move || {
            let done = work();
            drop((slot, place));
            done
        });
        work.await.map_err(|_| PasswordError::Abandoned)
    }
}

fn hash(password: &[u8]) -> Result<String, PasswordError> {
    let salt: [u8; 16] = rand::random();
    let salt = SaltString::encode_b64(&salt).map_err(PasswordError::Hash)?;
    let hash = Argon2::default().hash_password(password, &salt);
    hash.map(|hash| hash.to_string())
        .map_err(PasswordError::Hash)
}

/// What it cost to make or check this hash, in KiB of memory gone through.
fn work(hash: &str) -> u64 {
    let hash = PasswordHash::new(hash).ok();
    let params = hash.and_then(|hash| Params::try_from(&hash).ok());
    params.map_or(0, |params| {
        u64::from(params.m_cost()) * u64::from(params.t_cost())
    })
}

/// Checks a password about to be set.
///
/// # Errors
/// If it is too short or absurdly long.
pub fn check(password: &SecretString) -> Result<(), &'static str> {
    match password.expose_secret().chars().count() {
        ..limits::MIN_PASSWORD => Err("must have at least 12 characters"),
        limits::MIN_PASSWORD..=limits::MAX_PASSWORD => Ok(()),
        _ => Err("must have at most 1000 characters"),
    }
}

/// Checks a user name; the schema holds the same rule.
///
/// # Errors
/// If it is not 1 to 100 plain characters.
pub fn check_username(name: &str) -> Result<(), &'static str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '+' | '-');
    if (1..=100).contains(&name.len()) && name.chars().all(plain) {
        Ok(())
    } else {
        Err("must be 1 to 100 letters, digits and .-_@+")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_fits_its_password_and_no_other() {
        let passwords = Passwords::new(&Metrics::new().unwrap()).unwrap();
        let hash = passwords
            .hash("correct horse battery".into())
            .await
            .unwrap();
        assert!(hash.starts_with("$argon2id$"));
        let verify = |password: &'static str, hash: Option<String>| {
            let passwords = passwords.clone();
            async move { passwords.verify(password.into(), hash).await.unwrap() }
        };
        assert!(verify("correct horse battery", Some(hash.clone())).await);
        assert!(!verify("correct horse batterz", Some(hash.clone())).await);
        assert!(!verify("correct horse battery", None).await);
        assert!(!verify("correct horse battery", Some("garbage".to_owned())).await);
        let again = passwords
            .hash("correct horse battery".into())
            .await
            .unwrap();
        assert_ne!(hash, again, "salted");
    }

    #[tokio::test]
    async fn whoever_is_asked_for_the_same_work_is_done() {
        let passwords = Passwords::new(&Metrics::new().unwrap()).unwrap();
        let password = || SecretString::from("correct horse battery");
        let hash = passwords.hash(password()).await.unwrap();
        let mut costs = Vec::new();
        for hash in [Some(hash), None, Some("garbage".to_owned())] {
            let before = passwords.work.get();
            passwords.verify(password(), hash).await.unwrap();
            costs.push(passwords.work.get() - before);
        }
        // What OWASP asks for at least: 19 MiB, gone through twice.
        assert_eq!(costs, [2 * 19 * 1024; 3]);
    }

    #[tokio::test]
    async fn more_than_can_wait_are_told_so_and_do_no_harm() {
        let passwords = Passwords::new(&Metrics::new().unwrap()).unwrap();
        let all = u32::try_from(limits::HASHINGS + limits::HASHINGS_WAITING).unwrap();
        let held = passwords.queue.try_acquire_many(all).unwrap();
        let refused = passwords.verify("correct horse battery".into(), None).await;
        assert!(matches!(refused, Err(PasswordError::Crowded)));
        drop(held);
        assert!(
            !passwords
                .verify("correct horse battery".into(), None)
                .await
                .unwrap()
        );
    }

    #[test]
    fn rules() {
        assert!(check(&"x".repeat(11).into()).is_err());
        assert!(check(&"x".repeat(12).into()).is_ok());
        assert!(check(&"x".repeat(1001).into()).is_err());
        assert!(check_username("ada.lovelace@example.com").is_ok());
        assert!(check_username("").is_err());
        assert!(check_username("a b").is_err());
        assert!(check_username(&"x".repeat(101)).is_err());
    }
}
