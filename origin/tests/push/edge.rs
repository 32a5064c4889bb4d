//! An edge that says whatever a test wants, over real QUIC.

use std::sync::Arc;
use std::time::Duration;

use liveevents_protocol::close::CloseReason;
use liveevents_protocol::codec::{self, FrameDecoder};
use liveevents_protocol::frame::{ALPN_V1, EdgeFrame, Hello, OriginFrame, Rows};
use liveevents_protocol::id::BootId;
use liveevents_protocol::limits::MAX_BODY;
use liveevents_protocol::position::SealedPosition;
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
}

impl ScriptedEdge {
    pub(crate) async fn connect(origin: &Origin) -> Self {
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
        let connection = endpoint
            .connect(origin.address, "localhost")
            .unwrap()
            .await
            .unwrap();
        let (send, recv) = connection.open_bi().await.unwrap();
        let decoder = FrameDecoder::new(MAX_BODY);
        Self {
            _endpoint: endpoint,
            connection,
            send,
            recv,
            decoder,
        }
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
        timeout(LIMIT, async {
            loop {
                if let Some(frame) = self.decoder.next_frame().unwrap() {
                    return codec::decode_origin_frame(&frame).unwrap();
                }
                let chunk = self
                    .recv
                    .read_chunk(64 * 1024, true)
                    .await
                    .unwrap()
                    .unwrap();
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
                OriginFrame::Heartbeat { .. } | OriginFrame::Trust(_) => {}
                other => panic!("not rows: {other:?}"),
            }
        }
    }

    /// Why the origin closed the connection.
    pub(crate) async fn closed(&mut self) -> Option<CloseReason> {
        match timeout(LIMIT, self.connection.closed())
            .await
            .expect("the origin closes")
        {
            quinn::ConnectionError::ApplicationClosed(close) => {
                CloseReason::from_code(close.error_code.into_inner())
            }
            other => panic!("not closed by the origin: {other}"),
        }
    }

    pub(crate) fn drop_connection(self) {
        self.connection.close(0_u32.into(), b"");
    }
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
