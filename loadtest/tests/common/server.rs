//! A Postgres server of a test's own: to be stopped, copied, put back, followed by a standby, promoted.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::database::{Database, postgres};
use super::{eventually, unique, variable};

/// A server and its data folder.
pub struct Server {
    folder: PathBuf,
    port: u16,
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
}

impl Server {
    /// A new one, running.
    pub fn start_new() -> Self {
        let server = Self::at(unique("server"));
        run(postgres("initdb")
            .args([
                "-U",
                "liveevents",
                "--auth=trust",
                "--no-sync",
                "--encoding=UTF8",
                "-D",
            ])
            .arg(&server.folder));
        server.start();
        server
    }

    fn at(name: String) -> Self {
        let folder = Path::new(&variable("TEST_PG_DIR")).join(name);
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        Self { folder, port }
    }

    /// Starts it, where it listened before.
    pub fn start(&self) {
        run(&mut self.start_command());
    }

    fn start_command(&self) -> Command {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c max_connections=200",
            self.port
        );
        // Its log goes to a file: a pipe would be kept open by the server that outlives pg_ctl.
        let log = self.folder.with_extension("log");
        let mut command = postgres("pg_ctl");
        command
            .args(["-s", "-w", "-t", "60", "start", "-o", &options, "-l"])
            .arg(log)
            .arg("-D")
            .arg(&self.folder);
        command
    }

    /// Stops it. `immediate` is a crash.
    pub fn stop(&self, mode: &str) {
        run(postgres("pg_ctl")
            .args(["-s", "-w", "stop", "-m", mode, "-D"])
            .arg(&self.folder));
    }

    /// Kills it (SIGKILL to its first process, at whose end the others end).
    pub fn kill(&self) {
        let pid = std::fs::read_to_string(self.folder.join("postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap();
        run(Command::new("sh").args(["-c", &format!("kill -KILL {pid}")]));
    }

    /// Starts it after a kill, once what was left of it has ended.
    pub async fn start_again(&self) {
        eventually("a killed Postgres was there again", || async {
            self.start_command()
                .output()
                .unwrap()
                .status
                .success()
                .then_some(())
        })
        .await;
    }

    /// The address of its first database.
    pub fn url(&self) -> String {
        format!("postgres://liveevents@127.0.0.1:{}/postgres", self.port)
    }

    /// Copies the data folder of a stopped server.
    pub fn copy(&self) -> PathBuf {
        let copy = self.folder.with_extension("copy");
        run(Command::new("cp").arg("-a").args([&self.folder, &copy]));
        copy
    }

    /// Puts a copy in the place of a stopped server's data.
    pub fn put_back(&self, copy: &Path) {
        run(Command::new("rm").arg("-rf").arg(&self.folder));
        run(Command::new("cp").arg("-a").args([copy, &self.folder]));
    }

    /// A standby of a running server, running.
    pub fn standby(&self) -> Self {
        let standby = Self::at(unique("standby"));
        run(postgres("pg_basebackup")
            .args([
                "--checkpoint=fast",
                "--no-sync",
                "-R",
                "-d",
                &self.url(),
                "-D",
            ])
            .arg(&standby.folder));
        standby.start();
        standby
    }

    /// Makes a standby the primary.
    pub fn promote(&self) {
        run(postgres("pg_ctl")
            .args(["-s", "-w", "promote", "-D"])
            .arg(&self.folder));
    }

    /// A database of that name on this server.
    pub fn database(&self, of: &Database) -> Database {
        let (_, name) = of.url.rsplit_once('/').unwrap();
        let (base, _) = self
            .url()
            .rsplit_once('/')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        Database {
            url: format!("{base}/{name}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = postgres("pg_ctl")
            .args(["-s", "-w", "stop", "-m", "immediate", "-D"])
            .arg(&self.folder)
            .output();
    }
}
