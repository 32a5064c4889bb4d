//! The published document, `docs/protocol.md` with its schemas and its transcript, says what the code says.

mod page;
mod published;
mod schemas;
mod transcript;
