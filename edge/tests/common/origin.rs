//! A scripted origin: a real QUIC endpoint that does what the test says, step by step, while the edge under test runs
//! by itself. It answers heartbeats on its own; every step has a deadline.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use liveevents_protocol::close::CloseReason;
use liveevents_protocol::codec::{self, FrameDecoder};
use liveevents_protocol::frame::{ALPN_V1, Delivery, EdgeFrame, Hello, OriginFrame, Quarantined};
use liveevents_protocol::id::RegionId;
use liveevents_protocol::limits::MAX_BODY;
use liveevents_protocol::trust::SignedTrust;
use liveevents_protocol::version::{Epoch, Version};
use liveevents_service::clock::Clock;
use parking_lot::Mutex;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, RecvStream, SendStream, ServerConfig, VarInt};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::history::History;
use super::identity::{Authority, Identity};
use super::{eventually, within};

/// More than any test leaves unread.
const QUEUE: usize = 1000;

pub struct Origin {
    endpoint: Endpoint,
    pub address: SocketAddr,
    clock: Clock,
    trust: Mutex<SignedTrust>,
    sessions: AtomicU64,
}

impl Origin {
    /// With the installation's certificate and trust.
    pub fn start(identity: &Identity, clock: &Clock) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::start_at(any, &identity.authority, identity.trust(1, &[]), clock)
    }

    pub fn start_at(
        address: SocketAddr,
        authority: &Authority,
        trust: SignedTrust,
        clock: &Clock,
    ) -> Self {
        let (certificate, key) = authority.issue();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        tls.alpn_protocols = vec![ALPN_V1.to_vec()];
        let tls = QuicServerConfig::try_from(tls).unwrap();
        let endpoint = Endpoint::server(ServerConfig::with_crypto(Arc::new(tls)), address).unwrap();
        Self {
            address: endpoint.local_addr().unwrap(),
            endpoint,
            clock: clock.clone(),
            trust: Mutex::new(trust),
            sessions: AtomicU64::new(1),
        }
    }

    /// What welcomes bring from now on.
    pub fn trusts(&self, trust: SignedTrust) {
        *self.trust.lock() = trust;
    }

    /// A connection with its hello, not yet welcomed.
    pub async fn accept(&self) -> Link {
        let connection = self.connection().await;
        let (send, mut recv) = within("a stream", connection.accept_bi()).await.unwrap();
        let mut decoder = FrameDecoder::new(MAX_BODY);
        let hello = match within("a hello", next_frame(&mut recv, &mut decoder)).await {
            Some(EdgeFrame::Hello(hello)) => hello,
            other => panic!("instead of a hello: {other:?}"),
        };
        let send = Arc::new(tokio::sync::Mutex::new(send));
        let (frames_in, frames) = mpsc::channel(QUEUE);
        let silent = Arc::new(AtomicBool::new(false));
        let mut reader = JoinSet::new();
        reader.spawn(read(
            recv,
            decoder,
            Arc::clone(&send),
            self.clock.clone(),
            frames_in,
            Arc::clone(&silent),
        ));
        Link {
            hello,
            connection,
            send,
            frames,
            deliveries: VecDeque::new(),
            degraded: VecDeque::new(),
            silent,
            _reader: reader,
        }
    }

    /// A connection that has got this far; a failed handshake is passed over.
    async fn connection(&self) -> Connection {
        loop {
            let incoming = within("a connection", self.endpoint.accept())
                .await
                .unwrap();
            if let Ok(connection) = incoming.await {
                return connection;
            }
        }
    }

    /// A connection, welcomed.
    pub async fn welcome(&self) -> Link {
        let link = self.accept().await;
        let session = self.sessions.fetch_add(1, Ordering::Relaxed);
        let trust = self.trust.lock().clone();
        let time = self.clock.now();
        link.send(&OriginFrame::Welcome {
            session,
            time,
            trust,
        })
        .await;
        link
    }

    /// A connection, welcomed, and brought by a snapshot to the histories' heads; each is acked.
    pub async fn serve(&self, histories: &[&History]) -> Link {
        let mut link = self.welcome().await;
        for history in histories {
            link.snapshot(history, history.head()).await;
            link.acked(history, history.head()).await;
        }
        link
    }

    /// Nobody gets through any more, whoever has is cut off, and the port is given back.
    pub async fn stop(self) {
        self.cut_off();
        let address = self.address;
        drop(self);
        eventually("the port is free", async || {
            UdpSocket::bind(address).await.ok()
        })
        .await;
    }

    /// Nobody gets through any more, and whoever has is cut off.
    pub fn cut_off(&self) {
        let reason = CloseReason::GoingAway;
        let code = VarInt::from_u32(reason.code().into());
        self.endpoint.close(code, reason.as_str().as_bytes());
    }
}

/// The origin's end of a connection.
pub struct Link {
    pub hello: Hello,
    pub connection: Connection,
    send: Arc<tokio::sync::Mutex<SendStream>>,
    frames: mpsc::Receiver<EdgeFrame>,
    /// Reports that came while something else was waited for.
    deliveries: VecDeque<Delivery>,
    degraded: VecDeque<(RegionId, Vec<Quarantined>)>,
    silent: Arc<AtomicBool>,
    _reader: JoinSet<()>,
}

impl Link {
    pub async fn send(&self, frame: &OriginFrame) {
        let bytes = codec::encode_origin_frame(frame).unwrap();
        self.send_bytes(&bytes).await;
    }

    pub async fn send_bytes(&self, bytes: &[u8]) {
        let mut send = self.send.lock().await;
        within("the edge to take a frame", send.write_all(bytes))
            .await
            .unwrap();
    }

    pub async fn rows(&self, history: &History, from: u64, to: u64) {
        let rows = history.rows(Version(from), Version(to));
        self.send(&OriginFrame::Rows(rows)).await;
    }

    pub async fn snapshot(&self, history: &History, at: Version) {
        for chunk in history.chunks(at) {
            self.send(&OriginFrame::SnapshotChunk(chunk)).await;
        }
    }

    /// The next frame that is neither heartbeat nor report.
    pub async fn next(&mut self) -> Option<EdgeFrame> {
        loop {
            match within("a frame of the edge", self.frames.recv()).await {
                Some(EdgeFrame::Delivery(delivery)) => self.deliveries.push_back(delivery),
                Some(EdgeFrame::Degraded { region, entries }) => {
                    self.degraded.push_back((region, entries));
                }
                other => return other,
            }
        }
    }

    /// The next report of what game servers have.
    pub async fn delivery(&mut self) -> Delivery {
        while self.deliveries.is_empty() {
            match within("a report", self.frames.recv()).await {
                Some(EdgeFrame::Delivery(delivery)) => self.deliveries.push_back(delivery),
                Some(EdgeFrame::Degraded { region, entries }) => {
                    self.degraded.push_back((region, entries));
                }
                Some(EdgeFrame::Ack { .. }) => {}
                other => panic!("instead of a report: {other:?}"),
            }
        }
        self.deliveries.pop_front().unwrap()
    }

    /// The first report that says so.
    pub async fn reported(&mut self, mut says: impl FnMut(&Delivery) -> bool) -> Delivery {
        loop {
            let delivery = self.delivery().await;
            if says(&delivery) {
                return delivery;
            }
        }
    }

    /// What the edge says next that it has set aside.
    pub async fn degraded(&mut self) -> Vec<Quarantined> {
        while self.degraded.is_empty() {
            match within("word of entries set aside", self.frames.recv()).await {
                Some(EdgeFrame::Delivery(delivery)) => self.deliveries.push_back(delivery),
                Some(EdgeFrame::Degraded { region, entries }) => {
                    self.degraded.push_back((region, entries));
                }
                Some(EdgeFrame::Ack { .. }) => {}
                other => panic!("instead of word of entries set aside: {other:?}"),
            }
        }
        self.degraded.pop_front().unwrap().1
    }

    /// Waits until the edge has acked this version.
    pub async fn acked(&mut self, history: &History, version: Version) {
        loop {
            let (region, epoch, acked) = self.ack().await;
            if region == history.region.as_str() && (epoch, acked) == (history.epoch, version) {
                return;
            }
            assert!(
                (epoch, acked) < (history.epoch, version),
                "{acked} was acked, not {version}"
            );
        }
    }

    /// The next ack; what is told of game servers before it is passed over.
    pub async fn ack(&mut self) -> (String, Epoch, Version) {
        loop {
            match self.next().await {
                Some(EdgeFrame::Ack {
                    region,
                    epoch,
                    version,
                    ..
                }) => return (region.to_string(), epoch, version),
                Some(EdgeFrame::Delivery(_)) => {}
                other => panic!("instead of an ack: {other:?}"),
            }
        }
    }

    /// Answers no heartbeat any more, while the connection stands.
    pub fn fall_silent(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    /// Closes, with a reason.
    pub fn close(self, reason: CloseReason) {
        self.connection.close(
            VarInt::from_u32(reason.code().into()),
            reason.as_str().as_bytes(),
        );
    }

    /// The reason with which the edge closes.
    pub async fn closed(&self) -> Option<CloseReason> {
        match within("the edge to close", self.connection.closed()).await {
            quinn::ConnectionError::ApplicationClosed(close) => {
                CloseReason::from_code(close.error_code.into_inner())
            }
            _ => None,
        }
    }
}

async fn next_frame(recv: &mut RecvStream, decoder: &mut FrameDecoder) -> Option<EdgeFrame> {
    loop {
        if let Some(frame) = decoder.next_frame().unwrap() {
            return Some(codec::decode_edge_frame(&frame).unwrap());
        }
        let chunk = recv.read_chunk(MAX_BODY, true).await.ok()??;
        decoder.push(&chunk.bytes);
    }
}

async fn read(
    mut recv: RecvStream,
    mut decoder: FrameDecoder,
    send: Arc<tokio::sync::Mutex<SendStream>>,
    clock: Clock,
    frames: mpsc::Sender<EdgeFrame>,
    silent: Arc<AtomicBool>,
) {
    while let Some(frame) = next_frame(&mut recv, &mut decoder).await {
        if let EdgeFrame::Heartbeat { sent_at: echo } = frame {
            if silent.load(Ordering::Relaxed) {
                continue;
            }
            let time = clock.now();
            let answer =
                codec::encode_origin_frame(&OriginFrame::Heartbeat { echo, time }).unwrap();
            // The edge may have left meanwhile.
            let _ = send.lock().await.write_all(&answer).await;
        } else {
            frames.send(frame).await.unwrap();
        }
    }
}
