//! A look at one followed stream: its indexes at a moment, and the items that wait above them.

use std::ops::Range;
use std::sync::Arc;

use rota_api::error::{Code, EntityKind as Wanted, RpcError};
use rota_api::params::Page;
use rota_chain::hash::Txid;
use rota_chain::operation::Operation;
use rota_chain::stream::Publish;
use rota_consensus::state::StateView;
use rota_storage::index::reader::StoredTransaction;
use rota_storage::index::{Indexes, ItemRef, Order, Selector, StreamReader, TermKind};

use crate::context::Context;
use crate::pool::PoolItem;
use crate::rpc::decode::{Known, Moment};
use crate::rpc::entries::steps;
use crate::rpc::resolve;
use crate::view::View;

/// An item's transaction and its place there.
#[derive(Clone, Debug)]
pub struct Place {
    /// The transaction.
    pub known: Known,
    /// Index of the output.
    pub vout: u32,
    /// Index of the operation in the output.
    pub ordinal: u16,
}

/// A look at a followed stream.
pub struct Look<'c> {
    /// The moment.
    pub moment: Moment<'c>,
    /// The indexes then.
    pub reader: StreamReader,
    /// The stream.
    pub stream: Txid,
}

impl<'c> Look<'c> {
    /// Looks at the stream that a caller names.
    ///
    /// # Errors
    /// -708 if there is none, -703 if this node does not follow it.
    pub fn at(ctx: &'c Context, identifier: &str) -> Result<Look<'c>, RpcError> {
        let stream = {
            let view = ctx.view.read();
            resolve::entity_in(&view, identifier, Wanted::Stream)?.0
        };
        Look::of(ctx, stream)?.ok_or_else(RpcError::stream_not_subscribed)
    }

    /// Looks at a stream, none if this node does not follow it.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn of(ctx: &'c Context, stream: Txid) -> Result<Option<Look<'c>>, RpcError> {
        let moment = Moment::fresh(ctx)?;
        let reader = moment.snapshot.stream(&stream).map_err(resolve::storage_error)?;
        Ok(reader.map(|reader| Look { moment, reader, stream }))
    }

    /// The same look, with all that came in before this call in local orders if one of these is asked for.
    ///
    /// # Errors
    /// -703 if the stream is not followed any more, -32603 if storage fails.
    pub fn in_order(self, order: Order) -> Result<Look<'c>, RpcError> {
        match order {
            Order::Chain => Ok(self),
            Order::Local => {
                let (ctx, stream) = (self.moment.ctx, self.stream);
                ctx.ledger.admission().settle();
                Look::of(ctx, stream)?.ok_or_else(RpcError::stream_not_subscribed)
            }
        }
    }

    /// Number of items that wait.
    #[must_use]
    pub fn waiting_count(&self) -> u64 {
        {
            let view = self.moment.ctx.view.read();
            if self.is_settled(&view) {
                return view.pool.items(&self.stream).len() as u64;
            }
        }
        self.waiting(Selector::All).len() as u64
    }

    /// Whether off-chain data of the stream is fetched.
    #[must_use]
    pub fn retrieves(&self) -> bool {
        self.reader.subscription().retrieve
    }

    /// Refuses an order and selector that the subscription keeps no index for.
    ///
    /// # Errors
    /// -703 naming the index.
    pub fn check_index(&self, order: Order, selector: Selector<'_>) -> Result<(), RpcError> {
        let (index, name) = match (order, selector) {
            (Order::Chain, Selector::All | Selector::Pair(_)) => (Indexes::ITEMS, "items"),
            (Order::Chain, Selector::Key(_)) => (Indexes::KEYS, "keys"),
            (Order::Chain, Selector::Publisher(_)) => (Indexes::PUBLISHERS, "publishers"),
            (Order::Local, Selector::All | Selector::Pair(_)) => (Indexes::ITEMS_LOCAL, "items-local"),
            (Order::Local, Selector::Key(_)) => (Indexes::KEYS_LOCAL, "keys-local"),
            (Order::Local, Selector::Publisher(_)) => (Indexes::PUBLISHERS_LOCAL, "publishers-local"),
        };
        if self.reader.subscription().indexes.contains(index) {
            return Ok(());
        }
        let error =
            RpcError::new(Code::NotSubscribed, format!("The subscription of this stream keeps no index of {name}"));
        Err(error.rule("index-missing").got(name))
    }

    /// As [`Look::check_index`], of the index that lists keys or publishers.
    ///
    /// # Errors
    /// -703 naming the index.
    pub fn check_terms(&self, order: Order, kind: TermKind) -> Result<(), RpcError> {
        match kind {
            TermKind::Key => self.check_index(order, Selector::Key(&[])),
            TermKind::Publisher => {
                let anybody = rota_chain::lock::Lock::Key(rota_chain::lock::KeyHash([0; 20]));
                self.check_index(order, Selector::Publisher(&anybody))
            }
        }
    }

    /// Number of items in the index.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn indexed(&self, order: Order, selector: Selector<'_>) -> Result<u64, RpcError> {
        self.reader.count(order, selector).map_err(resolve::storage_error)
    }

    /// Visits the items of a page in chain order; those that wait come last, as they arrived.
    ///
    /// # Errors
    /// -32603 if storage fails, and what `visit` answers.
    pub fn for_page(
        &self,
        selector: Selector<'_>,
        page: Page,
        mut visit: impl FnMut(&Place) -> Result<(), RpcError>,
    ) -> Result<(), RpcError> {
        let indexed = self.indexed(Order::Chain, selector)?;
        let (waiting, window) = self.waiting_page(selector, |waiting| page.window(indexed + waiting), indexed);
        self.for_places(selector, window.start.min(indexed)..window.end.min(indexed), &mut visit)?;
        waiting.iter().try_for_each(|item| visit(&waiting_place(item)))
    }

    /// Visits the items at positions of the index in chain order.
    ///
    /// # Errors
    /// -32603 if storage fails, and what `visit` answers.
    pub fn for_places(
        &self,
        selector: Selector<'_>,
        positions: Range<u64>,
        mut visit: impl FnMut(&Place) -> Result<(), RpcError>,
    ) -> Result<(), RpcError> {
        for step in steps(positions) {
            let rows = self.reader.page(Order::Chain, selector, step).map_err(resolve::storage_error)?;
            self.for_mined(&rows, &mut visit)?;
        }
        Ok(())
    }

    /// The waiting items inside a window over indexed and waiting ones, and that window.
    fn waiting_page(
        &self,
        selector: Selector<'_>,
        window: impl Fn(u64) -> Range<u64>,
        indexed: u64,
    ) -> (Vec<PoolItem>, Range<u64>) {
        let part = |items: &[PoolItem]| {
            let window = window(items.len() as u64);
            let place = |at: u64| usize::try_from(at.saturating_sub(indexed)).unwrap_or(usize::MAX);
            let part = items.get(place(window.start)..place(window.end)).unwrap_or_default().to_vec();
            (part, window)
        };
        {
            let view = self.moment.ctx.view.read();
            if selector == Selector::All && self.is_settled(&view) {
                return part(view.pool.items(&self.stream));
            }
        }
        part(&self.waiting(selector))
    }

    /// The waiting items that `selector` selects, as they arrived.
    #[must_use]
    pub fn waiting(&self, selector: Selector<'_>) -> Vec<PoolItem> {
        let selected: Vec<PoolItem> = {
            let view = self.moment.ctx.view.read();
            let items = view.pool.items(&self.stream).iter().filter(|item| is_selected(item, selector));
            if self.is_settled(&view) {
                return items.cloned().collect();
            }
            // The index has a block that the pool does not know of yet: what it confirmed waits no longer.
            if let Some(confirmed) = view.confirmed_at(&self.moment.tip.hash) {
                return items.filter(|item| !confirmed.contains(&item.entry.tx.txid())).cloned().collect();
            }
            items.cloned().collect()
        };
        let mined = |item: &PoolItem| {
            let height = self.moment.snapshot.transaction_height(&item.entry.tx.txid());
            matches!(height, Ok(Some(_)))
        };
        selected.into_iter().filter(|item| !mined(item)).collect()
    }

    /// Whether indexes and pool stand on the same tip.
    fn is_settled(&self, view: &View) -> bool {
        view.tip.hash == self.moment.tip.hash
    }

    /// Visits items of the active branch. Transactions may be large: each is let go before the next is read.
    ///
    /// # Errors
    /// -32603 if storage fails, and what `visit` answers.
    pub fn for_mined(
        &self,
        rows: &[ItemRef],
        mut visit: impl FnMut(&Place) -> Result<(), RpcError>,
    ) -> Result<(), RpcError> {
        for rows in rows.chunk_by(is_same_transaction) {
            let Some(first) = rows.first() else { continue };
            let known = self.stored(first)?;
            let mut place = Place { known, vout: 0, ordinal: 0 };
            for row in rows {
                (place.vout, place.ordinal) = (row.vout(), row.ordinal());
                visit(&place)?;
            }
        }
        Ok(())
    }

    /// Items of the active branch, all at once: for those of one transaction.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn mined(&self, rows: &[ItemRef]) -> Result<Vec<Place>, RpcError> {
        let mut places = Vec::with_capacity(rows.len());
        self.for_mined(rows, |place| {
            places.push(place.clone());
            Ok(())
        })?;
        Ok(places)
    }

    fn stored(&self, row: &ItemRef) -> Result<Known, RpcError> {
        let found = self.moment.snapshot.item_transaction(row).map_err(resolve::storage_error)?;
        let known = found.map(|found| self.known(found)).transpose()?.flatten();
        known.ok_or_else(|| resolve::storage_error("an index names a transaction that is not here"))
    }

    fn known(&self, found: StoredTransaction) -> Result<Option<Known>, RpcError> {
        let StoredTransaction { txid, transaction, location } = found;
        match location {
            Some(location) => self.moment.mined(txid, Arc::new(transaction), location.height, location.index),
            None => Ok(Some(Known::lost(txid, transaction))),
        }
    }

    /// An item in whatever order: on the active branch, waiting, or lost. None if its transaction is nowhere: a peer's
    /// that waited when this node was killed, until a peer sends it again.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn found(&self, row: &ItemRef) -> Result<Option<Place>, RpcError> {
        let known = self.moment.listed(row)?;
        Ok(known.map(|known| Place { known, vout: row.vout(), ordinal: row.ordinal() }))
    }
}

/// Where a waiting item stands.
#[must_use]
pub fn waiting_place(item: &PoolItem) -> Place {
    let ordinal = u16::try_from(item.operation).unwrap_or(u16::MAX);
    Place { known: Known::waiting(&item.entry), vout: item.vout, ordinal }
}

/// The operation of a waiting item.
#[must_use]
pub fn waiting_publish(item: &PoolItem) -> Option<&Publish> {
    let output = item.entry.tx.transaction().body.outputs.get(item.vout as usize)?;
    match output.operations.get(item.operation)? {
        Operation::Publish(publish) => Some(publish),
        _ => None,
    }
}

/// Whether a waiting item is one that a selector selects.
fn is_selected(item: &PoolItem, selector: Selector<'_>) -> bool {
    match selector {
        Selector::All => true,
        Selector::Key(key) => waiting_publish(item).is_some_and(|p| p.keys.iter().any(|known| known == key)),
        Selector::Publisher(lock) => item.entry.tx.transaction().answering_locks(item.vout).contains(lock),
        // Streams list no pairs.
        Selector::Pair(_) => false,
    }
}

/// Whether two rows of an index in chain order name one transaction.
pub(super) fn is_same_transaction(one: &ItemRef, other: &ItemRef) -> bool {
    match (one, other) {
        (ItemRef::Chain(one), ItemRef::Chain(other)) => one.location == other.location,
        _ => false,
    }
}
