//! liststreamqueryitems: items that match every given key, publisher and condition. The smallest index is looked through,
//! and what it gives is decoded and compared with the rest, in bounded steps.

pub mod condition;

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::cursor::{After, Paging};
use rota_api::error::{ParameterRule, RpcError};
use rota_api::params::{ALL_ENTRIES, Page, Params, without_duplicates};
use rota_api::path::Budget;
use rota_chain::data::DataFormat;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::stream::{ItemData, Publish};
use rota_storage::index::{Order, Selector};
use serde_json::{Map, Value};

use super::look::{Look, Place, is_same_transaction};
use super::{add_place, publisher};
use crate::context::Context;
use crate::offchain::Fetched;
use crate::rpc::cache::blocking;
use crate::rpc::cursor::Cursor;
use crate::rpc::cursor::list::List;
use crate::rpc::cursor::token::ListName;
use crate::rpc::data::json_value;
use crate::rpc::entries::Entries;
use crate::rpc::{Answer, resolve};
use condition::Condition;

/// The method's name, for tokens.
const METHOD: &str = "liststreamqueryitems";
/// Terms of a query: each is compared with every candidate.
const TERMS: usize = 1_024;
/// What one condition may look at in one item: an item in which that does not suffice does not match. A path without
/// filters looks at each value of an item a few times at most.
const ITEM_STEPS: u64 = 1_000_000;
/// What the conditions of one call may look at: about a second.
const CALL_STEPS: u64 = 50_000_000;
/// Bytes of JSON that one call decodes: about a second.
const CALL_BYTES: u64 = 64 << 20;
/// Bytes of JSON off the chain above which no condition holds for an item.
const ITEM_BYTES: u64 = 4 << 20;
/// Candidates read at a time.
const ROWS: u64 = 256;

/// What items must match.
#[derive(Debug, Default, PartialEq)]
struct Query {
    keys: Vec<Vec<u8>>,
    publishers: Vec<Lock>,
    conditions: Vec<Condition>,
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
                "json" => query.conditions = Condition::read_all(value)?,
                other => {
                    let known = ["key", "keys", "publisher", "publishers", "json"];
                    return Err(crate::rpc::resolve::unknown_field(other, &known));
                }
            }
        }
        let terms = query.keys.len() + query.publishers.len();
        if terms == 0 && query.conditions.is_empty() {
            let error = RpcError::parameter(ParameterRule::Size, "Invalid query, cannot be empty");
            return Err(error.got(0).allowed(format!("1 to {TERMS}")));
        }
        if terms > TERMS {
            let sentence = format!("A query has at most {TERMS} keys and publishers, this has {terms}");
            return Err(RpcError::parameter(ParameterRule::Size, sentence).got(terms).allowed(format!("1 to {TERMS}")));
        }
        Ok(query)
    }

    fn selectors(&self) -> Vec<Selector<'_>> {
        let keys = self.keys.iter().map(|key| Selector::Key(key));
        let selectors: Vec<Selector<'_>> = keys.chain(self.publishers.iter().map(Selector::Publisher)).collect();
        if selectors.is_empty() { vec![Selector::All] } else { selectors }
    }

    /// The selector with the fewest items in its index, and their number.
    fn smallest(&self, look: &Look<'_>) -> Result<(Selector<'_>, u64), RpcError> {
        let mut smallest = (Selector::All, u64::MAX);
        for selector in self.selectors() {
            look.check_index(Order::Chain, selector)?;
            let count = look.indexed(Order::Chain, selector)?;
            if count < smallest.1 {
                smallest = (selector, count);
            }
        }
        Ok(smallest)
    }

    fn matches(&self, look: &Look<'_>, place: &Place, work: &mut Work) -> Result<bool, RpcError> {
        let tx = &place.known.tx;
        let output = tx.body.outputs.get(place.vout as usize);
        let operation = output.and_then(|output| output.operations.get(usize::from(place.ordinal)));
        let Some(Operation::Publish(publish)) = operation else { return Ok(false) };
        let publishers = tx.answering_locks(place.vout);
        let is_found = self.keys.iter().all(|key| publish.keys.contains(key))
            && self.publishers.iter().all(|lock| publishers.contains(lock));
        if !is_found || self.conditions.is_empty() {
            return Ok(is_found);
        }
        let Some(value) = json_of(look, publish, work)? else { return Ok(false) };
        Ok(self.conditions.iter().all(|condition| work.holds(condition, &value)))
    }
}

/// What a call has left to spend on conditions.
struct Work {
    steps: u64,
    bytes: u64,
}

impl Work {
    const fn new() -> Work {
        Work { steps: CALL_STEPS, bytes: CALL_BYTES }
    }

    /// Whether nothing is left of one of them. Every call looks at one item at least.
    const fn is_done(&self) -> bool {
        self.steps == 0 || self.bytes == 0
    }

    /// Whether an item meets a condition; not if that takes too many steps to know.
    fn holds(&mut self, condition: &Condition, value: &Value) -> bool {
        let mut budget = Budget::new(ITEM_STEPS);
        let holds = condition.holds(value, &mut budget).unwrap_or(false);
        self.steps = self.steps.saturating_sub(ITEM_STEPS - budget.left());
        holds
    }
}

/// The JSON value of an item, none if it is of another format or not here.
fn json_of(look: &Look<'_>, publish: &Publish, work: &mut Work) -> Result<Option<Value>, RpcError> {
    let fetched;
    let bytes = match &publish.data {
        ItemData::Onchain(data) if data.format == DataFormat::Json => &data.bytes,
        // Off the chain it may be a gigabyte, and as a value many times that.
        ItemData::Offchain(chunked) if chunked.format == DataFormat::Json && chunked.size() <= ITEM_BYTES => {
            match look.moment.ctx.offchain.read(chunked).map_err(resolve::storage_error)? {
                Fetched::Here(bytes) => {
                    fetched = bytes;
                    &fetched
                }
                Fetched::Missing | Fetched::Broken(_) => return Ok(None),
            }
        }
        ItemData::Onchain(_) | ItemData::Offchain(_) => return Ok(None),
    };
    work.bytes = work.bytes.saturating_sub(bytes.len() as u64);
    Ok(json_value(bytes))
}

fn once(seen: &mut bool, field: &str) -> Result<(), RpcError> {
    if std::mem::replace(seen, true) {
        let sentence = format!("Only one of the {field} fields can appear in the object");
        return Err(RpcError::parameter(ParameterRule::Twice, sentence).got(field));
    }
    Ok(())
}

/// One text of a field in the singular, several of one in the plural.
fn texts(name: &str, value: &Value) -> Result<Vec<String>, RpcError> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if !name.ends_with('s') {
        let refused = || RpcError::mistyped(value, "str", format!("Invalid {name}, should be string"));
        return Ok(vec![text(value).ok_or_else(refused)?]);
    }
    let refused = || RpcError::mistyped(value, "array", format!("Invalid {name}, should be array"));
    let list = value.as_array().ok_or_else(refused)?;
    let refused = |one: &Value| RpcError::mistyped(one, "str", format!("Invalid {name}, should be strings"));
    without_duplicates(list.iter().map(|one| text(one).ok_or_else(|| refused(one))).collect::<Result<_, _>>()?)
}

/// The items of a stream that match every key and publisher a caller names.
///
/// # Errors
/// -8 for a malformed query, -703 without an index for it, -702 if too many items are to be looked through.
pub fn matching(look: &Look<'_>, map: &Map<String, Value>) -> Result<Vec<Place>, RpcError> {
    if map.contains_key("json") {
        let known = ["key", "keys", "publisher", "publishers"];
        return Err(resolve::unknown_field("json", &known));
    }
    all_matching(look, &Query::read(look.moment.ctx, map)?)
}

fn all_matching(look: &Look<'_>, query: &Query) -> Result<Vec<Place>, RpcError> {
    let limit = u64::from(look.moment.ctx.settings().maxqueryscanitems);
    let (selector, count) = query.smallest(look)?;
    let candidates = count.saturating_add(look.waiting(selector).len() as u64);
    let large = |what: String| {
        let advice = r#"a start of {"after":""} reads on in steps"#;
        RpcError::not_supported(format!("This query has {what}; {advice}")).rule("query-size")
    };
    if candidates > limit {
        let sentence = format!("{candidates} items to look through, the limit is {limit} (maxqueryscanitems)");
        return Err(large(sentence).got(candidates).allowed(limit));
    }
    let (mut found, mut work) = (Vec::new(), Work::new());
    look.for_page(selector, Page::ALL, |place| {
        if work.is_done() {
            return Err(large("more JSON to look through than one call does".to_owned()));
        }
        if query.matches(look, place, &mut work)? {
            found.push(place.clone());
        }
        Ok(())
    })?;
    Ok(found)
}

/// The page of matching items after a token. It ends early once as many candidates were looked at as a call may.
fn following(look: &Look<'_>, query: &Query, words: &Value, after: &After, verbose: bool) -> Answer {
    let snapshot = &look.moment.snapshot;
    let (selector, _) = query.smallest(look)?;
    let mut list = List::of_index(snapshot, &look.reader, METHOD, Order::Chain, selector)?;
    // Every index of the stream has its items in the same order, so that a token serves with whichever is smallest now.
    list.name = ListName::new(METHOD, &[look.stream.as_bytes(), words.to_string().as_bytes()]);
    let cursor = Cursor::open(snapshot, list, after)?;
    let start = cursor.window().start;
    let limit = u64::from(look.moment.ctx.settings().maxqueryscanitems).max(1);
    let stop = start.saturating_add(if after.count == 0 { 0 } else { limit }).min(cursor.size());
    let (mut entries, mut shown, mut end, mut work) = (Entries::new(), 0, start, Work::new());
    'page: while end < stop {
        let rows = look.reader.page(Order::Chain, selector, end..stop.min(end + ROWS));
        // Transactions may be large: each is let go before the next is read.
        for rows in rows.map_err(resolve::storage_error)?.chunk_by(is_same_transaction) {
            for place in look.mined(rows)? {
                if shown >= after.count || work.is_done() {
                    break 'page;
                }
                if query.matches(look, &place, &mut work)? {
                    add_place(look, &place, verbose, &mut entries)?;
                    shown += 1;
                }
                end += 1;
            }
        }
    }
    cursor.answer(end, entries.finish())
}

/// Answers liststreamqueryitems.
pub fn list(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let look = Look::at(&ctx, params.text(0)?)?;
        let words = params.value(1);
        let map = words.as_object();
        let map = map.ok_or_else(|| RpcError::mistyped(words, "obj", "Invalid query, should be object"))?;
        let query = Query::read(&ctx, map)?;
        let verbose = params.verbose(2);
        match params.paging(3, 4, ALL_ENTRIES)? {
            Paging::After(after) => following(&look, &query, words, &after, verbose?),
            Paging::Page(page) => {
                let found = all_matching(&look, &query)?;
                let window = page.window(found.len() as u64);
                let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
                let (mut entries, verbose) = (Entries::new(), verbose?);
                for place in found.get(place(window.start)..place(window.end)).unwrap_or_default() {
                    add_place(&look, place, verbose, &mut entries)?;
                }
                Ok(Value::Array(entries.finish()))
            }
        }
    })
}
