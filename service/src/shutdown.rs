//! Beginning and end of a process: when to stop, and how others learn that it is ready.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

/// Ends when the process is asked to (SIGTERM, or SIGINT from a terminal).
///
/// The handlers stand from the call on, not from the first poll: a signal during start-up is kept.
///
/// # Errors
/// If the system refuses a handler.
pub fn requested() -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!(signal = name, "shutting down");
    })
}

/// Says where this process listens: one log line for each listener, and where a ready file is
/// configured a JSON object (`{"http": "127.0.0.1:8080"}`) in it. The file appears whole or not at all.
///
/// # Errors
/// If the file cannot be written.
pub fn announce_ready(file: Option<&Path>, listeners: &[(&str, SocketAddr)]) -> io::Result<()> {
    for (listener, address) in listeners {
        info!(listener, %address, "listening");
    }
    let Some(file) = file else { return Ok(()) };
    let addresses: BTreeMap<_, _> = listeners.iter().copied().collect();
    let mut unfinished = file.as_os_str().to_owned();
    unfinished.push(".new");
    std::fs::write(&unfinished, serde_json::to_vec(&addresses)?)?;
    std::fs::rename(&unfinished, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_signal_before_anybody_waits_is_kept() {
        for signal in ["-TERM", "-INT"] {
            let requested = requested().unwrap();
            // The shell's own: the program is not on every machine.
            let kill = format!("kill {signal} {}", std::process::id());
            let sent = std::process::Command::new("sh")
                .args(["-c", &kill])
                .status();
            assert!(sent.unwrap().success());
            let limit = std::time::Duration::from_secs(10);
            tokio::time::timeout(limit, requested).await.unwrap();
        }
    }

    #[test]
    fn the_ready_file_says_where() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ready.json");
        let listeners = [
            ("quic", "127.0.0.1:4433".parse().unwrap()),
            ("http", "[::1]:8080".parse().unwrap()),
        ];
        announce_ready(Some(&file), &listeners).unwrap();
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            r#"{"http":"[::1]:8080","quic":"127.0.0.1:4433"}"#
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
