//! An edge that says whatever a test wants, over real QUIC.

use std::sync::Arc;
use std::time::Duration;

use liveevents_protocol::close::CloseReason;
use liveevents_protocol::codec::{self, FrameDecoder};
use liveevents_protocol::frame::{self, ALPN_V1, EdgeFrame, Hello, OriginFrame, Rows};
use liveevents_protocol::id::{BootId, ErasureId, RegionId};
use liveevents_protocol::limits::MAX_BODY;
use liveevents_protocol::position::{Position, SealedPosition};
use liveevents_service::token::Role;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::time::timeout;

use super::origin::Origin;

const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn encode(frame: &EdgeFrame) -> Vec<u8> {
    codec::encode_edge_frame(frame).unwrap()
}

pub(crate) struct ScriptedEdge {
    _endpoint: quinn::Endpoint,
    connection: quinn::Connection,
    send: quinn::SendStream,
    recv: quinn::RecvStream,
    decoder: FrameDecoder,
    /// What it was last told of where regions are served, whoever waited for what.
    directory: Vec<(RegionId, Vec<String>)>,
    /// Over how many milliseconds it was told to drain, if it was.
    drained: Option<u64>,
}

impl ScriptedEdge {
    pub(crate) async fn connect(origin: &Origin) -> Self {
        Self::try_connect(&endpoint(origin), origin).await.unwrap()
    }

    /// Connects by a socket that may be that of many.
    pub(crate) async fn try_connect(
        endpoint: &quinn::Endpoint,
        origin: &Origin,
    ) -> Result<Self, quinn::ConnectionError> {
        let connection = endpoint
            .connect(origin.address, "localhost")
            .unwrap()
            .await?;
        let (send, recv) = connection.open_bi().await?;
        let decoder = FrameDecoder::new(MAX_BODY);
        Ok(Self {
            _endpoint: endpoint.clone(),
            connection,
            send,
            recv,
            decoder,
            directory: Vec::new(),
            drained: None,
        })
    }

    pub(crate) async fn hello(
        &mut self,
        origin: &Origin,
        edge: &str,
        regions: &[(&str, Option<SealedPosition>)],
    ) {
        let names: Vec<&str> = regions.iter().map(|(region, _)| *region).collect();
        let token = origin.sign(&origin.claims(Role::Edge, &names));
        self.hello_with(origin, edge, &token, regions).await;
    }

    pub(crate) async fn hello_with(
        &mut self,
        origin: &Origin,
        edge: &str,
        token: &str,
        regions: &[(&str, Option<SealedPosition>)],
    ) {
        let hello = hello(origin.installation.as_str(), edge, token, regions);
        self.send(&EdgeFrame::Hello(hello)).await;
    }

    /// Comes with an empty copy of a region, as a run of a process that understands all there is, and takes the
    /// welcome and the snapshot.
    pub(crate) async fn enter(origin: &Origin, edge: &str, region: &str, boot: BootId) -> Self {
        let mut this = Self::connect(origin).await;
        let token = origin.sign(&origin.claims(Role::Edge, &[region]));
        let hello = Hello {
            boot,
            capabilities: [frame::DRAIN, frame::DIRECTORY, frame::FORGET]
                .map(str::to_owned)
                .to_vec(),
            address: format!("http://{edge}"),
            build: "1.2.3".to_owned(),
            ..hello(
                origin.installation.as_str(),
                edge,
                &token,
                &[(region, None)],
            )
        };
        this.send(&EdgeFrame::Hello(hello)).await;
        assert!(matches!(this.next().await, OriginFrame::Welcome { .. }));
        this.next_snapshot().await;
        this
    }

    pub(crate) async fn hello_of_installation(&mut self, origin: &Origin, installation: &str) {
        let token = origin.sign(&origin.claims(Role::Edge, &["us-east"]));
        let hello = hello(installation, "intruder", &token, &[("us-east", None)]);
        self.send(&EdgeFrame::Hello(hello)).await;
    }

    pub(crate) async fn send(&mut self, frame: &EdgeFrame) {
        self.send_bytes(&encode(frame)).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.send.write_all(bytes).await.unwrap();
    }

    /// The next frame, whatever it is.
    pub(crate) async fn next(&mut self) -> OriginFrame {
        self.try_next().await.unwrap()
    }

    /// The next frame, unless the connection ends before.
    pub(crate) async fn try_next(&mut self) -> Result<OriginFrame, quinn::ReadError> {
        timeout(LIMIT, async {
            loop {
                if let Some(frame) = self.decoder.next_frame().unwrap() {
                    let frame = codec::decode_origin_frame(&frame).unwrap();
                    match &frame {
                        OriginFrame::Directory(told) => self.directory.clone_from(told),
                        OriginFrame::Drain { spread_ms } => self.drained = Some(*spread_ms),
                        _ => {}
                    }
                    return Ok(frame);
                }
                let chunk = self.recv.read_chunk(64 * 1024, true).await?.unwrap();
                self.decoder.push(&chunk.bytes);
            }
        })
        .await
        .expect("the origin sends a frame")
    }

    /// The next rows; heartbeats and trust in between are passed over.
    pub(crate) async fn next_rows(&mut self) -> Rows {
        loop {
            match self.next().await {
                OriginFrame::Rows(rows) => return rows,
                OriginFrame::Heartbeat { .. }
                | OriginFrame::Trust(_)
                | OriginFrame::Directory(_) => {}
                other => panic!("not rows: {other:?}"),
            }
        }
    }

    /// The next frame of those that this picks; the others are passed over.
    pub(crate) async fn next_of<T>(&mut self, pick: impl Fn(OriginFrame) -> Option<T>) -> T {
        loop {
            if let Some(picked) = pick(self.next().await) {
                return picked;
            }
        }
    }

    /// The position of the next snapshot.
    pub(crate) async fn next_snapshot(&mut self) -> Position {
        self.next_of(|frame| match frame {
            OriginFrame::SnapshotChunk(chunk) if chunk.last => Some(chunk.position.position),
            _ => None,
        })
        .await
    }

    /// Where the regions are served, once that is so.
    pub(crate) async fn until_directory(&mut self, expected: &[(&str, &[&str])]) {
        let row = |(region, addresses): &(&str, &[&str])| {
            let addresses = addresses.iter().map(ToString::to_string).collect();
            (region.parse().unwrap(), addresses)
        };
        let expected: Vec<(RegionId, Vec<String>)> = expected.iter().map(row).collect();
        while self.directory != expected {
            self.next().await;
        }
    }

    /// Over how many milliseconds it is told to drain, once it is.
    pub(crate) async fn until_drained(&mut self) -> u64 {
        loop {
            if let Some(spread) = self.drained {
                return spread;
            }
            self.next().await;
        }
    }

    /// The next player whom it is to forget, and by which record.
    pub(crate) async fn next_forgotten(&mut self) -> (ErasureId, String) {
        self.next_of(|frame| match frame {
            OriginFrame::Forget { id, player } => Some((id, player)),
            _ => None,
        })
        .await
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.drained.is_some()
    }

    /// Why the origin closed the connection.
    pub(crate) async fn closed(&mut self) -> Option<CloseReason> {
        self.closed_saying().await.0
    }

    /// Likewise, and in which words.
    pub(crate) async fn closed_saying(&mut self) -> (Option<CloseReason>, String) {
        match timeout(LIMIT, self.connection.closed())
            .await
            .expect("the origin closes")
        {
            quinn::ConnectionError::ApplicationClosed(close) => {
                let reason = CloseReason::from_code(close.error_code.into_inner());
                (reason, String::from_utf8_lossy(&close.reason).into_owned())
            }
            other => panic!("not closed by the origin: {other}"),
        }
    }

    pub(crate) fn drop_connection(self) {
        self.connection.close(0_u32.into(), b"");
    }
}

/// A socket that believes in the origin's certificate.
pub(crate) fn endpoint(origin: &Origin) -> quinn::Endpoint {
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(origin.ca()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN_V1.to_vec()];
    let tls = QuicClientConfig::try_from(tls).unwrap();
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
    endpoint
}

fn hello(
    installation: &str,
    edge: &str,
    token: &str,
    regions: &[(&str, Option<SealedPosition>)],
) -> Hello {
    Hello {
        installation: installation.parse().unwrap(),
        edge: edge.parse().unwrap(),
        boot: BootId(uuid::Uuid::new_v4()),
        token: token.to_owned(),
        build: "test".to_owned(),
        capabilities: Vec::new(),
        address: "http://127.0.0.1:1".to_owned(),
        regions: regions
            .iter()
            .map(|(r, p)| (r.parse().unwrap(), *p))
            .collect(),
    }
}
