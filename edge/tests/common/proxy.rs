//! A TCP proxy that can be there or not: a network to be cut.

use std::net::SocketAddr;

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
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut lines = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let to = to.clone();
                lines.spawn(async move {
                    if let Ok(mut far) = TcpStream::connect(to).await {
                        // Whoever hangs up ends it.
                        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
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
