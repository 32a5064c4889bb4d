//! Whether an event can be accepted and served: everything that is wrong with it, and everything that may be.
//!
//! [`Proposal::read`] reads what was asked for as far as it can be read, and names what has to be looked up: items,
//! schemas, segments, assets. Somebody gathers these as [`Facts`], and [`validate`] judges. So all that is wrong is in one
//! [`Report`], in the order of the fields, and nothing here waits for anybody. An error is wrong in itself, and nothing
//! that has one is created, edited or deployed; a warning is for whoever asks.
//!
//! Unlike [`Document::parse`], whose rules every stored document meets for ever, these change with the catalogue, with
//! the studio's schemas and with our releases.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use liveevents_protocol::id::RegionId;
use url::Url;

use super::configuration::{Configuration, Named};
use super::document::Document;
use super::fault::Faults;
use super::fields::EventFields;
use super::json_schema::Schema;
use super::overlap::{Asked, Beside, Collision, collisions};
use super::times::Times;
use super::wall_clock::Zone;

/// An event as it was asked for, read as far as it can be.
#[derive(Debug)]
pub struct Proposal {
    document: Result<Document, Faults>,
    configuration: Option<Configuration>,
    /// Its type and category as they were written: what schemas are named after.
    scopes: Vec<String>,
    targets: Vec<String>,
    excluded: Vec<String>,
}

/// What is known beside the event itself. What was not asked for is left as [`Facts::new`] has it, and not judged.
#[derive(Debug)]
pub struct Facts {
    /// The time.
    pub now: Timestamp,
    /// Nothing of the event is deployed yet, so that it has to lie ahead.
    pub draft: bool,
    /// Of its items those that the catalogue lacks; none if no catalogue is loaded.
    pub unknown_items: BTreeSet<String>,
    /// The schemas that concern it, by name.
    pub schemas: BTreeMap<String, Schema>,
    /// Schemas that concern it and that this release cannot read.
    pub broken_schemas: BTreeSet<String>,
    /// Of its segments those that there are not.
    pub unknown_segments: BTreeSet<String>,
    /// Of its segments those of which nothing is published.
    pub unpublished_segments: BTreeSet<String>,
    /// Every region and its zone, if it is to be tried where it can be scheduled.
    pub regions: Vec<(RegionId, Zone)>,
    /// When somebody activated it.
    pub activated: Option<Timestamp>,
    /// Other events of its category that are served in these regions.
    pub beside: Vec<Beside>,
    /// What is wrong with an asset, by URL.
    pub assets: BTreeMap<Url, String>,
    /// Whether an asset that cannot be fetched is an error.
    pub assets_matter: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// What is wrong.
    pub errors: Faults,
    /// What may be.
    pub warnings: Faults,
}

impl Facts {
    /// None but these.
    #[must_use]
    pub fn new(draft: bool, now: Timestamp) -> Self {
        Self {
            now,
            draft,
            unknown_items: BTreeSet::new(),
            schemas: BTreeMap::new(),
            broken_schemas: BTreeSet::new(),
            unknown_segments: BTreeSet::new(),
            unpublished_segments: BTreeSet::new(),
            regions: Vec::new(),
            activated: None,
            beside: Vec::new(),
            assets: BTreeMap::new(),
            assets_matter: false,
        }
    }
}

impl Proposal {
    /// Reads what was asked for.
    #[must_use]
    pub fn read(fields: &EventFields) -> Self {
        let scopes = [fields.event_type.clone(), fields.category.clone().flatten()];
        let segments = |named: &Option<Vec<String>>| named.clone().unwrap_or_default();
        Self {
            document: Document::parse(fields),
            configuration: fields.configuration.as_ref().and_then(Configuration::read),
            scopes: scopes
                .into_iter()
                .flatten()
                .filter(|scope| is_name(scope))
                .collect(),
            targets: segments(&fields.target_segments),
            excluded: segments(&fields.exclude_segments),
        }
    }

    /// What it would be, if it is one.
    #[must_use]
    pub fn document(&self) -> Option<&Document> {
        self.document.as_ref().ok()
    }

    /// The items that it names.
    #[must_use]
    pub fn items(&self) -> BTreeSet<&str> {
        let items = self.configuration.iter().flat_map(Configuration::items);
        items
            .map(|item| item.name)
            .filter(|item| is_name(item))
            .collect()
    }

    /// The names of the schemas that concern it, should there be some.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.scopes
    }

    /// The category that it may not share with another event at the same time, if it has one.
    #[must_use]
    pub fn exclusive(&self) -> Option<String> {
        let document = self.document()?;
        let category = document.category.clone();
        category.filter(|_| !document.allow_overlap)
    }

    /// The segments that it names.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.targets
            .iter()
            .chain(&self.excluded)
            .map(String::as_str)
    }

    /// The assets that it names.
    #[must_use]
    pub fn assets(&self) -> BTreeSet<Url> {
        let assets = self.configuration.iter().flat_map(Configuration::assets);
        assets.map(|asset| asset.name).collect()
    }

    /// The document, if nothing is wrong with it.
    ///
    /// # Errors
    /// What is.
    pub fn accept(self, report: Report) -> Result<Document, Faults> {
        report.errors.or_ok()?;
        self.document
    }
}

/// Whether a text can name anything: none with a NUL is kept anywhere, nor may one be asked for.
fn is_name(text: &str) -> bool {
    !text.contains('\0')
}

/// Judges. Takes as long as the studio's schemas do.
#[must_use]
pub fn validate(proposal: &Proposal, facts: &Facts) -> Report {
    let mut report = Report::default();
    match &proposal.document {
        Ok(document) => time(document, facts, &mut report),
        Err(faults) => report.errors = faults.clone(),
    }
    if let Some(configuration) = &proposal.configuration {
        configuration.check(&mut report.errors, &mut report.warnings);
        for Named { field, name } in configuration.items() {
            if facts.unknown_items.contains(name) {
                let message = format!("names {name:?}, which is not in the item catalogue");
                report.errors.add(field, message);
            }
        }
        for (name, schema) in &facts.schemas {
            schema.check(name, configuration.value(), &mut report.errors);
        }
        let assets = if facts.assets_matter {
            &mut report.errors
        } else {
            &mut report.warnings
        };
        for Named { field, name } in configuration.assets() {
            if let Some(problem) = facts.assets.get(&name) {
                assets.add(field, problem);
            }
        }
    }
    for name in &facts.broken_schemas {
        let message =
            format!("was not judged by schema {name}, which cannot be read: register it anew");
        report.warnings.add("configuration", message);
    }
    segments("targetSegments", &proposal.targets, facts, &mut report);
    segments("excludeSegments", &proposal.excluded, facts, &mut report);
    report
}

fn time(document: &Document, facts: &Facts, report: &mut Report) {
    if facts.draft
        && let Err(faults) = document.check_draft(facts.now)
    {
        report.errors = faults;
    }
    let times = Times {
        timing: &document.timing,
        activated: facts.activated,
    };
    let mut asked = Vec::new();
    for (region, zone) in &facts.regions {
        match times.expand(zone, facts.now) {
            Ok(expansion) if expansion.schedule.occurrences().is_empty() => {
                let message = format!("nothing of it lies ahead in {region}");
                report.warnings.add("endTime", message);
            }
            Ok(expansion) => asked.push(Asked {
                region: region.clone(),
                categories: document.category.iter().cloned().collect(),
                stretches: expansion.schedule.occurrences().to_vec(),
            }),
            Err(error) => {
                let message = format!("it cannot be scheduled in {region}: {error}");
                report.warnings.add("startTime", message);
            }
        }
    }
    for collision in collisions(&asked, &facts.beside, facts.now) {
        let Collision {
            region,
            event,
            when,
            ..
        } = collision;
        let message = format!(
            "it would be served in {region} beside {event}, which has the same category, from {} to {}; a deployment that \
             does so is refused unless allowOverlap is true",
            when.opens, when.closes
        );
        report.warnings.add("category", message);
    }
}

fn segments(field: &str, named: &[String], facts: &Facts, report: &mut Report) {
    for (index, segment) in named.iter().enumerate() {
        if facts.unknown_segments.contains(segment) {
            let message = format!("there is no segment {segment}");
            report.errors.add(format!("{field}[{index}]"), message);
        }
        if facts.unpublished_segments.contains(segment) {
            let message = format!(
                "nothing of segment {segment} is published yet, so a deployment is refused"
            );
            report.warnings.add(format!("{field}[{index}]"), message);
        }
    }
}

#[cfg(test)]
mod tests;
