//! `/catalog/items`: what events may give away. Replaced whole, by whatever builds the game's items; while it is empty
//! nobody is asked for items that are known.

use std::collections::BTreeSet;

use axum::extract::State;
use jiff::Timestamp;
use liveevents_service::http::{ApiError, Caller, Checks, Json, Query};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::routes;

use super::access::Routes;
use super::page::page;
use super::record::record;
use super::roles::{ADMINS, PEOPLE};
use super::{Api, commit};
use crate::limits::{MAX_FAULTS, MAX_ITEM_ID, MAX_ITEMS, MAX_NAME};
use crate::store::catalog::{self, Item, Replaced};
use crate::store::{self, Page, Paged};

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(PEOPLE, routes!(list))
        .add(ADMINS, routes!(replace))
}

/// Something that events give away.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = CatalogItem)]
struct ItemView {
    /// What configurations call it.
    item_id: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
}

/// All items.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CatalogItems)]
struct Items {
    items: Vec<ItemView>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Asked {
    limit: Option<u32>,
    offset: Option<u32>,
}

/// A part of the catalogue, by id.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = CatalogPage)]
struct Listed {
    items: Vec<ItemView>,
    total: u64,
    limit: u32,
    offset: u32,
    /// When it was replaced last, if ever.
    updated_at: Option<Timestamp>,
    updated_by: Option<String>,
}

/// What events may give away.
#[utoipa::path(
    get,
    path = "/catalog/items",
    params(Asked),
    responses((status = 200, description = "A page, by id.", body = Listed))
)]
async fn list(
    State(api): State<Api>,
    Query(asked): Query<Asked>,
) -> Result<Json<Listed>, ApiError> {
    let mut checks = Checks::default();
    let page = page(asked.limit, asked.offset, &mut checks);
    checks.finish()?;
    let mut tx = store::begin_snapshot(&api.pool).await?;
    let (found, replaced) = catalog::list(&mut tx, page).await?;
    Ok(Json(listed(found, replaced, page)))
}

/// Replaces the whole catalogue.
#[utoipa::path(
    put,
    path = "/catalog/items",
    responses((status = 200, description = "Its first page.", body = Listed))
)]
async fn replace(
    State(api): State<Api>,
    caller: Caller,
    Json(new): Json<Items>,
) -> Result<Json<Listed>, ApiError> {
    let items = check(new)?;
    let now = api.clock.now();
    let mut tx = api.begin().await?;
    let before = catalog::size(&mut tx).await?;
    catalog::replace(&mut tx, &items, caller.subject(), now).await?;
    // The items themselves are too many for a log that is kept for good.
    let states = (
        Some(json!({ "items": before })),
        Some(json!({ "items": items.len() })),
    );
    record(&mut tx, &caller, ("catalog.replace", "items"), states, now).await?;
    let first = Page {
        limit: super::page::LIMIT,
        offset: 0,
    };
    let (found, replaced) = catalog::list(&mut tx, first).await?;
    commit(tx).await?;
    Ok(Json(listed(found, replaced, first)))
}

fn check(new: Items) -> Result<Vec<Item>, ApiError> {
    let mut checks = Checks::default();
    let few = new.items.len() <= MAX_ITEMS;
    checks.require(few, "items", format!("must be at most {MAX_ITEMS}"));
    let mut seen = BTreeSet::new();
    for (index, item) in new.items.iter().enumerate() {
        let text = |text: &str, most| {
            let length = text.chars().count();
            (1..=most).contains(&length) && !text.chars().any(char::is_control)
        };
        let id = &item.item_id;
        if !text(id, MAX_ITEM_ID) {
            let message = format!("must have 1 to {MAX_ITEM_ID} characters, none of them control");
            checks.fault(format!("items[{index}].itemId"), message);
        } else if !seen.insert(id) {
            checks.fault(format!("items[{index}].itemId"), format!("repeats {id:?}"));
        }
        if item
            .display_name
            .as_ref()
            .is_some_and(|name| !text(name, MAX_NAME))
        {
            let message = format!("must have 1 to {MAX_NAME} characters, none of them control");
            checks.fault(format!("items[{index}].displayName"), message);
        }
        if checks.faults().len() >= MAX_FAULTS {
            break;
        }
    }
    checks.finish()?;
    let items = new.items.into_iter().map(|item| Item {
        id: item.item_id,
        display_name: item.display_name,
    });
    Ok(items.collect())
}

fn listed(found: Paged<Item>, replaced: Option<Replaced>, page: Page) -> Listed {
    let items = found.items.into_iter().map(|item| ItemView {
        item_id: item.id,
        display_name: item.display_name,
    });
    Listed {
        items: items.collect(),
        total: found.total,
        limit: page.limit,
        offset: page.offset,
        updated_at: replaced.as_ref().map(|replaced| replaced.at),
        updated_by: replaced.map(|replaced| replaced.by),
    }
}
