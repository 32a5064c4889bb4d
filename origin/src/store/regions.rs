//! Regions, as the control plane sees them: name, zone, countries, and where their logs stand.

use liveevents_protocol::id::RegionId;
use liveevents_protocol::version::Version;
use sqlx::{PgConnection, query};

use super::StoreError;
use crate::event::wall_clock::Zone;

/// A region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// Its name.
    pub id: RegionId,
    /// Its name for people.
    pub display_name: String,
    /// Where its wall clock hangs.
    pub zone: Zone,
    /// ISO 3166-1 alpha-2.
    pub countries: Vec<String>,
    /// The newest version of its log.
    pub version: Version,
}

struct Row {
    region_id: String,
    display_name: String,
    timezone: String,
    countries: Vec<String>,
    version: i64,
}

impl Row {
    fn read(self) -> Result<Region, StoreError> {
        Ok(Region {
            id: id(&self.region_id)?,
            display_name: self.display_name,
            zone: self
                .timezone
                .parse()
                .map_err(StoreError::unreadable("a region's time zone"))?,
            countries: self.countries,
            version: version(self.version)?,
        })
    }
}

/// All regions, by identifier.
///
/// # Errors
/// If the database fails.
pub async fn list(conn: &mut PgConnection) -> Result<Vec<Region>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT region_id, display_name, timezone, countries, version
         FROM regions JOIN region_heads USING (region_id) ORDER BY region_id"
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(Row::read)
    .collect()
}

/// One region.
///
/// # Errors
/// If the database fails.
pub async fn find(conn: &mut PgConnection, id: &RegionId) -> Result<Option<Region>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT region_id, display_name, timezone, countries, version
         FROM regions JOIN region_heads USING (region_id) WHERE region_id = $1",
        id.as_str()
    )
    .fetch_optional(conn)
    .await?
    .map(Row::read)
    .transpose()
}

/// Those of the given names that are no region's.
///
/// # Errors
/// If the database fails.
pub async fn unknown(
    conn: &mut PgConnection,
    ids: &[RegionId],
) -> Result<Vec<RegionId>, StoreError> {
    let names: Vec<String> = ids.iter().map(RegionId::to_string).collect();
    let rows = query!(
        "SELECT region_id FROM regions WHERE region_id = ANY($1)",
        &names
    )
    .fetch_all(conn)
    .await?;
    let known = |id: &&RegionId| !rows.iter().any(|row| row.region_id == id.as_str());
    Ok(ids.iter().filter(known).cloned().collect())
}

/// A region out of its column.
pub(super) fn id(text: &str) -> Result<RegionId, StoreError> {
    RegionId::new(text).map_err(StoreError::unreadable("a region's id"))
}

/// A version out of its column.
pub(super) fn version(column: i64) -> Result<Version, StoreError> {
    u64::try_from(column)
        .map(Version)
        .map_err(StoreError::unreadable("a version"))
}
