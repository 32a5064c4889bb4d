//! Players who were forgotten: what is left of a name, so that their record is found when somebody asks again.
//!
//! A name becomes a hash that nobody makes without the installation's secret. While the secret is replaced, records of
//! both are found.

use hmac::{Hmac, Mac as _};
use liveevents_service::keys::{Keyring, Keys};
use sha2::Sha256;

/// What stands for a player's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameHash(pub [u8; 32]);

/// Hashes names. Cheap to clone.
#[derive(Clone)]
pub struct Names {
    current: [u8; 32],
    others: Vec<[u8; 32]>,
}

impl Names {
    /// By the keys of the secret in use, and of those accepted besides.
    #[must_use]
    pub fn new(keys: &Keyring) -> Self {
        let current = *keys.current().erased();
        let others = keys.all().map(Keys::erased).copied();
        Self {
            current,
            others: others.filter(|key| *key != current).collect(),
        }
    }

    /// What a name is kept as.
    #[must_use]
    pub fn hash(&self, player: &str) -> NameHash {
        hash(&self.current, player)
    }

    /// All that a name may have been kept as.
    #[must_use]
    pub fn all(&self, player: &str) -> Vec<NameHash> {
        let keys = std::iter::once(&self.current).chain(&self.others);
        keys.map(|key| hash(key, player)).collect()
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
fn hash(key: &[u8; 32], player: &str) -> NameHash {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of 32 bytes");
    mac.update(player.as_bytes());
    NameHash(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_either_secret_and_kept_by_the_one_in_use() {
        let keys = |secret: &str| Keys::derive(&secret.repeat(32).into()).unwrap();
        let before = Names::new(&keys("a").into());
        let after = Names::new(&Keyring::new(keys("b"), vec![keys("a")]));
        assert_ne!(before.hash("p-1"), before.hash("p-2"));
        assert_ne!(before.hash("p-1"), after.hash("p-1"));
        assert_eq!(after.all("p-1"), [after.hash("p-1"), before.hash("p-1")]);
        assert_eq!(before.all("p-1"), [before.hash("p-1")]);
    }
}
