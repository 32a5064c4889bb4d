//! The edge's configuration: one typed struct, checked whole before anything binds. Parts get their own piece only,
//! and nobody else reads the environment.

mod settings;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use liveevents_protocol::id::{EdgeId, Installation, RegionId};
use liveevents_service::config::{
    DEVELOPMENT_INSTALLATION, Environment, Faults, Reader, Valid, Value,
};
use liveevents_service::http::Quota;
use liveevents_service::logs;
use liveevents_service::trust::TrustKey;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use secrecy::{ExposeSecret, SecretString};

pub use settings::{PROGRAM, SETTINGS};

use crate::limits::MAX_REPORTS_DEADLINE;
use crate::uplink::OriginAddress;

/// The edge's configuration. It is not `Debug`: Redis's address would show its password.
pub struct Config {
    /// Whose edge this is.
    pub installation: Installation,
    /// Its name.
    pub edge: EdgeId,
    /// Its own region.
    pub region: RegionId,
    /// Other regions that it replicates.
    pub standby_for: Vec<RegionId>,
    /// Where game servers and players reach it; where it listens if not set.
    pub address: Option<String>,
    /// How it reaches the origin.
    pub uplink: Uplink,
    /// Redis, if there is one.
    pub redis: Option<redis::Client>,
    /// Where it listens.
    pub listen: SocketAddr,
    /// How it proves who it is, if it serves TLS.
    pub tls: Option<Arc<ServerConfig>>,
    /// Game servers at once.
    pub game_servers: usize,
    /// Of those, how many with the same token.
    pub connections_per_token: usize,
    /// Game servers taken a second.
    pub admission_rate: u32,
    /// Over how long game servers are sent away when this edge ends.
    pub drain: Duration,
    /// How often one player's events may be asked for in a minute; 0 is no limit.
    pub player_reads: u32,
    /// How long a sender of reports waits for them to be counted.
    pub reports_deadline: Duration,
    /// From what age on it counts as not ready, if from any.
    pub max_age: Option<Duration>,
    /// Where it remembers what it must not forget.
    pub state_dir: Option<PathBuf>,
    /// How log lines look, and which there are.
    pub log: (logs::Format, logs::Filter),
    /// Where to say that it is ready.
    pub ready_file: Option<PathBuf>,
}

/// How the edge reaches the origin, and what proves either to the other.
#[derive(Debug)]
pub struct Uplink {
    /// Any of several; at least one.
    pub origins: Vec<OriginAddress>,
    /// The name that the origin's certificate is for; its address if not set.
    pub server_name: Option<String>,
    /// Who may have signed that certificate.
    pub roots: RootCertStore,
    /// Who must have signed keys and revocations.
    pub trust_key: TrustKey,
    /// What proves that this edge may replicate its regions.
    pub token: SecretString,
}

impl Config {
    /// Reads every setting and checks them together.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn read(mut r: Reader) -> Result<Self, Faults> {
        let environment = r.parse::<Environment>("environment");
        let outside = environment
            .peek()
            .is_some_and(|e| *e != Environment::Development);
        let installation = r.parse::<Installation>("installation");
        let unnamed = |name: &Installation| name.as_str() == DEVELOPMENT_INSTALLATION;
        if outside && installation.peek().is_some_and(unnamed) {
            r.refuse("installation", "must be set outside Development");
        }
        let edge = r.parse::<EdgeId>("edge_id");
        let region = r.parse::<RegionId>("region");
        let standby_for = r.list::<RegionId>("standby_for");
        if let (Some(home), Some(others)) = (region.peek(), standby_for.peek())
            && (others.contains(home) || has_twice(others))
        {
            r.refuse("standby_for", "names a region twice, or the home region");
        }
        let address = r.optional_with("address", base_url);
        let uplink = uplink(&mut r);
        let redis = redis(&mut r);
        let listen = r.parse::<SocketAddr>("http.listen");
        let tls = tls(&mut r);
        let game_servers = r.within("game_servers.connections", 1..=1_000_000);
        let connections_per_token = r.within("game_servers.connections_per_token", 1..=1_000_000);
        let admission_rate = r.within("game_servers.admission", 1..=1_000_000);
        let drain = r.duration("shutdown.drain");
        let player_reads = r.within("players.reads_per_minute", 0..=Quota::MAX);
        let reports_deadline = r.duration("reports.deadline");
        if reports_deadline
            .peek()
            .is_some_and(|d| *d > MAX_REPORTS_DEADLINE)
        {
            r.refuse("reports.deadline", "must be PT20S at the most");
        }
        let max_age = r.optional_duration("ready.max_age");
        let state_dir = r.optional::<PathBuf>("state_dir");
        let format = r.parse::<logs::Choice>("log.format");
        let filter = r.parse::<logs::Filter>("log.filter");
        let ready_file = r.optional::<PathBuf>("ready_file");

        r.finish(|ok| Self {
            installation: installation.get(ok),
            edge: edge.get(ok),
            region: region.get(ok),
            standby_for: standby_for.get(ok),
            address: address.get(ok),
            uplink: uplink(ok),
            redis: redis(ok),
            listen: listen.get(ok),
            tls: tls(ok),
            game_servers: game_servers.get(ok),
            connections_per_token: connections_per_token.get(ok),
            admission_rate: admission_rate.get(ok),
            drain: drain.get(ok),
            player_reads: player_reads.get(ok),
            reports_deadline: reports_deadline.get(ok),
            max_age: max_age.get(ok),
            state_dir: state_dir.get(ok),
            log: (format.get(ok).resolve(environment.get(ok)), filter.get(ok)),
            ready_file: ready_file.get(ok),
        })
    }
}

fn has_twice(regions: &[RegionId]) -> bool {
    let mut rest = regions;
    while let Some((first, others)) = rest.split_first() {
        if others.contains(first) {
            return true;
        }
        rest = others;
    }
    false
}

fn base_url(text: &str) -> Result<String, &'static str> {
    let host = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    match host {
        Some(host) if !host.is_empty() && !host.contains(['/', ' ']) => Ok(text.to_owned()),
        _ => Err("must be http://host:port or https://host:port, without a path"),
    }
}

fn uplink(r: &mut Reader) -> impl FnOnce(&Valid) -> Uplink + use<> {
    let origins = r.list::<OriginAddress>("origins");
    if origins.peek().is_some_and(Vec::is_empty) {
        r.refuse("origins", "must name at least one origin");
    }
    let server_name =
        r.optional_with(
            "origin_server_name",
            |name| match rustls::pki_types::ServerName::try_from(name) {
                Ok(_) => Ok(name.to_owned()),
                Err(_) => Err("must be a host name or an IP address"),
            },
        );
    let roots = r.parse_with("ca_file", |path| certificates(Path::new(path)));
    let trust_key = trust_key(r);
    let token = token(r);
    |ok| Uplink {
        origins: origins.get(ok),
        server_name: server_name.get(ok),
        roots: roots.get(ok),
        trust_key: trust_key.get(ok),
        token: token.get(ok),
    }
}

fn certificates(path: &Path) -> Result<RootCertStore, String> {
    let problem =
        |error: &dyn std::fmt::Display| format!("cannot be read as PEM certificates: {error}");
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| problem(&e))? {
        let certificate = certificate.map_err(|e| problem(&e))?;
        roots.add(certificate).map_err(|e| problem(&e))?;
    }
    if roots.is_empty() {
        return Err("has no certificate".to_owned());
    }
    Ok(roots)
}

/// Certificate and key, both or neither.
fn tls(r: &mut Reader) -> impl FnOnce(&Valid) -> Option<Arc<ServerConfig>> + use<> {
    let chain = r.optional_with("http.tls_cert_file", |path| {
        let read =
            CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        read.map_err(|error| format!("cannot be read as PEM certificates: {error}"))
    });
    let key = r.optional_with("http.tls_key_file", |path| {
        PrivateKeyDer::from_pem_file(path)
            .map_err(|error| format!("cannot be read as a PEM key: {error}"))
    });
    let mut tls = None;
    match (chain.peek(), key.peek()) {
        (Some(Some(chain)), Some(Some(key))) => match server_tls(chain, key) {
            Ok(config) => tls = Some(Arc::new(config)),
            Err(error) => r.refuse("http.tls_key_file", format!("does not go with it: {error}")),
        },
        (Some(Some(_)), Some(None)) => r.refuse("http.tls_key_file", "is needed too"),
        (Some(None), Some(Some(_))) => r.refuse("http.tls_cert_file", "is needed too"),
        _ => {}
    }
    |_| tls
}

fn server_tls(
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain.to_vec(), key.clone_key())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// From the file if one is named, else as given.
fn trust_key(r: &mut Reader) -> Value<TrustKey> {
    let given = r
        .optional::<String>("trust_key")
        .peek()
        .is_some_and(Option::is_some);
    if !has_file(r, "trust_key_file", given) {
        return r.parse("trust_key");
    }
    r.parse_with("trust_key_file", |path| {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        text.parse().map_err(str::to_owned)
    })
}

/// From the file if one is named, else as given.
fn token(r: &mut Reader) -> Value<SecretString> {
    let given = r
        .optional_secret("enrolment_token")
        .peek()
        .is_some_and(Option::is_some);
    if !has_file(r, "enrolment_token_file", given) {
        return r.secret_with("enrolment_token", trimmed);
    }
    r.parse_with("enrolment_token_file", |path| {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        trimmed(&text.into()).map_err(str::to_owned)
    })
}

/// A file ends in a line break.
fn trimmed(secret: &SecretString) -> Result<SecretString, &'static str> {
    match secret.expose_secret().trim() {
        "" => Err("is empty"),
        token => Ok(token.into()),
    }
}

/// Whether the value is to be read from a file; it may not be given as well.
fn has_file(r: &mut Reader, file: &str, given: bool) -> bool {
    let named = r
        .optional::<PathBuf>(file)
        .peek()
        .is_some_and(Option::is_some);
    if named && given {
        r.refuse(
            file,
            "is set, and the value itself too; one of them is enough",
        );
    }
    named
}

fn redis(r: &mut Reader) -> impl FnOnce(&Valid) -> Option<redis::Client> + use<> {
    let url = r.optional_secret("redis.url");
    let client = match url.peek() {
        Some(Some(url)) => Some(redis::Client::open(url.expose_secret())),
        _ => None,
    };
    if let Some(Err(_)) = &client {
        // The error's own text may repeat the URL, and a password in it.
        r.refuse(
            "redis.url",
            "must be a URL such as redis://:password@host:6379/0",
        );
    }
    |_| client.and_then(Result::ok)
}

#[cfg(test)]
mod tests;
