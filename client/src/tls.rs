//! Whom to trust behind a `wss://` address: certificate authorities that the operator names, no others.

use std::fmt;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

/// Certificate authorities.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

/// Why a file does not name authorities.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not PEM.
    #[error("cannot read the certificates")]
    Pem(#[source] pem::Error),
    /// PEM, but no certificate in it.
    #[error("there is no certificate")]
    Empty,
    /// A certificate that cannot be used as an authority.
    #[error("cannot use a certificate as an authority")]
    Certificate(#[source] rustls::Error),
}

impl Tls {
    /// Trusts the authorities of a PEM text, such as the content of the origin's `ca.pem`.
    ///
    /// # Errors
    /// If there is none in it, or one that cannot be used.
    pub fn trusting(pem: &[u8]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(TlsError::Pem)?;
            roots.add(certificate).map_err(TlsError::Certificate)?;
        }
        if roots.is_empty() {
            return Err(TlsError::Empty);
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Certificate)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn connector(&self) -> TlsConnector {
        TlsConnector::from(Arc::clone(&self.0))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wants_at_least_one_certificate() {
        assert!(matches!(Tls::trusting(b""), Err(TlsError::Empty)));
        let broken = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        assert!(matches!(Tls::trusting(broken), Err(TlsError::Pem(_))));
        let empty = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            Tls::trusting(empty),
            Err(TlsError::Certificate(_))
        ));
    }
}
