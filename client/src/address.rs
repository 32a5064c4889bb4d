//! Where an edge is: a WebSocket URL, checked when it is made.

use std::fmt;
use std::str::FromStr;

use liveevents_protocol::message::SUBSCRIBE_PATH;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::http::uri::{InvalidUri, InvalidUriParts, Parts};

/// `ws://host[:port][/path]` or `wss://…`. Without a path it is the endpoint's usual one,
/// `/api/v1/subscribe`.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    uri: Uri,
    host: String,
    port: u16,
    secure: bool,
}

/// Why a text is not an address.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Not a URL at all.
    #[error("is not a URL")]
    NotAUrl(#[source] InvalidUri),
    /// Another scheme, or none.
    #[error("must begin with ws:// or wss://")]
    Scheme,
    /// No host.
    #[error("must name a host")]
    Host,
    /// Tokens do not belong into a URL, nor names and passwords.
    #[error("must not contain a user name or password")]
    Credentials,
    /// The parts do not fit together.
    #[error("is not a complete URL")]
    Incomplete(#[source] InvalidUriParts),
}

impl Address {
    /// The whole URL.
    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// A name or an IP address, without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Whether TLS is spoken.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let uri: Uri = text.parse().map_err(AddressError::NotAUrl)?;
        let (secure, usual_port) = match uri.scheme_str() {
            Some("ws") => (false, 80),
            Some("wss") => (true, 443),
            _ => return Err(AddressError::Scheme),
        };
        if uri.authority().is_some_and(|a| a.as_str().contains('@')) {
            return Err(AddressError::Credentials);
        }
        let host = uri.host().unwrap_or_default();
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        if host.is_empty() {
            return Err(AddressError::Host);
        }
        let port = uri.port_u16().unwrap_or(usual_port);
        Ok(Self {
            uri: with_path(uri)?,
            host,
            port,
            secure,
        })
    }
}

fn with_path(uri: Uri) -> Result<Uri, AddressError> {
    if !matches!(uri.path(), "" | "/") {
        return Ok(uri);
    }
    let mut parts: Parts = uri.into_parts();
    parts.path_and_query = Some(SUBSCRIBE_PATH.parse().map_err(AddressError::NotAUrl)?);
    Uri::from_parts(parts).map_err(AddressError::Incomplete)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_in_port_and_path() {
        let table = [
            ("ws://edge", "ws://edge/api/v1/subscribe", "edge", 80, false),
            (
                "wss://edge/",
                "wss://edge/api/v1/subscribe",
                "edge",
                443,
                true,
            ),
            (
                "ws://[::1]:8090",
                "ws://[::1]:8090/api/v1/subscribe",
                "::1",
                8090,
                false,
            ),
            ("wss://e:1/x?y=z", "wss://e:1/x?y=z", "e", 1, true),
        ];
        for (text, uri, host, port, secure) in table {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), uri);
            assert_eq!((address.host(), address.port()), (host, port));
            assert_eq!(address.is_secure(), secure);
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let table = [
            ("http://edge", "must begin with ws:// or wss://"),
            ("edge:8090", "must begin with ws:// or wss://"),
            ("ws://a b", "is not a URL"),
            (
                "ws://me:secret@edge",
                "must not contain a user name or password",
            ),
        ];
        for (text, message) in table {
            assert_eq!(text.parse::<Address>().unwrap_err().to_string(), message);
        }
    }
}
