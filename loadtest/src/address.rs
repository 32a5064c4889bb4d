//! Where origin and edges are, as given on the command line.

use std::fmt;
use std::str::FromStr;

use liveevents_client::{Address, AddressError};
use liveevents_protocol::id::{IdError, RegionId};

/// `http://host:port`, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpBase(String);

/// An edge and the region that it is in: `us-east=http://host:port`. `ws://` does as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeAddress {
    /// The region.
    pub region: RegionId,
    /// For reads.
    pub http: HttpBase,
    /// For game servers.
    pub subscribe: Address,
}

/// Why a text is not an address.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// Another scheme. TLS is ended before the load generator.
    #[error("must begin with http://")]
    Scheme,
    /// Not `REGION=URL`.
    #[error("must be REGION=URL, such as us-east=http://127.0.0.1:8090")]
    Shape,
    /// The part before `=`.
    #[error("the region {0}")]
    Region(#[source] IdError),
    /// The part after it.
    #[error("the URL {0}")]
    Url(#[source] AddressError),
}

impl fmt::Display for HttpBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HttpBase {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let rest = text
            .strip_prefix("http://")
            .or_else(|| text.strip_prefix("ws://"))
            .ok_or(ParseError::Scheme)?;
        Ok(Self(format!("http://{}", rest.trim_end_matches('/'))))
    }
}

impl FromStr for EdgeAddress {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (region, url) = text.split_once('=').ok_or(ParseError::Shape)?;
        let http: HttpBase = url.parse()?;
        let subscribe = http.0.replacen("http://", "ws://", 1);
        Ok(Self {
            region: region.parse().map_err(ParseError::Region)?,
            subscribe: subscribe.parse().map_err(ParseError::Url)?,
            http,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_a_region_and_a_url() {
        for text in ["us-east=http://edge:8090/", "us-east=ws://edge:8090"] {
            let edge: EdgeAddress = text.parse().unwrap();
            assert_eq!(edge.region.as_str(), "us-east");
            assert_eq!(edge.http.to_string(), "http://edge:8090");
            assert_eq!(
                edge.subscribe.to_string(),
                "ws://edge:8090/api/v1/subscribe"
            );
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let table = [
            (
                "http://edge:8090",
                "must be REGION=URL, such as us-east=http://127.0.0.1:8090",
            ),
            ("us-east=https://edge", "must begin with http://"),
            (
                "US=http://edge",
                "the region has 'U'; lower-case letters, digits and hyphens are allowed",
            ),
            ("us-east=http://", "the URL is not a URL"),
        ];
        for (text, message) in table {
            assert_eq!(
                text.parse::<EdgeAddress>().unwrap_err().to_string(),
                message
            );
        }
    }
}
