//! The reference client of game servers.
//!
//! It holds a copy of what its region serves, in memory, and keeps it current over one WebSocket to any
//! edge of the region: connect, resume, apply, ack, reconnect. Readers look at the copy and wait for
//! nobody; with every edge away they read what was last known.
//!
//! ```no_run
//! use liveevents_client::{Client, ClientConfig, Keys, Token};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let edges = vec!["ws://edge-1:8090".parse()?, "ws://edge-2:8090".parse()?];
//! let config = ClientConfig::new("us-east".parse()?, edges, Token::fixed("eyJ…"));
//! let client = Client::connect(config)?;
//!
//! // Once there is something to read:
//! client.changed().wait_for(Option::is_some).await?;
//! for event in client.shown(Keys(&[("player", "p-1")])) {
//!     println!("{} until {:?}", event.content.display_name, event.closes);
//! }
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! What it promises: versions of an epoch never go back, an earlier epoch is never taken, and half a
//! change is never seen. `client/examples/follow.rs` is a whole program.

mod client;
mod config;
mod view;

mod changes;
mod state_file;
mod watch;

mod connection;
mod replica;
mod requests;
mod role;
mod routes;
mod shared;
mod socket;
mod subscription;

mod address;
mod clock;
mod disconnected;
mod freshness;
pub mod limits;
mod link;
mod tls;

pub use address::{Address, AddressError};
pub use changes::{Change, Changes, What};
pub use client::{Client, Ready, Source};
pub use clock::Clock;
pub use config::{AckPolicy, ClientConfig, ConfigError, Observer, Timing, Token, Update};
pub use disconnected::Disconnected;
pub use link::Link;
pub use requests::QueryError;
pub use state_file::{StateFile, StateFileError};
pub use tls::{Tls, TlsError};
pub use view::{Shown, View};
pub use watch::{Updates, WatchClient, WatchError};

/// The terms that the client speaks in.
pub use liveevents_protocol::{
    build::Build,
    evaluate::{Asker, Keys, Moment},
    filter::Filter,
    id::EventId,
    message::{Attribute, Cursor, Level, PlayerEvents, PlayerMessage, QueryResult},
};
