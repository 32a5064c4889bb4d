//! What a process has used, as the kernel counts it: `/proc` of Linux.

use std::time::Duration;

use crate::failure::Failure;

/// Ticks of `/proc/<pid>/stat` a second: fixed by Linux for all programs, whatever the kernel's own.
const TICKS: u64 = 100;

/// A process and, for servers with workers, its children.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process(pub(super) u32);

impl Process {
    /// This process.
    pub(super) fn own() -> Self {
        Self(std::process::id())
    }

    /// The CPU time used so far by it and its children, the kernel's on their behalf included.
    pub(super) fn cpu(self) -> Result<Duration, Failure> {
        // A child that ends meanwhile is in its parent's the next time.
        let (own, ended) = self.ticks(self.0)?;
        let living = self.children()?.into_iter();
        let living = living.filter_map(|pid| self.ticks(pid).ok());
        let ticks = own + ended + living.map(|(own, _)| own).sum::<u64>();
        Ok(Duration::from_millis(ticks * 1_000 / TICKS))
    }

    /// Bytes in memory.
    pub(super) fn resident(self) -> Result<u64, Failure> {
        let status = self.read(self.0, "status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.map(|kib| kib * 1024)
            .ok_or_else(|| self.strange("status"))
    }

    /// Those of a process, and those of children of it that have ended.
    fn ticks(self, pid: u32) -> Result<(u64, u64), Failure> {
        let stat = self.read(pid, "stat")?;
        // The name, in brackets, may hold anything; after it come the state and 10 numbers, then user and kernel time, and
        // both of the children that have ended.
        let numbers = stat.rsplit_once(')').map(|(_, numbers)| numbers);
        let times = numbers.map(|numbers| numbers.split_whitespace().skip(11).take(4));
        let times: Option<Vec<u64>> =
            times.map(|times| times.filter_map(|time| time.parse().ok()).collect());
        match times.as_deref() {
            Some([user, kernel, user_ended, kernel_ended]) => {
                Ok((user + kernel, user_ended + kernel_ended))
            }
            _ => Err(self.strange("stat")),
        }
    }

    fn children(self) -> Result<Vec<u32>, Failure> {
        let children = self.read(self.0, &format!("task/{}/children", self.0))?;
        let children = children.split_whitespace();
        Ok(children.filter_map(|pid| pid.parse().ok()).collect())
    }

    fn read(self, pid: u32, file: &str) -> Result<String, Failure> {
        let path = format!("/proc/{pid}/{file}");
        std::fs::read_to_string(&path).map_err(|source| Failure::File {
            path: path.into(),
            source,
        })
    }

    fn strange(self, file: &str) -> Failure {
        Failure::Content {
            path: format!("/proc/{}/{file}", self.0).into(),
            problem: "not as Linux writes it".to_owned(),
        }
    }
}

/// How much of all cores was in use since it was started, by whatever process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Busy {
    all: u64,
    idle: u64,
}

impl Busy {
    /// From now on.
    pub(super) fn start() -> Result<Self, Failure> {
        const STAT: &str = "/proc/stat";
        let stat = std::fs::read_to_string(STAT).map_err(|source| Failure::File {
            path: STAT.into(),
            source,
        })?;
        // The first line sums up all cores: user, nice, system, idle, waiting for disks, interrupts, stolen by the host.
        let first = stat.lines().next().unwrap_or_default();
        let ticks = first.split_whitespace().skip(1).take(8);
        let ticks: Vec<u64> = ticks.filter_map(|ticks| ticks.parse().ok()).collect();
        match ticks[..] {
            [_, _, _, idle, waiting, ..] => Ok(Self {
                all: ticks.iter().sum(),
                idle: idle + waiting,
            }),
            _ => Err(Failure::Content {
                path: STAT.into(),
                problem: "not as Linux writes it".to_owned(),
            }),
        }
    }

    /// The share of all cores that was in use, in percent.
    pub(super) fn percent(self) -> Result<f64, Failure> {
        let now = Self::start()?;
        let all = now.all.saturating_sub(self.all).max(1);
        let idle = now.idle.saturating_sub(self.idle);
        Ok(100.0 * (1.0 - idle as f64 / all as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_this_process() {
        let own = Process::own();
        let resident = own.resident().unwrap();
        assert!((1 << 20..1 << 34).contains(&resident), "{resident}");
        let before = own.cpu().unwrap();
        let mut sum = 0_u64;
        while own.cpu().unwrap() < before + Duration::from_millis(30) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(Process(u32::MAX).cpu().is_err());
    }

    #[test]
    fn knows_that_somebody_works() {
        let busy = Busy::start().unwrap();
        let mut percent = 0.0;
        while percent == 0.0 {
            percent = busy.percent().unwrap();
        }
        assert!(percent <= 100.0, "{percent}");
    }
}
