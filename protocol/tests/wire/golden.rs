//! The wire form is frozen: these values are these bytes, and these bytes are these values.
//!
//! A failure here means that edges and origins of two releases would not understand each other. A new value
//! gets a new file; a changed form is a new version of the protocol.

use std::collections::BTreeSet;
use std::fs;

use super::sample::{Value, folder, readable};
use super::samples;

const COMMAND: &str = "cargo run -p liveevents-protocol --example golden";

#[test]
fn values_and_bytes_are_as_pinned() {
    let mut faults = Vec::new();
    for sample in samples::all() {
        let path = sample.path();
        let Ok(pinned) = fs::read(&path) else {
            faults.push(format!("{} is missing: {COMMAND}", path.display()));
            continue;
        };
        let encoded = sample.value.encode();
        if !is_compressed(&sample.value, &pinned) && encoded != pinned {
            let encoded = readable(&sample.value, &encoded);
            faults.push(format!("{} encodes to\n{encoded}", sample.name));
        }
        let decoded = sample.value.decoder().decode(&pinned);
        if decoded.as_ref() != Ok(&sample.value) {
            faults.push(format!("{} decodes to\n{decoded:#?}", path.display()));
        }
        let text = fs::read_to_string(path.with_extension("txt")).unwrap_or_default();
        if text != readable(&sample.value, &pinned) {
            let path = path.with_extension("txt");
            faults.push(format!(
                "{} is not what the bytes say: remove it, {COMMAND}",
                path.display()
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn every_file_belongs_to_a_value() {
    let expected: BTreeSet<_> = samples::all()
        .iter()
        .flat_map(|sample| [sample.path(), sample.path().with_extension("txt")])
        .collect();
    let files: BTreeSet<_> = fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert_eq!(files, expected);
}

/// zstd promises to read what it wrote, not to write the same again in its next release.
fn is_compressed(value: &Value, bytes: &[u8]) -> bool {
    matches!(value, Value::Edge(_) | Value::Origin(_)) && bytes.get(5) == Some(&1)
}
