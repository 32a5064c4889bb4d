//! What is in force at a moment, as players of one game server are told it.

use jiff::Timestamp;
use liveevents_protocol::attribute::Attributes;
use liveevents_protocol::build::Build;
use liveevents_protocol::evaluate::{Asker, Keys, Moment};
use liveevents_protocol::message::{ClientHello, Cursor, PlayerMessage};
use liveevents_protocol::model::BucketBy;
use liveevents_protocol::position::Position;

use super::players::{Fault, tag};
use crate::replica::{Published, Selection, Shown, Wording};

/// What is in force, as far as players are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve) struct Mark {
    position: Position,
    /// How often the clock has switched something.
    switches: u64,
}

/// What a game server has said once for all its players.
#[derive(Debug, Clone, Default)]
pub(in crate::serve) struct Wants {
    build: Option<Build>,
    language: Option<String>,
    configuration: bool,
}

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(in crate::serve) struct View<'a> {
    pub(in crate::serve) published: &'a Published,
    pub(in crate::serve) at: Moment,
    /// See [`crate::replica::Region::switches`].
    pub(in crate::serve) switches: u64,
    pub(in crate::serve) wants: &'a Wants,
    /// Which events are told of.
    pub(in crate::serve) selection: &'a Selection,
}

impl Mark {
    pub(in crate::serve) fn of(published: &Published, switches: u64) -> Self {
        Self {
            position: published.sealed().position,
            switches,
        }
    }

    pub(super) fn cursor(self) -> Cursor {
        Cursor {
            epoch: self.position.epoch,
            version: self.position.version,
        }
    }

    /// Whether it is the same history, further on.
    pub(super) fn follows(self, before: Self) -> bool {
        let (ours, theirs) = (self.position, before.position);
        ours == theirs || (ours.epoch == theirs.epoch && ours.version > theirs.version)
    }
}

impl Wants {
    /// As a hello says.
    ///
    /// # Errors
    /// If its language is none.
    pub(in crate::serve) fn of(hello: &ClientHello) -> Result<Self, Fault> {
        tag("language", hello.language.as_deref())?;
        Ok(Self {
            build: hello.build,
            language: hello.language.clone(),
            configuration: hello.include_config,
        })
    }

    /// The same, with or without the events' configuration.
    pub(in crate::serve) fn with_configuration(&self, configuration: bool) -> Self {
        Self {
            configuration,
            ..self.clone()
        }
    }
}

impl<'a> View<'a> {
    pub(super) fn mark(&self) -> Mark {
        Mark::of(self.published, self.switches)
    }

    pub(in crate::serve) fn cursor(&self) -> Cursor {
        self.published.cursor()
    }

    pub(in crate::serve) fn time(&self) -> Timestamp {
        self.at.now
    }

    pub(super) fn committed_at(&self) -> Option<Timestamp> {
        self.published.committed_at()
    }

    /// How many events are evaluated for a player.
    pub(in crate::serve) fn events(&self) -> usize {
        self.published.offers().len()
    }

    /// What a player is shown.
    pub(in crate::serve) fn shown(&self, id: &str, player: &PlayerMessage) -> Shown<'a> {
        let build = player.build.or(self.wants.build);
        let offers = self.published.offers();
        let attributes = Attributes::new(&player.attributes).on(player.platform.as_deref());
        let shown = |keys: &[(&str, &str)]| {
            let asker = Asker {
                keys: Keys(keys),
                build,
                attributes,
            };
            match self.selection {
                Some(filter) => offers.passing(filter, &asker, self.at),
                None => offers.shown(&asker, self.at),
            }
        };
        let id = (BucketBy::PLAYER, id);
        if player.keys.is_empty() {
            return shown(&[id]);
        }
        let others = player.keys.iter().map(|(name, key)| (&**name, &**key));
        let keys: Vec<_> = std::iter::once(id).chain(others).collect();
        shown(&keys)
    }

    /// How a player is told.
    pub(in crate::serve) fn wording<'b>(&self, player: &'b PlayerMessage) -> Wording<'b>
    where
        'a: 'b,
    {
        let language = player.language.as_deref();
        Wording {
            language: language.or(self.wants.language.as_deref()),
            configuration: self.wants.configuration,
        }
    }
}
