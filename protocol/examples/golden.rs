//! Writes the golden files that are missing. Those that are there stay: they are frozen, and whoever has to
//! replace one removes it first.
#![expect(clippy::unwrap_used, reason = "constants that a test checks")]

#[path = "../tests/wire/sample.rs"]
mod sample;
#[path = "../tests/wire/samples.rs"]
mod samples;

use std::fs;
use std::io;

fn main() -> io::Result<()> {
    fs::create_dir_all(sample::folder())?;
    for sample in samples::all() {
        let path = sample.path();
        if !path.exists() {
            fs::write(&path, sample.value.encode())?;
            println!("wrote {}", path.display());
        }
        let text = path.with_extension("txt");
        if !text.exists() {
            fs::write(&text, sample::readable(&sample.value, &fs::read(&path)?))?;
            println!("wrote {}", text.display());
        }
    }
    Ok(())
}
