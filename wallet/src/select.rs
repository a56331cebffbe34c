//! Choice of coins: which of the coins at hand pay for what is needed, and what comes back as change. Pure: coins are
//! given with what hinders them, and the same coins always give the same choice.

use std::collections::BTreeMap;

use rota_chain::amount::Amount;
use rota_chain::asset::{AssetQuantity, AssetReference};
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::transaction::OutPoint;

/// What is counted: an asset, or one of its tokens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit {
    /// The asset.
    pub asset: Txid,
    /// The token, for assets that are not fungible.
    pub token: Option<Vec<u8>>,
}

/// Native currency and assets, each in raw units; assets of 0 are not listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holding {
    /// Native currency.
    pub amount: Amount,
    /// Assets and tokens.
    pub assets: BTreeMap<Unit, u64>,
}

impl Holding {
    /// Nothing but native currency.
    #[must_use]
    pub fn native(amount: Amount) -> Holding {
        Holding { amount, assets: BTreeMap::new() }
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.amount == Amount::ZERO && self.assets.is_empty()
    }

    /// Adds a quantity; false if the sum does not fit, and then nothing changed.
    #[must_use]
    pub fn add_asset(&mut self, unit: Unit, quantity: u64) -> bool {
        if quantity == 0 {
            return true;
        }
        let held = self.assets.entry(unit).or_default();
        match held.checked_add(quantity) {
            Some(sum) => *held = sum,
            None => return false,
        }
        true
    }

    /// Adds native currency; false if the sum does not fit, and then nothing changed.
    #[must_use]
    pub fn add_amount(&mut self, amount: Amount) -> bool {
        match self.amount.checked_add(amount) {
            Some(sum) => self.amount = sum,
            None => return false,
        }
        true
    }

    /// The quantities as outputs carry them.
    #[must_use]
    pub fn quantities(&self) -> Vec<AssetQuantity> {
        let quantity = |(unit, quantity): (&Unit, &u64)| AssetQuantity {
            asset: AssetReference::Existing(unit.asset),
            token: unit.token.clone(),
            quantity: *quantity,
        };
        self.assets.iter().map(quantity).collect()
    }
}

/// Why a coin is left alone. In this order the first that explains a shortage is told. Coins whose keys are not here are
/// no candidates at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hindrance {
    /// A transaction that is being made spends it, and may give change back at once.
    Busy,
    /// Its owner may not send, or may not take change back.
    Permission,
    /// A caller locked it.
    Locked,
    /// A reward that may not be spent yet.
    Immature,
    /// Data stands in its output, which spending would take out of sight.
    Data,
}

/// A coin that may be chosen.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name.
    pub outpoint: OutPoint,
    /// Who owns it.
    pub owner: Lock,
    /// Native currency.
    pub amount: Amount,
    /// Assets and tokens, each unit once.
    pub assets: Vec<(Unit, u64)>,
    /// Whether its transaction is in a block.
    pub confirmed: bool,
    /// Whether it holds assets whose movement needs permission: it is spent for those alone, as long as others do.
    pub restricted: bool,
    /// Why it is left alone.
    pub hindrance: Option<Hindrance>,
}

/// The coins chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Positions in the list of candidates, in the order chosen.
    pub coins: Vec<usize>,
    /// What the coins hold beyond the needs.
    pub change: Holding,
    /// Candidates looked at, counting every look: what the work grows with.
    pub steps: u64,
}

/// Why no choice was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Shortage {
    /// All coins together do not suffice.
    #[error("the coins at hand do not suffice")]
    Insufficient,
    /// They would suffice with coins that are left alone.
    #[error("the coins at hand would suffice with those that are left alone ({0:?})")]
    Hindered(Hindrance),
    /// They suffice, but more inputs than allowed are needed.
    #[error("more than {limit} coins would be needed; combineunspent makes few of many")]
    Many {
        /// Most inputs.
        limit: usize,
    },
}

/// Ranks of coins that the choice goes through one after the other.
const RANKS: u8 = 4;

/// A unit of the needs; none is native currency.
type Wanted<'a> = Option<&'a Unit>;

/// Chooses coins that hold at least the needs, at most `limit` of them. Few inputs come before all else within a rank:
/// confirmed before unconfirmed, and coins with restricted assets that are not needed last.
///
/// # Errors
/// [`Shortage`] if no choice suffices.
pub fn choose_coins(candidates: &[Candidate], needs: &Holding, limit: usize) -> Result<Choice, Shortage> {
    let mut work = Work { candidates, needs, steps: 0 };
    let free: Vec<usize> = work.filter(|candidate| candidate.hindrance.is_none());
    if !work.suffices(&free) {
        return Err(work.shortage());
    }
    for rank in 0..RANKS {
        let ranked: Vec<usize> =
            free.iter().copied().filter(|at| work.rank(*at).is_some_and(|own| own <= rank)).collect();
        work.steps += free.len() as u64;
        if !work.suffices(&ranked) {
            continue;
        }
        let chosen = work.greedy(&ranked);
        if chosen.len() <= limit {
            let change = work.change(&chosen);
            return Ok(Choice { coins: chosen, change, steps: work.steps });
        }
    }
    Err(Shortage::Many { limit })
}

struct Work<'a> {
    candidates: &'a [Candidate],
    needs: &'a Holding,
    steps: u64,
}

impl<'a> Work<'a> {
    fn filter(&mut self, keep: impl Fn(&Candidate) -> bool) -> Vec<usize> {
        self.steps += self.candidates.len() as u64;
        self.candidates.iter().enumerate().filter(|(_, candidate)| keep(candidate)).map(|(at, _)| at).collect()
    }

    fn candidate(&self, at: usize) -> Option<&'a Candidate> {
        self.candidates.get(at)
    }

    /// The rank of a coin: lower ones are spent first.
    fn rank(&self, at: usize) -> Option<u8> {
        let candidate = self.candidate(at)?;
        let foreign = |(unit, _): &(Unit, u64)| !self.needs.assets.contains_key(unit);
        let burdened = candidate.restricted && candidate.assets.iter().any(foreign);
        Some(u8::from(burdened) * 2 + u8::from(!candidate.confirmed))
    }

    /// What a coin holds of a unit.
    fn held(&self, at: usize, wanted: Wanted<'_>) -> u64 {
        let Some(candidate) = self.candidate(at) else { return 0 };
        match wanted {
            None => candidate.amount.0,
            Some(unit) => candidate.assets.iter().filter(|(own, _)| own == unit).map(|(_, quantity)| *quantity).sum(),
        }
    }

    /// The units needed and how much, assets first: their coins may hold native currency too.
    fn wanted(&self) -> Vec<(Wanted<'a>, u128)> {
        let assets = self.needs.assets.iter().map(|(unit, quantity)| (Some(unit), u128::from(*quantity)));
        let native = (None, u128::from(self.needs.amount.0));
        assets.chain([native]).filter(|(_, needed)| *needed > 0).collect()
    }

    fn suffices(&mut self, coins: &[usize]) -> bool {
        let wanted = self.wanted();
        self.steps += (coins.len() * wanted.len()) as u64;
        wanted.iter().all(|(unit, needed)| self.sum(coins, *unit) >= *needed)
    }

    fn sum(&self, coins: &[usize], unit: Wanted<'_>) -> u128 {
        coins.iter().map(|at| u128::from(self.held(*at, unit))).sum()
    }

    /// Takes the largest coins of each unit until what is missing fits one coin, then the smallest that covers it; then
    /// drops what turned out not to be needed. `coins` suffice.
    fn greedy(&mut self, coins: &[usize]) -> Vec<usize> {
        let mut chosen: Vec<usize> = Vec::new();
        let mut taken = vec![false; self.candidates.len()];
        for (unit, needed) in self.wanted() {
            let mut missing = needed.saturating_sub(self.sum(&chosen, unit));
            let mut of_unit: Vec<(u64, usize)> =
                coins.iter().map(|at| (self.held(*at, unit), *at)).filter(|(held, _)| *held > 0).collect();
            of_unit.retain(|(_, at)| taken.get(*at) == Some(&false));
            self.steps += coins.len() as u64;
            // Largest first; of equal ones the first listed.
            of_unit.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
            let mut left = of_unit.as_slice();
            while missing > 0
                && let Some(((largest, largest_at), rest)) = left.split_first()
            {
                self.steps += 1;
                // Those that cover what is missing stand first, the smallest of them last.
                let covering = left.partition_point(|(held, _)| u128::from(*held) >= missing);
                let smallest = covering.checked_sub(1).and_then(|last| left.get(last));
                let pick = smallest.map_or(*largest_at, |(_, at)| *at);
                left = if u128::from(*largest) >= missing { &[] } else { rest };
                missing = missing.saturating_sub(u128::from(self.held(pick, unit)));
                if let Some(flag) = taken.get_mut(pick) {
                    *flag = true;
                }
                chosen.push(pick);
            }
        }
        self.prune(&mut chosen);
        chosen
    }

    /// Drops coins that are not needed beside those chosen later.
    fn prune(&mut self, chosen: &mut Vec<usize>) {
        let wanted = self.wanted();
        let mut spare: Vec<u128> =
            wanted.iter().map(|(unit, needed)| self.sum(chosen, *unit).saturating_sub(*needed)).collect();
        self.steps += (chosen.len() * wanted.len()) as u64;
        chosen.retain(|at| {
            let held: Vec<u128> = wanted.iter().map(|(unit, _)| u128::from(self.held(*at, *unit))).collect();
            let needless = held.iter().zip(&spare).all(|(held, spare)| held <= spare);
            if needless {
                for (spare, held) in spare.iter_mut().zip(held) {
                    *spare -= held;
                }
            }
            !needless
        });
    }

    fn change(&self, chosen: &[usize]) -> Holding {
        let mut held: BTreeMap<Unit, u128> = BTreeMap::new();
        let mut amount = 0u128;
        for candidate in chosen.iter().filter_map(|at| self.candidate(*at)) {
            amount += u128::from(candidate.amount.0);
            for (unit, quantity) in &candidate.assets {
                *held.entry(unit.clone()).or_default() += u128::from(*quantity);
            }
        }
        // What exists of a unit fits 64 bits by the rules of issuance and rewards.
        let rest = |held: u128, needed: u64| u64::try_from(held.saturating_sub(u128::from(needed))).unwrap_or(u64::MAX);
        let assets = held.into_iter().map(|(unit, held)| {
            let needed = self.needs.assets.get(&unit).copied().unwrap_or(0);
            (unit, rest(held, needed))
        });
        Holding {
            amount: Amount(rest(amount, self.needs.amount.0)),
            assets: assets.filter(|(_, quantity)| *quantity > 0).collect(),
        }
    }

    /// Which of the coins left alone would make up for what is missing.
    fn shortage(&mut self) -> Shortage {
        let reasons = [Hindrance::Busy, Hindrance::Permission, Hindrance::Locked, Hindrance::Immature, Hindrance::Data];
        for reason in reasons {
            let with = self.filter(|candidate| candidate.hindrance.is_none_or(|own| own <= reason));
            if self.suffices(&with) {
                return Shortage::Hindered(reason);
            }
        }
        Shortage::Insufficient
    }
}

#[cfg(test)]
mod tests;
