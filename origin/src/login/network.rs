//! Where a request comes from: the address that connected, or what trusted proxies say of whom they stand for.
//!
//! `X-Forwarded-For` is anybody's to write, so it is read from its end: the last address was put there by whoever
//! connected to us, the one before by that one, and so on. It is followed for as long as the one who wrote it is a
//! trusted proxy, and no further.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use axum::http::HeaderMap;

/// Addresses that begin alike, such as `10.0.0.0/8`. A single address is one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    bits: u32,
}

impl Network {
    /// Whether an address is one of them.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let (ours, theirs, width) = match (self.first, ip.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (ours.to_bits().into(), theirs.to_bits().into(), u32::BITS)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                (ours.to_bits(), theirs.to_bits(), u128::BITS)
            }
            _ => return false,
        };
        // Nothing is left of a number that is shifted by its whole width.
        let begin = |number: u128| number.checked_shr(width - self.bits).unwrap_or(0);
        begin(ours) == begin(theirs)
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let problem = "must be an IP address or a network such as 10.0.0.0/8";
        let (first, bits) = match text.split_once('/') {
            Some((first, bits)) => (first, Some(bits)),
            None => (text, None),
        };
        let first: IpAddr = first.parse().map_err(|_| problem)?;
        let width = if first.is_ipv4() {
            u32::BITS
        } else {
            u128::BITS
        };
        let bits = bits.map_or(Ok(width), str::parse).map_err(|_| problem)?;
        if bits > width {
            return Err(problem);
        }
        Ok(Self { first, bits })
    }
}

/// Whoever has a home or an office has one of these: an IPv4 address, or the first 64 bits of an IPv6 one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Home(IpAddr);

impl Home {
    /// That of an address.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
            ip => ip,
        })
    }
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Who sent a request, by who connected and by what trusted proxies add.
#[must_use]
pub fn client(peer: SocketAddr, headers: &HeaderMap, proxies: &[Network]) -> IpAddr {
    let trusted = |ip: IpAddr| proxies.iter().any(|proxy| proxy.contains(ip));
    let mut client = peer.ip().to_canonical();
    // The lines of a header are one list (RFC 9110), written from its beginning.
    let said = headers.get_all("x-forwarded-for").iter().rev();
    let said = said.flat_map(|line| line.to_str().unwrap_or("?").rsplit(','));
    for one in said {
        if !trusted(client) {
            break;
        }
        match address(one.trim()) {
            Some(ip) => client = ip.to_canonical(),
            None => break,
        }
    }
    client
}

/// An address, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    let plain = text.parse().ok();
    let ported = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    plain.or_else(ported)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_addresses_that_begin_alike() {
        let table = [
            ("10.0.0.0/8", "10.9.9.9", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("192.168.1.7", "192.168.1.7", true),
            ("192.168.1.7", "192.168.1.8", false),
            ("0.0.0.0/0", "255.1.1.1", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "2001:db8::1", true),
            ("2001:db8::/32", "2001:db8:7::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
        ];
        for (network, ip, expected) in table {
            let network: Network = network.parse().unwrap();
            assert_eq!(
                network.contains(ip.parse().unwrap()),
                expected,
                "{network:?} {ip}"
            );
        }
        for bad in [
            "",
            "ten",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "::/129",
            "10.0.0.0/8/8",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_is_believed_from_trusted_proxies_only() {
        let proxies = ["10.0.0.0/8", "192.168.0.1"].map(|network| network.parse().unwrap());
        let table: [(&str, &[&str], &str); 9] = [
            ("9.9.9.9", &[], "9.9.9.9"),
            // Whoever comes by themselves may write what they like.
            ("9.9.9.9", &["1.1.1.1"], "9.9.9.9"),
            ("10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            // What the client wrote stands before what the proxy added.
            ("10.0.0.1", &["8.8.8.8, 1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &["8.8.8.8", "1.1.1.1"], "1.1.1.1"),
            (
                "10.0.0.1",
                &["1.1.1.1, 192.168.0.1", "10.0.0.2:4711"],
                "1.1.1.1",
            ),
            ("10.0.0.1", &["unknown"], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1"),
        ];
        for (peer, said, expected) in table {
            let mut headers = HeaderMap::new();
            for line in said {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            let peer = SocketAddr::new(peer.parse().unwrap(), 1);
            let found = client(peer, &headers, &proxies);
            assert_eq!(
                found,
                expected.parse::<IpAddr>().unwrap(),
                "{peer} {said:?}"
            );
        }
    }

    #[test]
    fn a_home_is_an_address_or_the_first_half_of_one() {
        let home = |ip: &str| Home::of(ip.parse().unwrap()).to_string();
        assert_eq!(home("1.2.3.4"), "1.2.3.4");
        assert_eq!(home("::ffff:1.2.3.4"), "1.2.3.4");
        assert_eq!(home("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    }
}
