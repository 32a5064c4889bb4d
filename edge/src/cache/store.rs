//! The commands to Redis, each under a deadline. After an error the connection is made anew.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use jiff::Timestamp;
use liveevents_protocol::codec::EncodeError;
use liveevents_protocol::entry::Delta;
use liveevents_protocol::id::{Installation, RegionId};
use liveevents_protocol::limits::MAX_BODY;
use liveevents_protocol::trust::SignedTrust;
use liveevents_service::logs::chain;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, Script};
use tracing::debug;

use super::layout::{self, Fields, Rubbish, Stored};
use crate::limits::{CACHE_CONNECT_DEADLINE, CACHE_DEADLINE, MAX_SNAPSHOT};
use crate::replica::Published;

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It stands there, in a hash of so many fields.
    Applied(usize),
    /// It stood there already.
    Held(usize),
    /// Something newer stands there.
    Newer,
    /// Something else stands there, or nothing: a whole replacement is needed.
    Replace,
}

/// Why Redis did not do as asked.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    /// It failed, refused, or took too long.
    #[error("redis failed")]
    Redis(#[from] RedisError),
    /// What was to be written cannot be encoded.
    #[error("the state cannot be encoded")]
    Encode(#[from] EncodeError),
    /// What is set aside has no JSON form.
    #[error("what is set aside cannot be printed")]
    Print(#[from] serde_json::Error),
    /// What was read is not ours. It has been removed, if it was still there.
    #[error("redis held rubbish")]
    Rubbish(#[from] Rubbish),
}

/// One Redis, for one installation.
pub(super) struct Store {
    client: Client,
    installation: Installation,
    connection: Option<MultiplexedConnection>,
    measure: Script,
    apply: Script,
    replace: Script,
    forget: Script,
    trust: Script,
}

impl Store {
    pub(super) fn new(client: Client, installation: Installation) -> Self {
        Self {
            client,
            installation,
            connection: None,
            measure: Script::new(include_str!("measure.lua")),
            apply: Script::new(concat!(
                include_str!("hash.lua"),
                include_str!("later.lua"),
                include_str!("apply.lua")
            )),
            replace: Script::new(concat!(
                include_str!("hash.lua"),
                include_str!("later.lua"),
                include_str!("replace.lua")
            )),
            forget: Script::new(concat!(
                include_str!("hash.lua"),
                include_str!("forget.lua")
            )),
            trust: Script::new(concat!(include_str!("hash.lua"), include_str!("trust.lua"))),
        }
    }

    /// Forgets the connection: the next command makes a new one.
    pub(super) fn disconnect(&mut self) {
        self.connection = None;
    }

    async fn connection(&mut self) -> Result<MultiplexedConnection, RedisError> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CACHE_CONNECT_DEADLINE))
            .set_response_timeout(Some(CACHE_DEADLINE));
        let connecting = self
            .client
            .get_multiplexed_async_connection_with_config(&config);
        let connection = within(CACHE_CONNECT_DEADLINE, connecting).await?;
        Ok(self.connection.insert(connection).clone())
    }

    /// What Redis holds of a region.
    ///
    /// # Errors
    /// If Redis fails, or holds rubbish.
    pub(super) async fn load(&mut self, region: &RegionId) -> Result<Option<Stored>, StoreError> {
        let key = layout::region_key(&self.installation, region);
        if let Err(rubbish) = self.measured(&key, MAX_SNAPSHOT).await? {
            let cleared = self.clear(region).await;
            return Err(Self::rubbish(rubbish, cleared));
        }
        let mut connection = self.connection().await?;
        let mut command = redis::cmd("HGETALL");
        command.arg(&key);
        let fields: Fields = within(CACHE_DEADLINE, command.query_async(&mut connection)).await?;
        // A fault of this program is as good a reason to do without as one of Redis.
        let read = AssertUnwindSafe(|| layout::read(&fields));
        match catch_unwind(read).unwrap_or(Err(Rubbish::Panicked)) {
            Ok(stored) => Ok(stored),
            Err(rubbish) => {
                let forgotten = self.forget(region, &layout::place(&fields)).await;
                Err(Self::rubbish(rubbish, forgotten))
            }
        }
    }

    /// Rubbish is no less so where it cannot be removed, since Redis takes no writes.
    fn rubbish(rubbish: Rubbish, removed: Result<(), StoreError>) -> StoreError {
        if let Err(error) = removed {
            debug!(
                error = chain(&error),
                "rubbish cannot be removed from redis"
            );
        }
        rubbish.into()
    }

    /// Whether a key has a hash of at most so many bytes, or nothing.
    async fn measured(
        &mut self,
        key: &str,
        most: usize,
    ) -> Result<Result<(), Rubbish>, RedisError> {
        let mut connection = self.connection().await?;
        let call = self.measure.key(key);
        let answer = call.invoke_async(&mut connection);
        let (kind, size): (String, usize) = within(CACHE_DEADLINE, answer).await?;
        Ok(match kind.as_str() {
            "hash" | "none" if size <= most => Ok(()),
            "hash" | "none" => Err(Rubbish::TooLarge(size)),
            _ => Err(Rubbish::NoHash),
        })
    }

    /// Removes a region's hash, whatever it is.
    ///
    /// # Errors
    /// If Redis fails.
    pub(super) async fn clear(&mut self, region: &RegionId) -> Result<(), StoreError> {
        let key = layout::region_key(&self.installation, region);
        let mut connection = self.connection().await?;
        let mut command = redis::cmd("UNLINK");
        command.arg(key);
        let cleared = command.query_async::<()>(&mut connection);
        Ok(within(CACHE_DEADLINE, cleared).await?)
    }

    /// Removes a region's hash if it is still at this place.
    ///
    /// # Errors
    /// If Redis fails.
    pub(super) async fn forget(
        &mut self,
        region: &RegionId,
        place: &[Vec<u8>; 2],
    ) -> Result<(), StoreError> {
        let key = layout::region_key(&self.installation, region);
        let mut connection = self.connection().await?;
        let mut call = self.forget.key(key);
        call.arg(place.as_slice());
        let _: i64 = within(CACHE_DEADLINE, call.invoke_async(&mut connection)).await?;
        Ok(())
    }

    /// Writes what changed up to `published`. A delta of nothing tells only that the state is still current.
    ///
    /// # Errors
    /// If Redis fails.
    pub(super) async fn apply(
        &mut self,
        region: &RegionId,
        published: &Published,
        delta: Delta,
        contact: Timestamp,
    ) -> Result<Written, StoreError> {
        let key = layout::region_key(&self.installation, region);
        let mut connection = self.connection().await?;
        let mut call = self.apply.key(key);
        call.arg(delta.epoch.to_string())
            .arg(delta.from.0)
            .arg(delta.to.0)
            .arg(published.state().floor().0)
            .arg(layout::seal(published.sealed()))
            .arg(layout::time(published.committed_at()))
            .arg(contact.as_microsecond())
            .arg(layout::aside(published.quarantine())?)
            .arg(layout::entry_fields(delta.entries)?);
        let answer: (String, usize) =
            within(CACHE_DEADLINE, call.invoke_async(&mut connection)).await?;
        verdict(&answer)
    }

    /// Writes all of `published`, and nothing else is left.
    ///
    /// # Errors
    /// If Redis fails.
    pub(super) async fn replace(
        &mut self,
        region: &RegionId,
        published: &Published,
        contact: Timestamp,
    ) -> Result<Written, StoreError> {
        let key = layout::region_key(&self.installation, region);
        let mut connection = self.connection().await?;
        let snapshot = published.state().snapshot();
        let mut call = self.replace.key(key);
        call.arg(snapshot.epoch.to_string())
            .arg(snapshot.version.0)
            .arg(snapshot.floor.0)
            .arg(layout::seal(published.sealed()))
            .arg(layout::time(published.committed_at()))
            .arg(contact.as_microsecond())
            .arg(layout::aside(published.quarantine())?)
            .arg(layout::entry_fields(snapshot.entries)?);
        let answer: (String, usize) =
            within(CACHE_DEADLINE, call.invoke_async(&mut connection)).await?;
        verdict(&answer)
    }

    /// The trust bundle, as it was signed. Whoever can write to Redis can put anything there.
    ///
    /// # Errors
    /// If Redis fails, or holds what is too large or no hash.
    pub(super) async fn load_trust(&mut self) -> Result<Option<SignedTrust>, StoreError> {
        let key = layout::trust_key(&self.installation);
        self.measured(&key, MAX_BODY).await??;
        let mut connection = self.connection().await?;
        let mut command = redis::cmd("HMGET");
        command.arg(key).arg(&["signatures", "bytes"]);
        let (signatures, bytes): (Option<Vec<u8>>, Option<Vec<u8>>) =
            within(CACHE_DEADLINE, command.query_async(&mut connection)).await?;
        Ok(signatures.zip(bytes).map(|(signatures, bytes)| {
            let (signatures, _) = signatures.as_chunks();
            SignedTrust {
                signatures: signatures.to_vec(),
                bytes,
            }
        }))
    }

    /// Keeps a trust bundle, unless one with a higher serial is kept; says whether it is. `insist` if that one is none.
    ///
    /// # Errors
    /// If Redis fails.
    pub(super) async fn save_trust(
        &mut self,
        serial: u64,
        trust: &SignedTrust,
        insist: bool,
    ) -> Result<bool, StoreError> {
        let mut connection = self.connection().await?;
        let mut call = self.trust.key(layout::trust_key(&self.installation));
        call.arg(serial)
            .arg(trust.signatures.concat())
            .arg(&trust.bytes)
            .arg(if insist { "insist" } else { "" });
        let verdict: String = within(CACHE_DEADLINE, call.invoke_async(&mut connection)).await?;
        Ok(verdict == "kept")
    }
}

fn verdict((word, fields): &(String, usize)) -> Result<Written, StoreError> {
    match word.as_str() {
        "applied" => Ok(Written::Applied(*fields)),
        "held" => Ok(Written::Held(*fields)),
        "newer" => Ok(Written::Newer),
        "replace" => Ok(Written::Replace),
        _ => Err(RedisError::from((
            redis::ErrorKind::UnexpectedReturnType,
            "a script answered with an unknown word",
        ))
        .into()),
    }
}

/// The library's own time-outs do not cover everything (name look-up, script loading): this one does.
async fn within<T>(
    deadline: Duration,
    command: impl Future<Output = Result<T, RedisError>>,
) -> Result<T, RedisError> {
    match tokio::time::timeout(deadline, command).await {
        Ok(answer) => answer,
        Err(late) => Err(std::io::Error::from(late).into()),
    }
}
