//! The reference client of game servers.
//!
//! It holds a copy of what its region serves, in memory, and keeps it current over one WebSocket to any
//! edge of the region: connect, resume, apply, ack, reconnect. Readers look at the copy and wait for
//! nobody; with every edge away they read what was last known, from a file if the game server has just started.
//!
//! ```no_run
//! use liveevents_client::{Client, ClientConfig, Keys, Token};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let edges = vec!["ws://edge-1:8090".parse()?, "ws://edge-2:8090".parse()?];
//! let mut config = ClientConfig::new("us-east".parse()?, edges, Token::fixed("eyJ…"));
//! config.state_file = Some("/var/lib/game/events.state".into());
//! let client = Client::connect(config)?;
//!
//! // At once if the file has something, else when an edge answers.
//! println!("{:?}", client.ready().await);
//! for event in client.shown(Keys(&[("player", "p-1")])) {
//!     println!("{} until {:?}", event.content.display_name, event.closes);
//! }
//! if client.event(&"flash-sale".parse()?, Keys(&[("player", "p-1")])).is_some() {
//!     println!("half price for p-1");
//! }
//!
//! let mut changes = client.changes();
//! while let Some(change) = changes.next().await {
//!     println!("{}: {:?}", change.event, change.what);
//! }
//! # client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Events for segments of players need to know what segments look at; without it they are shown to nobody:
//!
//! ```no_run
//! # use liveevents_client::{Asker, Attribute, Attributes, Client, Keys};
//! # fn example(client: &Client) {
//! let known = [("level".to_owned(), Attribute::Number(12.into()))].into();
//! let asker = Asker {
//!     keys: Keys(&[("player", "p-1")]),
//!     attributes: Attributes::new(&known).on(Some("ps5")),
//!     ..Asker::default()
//! };
//! for event in client.shown(asker) {
//!     println!("{}", event.content.display_name);
//! }
//! # }
//! ```
//!
//! A game server that would rather not evaluate names its players instead, and is told each one's events:
//!
//! ```no_run
//! use liveevents_client::{ClientConfig, PlayerMessage, Token, WatchClient};
//!
//! # async fn example(config: ClientConfig, players: Vec<PlayerMessage>)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! let client = WatchClient::connect(config)?;
//! client.watch(players)?;
//! let mut updates = client.updates();
//! while let Some(player) = updates.next().await {
//!     println!("{} is shown {} events", player.player, player.events.len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What players do is told the same way, and counted once, whatever dies:
//!
//! ```no_run
//! # use liveevents_client::{Client, Happening, Report, Seen};
//! # fn example(client: &Client) -> Result<(), Box<dyn std::error::Error>> {
//! client.report(Report {
//!     event_id: "flash-sale".parse()?,
//!     player: "p-1".to_owned(),
//!     happening: Happening::Purchase {
//!         amount: "4.99".parse()?,
//!         currency: "EUR".to_owned(),
//!     },
//!     // What the player saw is found out from what the client holds.
//!     seen: Seen::default(),
//!     attributes: Default::default(),
//!     platform: None,
//! })?;
//! println!("{:?}", client.reported().borrow());
//! # Ok(())
//! # }
//! ```
//!
//! What it promises: versions of an epoch never go back, an earlier epoch is never taken, half a
//! change is never seen, and what it shows opens and closes on the second, whoever is away. What it cannot read of an
//! event costs that event its newest change, and nothing else. No queue grows with what a slow application has missed.
//!
//! Whole programs are in `client/examples`: `follow` prints what changes, `local` evaluates for players, `watch` lets the
//! edge do that, `offline` starts with every edge away.

mod client;
mod config;
mod view;

mod changes;
mod state_file;
mod watch;

mod connection;
mod replica;
mod reports;
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
pub use reports::{ReportError, Reported};
pub use requests::QueryError;
pub use state_file::{StateFile, StateFileError};
pub use tls::{Tls, TlsError};
pub use view::{Shown, View};
pub use watch::{Updates, WatchClient, WatchError};

/// The terms that the client speaks in.
pub use liveevents_protocol::{
    attribute::{Attribute, Attributes, Number},
    build::Build,
    engagement::{Amount, Happening, Refused, Report, Seen, Sentiment},
    evaluate::{Asker, Keys, Moment},
    filter::Filter,
    id::EventId,
    message::{Cursor, Level, PlayerEvents, PlayerMessage, QueryResult},
};
