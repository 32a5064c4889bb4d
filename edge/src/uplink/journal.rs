//! What is being applied, written down before it is: an edge that dies of an entry knows at its next start which one it
//! was, and sets it aside.
//!
//! `applying` has one line that is overwritten before each entry: a write into the kernel's memory, which outlives the
//! process, and no flush, since a machine that dies has not died of an entry. `suspects` has the entries that were
//! found there. One that was found once is set aside and tried once more with a later version, since a process may
//! die of something else just then; one that was found twice waits for another content or another release.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use liveevents_protocol::entry::EntryKey;
use liveevents_protocol::id::RegionId;
use liveevents_protocol::message::Cursor;
use liveevents_protocol::version::{Epoch, Version};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tracing::{error, info, warn};

use crate::limits::MAX_SUSPECTS;
use crate::replica::{Trial, entry_name};

/// The release: another one may be able to apply what this one dies of.
const BUILD: &str = env!("CARGO_PKG_VERSION");

/// Where it is written down; nowhere without a folder.
pub(crate) struct Journal(Option<Book>);

struct Book {
    applying: File,
    suspects: PathBuf,
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    suspects: Vec<Suspect>,
    /// Of those, the ones that were set aside since this process began.
    set_aside: BTreeSet<Mark>,
    /// Suspects that are being tried.
    tried: Vec<Mark>,
    /// Whether a mark could not be written, which is said once.
    failed: bool,
}

/// An entry at its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Mark {
    region: RegionId,
    epoch: Epoch,
    version: Version,
    entry: String,
}

/// An entry that was being applied when a process died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Suspect {
    #[serde(flatten)]
    mark: Mark,
    deaths: u32,
    build: String,
}

impl Journal {
    /// Reads what the last process left in `folder`, and takes the folder for itself.
    ///
    /// # Errors
    /// If the folder cannot be written to, or another process has it.
    pub(crate) fn open(folder: Option<&Path>) -> io::Result<Self> {
        let Some(folder) = folder else {
            return Ok(Self(None));
        };
        std::fs::create_dir_all(folder)?;
        let path = folder.join("applying");
        let applying = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)?;
        applying.try_lock().map_err(io::Error::from)?;
        let left = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        let book = Book {
            applying,
            suspects: folder.join("suspects"),
            pages: Mutex::default(),
        };
        let mut suspects = book.read()?;
        if let Some(mark) = left
            .lines()
            .next()
            .and_then(|line| serde_json::from_str(line).ok())
        {
            suspect(&mut suspects, mark);
            book.write(&suspects)?;
        }
        book.applying.set_len(0)?;
        book.pages.lock().suspects = suspects;
        Ok(Self(Some(book)))
    }

    /// For the entries of one region.
    pub(crate) fn trial<'a>(&'a self, region: &'a RegionId) -> impl Trial + 'a {
        RegionTrial {
            book: self.0.as_ref(),
            region,
        }
    }
}

/// Counts a death of an entry.
fn suspect(suspects: &mut Vec<Suspect>, mark: Mark) {
    error!(
        region = %mark.region,
        version = %mark.version,
        entry = mark.entry,
        "the last process died while applying an entry; it is set aside"
    );
    let known = suspects.iter_mut().find(|suspect| suspect.mark == mark);
    if let Some(known) = known {
        known.deaths = known.deaths.saturating_add(1);
        return;
    }
    if suspects.len() >= MAX_SUSPECTS {
        suspects.remove(0);
    }
    suspects.push(Suspect {
        mark,
        deaths: 1,
        build: BUILD.to_owned(),
    });
}

impl Book {
    /// Those that this release has not shown that it can apply.
    fn read(&self) -> io::Result<Vec<Suspect>> {
        let text = match std::fs::read_to_string(&self.suspects) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let suspects = text.lines().filter_map(|line| {
            let suspect: Suspect = serde_json::from_str(line).ok()?;
            (suspect.build == BUILD).then_some(suspect)
        });
        Ok(suspects.take(MAX_SUSPECTS).collect())
    }

    fn write(&self, suspects: &[Suspect]) -> io::Result<()> {
        let lines = suspects.iter().map(serde_json::to_string);
        let mut text = lines.collect::<Result<Vec<_>, _>>()?.join("\n");
        text.push('\n');
        let next = self.suspects.with_extension("next");
        std::fs::write(&next, text)?;
        std::fs::rename(next, &self.suspects)
    }

    /// Overwrites the line. What is left of a longer one is behind the line's end.
    fn mark(&self, mark: &Mark) -> io::Result<()> {
        let mut line = serde_json::to_vec(mark)?;
        line.push(b'\n');
        self.applying.write_all_at(&line, 0)
    }
}

struct RegionTrial<'a> {
    book: Option<&'a Book>,
    region: &'a RegionId,
}

impl Trial for RegionTrial<'_> {
    fn begin(&self, at: Cursor, key: &EntryKey) -> bool {
        let Some(book) = self.book else {
            return true;
        };
        let mark = Mark {
            region: self.region.clone(),
            epoch: at.epoch,
            version: at.version,
            entry: entry_name(key),
        };
        let mut pages = book.pages.lock();
        let deaths = pages
            .suspects
            .iter()
            .find(|suspect| suspect.mark == mark)
            .map(|suspect| suspect.deaths);
        match deaths {
            Some(2..) => return false,
            Some(_) if pages.set_aside.insert(mark.clone()) => return false,
            Some(_) => pages.tried.push(mark.clone()),
            None => {}
        }
        if let Err(failure) = book.mark(&mark)
            && !std::mem::replace(&mut pages.failed, true)
        {
            warn!(error = %failure, "what is being applied cannot be written down");
        }
        true
    }

    fn end(&self) {
        let Some(book) = self.book else {
            return;
        };
        // A line without content is no mark.
        let mut written = book.applying.write_all_at(b"\n", 0);
        let mut pages = book.pages.lock();
        let survived = std::mem::take(&mut pages.tried);
        if !survived.is_empty() {
            info!(
                entries = survived.len(),
                "what a process died of was tried again, and can be applied"
            );
            pages
                .suspects
                .retain(|suspect| !survived.contains(&suspect.mark));
            written = written.and_then(|()| book.write(&pages.suspects));
        }
        if let Err(failure) = written
            && !std::mem::replace(&mut pages.failed, true)
        {
            warn!(error = %failure, "what has been applied cannot be written down");
        }
    }
}

#[cfg(test)]
mod tests;
