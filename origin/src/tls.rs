//! The certificate that edges verify us by: the operator's files, or in Development one of our own.
//!
//! Development makes its own authority once and keeps it, since edges are given its certificate; the
//! origin's own certificate is made anew at each start, for the names configured now.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Tls;
use crate::private_file;

/// A certificate chain and its key.
#[derive(Debug)]
pub struct Identity {
    /// Ours first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Ours.
    pub key: PrivateKeyDer<'static>,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read, or is not what it should be.
    #[error("{} is not a usable PEM file", path.display())]
    Pem {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: rustls::pki_types::pem::Error,
    },
    /// A file could not be written.
    #[error("{} could not be written", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A certificate could not be made, for a name that is none, say.
    #[error("no certificate could be made for Development")]
    Make(#[from] rcgen::Error),
}

/// Reads or makes the certificate.
///
/// # Errors
/// If a file is missing or wrong, or cannot be written.
pub fn identity(tls: &Tls) -> Result<Identity, TlsError> {
    match tls {
        Tls::Files { cert, key } => read(cert, key),
        Tls::Generated { folder, names } => {
            generate(folder, names)?;
            read(&folder.join("cert.pem"), &folder.join("key.pem"))
        }
    }
}

fn read(cert: &Path, key: &Path) -> Result<Identity, TlsError> {
    let pem = |path: &Path| {
        let path = path.to_owned();
        move |cause| TlsError::Pem { path, cause }
    };
    let chain =
        CertificateDer::pem_file_iter(cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.and_then(|chain: Vec<_>| match chain.is_empty() {
        true => Err(rustls::pki_types::pem::Error::NoItemsFound),
        false => Ok(chain),
    });
    Ok(Identity {
        chain: chain.map_err(pem(cert))?,
        key: PrivateKeyDer::from_pem_file(key).map_err(pem(key))?,
    })
}

fn generate(folder: &Path, names: &[String]) -> Result<(), TlsError> {
    fs::create_dir_all(folder).map_err(|cause| TlsError::Write {
        path: folder.to_owned(),
        cause,
    })?;
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority
        .distinguished_name
        .push(DnType::CommonName, "LiveEvents development authority");
    let authority_file = folder.join("ca.pem");
    let authority_key_file = folder.join("ca-key.pem");
    let authority_key = match fs::read_to_string(&authority_key_file) {
        Ok(pem) if authority_file.exists() => KeyPair::from_pem(&pem)?,
        _ => {
            let key = KeyPair::generate()?;
            write(&authority_key_file, &key.serialize_pem())?;
            write(&authority_file, &authority.self_signed(&key)?.pem())?;
            key
        }
    };
    let key = KeyPair::generate()?;
    let mut own = CertificateParams::new(names.to_vec())?;
    own.distinguished_name
        .push(DnType::CommonName, "LiveEvents development origin");
    let certificate = own.signed_by(&key, &Issuer::new(authority, authority_key))?;
    write(&folder.join("key.pem"), &key.serialize_pem())?;
    write(&folder.join("cert.pem"), &certificate.pem())
}

fn write(path: &Path, text: &str) -> Result<(), TlsError> {
    private_file::write(path, text).map_err(|cause| TlsError::Write {
        path: path.to_owned(),
        cause,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generated(folder: &Path, name: &str) -> Result<Identity, TlsError> {
        let folder = folder.join("tls");
        identity(&Tls::Generated {
            folder,
            names: vec![name.to_owned(), "127.0.0.1".to_owned()],
        })
    }

    #[test]
    fn the_authority_is_kept_and_the_certificate_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let first = generated(folder.path(), "localhost").unwrap();
        let authority = fs::read_to_string(folder.path().join("tls/ca.pem")).unwrap();
        let second = generated(folder.path(), "origin").unwrap();
        assert_ne!(first.chain, second.chain);
        assert_eq!(
            fs::read_to_string(folder.path().join("tls/ca.pem")).unwrap(),
            authority
        );
    }

    #[test]
    fn edges_that_hold_the_authority_believe_the_certificate() {
        let folder = tempfile::tempdir().unwrap();
        generated(folder.path(), "localhost").unwrap();
        // The second start signs with the authority's key read back.
        let ours = generated(folder.path(), "localhost").unwrap();
        let authority = CertificateDer::from_pem_file(folder.path().join("tls/ca.pem")).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            rustls::client::WebPkiServerVerifier::builder_with_provider(roots.into(), provider)
                .build()
                .unwrap();
        let verify = |name: &str| {
            let now = rustls::pki_types::UnixTime::since_unix_epoch(
                std::time::Duration::from_secs(1_800_000_000),
            );
            let name = name.to_owned().try_into().unwrap();
            rustls::client::danger::ServerCertVerifier::verify_server_cert(
                &*verifier,
                &ours.chain[0],
                &[],
                &name,
                &[],
                now,
            )
        };
        assert!(verify("localhost").is_ok());
        assert!(verify("127.0.0.1").is_ok());
        assert!(verify("elsewhere").is_err());
    }

    #[test]
    fn a_missing_or_wrong_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let cert = folder.path().join("cert.pem");
        fs::write(&cert, "not PEM").unwrap();
        let error = identity(&Tls::Files {
            cert,
            key: folder.path().join("key.pem"),
        })
        .unwrap_err();
        assert!(error.to_string().contains("cert.pem"), "{error}");
    }

    #[test]
    fn a_name_that_is_none_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(
            generated(folder.path(), "näme"),
            Err(TlsError::Make(_))
        ));
    }
}
