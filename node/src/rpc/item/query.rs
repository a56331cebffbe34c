//! liststreamqueryitems: items that match every given key and publisher. The smallest index is looked through, and
//! what it gives is decoded and compared with the rest.

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::RpcError;
use rota_api::params::{Page, Params, without_duplicates};
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_storage::index::{Order, Selector};
use serde_json::{Map, Value};

use super::look::{Look, Place};
use super::{publisher, show_all};
use crate::context::Context;
use crate::rpc::Answer;
use crate::rpc::cache::blocking;

/// Terms of a query: each is compared with every candidate.
const TERMS: usize = 1_024;

/// What items must match.
#[derive(Debug, Default, PartialEq, Eq)]
struct Query {
    keys: Vec<Vec<u8>>,
    publishers: Vec<Lock>,
}

impl Query {
    fn read(ctx: &Context, map: &Map<String, Value>) -> Result<Query, RpcError> {
        let mut query = Query::default();
        let (mut has_keys, mut has_publishers) = (false, false);
        for (name, value) in map {
            match name.as_str() {
                "key" | "keys" => {
                    once(&mut has_keys, "key")?;
                    query.keys = texts(name, value)?.into_iter().map(String::into_bytes).collect();
                }
                "publisher" | "publishers" => {
                    once(&mut has_publishers, "publisher")?;
                    let locks = texts(name, value)?.iter().map(|text| publisher(ctx, text)).collect::<Result<_, _>>();
                    query.publishers = locks?;
                }
                other => {
                    let field = crate::rpc::resolve::short(other);
                    return Err(RpcError::invalid(format!("Invalid field: {field}")));
                }
            }
        }
        let terms = query.keys.len() + query.publishers.len();
        if terms == 0 {
            return Err(RpcError::invalid("Invalid query, cannot be empty"));
        }
        if terms > TERMS {
            return Err(RpcError::invalid(format!(
                "A query has at most {TERMS} keys and publishers, this has {terms}"
            )));
        }
        Ok(query)
    }

    fn selectors(&self) -> impl Iterator<Item = Selector<'_>> {
        let keys = self.keys.iter().map(|key| Selector::Key(key));
        keys.chain(self.publishers.iter().map(Selector::Publisher))
    }

    fn matches(&self, place: &Place) -> bool {
        let tx = &place.known.tx;
        let output = tx.body.outputs.get(place.vout as usize);
        let operation = output.and_then(|output| output.operations.get(usize::from(place.ordinal)));
        let Some(Operation::Publish(publish)) = operation else { return false };
        let publishers = tx.answering_locks(place.vout);
        self.keys.iter().all(|key| publish.keys.contains(key))
            && self.publishers.iter().all(|lock| publishers.contains(lock))
    }
}

fn once(seen: &mut bool, field: &str) -> Result<(), RpcError> {
    if std::mem::replace(seen, true) {
        return Err(RpcError::invalid(format!("Only one of the {field} fields can appear in the object")));
    }
    Ok(())
}

/// One text of a field in the singular, several of one in the plural.
fn texts(name: &str, value: &Value) -> Result<Vec<String>, RpcError> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if !name.ends_with('s') {
        let one = text(value).ok_or_else(|| RpcError::invalid(format!("Invalid {name}, should be string")))?;
        return Ok(vec![one]);
    }
    let list = value.as_array().ok_or_else(|| RpcError::invalid(format!("Invalid {name}, should be array")))?;
    let texts: Option<Vec<String>> = list.iter().map(text).collect();
    without_duplicates(texts.ok_or_else(|| RpcError::invalid(format!("Invalid {name}, should be strings")))?)
}

/// The items of a stream that match every key and publisher a caller names.
///
/// # Errors
/// -8 for a malformed query, -703 without an index for it, -702 if too many items are to be looked through.
pub fn matching(look: &Look<'_>, map: &Map<String, Value>) -> Result<Vec<Place>, RpcError> {
    let ctx = look.moment.ctx;
    let query = Query::read(ctx, map)?;
    let limit = u64::from(ctx.settings().maxqueryscanitems);
    let mut smallest: Option<(u64, Selector<'_>)> = None;
    for selector in query.selectors() {
        look.check_index(Order::Chain, selector)?;
        let count = look.indexed(Order::Chain, selector)?;
        if smallest.is_none_or(|(least, _)| count < least) {
            smallest = Some((count, selector));
        }
    }
    let Some((count, selector)) = smallest else { return Ok(Vec::new()) };
    let candidates = count.saturating_add(look.waiting(selector).len() as u64);
    if candidates > limit {
        let large = format!("This query has {candidates} items to look through, the limit is {limit}");
        return Err(RpcError::not_supported(format!("{large} (maxqueryscanitems)")));
    }
    let mut places = look.page(selector, Page { count: i64::MAX, start: 0 })?;
    places.retain(|place| query.matches(place));
    Ok(places)
}

/// Answers liststreamqueryitems.
pub fn list(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let look = Look::at(&ctx, params.text(0)?)?;
        let map = params.value(1).as_object();
        let map = map.ok_or_else(|| RpcError::invalid("Invalid query, should be object"))?;
        let verbose = params.verbose(2);
        show_all(&look, &matching(&look, map)?, verbose?).map(Value::Array)
    })
}
