//! Reaching an origin by QUIC: names, TLS, transport.
//!
//! The origin is verified against the configured CA and nothing else; there is no way to switch that off.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use liveevents_protocol::close::CloseReason;
use liveevents_protocol::frame::ALPN_V1;
use quinn::crypto::rustls::{NoInitialCipherSuite, QuicClientConfig};
use quinn::{ClientConfig, Connection, Endpoint, IdleTimeout, TransportConfig, VarInt};
use rustls::RootCertStore;
use tokio::time::timeout;

use crate::limits::{CONNECT_DEADLINE, GOODBYE_DEADLINE, IDLE_TIMEOUT, KEEP_ALIVE, RECEIVE_WINDOW};

/// Where an origin listens: a name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginAddress {
    host: String,
    port: u16,
}

/// Not `host:port`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be host:port, such as origin.example.com:4433")]
pub struct NotAnAddress;

impl FromStr for OriginAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(NotAnAddress)?;
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        let port = port.parse().map_err(|_| NotAnAddress)?;
        let foreign = |c: char| c.is_whitespace() || c == '/' || (c == ':' && bare.is_none());
        if host.is_empty() || port == 0 || host.contains(foreign) {
            return Err(NotAnAddress);
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for OriginAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// TLS could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The provider lacks TLS 1.3.
    #[error("TLS 1.3 is not to be had")]
    Version(#[source] rustls::Error),
    /// The provider lacks QUIC's initial cipher.
    #[error("QUIC's first cipher is not to be had")]
    Cipher(#[source] NoInitialCipherSuite),
}

/// Why an origin was not reached.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    /// Its name says nothing, or not in time.
    #[error("its name cannot be looked up")]
    Name(#[source] io::Error),
    /// No socket.
    #[error("no socket to be had")]
    Socket(#[source] io::Error),
    /// The attempt was not even made.
    #[error("it cannot be called")]
    Call(#[source] quinn::ConnectError),
    /// It did not answer, or not as an origin should.
    #[error("the handshake failed")]
    Handshake(#[source] quinn::ConnectionError),
    /// No answer in time.
    #[error("it did not answer within {} s", CONNECT_DEADLINE.as_secs())]
    Silent,
}

/// Makes connections.
pub(crate) struct Dialer {
    client: ClientConfig,
    server_name: Option<String>,
}

/// A connection, with the socket that it has to itself.
pub(super) struct Line {
    endpoint: Endpoint,
    pub(super) connection: Connection,
}

impl Dialer {
    /// Trusts `roots`, and expects the certificate to be for `server_name`, or else for the address dialled.
    ///
    /// # Errors
    /// Never in practice: the provider has what is needed.
    pub(crate) fn new(roots: RootCertStore, server_name: Option<String>) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsError::Version)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![ALPN_V1.to_vec()];
        let tls = QuicClientConfig::try_from(tls).map_err(TlsError::Cipher)?;
        let mut client = ClientConfig::new(Arc::new(tls));
        client.transport_config(Arc::new(transport()));
        Ok(Self {
            client,
            server_name,
        })
    }

    /// Connects to an origin, by whichever of its addresses answers first in order, IPv4 before IPv6.
    ///
    /// # Errors
    /// Of the last address tried.
    pub(super) async fn dial(&self, origin: &OriginAddress) -> Result<Line, DialError> {
        let looked_up = timeout(
            CONNECT_DEADLINE,
            tokio::net::lookup_host((origin.host.as_str(), origin.port)),
        );
        let mut addresses: Vec<SocketAddr> = match looked_up.await {
            Ok(found) => found.map_err(DialError::Name)?.collect(),
            Err(late) => return Err(DialError::Name(late.into())),
        };
        addresses.sort_by_key(SocketAddr::is_ipv6);
        let name = self.server_name.as_deref().unwrap_or(&origin.host);
        let mut last = DialError::Name(io::ErrorKind::NotFound.into());
        for address in addresses {
            match self.call(address, name).await {
                Ok(line) => return Ok(line),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn call(&self, address: SocketAddr, name: &str) -> Result<Line, DialError> {
        let local = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let endpoint = Endpoint::client(local).map_err(DialError::Socket)?;
        let connecting = endpoint
            .connect_with(self.client.clone(), address, name)
            .map_err(DialError::Call)?;
        let connection = timeout(CONNECT_DEADLINE, connecting)
            .await
            .map_err(|_| DialError::Silent)?
            .map_err(DialError::Handshake)?;
        Ok(Line {
            endpoint,
            connection,
        })
    }
}

impl Line {
    /// Closes with a reason, and sees to it that the origin gets it, within a deadline.
    pub(super) async fn hang_up(self, reason: CloseReason) {
        self.connection.close(
            VarInt::from_u32(reason.code().into()),
            reason.as_str().as_bytes(),
        );
        // Past the deadline the origin notices by itself.
        let _ = timeout(GOODBYE_DEADLINE, self.endpoint.wait_idle()).await;
    }
}

fn transport() -> TransportConfig {
    let mut transport = TransportConfig::default();
    let idle = IdleTimeout::try_from(IDLE_TIMEOUT).ok();
    transport
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(idle)
        .stream_receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW))
        // The edge opens the one stream; the origin opens none.
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None);
    transport
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_host_and_a_port() {
        for good in [
            "origin:4433",
            "10.0.0.1:1",
            "[::1]:4433",
            "origin.example.com:65535",
        ] {
            assert_eq!(good.parse::<OriginAddress>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "origin",
            "origin:",
            ":4433",
            "origin:0",
            "::1:4433",
            "quic://origin:4433",
            "a b:1",
        ] {
            assert_eq!(bad.parse::<OriginAddress>(), Err(NotAnAddress), "{bad}");
        }
    }
}
