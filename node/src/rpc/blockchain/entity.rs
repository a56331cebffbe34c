//! Filters and libraries: this version has none, so lists are empty and look-ups fail as they should.

use rota_api::error::{EntityKind as Wanted, RpcError};
use rota_api::params::{Params, Selection};
use serde_json::json;

use crate::context::Context;
use crate::rpc::Answer;
use crate::rpc::resolve::entity_in;

/// An empty list, verbose or not; -708 for whatever is named.
fn empty(ctx: &Context, params: &Params, wanted: Wanted) -> Answer {
    params.verbose(1)?;
    if let Selection::These(words) = params.identifier_selection(0)? {
        let view = ctx.view.read();
        for word in &words {
            entity_in(&view, word, wanted)?;
        }
    }
    Ok(json!([]))
}

fn named(ctx: &Context, params: &Params, wanted: Wanted) -> Answer {
    entity_in(&ctx.view.read(), params.text(0)?, wanted)?;
    let error = RpcError::not_supported(format!("{} entities are not available in this version", wanted.word()));
    Err(error.rule("not-available").got(wanted.word()))
}

/// Filters of either kind.
pub fn filters(ctx: &Context, params: &Params) -> Answer {
    empty(ctx, params, Wanted::Filter)
}

/// Libraries.
pub fn libraries(ctx: &Context, params: &Params) -> Answer {
    empty(ctx, params, Wanted::Library)
}

/// One filter.
pub fn filter(ctx: &Context, params: &Params) -> Answer {
    named(ctx, params, Wanted::Filter)
}

/// One library.
pub fn library(ctx: &Context, params: &Params) -> Answer {
    named(ctx, params, Wanted::Library)
}
