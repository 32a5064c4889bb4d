//! The QUIC endpoint that edges connect to: TLS 1.3 only, one stream, and both sides notice within 15
//! seconds that the other is gone.

use std::net::UdpSocket;
use std::sync::Arc;

use liveevents_protocol::frame::ALPN_V1;
use liveevents_protocol::limits::{HEARTBEAT, LIVE_WITHIN};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, EndpointConfig, ServerConfig, TokioRuntime, TransportConfig, VarInt};

use crate::tls::Identity;

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
pub enum QuicError {
    /// The key does not fit the certificate, or is of a kind that TLS 1.3 does not know.
    #[error("the certificate for edges cannot be used")]
    Certificate(#[from] rustls::Error),
    /// The provider lacks QUIC's first cipher.
    #[error("QUIC's first cipher is not to be had")]
    Cipher(#[from] quinn::crypto::rustls::NoInitialCipherSuite),
    /// The socket cannot be used.
    #[error("the socket for edges cannot be used")]
    Socket(#[from] std::io::Error),
}

/// Listens on a bound socket.
///
/// # Errors
/// If certificate or socket cannot be used.
pub fn endpoint(identity: Identity, socket: UdpSocket) -> Result<Endpoint, QuicError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(identity.chain, identity.key)?;
    tls.alpn_protocols = vec![ALPN_V1.to_vec()];
    let mut server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .keep_alive_interval(Some(HEARTBEAT))
        .max_idle_timeout(LIVE_WITHIN.try_into().ok());
    server.transport_config(Arc::new(transport));
    let runtime = Arc::new(TokioRuntime);
    Ok(Endpoint::new(
        EndpointConfig::default(),
        Some(server),
        socket,
        runtime,
    )?)
}
