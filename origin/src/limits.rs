//! Every bound of the origin, with its reason. Bounds of what travels are in `protocol::limits`.

use std::time::Duration;

use jiff::SignedDuration;

/// An event as stored, in bytes of JSON: the contract's 256 KB.
pub const MAX_EVENT: usize = 256 * 1024;

/// A display name, in characters: fits a banner in any language.
pub const MAX_NAME: usize = 200;

/// A category or tag, in characters.
pub const MAX_TAG: usize = 64;

/// Tags of one event.
pub const MAX_TAGS: usize = 50;

/// Segments that one event targets, or excludes: what is planned for.
pub const MAX_SEGMENTS: usize = 100;

/// Segments that are stored, deleted ones among them: a hundred times what a title uses.
pub const MAX_STORED_SEGMENTS: u64 = 10_000;

/// Players of a sample by which a segment is tried.
pub const MAX_SAMPLE: usize = 1_000;

/// Languages of one event: more than any game ships, few enough to look through.
pub const MAX_LOCALIZATIONS: usize = 100;

/// Faults told in one answer: more than anybody repairs at once. An event of 256 KB could have a hundred thousand.
pub const MAX_FAULTS: usize = 200;

/// A description in one language, in characters: a long page.
pub const MAX_DESCRIPTION: usize = 20_000;

/// How much of a description a search looks at, in characters; what comes later nobody searches for. As in 0010.
pub const MAX_SEARCHED: usize = 8_000;

/// A text that is searched for, in characters: a name, whole.
pub const MAX_SEARCH: usize = 200;

/// An item's id, in characters.
pub const MAX_ITEM_ID: usize = 200;

/// Items of the catalogue: of 50 bytes each, what one request holds.
pub const MAX_ITEMS: usize = 20_000;

/// An asset's URL, in bytes: what browsers and content delivery networks agree on.
pub const MAX_URL: usize = 2_048;

/// Digits of a number, exponent included. A game reads 17; the database would take 131,072, and refuse the next.
pub const MAX_NUMBER: usize = 64;

/// A JSON Schema, in bytes: many times what describes one game's configurations.
pub const MAX_SCHEMA: usize = 64 * 1024;

/// Schemas registered: one for each type, and some hundred categories.
pub const MAX_SCHEMAS: i64 = 500;

/// Subschemas of a schema with its references followed. At 256 KB of configuration, of which no more than 130,000 can be
/// values, this keeps a judgement far below a second for any schema that is not written to be slow.
pub const MAX_SUBSCHEMAS: usize = 4_000;

/// References of a schema that lead from one to the next; each is some frames of a stack.
pub const MAX_REFERENCES: usize = 32;

/// Patterns of a schema; with [`MAX_PATTERN`] 25 MB at the most while one is compiled.
pub const MAX_PATTERNS: usize = 100;

/// A pattern compiled, in bytes.
pub const MAX_PATTERN: usize = 256 * 1024;

/// What a schema says of one value, in characters.
pub const MAX_SCHEMA_MESSAGE: usize = 300;

/// Events judged at once, each on a thread of its own: one of two cores stays free for everything else.
pub const JUDGEMENTS: usize = 2;

/// How long a judgement may wait and take; beyond it the database's deadline would be the next to pass.
pub const JUDGEMENT_DEADLINE: Duration = Duration::from_secs(5);

/// How far ahead occurrences of a recurring event are computed and sent.
pub const HORIZON_DAYS: i64 = 60;

/// Openings a day of a recurring event. With the horizon this keeps a schedule below the protocol's
/// 1,000 occurrences: 16 × (60 + 1) = 976.
pub const MAX_OPENINGS_A_DAY: usize = 16;

/// Events that the scheduler looks at in one transaction: of a thousand that open or close at the same moment the last is
/// recorded within the second, and a stop waits for what a hundred removals in ten regions take.
pub const SCHEDULER_BATCH: i64 = 100;

/// The least time between two looks of the scheduler: how late it may be for an event that a command had locked.
pub const SCHEDULER_PAUSE: Duration = Duration::from_millis(50);

/// How often a command begins anew since more has become due while it waited for the event.
pub const SETTLE_ATTEMPTS: usize = 5;

/// A recurrence rule, in characters: every part of the subset with every value fits twice.
pub const MAX_RULE: usize = 500;

/// Openings that a rule is followed through, which takes about 0.2 s: ten years of 16 a day. A rule that does not
/// count is followed from shortly before the time asked for, and never comes near.
pub const MAX_OPENINGS: usize = 60_000;

/// Exceptions of a recurring event: daily, for a year.
pub const MAX_EXCEPTIONS: usize = 366;

/// Years that events may lie in. Beyond them is a slip of the finger, and zones have no rules.
pub const YEARS: std::ops::RangeInclusive<i16> = 2000..=2200;

/// How far in the past a draft may start: the time it takes to fill in a form.
pub const MAX_PAST_START_SECONDS: i64 = 5 * 60;

/// Rows of a region's feed: at 100 changes a second an edge may lag 2.5 s before the log is read for it.
pub const FEED_ROWS: usize = 256;

/// Frames of a region's feed, in bytes: with ten regions 40 MB at the most.
pub const FEED_BYTES: usize = 4 * 1024 * 1024;

/// Rows that the follower reads at once for one region. After a longer absence it starts a new feed, and
/// edges are served from the log.
pub const FOLLOW_AT_MOST: u64 = 1_000;

/// How often the logs are looked at without having been notified: the net, not the way.
pub const FOLLOW_POLL: Duration = Duration::from_secs(5);

/// Rows read from the log at once for one edge, and no more than one frame takes.
pub const LOG_READ: i64 = 500;

/// How long a statement, or a short transaction, may take before the database counts as away.
pub const DATABASE_DEADLINE: Duration = Duration::from_secs(10);

/// How long an edge may take nothing that is sent to it. Slow is fine: the QUIC window is 1 MB, and this
/// is the time for the next frame to fit.
pub const EDGE_WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// How long edges have to hear the goodbye at shutdown.
pub const GOODBYE_DEADLINE: Duration = Duration::from_secs(3);

/// Edges connected to one origin: hundreds are planned for.
pub const MAX_EDGES: usize = 2_000;

/// Regions that one edge replicates: its home and those it stands by for.
pub const MAX_REGIONS_PER_EDGE: usize = 32;

/// The shortest password, in characters.
pub const MIN_PASSWORD: usize = 12;

/// The longest password, in characters: a passphrase of a hundred words.
pub const MAX_PASSWORD: usize = 1000;

/// Passwords hashed at once: one of two cores stays free for everything else, and 19 MiB each.
pub const HASHINGS: usize = 2;

/// Passwords that wait to be hashed: at 30 ms each, a second. More are told to come again.
pub const HASHINGS_WAITING: usize = 64;

/// Wrong passwords for one name after which the next try still does not wait: fingers slip.
pub const FREE_FAILURES: u32 = 5;

/// How long the first try after those waits; each further one twice as long, up to [`MAX_LOGIN_DELAY`].
pub const LOGIN_DELAY: Duration = Duration::from_millis(250);

/// The longest that a try waits: bearable for a person. With [`LOGINS_WAITING_FOR_ONE`], who guesses from any number of
/// addresses has one guess a second, and passwords have twelve characters.
pub const MAX_LOGIN_DELAY: Duration = Duration::from_secs(8);

/// Tries for one name that wait at once.
pub const LOGINS_WAITING_FOR_ONE: usize = 8;

/// Tries that wait at once: an eighth of the connections that there are unless configured otherwise.
pub const LOGINS_WAITING: usize = 128;

/// How long after the last wrong password they are forgotten.
pub const REMEMBER_FAILURES: SignedDuration = SignedDuration::from_mins(15);

/// Places in which wrong passwords are counted, 32 bytes each: with a hundred names under attack, one person in 160
/// shares a place with one of them.
pub const NAME_PLACES: usize = 16 * 1024;

/// Networks remembered of one person: home, office, and a phone that changes them.
pub const NETWORKS_OF_ONE: i64 = 32;

/// How long a network is somebody's without a login from it.
pub const REMEMBER_NETWORK: SignedDuration = SignedDuration::from_hours(24 * 90);

/// Tries a minute that may be configured; a table of [`liveevents_service::http::Quota`] takes no more.
pub const MAX_LOGINS_PER_MINUTE: u32 = 10_000;

/// The highest limit of a caller's requests a minute that can be set: what a `Quota` can count.
pub const MAX_PER_MINUTE: u32 = 10_000;

/// Issuers of players' tokens: platforms, and a studio's own; all of them are in every trust bundle.
pub const MAX_ISSUERS: usize = 16;

/// Keys of one issuer: two are in use while one replaces the other, and some platforms have a few more.
pub const MAX_ISSUER_KEYS: usize = 16;

/// An issuer or audience, in bytes: URLs, mostly.
pub const MAX_ISSUER_TEXT: usize = 500;

/// A key's name, in bytes.
pub const MAX_KID: usize = 200;

/// The way to a claim, in bytes: some are URLs.
pub const MAX_CLAIM_PATH: usize = 200;

/// Attributes taken from a token: as many as a game server may give of a player.
pub const MAX_MAPPED_ATTRIBUTES: usize = 32;

/// Bucketing keys taken from a token: as many as a game server may give, the player's id aside.
pub const MAX_MAPPED_KEYS: usize = 15;

/// The name of an attribute or a bucketing key, in bytes.
pub const MAX_MAPPED_NAME: usize = 100;

/// A key set: a hundred keys with their certificates.
pub const MAX_JWKS: usize = 256 * 1024;

/// How long asking somebody else may take, from looking up the name to the last byte.
pub const OUTBOUND_DEADLINE: Duration = Duration::from_secs(10);

/// How often issuers are looked at that are due, without word that one is new.
pub const ISSUER_POLL: Duration = Duration::from_secs(15);

/// When a key set is asked for again that could not be had, or whose asker has died.
pub const ISSUER_RETRY: Duration = Duration::from_secs(60);

/// How often revocations are read without a notification.
pub const TRUST_POLL: Duration = Duration::from_secs(30);

/// How long after its expiry a revoked token is still named to edges. An edge that loses its origin
/// honours service tokens that expire from then on, and its last bundle may be some minutes old, its
/// clock some minutes off; a week is more than both and keeps the bundle small.
pub const REVOCATION_MEMORY_HOURS: i64 = 7 * 24;

/// How long a request may wait for a connection to Postgres: longer, and the caller has gone.
pub const ACQUIRE_DEADLINE: Duration = Duration::from_secs(5);

/// How long the start waits for a database that is coming up itself: a container with recovery to do.
pub const START_DEADLINE: Duration = Duration::from_secs(60);

/// How long migrations may take, waiting for another replica's included.
pub const MIGRATION_DEADLINE: Duration = Duration::from_secs(300);

/// How long the enrolment token lives that Development makes at each start.
pub const DEVELOPMENT_TOKEN: SignedDuration = SignedDuration::from_hours(24 * 365);

/// The longest life of a service token: five years, after which a fleet has been replaced twice.
pub const MAX_TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(24 * 366 * 5);

/// The words given for a decision, in characters.
pub const MAX_REASON: usize = 2_000;

/// An edge not heard from for longer is waited for no more: it is not coming back by itself.
pub const AWAY_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// How long after a change edges that are away are awaited, unless a deployment says otherwise: a process
/// that is started anew and a machine that reboots are back within it.
pub const CONVERGENCE_GRACE: SignedDuration = SignedDuration::from_secs(60);

/// Nacks that wait to be written, told apart by version, event, revision, edge and reason: ten edges' worth of all
/// that a report holds. Beyond, new ones are counted in the metrics only; one of them is enough for a breach.
pub const MAX_WAITING_NACKS: usize = 1_000;

/// Hellos judged at once: each takes a connection to Postgres for some milliseconds. With [`EDGE_READS`] a storm has
/// four of the twenty connections that are there unless configured otherwise; the others are for everything else.
pub const HELLOS_AT_ONCE: usize = 2;

/// Hellos that wait to be judged. At 200 a second, which a small machine manages, the last waits 5 s; an edge gives
/// up after 10 s.
pub const HELLOS_WAITING: usize = 1_000;

/// Hellos judged in a second, at least, by which those who are sent away are told when to come again.
pub const HELLOS_A_SECOND: f64 = 200.0;

/// The longest time that a hello waits to be judged, however few wait before it.
pub const ADMISSION_DEADLINE: Duration = Duration::from_secs(7);

/// Reads of the log, and of snapshots, for edges at once: what they may hold of the database's connections, and, at
/// a frame of rows or a region's state each, of memory.
pub const EDGE_READS: usize = 2;

/// How often the edges at all replicas are looked at without having been notified.
pub const ROSTER_POLL: Duration = Duration::from_secs(5);

/// The least time between two looks: a storm of edges makes one directory a second, not one an edge.
pub const ROSTER_PAUSE: Duration = Duration::from_secs(1);

/// Over how long an edge that is told to drain spreads its game servers' leaving: those of one edge, 10,000, come to
/// the others at 333 a second.
pub const DRAIN_SPREAD: Duration = Duration::from_secs(30);

/// Heartbeats from which a clock's offset is estimated: the one least delayed in 16 s.
pub const CLOCK_SAMPLES: usize = 8;

/// Versions whose time to convergence is observed at once; after a longer gap only the newest of them.
pub const CONVERGED_AT_MOST: u64 = 1_000;

/// Room for packets that have not been read: the first ones, of 1,200 bytes, of all edges that may connect
/// ([`MAX_EDGES`]), and as much again for what the kernel takes to keep them.
pub const UDP_BUFFER: usize = 4 * 1024 * 1024;

/// An `Idempotency-Key`, in bytes: a UUID, and room for whatever else people use.
pub const MAX_IDEMPOTENCY_KEY: usize = 200;

/// Erasures of one player that are told, the newest ones. Each took the one before it to be done.
pub const MAX_ERASURES_TOLD: i64 = 100;

/// Tokens of one player that are told, the newest ones; `GET /tokens` pages through all.
pub const MAX_TOKENS_TOLD: u32 = 100;

/// Regions of an installation: an edge a city, and some to spare. Lists of them are not paged, and each has a feed in
/// memory at every origin.
pub const MAX_REGIONS: usize = 256;

/// Characters of a region's name for people.
pub const MAX_REGION_NAME: usize = 100;

/// Countries of a region: all there are.
pub const MAX_COUNTRIES: usize = 250;

/// Days of a calendar if nothing is said.
pub const CALENDAR_DAYS: i64 = 30;

/// Days of a calendar at most: a year, and a day for a leap year.
pub const MAX_CALENDAR_DAYS: i64 = 366;

/// Occurrences and deployments in a calendar, each: 3 MB of answer. More nobody reads; a region or a shorter stretch tells
/// them in parts.
pub const MAX_CALENDAR: usize = 10_000;

/// Overlaps told in a calendar: the first ones.
pub const MAX_OVERLAPS: usize = 1_000;

/// How long a sender's session is known after its last batch. A sender sends again what was not acknowledged for minutes, and
/// never for days.
pub const REPORTS_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How long what came in is known by hour: as long as all else is by hour.
pub const REVENUE_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Between two counts of the events that are Active, for `/metrics`: each is one look into an index.
pub const ACTIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Between two looks at how players take part, for `/metrics`. With [`RATE_ROWS`] that is 3 MB a second of Postgres at the
/// most, and a twentieth of a core.
pub const RATE_INTERVAL: Duration = Duration::from_secs(60);

/// Rows read for it: two hours of 1,000 active events in ten regions, each with a candidate beside it. A row has two
/// sketches of 2 KiB at the most.
pub const RATE_ROWS: i64 = 40_000;

/// For how long a request that is sent again gets the first answer, in hours: whoever has not had it after a day looks
/// for what was created.
pub const IDEMPOTENCY_LIFE_HOURS: u32 = 24;

/// The same.
pub const IDEMPOTENCY_LIFE: SignedDuration =
    SignedDuration::from_hours(IDEMPOTENCY_LIFE_HOURS as i64);

/// Keys that are forgotten in one transaction: with answers of some kilobytes each, a few megabytes.
pub const IDEMPOTENCY_BATCH: i64 = 1_000;
