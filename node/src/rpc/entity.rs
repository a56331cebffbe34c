//! Streams, assets and variables as answers list them: those of the chain, then those that wait, and the history of
//! each. What an entity of a kind looks like lives with that kind.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use rota_api::cursor::Paging;
use rota_api::error::{EntityKind as Wanted, ParameterRule, RpcError};
use rota_api::params::{ALL_ENTRIES, Page, Params, Selection, type_word};
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_consensus::state::{Entity, StateKey, StateValue, StateView};
use rota_storage::EntityList;
use rota_storage::entity::history_steps;
use rota_storage::index::{ItemRef, ItemRow};
use serde_json::Value;

use crate::context::Context;
use crate::pool::PoolItem;
use crate::rpc::cursor::Cursor;
use crate::rpc::cursor::list::{List, Stand, place_of};
use crate::rpc::cursor::token::{ChainPlace, ListName};
use crate::rpc::decode::{Known, Moment};
use crate::rpc::entries::{Entries, steps};
use crate::rpc::{Answer, resolve};
use crate::view::View;

/// Identifiers in one choice: they are resolved in one view, which holds up whoever changes it.
const NAMED_AT_ONCE: usize = 10_000;

/// The word errors use for the kind of a list.
const fn wanted(list: EntityList) -> Wanted {
    match list {
        EntityList::Streams => Wanted::Stream,
        EntityList::Assets => Wanted::Asset,
        EntityList::Variables => Wanted::Variable,
        EntityList::Upgrades => Wanted::Upgrade,
    }
}

/// Every entity of one kind at one moment, what waits included.
pub struct Catalogue<'c> {
    /// The moment.
    pub moment: Moment<'c>,
    list: EntityList,
    /// Entities that wait, as they arrived.
    created: Vec<Txid>,
    /// Entities as waiting transactions leave them.
    changed: HashMap<Txid, Entity>,
    /// Waiting operations by entity.
    steps: HashMap<Txid, Vec<PoolItem>>,
}

/// One step in the history of an asset or a variable: an issuance or a new value.
#[derive(Clone, Debug)]
pub struct Step {
    /// The transaction.
    pub known: Known,
    /// Index of the output.
    pub vout: u32,
    ordinal: usize,
}

impl Step {
    /// The steps of a transaction, whatever entities they are of.
    pub fn all(known: Known) -> impl Iterator<Item = Step> {
        let places = history_steps(known.txid, &known.tx).map(|step| (step.vout, step.ordinal.into()));
        let places: Vec<(u32, usize)> = places.collect();
        places.into_iter().map(move |(vout, ordinal)| Step { known: known.clone(), vout, ordinal })
    }

    fn waiting(item: &PoolItem) -> Step {
        Step { known: Known::waiting(&item.entry), vout: item.vout, ordinal: item.operation }
    }

    /// What was done.
    #[must_use]
    pub fn operation(&self) -> Option<&Operation> {
        self.known.tx.body.outputs.get(self.vout as usize)?.operations.get(self.ordinal)
    }

    /// Who did it.
    #[must_use]
    pub fn authors(&self) -> Vec<Lock> {
        self.known.tx.answering_locks(self.vout)
    }
}

impl<'c> Catalogue<'c> {
    /// The entities of a kind in a view that the caller looks at.
    #[must_use]
    pub fn at(ctx: &'c Context, view: &View, list: EntityList) -> Catalogue<'c> {
        let (mut created, mut changed) = (BTreeMap::new(), HashMap::new());
        for (key, change) in view.pool.state().changes().elements.range(StateKey::Entity(Txid::ZERO)..) {
            let StateKey::Entity(txid) = key else { break };
            let Some(StateValue::Entity(entity)) = &change.after else { continue };
            if EntityList::of(&entity.kind) != list {
                continue;
            }
            if change.before.is_none()
                && let Some(entry) = view.pool.get(txid)
            {
                created.insert(entry.sequence, *txid);
            }
            changed.insert(*txid, entity.clone());
        }
        let steps = if list == EntityList::Streams { HashMap::new() } else { view.pool.steps().clone() };
        Catalogue { moment: Moment::at(ctx, view), list, created: created.into_values().collect(), changed, steps }
    }

    /// The one entity of a kind that a caller names, and its history.
    ///
    /// # Errors
    /// -8 if the identifier is no string, -708 if there is no such entity.
    pub fn named(
        ctx: &'c Context,
        list: EntityList,
        identifier: &Value,
    ) -> Result<(Catalogue<'c>, Txid, Entity), RpcError> {
        let word = wanted(list).word().to_ascii_lowercase();
        let got = type_word(identifier);
        let sentence = || format!("Invalid {word} identifier, expected string, got {got}");
        let identifier = identifier.as_str().ok_or_else(|| RpcError::mistyped(identifier, "str", sentence()))?;
        let view = ctx.view.read();
        let (txid, entity) = resolve::entity_in(&view, identifier, wanted(list))?;
        let steps = view.pool.steps().get_key_value(&txid).map(|(entity, items)| (*entity, items.clone()));
        let catalogue = Catalogue {
            moment: Moment::at(ctx, &view),
            list,
            created: Vec::new(),
            changed: HashMap::from([(txid, entity.clone())]),
            steps: steps.into_iter().collect(),
        };
        Ok((catalogue, txid, entity))
    }

    /// Answers the list of a method: the entities of a kind that its first parameter and a page from the position
    /// `count_at` on choose, in order of creation, waiting ones last. `show` makes the entries.
    ///
    /// # Errors
    /// -8 for a malformed choice, -708 for an unknown entity.
    pub fn answer(
        ctx: &'c Context,
        (list, method): (EntityList, &str),
        params: &Params,
        count_at: usize,
        show: impl FnOnce(&Catalogue<'c>, Vec<Txid>) -> Result<Vec<Value>, RpcError>,
    ) -> Answer {
        let paging = params.paging(count_at, count_at + 1, ALL_ENTRIES)?;
        let (catalogue, chosen) = match params.identifier_selection(0)? {
            Selection::All => (Catalogue::at(ctx, &ctx.view.read(), list), None),
            Selection::These(identifiers) => {
                let view = ctx.view.read();
                let chosen = in_order(&view, &identifiers, wanted(list))?;
                (Catalogue::at(ctx, &view, list), Some(chosen))
            }
        };
        let after = match paging {
            Paging::After(after) => after,
            Paging::Page(page) => {
                let entities = match chosen {
                    None => catalogue.page(page)?,
                    Some(chosen) => {
                        let window = page.window(chosen.len() as u64);
                        chosen.get(place(window.start)..place(window.end)).unwrap_or_default().to_vec()
                    }
                };
                return show(&catalogue, entities).map(Value::Array);
            }
        };
        let mined = chosen.map(|chosen| catalogue.mined(chosen)).transpose()?;
        let words = if mined.is_some() { params.value(0).to_string() } else { String::new() };
        let name = ListName::new(method, &[words.as_bytes()]);
        let part = |positions: Range<u64>| match &mined {
            Some(mined) => Ok(mined.get(place(positions.start)..place(positions.end)).unwrap_or_default().to_vec()),
            None => {
                let positions = number(positions.start)..number(positions.end);
                catalogue.moment.snapshot.entities(list, positions).map_err(resolve::storage_error)
            }
        };
        let size = match &mined {
            Some(mined) => mined.len() as u64,
            None => catalogue.moment.snapshot.entity_count(list).map_err(resolve::storage_error)?.into(),
        };
        let stand = |position: u64| {
            let missing = || resolve::storage_error("a list of entities has a gap");
            let txid = part(position..position + 1)?.pop().ok_or_else(missing)?;
            let entity = catalogue.moment.snapshot.entity(&txid).map_err(resolve::state_error)?.ok_or_else(missing)?;
            Ok(Stand::alone(created_at(&entity)))
        };
        let cursor = Cursor::open(&catalogue.moment.snapshot, List::in_chain_order(name, size, stand), &after)?;
        let window = cursor.window();
        let entities = part(window.clone())?;
        cursor.answer(window.end, show(&catalogue, entities)?)
    }

    /// Those that stand in blocks, in order of creation.
    fn mined(&self, chosen: Vec<Txid>) -> Result<Vec<Txid>, RpcError> {
        let mut mined = Vec::with_capacity(chosen.len());
        for txid in chosen {
            if self.moment.snapshot.entity(&txid).map_err(resolve::state_error)?.is_some() {
                mined.push(txid);
            }
        }
        Ok(mined)
    }

    /// All entities of the kind: for kinds of which there are few.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn all(&self) -> Result<Vec<Txid>, RpcError> {
        let mut entities = self.moment.snapshot.entities(self.list, 0..u32::MAX).map_err(resolve::storage_error)?;
        entities.extend_from_slice(&self.created);
        Ok(entities)
    }

    fn page(&self, page: Page) -> Result<Vec<Txid>, RpcError> {
        let confirmed = self.moment.snapshot.entity_count(self.list).map_err(resolve::storage_error)?;
        let (mined, waiting) = split(page, confirmed, self.created.len());
        let mut entities = self.moment.snapshot.entities(self.list, mined).map_err(resolve::storage_error)?;
        entities.extend_from_slice(self.created.get(waiting).unwrap_or_default());
        Ok(entities)
    }

    /// An entity of this kind as waiting transactions leave it.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn entity(&self, txid: &Txid) -> Result<Option<Entity>, RpcError> {
        match self.changed.get(txid) {
            Some(entity) => Ok(Some(entity.clone())),
            None => self.moment.snapshot.entity(txid).map_err(resolve::state_error),
        }
    }

    fn waiting(&self, entity: &Txid) -> &[PoolItem] {
        self.steps.get(entity).map_or(&[], Vec::as_slice)
    }

    /// Number of steps in an entity's history.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn history_count(&self, entity: &Txid) -> Result<u64, RpcError> {
        let mined = self.moment.snapshot.entity_history_count(entity).map_err(resolve::storage_error)?;
        Ok(u64::from(mined) + self.waiting(entity).len() as u64)
    }

    /// Visits the steps of an entity's history: those of the chain in its order, then those that wait, as they arrived.
    ///
    /// # Errors
    /// -32603 if storage fails, and what `visit` answers.
    pub fn for_history(
        &self,
        entity: &Txid,
        page: Page,
        mut visit: impl FnMut(&Step) -> Result<(), RpcError>,
    ) -> Result<(), RpcError> {
        let mined = self.moment.snapshot.entity_history_count(entity).map_err(resolve::storage_error)?;
        let waiting = self.waiting(entity);
        let (mined, late) = split(page, mined, waiting.len());
        self.for_mined_history(entity, mined, &mut visit)?;
        waiting.get(late).unwrap_or_default().iter().try_for_each(|item| visit(&Step::waiting(item)))
    }

    /// Visits the steps of an entity's history by their positions among those of the chain.
    fn for_mined_history(
        &self,
        entity: &Txid,
        positions: Range<u32>,
        mut visit: impl FnMut(&Step) -> Result<(), RpcError>,
    ) -> Result<(), RpcError> {
        for part in steps(u64::from(positions.start)..u64::from(positions.end)) {
            let part = number(part.start)..number(part.end);
            let rows = self.moment.snapshot.entity_history(entity, part).map_err(resolve::storage_error)?;
            for_rows(&rows, |row| self.stored(row), &mut visit)?;
        }
        Ok(())
    }

    /// The transaction of a row of a history.
    fn stored(&self, row: &ItemRow) -> Result<Known, RpcError> {
        let moment = &self.moment;
        let missing = || resolve::storage_error("a history names a transaction that is not here");
        let found = moment.snapshot.item_transaction(&ItemRef::Chain(*row)).map_err(resolve::storage_error)?;
        let found = found.ok_or_else(missing)?;
        let place = found.location.unwrap_or(row.location);
        let known = moment.mined(found.txid, Arc::new(found.transaction), place.height, place.index)?;
        known.ok_or_else(missing)
    }

    /// Answers the list of a method: a page of an entity's history. `show` makes the entries.
    ///
    /// # Errors
    /// -8 for a cursor that does not serve and for entries that no reply holds, -32603 if storage fails.
    pub fn answer_history(
        &self,
        method: &str,
        entity: &Txid,
        paging: Paging,
        show: impl Fn(&Step) -> Answer,
    ) -> Answer {
        let mut entries = Entries::new();
        let add = |step: &Step| entries.push(show(step)?);
        let after = match paging {
            Paging::After(after) => after,
            Paging::Page(page) => {
                self.for_history(entity, page, add)?;
                return Ok(Value::Array(entries.finish()));
            }
        };
        let snapshot = &self.moment.snapshot;
        let size = snapshot.entity_history_count(entity).map_err(resolve::storage_error)?;
        let stand = |position: u64| {
            let at = number(position);
            let rows = snapshot.entity_history(entity, at..at.saturating_add(1)).map_err(resolve::storage_error)?;
            let row = rows.first().ok_or_else(|| resolve::storage_error("a history has a gap"))?;
            Ok(Stand::alone(place_of(row)))
        };
        let list = List::in_chain_order(ListName::new(method, &[entity.as_bytes()]), size.into(), stand);
        let cursor = Cursor::open(snapshot, list, &after)?;
        let window = cursor.window();
        self.for_mined_history(entity, number(window.start)..number(window.end), add)?;
        cursor.answer(window.end, entries.finish())
    }
}

/// Visits the steps that rows of a history name. A transaction may be large and have thousands of steps: neighbours
/// share it, and it is let go before the next is read.
fn for_rows(
    rows: &[ItemRow],
    mut read: impl FnMut(&ItemRow) -> Result<Known, RpcError>,
    mut visit: impl FnMut(&Step) -> Result<(), RpcError>,
) -> Result<(), RpcError> {
    for rows in rows.chunk_by(|one, other| one.location == other.location) {
        let Some(first) = rows.first() else { continue };
        let mut step = Step { known: read(first)?, vout: 0, ordinal: 0 };
        for row in rows {
            (step.vout, step.ordinal) = (row.vout, usize::from(row.ordinal));
            visit(&step)?;
        }
    }
    Ok(())
}

/// Where on the chain an entity was created; the byte of its transaction stands for the index.
fn created_at(entity: &Entity) -> ChainPlace {
    ChainPlace { height: entity.height.0, index: entity.offset, vout: 0, ordinal: 0 }
}

/// The part of a page that lies in a list of the chain, and the part in a list of what waits behind it.
fn split(page: Page, mined: u32, waiting: usize) -> (Range<u32>, Range<usize>) {
    let window = page.window(u64::from(mined) + waiting as u64);
    let first = |at: u64| number(at).min(mined);
    let second = |at: u64| place(at.saturating_sub(u64::from(mined)));
    (first(window.start)..first(window.end), second(window.start)..second(window.end))
}

fn place(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

fn number(at: u64) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The entities that identifiers name, in order of creation; each counts once.
fn in_order(view: &View, identifiers: &[String], wanted: Wanted) -> Result<Vec<Txid>, RpcError> {
    if identifiers.len() > NAMED_AT_ONCE {
        let sentence = format!("Invalid identifiers, at most {NAMED_AT_ONCE} at once, not {}", identifiers.len());
        return Err(RpcError::parameter(ParameterRule::Size, sentence).got(identifiers.len()).allowed(NAMED_AT_ONCE));
    }
    let mut entities = BTreeMap::new();
    for identifier in identifiers.iter().filter(|identifier| !identifier.is_empty()) {
        let (txid, entity) = resolve::entity_in(view, identifier, wanted)?;
        let waits = view.pool.get(&txid).map(|entry| entry.sequence);
        entities.insert((waits.is_some(), waits, entity.height, entity.offset), txid);
    }
    Ok(entities.into_values().collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use rota_chain::amount::Height;
    use rota_chain::transaction::Transaction;
    use rota_storage::{Location, TransactionLocation};

    use super::*;

    #[test]
    fn steps_of_one_transaction_share_it() {
        let coinbase = |index: u32| Transaction::coinbase(Height(index), Vec::new());
        let row = |index: u32, ordinal: u16| {
            let place = Location { file: 0, offset: index, length: 1 };
            let location = TransactionLocation { height: Height(7), index, offset: index, place };
            ItemRow { location, vout: 0, ordinal, check: [0; 4] }
        };
        let (mut reads, mut seen) = (Vec::new(), Vec::new());
        for_rows(
            &[row(1, 0), row(1, 1), row(1, 2), row(2, 0)],
            |row| {
                reads.push(row.location.index);
                Ok(Known::bare(Arc::new(coinbase(row.location.index))))
            },
            |step| {
                seen.push((step.known.txid, step.ordinal));
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(reads, [1, 2]);
        let (one, other) = (coinbase(1).txid(), coinbase(2).txid());
        assert_eq!(seen, [(one, 0), (one, 1), (one, 2), (other, 0)]);
    }

    #[test]
    fn a_page_reaches_from_what_is_mined_into_what_waits() {
        let page = |count, start| split(Page { count, start }, 5, 3);
        assert_eq!(page(100, -100), (0..5, 0..3));
        assert_eq!(page(3, -3), (5..5, 0..3));
        assert_eq!(page(4, -4), (4..5, 0..3));
        assert_eq!(page(2, 0), (0..2, 0..0));
        assert_eq!(page(4, 3), (3..5, 0..2));
        assert_eq!(page(0, 0), (0..0, 0..0));
        assert_eq!(page(4, 100), (5..5, 3..3));
    }
}
