//! Which items of a stream are watched, where the next of them are, and how they are shown.

use rota_api::error::{ParameterRule, RpcError};
use rota_api::params::{Params, Selection};
use rota_chain::amount::Height;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_storage::StorageError;
use rota_storage::index::{ItemRef, Order, Selector};

use super::walk::{Part, raw};
use crate::context::Context;
use crate::rpc::item::look::{Look, Place};
use crate::rpc::item::{publisher, show_place};
use crate::rpc::resolve::{self, storage_error};

/// Most keys and publishers of a subscription: each of them is looked up at every new tip.
const TERMS: usize = 256;
/// Items of a block looked at in one go.
const ROWS: usize = 1_024;

/// Items of a followed stream, all or those with some keys and publishers.
#[derive(Debug)]
pub(super) struct ItemWatch {
    stream: Txid,
    /// An item has one of these; none for all.
    keys: Option<Vec<Vec<u8>>>,
    /// And one of these answers for it; none for all.
    publishers: Option<Vec<Lock>>,
}

impl ItemWatch {
    /// Reads the parameters of `watchstreamitems`.
    ///
    /// # Errors
    /// -708 for an unknown stream, -703 if it is not followed with the index that this takes, -5 and -8 for malformed
    /// keys and publishers.
    pub(super) fn read(ctx: &Context, params: &Params) -> Result<ItemWatch, RpcError> {
        let (stream, _) = resolve::stream(ctx, params.text(0)?)?;
        let keys = match params.identifier_selection(2)? {
            Selection::All => None,
            Selection::These(keys) => Some(keys.into_iter().map(String::into_bytes).collect::<Vec<_>>()),
        };
        let publishers = match params.selection(3)? {
            Selection::All => None,
            Selection::These(texts) => {
                Some(texts.iter().map(|text| publisher(ctx, text)).collect::<Result<Vec<_>, _>>()?)
            }
        };
        let terms = keys.as_ref().map_or(0, Vec::len) + publishers.as_ref().map_or(0, Vec::len);
        if terms > TERMS {
            let many =
                format!("At most {TERMS} keys and publishers are watched by one subscription, these are {terms}");
            return Err(RpcError::parameter(ParameterRule::Size, many).got(terms).allowed(TERMS));
        }
        let watch = ItemWatch { stream, keys, publishers };
        watch.look(ctx)?;
        Ok(watch)
    }

    /// The stream and its indexes now.
    ///
    /// # Errors
    /// -703 if it is not followed with the index that this takes.
    pub(super) fn look<'c>(&self, ctx: &'c Context) -> Result<Look<'c>, RpcError> {
        let look = Look::of(ctx, self.stream)?.ok_or_else(RpcError::stream_not_subscribed)?;
        for selector in self.selectors() {
            look.check_index(Order::Chain, selector)?;
        }
        Ok(look)
    }

    /// What is looked up in the indexes; where both keys and publishers are given, the latter are compared.
    fn selectors(&self) -> Vec<Selector<'_>> {
        match (&self.keys, &self.publishers) {
            (Some(keys), _) => keys.iter().map(|key| Selector::Key(key)).collect(),
            (None, Some(publishers)) => publishers.iter().map(Selector::Publisher).collect(),
            (None, None) => vec![Selector::All],
        }
    }

    /// The first height from one on that has such items, as far as they are indexed.
    ///
    /// # Errors
    /// [`StorageError`].
    pub(super) fn next_height(&self, look: &Look<'_>, from: Height) -> Result<Option<Height>, StorageError> {
        let mut first: Option<Height> = None;
        for selector in self.selectors() {
            let position = look.reader.position_in(selector, from)?;
            for row in look.reader.page(Order::Chain, selector, position..position + 1)? {
                if let ItemRef::Chain(row) = row {
                    let height = row.location.height;
                    first = Some(first.map_or(height, |first| first.min(height)));
                }
            }
        }
        let end = look.reader.subscription().next;
        Ok(first.filter(|height| end.is_none_or(|end| *height < end)))
    }

    /// Items of a block from an offset on, until they have `room` bytes.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub(super) fn part(&self, look: &Look<'_>, height: Height, offset: usize, room: usize) -> Result<Part, RpcError> {
        let rows = self.rows(look, height, offset).map_err(storage_error)?;
        let mut part = Part { entries: Vec::new(), next: (rows.len() == ROWS).then_some(offset + ROWS) };
        let mut bytes = 0;
        for (index, row) in rows.iter().enumerate() {
            if bytes >= room && !part.entries.is_empty() {
                part.next = Some(offset + index);
                break;
            }
            for place in look.mined(std::slice::from_ref(row))?.iter().filter(|place| self.matches(place)) {
                let entry = raw(&show_place(look, place, true)?.item)?;
                bytes += entry.get().len();
                part.entries.push(entry);
            }
        }
        Ok(part)
    }

    /// At most [`ROWS`] rows of a block from an offset on, in the order of the chain.
    fn rows(&self, look: &Look<'_>, height: Height, offset: usize) -> Result<Vec<ItemRef>, StorageError> {
        let selectors = self.selectors();
        let range = |selector| -> Result<_, StorageError> {
            Ok(look.reader.position_in(selector, height)?..look.reader.position_in(selector, height.next())?)
        };
        if let [selector] = selectors.as_slice() {
            let range = range(*selector)?;
            let start = range.start.saturating_add(offset as u64).min(range.end);
            return look.reader.page(Order::Chain, *selector, start..range.end.min(start + ROWS as u64));
        }
        // An item with several of the keys stands in the list of each.
        let mut rows = Vec::new();
        for selector in selectors {
            rows.extend(look.reader.page(Order::Chain, selector, range(selector)?)?);
        }
        rows.sort_by_key(place_in_block);
        rows.dedup_by_key(|row| place_in_block(row));
        Ok(rows.into_iter().skip(offset).take(ROWS).collect())
    }

    fn matches(&self, place: &Place) -> bool {
        let tx = &place.known.tx;
        let output = tx.body.outputs.get(place.vout as usize);
        let operation = output.and_then(|output| output.operations.get(usize::from(place.ordinal)));
        let Some(Operation::Publish(publish)) = operation else { return false };
        let answering = tx.answering_locks(place.vout);
        self.keys.as_ref().is_none_or(|keys| keys.iter().any(|key| publish.keys.contains(key)))
            && self.publishers.as_ref().is_none_or(|locks| locks.iter().any(|lock| answering.contains(lock)))
    }
}

/// Index of the transaction, of the output, of the operation.
fn place_in_block(row: &ItemRef) -> (u32, u32, u16) {
    let index = match row {
        ItemRef::Chain(row) => row.location.index,
        ItemRef::Local(_) => 0,
    };
    (index, row.vout(), row.ordinal())
}
