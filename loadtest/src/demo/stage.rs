//! Where the show is seen: lines, and bars below them while something is on its way.
//!
//! All lines go through one bounded queue to one printer, so that a slow terminal slows nobody but the
//! show. What a game server receives while the queue is full is not printed, and counted.

use std::io::{IsTerminal as _, Write as _, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::limits;

/// How long a full bar is.
const BAR: usize = 24;

/// The side that speaks.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    lines: mpsc::Sender<String>,
    unprinted: Arc<AtomicU64>,
    bars: MultiProgress,
    is_terminal: bool,
}

/// The side that prints.
#[derive(Debug)]
pub(super) struct Printer {
    task: JoinSet<()>,
    unprinted: Arc<AtomicU64>,
}

impl Stage {
    /// On standard output.
    pub(super) fn open() -> (Self, Printer) {
        let (lines, mut queue) = mpsc::channel::<String>(limits::LINES);
        let is_terminal = stdout().is_terminal();
        let bars = MultiProgress::with_draw_target(if is_terminal {
            ProgressDrawTarget::stdout()
        } else {
            ProgressDrawTarget::hidden()
        });
        let above = bars.clone();
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Some(line) = queue.recv().await {
                // Nobody may be reading any more; the show's verdict is its status.
                let _ = above.suspend(|| writeln!(stdout(), "{line}"));
            }
        });
        let unprinted = Arc::<AtomicU64>::default();
        let stage = Self {
            lines,
            unprinted: Arc::clone(&unprinted),
            bars,
            is_terminal,
        };
        (stage, Printer { task, unprinted })
    }

    /// A heading.
    pub(super) async fn title(&self, text: &str) {
        let text = if self.is_terminal {
            format!("\n\x1b[1m{text}\x1b[0m")
        } else {
            format!("\n== {text}")
        };
        self.say(text).await;
    }

    /// A line of the show.
    pub(super) async fn say(&self, text: impl Into<String>) {
        // The printer outlives every stage.
        let _ = self.lines.send(text.into()).await;
    }

    /// A line of a game server.
    pub(super) fn mention(&self, text: String) {
        if self.lines.try_send(text).is_err() {
            self.unprinted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A bar that fills up while something reaches receivers; gone when it is dropped.
    pub(super) fn bar(&self, name: &str, receivers: usize) -> Bar {
        let bar = ProgressBar::new(receivers as u64).with_prefix(name.to_owned());
        // A template that cannot be read is shown as indicatif's own.
        if let Ok(style) = ProgressStyle::with_template("  {prefix:14} {bar:24} {pos}/{len}") {
            bar.set_style(style);
        }
        Bar(self.bars.add(bar))
    }
}

/// A bar of one region.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// One receiver more has it.
    pub(super) fn advance(&self) {
        self.0.inc(1);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

impl Printer {
    /// Prints what is left, once nobody speaks any more.
    pub(super) async fn finish(mut self) {
        while self.task.join_next().await.is_some() {}
        let unprinted = self.unprinted.load(Ordering::Relaxed);
        if unprinted > 0 {
            println!("({unprinted} lines of game servers came too fast to be printed)");
        }
    }
}

/// A bar as a line keeps it: how many of how many have it.
pub(super) fn drawn(have: usize, of: usize) -> String {
    let filled = (BAR * have).checked_div(of).unwrap_or(0);
    format!(
        "[{}{}]",
        "#".repeat(filled),
        "-".repeat(BAR.saturating_sub(filled))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_it_should_be() {
        assert_eq!(drawn(3, 3), format!("[{}]", "#".repeat(24)));
        assert_eq!(
            drawn(1, 3),
            format!("[{}{}]", "#".repeat(8), "-".repeat(16))
        );
        assert_eq!(drawn(0, 0), format!("[{}]", "-".repeat(24)));
    }

    #[tokio::test]
    async fn what_does_not_fit_is_counted_and_nobody_waits() {
        let (stage, mut printer) = Stage::open();
        // Nobody prints.
        printer.task.abort_all();
        while printer.task.join_next().await.is_some() {}
        stage.mention("a line".to_owned());
        assert_eq!(printer.unprinted.load(Ordering::Relaxed), 1);
        printer.finish().await;
    }
}
