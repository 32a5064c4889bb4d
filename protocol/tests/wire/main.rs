//! The wire: what is written is read back, lies there byte by byte as pinned, and whatever else comes is an
//! error and no more.
#![expect(clippy::unwrap_used, reason = "tests all through")]

mod damage;
mod decode;
mod document;
mod framing;
mod generate;
mod golden;
mod messages;
mod round_trip;
mod sample;
mod samples;
