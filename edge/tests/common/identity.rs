//! Who is who in a test: an installation of its own, with keys, tokens, and a certificate for its origin.

use jiff::{SignedDuration, Timestamp};
use liveevents_protocol::id::{Installation, TokenId};
use liveevents_protocol::trust::{Revoked, SignedTrust, TrustBundle};
use liveevents_service::keys::{Keyring, Keys};
use liveevents_service::token::{Claims, Role, Signer};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use uuid::Uuid;

/// An installation that no other test has.
pub struct Identity {
    pub installation: Installation,
    pub keys: Keys,
    pub authority: Authority,
}

/// Who signs the origin's certificate.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub certificate: String,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// A certificate for this machine.
    pub fn issue(&self) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (certificate.der().clone(), key)
    }
}

impl Identity {
    pub fn new() -> Self {
        let name = format!("test-{}", Uuid::new_v4().simple());
        Self {
            installation: name.parse().unwrap(),
            keys: Keys::derive(&format!("{name}-a-secret-long-enough").into()).unwrap(),
            authority: Authority::new(),
        }
    }

    /// Keys and revocations, signed.
    pub fn trust(&self, serial: u64, revoked: &[TokenId]) -> SignedTrust {
        let revoked = revoked.iter().map(|&token| Revoked {
            token,
            until: Timestamp::MAX,
        });
        let bundle = TrustBundle {
            installation: self.installation.clone(),
            serial,
            keys: vec![self.keys.public()],
            revoked: revoked.collect(),
            issuers: Vec::new(),
        };
        Keyring::from(self.keys.clone())
            .sign_trust(&bundle)
            .unwrap()
    }

    /// What a token says that is good for an hour from the start of the test.
    pub fn claims(&self, role: Role, subject: &str, regions: &[&str]) -> Claims {
        Claims {
            installation: self.installation.clone(),
            subject: subject.to_owned(),
            role,
            regions: regions
                .iter()
                .map(|region| region.parse().unwrap())
                .collect(),
            id: TokenId(Uuid::new_v4()),
            issued_at: super::start(),
            expires_at: super::start() + SignedDuration::from_hours(1),
            not_before: None,
            attributes: Default::default(),
            keys: Default::default(),
        }
    }

    pub fn sign(&self, claims: &Claims) -> String {
        Signer::new(&self.keys).unwrap().sign(claims).unwrap()
    }

    pub fn token(&self, role: Role, subject: &str, regions: &[&str]) -> String {
        self.sign(&self.claims(role, subject, regions))
    }

    /// A game server's token for these regions.
    pub fn game_server(&self, regions: &[&str]) -> String {
        self.token(Role::GameServer, "gs-1", regions)
    }
}
