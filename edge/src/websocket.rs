//! The server's side of RFC 6455, over sockets that several tasks write to.
//!
//! Not a library's: one shared, ready-made [`frame`] is written to thousands of sockets by whoever has it at hand, and
//! an idle connection holds no buffer at all. What comes in is judged by a [`Decoder`], which is pure and as strict as
//! the RFC; [`Reader`] feeds it from a socket, [`Outgoing`] keeps what a socket has not taken yet. No extensions are
//! negotiated.

mod decoder;
pub mod frame;
mod handshake;
mod outgoing;
mod reader;
pub mod tls;

pub use decoder::{Decoder, Event, Violation};
pub use handshake::{Handshake, NotUpgradable, accept, socket, upgraded};
pub use outgoing::{Outgoing, Outlet, Written};
pub use reader::{Lost, Reader};
