//! Game servers by the thousand: bare sockets that count, since a whole client each would measure the client.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::within;

/// One of many.
pub struct One {
    stream: TcpStream,
    bytes: Vec<u8>,
}

impl One {
    /// Connected and greeted; what it is sent first is not read yet. Else the status with which it was refused, and when
    /// to come again.
    pub async fn connect(address: SocketAddr, token: &str) -> Result<Self, (u16, u64)> {
        let mut stream = within("a connection", TcpStream::connect(address))
            .await
            .unwrap();
        let request = format!(
            "GET /api/v1/subscribe HTTP/1.1\r\nHost: edge\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: liveevents.v1\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let head = loop {
            if let Some(end) = find(&bytes, b"\r\n\r\n") {
                let rest = bytes.split_off(end + 4);
                break String::from_utf8(std::mem::replace(&mut bytes, rest)).unwrap();
            }
            let read = within("an answer", stream.read_buf(&mut bytes)).await;
            assert!(read.unwrap() > 0, "hung up");
        };
        let status = head[9..12].parse().unwrap();
        if status != 101 {
            let retry = head
                .lines()
                .find_map(|line| line.strip_prefix("retry-after: "));
            return Err((status, retry.map_or(0, |after| after.parse().unwrap())));
        }
        let hello = br#"{"type":"hello","region":"us-east","level":"Region"}"#;
        let mut frame = vec![0x81, 0x80 | u8::try_from(hello.len()).unwrap(), 0, 0, 0, 0];
        frame.extend(hello);
        stream.write_all(&frame).await.unwrap();
        Ok(Self { stream, bytes })
    }

    /// Reads until it has been told of a version.
    pub async fn until(&mut self, version: u64) {
        let told = format!("\"to\":{version},");
        while find(&self.bytes, told.as_bytes()).is_none() {
            // What is searched for may be cut in two.
            let keep = self.bytes.len().saturating_sub(told.len());
            self.bytes.drain(..keep);
            let read = within("a change", self.stream.read_buf(&mut self.bytes)).await;
            assert!(read.unwrap() > 0, "hung up before version {version}");
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
