//! What may be said of a player: every text is bounded, and whoever says too much is told where.

use liveevents_protocol::message::{Attribute, PlayerMessage};
use liveevents_protocol::model::BucketBy;
use liveevents_service::limits::{MAX_ATTRIBUTES, MAX_KEY, MAX_KEYS};

/// What a name or a value takes beyond its bytes: its place in a tree, twice what it needs there.
const PLACE: usize = 100;

/// What a player takes beyond what is said of it.
const PLAYER: usize = 500;

/// Why a request is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::serve) struct Fault {
    /// Where.
    pub(in crate::serve) field: String,
    /// What would be right.
    pub(in crate::serve) message: String,
}

impl Fault {
    pub(in crate::serve) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }

    /// The same, of one in a list.
    pub(in crate::serve) fn of_player(self, index: usize) -> Self {
        let Self { field, message } = self;
        Self {
            field: format!("players[{index}].{field}"),
            message,
        }
    }
}

/// Checks what is said of a player.
///
/// # Errors
/// Naming the first field that is not as it must be.
pub(in crate::serve) fn check(player: &PlayerMessage) -> Result<(), Fault> {
    text("player", &player.player)?;
    number("keys", player.keys.len(), MAX_KEYS)?;
    for (name, key) in &player.keys {
        text("keys", name)?;
        let field = format!("keys.{name}");
        if name == BucketBy::PLAYER {
            return Err(Fault::new(field, "is the player's id and not given twice"));
        }
        text(&field, key)?;
    }
    number("attributes", player.attributes.len(), MAX_ATTRIBUTES)?;
    for (name, attribute) in &player.attributes {
        text("attributes", name)?;
        if let Attribute::Text(value) = attribute {
            at_most(&format!("attributes.{name}"), value)?;
        }
    }
    tag("language", player.language.as_deref())?;
    tag("platform", player.platform.as_deref())
}

/// What it takes in memory, at least.
pub(super) fn size(player: &PlayerMessage) -> usize {
    let keys = player.keys.iter().map(|(name, key)| name.len() + key.len());
    let attributes = player.attributes.iter().map(|(name, attribute)| {
        let value = match attribute {
            Attribute::Text(text) => text.len(),
            Attribute::Flag(_) | Attribute::Number(_) => 0,
        };
        name.len() + value
    });
    let tags = [&player.language, &player.platform].map(|tag| tag.as_ref().map_or(0, String::len));
    let places = player.keys.len() + player.attributes.len();
    let texts = player.player.len() + keys.chain(attributes).chain(tags).sum::<usize>();
    PLAYER + PLACE * places + texts
}

fn number(field: &str, count: usize, most: usize) -> Result<(), Fault> {
    if count > most {
        let message = format!("may have {most} members, has {count}");
        return Err(Fault::new(field, message));
    }
    Ok(())
}

fn text(field: &str, text: &str) -> Result<(), Fault> {
    if text.is_empty() {
        return Err(Fault::new(field, format!("must have 1 to {MAX_KEY} bytes")));
    }
    at_most(field, text)
}

fn at_most(field: &str, text: &str) -> Result<(), Fault> {
    if text.len() > MAX_KEY {
        return Err(Fault::new(field, format!("may have {MAX_KEY} bytes")));
    }
    Ok(())
}

/// A language or platform, as in a player's HTTP read.
pub(super) fn tag(field: &str, tag: Option<&str>) -> Result<(), Fault> {
    let Some(tag) = tag else {
        return Ok(());
    };
    let well_formed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !tag.chars().all(well_formed) {
        let message = "must be letters, digits, hyphens and underscores";
        return Err(Fault::new(field, message));
    }
    text(field, tag)
}
