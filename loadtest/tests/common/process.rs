//! Our binaries as processes that can be killed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::eventually;

/// A running server. Killed when dropped; its log is shown if the test fails.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ready: PathBuf,
}

/// The folder with the binaries that this build made.
fn binaries() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().to_owned()
}

fn ready_file(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.json"))
}

impl Process {
    /// Starts a binary with nothing in its environment but `settings` (`LIVEEVENTS_` is put before each).
    pub fn start(binary: &str, name: &str, dir: &Path, settings: &[(&str, String)]) -> Self {
        let program = binaries().join(binary);
        assert!(
            program.exists(),
            "{} is not built: run the tests by `make test`",
            program.display()
        );
        let ready = ready_file(dir, name);
        let _ = std::fs::remove_file(&ready);
        let mut command = Command::new(program);
        command.env_clear().env("LIVEEVENTS_READY_FILE", &ready);
        for (key, value) in settings {
            command.env(format!("LIVEEVENTS_{key}"), value);
        }
        Self::spawn(command, name, dir)
    }

    /// Starts any program. What it prints is its log.
    pub fn spawn(mut command: Command, name: &str, dir: &Path) -> Self {
        let (log, ready) = (dir.join(format!("{name}.log")), ready_file(dir, name));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        let child = command.spawn().unwrap();
        Self {
            name: name.to_owned(),
            child,
            log,
            ready,
        }
    }

    /// Waits until it says that it is ready, and gives the address of a listener.
    pub async fn address(&mut self, listener: &str) -> String {
        let what = format!("{} became ready", self.name);
        let ready = self.ready.clone();
        let child = &mut self.child;
        let name = &self.name;
        let text = eventually(&what, || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("{name} ended with {status} before it was ready");
            }
            let text = std::fs::read_to_string(&ready)
                .ok()
                .filter(|text| !text.is_empty());
            async move { text }
        })
        .await;
        let addresses: serde_json::Value = serde_json::from_str(&text).unwrap();
        addresses[listener].as_str().unwrap().to_owned()
    }

    /// Ends it as a power cut would: SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to end (SIGTERM) and gives its exit code.
    pub async fn terminate(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("sh")
                .args(["-c", &format!("kill -TERM {pid}")])
                .status()
                .unwrap()
                .success()
        );
        let child = &mut self.child;
        eventually("the process ended", || {
            let status = child.try_wait().unwrap();
            async move { status }
        })
        .await
        .code()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            println!("---- the end of what {} logged ----", self.name);
            for line in &lines[lines.len().saturating_sub(60)..] {
                println!("{line}");
            }
        }
    }
}
