//! Every bound of the protocol, with its arithmetic.

use std::time::Duration;

/// An event's whole content, encoded: the contract's 256 KB of event plus room for the envelope.
pub const MAX_CONTENT: usize = 300 * 1024;

/// Levels of free-form JSON. Parsers of games follow 64 levels at least (.NET's default); a message
/// puts up to six around a localization's texts.
pub const MAX_JSON_DEPTH: usize = 56;

/// Occurrences of one assignment: 60 days ahead, at most one every 90 minutes.
pub const MAX_OCCURRENCES: usize = 1_000;

/// Players that a segment names one by one, on each of its two lists: what somebody types or pastes. With identifiers
/// of 100 bytes both lists are 1 MB, so a few such segments fit a row.
pub const MAX_LISTED: usize = 5_000;

/// Countries, platforms, and values of one custom criterion of a segment: there are 249 countries.
pub const MAX_ALTERNATIVES: usize = 300;

/// Custom criteria of a segment: as many as a player may have attributes.
pub const MAX_CUSTOM_CRITERIA: usize = 32;

/// Bytes of a player's id, of an attribute's name and of its value where a segment names them: as much as a game server
/// may say of a player.
pub const MAX_NAME: usize = 200;

/// Segments that a revision names, on each of its two lists.
pub const MAX_SEGMENTS: usize = 100;

/// Removals that a state remembers. At 100 removals a second a receiver may be away for 100 s and
/// still be served by delta; at the usual few an hour, for months.
pub const MAX_TOMBSTONES: usize = 10_000;

/// What one change may write into one region, encoded: a stop of 1,000 events with a
/// hundred occurrences each is about 2 MB.
pub const MAX_ROW: usize = 4 * 1024 * 1024;

/// What the entries of one row or chunk may take in memory. Four times their bytes, so that small
/// entries (24 bytes for a tag of one letter, 128 for a removal of three) do not multiply what a peer
/// sent: room for 130,000 removals, where a stop of everything has 1,000.
pub const MAX_DECODED: usize = 4 * MAX_ROW;

/// A frame's body before compression: one row at its largest, and its envelope.
pub const MAX_BODY: usize = MAX_ROW + 64 * 1024;

/// A trust bundle, encoded: 16 issuers with 16 large keys each are 150 KB, and there is room for 150,000 revoked tokens.
/// It goes into a welcome, so it is smaller than a frame.
pub const MAX_TRUST: usize = MAX_ROW;

/// A frame's body before the peer has proved who it is: a token, a position for each of a few
/// regions.
pub const MAX_HELLO: usize = 64 * 1024;

/// An edge's report: 64 standings, histograms of 160 buckets for as many versions, 100 complaints of 500 bytes.
pub const MAX_REPORT: usize = 256 * 1024;

/// Entries in one snapshot chunk, encoded, unless one entry alone is larger.
pub const SNAPSHOT_CHUNK: usize = 512 * 1024;

/// Entries in one snapshot chunk, so that a chunk of many small ones decodes within
/// [`MAX_DECODED`]: 10,000 take 2 MB, and 512 KiB of one-letter tags 13 MB.
pub const CHUNK_ENTRIES: usize = 10_000;

/// Rows sent in one frame, encoded, unless one row alone is larger.
pub const ROWS_CHUNK: usize = 512 * 1024;

/// Bodies from here on are compressed: below it zstd's own header eats the gain.
pub const COMPRESS_FROM: usize = 1024;

/// Reports in one batch: a busy game server's of some seconds.
pub const MAX_BATCH: usize = 1_000;

/// Sessions in one claim, and in one aggregate.
pub const MAX_BATCHES: usize = 1_000;

/// Cells in one aggregate. With sketches of hundreds of players each, some 200 bytes, they are 2 MB.
pub const MAX_CELLS: usize = 10_000;

/// An aggregate, encoded. In one second most cells have few players; a thousand with the largest sketches would be 8 MB, so
/// an edge sends fewer at a time.
pub const MAX_AGGREGATE: usize = MAX_ROW;

/// Currencies with a rate: there are 180.
pub const MAX_CURRENCIES: usize = 500;

/// Players that an edge confirms in one frame to have forgotten; as many as it is told at once.
pub const MAX_FORGOTTEN: usize = 64;

/// A message from a game server: a query for 500 players with 1 KB of attributes each.
pub const MAX_CLIENT_MESSAGE: usize = 512 * 1024;

/// Members of each list of a filter, and bytes of a tag in it.
pub const MAX_FILTER: usize = 100;

/// Players that one game server may have watched: several thousand, and room to grow.
pub const MAX_WATCHED: usize = 10_000;

/// Players in one query.
pub const MAX_QUERY: usize = 500;

/// How often a game server needs to ack: the origin is told once a second.
pub const ACK_INTERVAL: Duration = Duration::from_secs(1);

/// Words of a nack or of a quarantined entry, in bytes; what is longer is cut.
pub const MAX_REASON: usize = 200;

/// Versions told apart in a delivery report: at 20 changes a second, three seconds of them. Older ones are
/// counted as the oldest told.
pub const MAX_STANDINGS: usize = 64;

/// Nacks and quarantined entries in one report: a bad deployment concerns one event.
pub const MAX_COMPLAINTS: usize = 100;

/// Regions, and addresses of one region, in a directory.
pub const MAX_DIRECTORY: usize = 1_000;

/// How often origin and edge say that they are there: an origin that was restarted is noticed at the
/// first, since it knows nothing of the connection and says so.
pub const HEARTBEAT: Duration = Duration::from_secs(2);

/// An edge heard from within this time is *live*: seven heartbeats.
pub const LIVE_WITHIN: Duration = Duration::from_secs(15);

/// How long a peer may take to say hello.
pub const HELLO_DEADLINE: Duration = Duration::from_secs(10);
