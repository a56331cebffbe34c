//! Items of streams as answers show them: one by one, and lists of them by page, block and query. What is looked
//! through lives in `look`, chosen blocks in `block`, keys and publishers in `term`, queries in `query`.

pub mod block;
pub mod look;
pub mod query;
pub mod term;

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::cursor::Paging;
use rota_api::error::{Code, RpcError};
use rota_api::params::Params;
use rota_api::stream::StreamItem;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::stream::{ItemData, Publish};
use rota_storage::index::{ItemRef, Order, SeenRow, Selector, items};
use serde_json::Value;

use crate::context::Context;
use crate::rpc::cache::blocking;
use crate::rpc::cursor::Cursor;
use crate::rpc::cursor::list::List;
use crate::rpc::decode::output::{keys, shown_data};
use crate::rpc::decode::{Known, Moment};
use crate::rpc::entries::{Entries, steps};
use crate::rpc::{Answer, resolve};
use look::{Look, Place};

/// Items of a list unless the caller says how many.
const LISTED: i64 = 10;

/// One item in an answer, and what a summary needs of it.
pub struct ShownItem {
    /// As it is listed.
    pub item: StreamItem,
    /// Whether its data is JSON.
    pub is_json: bool,
}

/// Shows one item.
///
/// # Errors
/// -32603 if storage fails.
pub fn show(
    moment: &Moment<'_>,
    known: &Known,
    vout: u32,
    publish: &Publish,
    verbose: bool,
) -> Result<ShownItem, RpcError> {
    let shown = shown_data(moment, known.txid, vout, publish)?;
    let (keys, mined) = (keys(publish), known.mined);
    let publishers = known.tx.answering_locks(vout);
    let item = StreamItem {
        publishers: publishers.iter().map(|lock| moment.address(lock)).collect(),
        key: keys.first().filter(|_| moment.old_api).cloned(),
        keys,
        offchain: matches!(publish.data, ItemData::Offchain(_)),
        available: shown.available,
        error: shown.error,
        data: shown.data,
        confirmations: moment.confirmations(known),
        generated: (verbose && known.tx.is_coinbase()).then_some(true),
        blockhash: mined.filter(|_| verbose).map(|mined| mined.hash.to_string()),
        blockheight: mined.filter(|_| verbose).map(|mined| i64::from(mined.height.0)),
        blockindex: mined.filter(|_| verbose).map(|mined| i64::from(mined.index)),
        blocktime: mined.map(|mined| i64::from(mined.time)),
        txid: known.txid.to_string(),
        vout: verbose.then(|| i64::from(vout)),
        valid: verbose.then_some(known.valid),
        time: verbose.then(|| known.time().cast_signed()),
        timereceived: verbose.then(|| known.received.cast_signed()),
        comment: None,
        to: None,
    };
    Ok(ShownItem { item, is_json: shown.format == rota_chain::data::DataFormat::Json })
}

/// Shows the item at a place of a followed stream; off-chain data that is not here yet is noted to be fetched.
///
/// # Errors
/// -32603 if storage fails.
pub fn show_place(look: &Look<'_>, place: &Place, verbose: bool) -> Result<ShownItem, RpcError> {
    let operation = place
        .known
        .tx
        .body
        .outputs
        .get(place.vout as usize)
        .and_then(|output| output.operations.get(usize::from(place.ordinal)));
    let Some(Operation::Publish(publish)) = operation else {
        return Err(resolve::storage_error("an index names an item that its transaction does not have"));
    };
    let shown = show(&look.moment, &place.known, place.vout, publish, verbose)?;
    if !shown.item.available
        && shown.item.error.is_none()
        && look.retrieves()
        && let ItemData::Offchain(chunked) = &publish.data
        && let Err(error) = look.moment.ctx.offchain.want(publish.stream, place.known.txid, place.vout, chunked)
    {
        tracing::error!(%error, "off-chain data cannot be noted to be fetched");
    }
    Ok(shown)
}

/// Adds the item at a place to the entries of a list.
///
/// # Errors
/// -8 if no reply holds it with those before, -32603 if storage fails.
pub fn add_place(look: &Look<'_>, place: &Place, verbose: bool, entries: &mut Entries) -> Result<(), RpcError> {
    entries.push(resolve::shape(&show_place(look, place, verbose)?.item)?)
}

/// The lock of a publisher's address.
///
/// # Errors
/// -5 if it is none.
pub fn publisher(ctx: &Context, text: &str) -> Result<Lock, RpcError> {
    let refused = |_| RpcError::new(Code::InvalidAddressOrKey, "Invalid address").rule("address-form").got(text);
    ctx.scheme.decode(text).map_err(refused)
}

/// A transaction that concerns this node: the stream is followed, or one of its addresses takes part. Others are no
/// business of these two calls, as callers know them.
struct Concern {
    followed: bool,
}

impl Concern {
    fn of(moment: &Moment<'_>, stream: &Txid) -> Result<Concern, RpcError> {
        let reader = moment.snapshot.stream(stream).map_err(resolve::storage_error)?;
        Ok(Concern { followed: reader.is_some() })
    }

    fn covers(&self, moment: &Moment<'_>, known: &Known) -> bool {
        let wallet = &moment.ctx.wallet;
        let tx = &known.tx;
        self.followed
            || tx.body.outputs.iter().filter_map(|output| output.recipient).any(|lock| wallet.contains(&lock))
            || tx.witnesses.iter().filter_map(|witness| witness.lock()).any(|lock| wallet.contains(&lock))
    }
}

/// Answers getstreamitem.
///
/// # Errors
/// -710 if the transaction carries no item of the stream, -701 if it carries several.
pub fn get_item(ctx: &Context, params: &Params) -> Answer {
    let (stream, _) = resolve::stream(ctx, params.text(0)?)?;
    let not_text = || RpcError::mistyped(params.value(1), "str", "Invalid value, expected string");
    let txid = resolve::txid(params.value(1).as_str().ok_or_else(not_text)?, "txid")?;
    let verbose = params.verbose(2)?;
    let moment = Moment::fresh(ctx)?;
    let missing =
        || RpcError::new(Code::TxNotFound, "This transaction was not found in this stream").got(txid.to_string());
    let concern = Concern::of(&moment, &stream)?;
    let known = moment.transaction(&txid)?.filter(|known| concern.covers(&moment, known)).ok_or_else(missing)?;
    let mut found = items(&known.tx).filter(|item| item.publish.stream == stream);
    let item = found.next().ok_or_else(missing)?;
    if found.next().is_some() {
        let several = "This transaction has more than one output for this stream, please use liststreamtxitems";
        return Err(RpcError::not_allowed(several).rule("data-several"));
    }
    let shown = show(&moment, &known, item.vout, item.publish, verbose)?;
    serde_json::to_value(shown.item).map_err(RpcError::internal)
}

/// Answers liststreamtxitems.
pub fn list_tx_items(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let (stream, _) = resolve::stream(&ctx, params.text(0)?)?;
        let txids: Vec<Txid> =
            params.list(1)?.iter().map(|text| resolve::txid(text, "txid")).collect::<Result<_, _>>()?;
        let verbose = params.verbose(2)?;
        let moment = Moment::fresh(&ctx)?;
        let concern = Concern::of(&moment, &stream)?;
        let mut entries = Entries::new();
        for txid in txids {
            let known = moment.transaction(&txid)?.filter(|known| concern.covers(&moment, known));
            let Some(known) = known else { continue };
            for item in items(&known.tx).filter(|item| item.publish.stream == stream) {
                let shown = show(&moment, &known, item.vout, item.publish, verbose)?;
                entries.push(resolve::shape(&shown.item)?)?;
            }
        }
        Ok(Value::Array(entries.finish()))
    })
}

/// What the lists by order, key and publisher have in common: the parameters from `at` on.
struct Listing {
    method: &'static str,
    verbose: bool,
    paging: Paging,
    order: Order,
}

impl Listing {
    fn read(method: &'static str, params: &Params, at: usize) -> Result<Listing, RpcError> {
        let verbose = params.verbose(at)?;
        let paging = params.paging(at + 1, at + 2, LISTED)?;
        Ok(Listing { method, verbose, paging, order: order(params, at + 3)? })
    }

    fn answer(&self, look: Look<'_>, selector: Selector<'_>) -> Answer {
        let look = &look.in_order(self.order)?;
        look.check_index(self.order, selector)?;
        match &self.paging {
            Paging::Page(page) if self.order == Order::Chain => {
                let mut entries = Entries::new();
                look.for_page(selector, *page, |place| add_place(look, place, self.verbose, &mut entries))?;
                Ok(Value::Array(entries.finish()))
            }
            Paging::Page(page) => {
                let window = page.window(look.indexed(self.order, selector)?);
                self.shown(look, selector, window).map(Value::Array)
            }
            Paging::After(after) => {
                let snapshot = &look.moment.snapshot;
                let list = List::of_index(snapshot, &look.reader, self.method, self.order, selector)?;
                let cursor = Cursor::open(snapshot, list, after)?;
                let window = cursor.window();
                let entries = self.shown(look, selector, window.clone())?;
                cursor.answer(window.end, entries)
            }
        }
    }

    /// The items at positions of the index.
    fn shown(
        &self,
        look: &Look<'_>,
        selector: Selector<'_>,
        positions: std::ops::Range<u64>,
    ) -> Result<Vec<Value>, RpcError> {
        let mut entries = Entries::new();
        if self.order == Order::Chain {
            look.for_places(selector, positions, |place| add_place(look, place, self.verbose, &mut entries))?;
            return Ok(entries.finish());
        }
        let show = |row: &ItemRef| match (look.found(row)?, row) {
            (Some(place), _) => resolve::shape(&show_place(look, &place, self.verbose)?.item),
            (None, ItemRef::Local(seen)) => resolve::shape(&nowhere(seen, self.verbose)),
            (None, ItemRef::Chain(_)) => Err(resolve::storage_error("an index names a transaction that is not here")),
        };
        for step in steps(positions) {
            for row in &look.reader.page(self.order, selector, step).map_err(resolve::storage_error)? {
                entries.push(show(row)?)?;
            }
        }
        Ok(entries.finish())
    }
}

/// An item whose transaction is nowhere: its name stands for it.
fn nowhere(seen: &SeenRow, verbose: bool) -> StreamItem {
    StreamItem {
        error: Some("The transaction of this item is not here".to_owned()),
        txid: seen.txid.to_string(),
        vout: verbose.then(|| i64::from(seen.vout)),
        valid: verbose.then_some(false),
        ..StreamItem::default()
    }
}

/// The order a caller asks for.
fn order(params: &Params, at: usize) -> Result<Order, RpcError> {
    Ok(if params.boolean_or(at, false)? { Order::Local } else { Order::Chain })
}

/// Most items that are read on the thread of the call: the way to another thread and back costs as much as they do.
const READ_IN_PLACE: i64 = 20;

/// Whether a list whose common parameters begin at `at` is read where it is called: few items are asked for, and none in
/// local order, which may have to be written first.
fn is_short(params: &Params, at: usize) -> bool {
    let count = params.value(at + 1);
    let few = count.is_null() || count.as_i64().is_some_and(|count| count <= READ_IN_PLACE);
    few && !params.value(at + 3).as_bool().unwrap_or(false)
}

fn listing(short: bool, work: impl FnOnce() -> Answer + Send + 'static) -> BoxFuture<'static, Answer> {
    match short {
        true => Box::pin(async move { work() }),
        false => blocking(work),
    }
}

/// Answers liststreamitems.
pub fn list_items(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    listing(is_short(&params, 1), move || {
        let look = Look::at(&ctx, params.text(0)?)?;
        Listing::read("liststreamitems", &params, 1)?.answer(look, Selector::All)
    })
}

/// Answers liststreamkeyitems.
pub fn list_key_items(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    listing(is_short(&params, 2), move || {
        let look = Look::at(&ctx, params.text(0)?)?;
        let key = params.text(1)?;
        let selector = if key == "*" { Selector::All } else { Selector::Key(key.as_bytes()) };
        Listing::read("liststreamkeyitems", &params, 2)?.answer(look, selector)
    })
}

/// Answers liststreampublisheritems.
pub fn list_publisher_items(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    listing(is_short(&params, 2), move || {
        let look = Look::at(&ctx, params.text(0)?)?;
        let address = params.text(1)?;
        let listing = Listing::read("liststreampublisheritems", &params, 2)?;
        if address == "*" {
            return listing.answer(look, Selector::All);
        }
        let lock = publisher(&ctx, address)?;
        listing.answer(look, Selector::Publisher(&lock))
    })
}
