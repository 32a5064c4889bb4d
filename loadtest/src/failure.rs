//! Why a run could not be carried through, for the person who started it.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::fleet::FleetError;
use crate::rest::RestError;

/// Why a run could not be carried through.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A REST call did not go as it should.
    #[error(transparent)]
    Rest(#[from] RestError),
    /// The game servers are not there.
    #[error(transparent)]
    Fleet(#[from] FleetError),
    /// A file that cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file that can be read but not understood.
    #[error("cannot use {}: {problem}", path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// No socket, no thread, or nobody there.
    #[error("cannot connect")]
    Socket {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An address that cannot be listened at.
    #[error("cannot listen at {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Signals cannot be waited for.
    #[error("cannot wait for Ctrl-C")]
    Signal(#[source] io::Error),
    /// Somebody ended it before it was over.
    #[error("interrupted")]
    Interrupted,
    /// It was carried through, and not all was as it should be.
    #[error("{}", .0.join("\n"))]
    Wrong(Vec<String>),
}

/// An error with its causes.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
