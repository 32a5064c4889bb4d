//! The table of settings for people: `--help` and docs/configuration.md.

use std::fmt::Write;

use super::{Program, Setting};

/// The settings as a Markdown table.
#[must_use]
pub fn settings_markdown(settings: &[Setting]) -> String {
    let mut text =
        String::from("| setting | environment variable | default | meaning |\n|---|---|---|---|\n");
    for setting in settings {
        let _ = writeln!(
            text,
            "| `{}` | `{}` | {} | {}{} |",
            setting.key,
            setting.variable(),
            value(setting),
            if setting.secret { "Secret. " } else { "" },
            setting.help.replace('|', "\\|"),
        );
    }
    text
}

fn value(setting: &Setting) -> String {
    match setting.default {
        Some(default) => format!("`{default}`"),
        None if setting.required => "required".to_owned(),
        None => "not set".to_owned(),
    }
}

/// What stands between `<!-- settings:NAME -->` and `<!-- /settings:NAME -->` in a document, for a test that
/// compares it with the table it was made from.
#[must_use]
pub fn section<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = document.split_once(&format!("<!-- settings:{name} -->\n"))?;
    let (section, _) = rest.split_once(&format!("<!-- /settings:{name} -->"))?;
    Some(section)
}

pub(super) fn help(program: &Program) -> String {
    let Program {
        name,
        about,
        settings,
        ..
    } = program;
    let mut text = format!(
        "{about}\n\nUsage: {name} [--config FILE] [--SETTING VALUE]...\n       {name} settings\n\n\
         Flags win over environment variables, those over the file (TOML, --config or \
         LIVEEVENTS_CONFIG),\nthat over the default. `settings` prints this table in Markdown.\n\n\
         Settings:\n"
    );
    for setting in *settings {
        let default = value(setting).replace('`', "");
        let _ = writeln!(
            text,
            "  {} VALUE\n      {}\n      [{default}; {}]",
            setting.flag(),
            setting.help,
            setting.variable(),
        );
    }
    text
}
