//! The rows of a change: entries encoded so that they fit, numbered, chained, and written together.

use std::collections::BTreeMap;

use liveevents_protocol::codec;
use liveevents_protocol::entry::{Entry, EntryKey};
use liveevents_protocol::frame::FORMAT_V1;
use liveevents_protocol::id::{ChangeId, RegionId};
use liveevents_protocol::model::Content;
use liveevents_protocol::position::Digest;
use liveevents_protocol::segment::Segments;
use liveevents_protocol::version::{Epoch, Version};
use sqlx::PgConnection;

use super::entries::{self, Held};
use super::{ChangeError, Committed, Decision, Edit};
use crate::store::{self, StoreError};

/// What fits into one row, and the edits that it carries out, if any.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) edits: &'a [Edit],
    pub(super) entries: Vec<Entry>,
    pub(super) encoded: Vec<u8>,
}

/// One version of a change in one region, encoded and judged, ready to be written.
#[derive(Debug)]
pub(crate) struct RegionRow {
    pub(crate) region: RegionId,
    pub(crate) version: Version,
    pub(crate) entries: Vec<Entry>,
    pub(crate) encoded: Vec<u8>,
    pub(crate) digest: Digest,
}

/// The rows of one change so far.
pub(super) struct Rows {
    epoch: Epoch,
    change: ChangeId,
    rows: Vec<RegionRow>,
}

impl Rows {
    pub(super) fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            change: ChangeId(uuid::Uuid::now_v7()),
            rows: Vec::new(),
        }
    }

    /// Adds a region's, the next versions after its head.
    pub(super) fn add(
        &mut self,
        region: &RegionId,
        (mut version, mut digest): (Version, Digest),
        pieces: Vec<Piece<'_>>,
    ) {
        for piece in pieces {
            version = version.next();
            digest = digest.chain(version, self.change, FORMAT_V1, &piece.encoded);
            self.rows.push(RegionRow {
                region: region.clone(),
                version,
                entries: piece.entries,
                encoded: piece.encoded,
                digest,
            });
        }
    }

    /// Writes them all, with who decided it.
    pub(super) async fn write(
        self,
        conn: &mut PgConnection,
        decision: &Decision,
    ) -> Result<Committed, StoreError> {
        let Self {
            epoch,
            change,
            rows,
        } = self;
        store::region_log::write_change(conn, change, decision).await?;
        store::assignments::write(conn, &rows).await?;
        store::region_segments::write(conn, &rows).await?;
        store::region_log::append(conn, epoch, change, &rows).await?;
        // Of several versions of one region the last one stays.
        let last = rows.into_iter().map(|row| (row.region, row.version));
        let regions: BTreeMap<RegionId, Version> = last.collect();
        Ok(Committed { change, regions })
    }
}

/// The edits in rows: one, or as many as it takes; none where nothing changes.
pub(super) fn pieces<'a>(
    region: &RegionId,
    held: &Held,
    edits: &'a [Edit],
    contents: &[Content],
    in_effect: &Segments,
) -> Result<Vec<Piece<'a>>, ChangeError> {
    let (puts, gone) = entries::segments(held, edits, contents, in_effect)?;
    let changed = entries::entries(held, edits, contents)?;
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    let entries: Vec<Entry> = puts
        .iter()
        .cloned()
        .chain(changed)
        .chain(gone.iter().cloned())
        .collect();
    if let Ok(encoded) = codec::encode_entries(&entries) {
        return Ok(vec![Piece {
            edits,
            entries,
            encoded,
        }]);
    }
    let of_segments = |entries| -> Result<Vec<Piece<'a>>, ChangeError> {
        let fitted = fitted(region, entries, &|entries: &[Entry]| Ok(entries.to_vec()))?;
        let pieces = fitted.into_iter().map(|(_, entries, encoded)| Piece {
            edits: &[],
            entries,
            encoded,
        });
        Ok(pieces.collect())
    };
    let mut pieces = of_segments(&puts)?;
    let fitted = fitted(region, edits, &|edits| {
        entries::entries(held, edits, contents)
    })?;
    pieces.extend(fitted.into_iter().map(|(edits, entries, encoded)| Piece {
        edits,
        entries,
        encoded,
    }));
    pieces.extend(of_segments(&gone)?);
    Ok(pieces)
}

type Fitted<'a, T> = Vec<(&'a [T], Vec<Entry>, Vec<u8>)>;

/// What some items say, in one row, or halved until each fits.
pub(super) fn fitted<'a, T>(
    region: &RegionId,
    items: &'a [T],
    say: &impl Fn(&[T]) -> Result<Vec<Entry>, ChangeError>,
) -> Result<Fitted<'a, T>, ChangeError> {
    let entries = say(items)?;
    let Some(first) = entries.first() else {
        return Ok(Vec::new());
    };
    match codec::encode_entries(&entries) {
        Ok(encoded) => Ok(vec![(items, entries, encoded)]),
        Err(source) if items.len() < 2 => Err(ChangeError::TooLarge {
            region: region.clone(),
            what: what(&first.key()),
            source,
        }),
        Err(_) => {
            let (half, rest) = items.split_at(items.len() / 2);
            let mut both = fitted(region, half, say)?;
            both.extend(fitted(region, rest, say)?);
            Ok(both)
        }
    }
}

fn what(key: &EntryKey) -> String {
    match key {
        EntryKey::Segment(segment) => format!("segment {segment}"),
        EntryKey::Content(event, _) | EntryKey::Assignment(event) => format!("event {event}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use liveevents_protocol::conditions::{Requires, WhenStale};
    use liveevents_protocol::entry::Value;
    use liveevents_protocol::json_text::JsonText;
    use liveevents_protocol::limits::MAX_LISTED;
    use liveevents_protocol::model::{Assignment, EventType};
    use liveevents_protocol::segment::{Criteria, Segment};
    use liveevents_protocol::version::Revision;

    use super::super::verify::verify;
    use super::*;

    /// A megabyte of players.
    fn large(id: &str) -> Segment {
        let listed = (0..MAX_LISTED).map(|n| format!("{id}-{n:0>190}"));
        Segment {
            id: id.parse().unwrap(),
            revision: Revision(1),
            criteria: Criteria {
                include: listed.collect::<BTreeSet<_>>(),
                ..Criteria::default()
            },
        }
    }

    #[test]
    fn segments_that_fill_several_rows_come_before_what_names_them_and_go_after_it() {
        let (region, epoch) = ("us-east".parse().unwrap(), Epoch(uuid::Uuid::from_u128(1)));
        let segments: Vec<Segment> = (0..9).map(|n| large(&format!("s-{n}"))).collect();
        let named: Vec<_> = segments.iter().map(|segment| segment.id.clone()).collect();
        let content = Content {
            event_id: "sale".parse().unwrap(),
            revision: Revision(1),
            event_type: EventType::LimitedTimeOffer,
            display_name: "Sale".to_owned(),
            description: String::new(),
            category: None,
            priority: 0,
            tags: Vec::new(),
            localizations: BTreeMap::new(),
            requires: Requires::default(),
            when_stale: WhenStale::default(),
            target_segments: named.clone(),
            exclude_segments: Vec::new(),
            configuration: JsonText::empty_object(),
        };
        let assignment = Assignment {
            event_id: content.event_id.clone(),
            salt: "s".to_owned(),
            live: Some(Revision(1)),
            candidate: None,
            schedule: Default::default(),
            suspension: Default::default(),
            full: false,
        };
        let edits = [Edit::Put(assignment)];
        let in_effect: Segments = segments.into_iter().collect();
        let contents = [content];
        let held = Held::default();
        let all = pieces(&region, &held, &edits, &contents, &in_effect).unwrap();
        assert!(all.len() > 2, "{} rows", all.len());
        let (last, before) = all.split_last().unwrap();
        assert_eq!(last.entries.len(), 2, "content and assignment");
        let puts = before.iter().flat_map(|piece| &piece.entries);
        assert_eq!(puts.clone().count(), named.len());
        assert!(
            puts.into_iter()
                .all(|entry| matches!(entry, Entry::Put(Value::Segment(_))))
        );
        verify(&region, epoch, &held, &all).unwrap();
    }
}
