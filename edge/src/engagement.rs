//! What game servers report of players, on its way to the origin: added up at once, kept until it is counted for good.
//!
//! A sender's batches are numbered. This edge claims a sender's session at the origin before it takes any, and learns which
//! batch was counted last. What was taken is added up and travels, with the number of the last batch of each session in it,
//! as one aggregate at a time; the origin counts all of it in one transaction, or says whose sessions are other edges' by
//! now, and nothing is counted. Only then do senders hear that their batches are counted. So nothing counts twice or is
//! lost, whatever is killed: senders send again what they have not heard of.

mod attribution;
mod batch;
mod book;
mod sender;

#[cfg(test)]
mod tests;

use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use attribution::attribute;

pub(crate) use batch::{Sum, View, add_up, judge};
pub(crate) use book::{Book, Progress, Rules};
pub(crate) use sender::{Cells, Offered};

/// A player, so that nobody without the key can tell who it is: the first 64 bits of HMAC-SHA-256.
#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
pub(crate) fn hash(key: &[u8; 32], player: &str) -> u64 {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of 32 bytes");
    mac.update(player.as_bytes());
    let digest: [u8; 32] = mac.finalize().into_bytes().into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
