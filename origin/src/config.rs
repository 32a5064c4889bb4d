//! The origin's configuration: one typed struct, checked whole before anything binds. Parts get their
//! own sub-struct only, and nobody else reads the environment.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use liveevents_protocol::engagement::{Currencies, Rate};
use liveevents_protocol::id::Installation;
use liveevents_service::config::{DEVELOPMENT_INSTALLATION, Environment, Faults, Reader, Valid};
use liveevents_service::keys::{Keyring, Keys};
use liveevents_service::limits::MAX_SIGNATURES;
use liveevents_service::logs;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;

use crate::limits::{MAX_LOGINS_PER_MINUTE, MAX_PER_MINUTE};
use crate::login::network::Network;
use crate::login::{Delays, Rules};
use crate::password;
use crate::quotas::PerMinute;

mod settings;

pub use settings::{PROGRAM, SETTINGS};

/// What the origin signs with in Development unless told otherwise. Everybody knows it, so it stops the
/// start anywhere else.
pub const DEVELOPMENT_SECRET: &str = "liveevents-development-secret-known-to-everybody";

/// The first admin's password in Development unless told otherwise; refused anywhere else.
pub const DEVELOPMENT_PASSWORD: &str = "development-only";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Shorter, and people do nothing but log in; longer, and one who has left an unlocked machine is in for days.
const JWT_LIFETIME: RangeInclusive<Duration> = Duration::from_secs(60)..=DAY;

/// Shorter, and we are a burden to those we ask; longer, and a key that was withdrawn is believed for days.
const ISSUER_REFRESH: RangeInclusive<Duration> = Duration::from_secs(60)..=DAY;

/// Shorter, and the net is the way; longer, and it holds nothing.
const SCHEDULER_INTERVAL: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(60 * 60);

/// The origin's configuration. It is not `Debug`: the database's options would show their password.
#[derive(Clone)]
pub struct Config {
    /// What the installation is for.
    pub environment: Environment,
    /// Whose origin this is.
    pub installation: Installation,
    /// The REST API.
    pub http: Http,
    /// The endpoint for edges.
    pub quic: SocketAddr,
    /// Its certificate.
    pub tls: Tls,
    /// Postgres.
    pub database: Database,
    /// Where Development keeps what it makes.
    pub data_dir: PathBuf,
    /// Derived from the secret, and from those that are accepted besides.
    pub keys: Keyring,
    /// How people log in.
    pub login: Rules,
    /// How often one caller may ask for what.
    pub rate_limits: PerMinute,
    /// What purchases are worth.
    pub currencies: Currencies,
    /// How often issuers of players' tokens are asked for their keys.
    pub issuer_refresh: Duration,
    /// Who can log in first.
    pub admin: FirstAdmin,
    /// Whether only approved revisions are deployed.
    pub require_approval: bool,
    /// Whether nobody approves what they wrote themselves.
    pub four_eyes: bool,
    /// How the scheduler runs.
    pub scheduler: Scheduling,
    /// Versions kept in each region's log.
    pub log_versions: u64,
    /// How long ending may take.
    pub drain: Duration,
    /// How log lines look, and which there are.
    pub log: (logs::Format, logs::Filter),
    /// Where to say that we are ready.
    pub ready_file: Option<PathBuf>,
}

/// Whether and how often events are looked at that go on by themselves.
#[derive(Debug, Clone, Copy)]
pub struct Scheduling {
    /// Whether this origin does it.
    pub enabled: bool,
    /// How long it sleeps at the most.
    pub interval: Duration,
}

/// Where the REST API listens, and to how many.
#[derive(Debug, Clone, Copy)]
pub struct Http {
    /// Address and port.
    pub address: SocketAddr,
    /// Connections at once.
    pub connections: usize,
}

/// Where the certificate comes from.
#[derive(Debug, Clone)]
pub enum Tls {
    /// The operator's.
    Files {
        /// Chain, PEM.
        cert: PathBuf,
        /// Private key, PEM.
        key: PathBuf,
    },
    /// Made at the first start, in Development.
    Generated {
        /// In this folder.
        folder: PathBuf,
        /// For these names and addresses.
        names: Vec<String>,
    },
}

/// How to reach Postgres.
#[derive(Clone)]
pub struct Database {
    /// As the service.
    pub url: PgConnectOptions,
    /// As the owner, for migrations.
    pub owner_url: Option<PgConnectOptions>,
    /// Connections at once.
    pub connections: u32,
}

/// Who can log in when nobody else can.
#[derive(Debug, Clone)]
pub struct FirstAdmin {
    /// Their name.
    pub username: String,
    /// Their password, if one is set.
    pub password: Option<SecretString>,
}

impl Config {
    /// Reads every setting and checks them together.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn read(mut r: Reader) -> Result<Self, Faults> {
        let environment = r.parse::<Environment>("environment");
        // While it is not known, nothing else is held against it.
        let is = |this| {
            environment
                .peek()
                .is_some_and(|environment| *environment == this)
        };
        let development = is(Environment::Development);
        let outside = environment.peek().is_some() && !development;
        let production = is(Environment::Production);

        let installation = r.parse::<Installation>("installation");
        let unnamed = |name: &Installation| name.as_str() == DEVELOPMENT_INSTALLATION;
        if outside && installation.peek().is_some_and(unnamed) {
            r.refuse("installation", "must be set outside Development");
        }
        let http = http(&mut r);
        let quic = r.parse::<SocketAddr>("quic.listen");
        let data_dir = r.parse::<PathBuf>("data_dir");
        let tls = tls(&mut r, outside);
        let database = database(&mut r);
        let keys = r.secret_with("jwt.secret", |secret| {
            if outside && secret.expose_secret() == DEVELOPMENT_SECRET {
                return Err(
                    "is the development secret, which everybody knows; set one of your own",
                );
            }
            Keys::derive(secret).map_err(|_| "must have at least 32 bytes")
        });
        let others = r.secrets_with("jwt.previous_secrets", |secret| {
            if outside && secret.expose_secret() == DEVELOPMENT_SECRET {
                return Err("has the development secret, which everybody knows");
            }
            Keys::derive(secret).map_err(|_| "has one of fewer than 32 bytes")
        });
        if others
            .peek()
            .is_some_and(|others| others.len() >= MAX_SIGNATURES)
        {
            r.refuse("jwt.previous_secrets", "must be seven at most");
        }
        let limited = r.parse::<bool>("rate_limiting.enabled");
        let rate_limits = rate_limits(&mut r);
        let login = login(&mut r);
        let currencies = r.list::<Worth>("engagement.currencies");
        let issuer_refresh = r.duration("issuers.refresh");
        if issuer_refresh
            .peek()
            .is_some_and(|every| !ISSUER_REFRESH.contains(every))
        {
            r.refuse("issuers.refresh", "must be one minute to one day");
        }
        let admin = admin(&mut r, development, outside);
        let require_approval = r.parse::<bool>("deployments.require_approval");
        if production && require_approval.peek() == Some(&false) {
            r.refuse("deployments.require_approval", "must be true in Production");
        }
        let four_eyes = r.parse::<bool>("approvals.four_eyes");
        let scheduler = scheduling(&mut r);
        let log_versions = r.within("retention.log_versions", 100..=1_000_000);
        let drain = r.duration("shutdown.drain");
        let format = r.parse::<logs::Choice>("log.format");
        let filter = r.parse::<logs::Filter>("log.filter");
        let ready_file = r.optional::<PathBuf>("ready_file");

        r.finish(|ok| {
            let environment = environment.get(ok);
            let data_dir = data_dir.get(ok);
            let (limited, login) = (limited.get(ok), login(ok));
            Self {
                environment,
                installation: installation.get(ok),
                http: http(ok),
                quic: quic.get(ok),
                tls: tls(ok, &data_dir),
                database: database(ok),
                data_dir,
                keys: Keyring::new(keys.get(ok), others.get(ok)),
                login: Rules {
                    per_minute: if limited { login.per_minute } else { 0 },
                    ..login
                },
                rate_limits: if limited {
                    rate_limits(ok)
                } else {
                    PerMinute::default()
                },
                currencies: currencies.get(ok).into_iter().map(Worth::into).collect(),
                issuer_refresh: issuer_refresh.get(ok),
                admin: admin(ok),
                require_approval: require_approval.get(ok),
                four_eyes: four_eyes.get(ok),
                scheduler: scheduler(ok),
                log_versions: log_versions.get(ok),
                drain: drain.get(ok),
                log: (format.get(ok).resolve(environment), filter.get(ok)),
                ready_file: ready_file.get(ok),
            }
        })
    }
}

/// A currency and what it is worth, as `EUR=1.08`.
struct Worth(String, Rate);

impl FromStr for Worth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} must be a currency and dollars, such as EUR=1.08");
        let (code, rate) = text.split_once('=').ok_or_else(wrong)?;
        let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase());
        if !is_code {
            return Err(wrong());
        }
        let rate = rate.parse().map_err(|_| wrong())?;
        Ok(Self(code.to_owned(), rate))
    }
}

impl From<Worth> for (String, Rate) {
    fn from(Worth(code, rate): Worth) -> Self {
        (code, rate)
    }
}

fn http(r: &mut Reader) -> impl FnOnce(&Valid) -> Http + use<> {
    let address = r.parse("http.listen");
    let connections = r.within("http.connections", 1..=100_000);
    |ok| Http {
        address: address.get(ok),
        connections: connections.get(ok),
    }
}

fn scheduling(r: &mut Reader) -> impl FnOnce(&Valid) -> Scheduling + use<> {
    let enabled = r.parse("scheduler.enabled");
    let interval = r.duration("scheduler.interval");
    if interval
        .peek()
        .is_some_and(|every| !SCHEDULER_INTERVAL.contains(every))
    {
        r.refuse("scheduler.interval", "must be one second to one hour");
    }
    |ok| Scheduling {
        enabled: enabled.get(ok),
        interval: interval.get(ok),
    }
}

fn login(r: &mut Reader) -> impl FnOnce(&Valid) -> Rules + use<> {
    let lifetime = r.duration("jwt.lifetime");
    if lifetime
        .peek()
        .is_some_and(|life| !JWT_LIFETIME.contains(life))
    {
        r.refuse("jwt.lifetime", "must be one minute to one day");
    }
    let proxies = r.list::<Network>("http.trusted_proxies");
    let per_minute = r.within("login.per_minute", 0..=MAX_LOGINS_PER_MINUTE);
    |ok| Rules {
        lifetime: SignedDuration::try_from(lifetime.get(ok)).unwrap_or(SignedDuration::MAX),
        proxies: proxies.get(ok),
        per_minute: per_minute.get(ok),
        delays: Delays::default(),
    }
}

fn rate_limits(r: &mut Reader) -> impl FnOnce(&Valid) -> PerMinute + use<> {
    let bound = 0..=MAX_PER_MINUTE;
    let events = r.within("rate_limiting.events_per_minute", bound.clone());
    let deployments = r.within("rate_limiting.deployments_per_minute", bound.clone());
    let lists = r.within("rate_limiting.lists_per_minute", bound.clone());
    let metrics = r.within("rate_limiting.metrics_per_minute", bound);
    |ok| PerMinute {
        events: events.get(ok),
        deployments: deployments.get(ok),
        lists: lists.get(ok),
        metrics: metrics.get(ok),
    }
}

fn tls(r: &mut Reader, outside: bool) -> impl FnOnce(&Valid, &Path) -> Tls + use<> {
    let cert = r.optional::<PathBuf>("tls.cert_file");
    let key = r.optional::<PathBuf>("tls.key_file");
    let names = r.list("tls.names");
    match (cert.peek(), key.peek()) {
        (Some(Some(_)), Some(None)) => r.refuse("tls.key_file", "must be set, as tls.cert_file is"),
        (Some(None), Some(Some(_))) => r.refuse("tls.cert_file", "must be set, as tls.key_file is"),
        (Some(None), Some(None)) if outside => {
            r.refuse("tls.cert_file", "must be set outside Development");
            r.refuse("tls.key_file", "must be set outside Development");
        }
        _ => {}
    }
    |ok, data_dir| match cert.get(ok).zip(key.get(ok)) {
        Some((cert, key)) => Tls::Files { cert, key },
        None => Tls::Generated {
            folder: data_dir.join("tls"),
            names: names.get(ok),
        },
    }
}

fn database(r: &mut Reader) -> impl FnOnce(&Valid) -> Database + use<> {
    let url = r.secret_with("database.url", postgres);
    let owner_url = r.optional_secret("database.owner_url");
    let owner = owner_url
        .peek()
        .and_then(Option::as_ref)
        .map(postgres)
        .transpose();
    let owner = owner.map_err(|problem| r.refuse("database.owner_url", problem));
    let connections = r.within("database.connections", 5..=500);
    |ok| Database {
        url: url.get(ok),
        owner_url: owner.unwrap_or_default(),
        connections: connections.get(ok),
    }
}

fn postgres(url: &SecretString) -> Result<PgConnectOptions, &'static str> {
    let url = url.expose_secret();
    let postgres = ["postgres://", "postgresql://"];
    let scheme = postgres.iter().any(|scheme| url.starts_with(scheme));
    // What sqlx says of a wrong URL may repeat parts of it, a password among them.
    match url.parse() {
        Ok(options) if scheme => Ok(options),
        _ => Err("must be a URL such as postgres://user:password@host:5432/database"),
    }
}

fn admin(
    r: &mut Reader,
    development: bool,
    outside: bool,
) -> impl FnOnce(&Valid) -> FirstAdmin + use<> {
    let username = r.parse_with("admin.username", |name| {
        password::check_username(name).map(|()| name.to_owned())
    });
    let given = r.optional_secret("admin.password");
    if let Some(Some(given)) = given.peek() {
        if let Err(problem) = password::check(given) {
            r.refuse("admin.password", problem);
        } else if outside && given.expose_secret() == DEVELOPMENT_PASSWORD {
            r.refuse(
                "admin.password",
                "is the development password, which everybody knows",
            );
        }
    }
    move |ok| FirstAdmin {
        username: username.get(ok),
        password: given
            .get(ok)
            .or_else(|| development.then(|| DEVELOPMENT_PASSWORD.into())),
    }
}

#[cfg(test)]
mod tests;
