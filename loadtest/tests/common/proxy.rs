//! Links between our processes that a test can bend: led elsewhere, cut, held, slowed. One for TCP (REST,
//! WebSocket), one for UDP (QUIC).
//!
//! A held link keeps what is sent where the kernel keeps it, in socket buffers: it comes late and in order, as from
//! a router with a queue, and only what no buffer takes is lost. A test owns its links: dropping one ends its tasks
//! and closes what went through it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Random;

/// The largest piece passed on at once; no datagram is larger.
const PIECE: usize = 64 * 1024;

/// A link.
pub struct Proxy {
    /// Where it listens.
    pub address: String,
    state: watch::Sender<State>,
    _tasks: JoinSet<()>,
}

#[derive(Debug, Clone)]
struct State {
    /// Where new connections lead.
    target: SocketAddr,
    held: bool,
    /// Each piece is late by a random time up to this.
    slow: Duration,
    /// How often everything was cut.
    cuts: u64,
}

impl Proxy {
    /// A TCP link to `target`; `random` chooses how late pieces are.
    pub async fn tcp(target: &str, random: Random) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self::start(address, target, |state| accept(listener, state, random))
    }

    /// A UDP link to `target`.
    pub async fn udp(target: &str, random: Random) -> Self {
        let front = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = front.local_addr().unwrap();
        Self::start(address, target, |state| {
            exchange(Arc::new(front), state, random)
        })
    }

    fn start<F: Future<Output = ()> + Send + 'static>(
        address: SocketAddr,
        target: &str,
        run: impl FnOnce(watch::Receiver<State>) -> F,
    ) -> Self {
        let target = target.parse().unwrap();
        let state = State {
            target,
            held: false,
            slow: Duration::ZERO,
            cuts: 0,
        };
        let (state, seen) = watch::channel(state);
        let mut tasks = JoinSet::new();
        tasks.spawn(run(seen));
        Self {
            address: address.to_string(),
            state,
            _tasks: tasks,
        }
    }

    /// Cuts what there is, and leads whoever comes next to `target`.
    pub fn lead_to(&self, target: &str) {
        let target = target.parse().unwrap();
        self.state.send_modify(|state| {
            state.target = target;
            state.cuts += 1;
        });
    }

    /// Closes every TCP connection; forgets every UDP flow, as a restarted NAT does.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Nothing passes until [`Proxy::release`].
    pub fn hold(&self) {
        self.state.send_modify(|state| state.held = true);
    }

    /// What was held goes on, and all else.
    pub fn release(&self) {
        self.state.send_modify(|state| state.held = false);
    }

    /// Each piece is late by a random time up to `most`, one after another.
    pub fn slow(&self, most: Duration) {
        self.state.send_modify(|state| state.slow = most);
    }
}

/// Waits until a piece may pass. `false` if the link is gone.
async fn pass(state: &mut watch::Receiver<State>, random: &mut Random) -> bool {
    let Ok(slow) = state
        .wait_for(|state| !state.held)
        .await
        .map(|state| state.slow)
    else {
        return false;
    };
    if !slow.is_zero() {
        let late = slow.mul_f64(random.below(1_000) as f64 / 1_000.0);
        tokio::time::sleep(late).await;
    }
    true
}

async fn accept(listener: TcpListener, state: watch::Receiver<State>, mut random: Random) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let (inbound, _) = accepted.unwrap();
                connections.spawn(connection(inbound, state.clone(), Random(random.next())));
            }
        }
    }
}

async fn connection(inbound: TcpStream, mut state: watch::Receiver<State>, mut random: Random) {
    let (target, cuts) = {
        let state = state.borrow_and_update();
        (state.target, state.cuts)
    };
    let mut cut = state.clone();
    let carry = async {
        if !pass(&mut state, &mut random).await {
            return;
        }
        let Ok(outbound) = TcpStream::connect(target).await else {
            return;
        };
        let _ = inbound.set_nodelay(true);
        let _ = outbound.set_nodelay(true);
        let (from_here, to_here) = inbound.into_split();
        let (from_there, to_there) = outbound.into_split();
        let there = pump(from_here, to_there, state.clone(), Random(random.next()));
        let back = pump(from_there, to_here, state, random);
        // A reset of one side is one of both; an end of one side passes on as such.
        let _ = tokio::try_join!(there, back);
    };
    tokio::select! {
        () = carry => {}
        _ = cut.wait_for(|state| state.cuts != cuts) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    mut random: Random,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let len = from.read(&mut buffer).await?;
        if !pass(&mut state, &mut random).await {
            return Ok(());
        }
        if len == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..len]).await?;
    }
}

/// Both directions of all flows. A flow has a socket of its own towards the target.
async fn exchange(front: Arc<UdpSocket>, mut state: watch::Receiver<State>, mut random: Random) {
    let mut flows: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
    let mut back = JoinSet::new();
    let mut cuts = 0;
    let mut buffer = vec![0; PIECE];
    loop {
        // An error is an ICMP answer to what was sent before, and says nothing about what comes.
        let Ok((len, client)) = front.recv_from(&mut buffer).await else {
            continue;
        };
        if !pass(&mut state, &mut random).await {
            return;
        }
        let (target, now) = {
            let state = state.borrow();
            (state.target, state.cuts)
        };
        if now != cuts {
            cuts = now;
            flows.clear();
            back.abort_all();
        }
        let flow = match flows.get(&client) {
            Some(flow) => Arc::clone(flow),
            None => {
                let flow = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                flow.connect(target).await.unwrap();
                flows.insert(client, Arc::clone(&flow));
                let answers = answer(
                    Arc::clone(&flow),
                    Arc::clone(&front),
                    client,
                    state.clone(),
                    Random(random.next()),
                );
                back.spawn(answers);
                flow
            }
        };
        let _ = flow.send(&buffer[..len]).await;
    }
}

async fn answer(
    flow: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    client: SocketAddr,
    mut state: watch::Receiver<State>,
    mut random: Random,
) {
    let mut buffer = vec![0; PIECE];
    loop {
        match flow.recv(&mut buffer).await {
            Ok(len) => {
                if !pass(&mut state, &mut random).await {
                    return;
                }
                let _ = front.send_to(&buffer[..len], client).await;
            }
            // Nobody listens there now. Whoever does later is reached by the same socket.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}
