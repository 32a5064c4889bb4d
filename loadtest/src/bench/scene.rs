//! Where a scenario takes place: an origin, one edge with its process, and what it takes to use them.

use std::net::SocketAddr;

use liveevents_protocol::id::RegionId;

use super::process::Process;
use crate::address::EdgeAddress;
use crate::arguments::bench::Measured;
use crate::failure::Failure;
use crate::limits;
use crate::receivers::{Greeting, Plan};
use crate::rest::Rest;

/// Where a scenario takes place.
#[derive(Debug)]
pub(super) struct Scene {
    /// The origin, as an admin.
    pub(super) rest: Rest,
    /// The edge's region.
    pub(super) region: RegionId,
    /// Where the edge listens.
    pub(super) address: SocketAddr,
    /// For game servers, and for reads on behalf of players.
    pub(super) token: String,
    /// The edge.
    pub(super) edge: Process,
}

impl Scene {
    /// Logs in, and looks where the first edge given is.
    pub(super) async fn of(measured: &Measured) -> Result<Self, Failure> {
        let rest = measured.target.log_in().await?;
        let edge = measured.target.edges.first();
        let edge = edge.ok_or_else(|| Failure::Wrong(vec!["there is no edge".to_owned()]))?;
        let region = edge.region.clone();
        let regions = std::slice::from_ref(&region);
        let token = rest
            .service_token("GameServer", "liveevents-bench", regions)
            .await?;
        Ok(Self {
            rest,
            address: resolve(edge).await?,
            region,
            token,
            edge: Process(measured.edge_pid),
        })
    }

    /// Receivers of the region's state.
    pub(super) fn receivers(&self, count: u32) -> Plan {
        Plan {
            address: self.address,
            count: count as usize,
            at_once: limits::OPENING,
            greeting: Greeting::Subscribe {
                token: self.token.clone(),
                region: self.region.to_string(),
            },
        }
    }
}

async fn resolve(edge: &EdgeAddress) -> Result<SocketAddr, Failure> {
    let base = edge.http.to_string();
    let host = base.strip_prefix("http://").unwrap_or(&base);
    let found = tokio::net::lookup_host(host).await;
    let mut found = found.map_err(|source| Failure::Socket { source })?;
    found
        .next()
        .ok_or_else(|| Failure::Wrong(vec![format!("{host} is nowhere")]))
}
