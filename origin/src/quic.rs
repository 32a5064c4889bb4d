//! The QUIC endpoint that edges connect to: TLS 1.3 only, one stream, and both sides notice within 15
//! seconds that the other is gone.
//!
//! An edge whose origin was killed and started again notices at its next heartbeat: the key of stateless
//! resets (RFC 9000, section 10.3) is derived from the secret, so the new process can tell the edge,
//! believably, that its connection is no more.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac as _};
use liveevents_protocol::frame::ALPN_V1;
use liveevents_protocol::limits::{HEARTBEAT, LIVE_WITHIN};
use quinn::crypto::rustls::QuicServerConfig;
use quinn::crypto::{CryptoError, HmacKey};
use quinn::{
    ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, ServerConfig, TokioRuntime,
    TransportConfig, VarInt,
};
use sha2::Sha256;

use crate::limits::UDP_BUFFER;
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
pub fn endpoint(
    identity: Identity,
    reset_key: &[u8; 32],
    socket: UdpSocket,
) -> Result<Endpoint, QuicError> {
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
    make_room(&socket);
    let runtime = Arc::new(TokioRuntime);
    Ok(Endpoint::new(
        endpoint_config(*reset_key),
        Some(server),
        socket,
        runtime,
    )?)
}

/// A storm of edges is a storm of first packets: what finds no room is sent again only after a second, then three. The
/// kernel grants as much as its administrator allows, and less does no harm.
fn make_room(socket: &UdpSocket) {
    let asked = quinn::udp::UdpSocketState::new(socket.into())
        .and_then(|state| state.set_recv_buffer_size(socket.into(), UDP_BUFFER));
    if let Err(error) = asked {
        tracing::info!(%error, "the socket for edges keeps the usual room for packets");
    }
}

fn endpoint_config(reset_key: [u8; 32]) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(ResetKey(reset_key)));
    // quinn's own ids are marked by a key of this process, which the next would take for noise.
    config.cid_generator(|| Box::new(RandomIds));
    config
}

struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&rand::random::<[u8; 8]>())
    }

    fn cid_len(&self) -> usize {
        8
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

struct ResetKey([u8; 32]);

impl ResetKey {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    fn mac(&self, data: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key of 32 bytes");
        mac.update(data);
        mac
    }
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(&self.mac(data).finalize().into_bytes());
    }

    fn signature_len(&self) -> usize {
        32
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        self.mac(data)
            .verify_slice(signature)
            .map_err(|_| CryptoError)
    }
}
