//! What was counted, as it is asked for.

use jiff::Timestamp;
use liveevents_protocol::engagement::{Cohort, Distinct, Place, Sums, Tally};
use liveevents_protocol::id::{EventId, RegionId, SegmentId};
use sqlx::{PgConnection, query};

use super::{Grain, read, sketch};
use crate::store::revisions::number;
use crate::store::{StoreError, Time, time};

/// Which rows are asked for.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// Of which event.
    pub event: &'a EventId,
    /// How long each.
    pub grain: Grain,
    /// From the stretch that begins here.
    pub from: Timestamp,
    /// In one region.
    pub region: Option<&'a RegionId>,
    /// Of one variant.
    pub variant: Option<&'a str>,
    /// Of one cohort.
    pub cohort: Option<Cohort>,
    /// Of one segment's players: sums alone.
    pub segment: Option<&'a SegmentId>,
}

/// What happened, by stretch and place, in order of time.
///
/// # Errors
/// If the database fails.
pub async fn rows(
    conn: &mut PgConnection,
    asked: &Asked<'_>,
) -> Result<Vec<(Timestamp, Place, Tally)>, StoreError> {
    let rows = query!(
        r#"SELECT bucket as "bucket: Time", region_id, revision, variant, cohort, session_starts, session_ends,
               session_seconds, participations, completions, purchases, revenue_cents, positive, neutral, negative,
               promoters, passives, detractors, errors, active, participants, completers, payers
           FROM engagement
           WHERE grain = $1 AND event_id = $2 AND bucket >= $3 AND ($4::text IS NULL OR region_id = $4)
             AND ($5::text IS NULL OR variant = $5) AND ($6::text IS NULL OR cohort = $6) AND segment = $7
           ORDER BY bucket"#,
        asked.grain.as_str(),
        asked.event.as_str(),
        time(asked.from) as _,
        asked.region.map(RegionId::as_str),
        asked.variant,
        asked.cohort.map(Cohort::as_str),
        asked.segment.map_or("", SegmentId::as_str)
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let cohort = Cohort::ALL
                .into_iter()
                .find(|one| one.as_str() == row.cohort);
            let place = Place {
                region: crate::store::regions::id(&row.region_id)?,
                event: asked.event.clone(),
                revision: match row.revision {
                    0 => None,
                    revision => Some(number(revision)?),
                },
                variant: Some(row.variant).filter(|variant| !variant.is_empty()),
                cohort: cohort.ok_or_else(|| StoreError::unreadable("a cohort")(row.cohort))?,
                segment: asked.segment.cloned(),
            };
            let sums = [
                row.session_starts,
                row.session_ends,
                row.session_seconds,
                row.participations,
                row.completions,
                row.purchases,
                row.revenue_cents,
                row.positive,
                row.neutral,
                row.negative,
                row.promoters,
                row.passives,
                row.detractors,
                row.errors,
            ];
            let tally = Tally {
                sums: Sums::from_array(sums.map(read)),
                active: sketch(&row.active)?,
                participants: sketch(&row.participants)?,
                completers: sketch(&row.completers)?,
                payers: sketch(&row.payers)?,
            };
            Ok((row.bucket.to_jiff(), place, tally))
        })
        .collect()
}

/// The different players of whom anything was reported since a moment, by hour.
///
/// # Errors
/// If the database fails.
pub async fn actives(
    conn: &mut PgConnection,
    asked: &Asked<'_>,
) -> Result<Vec<(Timestamp, Distinct)>, StoreError> {
    let rows = query!(
        r#"SELECT bucket as "bucket: Time", active FROM engagement
           WHERE grain = 'Hour' AND event_id = $1 AND bucket >= $2 AND ($3::text IS NULL OR region_id = $3)
             AND ($4::text IS NULL OR variant = $4) AND ($5::text IS NULL OR cohort = $5) AND segment = ''"#,
        asked.event.as_str(),
        time(asked.from) as _,
        asked.region.map(RegionId::as_str),
        asked.variant,
        asked.cohort.map(Cohort::as_str)
    )
    .fetch_all(conn)
    .await?;
    let rows = rows.into_iter();
    rows.map(|row| Ok((row.bucket.to_jiff(), sketch(&row.active)?)))
        .collect()
}
