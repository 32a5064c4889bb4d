//! `POST /events/{id}/clone`: a new draft with the newest revision's content.

use axum::extract::State;
use axum::response::Response;
use liveevents_protocol::id::EventId;
use liveevents_protocol::version::Revision;
use liveevents_service::http::{ApiError, Caller, Json, Path};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::create::add;
use super::find;
use super::view::EventView;
use crate::api::Api;
use crate::api::once::Once;
use crate::event::copy::{self, Changes};
use crate::event::fields::EventFields;

/// What the new event has of its own.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = CloneChanges)]
pub(super) struct Own {
    /// Made from the display name if it is left out.
    event_id: Option<String>,
    display_name: Option<String>,
    /// Alone, it moves the end along.
    start_time: Option<String>,
    end_time: Option<String>,
}

/// What the audit log keeps of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cloned {
    cloned_from: EventId,
    cloned_revision: Revision,
    #[serde(flatten)]
    fields: EventFields,
}

/// A new draft with the newest revision's content.
#[utoipa::path(
    post,
    path = "/events/{id}/clone",
    params(("id" = EventId, Path)),
    responses((status = 201, description = "Created.", body = EventView, headers(("Location" = String, description = "Where it is."), ("ETag" = String, description = "The revision's entity tag."))))
)]
pub(super) async fn clone(
    State(api): State<Api>,
    caller: Caller,
    once: Once,
    Path(id): Path<EventId>,
    own: Option<Json<Own>>,
) -> Result<Response, ApiError> {
    let own = own.map(|Json(own)| own).unwrap_or_default();
    let mut conn = api.acquire().await?;
    let source = find(&mut conn, &id).await?;
    drop(conn);
    let changes = Changes {
        event_id: own.event_id,
        display_name: own.display_name,
        start_time: own.start_time,
        end_time: own.end_time,
    };
    let revision = source.newest.revision;
    let fields = copy::fields(&source.newest.document, changes);
    let by = (&caller, once);
    add(&api, by, &fields, "event.clone", |document| Cloned {
        cloned_from: id,
        cloned_revision: revision,
        fields: document.to_fields(),
    })
    .await
}
