//! Regions, as the control plane sees them: name, zone, countries, and where their logs stand.

use liveevents_protocol::id::RegionId;
use liveevents_protocol::version::Version;
use sqlx::{PgConnection, query};

use super::{StoreError, count, region_log};
use crate::event::wall_clock::Zone;
use crate::region::Description;

/// The constraint that a region's identifier is its own.
pub const ID_IS_TAKEN: &str = "regions_pkey";

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

/// All regions, by identifier; until the transaction ends nobody gives one another zone. What is scheduled by a region's
/// wall clock reads it so.
///
/// # Errors
/// If the database fails.
pub async fn hold(conn: &mut PgConnection) -> Result<Vec<Region>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT region_id, display_name, timezone, countries, version
         FROM regions JOIN region_heads USING (region_id) ORDER BY region_id FOR SHARE OF regions"
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(Row::read)
    .collect()
}

/// One region, which nobody else edits until the transaction ends.
///
/// # Errors
/// If the database fails.
pub async fn lock(conn: &mut PgConnection, id: &RegionId) -> Result<Option<Region>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT region_id, display_name, timezone, countries, version
         FROM regions JOIN region_heads USING (region_id) WHERE region_id = $1 FOR UPDATE OF regions",
        id.as_str()
    )
    .fetch_optional(conn)
    .await?
    .map(Row::read)
    .transpose()
}

/// Adds a region, whose log begins, and tells all who follow logs. How many there are now.
///
/// # Errors
/// If the database fails; [`ID_IS_TAKEN`] is violated if there is one of that name.
pub async fn insert(
    conn: &mut PgConnection,
    id: &RegionId,
    region: &Description,
) -> Result<u64, StoreError> {
    query!(
        "INSERT INTO regions (region_id, display_name, timezone, countries) VALUES ($1, $2, $3, $4)",
        id.as_str(),
        region.display_name,
        region.timezone.as_str(),
        &region.countries
    )
    .execute(&mut *conn)
    .await?;
    query!(
        "INSERT INTO region_heads (region_id, version, floor, digest)
         VALUES ($1, 0, 0, decode(repeat('00', 32), 'hex'))",
        id.as_str()
    )
    .execute(&mut *conn)
    .await?;
    query!("SELECT pg_notify($1, $2)", region_log::CHANNEL, id.as_str())
        .execute(&mut *conn)
        .await?;
    let row = query!("SELECT count(*) FROM regions")
        .fetch_one(conn)
        .await?;
    Ok(count(row.count))
}

/// Writes what is said of a region anew.
///
/// # Errors
/// If the database fails.
pub async fn update(
    conn: &mut PgConnection,
    id: &RegionId,
    region: &Description,
) -> Result<(), StoreError> {
    query!(
        "UPDATE regions SET display_name = $2, timezone = $3, countries = $4 WHERE region_id = $1",
        id.as_str(),
        region.display_name,
        region.timezone.as_str(),
        &region.countries
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Events that are scheduled there by the region's own wall clock, the first few by name.
///
/// # Errors
/// If the database fails.
pub async fn scheduled_by_its_clock(
    conn: &mut PgConnection,
    id: &RegionId,
) -> Result<Vec<String>, StoreError> {
    let rows = query!(
        "SELECT event_id FROM assignments JOIN live_events USING (event_id)
         WHERE region_id = $1 AND region_local ORDER BY event_id LIMIT 5",
        id.as_str()
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.event_id).collect())
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
