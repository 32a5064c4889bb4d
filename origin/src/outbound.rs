//! Asking others over HTTPS: addresses that an admin has configured, and nothing else.
//!
//! Whoever may name an address could make the origin ask machines that only the origin reaches. So a name is looked up
//! here, every address that it has must be a public one, and the connection is made to an address that was judged, not
//! to the name a second time. Nothing is followed: a redirect is an answer like any other, and the caller's to judge.
//! Every step is under one deadline, and an answer is read up to a bound. In Development private addresses and plain
//! HTTP are as good.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::limits::OUTBOUND_DEADLINE;

/// Asks. Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    tls: TlsConnector,
    development: bool,
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Any; a redirect too.
    pub status: StatusCode,
    /// All.
    pub headers: HeaderMap,
    /// Whole.
    pub body: Bytes,
}

/// Why there is no answer. The texts are for whoever configured the address.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// It is not an address to ask.
    #[error("{0}")]
    Address(&'static str),
    /// The name stands for a machine that is nobody else's business.
    #[error("the host has the address {0}, which is not a public one")]
    Private(IpAddr),
    /// The name is unknown.
    #[error("the host cannot be looked up")]
    Lookup(#[source] io::Error),
    /// Nobody answers, or not to whom they should.
    #[error("the host cannot be connected to")]
    Connect(#[source] io::Error),
    /// They do not speak HTTP.
    #[error("the host did not answer as a web server does")]
    Http(#[from] hyper::Error),
    /// The answer goes on and on.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// It takes too long.
    #[error("the host did not answer in time")]
    TimedOut,
}

/// An address that may be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    uri: Uri,
    host: String,
    port: u16,
    tls: bool,
}

impl Outbound {
    /// Believes servers that a public authority vouches for. `development` lets private addresses and plain HTTP be asked.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new(development: bool) -> Result<Self, rustls::Error> {
        let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        Self::believing(roots, development)
    }

    /// Believes servers that one of these vouches for.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn believing(roots: RootCertStore, development: bool) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config)),
            development,
        })
    }

    /// Reads an address that somebody wants to have asked.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn address(&self, text: &str) -> Result<Address, OutboundError> {
        let address = |problem| OutboundError::Address(problem);
        let uri: Uri = text.parse().map_err(|_| address("must be a URL"))?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if self.development => false,
            _ => return Err(address("must be a URL that begins with https://")),
        };
        let authority = uri.authority().ok_or(address("must name a host"))?;
        if authority.as_str().contains('@') {
            return Err(address("must not have a user name or password"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(address("must name a host"));
        }
        if let Ok(ip) = host.parse() {
            self.permit(ip)?;
        }
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Address {
            uri,
            host,
            port,
            tls,
        })
    }

    /// Asks, and reads at most so many bytes of an answer.
    ///
    /// # Errors
    /// If there is no answer, or a larger one.
    pub async fn ask(
        &self,
        method: Method,
        address: &Address,
        most: usize,
    ) -> Result<Answered, OutboundError> {
        let asking = async {
            let stream = self.connect(address).await?;
            if !address.tls {
                return exchange(stream, method, address, most).await;
            }
            let name = ServerName::try_from(address.host.clone())
                .map_err(|_| OutboundError::Address("must name a host"))?;
            let stream = self.tls.connect(name, stream).await;
            let stream = stream.map_err(OutboundError::Connect)?;
            exchange(stream, method, address, most).await
        };
        timeout(OUTBOUND_DEADLINE, Box::pin(asking))
            .await
            .map_err(|_| OutboundError::TimedOut)?
    }

    async fn connect(&self, address: &Address) -> Result<TcpStream, OutboundError> {
        let found = lookup_host((address.host.as_str(), address.port)).await;
        let found: Vec<SocketAddr> = found.map_err(OutboundError::Lookup)?.collect();
        // One that is not public makes all of them suspect: who answers is whoever owns the name.
        for address in &found {
            self.permit(address.ip())?;
        }
        let stream = TcpStream::connect(found.as_slice()).await;
        stream.map_err(OutboundError::Connect)
    }

    fn permit(&self, ip: IpAddr) -> Result<(), OutboundError> {
        if self.development || is_public(ip) {
            Ok(())
        } else {
            Err(OutboundError::Private(ip))
        }
    }
}

/// One request on a connection of its own.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    method: Method,
    address: &Address,
    most: usize,
) -> Result<Answered, OutboundError> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream)).await?;
    // It ends with this function, whatever becomes of it.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let path = address.uri.path_and_query();
    let path = path.map_or("/", |path| path.as_str()).to_owned();
    let mut request = hyper::Request::new(Empty::new());
    *request.method_mut() = method;
    *request.uri_mut() = path
        .parse()
        .map_err(|_| OutboundError::Address("must be a URL"))?;
    let host = address.uri.authority().map_or("", |host| host.as_str());
    let host = HeaderValue::from_str(host);
    let host = host.map_err(|_| OutboundError::Address("must name a host"))?;
    request.headers_mut().insert(header::HOST, host);
    let agent = HeaderValue::from_static(concat!("liveevents-origin/", env!("CARGO_PKG_VERSION")));
    request.headers_mut().insert(header::USER_AGENT, agent);
    let response = sender.send_request(request).await?;
    let (parts, body) = response.into_parts();
    Ok(Answered {
        status: parts.status,
        headers: parts.headers,
        body: read(body, most).await?,
    })
}

async fn read(mut body: Incoming, most: usize) -> Result<Bytes, OutboundError> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if whole.len() + data.len() > most {
            return Err(OutboundError::TooLarge(most));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// Whether an address is one of the internet's, by the registries of special-purpose addresses (RFC 6890 and after).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let special = ip.is_private()
        || ip.is_loopback()
        || ip.is_link_local()
        || ip.is_documentation()
        || ip.is_multicast()
        || ip.is_broadcast();
    let [a, b, c, _] = ip.octets();
    // "This network", shared by carriers, protocol assignments, relays, benchmarks, and what is reserved.
    let reserved = a == 0
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (18..20).contains(&b))
        || a >= 240;
    !special && !reserved
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    if let Some(ip) = ip.to_ipv4_mapped() {
        return is_public_v4(ip);
    }
    let [a, b, ..] = ip.segments();
    let global = (0x2000..0x4000).contains(&a);
    // Tunnels and translations to IPv4 addresses, protocol assignments, documentation.
    let special =
        a == 0x2002 || (a == 0x2001 && (b < 0x200 || b == 0xdb8)) || (a == 0x3fff && b < 0x1000);
    global && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_internets_addresses_are_public() {
        for public in [
            "1.1.1.1",
            "100.63.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "2606:4700::1",
            "::ffff:8.8.8.8",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        let private = [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "3fff::1",
        ];
        for private in private {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }

    #[test]
    fn an_address_to_ask_is_https_of_a_public_host() {
        let outbound = Outbound::new(false).unwrap();
        let address = outbound
            .address("https://id.studio.example/keys?v=1")
            .unwrap();
        assert_eq!(
            (address.host.as_str(), address.port),
            ("id.studio.example", 443)
        );
        for bad in [
            "",
            "keys",
            "/keys",
            "ftp://a/b",
            "http://id.studio.example/keys",
            "https://",
            "https://user:pw@host/",
            "https://127.0.0.1/",
            "https://[::1]:8443/",
            "https://169.254.169.254/latest",
        ] {
            assert!(outbound.address(bad).is_err(), "{bad}");
        }
        let development = Outbound::new(true).unwrap();
        let address = development.address("http://[::1]:8080/keys").unwrap();
        assert_eq!(
            (address.host.as_str(), address.port, address.tls),
            ("::1", 8080, false)
        );
    }
}
