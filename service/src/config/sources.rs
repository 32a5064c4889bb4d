//! Where values come from: flags, environment, file. Says what was given where, and refuses what no
//! setting is called.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::Setting;
use super::fault::{Fault, Faults, Origin};
use super::reader::Reader;

/// The largest configuration file, in bytes: a hundred settings of a kilobyte are a tenth of it.
/// Anything larger is not a configuration, and is refused.
const MAX_FILE: u64 = 1024 * 1024;

const CONFIG_FLAG: &str = "--config";
const CONFIG_VARIABLE: &str = "LIVEEVENTS_CONFIG";

/// Flags and environment, as given to the process or by a test. The file is read when they name one.
/// Not `Debug`: secrets are among them.
#[derive(Clone, Default)]
pub struct Sources {
    /// What follows the program's name.
    pub arguments: Vec<String>,
    /// Variables and their values.
    pub environment: Vec<(String, String)>,
}

/// A value as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Raw {
    Text(String),
    List(Vec<String>),
}

/// What was given so far, by key, and what was wrong with it.
#[derive(Default)]
struct Gathered {
    given: BTreeMap<&'static str, (Raw, Origin)>,
    faults: Vec<Fault>,
    file: Option<PathBuf>,
}

impl Sources {
    /// Those of this process; the only place that reads its environment.
    #[must_use]
    pub fn from_process() -> Self {
        let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
        Self {
            arguments: std::env::args_os().skip(1).map(text).collect(),
            environment: std::env::vars_os()
                .map(|(name, value)| (text(name), text(value)))
                .collect(),
        }
    }

    pub(super) fn asks_for_help(&self) -> bool {
        self.arguments.iter().any(|a| a == "--help" || a == "-h")
    }

    /// Puts the sources together, in falling precedence: what is given already stays.
    pub(super) fn gather(&self, settings: &'static [Setting]) -> Result<Reader, Faults> {
        let mut gathered = Gathered::default();
        self.flags(settings, &mut gathered);
        self.variables(settings, &mut gathered);
        if let Some(path) = gathered.file.take() {
            file(&path, settings, &mut gathered);
        }
        Ok(Reader::new(settings, gathered.given, gathered.faults))
    }

    /// `--http-listen 127.0.0.1:80` or `--http-listen=127.0.0.1:80`. Values of unknown flags are not
    /// repeated: one may be a secret behind a misspelt name. A value may begin with `--`, as keys in
    /// base64url do now and then, unless it is a flag's name.
    fn flags(&self, settings: &'static [Setting], gathered: &mut Gathered) {
        let is_flag = |argument: &str| {
            let name = argument.split_once('=').map_or(argument, |(name, _)| name);
            name == CONFIG_FLAG || settings.iter().any(|setting| setting.flag() == name)
        };
        let mut seen = BTreeSet::new();
        let mut arguments = self.arguments.iter().enumerate().peekable();
        while let Some((at, argument)) = arguments.next() {
            let (flag, mut value) = match argument.split_once('=') {
                Some((flag, value)) => (flag, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            if !flag.starts_with("--") {
                gathered.fault(None, format!("argument {} belongs to no flag", at + 1));
                continue;
            }
            if value.is_none() {
                value = arguments
                    .next_if(|(_, next)| !is_flag(next))
                    .map(|(_, next)| next.clone());
            }
            let setting = settings.iter().find(|setting| setting.flag() == flag);
            let origin = Origin::Flag(flag.to_owned());
            if setting.is_none() && flag != CONFIG_FLAG {
                gathered.fault(Some(origin), "is unknown; see --help".to_owned());
                continue;
            }
            if !seen.insert(flag) {
                gathered.fault(Some(origin), "is given twice".to_owned());
                continue;
            }
            match (setting, value) {
                (_, None) => gathered.fault(Some(origin), "needs a value".to_owned()),
                (Some(setting), Some(value)) => gathered.give(setting, Raw::Text(value), origin),
                (None, Some(path)) => gathered.file = Some(PathBuf::from(path)),
            }
        }
    }

    /// An empty variable counts as not given: compose files pass `${NAME:-}`.
    fn variables(&self, settings: &'static [Setting], gathered: &mut Gathered) {
        let ours = self
            .environment
            .iter()
            .filter(|(name, value)| name.starts_with("LIVEEVENTS_") && !value.is_empty());
        for (name, value) in ours {
            if name == CONFIG_VARIABLE {
                gathered.file.get_or_insert_with(|| PathBuf::from(value));
                continue;
            }
            let origin = Origin::Variable(name.clone());
            match settings.iter().find(|setting| setting.variable() == *name) {
                Some(setting) => gathered.give(setting, Raw::Text(value.clone()), origin),
                None => gathered.fault(Some(origin), "is unknown; see --help".to_owned()),
            }
        }
    }
}

impl Gathered {
    fn give(&mut self, setting: &'static Setting, value: Raw, origin: Origin) {
        self.given.entry(setting.key).or_insert((value, origin));
    }

    fn fault(&mut self, origin: Option<Origin>, problem: String) {
        self.faults.push(Fault {
            key: None,
            origin,
            problem,
        });
    }
}

fn file(path: &Path, settings: &'static [Setting], gathered: &mut Gathered) {
    let origin = Origin::File(path.to_owned());
    let text = match read(path) {
        Ok(text) => text,
        Err(error) => return gathered.fault(Some(origin), format!("cannot be read: {error}")),
    };
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            // Not the error as it prints itself: that shows the line, and what is secret in it.
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |text| text.matches('\n').count() + 1);
            let problem = format!("line {line}: {}", error.message());
            return gathered.fault(Some(origin), problem);
        }
    };
    let mut leaves = Vec::new();
    flatten("", table, &mut leaves);
    for (key, value) in leaves {
        let Some(setting) = settings.iter().find(|setting| setting.key == key) else {
            gathered.faults.push(Fault {
                key: Some(key),
                origin: Some(origin.clone()),
                problem: "is unknown; see --help".to_owned(),
            });
            continue;
        };
        match raw(value) {
            Some(value) => gathered.give(setting, value, origin.clone()),
            None => gathered.faults.push(Fault {
                key: Some(key),
                origin: Some(origin.clone()),
                problem: "must be a value or a list of values".to_owned(),
            }),
        }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other(format!(
            "larger than {MAX_FILE} bytes"
        )));
    }
    Ok(text)
}

/// Nested tables to dotted keys. The parser bounds the nesting.
fn flatten(prefix: &str, table: toml::Table, leaves: &mut Vec<(String, toml::Value)>) {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}.{name}")
        };
        match value {
            toml::Value::Table(table) => flatten(&key, table, leaves),
            value => leaves.push((key, value)),
        }
    }
}

fn raw(value: toml::Value) -> Option<Raw> {
    match value {
        toml::Value::Array(items) => items
            .into_iter()
            .map(scalar)
            .collect::<Option<_>>()
            .map(Raw::List),
        value => scalar(value).map(Raw::Text),
    }
}

fn scalar(value: toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Datetime(at) => Some(at.to_string()),
        toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}
