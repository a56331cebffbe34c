//! Random transactions over the coins and assets of a branch's books, with the verdict that they must meet. Numbers of a
//! wish are taken modulo what there is, so that a smaller wish is a simpler one.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use rota_chain::amount::Amount;
use rota_chain::asset::{AssetQuantity, AssetReference, AssetRules, IssueAsset, IssueMore, UpdateAsset};
use rota_chain::digest::{full_digest, part_digest};
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::operation::Operation;
use rota_chain::permission::{BlockRange, Grant, Permission};
use rota_chain::transaction::{Body, Coverage, Input, OutPoint, Output, TRANSACTION_VERSION, Transaction};
use rota_chain::witness::Witness;
use rota_consensus::rules::Rules;

use super::super::world::{key, lock};
use super::books::{Books, Held, Unit};

/// Those who hold keys: the first is the miner. One more only receives: nobody has the key of that address.
pub const HOLDERS: u8 = 3;
const MOST_UNITS: u64 = i64::MAX as u64;
/// Most outputs of a payment: what would need more is refused as too large.
const MOST_OUTPUTS: usize = 20;

/// Who receives: the holder of a key, or nobody.
fn recipient(index: usize) -> Lock {
    match u8::try_from(index % (usize::from(HOLDERS) + 1)).unwrap() {
        HOLDERS => Lock::Key(KeyHash([0xb0; 20])),
        holder => lock(holder + 1),
    }
}

/// Number of a holder's key.
fn seed(index: usize) -> u8 {
    u8::try_from(index % usize::from(HOLDERS)).unwrap() + 1
}

/// What is wrong with a payment.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// One raw unit more comes out than goes in.
    OneMore,
    /// The outputs' sum does not fit 64 bits.
    Overflow,
    /// A coin that an earlier transaction of the block spends.
    SpentBefore,
    /// One coin twice.
    Twice,
    /// A coin that never was.
    NoCoin,
    /// A reward too young.
    Immature,
    /// Signed by somebody else.
    Stranger,
    /// One unit more of an asset comes out than goes in.
    UnitMore,
    /// One unit of an asset vanishes.
    UnitLess,
    /// Units of an asset whose sum wraps around to what goes in.
    Wrapped,
    /// Above the most an output holds.
    Large,
}

const FAULTS: [Fault; 11] = [
    Fault::OneMore,
    Fault::Overflow,
    Fault::SpentBefore,
    Fault::Twice,
    Fault::NoCoin,
    Fault::Immature,
    Fault::Stranger,
    Fault::UnitMore,
    Fault::UnitLess,
    Fault::Wrapped,
    Fault::Large,
];

/// A transaction that somebody wants.
#[derive(Clone, Debug)]
pub enum Wish {
    /// Spends some coins of one holder.
    Pay { by: usize, first: usize, count: usize, to: Vec<(usize, u8)>, fee: u8, fault: Option<Fault> },
    /// One coin for another: the first owner signs his part alone.
    Exchange { by: usize, with: usize, first: usize, one_more: bool },
    /// A new asset; one unit more or less placed than issued if so wished.
    Issue { by: usize, quantity: u64, open: bool, fungible: bool, restricted: bool, placed: i8 },
    /// More of an asset, or a token of one without interchangeable units.
    More { by: usize, asset: usize, quantity: u64, token: u8, to: usize },
    /// Opens or closes an asset.
    Open { asset: usize, open: bool },
    /// Lets somebody send and receive an asset.
    Allow { asset: usize, who: usize },
}

fn quantity() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 1u64..1_000, 1 => Just(0), 1 => Just(MOST_UNITS), 1 => Just(MOST_UNITS - 5), 1 => Just(MOST_UNITS + 1)]
}

pub fn wish() -> impl Strategy<Value = Wish> {
    let small = || 0usize..6;
    let fault = option::weighted(0.25, proptest::sample::select(FAULTS.to_vec()));
    let to = vec((0usize..4, any::<u8>()), 1..4);
    let placed = prop_oneof![6 => Just(0i8), 1 => Just(1), 1 => Just(-1)];
    prop_oneof![
        8 => (small(), 0usize..40, 1usize..6, to, 0u8..9, fault)
            .prop_map(|(by, first, count, to, fee, fault)| Wish::Pay { by, first, count, to, fee, fault }),
        2 => (small(), small(), 0usize..40, proptest::bool::weighted(0.2))
            .prop_map(|(by, with, first, one_more)| Wish::Exchange { by, with, first, one_more }),
        2 => (small(), quantity(), any::<bool>(), proptest::bool::weighted(0.7), proptest::bool::weighted(0.3), placed)
            .prop_map(|(by, quantity, open, fungible, restricted, placed)| {
                Wish::Issue { by, quantity, open, fungible, restricted, placed }
            }),
        2 => (small(), small(), quantity(), 0u8..3, small())
            .prop_map(|(by, asset, quantity, token, to)| Wish::More { by, asset, quantity, token, to }),
        1 => (small(), any::<bool>()).prop_map(|(asset, open)| Wish::Open { asset, open }),
        1 => (small(), small()).prop_map(|(asset, who)| Wish::Allow { asset, who }),
    ]
}

/// What rules must say of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Valid,
    /// Refused, for this reason if only one applies.
    Refused(Option<&'static str>),
    /// Rights on an asset decide, which the books do not know.
    Either,
}

/// Where transactions are written: the books as the transactions before leave them.
pub struct Desk<'a> {
    pub books: Books,
    pub rules: &'a Rules,
    /// Height of the block that is to hold them.
    pub height: u32,
    /// Coins that earlier transactions of the block spent, and whose they were.
    pub spent: Vec<(OutPoint, Held)>,
    pub nonce: &'a mut u64,
}

/// A coin and what it holds.
type Found = (OutPoint, Held);

impl Desk<'_> {
    /// The wish as a transaction; none if there is nothing to make it of.
    pub fn write(&mut self, wish: &Wish) -> Option<(Transaction, Verdict)> {
        match wish {
            Wish::Pay { by, first, count, to, fee, fault } => {
                let coins = self.coins(lock(seed(*by)), *first, *count);
                match fault {
                    None => self.pay(seed(*by), &coins, to, *fee),
                    Some(fault) => self.spoil(seed(*by), &coins, to, *fault),
                }
            }
            Wish::Exchange { by, with, first, one_more } => self.exchange(seed(*by), seed(*with), *first, *one_more),
            Wish::Issue { by, quantity, open, fungible, restricted, placed } => {
                let rules = AssetRules {
                    open: *open,
                    fungible: *fungible,
                    can_open: true,
                    can_close: true,
                    restrict_send: *restricted,
                    restrict_receive: *restricted,
                    restrict_issue: true,
                    ..AssetRules::default()
                };
                Some(self.issue(seed(*by), *quantity, rules, *placed))
            }
            Wish::More { by, asset, quantity, token, to } => self.more(*by, *asset, *quantity, *token, *to),
            Wish::Open { asset, open } => {
                let (asset, issuer) = self.asset(*asset)?;
                let operation = Operation::UpdateAsset(UpdateAsset { asset, open: *open });
                Some((self.act(issuer, vec![Output::operation(operation)]), Verdict::Valid))
            }
            Wish::Allow { asset, who } => {
                let (asset, issuer) = self.asset(*asset)?;
                let permissions = [Permission::Send, Permission::Receive].into_iter().collect();
                let grant = Grant { entity: Some(asset), permissions, range: BlockRange::ALWAYS, timestamp: 1 };
                let operation = Output::operation(Operation::Grant(grant));
                let output = Output { recipient: Some(recipient(*who)), ..operation };
                Some((self.act(issuer, vec![output]), Verdict::Valid))
            }
        }
    }

    fn is_mature(&self, coin: &Held) -> bool {
        !coin.coinbase || coin.height + self.rules.reward_spendable_delay <= self.height
    }

    /// Some coins of an owner that may be spent now, from one of them on in a circle.
    fn coins(&self, owner: Lock, first: usize, count: usize) -> Vec<Found> {
        let mut own: Vec<Found> = self
            .books
            .coins
            .iter()
            .filter(|(_, coin)| coin.owner == owner && self.is_mature(coin))
            .map(|(outpoint, coin)| (*outpoint, coin.clone()))
            .collect();
        if !own.is_empty() {
            let first = first % own.len();
            own.rotate_left(first);
        }
        own.truncate(count);
        own
    }

    /// An asset and the number of its issuer's key.
    fn asset(&self, index: usize) -> Option<(Txid, u8)> {
        let (id, asset) = self.books.assets.iter().nth(index % self.books.assets.len().max(1))?;
        let issuer = (1..=HOLDERS).find(|seed| lock(*seed) == asset.issuer).unwrap();
        Some((*id, issuer))
    }

    /// The first rule that outputs break by their amounts alone.
    fn broken_amount(&self, outputs: &[Output]) -> Option<&'static str> {
        let (least, most) = (self.rules.minimum_per_output, self.rules.maximum_per_output);
        outputs.iter().map(|output| output.amount.0).find_map(|amount| match amount {
            _ if amount > most => Some("coin-large"),
            _ if amount > 0 && amount < least => Some("coin-dust"),
            _ => None,
        })
    }

    fn verdict(&self, coins: &[Found], outputs: &[Output]) -> Verdict {
        if let Some(code) = self.broken_amount(outputs) {
            return Verdict::Refused(Some(code));
        }
        if total(coins) > u128::from(u64::MAX) {
            return Verdict::Refused(Some("coin-overflow"));
        }
        let restricted = |unit: &Unit| self.books.assets[&unit.0].restricted;
        let moved = coins.iter().flat_map(|(_, coin)| coin.assets.keys());
        if moved.into_iter().any(restricted) { Verdict::Either } else { Verdict::Valid }
    }

    fn pay(&mut self, by: u8, coins: &[Found], to: &[(usize, u8)], fee: u8) -> Option<(Transaction, Verdict)> {
        if coins.is_empty() {
            return None;
        }
        let outputs = self.share(coins, to, fee);
        let verdict = self.verdict(coins, &outputs);
        let inputs: Vec<(OutPoint, Coverage, u8)> =
            coins.iter().map(|(outpoint, _)| (*outpoint, Coverage::Full, by)).collect();
        Some((self.sign(&inputs, Vec::new(), outputs), verdict))
    }

    /// Divides what coins hold among recipients.
    fn share(&self, coins: &[Found], to: &[(usize, u8)], fee: u8) -> Vec<Output> {
        let rest = total(coins).saturating_sub(u128::from(fee));
        let parts: u128 = to.iter().map(|(_, part)| u128::from(*part) + 1).sum();
        let most = u128::from(self.rules.maximum_per_output).max(1);
        let (mut outputs, mut left) = (Vec::new(), rest);
        for (index, (who, part)) in to.iter().enumerate() {
            let last = index + 1 == to.len();
            let mut amount = if last { left } else { rest * (u128::from(*part) + 1) / parts };
            left -= amount;
            while amount > most && outputs.len() < MOST_OUTPUTS {
                outputs.push(Output::payment(recipient(*who), Amount(u64::try_from(most).unwrap())));
                amount -= most;
            }
            let amount = u64::try_from(amount).unwrap_or(u64::MAX);
            outputs.push(Output::payment(recipient(*who), Amount(amount)));
        }
        for (index, (unit, quantity)) in units(coins).into_iter().enumerate() {
            let half = quantity / 2;
            for (offset, quantity) in [(0, half), (1, quantity - half)] {
                let at = (index + offset) % outputs.len();
                place(&mut outputs[at], &unit, quantity);
            }
        }
        outputs
    }

    /// A payment with something wrong in it; none if there is nothing that could be wrong so.
    fn spoil(&mut self, by: u8, coins: &[Found], to: &[(usize, u8)], fault: Fault) -> Option<(Transaction, Verdict)> {
        let mut coins = coins.to_vec();
        let mut signer = by;
        let nowhere = OutPoint { txid: Txid([9; 32]), index: 0 };
        let nothing = Held { owner: lock(by), amount: 0, assets: BTreeMap::new(), height: 1, coinbase: false };
        match fault {
            Fault::SpentBefore => coins.push(self.spent.iter().find(|(_, coin)| coin.owner == lock(by))?.clone()),
            Fault::NoCoin => coins.push((nowhere, nothing)),
            Fault::Immature => {
                let young = |coin: &Held| coin.owner == lock(by) && !self.is_mature(coin);
                let (outpoint, coin) = self.books.coins.iter().find(|(_, coin)| young(coin))?;
                coins.push((*outpoint, coin.clone()));
            }
            Fault::Stranger => signer = by % HOLDERS + 1,
            _ => {}
        }
        if coins.is_empty() || total(&coins) > u128::from(u64::MAX) {
            return None;
        }
        let mut outputs = self.share(&coins, to, 0);
        let code = match fault {
            Fault::SpentBefore | Fault::NoCoin => "coin-missing",
            Fault::Immature => "coin-immature",
            Fault::Stranger => "tx-witness",
            Fault::Twice => {
                coins.push(coins[0].clone());
                "tx-input-twice"
            }
            Fault::OneMore => {
                let room = |output: &&mut Output| output.amount.0 < self.rules.maximum_per_output;
                outputs.iter_mut().find(room)?.amount.0 += 1;
                "coin-overspent"
            }
            Fault::Overflow => {
                let most = Amount(self.rules.maximum_per_output);
                let count = usize::try_from(u64::MAX / most.0.max(1)).ok().filter(|count| *count <= MOST_OUTPUTS)?;
                outputs = vec![Output::payment(recipient(0), most); count + 1];
                "coin-overflow"
            }
            Fault::UnitMore | Fault::UnitLess | Fault::Wrapped => self.spoil_units(&mut outputs, fault)?,
            Fault::Large => {
                outputs[0].amount.0 = self.rules.maximum_per_output + 1;
                "coin-large"
            }
        };
        let inputs: Vec<(OutPoint, Coverage, u8)> =
            coins.iter().map(|(outpoint, _)| (*outpoint, Coverage::Full, signer)).collect();
        let several = self.broken_amount(&outputs).is_some_and(|first| first != code);
        Some((self.sign(&inputs, Vec::new(), outputs), Verdict::Refused(Some(code).filter(|_| !several))))
    }

    fn spoil_units(&self, outputs: &mut Vec<Output>, fault: Fault) -> Option<&'static str> {
        let carried = |output: &&mut Output| !output.assets.is_empty();
        if matches!(fault, Fault::UnitLess) {
            let output = outputs.iter_mut().find(carried)?;
            output.assets[0].quantity -= 1;
            output.assets.retain(|assets| assets.quantity > 0);
            return Some("asset-unbalanced");
        }
        let (id, asset) = self.books.assets.iter().next()?;
        let token =
            if asset.fungible { None } else { Some(self.books.tokens.keys().find(|(own, _)| own == id)?.1.clone()?) };
        let unit = (*id, token);
        if matches!(fault, Fault::UnitMore) {
            place(&mut outputs[0], &unit, 1);
            return Some("asset-unbalanced");
        }
        for quantity in [u64::MAX, 1] {
            let mut output = Output::payment(recipient(0), Amount(0));
            place(&mut output, &unit, quantity);
            outputs.push(output);
        }
        Some("asset-overflow")
    }

    fn exchange(&mut self, by: u8, with: u8, first: usize, one_more: bool) -> Option<(Transaction, Verdict)> {
        let offered = self.coins(lock(by), first, 1).pop()?;
        let asked = self.coins(lock(with), first + 1, 1).pop().filter(|asked| asked.0 != offered.0)?;
        let all = |(_, coin): &Found, to: u8| {
            let mut output = Output::payment(lock(to), Amount(coin.amount));
            coin.assets.iter().for_each(|(unit, quantity)| place(&mut output, unit, *quantity));
            output
        };
        let mut outputs = vec![all(&asked, by), all(&offered, with)];
        let inputs = [(offered.0, Coverage::Part, by), (asked.0, Coverage::Full, with)];
        let mut verdict = self.verdict(&[offered, asked], &outputs);
        if one_more {
            outputs[1].amount.0 += 1;
            let least = self.broken_amount(&outputs);
            verdict = Verdict::Refused(least.is_none().then_some("coin-overspent"));
        }
        Some((self.sign(&inputs, Vec::new(), outputs), verdict))
    }

    fn issue(&mut self, by: u8, quantity: u64, rules: AssetRules, placed: i8) -> (Transaction, Verdict) {
        let quantity = if rules.fungible { quantity } else { 0 };
        let issue = IssueAsset { name: Vec::new(), multiple: 1, rules, quantity, details: Vec::new() };
        let mut output = Output { recipient: Some(lock(by)), ..Output::operation(Operation::IssueAsset(issue)) };
        let put = quantity.saturating_add_signed(i64::from(placed));
        if put > 0 {
            output.assets = vec![AssetQuantity { asset: AssetReference::New, token: None, quantity: put }];
        }
        let verdict = match () {
            () if quantity > MOST_UNITS => Verdict::Refused(Some("asset-overflow")),
            () if put != quantity => Verdict::Refused(Some("asset-unbalanced")),
            () => Verdict::Valid,
        };
        (self.act(by, vec![output]), verdict)
    }

    fn more(&mut self, by: usize, asset: usize, quantity: u64, token: u8, to: usize) -> Option<(Transaction, Verdict)> {
        let (id, issuer) = self.asset(asset)?;
        // Most are issued by who may.
        let by = if by < 5 { issuer } else { seed(by) };
        let asset = self.books.assets[&id].clone();
        let quantity = quantity.max(1);
        let unit = (id, (!asset.fungible).then(|| vec![b'a' + token]));
        let owner = if asset.restricted { asset.issuer } else { recipient(to) };
        let more = IssueMore { asset: id, token: unit.1.clone(), quantity, details: Vec::new() };
        let mut output = Output { recipient: Some(owner), ..Output::operation(Operation::IssueMore(more)) };
        place(&mut output, &unit, quantity);
        let verdict = match () {
            () if !asset.open => Verdict::Refused(Some("asset-closed")),
            () if by != issuer => Verdict::Refused(Some("asset-issue-more")),
            () if self.books.tokens.contains_key(&unit) => Verdict::Refused(Some("asset-token-taken")),
            () if asset.issued + u128::from(quantity) > u128::from(MOST_UNITS) => {
                Verdict::Refused(Some("asset-overflow"))
            }
            () => Verdict::Valid,
        };
        Some((self.act(by, vec![output]), verdict))
    }

    /// A transaction of one author, without coins.
    fn act(&mut self, author: u8, outputs: Vec<Output>) -> Transaction {
        self.sign(&[], vec![author], outputs)
    }

    fn sign(&mut self, inputs: &[(OutPoint, Coverage, u8)], authors: Vec<u8>, outputs: Vec<Output>) -> Transaction {
        *self.nonce += 1;
        let body = Body {
            version: TRANSACTION_VERSION,
            inputs: inputs
                .iter()
                .map(|(outpoint, coverage, _)| Input { outpoint: *outpoint, coverage: *coverage })
                .collect(),
            outputs,
            authors: authors.iter().map(|seed| lock(*seed)).collect(),
            lock_time: 0,
            last_height: if inputs.is_empty() { 1_000 } else { 0 },
            nonce: *self.nonce,
        };
        let mut full = authors;
        for (_, _, owner) in inputs.iter().filter(|(_, coverage, _)| *coverage == Coverage::Full) {
            if !full.contains(owner) {
                full.push(*owner);
            }
        }
        let witnesses = witnesses(&self.rules.genesis, &body, &full, inputs);
        Transaction { body, witnesses }
    }
}

fn witnesses(genesis: &BlockHash, body: &Body, full: &[u8], inputs: &[(OutPoint, Coverage, u8)]) -> Vec<Witness> {
    let witness =
        |seed: u8, digest: [u8; 32]| Witness::Key { key: key(seed).public_key(), signature: key(seed).sign(&digest) };
    let txid = body.txid();
    let mut all: Vec<Witness> =
        full.iter().map(|seed| witness(*seed, full_digest(genesis, &txid, &lock(*seed)))).collect();
    for (index, (_, _, seed)) in inputs.iter().enumerate() {
        if let Some(digest) = part_digest(genesis, body, index, &lock(*seed)) {
            all.push(witness(*seed, digest));
        }
    }
    all
}

fn total(coins: &[Found]) -> u128 {
    coins.iter().map(|(_, coin)| u128::from(coin.amount)).sum()
}

fn units(coins: &[Found]) -> BTreeMap<Unit, u64> {
    let mut units = BTreeMap::new();
    for (unit, quantity) in coins.iter().flat_map(|(_, coin)| &coin.assets) {
        *units.entry(unit.clone()).or_default() += quantity;
    }
    units
}

/// Adds units to an output.
fn place(output: &mut Output, (asset, token): &Unit, quantity: u64) {
    if quantity == 0 {
        return;
    }
    let asset = AssetReference::Existing(*asset);
    match output.assets.iter_mut().find(|held| held.asset == asset && held.token == *token) {
        Some(held) => held.quantity = held.quantity.saturating_add(quantity),
        None => output.assets.push(AssetQuantity { asset, token: token.clone(), quantity }),
    }
}
