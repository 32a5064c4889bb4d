//! Every bound of the edge, with its reason. Bounds of what travels are in `protocol::limits`.

use std::time::Duration;

use jiff::SignedDuration;
use liveevents_protocol::limits::{HEARTBEAT, LIVE_WITHIN};

/// A region whose origin was heard within this time is fresh: as many heartbeats as make an edge live.
pub(crate) const FRESH_WITHIN: Duration = LIVE_WITHIN;

// Replica.

/// One snapshot, encoded: 1,000 active events at the largest content (300 KiB) are 293 MiB.
pub(crate) const MAX_SNAPSHOT: usize = 320 * 1024 * 1024;

/// Deltas kept of one version, by the place that they start from and by filter. A receiver that finds no room gets its
/// own, made for it alone.
pub(crate) const DELTAS_KEPT: usize = 2_048;

/// One piece of a snapshot, as JSON, unless one entry alone is larger: what is kept for a receiver that takes its time.
pub(crate) const SNAPSHOT_PIECE: usize = 256 * 1024;

/// Versions after it that a snapshot serves, with what changed since. At 20 changes a second it is made every three
/// seconds and not 20 times in each; the delta beside it is a fraction of it.
pub(crate) const SNAPSHOT_SERVES: u64 = 64;

/// Versions of which a receiver need not be told that they were not for it. Then it is: else its position would fall
/// below the floor, and a reconnect cost a snapshot.
pub(crate) const SPARED: u64 = 256;

/// Entries encoded on the task that needs them: 64 of 4 KB take about 0.3 ms. More are encoded on a thread of
/// their own, so that no connection waits behind it.
pub(crate) const INLINE_ENTRIES: usize = 64;

// Uplink.

/// Name look-up and handshake, each. QUIC sends its first packet three times within it (after 1 and 3 s): one origin
/// that is gone must not keep this edge long from the next.
pub(crate) const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// For the origin to answer a hello. It asks its database, and gives that 10 s.
pub(crate) const WELCOME_DEADLINE: Duration = Duration::from_secs(15);

/// What QUIC itself may go without hearing from the origin. Three lost heartbeats: the origin has given this
/// edge up by then.
pub(crate) const IDLE_TIMEOUT: Duration = LIVE_WITHIN;

/// QUIC's own sign of life, so that a connection idle on our layer keeps its place in every NAT on the way.
pub(crate) const KEEP_ALIVE: Duration = HEARTBEAT;

/// Frames that we send are small: an origin that takes none for so long is gone.
pub(crate) const UPLINK_WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// For a goodbye to arrive, when this process ends.
pub(crate) const GOODBYE_DEADLINE: Duration = Duration::from_secs(2);

/// The first delay before connecting again, at most.
pub(crate) const RECONNECT_BASE: Duration = Duration::from_millis(200);

/// The longest delay before connecting again. An origin that restarts finds its edges back within this.
pub(crate) const RECONNECT_MAX: Duration = Duration::from_secs(10);

/// Between tries that cannot succeed before somebody has set something right.
pub(crate) const FIX_RETRY: Duration = Duration::from_secs(30);

/// How long a connection has to last before its end counts as the first failure again.
pub(crate) const SETTLED_AFTER: Duration = Duration::from_secs(30);

/// Over how long the origin may have game servers leave: longer is a mistake in a unit.
pub(crate) const MAX_DRAIN: Duration = Duration::from_secs(3600);

/// An edge's address, in bytes: a host name has 253 at most.
pub(crate) const MAX_ADDRESS: usize = 300;

/// Addresses told to whoever asks the wrong edge: enough that one of them is up.
pub(crate) const MISDIRECTED_TO: usize = 8;

/// Entries remembered that a process died of. Each costs a death or two before it is set aside for good.
pub(crate) const MAX_SUSPECTS: usize = 64;

/// What the origin may send ahead of our reading: one frame at its largest, twice.
pub(crate) const RECEIVE_WINDOW: u32 = 8 * 1024 * 1024 + 256 * 1024;

// Delivery reports.

/// Between two aggregates of reports: ten a second cost the origin ten commits an edge, and are far within a second.
pub(crate) const AGGREGATE_INTERVAL: Duration = Duration::from_millis(100);

/// Sender sessions known at once: each game server has one, and one that restarts another.
pub(crate) const MAX_SENDERS: usize = 40_000;

/// How long a session that has nothing under way is remembered when there is no room: it is claimed again when it reports.
pub(crate) const SENDER_LIFE: Duration = Duration::from_secs(600);

/// Batches of one session that are taken and not counted: what comes in some seconds without the origin.
pub(crate) const MAX_UNDERWAY: u64 = 64;

/// What a cell takes at least, encoded and in memory: names, sums, and four sketches of nobody.
pub(crate) const CELL_WEIGHT: usize = 640;

/// Cells that one batch may come to, those of segments included: of a usual one a handful.
pub(crate) const MAX_BATCH_CELLS: usize = 2_000;

/// What a report adds to a cell's sketches at most: a player in each of the four.
pub(crate) const REPORT_WEIGHT: usize = 16;

/// What is kept of one session, before its last batch: with that one it is 2.3 MB at most.
pub(crate) const MAX_SENDER_WEIGHT: usize = 1_000_000;

/// What an aggregate has before the last session in it. With that one's it is below 3.9 MB and 6,100 cells, within what a
/// frame takes, whatever is reported.
pub(crate) const MAX_WEIGHT_SENT: usize = 1_500_000;

/// What is kept of all sessions.
pub(crate) const MAX_HELD: usize = 256 * 1024 * 1024;

/// A game server whose reports find no room sends them again after so long.
pub(crate) const RESEND_AFTER: Duration = Duration::from_secs(1);

/// Once the origin is back, game servers send again what waits within so long: each some batches.
pub(crate) const RESEND_SPREAD: Duration = Duration::from_secs(2);

/// For the origin to say which batch of a session was counted last.
pub(crate) const CLAIM_DEADLINE: Duration = Duration::from_secs(5);

/// For the origin to count a batch, at the most: with the claim before it the answer comes before a request's own deadline,
/// and says what is wrong.
pub(crate) const MAX_REPORTS_DEADLINE: Duration = Duration::from_secs(20);

/// Between two reports of what a region's game servers have, unless all have just got to the newest version: what
/// 10,000 of them say within a second is one frame of a few hundred bytes.
pub(crate) const DELIVERY_INTERVAL: Duration = Duration::from_secs(1);

/// Versions whose time of commit is remembered, to tell how long they took: at 20 changes a second, 13 s of them.
pub(crate) const TIMED_VERSIONS: usize = 256;

/// How long after the origin has read of a nack it has surely written it down. One that is sent again is counted again,
/// which harms less than one that is lost.
pub(crate) const NACKS_SETTLE: Duration = Duration::from_secs(5);

/// Nacks of one game server that are remembered, so that each counts once. Beyond it the oldest versions' are
/// forgotten, and not counted again either.
pub(crate) const NACKS_EACH: usize = 16;

/// How far this machine's clock and the origin's may be from each other before that is said.
pub(crate) const CLOCK_OFF: Duration = Duration::from_millis(500);

// Cache.

/// Connecting to Redis.
pub(crate) const CACHE_CONNECT_DEADLINE: Duration = Duration::from_secs(2);

/// One command to Redis. Replacing 4 MB takes some 20 ms; the largest state a few seconds.
pub(crate) const CACHE_DEADLINE: Duration = Duration::from_secs(10);

/// What a start may wait for Redis. Without it the edge starts empty and the origin fills it.
pub(crate) const WARM_START_DEADLINE: Duration = Duration::from_secs(5);

/// How often Redis is told that a state is still current, and is found out to have lost it: a few hundred bytes a region,
/// and the trust bundle. An edge started from Redis may count its state this much older than it was.
pub(crate) const CACHE_REFRESH: Duration = Duration::from_secs(5);

/// How long Redis may have a later state than an edge that hears the origin all the time. Another edge is ahead for
/// milliseconds, and of one whose origin is slow to follow for a second or two.
pub(crate) const CACHE_OUTRUN: Duration = Duration::from_secs(10);

/// Between looks into Redis for one region, however many receivers ask for it.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The first and longest delay after Redis failed.
pub(crate) const CACHE_RETRY_BASE: Duration = Duration::from_millis(250);
/// See [`CACHE_RETRY_BASE`].
pub(crate) const CACHE_RETRY_MAX: Duration = Duration::from_secs(5);

/// For the last write, when this process ends.
pub(crate) const CACHE_FLUSH_DEADLINE: Duration = Duration::from_secs(3);

// Schedule.

/// A clock set back by up to so much is waited for: more than any daylight saving, time zone or drift amounts to. Beyond
/// it the clock was badly wrong, and waiting would keep events from opening for days.
pub(crate) const CLOCK_HOLD: Duration = Duration::from_hours(24);

/// From how far back on that is said: less is a clock being kept in step.
pub(crate) const CLOCK_SET_BACK: Duration = Duration::from_millis(100);

/// How often the clock is looked at, however far the next switch is: so late is noticed at the most that it was set
/// forwards. Four looks a second cost nothing.
pub(crate) const CLOCK_LOOK: Duration = Duration::from_millis(250);

/// Notices kept of one region: 1,000 active events that all begin, and all end, twice over. Some 300 bytes each.
pub(crate) const NOTICES: usize = 4096;

/// Notices written to one game server before others have their turn: at midnight a thousand events may begin.
pub(crate) const NOTICES_AT_ONCE: usize = 16;

// Serving.

/// Requests in flight and idle keep-alive connections of readers, upgraded ones not included: nginx in front holds
/// some hundred; beyond this newcomers wait in the backlog. At 32 KiB of headers each 128 MiB at the worst.
pub(crate) const HTTP_CONNECTIONS: usize = 4096;

/// What requests under way may take to end, and game servers to take their goodbye, when this process ends.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);

/// Sending one message. A receiver that has not taken it by then is dead, not slow.
pub(crate) const WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// How often a game server is pinged.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Pings without any sign of life before a game server counts as dead.
pub(crate) const MISSED_PINGS: u8 = 2;

/// How often a shard looks after what is a matter of time: deadlines are kept to within a second.
pub(crate) const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Game servers that a shard writes to before it gives way: at 4 us each a reader waits a millisecond at most.
pub(crate) const BATCH: usize = 256;

/// Game servers that a shard fetches from memory at once: about as many loads as a core has under way, few enough to be
/// there still when their turn comes.
pub(crate) const FETCHED: usize = 16;

/// Places and filters that a shard encodes for in one pass. Who is alone at one more sees to itself.
pub(crate) const TEXTS_A_PASS: usize = 2_048;

/// Messages that a game server may say at once: acks of a few hundred changes, and several thousand players to watch.
pub(crate) const MESSAGES_AT_ONCE: u32 = 1_000;

/// Then one each so often: a hundred a second, where one ack a second is enough.
pub(crate) const MESSAGE_INTERVAL: Duration = Duration::from_millis(10);

/// How long before its expiry a game server is told that its token expires.
pub(crate) const TOKEN_WARNING: SignedDuration = SignedDuration::from_mins(5);

/// Different filters at once: game modes, platforms and teams make dozens. Each may need a snapshot of its own.
pub(crate) const MAX_FILTERS: usize = 1_000;

/// For game servers to leave after the last of them was to come elsewhere: a connection and a snapshot.
pub(crate) const DRAIN_GRACE: Duration = Duration::from_secs(5);

/// For the last of them to be closed.
pub(crate) const DRAIN_CLOSING: Duration = Duration::from_secs(5);

/// The longest that anybody is told to wait before coming again.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// For a close frame to be sent and answered.
pub(crate) const CLOSE_DEADLINE: Duration = Duration::from_secs(3);

/// Over how long game servers spread their reconnects when this edge ends: 10,000 of them are 1,000 a second for
/// the edges that are left.
pub(crate) const GOAWAY_SPREAD: Duration = Duration::from_secs(10);

/// When to try again at an edge that is full.
pub(crate) const FULL_RETRY: Duration = Duration::from_secs(5);

// Level Watch, and queries.

/// Between the beginnings of two passes over one game server's players: many changes at once cost one pass, and a player
/// sees nothing of so short a wait.
pub(crate) const PASS_INTERVAL: Duration = Duration::from_millis(50);

/// Events evaluated for one game server's players before others have their turn: a fifth of a millisecond of a core.
pub(crate) const EVALUATIONS: usize = 20_000;

/// What one game server's players may take: 10,000 of 1.6 KB, which is a few keys and a dozen attributes each.
pub(crate) const WATCHED_BYTES: usize = 16 * 1024 * 1024;

/// What all watched players of this edge may take: a million of them with a few keys, a thousand on each of a thousand
/// game servers.
pub(crate) const ALL_WATCHED_BYTES: usize = 1024 * 1024 * 1024;

/// The answer to one query: 500 players with 20 events of 1.5 KB. It is held until the socket has taken it.
pub(crate) const MAX_ANSWER: usize = 16 * 1024 * 1024;
