//! Files that only this user may read, whole or not there.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Writes a file under another name, then puts it in place: a reader never sees half of it.
///
/// # Errors
/// If the folder cannot be written to.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let half = path.with_extension("part");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&half)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&half, path)
}
