//! The last known state, kept in a file: a game server starts from it, with every edge away.
//!
//! It is written beside the path of what is received, at most once in [`limits::STATE_FILE_EVERY`], whole, to another
//! name that takes the file's place once it is on the disk. So there is a whole file at any moment.
//!
//! A file that cannot be used is refused, and nothing is lost by it: one that is damaged is put aside under another
//! name, and one of somebody else (another installation, region or filter, a newer format, or no state file at all)
//! is left alone, and nothing is written in its place.
//!
//! [`limits::STATE_FILE_EVERY`]: crate::limits::STATE_FILE_EVERY

mod format;

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use liveevents_protocol::message::Cursor;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::config::ClientConfig;
use crate::limits::MAX_STATE_FILE;
use crate::role::Holder;
use crate::shared::Shared;
use format::Saved;

/// What became of the state file when the client started.
#[derive(Debug)]
pub enum StateFile {
    /// None is configured.
    None,
    /// There is none yet.
    Absent,
    /// The client has started from it.
    Loaded {
        /// When it was current; unknown if no edge had said.
        current_at: Option<Timestamp>,
    },
    /// It cannot be used.
    Refused(StateFileError),
}

/// Why a state file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// It cannot be read.
    #[error("cannot read the state file")]
    Io(#[source] io::Error),
    /// It is not what was written.
    #[error("the state file is damaged: {0}")]
    Damaged(String),
    /// It was written by a later version of this program.
    #[error("the state file has format {0}, newer than this program knows")]
    Newer(u32),
    /// It is no state file.
    #[error("the file at the state file's place is something else")]
    SomethingElse,
    /// It is of other events.
    #[error("the state file has the events of {theirs}, not of {ours}")]
    Foreign {
        /// Installation, region and filter of the file.
        theirs: String,
        /// Those of this client.
        ours: String,
    },
}

impl StateFile {
    /// Where to write from now on.
    pub(crate) fn to_write(&self, config: &ClientConfig) -> Option<PathBuf> {
        let path = config.state_file.clone()?;
        match self {
            Self::None | Self::Refused(StateFileError::Io(_)) => None,
            Self::Absent | Self::Loaded { .. } => Some(path),
            Self::Refused(StateFileError::Damaged(_)) => put_aside(&path).then_some(path),
            Self::Refused(_) => None,
        }
    }

    /// When the file was current that the client has started from.
    pub(crate) fn loaded(&self) -> Option<Option<Timestamp>> {
        match self {
            Self::Loaded { current_at } => Some(*current_at),
            Self::None | Self::Absent | Self::Refused(_) => None,
        }
    }
}

/// Starts from the file, if it can be used.
pub(crate) fn start(config: &ClientConfig, shared: &Shared, holder: &Holder) -> StateFile {
    let Some(path) = &config.state_file else {
        return StateFile::None;
    };
    let saved = match read(path).and_then(|bytes| bytes.map(|b| format::read(&b)).transpose()) {
        Ok(Some(saved)) => saved,
        Ok(None) => return StateFile::Absent,
        Err(error) => return refused(error),
    };
    let Saved {
        installation,
        region,
        filter,
        current_at,
        unread,
        degraded,
        state,
    } = saved;
    let is_ours = config
        .installation
        .as_ref()
        .is_none_or(|ours| *ours == installation);
    if !is_ours || region != config.region || filter != config.filter {
        let name = |installation: &dyn std::fmt::Display, region, filter| {
            format!("{installation} in {region}, filter {filter:?}")
        };
        let any = &"any installation";
        let ours: &dyn std::fmt::Display = match &config.installation {
            Some(ours) => ours,
            None => any,
        };
        return refused(StateFileError::Foreign {
            theirs: name(&installation, &region, &filter),
            ours: name(ours, &config.region, &config.filter),
        });
    }
    let cursor = Cursor {
        epoch: state.epoch(),
        version: state.version(),
    };
    tracing::info!(epoch = %cursor.epoch, version = %cursor.version, ?current_at, "started from the state file");
    shared.belongs_to(installation);
    shared.freshness.told(current_at, true, shared.clock.now());
    holder.load(Arc::new(state), unread, degraded);
    shared.wake(cursor);
    StateFile::Loaded { current_at }
}

fn refused(error: StateFileError) -> StateFile {
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    tracing::error!(%error, cause, "cannot use the state file");
    StateFile::Refused(error)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, StateFileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StateFileError::Io(error)),
    };
    let limit = u64::try_from(MAX_STATE_FILE).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    // One byte more than may be, to know.
    let taken = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
    match taken {
        Ok(len) if len > MAX_STATE_FILE => Err(StateFileError::Damaged(format!(
            "it has more than {MAX_STATE_FILE} bytes"
        ))),
        Ok(_) => Ok(Some(bytes)),
        Err(error) => Err(StateFileError::Io(error)),
    }
}

/// Gives a file that is damaged another name, for whoever wants to know what became of it.
fn put_aside(path: &Path) -> bool {
    let aside = beside(path, "damaged");
    match fs::rename(path, &aside) {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(%error, path = %path.display(), "cannot put the damaged state file aside");
            false
        }
    }
}

/// Keeps the file current, until `shutdown`, and then once more.
pub(crate) async fn keep(
    path: PathBuf,
    config: Arc<ClientConfig>,
    shared: Arc<Shared>,
    holder: Arc<Holder>,
    shutdown: CancellationToken,
) {
    let path: Arc<Path> = path.into();
    let mut positions = shared.positions();
    // What is there is what was loaded.
    let mut written = (shared.cursor(), shared.freshness.contact_at());
    positions.mark_unchanged();
    loop {
        let ends = tokio::select! {
            () = shutdown.cancelled() => true,
            woken = positions.changed() => woken.is_err(),
            () = sleep(config.timing.state_file_refresh) => false,
        };
        let present = (
            *positions.borrow_and_update(),
            shared.freshness.contact_at(),
        );
        if present != written && save(&path, &config, &shared, &holder).await {
            written = present;
        }
        if ends {
            return;
        }
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sleep(config.timing.state_file_every) => {}
        }
    }
}

/// Writes it, off this thread.
async fn save(path: &Arc<Path>, config: &ClientConfig, shared: &Shared, holder: &Holder) -> bool {
    let (Some(state), Some(installation)) = (holder.state.load_full(), shared.installation())
    else {
        return false;
    };
    let saved = Saved {
        installation: installation.clone(),
        region: config.region.clone(),
        filter: config.filter.clone(),
        current_at: shared.freshness.contact_at(),
        unread: holder.unread(),
        degraded: holder.lacks_something(),
        state: (*state).clone(),
    };
    let path = Arc::clone(path);
    let outcome = tokio::task::spawn_blocking(move || {
        let bytes = format::write(&saved).map_err(io::Error::other)?;
        replace(&path, &bytes)
    })
    .await
    .unwrap_or_else(|error| Err(io::Error::other(error)));
    if let Err(error) = &outcome {
        tracing::warn!(%error, "cannot write the state file");
    }
    outcome.is_ok()
}

/// Takes the file's place once all is on the disk.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = beside(path, "new");
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&new, path)?;
    // The new name is in the folder, which is a file too.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn beside(path: &Path, word: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(word);
    PathBuf::from(name)
}
