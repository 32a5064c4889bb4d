//! A TCP proxy that can be there or not: a network to be cut.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Forwards while it lives.
pub struct Proxy {
    pub address: SocketAddr,
    _tasks: JoinSet<()>,
}

/// A place where nothing listens yet.
pub async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

impl Proxy {
    pub async fn start(address: SocketAddr, to: String) -> Self {
        Self::slow(address, to, Duration::ZERO).await
    }

    /// What it forwards, either way, it holds back for so long.
    pub async fn slow(address: SocketAddr, to: String, delay: Duration) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut lines = JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let to = to.clone();
                lines.spawn(async move {
                    if let Ok(far) = TcpStream::connect(to).await {
                        let (near_in, near_out) = near.into_split();
                        let (far_in, far_out) = far.into_split();
                        // Whoever hangs up ends it.
                        tokio::select! {
                            () = forward(near_in, far_out, delay) => {}
                            () = forward(far_in, near_out, delay) => {}
                        }
                    }
                });
            }
        });
        Self {
            address,
            _tasks: tasks,
        }
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        tokio::time::sleep(delay).await;
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}
