//! LiveEvents' common language: terms, wire frames, WebSocket messages, bucketing and evaluation.
//!
//! Everything here is pure: no IO, no clock, no randomness. The origin, the edge and the reference
//! client run the same code, so that what a preview says is what a player sees.
//!
//! In reading order: identifiers and numbers, what a region serves, who gets what, then how it
//! travels.

// What a peer sends must not panic, nor turn into another number. Tests may.
#![cfg_attr(
    not(test),
    warn(clippy::indexing_slicing, clippy::cast_possible_truncation)
)]

pub mod id;
pub mod position;
pub mod trust;
pub mod version;

pub mod attribute;
pub mod build;
pub mod conditions;
pub mod engagement;
pub mod entry;
pub mod filter;
pub mod json_text;
pub mod model;
pub mod schedule;
pub mod segment;
pub mod state;

pub mod bucketing;
pub mod evaluate;
pub mod told;

pub mod backoff;
pub mod close;
pub mod codec;
pub mod delay;
pub mod frame;
pub mod limits;
pub mod message;

#[cfg(feature = "openapi")]
mod openapi;
