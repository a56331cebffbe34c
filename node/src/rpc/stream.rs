//! Streams: describing them. Making them is in `create`, following them in `subscribe`, fetching and purging chosen items
//! in `retrieve`; the table names all methods of the family but those of `create`, `publish` and `cache`.

mod retrieve;
pub mod subscribe;

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::RpcError;
use rota_api::params::{Params, type_word};
use rota_api::stream::{StreamEntry, StreamIndexes};
use rota_chain::hash::Txid;
use rota_chain::operation::Operation;
use rota_consensus::state::{Entity, EntityKind};
use rota_storage::EntityList;
use rota_storage::index::{Indexes, Order, Selector, TermKind};
use serde_json::Value;

use crate::context::Context;
use crate::offchain::reader;
use crate::rpc::cache::blocking;
use crate::rpc::decode::Moment;
use crate::rpc::decode::output::restrict;
use crate::rpc::entity::Catalogue;
use crate::rpc::entries::Entries;
use crate::rpc::item::look::Look;
use crate::rpc::item::{self, block, query, term};
use crate::rpc::{Answer, Answerer, data, resolve, summary};

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("liststreams", Answerer::Later(list)),
    ("getstreaminfo", Answerer::Now(info)),
    ("subscribe", Answerer::Later(subscribe::subscribe)),
    ("unsubscribe", Answerer::Later(subscribe::unsubscribe)),
    ("trimsubscribe", Answerer::Later(subscribe::trim)),
    ("retrievestreamitems", Answerer::Later(retrieve::retrieve)),
    ("purgestreamitems", Answerer::Later(retrieve::purge)),
    ("purgepublisheditems", Answerer::Later(retrieve::purge_published)),
    ("getstreamitem", Answerer::Now(item::get_item)),
    ("liststreamtxitems", Answerer::Later(item::list_tx_items)),
    ("liststreamitems", Answerer::Later(item::list_items)),
    ("liststreamkeyitems", Answerer::Later(item::list_key_items)),
    ("liststreampublisheritems", Answerer::Later(item::list_publisher_items)),
    ("liststreamblockitems", Answerer::Later(block::list)),
    ("liststreamqueryitems", Answerer::Later(query::list)),
    ("liststreamkeys", Answerer::Later(term::list_keys)),
    ("liststreampublishers", Answerer::Later(term::list_publishers)),
    ("getstreamkeysummary", Answerer::Later(summary::of_key)),
    ("getstreampublishersummary", Answerer::Later(summary::of_publisher)),
];

fn info(ctx: &Context, params: &Params) -> Answer {
    let identifier = params.value(0);
    let refused = || {
        let sentence = format!("Invalid stream identifier, expected string, got {}", type_word(identifier));
        RpcError::mistyped(identifier, "str", sentence)
    };
    let (txid, entity) = resolve::stream(ctx, identifier.as_str().ok_or_else(refused)?)?;
    let verbose = params.verbose(1)?;
    let moment = Moment::fresh(ctx)?;
    let mut entry = described(&moment, &txid, &entity, verbose)?;
    let reader = moment.snapshot.stream(&txid).map_err(resolve::storage_error)?;
    if let Some(next) = reader.and_then(|reader| reader.subscription().next) {
        entry.synchronized = Some(false);
        entry.progress = Some(f64::from(next.0) / f64::from(moment.tip.height.next().0));
    }
    serde_json::to_value(entry).map_err(RpcError::internal)
}

fn list(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let verbose = params.verbose(1)?;
        Catalogue::answer(&ctx, (EntityList::Streams, "liststreams"), &params, 2, |_, streams| {
            let moment = Moment::fresh(&ctx)?;
            let mut entries = Entries::new();
            for txid in streams {
                let Some(entity) = moment.entity(&txid)? else { continue };
                let mut entry = described(&moment, &txid, &entity, verbose)?;
                entry.filters = verbose.then(Vec::new);
                follow_members(&ctx, &txid, &mut entry)?;
                entries.push(resolve::shape(&entry)?)?;
            }
            Ok(entries.finish())
        })
    })
}

/// What a stream is, without whether it is followed.
fn described(moment: &Moment<'_>, txid: &Txid, entity: &Entity, verbose: bool) -> Result<StreamEntry, RpcError> {
    let EntityKind::Stream { restriction, salted } = entity.kind else {
        return Err(RpcError::internal("a stream is no stream"));
    };
    let name = (!entity.name.is_empty()).then(|| String::from_utf8_lossy(&entity.name).into_owned());
    Ok(StreamEntry {
        name,
        createtxid: txid.to_string(),
        streamref: resolve::reference(txid, entity),
        open: moment.old_api.then_some(!restriction.write),
        restrict: restrict(restriction),
        salted: verbose.then_some(salted),
        details: details(moment, txid)?,
        creators: verbose.then(|| entity.creators.iter().map(|lock| moment.address(lock)).collect()),
        filters: None,
        subscribed: None,
        retrieve: None,
        canretrieve: None,
        indexes: None,
        synchronized: None,
        progress: None,
        items: None,
        confirmed: None,
        keys: None,
        publishers: None,
    })
}

/// The details of a stream: they stand in the transaction that created it.
fn details(moment: &Moment<'_>, txid: &Txid) -> Result<Value, RpcError> {
    let known = moment.transaction(txid)?;
    let created = known.iter().flat_map(|known| known.tx.operations()).find_map(|(_, operation)| match operation {
        Operation::CreateStream(create) => Some(data::details(&create.details)),
        _ => None,
    });
    Ok(created.unwrap_or_else(|| data::details(&[])))
}

/// Whether and how this node follows the stream.
fn follow_members(ctx: &Context, txid: &Txid, entry: &mut StreamEntry) -> Result<(), RpcError> {
    let look = Look::of(ctx, *txid)?;
    entry.subscribed = Some(look.is_some());
    let Some(look) = look else { return Ok(()) };
    let subscription = look.reader.subscription();
    let has = |index| subscription.indexes.contains(index);
    entry.retrieve = Some(subscription.retrieve);
    let may_read = reader::may_read(&ctx.view, *txid, ctx.network.handshake());
    entry.canretrieve = Some(may_read.map_err(resolve::state_error)?);
    entry.indexes = Some(StreamIndexes {
        items: has(Indexes::ITEMS),
        keys: has(Indexes::KEYS),
        publishers: has(Indexes::PUBLISHERS),
        items_local: has(Indexes::ITEMS_LOCAL),
        keys_local: has(Indexes::KEYS_LOCAL),
        publishers_local: has(Indexes::PUBLISHERS_LOCAL),
    });
    entry.synchronized = Some(subscription.is_complete());
    let progress = subscription.next.map(|next| f64::from(next.0) / f64::from(look.moment.tip.height.next().0));
    entry.progress = progress;
    let confirmed = look.indexed(Order::Chain, Selector::All)?;
    let waiting = look.waiting_count();
    entry.items = Some((confirmed + waiting).cast_signed());
    entry.confirmed = Some(confirmed.cast_signed());
    entry.keys = Some(term::count(&look, TermKind::Key)?.cast_signed());
    entry.publishers = Some(term::count(&look, TermKind::Publisher)?.cast_signed());
    Ok(())
}
