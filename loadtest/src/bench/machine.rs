//! The processes of an installation on this machine, and the CPU that each takes.

use std::time::Duration;

use tokio::time::Instant;

use super::process::Process;
use super::sheet::Sheet;
use crate::arguments::bench::{Measured, Processes};
use crate::failure::Failure;

/// The processes: all edges as one.
#[derive(Debug)]
pub(super) struct Machine(Vec<(&'static str, Vec<Process>)>);

/// What they had used at a moment.
#[derive(Debug)]
pub(super) struct Since<'a> {
    machine: &'a Machine,
    at: Instant,
    used: Vec<Duration>,
}

impl Machine {
    /// Those that are known, and this one.
    pub(super) fn of(measured: &Measured, processes: &Processes) -> Self {
        let others = processes.other_edge_pids.iter().copied();
        let mut all = vec![(
            "edge",
            std::iter::once(measured.edge_pid)
                .chain(others)
                .map(Process)
                .collect(),
        )];
        let named = [
            ("origin", processes.origin_pid),
            ("Postgres", processes.postgres_pid),
            ("Redis", processes.redis_pid),
        ];
        let named = named.into_iter();
        all.extend(named.filter_map(|(name, pid)| Some((name, vec![Process(pid?)]))));
        all.push(("load generator", vec![Process::own()]));
        Self(all)
    }

    /// From now on.
    pub(super) fn since(&self) -> Result<Since<'_>, Failure> {
        Ok(Since {
            machine: self,
            at: Instant::now(),
            used: self.used()?,
        })
    }

    fn used(&self) -> Result<Vec<Duration>, Failure> {
        let all = self.0.iter();
        all.map(|(_, processes)| processes.iter().map(|process| process.cpu()).sum())
            .collect()
    }
}

impl Since<'_> {
    /// Tells what each has taken since, in cores.
    pub(super) fn cores(&self, sheet: &mut Sheet) -> Result<(), Failure> {
        let elapsed = self.at.elapsed().as_secs_f64().max(0.001);
        for (name, used) in self.spent()? {
            let name = format!("CPU of the {name}");
            sheet.add(&name, "s a second", used.as_secs_f64() / elapsed);
        }
        Ok(())
    }

    /// What each has taken since.
    pub(super) fn spent(&self) -> Result<Vec<(&'static str, Duration)>, Failure> {
        let now = self.machine.used()?;
        let names = self.machine.0.iter().map(|(name, _)| *name);
        let used = now.into_iter().zip(&self.used);
        Ok(names
            .zip(used.map(|(now, before)| now.saturating_sub(*before)))
            .collect())
    }
}
