//! What a game server says about itself and its edges.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use liveevents_protocol::build::Build;
use liveevents_protocol::filter::{Filter, TooMuch};
use liveevents_protocol::id::{Installation, RegionId};
use liveevents_protocol::message::Level;
use liveevents_protocol::state::RegionState;
use liveevents_protocol::version::{Epoch, Version};

use crate::address::Address;
use crate::clock::Clock;
use crate::limits;
use crate::tls::Tls;

/// Everything a [`crate::Client`] or [`crate::WatchClient`] needs to know. Make one with [`ClientConfig::new`] and
/// change what should be different.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// The region that the game server is in.
    pub region: RegionId,
    /// Edges of that region, at least one. Each is as good as the other: the client begins with a
    /// random one and goes on to the next whenever one fails.
    pub addresses: Vec<Address>,
    /// Proof that it may subscribe.
    pub token: Token,
    /// Whose events are expected. Left out, it is that of the first edge, or of the state file; an edge of
    /// another is refused either way.
    pub installation: Option<Installation>,
    /// [`Level::Region`] or [`Level::Local`]. Both hold the region's state; the latter says that this client
    /// evaluates it for its players. A [`crate::WatchClient`] has its own.
    pub level: Level,
    /// Which events are wanted. Every one, if no list is given.
    pub filter: Filter,
    /// The game's build. It decides what is shown where the asker says none.
    pub build: Option<Build>,
    /// Who says that players see a version.
    pub ack_policy: AckPolicy,
    /// Where to keep the last known state, so that the game server starts with every edge away. One file for
    /// each process. Not for a [`crate::WatchClient`].
    pub state_file: Option<PathBuf>,
    /// For a [`crate::WatchClient`]: whether events come with their configuration.
    pub include_config: bool,
    /// For a [`crate::WatchClient`]: the language of those players that name none.
    pub language: Option<String>,
    /// Whom to trust, for `wss://` addresses.
    pub tls: Option<Tls>,
    /// The time here; the edge's time is reckoned from it.
    pub clock: Clock,
    /// Is shown every update.
    pub observer: Option<Observer>,
    /// Deadlines and delays.
    pub timing: Timing,
}

/// Who says that players see a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AckPolicy {
    /// The client, as soon as readers can see it: acked as Applied.
    #[default]
    OnArrival,
    /// The application, by [`crate::Client::applied`], for instance when the match ends: until then acked as
    /// Deferred.
    ByApplication,
}

impl ClientConfig {
    /// A plain configuration: level Region, everything wanted, acked on arrival, no file, no build, no TLS, a steady
    /// clock, usual timing.
    #[must_use]
    pub fn new(region: RegionId, addresses: Vec<Address>, token: Token) -> Self {
        Self {
            region,
            addresses,
            token,
            installation: None,
            level: Level::Region,
            filter: Filter::default(),
            build: None,
            ack_policy: AckPolicy::default(),
            state_file: None,
            include_config: true,
            language: None,
            tls: None,
            clock: Clock::steady(),
            observer: None,
            timing: Timing::default(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.filter.check()?;
        match self.addresses.iter().find(|a| a.is_secure()) {
            Some(address) if self.tls.is_none() => Err(ConfigError::NoTls {
                address: address.clone(),
            }),
            _ => Ok(()),
        }
    }
}

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Nowhere to connect to.
    #[error("addresses must name at least one edge")]
    NoAddress,
    /// A `wss://` address, and nobody to trust.
    #[error("tls must be set for {address}")]
    NoTls {
        /// The first such address.
        address: Address,
    },
    /// A client that holds the region watches nobody.
    #[error("level must be Region or Local; for Watch there is WatchClient")]
    Level,
    /// A client that watches has no region's state to keep.
    #[error("state_file is for level Region or Local")]
    StateFile,
    /// More than an edge takes.
    #[error(transparent)]
    Filter(#[from] TooMuch),
}

/// A bearer token, or where to get one. Never shown by `Debug`.
#[derive(Clone)]
pub struct Token(Arc<dyn Fn() -> String + Send + Sync>);

impl Token {
    /// Always the same.
    pub fn fixed(token: impl Into<String>) -> Self {
        let token = token.into();
        Self::provider(move || token.clone())
    }

    /// Asked before each connection, and when the edge says that the present one expires, so that a token renewed
    /// elsewhere is used from then on. It is called from the client's task and must not block.
    pub fn provider(token: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(token))
    }

    pub(crate) fn get(&self) -> String {
        (self.0)()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

/// A snapshot or delta that took the client forward.
#[derive(Debug, Clone)]
pub struct Update {
    /// Of which history.
    pub epoch: Epoch,
    /// Where the client was before; `None` for a snapshot that did not continue what it held.
    pub from: Option<Version>,
    /// Where it is now.
    pub version: Version,
    /// When that version was written at the origin, where the edge knows.
    pub committed_at: Option<Timestamp>,
    /// When the message came, by [`ClientConfig::clock`].
    pub received_at: Timestamp,
    /// All that the region serves now. [`RegionState::since`] `from` tells what this update changed.
    pub state: Arc<RegionState>,
}

/// Is shown each update once readers can see it, in order, none left out, and before those who wait for
/// it wake.
///
/// There is no queue behind it: it is called from the client's task, which reads on when it returns, so
/// it must not block. A slow observer makes its own client slow, and the edge then merges what it sends:
/// an update may span several versions. Nothing depends on observing, [`crate::Client::state`] is always
/// whole.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(&Update) + Send + Sync>);

impl Observer {
    /// Calls this.
    pub fn new(observe: impl Fn(&Update) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observe))
    }

    pub(crate) fn observe(&self, update: &Update) {
        (self.0)(update);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer(..)")
    }
}

/// Deadlines and delays, each explained in [`crate::limits`].
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each constant says it")]
pub struct Timing {
    pub connect: Duration,
    pub welcome: Duration,
    pub write: Duration,
    pub ping_after: Duration,
    pub dead_after: Duration,
    pub close: Duration,
    pub backoff_base: Duration,
    pub backoff_max: Duration,
    pub fix_rest: Duration,
    pub stable_after: Duration,
    pub ahead_patience: Duration,
    pub state_file_every: Duration,
    pub state_file_refresh: Duration,
    pub reports_every: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: limits::CONNECT,
            welcome: limits::WELCOME,
            write: limits::WRITE,
            ping_after: limits::PING_AFTER,
            dead_after: limits::DEAD_AFTER,
            close: limits::CLOSE,
            backoff_base: limits::BACKOFF_BASE,
            backoff_max: limits::BACKOFF_MAX,
            fix_rest: limits::FIX_REST,
            stable_after: limits::STABLE_AFTER,
            ahead_patience: limits::AHEAD_PATIENCE,
            state_file_every: limits::STATE_FILE_EVERY,
            state_file_refresh: limits::STATE_FILE_REFRESH,
            reports_every: limits::REPORTS_EVERY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(addresses: &[&str]) -> ClientConfig {
        let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
        ClientConfig::new(
            RegionId::new("us-east").unwrap(),
            addresses,
            Token::fixed("s3cret"),
        )
    }

    #[test]
    fn never_shows_the_token() {
        let text = format!("{:?}", config(&["ws://a"]));
        assert!(text.contains("Token(redacted)"));
        assert!(!text.contains("s3cret"));
        assert_eq!(config(&[]).token.get(), "s3cret");
    }

    #[test]
    fn asks_for_what_is_missing() {
        assert!(config(&["ws://a", "ws://b"]).check().is_ok());
        assert_eq!(
            config(&["ws://a", "wss://b"])
                .check()
                .unwrap_err()
                .to_string(),
            "tls must be set for wss://b/api/v1/subscribe"
        );
    }
}
