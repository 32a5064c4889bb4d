//! A Redis server of a test's own: to be killed, and to come back empty.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use super::{eventually, variable};

/// A Redis server. Killed when dropped.
pub struct RedisServer {
    port: u16,
    child: Option<Child>,
}

impl RedisServer {
    /// A new one, running, that writes nothing to the disk.
    pub async fn start_new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let mut server = Self { port, child: None };
        server.start().await;
        server
    }

    /// Its address, for an edge.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Starts it, empty, where it listened before.
    pub async fn start(&mut self) {
        if self.child.is_some() {
            return;
        }
        let port = self.port.to_string();
        let mut command = Command::new(variable("TEST_REDIS_SERVER"));
        command
            .args(["--bind", "127.0.0.1", "--port", &port, "--save", ""])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        eventually("redis listened", || async {
            TcpStream::connect(("127.0.0.1", self.port)).ok().map(drop)
        })
        .await;
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
