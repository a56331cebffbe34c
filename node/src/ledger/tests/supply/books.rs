//! Books kept beside the rules: who holds what after a branch's blocks, counted from the blocks alone. Nothing here
//! calls a rule, so that a rule which counts wrongly disagrees with it.

use std::collections::BTreeMap;

use rota_chain::asset::AssetReference;
use rota_chain::block::Block;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::transaction::{OutPoint, Transaction};

/// An asset, or one of its tokens.
pub type Unit = (Txid, Option<Vec<u8>>);

/// A coin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub owner: Lock,
    pub amount: u64,
    pub assets: BTreeMap<Unit, u64>,
    pub height: u32,
    pub coinbase: bool,
}

/// An asset as its issuances say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asset {
    pub issuer: Lock,
    pub fungible: bool,
    pub open: bool,
    pub restricted: bool,
    pub issued: u128,
}

/// How rewards are set.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    pub first: i64,
    pub initial: u64,
    pub halving: u32,
}

impl Schedule {
    /// The reward of a block: halved by division, once for every interval begun.
    pub fn reward(&self, height: u32) -> u64 {
        match (height, u64::try_from(self.first)) {
            (0, _) => 0,
            (1, Ok(first)) => first,
            _ => (0..height / self.halving).fold(self.initial, |reward, _| reward / 2),
        }
    }
}

/// What there is after a branch's blocks.
#[derive(Clone, Debug)]
pub struct Books {
    pub schedule: Schedule,
    pub coins: BTreeMap<OutPoint, Held>,
    pub assets: BTreeMap<Txid, Asset>,
    /// Quantity of each token, as it was issued.
    pub tokens: BTreeMap<Unit, u128>,
    /// Native currency that rewards and fees allowed coinbases to make.
    allowed: u128,
    /// Of that, what they did not claim.
    unclaimed: u128,
    /// Fees of all transactions: spent, and made anew by coinbases.
    fees: u128,
    /// Rewards by the schedule.
    scheduled: u128,
}

impl Books {
    pub fn new(schedule: Schedule) -> Books {
        Books {
            schedule,
            coins: BTreeMap::new(),
            assets: BTreeMap::new(),
            tokens: BTreeMap::new(),
            allowed: 0,
            unclaimed: 0,
            fees: 0,
            scheduled: 0,
        }
    }

    /// What all unspent coins together must be: what coinbases could create, without what they left, without the fees
    /// that those coins were made of.
    pub fn native_supply(&self) -> u128 {
        self.allowed - self.unclaimed - self.fees
    }

    /// Fails unless the sums are those of the coins themselves.
    pub fn audit(&self) {
        let native: u128 = self.coins.values().map(|coin| u128::from(coin.amount)).sum();
        assert_eq!(native, self.native_supply(), "native currency: coins, and what coinbases claimed");
        assert!(native <= self.scheduled, "{native} in coins, {} by the schedule of rewards", self.scheduled);
        let mut units: BTreeMap<Unit, u128> = BTreeMap::new();
        for (unit, quantity) in self.coins.values().flat_map(|coin| &coin.assets) {
            *units.entry(unit.clone()).or_default() += u128::from(*quantity);
        }
        for (id, asset) in &self.assets {
            let held: u128 = units.iter().filter(|((own, _), _)| own == id).map(|(_, quantity)| quantity).sum();
            assert_eq!(held, asset.issued, "units of asset {id}: in coins, and issued");
        }
        for (unit, quantity) in units {
            assert!(self.assets.contains_key(&unit.0), "units of asset {} that nobody issued", unit.0);
            if unit.1.is_some() {
                assert_eq!(Some(&quantity), self.tokens.get(&unit), "units of token {unit:?}");
            }
        }
    }

    /// Reads a block; `height` is its own.
    pub fn read_block(&mut self, block: &Block, height: u32) {
        let (coinbase, rest) = block.transactions.split_first().unwrap();
        let mut fees = 0;
        for transaction in rest {
            fees += self.read(transaction, height, false);
        }
        let reward = u128::from(self.schedule.reward(height));
        let paid: u128 = coinbase.body.outputs.iter().map(|output| u128::from(output.amount.0)).sum();
        self.read(coinbase, height, true);
        assert!(paid <= reward + fees, "a coinbase of {paid}; the reward is {reward}, and fees are {fees}");
        self.scheduled += reward;
        self.fees += fees;
        self.allowed += reward + fees;
        self.unclaimed += reward + fees - paid;
    }

    /// Reads a transaction and gives its fee.
    pub fn read(&mut self, transaction: &Transaction, height: u32, coinbase: bool) -> u128 {
        let txid = transaction.txid();
        let mut fee = 0i128;
        for input in &transaction.body.inputs {
            fee += i128::from(self.coins.remove(&input.outpoint).expect("a coin that is there").amount);
        }
        for (index, output) in (0u32..).zip(&transaction.body.outputs) {
            fee -= i128::from(output.amount.0);
            let mut assets: BTreeMap<Unit, u64> = BTreeMap::new();
            for carried in &output.assets {
                let id = match carried.asset {
                    AssetReference::New => txid,
                    AssetReference::Existing(id) => id,
                };
                *assets.entry((id, carried.token.clone())).or_default() += carried.quantity;
            }
            for operation in &output.operations {
                self.operate(operation, txid, &transaction.body.authors);
            }
            let plain = output.operations.is_empty() && !coinbase;
            let Some(owner) = output.recipient.filter(|_| plain || output.amount.0 > 0 || !assets.is_empty()) else {
                continue;
            };
            let held = Held { owner, amount: output.amount.0, assets, height, coinbase };
            self.coins.insert(OutPoint { txid, index }, held);
        }
        u128::try_from(fee).unwrap_or(0)
    }

    fn operate(&mut self, operation: &Operation, txid: Txid, authors: &[Lock]) {
        match operation {
            Operation::IssueAsset(issue) => {
                let rules = issue.rules;
                let asset = Asset {
                    issuer: authors[0],
                    fungible: rules.fungible,
                    open: rules.open,
                    restricted: rules.restrict_send || rules.restrict_receive,
                    issued: u128::from(issue.quantity),
                };
                self.assets.insert(txid, asset);
            }
            Operation::IssueMore(more) => {
                self.assets.get_mut(&more.asset).unwrap().issued += u128::from(more.quantity);
                if more.token.is_some() {
                    *self.tokens.entry((more.asset, more.token.clone())).or_default() += u128::from(more.quantity);
                }
            }
            Operation::UpdateAsset(update) => self.assets.get_mut(&update.asset).unwrap().open = update.open,
            _ => {}
        }
    }
}
