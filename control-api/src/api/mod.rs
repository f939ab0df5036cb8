//! One resource per file.

mod agent;
mod callbacks;
mod caller_ids;
mod calls;
mod campaigns;
mod compliance;
mod dial;
mod erase;
mod export;
pub(crate) mod ice;
pub(crate) mod imports;
mod leads;
mod lists;
pub(crate) mod operation;
mod phone;
mod prompts;
mod recordings;
mod session;
mod shift;
mod supervision;
mod suppressions;
mod teams;
mod trunk_groups;
mod trunks;
mod why;

use kraliki_engine::store::Page;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::error::Problem;
use crate::limits;
use crate::state::Api;

pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .merge(campaigns::routes())
        .merge(compliance::routes())
        .merge(leads::routes())
        .merge(lists::routes())
        .merge(callbacks::routes())
        .merge(imports::routes())
        .merge(export::routes())
        .merge(why::routes())
        .merge(trunks::routes())
        .merge(trunk_groups::routes())
        .merge(caller_ids::routes())
        .merge(agent::routes())
        .merge(dial::routes())
        .merge(session::routes())
        .merge(ice::routes())
        .merge(phone::routes())
        .merge(calls::routes())
        .merge(supervision::routes())
        .merge(shift::routes())
        .merge(teams::routes())
        .merge(prompts::routes())
        .merge(recordings::routes())
        .merge(suppressions::routes())
        .merge(erase::routes())
        .merge(operation::routes())
}

/// A part of a longer list.
#[derive(Serialize, ToSchema)]
pub(crate) struct Listing<T> {
    /// The rows.
    items: Vec<T>,
    /// Give this as `after` or `before` to get the next part; null at the end.
    next: Option<i64>,
}

impl<T> From<Page<T>> for Listing<T> {
    fn from(page: Page<T>) -> Self {
        Listing { items: page.items, next: page.next }
    }
}

/// How many rows a page has.
fn page_limit(limit: Option<u32>) -> Result<u32, Problem> {
    match limit.unwrap_or(limits::PAGE_DEFAULT) {
        limit @ 1..=limits::PAGE_MOST => Ok(limit),
        _ => Err(Problem::invalid("limit", format!("limit must be 1 to {}", limits::PAGE_MOST))),
    }
}
