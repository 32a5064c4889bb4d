//! Every bound of this crate, with its reason. What happens at the bound is said beside its use.

use std::time::Duration;

/// The largest request body: an event is at most 256 KB, and a request that carries one adds some
/// kilobytes; the rest is room for escapes (`\u0041` is six bytes for one). api.md promises 1 MiB.
pub const MAX_BODY: usize = 1024 * 1024;

/// The longest text of a framework's own rejection that is repeated to the caller.
pub const MAX_REJECTION_TEXT: usize = 1024;

/// The longest bearer token looked at: claims with 64 regions of 64 letters are 4.5 KB, in base64 6 KB.
/// Anything longer is refused before it is decoded.
pub const MAX_TOKEN: usize = 8 * 1024;

/// The longest id, attribute or bucketing key taken from another issuer's token, in bytes; as long as a game server may
/// give one.
pub const MAX_CLAIM: usize = 200;

/// How far the clocks may be apart of whoever signs a token and whoever judges it, for a token that is good from now on
/// and for those of other issuers. Ours are given for so long that a few seconds at their end are nobody's concern.
pub const CLOCK_LEEWAY: Duration = Duration::from_secs(60);

/// Signatures of a trust bundle that are looked at: one for each secret that an origin may have at once.
pub const MAX_SIGNATURES: usize = 8;

/// Tokens remembered as rightly signed, a power of two: game servers (10,000 an edge) and the players who ask often. At
/// half a kilobyte each, a full table takes 32 MB, and 100 MB if all are as long as [`MAX_KNOWN_TOKEN`].
pub const KNOWN_TOKENS: usize = 64 * 1024;

/// The longest token that is remembered: one of a few regions has 400 bytes. A longer one is verified each time.
pub const MAX_KNOWN_TOKEN: usize = 1024;

/// Callers whose quota one table can count at once, a power of two; at eight bytes each, half a megabyte. A caller
/// takes a place for as long as their quota is not whole: at 50,000 requests a second from as many callers, who are
/// allowed 1,000 a minute each, 3,000 places.
pub const QUOTA_PLACES: usize = 64 * 1024;

/// How long a request may take from its headers to the head of its answer, its body included. Every
/// call to Postgres has a shorter deadline of its own; this is the net, and bounds a trickled body.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(30);

/// How long a connection may take to send the next request's headers, idling between requests
/// included. Longer than nginx keeps an idle upstream connection (60 s), so that nginx is the one to
/// close and never writes into a connection we are closing.
pub const HEADER_DEADLINE: Duration = Duration::from_secs(75);

/// For a client to say who it wants to speak to and agree on keys: two round trips to the far side of the world, with
/// packets lost.
pub const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);

/// Header bytes of one request, and so the read buffer of a connection: a token (8 KiB), the
/// other headers and some room. hyper's least is 8 KiB; its default of 400 KB times ten thousand
/// connections would be 4 GB.
pub const MAX_HEADERS: usize = 32 * 1024;

/// How long to wait before accepting again after the system had no descriptor or memory left for a
/// connection: accepting at once would spin, for the condition stays until a connection ends.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A player's identifier, or the value of a bucketing key, in bytes.
pub const MAX_KEY: usize = 200;

/// Bucketing keys of one request: player, match, guild, server, and some to spare.
pub const MAX_KEYS: usize = 16;

/// Attributes of a player: what a studio's segments look at, and some to spare.
pub const MAX_ATTRIBUTES: usize = 32;
