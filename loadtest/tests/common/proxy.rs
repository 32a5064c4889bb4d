//! Links between our processes that a test can bend: led elsewhere, cut, held both ways or one, slowed, and for UDP
//! also losing, doubling and reordering. One for TCP (REST, WebSocket), one for UDP (QUIC).
//!
//! A held link keeps what is sent where the kernel keeps it, in socket buffers: it comes late and in order, as from
//! a router with a queue, and only what no buffer takes is lost. A test owns its links: dropping one ends its tasks
//! and closes what went through it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
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
    /// There and back.
    held: [bool; 2],
    weather: Weather,
    /// Each piece is late by a random time up to this.
    slow: Duration,
    /// How often everything was cut.
    cuts: u64,
    /// Whether a cut leaves the target in the dark.
    stranding: bool,
}

/// One direction through a link.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// Towards the target.
    There,
    /// From the target.
    Back,
}

/// How badly datagrams are carried.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// So many of a thousand are lost,
    pub lost: u64,
    /// so many come twice,
    pub doubled: u64,
    /// and each is late by a random time up to this, by itself: so they overtake each other.
    pub late: Duration,
}

impl Weather {
    /// How late each copy of a datagram is.
    fn fates(self, random: &mut Random) -> impl Iterator<Item = Duration> {
        let copies = match random.below(1_000) {
            lost if lost < self.lost => 0,
            doubled if doubled < self.lost + self.doubled => 2,
            _ => 1,
        };
        let late = [(); 2].map(|()| self.late.mul_f64(random.below(1_000) as f64 / 1_000.0));
        late.into_iter().take(copies)
    }
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
            held: [false; 2],
            weather: Weather::default(),
            slow: Duration::ZERO,
            cuts: 0,
            stranding: false,
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
            state.stranding = false;
        });
    }

    /// Closes every TCP connection; forgets every UDP flow, as a restarted NAT does.
    pub fn cut(&self) {
        self.state.send_modify(|state| {
            state.cuts += 1;
            state.stranding = false;
        });
    }

    /// Like [`Proxy::cut`], but the target's side of TCP connections stays open and silent, as if the network had lost
    /// who was there.
    pub fn strand(&self) {
        self.state.send_modify(|state| {
            state.cuts += 1;
            state.stranding = true;
        });
    }

    /// Nothing passes until [`Proxy::release`].
    pub fn hold(&self) {
        self.state.send_modify(|state| state.held = [true; 2]);
    }

    /// Nothing passes in one direction until [`Proxy::release`]; the other goes on.
    pub fn hold_one(&self, way: Way) {
        self.state
            .send_modify(|state| state.held[way as usize] = true);
    }

    /// What was held goes on, and all else.
    pub fn release(&self) {
        self.state.send_modify(|state| state.held = [false; 2]);
    }

    /// How a UDP link carries from now on.
    pub fn weather(&self, weather: Weather) {
        self.state.send_modify(|state| state.weather = weather);
    }

    /// Each piece is late by a random time up to `most`, one after another.
    pub fn slow(&self, most: Duration) {
        self.state.send_modify(|state| state.slow = most);
    }
}

/// Waits until a piece may pass. `false` if the link is gone.
async fn pass(state: &mut watch::Receiver<State>, way: Way, random: &mut Random) -> bool {
    let Ok(slow) = state
        .wait_for(|state| !state.held[way as usize])
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
    let mut outbound = None;
    let carry = async {
        if !pass(&mut state, Way::There, &mut random).await {
            return;
        }
        let Ok(connected) = TcpStream::connect(target).await else {
            return;
        };
        let _ = inbound.set_nodelay(true);
        let _ = connected.set_nodelay(true);
        let (from_here, to_here) = inbound.into_split();
        let (from_there, to_there) = outbound.insert(connected).split();
        let there = pump(
            Way::There,
            from_here,
            to_there,
            state.clone(),
            Random(random.next()),
        );
        let back = pump(Way::Back, from_there, to_here, state, random);
        // A reset of one side is one of both; an end of one side passes on as such.
        let _ = tokio::try_join!(there, back);
    };
    let is_stranded = tokio::select! {
        () = carry => return,
        cut = cut.wait_for(|state| state.cuts != cuts) => cut.is_ok_and(|state| state.stranding),
    };
    if is_stranded {
        // Until the link is dropped, or the target gives up and somebody cuts again.
        let _held = outbound;
        let after = cut.borrow().cuts;
        let _ = cut
            .wait_for(|state| state.cuts != after && !state.stranding)
            .await;
    }
}

async fn pump(
    way: Way,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
    mut random: Random,
) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    loop {
        let len = from.read(&mut buffer).await?;
        if !pass(&mut state, way, &mut random).await {
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
    let mut late = JoinSet::new();
    let mut cuts = 0;
    let mut buffer = vec![0; PIECE];
    loop {
        // An error is an ICMP answer to what was sent before, and says nothing about what comes.
        let Ok((len, client)) = front.recv_from(&mut buffer).await else {
            continue;
        };
        if !pass(&mut state, Way::There, &mut random).await {
            return;
        }
        let (target, now, weather) = {
            let state = state.borrow();
            (state.target, state.cuts, state.weather)
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
        while late.try_join_next().is_some() {}
        for fate in weather.fates(&mut random) {
            if fate.is_zero() {
                let _ = flow.send(&buffer[..len]).await;
            } else {
                let (flow, datagram) = (Arc::clone(&flow), buffer[..len].to_vec());
                late.spawn(async move {
                    tokio::time::sleep(fate).await;
                    let _ = flow.send(&datagram).await;
                });
            }
        }
    }
}

async fn answer(
    flow: Arc<UdpSocket>,
    front: Arc<UdpSocket>,
    client: SocketAddr,
    mut state: watch::Receiver<State>,
    mut random: Random,
) {
    let mut late = JoinSet::new();
    let mut buffer = vec![0; PIECE];
    loop {
        match flow.recv(&mut buffer).await {
            Ok(len) => {
                if !pass(&mut state, Way::Back, &mut random).await {
                    return;
                }
                while late.try_join_next().is_some() {}
                let weather = state.borrow().weather;
                for fate in weather.fates(&mut random) {
                    if fate.is_zero() {
                        let _ = front.send_to(&buffer[..len], client).await;
                    } else {
                        let (front, datagram) = (Arc::clone(&front), buffer[..len].to_vec());
                        late.spawn(async move {
                            tokio::time::sleep(fate).await;
                            let _ = front.send_to(&datagram, client).await;
                        });
                    }
                }
            }
            // Nobody listens there now. Whoever does later is reached by the same socket.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}
