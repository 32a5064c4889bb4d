//! Guarantee 5: whatever comes to the ports, by noise, by mistake or on purpose, is refused with a reason where there
//! is somebody to tell it to, logged and counted, and nobody else notices: other edges and their game servers go on
//! over the connections that they had.
//!
//! What each message and frame is refused with is tested beside the code (`origin/tests/push.rs`,
//! `edge/tests/refusals.rs`); here it happens to processes at work.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by it"
)]

#[path = "../common/mod.rs"]
mod common;

mod scene;

mod edges;
mod game_servers;
mod quic;
