//! `psql`, which runs scripts.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use crate::arguments::bench::Month;
use crate::failure::Failure;
use crate::limits;

/// `psql` at a database.
#[derive(Debug, Clone)]
pub(super) struct Psql {
    program: PathBuf,
    database: String,
}

impl Psql {
    /// As the arguments say.
    pub(super) fn new(month: &Month) -> Self {
        Self {
            program: month.psql.clone(),
            database: month.database.clone(),
        }
    }

    /// Runs a script to its end, or to its first error, and gives what it prints.
    pub(super) async fn run(&self, script: String) -> Result<String, Failure> {
        let output = timeout(limits::FILLING, self.output(script)).await;
        let output = output.map_err(|_| Failure::Wrong(vec!["psql takes too long".to_owned()]))?;
        let output = output.map_err(|source| Failure::File {
            path: self.program.clone(),
            source,
        })?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let error = String::from_utf8_lossy(&output.stderr);
        Err(Failure::Wrong(vec![format!("psql: {error}")]))
    }

    async fn output(&self, script: String) -> Result<std::process::Output, std::io::Error> {
        let mut running = Command::new(&self.program)
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", &self.database])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(mut input) = running.stdin.take() {
            // If it ends before it has read all, its status says why. Scripts print little: nobody reads meanwhile.
            let _ = input.write_all(script.as_bytes()).await;
        }
        running.wait_with_output().await
    }
}
