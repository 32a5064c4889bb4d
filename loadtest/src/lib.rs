//! Load on a LiveEvents installation, and a demonstration of it: through REST and the reference client,
//! like anybody else.

pub mod arguments;
pub mod bench;
pub mod conform;
pub mod demo;
pub mod subscribe;

pub mod fleet;
pub mod receipts;
pub mod receivers;
pub mod rest;
pub mod spread;

pub mod address;
pub mod clock;
pub mod failure;
mod limits;
