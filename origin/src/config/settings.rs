//! Everything that can be set, with what it does. docs/configuration.md is made from this table.

use liveevents_service::config::{DEVELOPMENT_INSTALLATION, Program, Setting};

use super::DEVELOPMENT_SECRET;

/// The binary and its settings.
pub const PROGRAM: Program = Program {
    name: "liveevents-origin",
    about: "The origin of LiveEvents: REST API, decisions, and push to edges.",
    version: env!("CARGO_PKG_VERSION"),
    settings: SETTINGS,
};

/// In the order of the document.
pub const SETTINGS: &[Setting] = &[
    Setting::with_default(
        "environment",
        "Development",
        "Development, Staging or Production. Outside Development nothing known to everybody is accepted: \
         installation, secret, first password and certificate have to be set.",
    ),
    Setting::with_default(
        "installation",
        DEVELOPMENT_INSTALLATION,
        "Name of this title in this environment, such as starfall-production; the same at origin and edges. \
         Tokens and positions of another installation are refused.",
    ),
    Setting::with_default("http.listen", "127.0.0.1:8080", "Address and port of the REST API; port 0 takes a free one."),
    Setting::with_default("http.connections", "1024", "HTTP connections served at once, 1 to 100000; more wait."),
    Setting::optional(
        "http.trusted_proxies",
        "Addresses and networks, such as 10.0.0.0/8, divided by commas, whose X-Forwarded-For is believed: what stands in \
         front of the origin. Without it whoever connects counts as who asks.",
    ),
    Setting::with_default("quic.listen", "127.0.0.1:4433", "Address and UDP port that edges connect to; port 0 takes a free one."),
    Setting::required(
        "database.url",
        "Postgres 15 or newer, as postgres://user:password@host:port/database. The role needs what the role \
         liveevents_service is granted.",
    )
    .secret(),
    Setting::optional(
        "database.owner_url",
        "The same database as its owner, for migrations at the start. Without it migrations run by database.url, \
         if any are due.",
    )
    .secret(),
    Setting::with_default("database.connections", "20", "Connections to Postgres, 5 to 500."),
    Setting::with_default(
        "data_dir",
        ".local/origin",
        "Folder for what Development makes by itself: certificate (tls/), the key that edges pin (trust-key), \
         an enrolment token for all regions (edge-token). Not used elsewhere.",
    ),
    Setting::optional("tls.cert_file", "Certificate chain for edges, PEM. In Development one is made if this is not set."),
    Setting::optional("tls.key_file", "Private key of that certificate, PEM."),
    Setting::with_default(
        "tls.names",
        "localhost,127.0.0.1,::1,origin",
        "Names and addresses in the certificate that Development makes.",
    ),
    Setting::with_default(
        "jwt.secret",
        DEVELOPMENT_SECRET,
        "What all signing keys are derived from, at least 32 bytes; the same at all replicas. The default is known to \
         everybody and refused outside Development.",
    )
    .secret(),
    Setting::optional(
        "jwt.previous_secrets",
        "Secrets whose tokens and seals are accepted besides, divided by commas, or as a list in the file, where they may \
         have commas: the one before, or the one to come, while the secret is replaced.",
    )
    .secret(),
    Setting::with_default("jwt.lifetime", "PT1H", "How long whoever logs in stays so, one minute to one day."),
    Setting::with_default(
        "login.per_minute",
        "10",
        "Logins tried from one address in a minute, at each origin, up to 10000; more are refused with 429. 0 is no limit.",
    ),
    Setting::with_default(
        "rate_limiting.enabled",
        "true",
        "Whether callers are limited: true or false. Without, neither the limits below nor login.per_minute are kept.",
    ),
    Setting::with_default(
        "rate_limiting.events_per_minute",
        "10",
        "Events that one caller may create in a minute, at each origin, up to 10000; more are refused with 429. 0 is no \
         limit. Whatever stops or takes back something is never limited.",
    ),
    Setting::with_default(
        "rate_limiting.deployments_per_minute",
        "5",
        "Deployments that one caller may make in a minute, likewise.",
    ),
    Setting::with_default(
        "rate_limiting.lists_per_minute",
        "60",
        "Pages of lists that one caller may read in a minute, likewise.",
    ),
    Setting::with_default(
        "rate_limiting.metrics_per_minute",
        "60",
        "How often one caller may read an event's metrics in a minute, likewise.",
    ),
    Setting::with_default(
        "engagement.currencies",
        "USD=1",
        "What one unit of each currency that purchases are reported in is worth in US dollars, such as USD=1,EUR=1.08; the \
         same at all origins. Purchases in others are refused. Edges learn of a change when they connect.",
    ),
    Setting::with_default(
        "issuers.refresh",
        "PT5M",
        "How often the key sets of issuers of players' tokens are asked for, one minute to one day.",
    ),
    Setting::with_default("admin.username", "admin", "Name of the first admin, made when nobody can log in yet."),
    Setting::optional(
        "admin.password",
        "Password of the first admin, at least 12 characters; later changes are made by PUT /users. In Development \
         it is development-only if this is not set.",
    )
    .secret(),
    Setting::with_default(
        "deployments.require_approval",
        "true",
        "Whether a revision has to be approved before it is deployed: true or false. Production is always true.",
    ),
    Setting::with_default(
        "approvals.four_eyes",
        "false",
        "Whether nobody may approve a revision that they wrote themselves: true or false. Of a service token its subject \
         counts.",
    ),
    Setting::with_default(
        "scheduler.enabled",
        "true",
        "Whether this origin records that events have opened and closed, and tops up series: true or false. One of all \
         replicas has to; several may.",
    ),
    Setting::with_default(
        "scheduler.interval",
        "PT30S",
        "How long the scheduler sleeps at the most, one second to one hour. It wakes by itself when an event is due; this is \
         only the net.",
    ),
    Setting::with_default(
        "retention.log_versions",
        "10000",
        "Versions kept in each region's log, 100 to 1000000; a receiver further behind gets a snapshot.",
    ),
    Setting::with_default("shutdown.drain", "PT10S", "How long requests and edges may take to end after a signal to stop."),
    Setting::with_default("log.format", "auto", "json, pretty, or auto: pretty in Development, json elsewhere."),
    Setting::with_default("log.filter", "info", "What is logged: a level, or target=level pairs divided by commas."),
    Setting::optional("ready_file", "File to write the listeners' addresses to, as JSON, once the origin is ready."),
];
