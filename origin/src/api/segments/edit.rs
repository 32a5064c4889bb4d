//! `POST /segments`, `PUT` and `DELETE /segments/{id}`: nothing here changes what is served.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use liveevents_protocol::id::SegmentId;
use liveevents_protocol::segment::Segment;
use liveevents_protocol::version::Revision;
use liveevents_service::http::{ApiError, Caller, Json, Path};
use serde::Deserialize;
use utoipa::ToSchema;

use super::view::SegmentDetail;
use super::{answer, find, lock};
use crate::api::document::IfMatch;
use crate::api::once::{Claimed, New, Once};
use crate::api::precondition::check_match;
use crate::api::record::{NOTHING, record};
use crate::api::{Api, commit};
use crate::event::fault::Faults;
use crate::limits::MAX_STORED_SEGMENTS;
use crate::segment::{CriteriaFields, Description, Fields, fits};
use crate::store::region_log;
use crate::store::segments::{self, ID_IS_TAKEN};

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewSegment {
    segment_id: Option<String>,
    display_name: Option<String>,
    description: Option<String>,
    criteria: Option<CriteriaFields>,
}

/// Makes a segment, which is not published yet.
#[utoipa::path(
    post,
    path = "/segments",
    responses((status = 201, description = "Created.", body = SegmentDetail, headers(("Location" = String, description = "Where it is."), ("ETag" = String, description = "The revision's entity tag."))))
)]
pub(super) async fn create(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Json(new): Json<NewSegment>,
) -> Result<Response, ApiError> {
    let mut faults = Faults::default();
    let id = faults.require("segmentId", new.segment_id.as_deref());
    let id = id.and_then(|id| faults.take("segmentId", SegmentId::new(id)));
    let fields = Fields {
        display_name: new.display_name,
        description: new.description,
        criteria: new.criteria,
    };
    let (id, description) = match (id, Description::new(&fields)) {
        (Some(id), Ok(description)) => (id, description),
        (_, described) => return Err(faults.and(described.err().unwrap_or_default()).into()),
    };
    check_size(&id, &description)?;
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let claim = match once.claim(&mut tx, now).await? {
        Claimed::Now(claim) => claim,
        Claimed::Before(answer) => return Ok(answer),
    };
    let by = caller.subject();
    let many = match segments::insert(&mut tx, &id, &description, by, now).await {
        Err(error) if error.violates(ID_IS_TAKEN) => {
            return Err(ApiError::Conflict(format!(
                "there is a segment {id} already, or was one, for whose history the name is kept"
            )));
        }
        many => many?,
    };
    if many > MAX_STORED_SEGMENTS {
        let message =
            format!("there are {MAX_STORED_SEGMENTS} segments already, as many as there may be");
        return Err(ApiError::Conflict(message));
    }
    let deed = ("segment.create", id.as_str());
    let states = (NOTHING, Some(&description));
    record(&mut tx, &caller, deed, states, now).await?;
    let segment = find(&mut tx, &id).await?;
    let (mut headers, Json(body)) = answer(&mut tx, segment).await?;
    let location = HeaderValue::from_str(&format!("/api/v1/segments/{id}"));
    let location = location.into_iter();
    headers.extend(location.map(|location| (header::LOCATION, location)));
    let answer = claim.keep(&mut tx, New { headers, body }).await?;
    commit(tx).await?;
    Ok(answer)
}

/// Changes what is given, the criteria as a whole, which makes the next revision. It takes effect once it is published.
#[utoipa::path(
    put,
    path = "/segments/{id}",
    params(("id" = SegmentId, Path), IfMatch),
    responses((status = 200, description = "As it is now.", body = SegmentDetail, headers(("ETag" = String, description = "The revision's entity tag."))))
)]
pub(super) async fn edit(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<SegmentId>,
    headers: HeaderMap,
    Json(fields): Json<Fields>,
) -> Result<(HeaderMap, Json<SegmentDetail>), ApiError> {
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let segment = lock(&mut tx, &id).await?;
    check_match(&headers, segment.newest.revision)?;
    let before = &segment.newest.description;
    let after = before.edited(&fields)?;
    check_size(&id, &after)?;
    // An edit that changes nothing makes no revision: PUT may be repeated.
    if after == *before {
        return answer(&mut tx, segment).await;
    }
    let revision = Revision(segment.newest.revision.0.saturating_add(1));
    segments::revise(&mut tx, &id, revision, &after, caller.subject(), now).await?;
    let deed = ("segment.edit", id.as_str());
    record(&mut tx, &caller, deed, (Some(before), Some(&after)), now).await?;
    let segment = find(&mut tx, &id).await?;
    let answer = answer(&mut tx, segment).await?;
    commit(tx).await?;
    Ok(answer)
}

/// Deletes a segment that nothing uses. Its history is kept, and its name is not given again.
#[utoipa::path(
    delete,
    path = "/segments/{id}",
    params(("id" = SegmentId, Path), IfMatch),
    responses((status = 204, description = "Gone."))
)]
pub(super) async fn delete(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<SegmentId>,
    headers: HeaderMap,
) -> Result<StatusCode, ApiError> {
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let segment = lock(&mut tx, &id).await?;
    check_match(&headers, segment.newest.revision)?;
    // So that nobody brings it into a region meanwhile.
    region_log::lock_all(&mut tx).await?;
    let used = segments::used(&mut tx, &id, 5).await?;
    let text = |names: Vec<String>| names.join(", ");
    if !used.events.is_empty() {
        let events = text(used.events.iter().map(ToString::to_string).collect());
        let message = format!("segment {id} is named by events that are not over: {events}");
        return Err(ApiError::Conflict(message));
    }
    if !used.regions.is_empty() {
        let regions = text(used.regions.iter().map(ToString::to_string).collect());
        let message = format!("segment {id} is used by what is served in {regions}");
        return Err(ApiError::Conflict(message));
    }
    segments::delete(&mut tx, &id, now).await?;
    let deed = ("segment.delete", id.as_str());
    let states = (Some(segment.newest.description), NOTHING);
    record(&mut tx, &caller, deed, states, now).await?;
    commit(tx).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A region must have room for it.
fn check_size(id: &SegmentId, description: &Description) -> Result<(), ApiError> {
    let segment = Segment {
        id: id.clone(),
        revision: Revision(u32::MAX),
        criteria: description.criteria.clone(),
    };
    fits(&segment).map_err(|error| {
        ApiError::field("criteria", format!("are more than a region holds: {error}"))
    })
}
