//! Game servers: many of the reference client in one process.

use std::collections::BTreeMap;
use std::time::Duration;

use liveevents_client::{Address, Client, ClientConfig, ConfigError, Link, Observer, Token};
use liveevents_protocol::id::RegionId;
use liveevents_protocol::message::Cursor;
use tokio::time::{Instant, timeout_at};

use crate::address::EdgeAddress;
use crate::limits;

/// A region and the edges given for it.
#[derive(Debug, Clone)]
pub struct Place {
    /// The region.
    pub region: RegionId,
    /// Its edges.
    pub addresses: Vec<Address>,
}

/// One game server.
#[derive(Debug)]
pub struct GameServer {
    /// What it is called here, such as `us-east/3`.
    pub name: String,
    /// Where it is.
    pub region: RegionId,
    /// Its copy of the region.
    pub client: Client,
}

/// Why game servers are not ready.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A configuration that cannot work.
    #[error("cannot start a game server")]
    Config(#[from] ConfigError),
    /// Not all of them hold their region in time.
    #[error("{name} holds nothing after {waited:?}: {why}")]
    NotReady {
        /// The first of them.
        name: String,
        /// How long it was waited for.
        waited: Duration,
        /// How it stands with its edges.
        why: String,
    },
}

/// The regions of these edges, each with all of its edges.
#[must_use]
pub fn places(edges: &[EdgeAddress]) -> Vec<Place> {
    let mut places: BTreeMap<&RegionId, Vec<Address>> = BTreeMap::new();
    for edge in edges {
        places
            .entry(&edge.region)
            .or_default()
            .push(edge.subscribe.clone());
    }
    places
        .into_iter()
        .map(|(region, addresses)| Place {
            region: region.clone(),
            addresses,
        })
        .collect()
}

/// Starts a game server. Must be called within a tokio runtime.
///
/// # Errors
/// If its configuration cannot work.
pub fn start(
    place: &Place,
    name: String,
    token: &str,
    observer: Observer,
) -> Result<GameServer, FleetError> {
    let token = Token::fixed(token);
    let mut config = ClientConfig::new(place.region.clone(), place.addresses.clone(), token);
    config.observer = Some(observer);
    Ok(GameServer {
        name,
        region: place.region.clone(),
        client: Client::connect(config)?,
    })
}

/// Waits until every one of them holds its region.
///
/// # Errors
/// Naming the first that does not, within a minute.
pub async fn ready(servers: &[GameServer]) -> Result<(), FleetError> {
    let deadline = Instant::now() + limits::OPEN;
    for server in servers {
        if !holds(server, deadline, |_| true).await {
            return Err(FleetError::NotReady {
                name: server.name.clone(),
                waited: limits::OPEN,
                why: standing(server),
            });
        }
    }
    Ok(())
}

/// Waits until a game server is somewhere that will do; whether it got there in time.
pub async fn holds(
    server: &GameServer,
    deadline: Instant,
    mut will_do: impl FnMut(Cursor) -> bool,
) -> bool {
    let mut changed = server.client.changed();
    let reached = changed.wait_for(|cursor| cursor.is_some_and(&mut will_do));
    matches!(timeout_at(deadline, reached).await, Ok(Ok(_)))
}

/// Whether it has a connection.
#[must_use]
pub fn is_connected(server: &GameServer) -> bool {
    matches!(&*server.client.link().borrow(), Link::Connected { .. })
}

fn standing(server: &GameServer) -> String {
    match &*server.client.link().borrow() {
        Link::Connecting { address } => format!("connecting to {address}"),
        Link::Connected { address, .. } => format!("connected to {address}, but nothing came"),
        Link::Away { because, .. } => crate::failure::chain(because),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_of_a_region_belong_together() {
        let edges = ["b=http://b1:1", "a=http://a:1", "b=http://b2:1"].map(|e| e.parse().unwrap());
        let places = places(&edges);
        let shape: Vec<_> = places
            .iter()
            .map(|p| (p.region.as_str(), p.addresses.len()))
            .collect();
        assert_eq!(shape, [("a", 1), ("b", 2)]);
    }
}
