//! Everything that can be set, with what it does. docs/configuration.md is made from this table.

use liveevents_service::config::{DEVELOPMENT_INSTALLATION, Program, Setting};

/// The binary and its settings.
pub const PROGRAM: Program = Program {
    name: "liveevents-edge",
    about: "An edge of LiveEvents: holds what its region serves, and serves it to game servers and players.",
    version: env!("CARGO_PKG_VERSION"),
    settings: SETTINGS,
};

/// In the order of the document.
pub const SETTINGS: &[Setting] = &[
    Setting::with_default(
        "environment",
        "Development",
        "Development, Staging or Production. Outside Development the installation has to be named.",
    ),
    Setting::with_default(
        "installation",
        DEVELOPMENT_INSTALLATION,
        "Name of this title in this environment, such as starfall-production; the same at origin and edges.",
    ),
    Setting::required(
        "edge_id",
        "Name of this edge, such as us-east-1: kept across restarts, and no other edge's. The newest connection \
         of a name wins.",
    ),
    Setting::required("region", "The edge's own region, such as us-east."),
    Setting::optional(
        "standby_for",
        "Other regions that it replicates and serves, divided by commas; the enrolment token has to name them too.",
    ),
    Setting::optional(
        "address",
        "Where game servers and players reach this edge, as http://host:port; told to those who ask an edge of \
         another region. Where it listens if not set.",
    ),
    Setting::required(
        "origins",
        "Where the origin listens for edges, as host:port; several divided by commas are tried in turn.",
    ),
    Setting::optional(
        "origin_server_name",
        "The name that the origin's certificate is for. The host of the address dialled if not set.",
    ),
    Setting::required("ca_file", "Certificates of who may have signed the origin's, PEM. No other is believed."),
    Setting::optional(
        "trust_key",
        "The key that must have signed the keys and revocations that tokens are judged by, 32 bytes in base64url; \
         the origin shows it. This or trust_key_file is required.",
    ),
    Setting::optional("trust_key_file", "File with that key."),
    Setting::optional(
        "enrolment_token",
        "A token of role Edge that names the edge's regions. This or enrolment_token_file is required.",
    )
    .secret(),
    Setting::optional("enrolment_token_file", "File with that token."),
    Setting::optional(
        "redis.url",
        "Redis 7 or newer, as redis://user:password@host:6379/0: what the edge starts from while the origin is \
         away. Without it the edge starts empty.",
    )
    .secret(),
    Setting::with_default(
        "http.listen",
        "127.0.0.1:8090",
        "Address and port for players, game servers, health and metrics; port 0 takes a free one.",
    ),
    Setting::optional(
        "http.tls_cert_file",
        "Certificate chain, PEM, to serve TLS with on that port, and nothing else; read at start. Not needed where \
         something in front of the edge does it.",
    ),
    Setting::optional("http.tls_key_file", "The certificate's private key, PEM."),
    Setting::with_default(
        "game_servers.connections",
        "10000",
        "Game servers connected at once, 1 to 1000000; more are refused with 503.",
    ),
    Setting::with_default(
        "game_servers.connections_per_token",
        "10000",
        "Of those, how many with the same token, 1 to 1000000; more are refused with 429.",
    ),
    Setting::with_default(
        "game_servers.admission",
        "5000",
        "Game servers taken a second, 1 to 1000000, and as many at once; more are refused with 503 and told when to \
         come again, spread over the time that they need.",
    ),
    Setting::with_default(
        "shutdown.drain",
        "PT10S",
        "Over how long game servers are asked to come to other edges when this one ends (SIGTERM). It serves them \
         until they have left, at most 5 s longer.",
    ),
    Setting::with_default(
        "players.reads_per_minute",
        "1000",
        "How often one player's events may be asked for in a minute at this edge, by whomever, 1 to 10000; more is \
         refused with 429. 0 is no limit.",
    ),
    Setting::with_default(
        "reports.deadline",
        "PT10S",
        "How long whoever sends a batch of reports waits for the origin to count it, up to 20 s; then it is told to send it \
         again. Sent again, it counts once.",
    ),
    Setting::optional(
        "ready.max_age",
        "How long the origin may have been silent before the edge reports itself as not ready. No limit if not set: an \
         edge with old events serves better than none. Set it where others can take over.",
    ),
    Setting::optional(
        "state_dir",
        "A folder of this edge alone, on a disk that outlives the process. The edge notes there what it is applying: if \
         it dies of an entry, it sets the entry aside at its next start. Without it, it would die again.",
    ),
    Setting::with_default("log.format", "auto", "json, pretty, or auto: pretty in Development, json elsewhere."),
    Setting::with_default("log.filter", "info", "What is logged: a level, or target=level pairs divided by commas."),
    Setting::optional("ready_file", "File to write the listener's address to, as JSON, once the edge serves."),
];
