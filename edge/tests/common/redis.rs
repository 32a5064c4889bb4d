//! A Redis of the test's own, to be filled, stopped, or made to refuse.

use std::net::SocketAddr;
use std::process::Stdio;

use redis::aio::MultiplexedConnection;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::eventually;
use super::proxy::free_address;

pub struct Redis {
    pub address: SocketAddr,
    process: Child,
    folder: TempDir,
}

impl Redis {
    /// An empty one.
    pub async fn start() -> Self {
        Self::start_at(free_address().await).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "tests have no other configuration"
        )]
        let program = std::env::var("TEST_REDIS_SERVER")
            .expect("TEST_REDIS_SERVER is not set: run the tests by `make test`");
        let folder = TempDir::new().unwrap();
        let process = Command::new(program)
            .args(["--bind", &address.ip().to_string()])
            .args(["--port", &address.port().to_string()])
            .args(["--save", "", "--dir", folder.path().to_str().unwrap()])
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let redis = Self {
            address,
            process,
            folder,
        };
        eventually("redis answers", async || {
            let mut connection = redis.connect().await?;
            let pong: Result<String, _> = redis::cmd("PING").query_async(&mut connection).await;
            pong.ok()
        })
        .await;
        redis
    }

    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    async fn connect(&self) -> Option<MultiplexedConnection> {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.ok()
    }

    pub async fn connection(&self) -> MultiplexedConnection {
        self.connect().await.unwrap()
    }

    /// Carries out a command, given as one would type it.
    pub async fn command(&self, line: &str) {
        let mut words = line.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        command.arg(words.collect::<Vec<_>>());
        let mut connection = self.connection().await;
        let () = command.query_async(&mut connection).await.unwrap();
    }

    /// Ends it; what it held is gone. Gives its address, to start another there.
    pub async fn stop(mut self) -> SocketAddr {
        self.process.kill().await.unwrap();
        drop(self.folder);
        self.address
    }
}
