//! The edge: a replica, in memory, of what its regions serve, and its serving to players and game servers.
//!
//! It decides nothing: it applies what the origin decides, evaluates it for whoever asks, and reports. Without the
//! origin, or Redis, or both, it goes on with what it last knew and says how old that is.
//!
//! In reading order: what it is told to be, what it holds, where that comes from, what survives a restart, who is
//! served and over what, and how it all starts and ends.

pub mod config;
mod limits;
mod metrics;
mod words;

mod delivery;
mod engagement;
mod replica;
mod schedule;

mod cache;
mod uplink;

mod serve;
pub mod websocket;

pub mod run;
