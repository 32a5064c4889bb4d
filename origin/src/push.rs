//! Pushing region logs to edges.
//!
//! One [`follower`] a process reads the logs and publishes a [`feed`] a region; one [`connection`] an edge
//! keeps a cursor a region and sends what lies between, from the feed's ready-made frames, from the
//! log, or as a snapshot. Nothing is queued for anybody: a slow edge has an old cursor, no more.
//! [`roster`] knows who is there at all replicas, and passes on what operators want of edges.
//!
//! Nothing here writes an assignment or knows what a deployment is.

pub mod acks;
pub mod admission;
pub mod connection;
pub mod counting;
pub mod endpoint;
pub mod feed;
pub mod follower;
pub mod hello;
pub mod hub;
pub mod registry;
mod reports;
pub mod roster;
