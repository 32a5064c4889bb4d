//! What both server processes share: settings, logs, the clock, keys and tokens, HTTP, metrics, and
//! how a process starts and ends.
//!
//! It is a crate of its own for the sake of the dependencies that only it may have: jsonwebtoken,
//! ed25519-dalek, hkdf, toml and hyper. It knows nothing of events.
//!
//! In reading order: what a process begins with, who somebody is, how HTTP is answered, how it ends.

pub mod clock;
pub mod config;
pub mod logs;
pub mod metrics;

pub mod keys;
pub mod token;
pub mod trust;

pub mod http;
pub mod limits;

pub mod shutdown;

#[cfg(feature = "openapi")]
mod openapi;
