//! Where other regions are served, as the origin says: for those who ask the wrong edge.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use liveevents_protocol::id::RegionId;

use crate::limits::{MAX_ADDRESS, MISDIRECTED_TO};

/// Where each region is served. Clones share it. Empty until the origin says: no address is better than a guess.
#[derive(Debug, Clone, Default)]
pub(crate) struct Directory(Arc<ArcSwap<BTreeMap<RegionId, Vec<String>>>>);

impl Directory {
    /// Takes what the origin says in place of what it said before. What is no address is left out: whoever asks is sent
    /// there.
    pub(super) fn replace(&self, told: Vec<(RegionId, Vec<String>)>) {
        let regions = told.into_iter().map(|(region, mut addresses)| {
            addresses.retain(|address| is_address(address));
            addresses.truncate(MISDIRECTED_TO);
            (region, addresses)
        });
        self.0.store(Arc::new(regions.collect()));
    }

    /// Edges that serve a region; none if none is known.
    pub(crate) fn addresses(&self, region: &RegionId) -> Vec<String> {
        self.0.load().get(region).cloned().unwrap_or_default()
    }
}

/// `http://host:port` or `https://host:port`, as edges are configured with.
fn is_address(text: &str) -> bool {
    let host = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    text.len() <= MAX_ADDRESS
        && host.is_some_and(|host| !host.is_empty() && host.chars().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_and_bounded() {
        let region: RegionId = "eu-west".parse().unwrap();
        let directory = Directory::default();
        assert!(directory.addresses(&region).is_empty());
        let good = [
            "http://10.0.0.7:8090",
            "https://edge.example.com",
            "http://[::1]:8090",
        ];
        let long = format!("http://{}", "a".repeat(MAX_ADDRESS));
        let bad = [
            "",
            "http://",
            "ftp://a",
            "a:80",
            "http://a/b",
            "http://a\r\nX: y",
            "http://u@a",
            &long,
        ];
        let told = bad
            .iter()
            .chain(&good)
            .map(|&text| text.to_owned())
            .collect();
        directory.replace(vec![(region.clone(), told)]);
        assert_eq!(directory.addresses(&region), good);
        let many = (0..1000).map(|n| format!("http://a:{n}")).collect();
        directory.replace(vec![(region.clone(), many)]);
        assert_eq!(directory.addresses(&region).len(), MISDIRECTED_TO);
        directory.replace(Vec::new());
        assert!(directory.addresses(&region).is_empty());
    }
}
