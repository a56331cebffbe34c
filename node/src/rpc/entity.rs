//! Streams, assets and variables as answers list them: those of the chain, then those that wait, and the history of
//! each. What an entity of a kind looks like lives with that kind.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use rota_api::error::{EntityKind as Wanted, RpcError};
use rota_api::params::{Page, Params, Selection, type_word};
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_consensus::state::{Entity, StateKey, StateValue, StateView};
use rota_storage::EntityList;
use rota_storage::entity::history_steps;
use rota_storage::index::ItemRef;
use serde_json::Value;

use crate::context::Context;
use crate::pool::PoolItem;
use crate::rpc::decode::{Known, Moment};
use crate::rpc::resolve;
use crate::view::View;

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

    /// The entities of a kind that a call's first parameter and a page choose: in order of creation, waiting ones last.
    ///
    /// # Errors
    /// -8 for a malformed choice, -708 for an unknown entity.
    pub fn chosen(
        ctx: &'c Context,
        list: EntityList,
        params: &Params,
        page: Page,
    ) -> Result<(Catalogue<'c>, Vec<Txid>), RpcError> {
        let (catalogue, chosen) = match params.identifier_selection(0)? {
            Selection::All => (Catalogue::at(ctx, &ctx.view.read(), list), None),
            Selection::These(identifiers) => {
                let view = ctx.view.read();
                let chosen = in_order(&view, &identifiers, wanted(list))?;
                (Catalogue::at(ctx, &view, list), Some(chosen))
            }
        };
        let entities = match chosen {
            None => catalogue.page(page)?,
            Some(chosen) => {
                let window = page.window(chosen.len() as u64);
                chosen.get(place(window.start)..place(window.end)).unwrap_or_default().to_vec()
            }
        };
        Ok((catalogue, entities))
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

    /// Steps of an entity's history: those of the chain in its order, then those that wait, as they arrived.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn history(&self, entity: &Txid, page: Page) -> Result<Vec<Step>, RpcError> {
        let moment = &self.moment;
        let mined = moment.snapshot.entity_history_count(entity).map_err(resolve::storage_error)?;
        let waiting = self.waiting(entity);
        let (mined, late) = split(page, mined, waiting.len());
        let mut steps = Vec::new();
        for row in moment.snapshot.entity_history(entity, mined).map_err(resolve::storage_error)? {
            let found = moment.snapshot.item_transaction(&ItemRef::Chain(row)).map_err(resolve::storage_error)?;
            let missing = || resolve::storage_error("a history names a transaction that is not here");
            let found = found.ok_or_else(missing)?;
            let place = found.location.unwrap_or(row.location);
            let known = moment.mined(found.txid, Arc::new(found.transaction), place.height, place.index)?;
            steps.push(Step { known: known.ok_or_else(missing)?, vout: row.vout, ordinal: row.ordinal.into() });
        }
        let late = waiting.get(late).unwrap_or_default().iter();
        steps.extend(late.map(|item| Step {
            known: Known::waiting(&item.entry),
            vout: item.vout,
            ordinal: item.operation,
        }));
        Ok(steps)
    }
}

/// The part of a page that lies in a list of the chain, and the part in a list of what waits behind it.
fn split(page: Page, mined: u32, waiting: usize) -> (Range<u32>, Range<usize>) {
    let window = page.window(u64::from(mined) + waiting as u64);
    let first = |at: u64| u32::try_from(at).unwrap_or(u32::MAX).min(mined);
    let second = |at: u64| place(at.saturating_sub(u64::from(mined)));
    (first(window.start)..first(window.end), second(window.start)..second(window.end))
}

fn place(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

/// The entities that identifiers name, in order of creation; each counts once.
fn in_order(view: &View, identifiers: &[String], wanted: Wanted) -> Result<Vec<Txid>, RpcError> {
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
    use super::*;

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
