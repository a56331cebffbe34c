//! The supply of native currency and assets over random blocks and reorganisations of a real ledger: nothing comes out
//! of thin air, and after every switch the state is that of the branch applied in a straight line. More histories than
//! usual: `ROTA_SUPPLY_CASES=5000`.

mod books;
mod tree;
mod wish;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rota_chain::asset::AssetReference;
use rota_chain::block::Block;
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::transaction::Transaction;
use rota_consensus::state::{Coin, EntityKind, StateKey, StateValue};
use rota_params::Parameter;

use self::books::{Books, Held, Schedule, Unit};
use self::tree::{Spot, Tree};
use self::wish::{Desk, Verdict, Wish, wish};
use super::world::{Chain, Node};
use crate::ledger::BlockOutcome;

/// Histories of a usual run: each opens a database, a fifth of a second where the disk is idle.
const CASES: u32 = 48;
/// Variable of the environment that asks for more.
const CASES_VARIABLE: &str = "ROTA_SUPPLY_CASES";
/// Raw units that parameters allow an output at most.
const MOST_AMOUNT: u64 = 1_000_000_000_000_000_000;
/// Raw units of a block's reward with which all rewards together just fit a signed 64-bit number.
const MOST_REWARD: u64 = 76_000_000_000_000_000;
/// Least blocks between two halvings.
const HALVING: u32 = 60;

/// How a chain is set up.
#[derive(Clone, Copy, Debug)]
struct Setup {
    reward: u64,
    first: i64,
    delay: u32,
    minimum: u64,
    maximum: u64,
    multiple: u32,
    /// Whether the history begins close to the first halving.
    late: bool,
}

fn setup() -> impl Strategy<Value = Setup> {
    let amounts = prop_oneof![
        4 => Just((1_000u64, 2_000u64, 100_000_000u32)),
        1 => Just((0, 2_000, 0)),
        2 => Just((MOST_REWARD, MOST_AMOUNT, 1)),
    ];
    let first = prop_oneof![Just(-1i64), Just(0), Just(7_001)];
    (amounts, first, 1u32..4, prop_oneof![Just(0u64), Just(50)], proptest::bool::weighted(0.3)).prop_map(
        |((reward, maximum, multiple), first, delay, minimum, late)| Setup {
            reward,
            first,
            delay,
            minimum,
            maximum,
            multiple,
            late,
        },
    )
}

/// What a miner takes.
#[derive(Clone, Copy, Debug)]
enum Claim {
    All,
    /// A few raw units less.
    Less(u8),
    Nothing,
    /// One raw unit too many: refused, and then all is taken.
    OneMore,
}

/// A block that a new one stands on.
#[derive(Clone, Copy, Debug)]
enum On {
    /// The tip.
    Tip,
    /// The one made so many blocks before the newest.
    Recent(usize),
}

#[derive(Clone, Debug)]
enum Step {
    /// A block of what can be made of the wishes; with what cannot, another one that must be refused.
    Block(On, Vec<Wish>, Claim),
    /// The operator sets the last block some blocks lower.
    Back(usize),
    /// The node takes the heaviest branch again.
    Heaviest,
}

fn step() -> impl Strategy<Value = Step> {
    let on =
        prop_oneof![5 => Just(On::Tip), 4 => (0usize..3).prop_map(On::Recent), 1 => (3usize..9).prop_map(On::Recent)];
    let claim = prop_oneof![
        4 => Just(Claim::All),
        1 => any::<u8>().prop_map(Claim::Less),
        1 => Just(Claim::Nothing),
        1 => Just(Claim::OneMore),
    ];
    prop_oneof![
        8 => (on, vec(wish(), 0..6), claim).prop_map(|(on, wishes, claim)| Step::Block(on, wishes, claim)),
        1 => (1usize..6).prop_map(Step::Back),
        1 => Just(Step::Heaviest),
    ]
}

/// What a history went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    confirmed: usize,
    refused: usize,
    reorganised: usize,
    deepest: u32,
}

/// What came of the wishes for a block.
struct Judged {
    taken: Vec<Transaction>,
    /// What must be refused, with its rule and how many were taken before: it may be valid later in the block.
    refused: Vec<(usize, Transaction, &'static str)>,
    /// Reward and fees.
    allowed: u64,
}

/// One node, and all branches it was offered.
struct History {
    chain: Chain,
    node: Node,
    tree: Tree,
    nonce: u64,
    tally: Tally,
}

impl History {
    fn new(setup: Setup) -> History {
        let texts = [setup.reward, setup.maximum, setup.minimum].map(|number| number.to_string());
        let (first, delay) = (setup.first.to_string(), setup.delay.to_string());
        let (halving, multiple) = (HALVING.to_string(), setup.multiple.to_string());
        let chain = Chain::with(&[
            (Parameter::MiningDiversity, "0.0"),
            (Parameter::SetupFirstBlocks, "1"),
            (Parameter::AnyoneCanSend, "true"),
            (Parameter::AnyoneCanReceive, "true"),
            (Parameter::AnyoneCanIssue, "true"),
            (Parameter::InitialBlockReward, &texts[0]),
            (Parameter::MaximumPerOutput, &texts[1]),
            (Parameter::MinimumPerOutput, &texts[2]),
            (Parameter::FirstBlockReward, &first),
            (Parameter::RewardSpendableDelay, &delay),
            (Parameter::RewardHalvingInterval, &halving),
            (Parameter::NativeCurrencyMultiple, &multiple),
        ]);
        let mut node = chain.node("node");
        // Blocks are written and not synced: this is about sums, not about power loss.
        node.ledger.set_catching_up(true);
        let tree = Tree::new(&node, Schedule { first: setup.first, initial: setup.reward, halving: HALVING });
        let mut history = History { chain, node, tree, nonce: 0, tally: Tally::default() };
        for _ in 0..(if setup.late { HALVING - 3 } else { 2 }) {
            history.step(&Step::Block(On::Tip, Vec::new(), Claim::All));
        }
        history
    }

    fn step(&mut self, step: &Step) {
        let before = self.node.tip();
        match step {
            Step::Block(on, wishes, claim) => self.block(*on, wishes, *claim),
            Step::Back(count) => {
                let mut hash = before;
                for _ in 0..*count {
                    let spot = self.tree.spot(&hash).unwrap();
                    hash = if spot.height > 1 { spot.previous } else { hash };
                }
                self.node.ledger.set_last_block(hash).unwrap();
                assert_eq!(self.node.tip(), hash);
            }
            Step::Heaviest => self.node.ledger.reconsider_branches().unwrap(),
        }
        self.note_reorganisation(before);
        self.check();
    }

    fn block(&mut self, on: On, wishes: &[Wish], claim: Claim) {
        let parent = match on {
            On::Tip => self.node.tip(),
            On::Recent(back) => self.tree.recent(back),
        };
        let spot = self.tree.spot(&parent).unwrap().clone();
        let Judged { taken, refused, allowed } = self.judge(&spot, wishes);
        for (before, transaction, code) in refused {
            let all: Vec<Transaction> = taken[..before].iter().cloned().chain([transaction]).collect();
            let block = self.tree.build(&spot, 0, &all);
            self.refuse(&block, parent, code);
        }
        let claimed = match claim {
            Claim::All => allowed,
            Claim::Less(less) => allowed.saturating_sub(u64::from(less)),
            Claim::Nothing => 0,
            Claim::OneMore => {
                let block = self.tree.build(&spot, allowed + 1, &taken);
                self.refuse(&block, parent, "block-reward");
                allowed
            }
        };
        let block = self.tree.build(&spot, claimed, &taken);
        self.tree.grow(&block).unwrap_or_else(|rule| panic!("a block of valid transactions: {rule}"));
        let outcome = self.node.take(&block);
        assert!(matches!(outcome, BlockOutcome::Applied | BlockOutcome::Stored), "{outcome:?}");
        self.tally.confirmed += taken.len();
    }

    /// Makes transactions of wishes, one upon the other, and holds each verdict against the one that it must meet.
    fn judge(&mut self, spot: &Spot, wishes: &[Wish]) -> Judged {
        let rules = Arc::clone(&self.tree.rules);
        let height = spot.height + 1;
        let books = spot.books.clone();
        let mut desk = Desk { books, rules: &rules, height, spent: Vec::new(), nonce: &mut self.nonce };
        let allowed = spot.books.schedule.reward(height);
        let mut judged = Judged { taken: Vec::new(), refused: Vec::new(), allowed };
        for wish in wishes {
            let Some((transaction, verdict)) = desk.write(wish) else { continue };
            let found = self.tree.judge(spot, &judged.taken, &transaction);
            match (&found, verdict) {
                (Ok(_), Verdict::Valid | Verdict::Either) | (Err(_), Verdict::Refused(None) | Verdict::Either) => {}
                (Err(rule), Verdict::Refused(Some(code))) => assert_eq!(rule.code(), code, "{wish:?}: {rule}"),
                (found, verdict) => panic!("{wish:?} must be {verdict:?}, and is {found:?}"),
            }
            match found {
                Ok(fee) => {
                    let spent = transaction.body.inputs.iter().map(|input| input.outpoint);
                    desk.spent.extend(spent.map(|outpoint| (outpoint, desk.books.coins[&outpoint].clone())));
                    assert_eq!(desk.books.read(&transaction, height, false), u128::from(fee));
                    judged.allowed += fee;
                    judged.taken.push(transaction);
                }
                Err(rule) => judged.refused.push((judged.taken.len(), transaction, rule.code())),
            }
        }
        judged
    }

    /// Offers a block that breaks a rule: on the tip of the heaviest branch it is refused at once, elsewhere before it
    /// is followed.
    fn refuse(&mut self, block: &Arc<Block>, parent: BlockHash, code: &str) {
        let rule = self.tree.grow(block).expect_err("a block that breaks a rule");
        assert_eq!(rule.code(), code);
        let before = self.node.tip();
        let outcome = self.node.take(block);
        match &outcome {
            BlockOutcome::Invalid(rule) => assert_eq!(rule.code(), code),
            BlockOutcome::Stored
                if parent != before || self.tree.spot(&parent).unwrap().height < self.tree.highest() => {}
            other => panic!("{other:?}, and not {code}"),
        }
        self.tally.refused += 1;
        self.note_reorganisation(before);
        self.check();
    }

    fn note_reorganisation(&mut self, before: BlockHash) {
        let path = self.tree.branch(&self.node.tip());
        let left: Vec<Arc<Block>> = self.tree.branch(&before);
        let common = path.iter().zip(&left).take_while(|(a, b)| a.hash() == b.hash()).count();
        let undone = u32::try_from(left.len() - common).unwrap();
        self.tally.reorganised += usize::from(undone > 0);
        self.tally.deepest = self.tally.deepest.max(undone);
    }

    /// Holds the node's state against that of its branch, and against the books.
    fn check(&self) {
        let spot = self.tree.spot(&self.node.tip()).expect("the tip is a valid block");
        assert_eq!(self.node.height(), spot.height);
        let snapshot = self.node.view.snapshot();
        let mut elements = BTreeMap::new();
        snapshot.for_each_element(|key, value| drop(elements.insert(key, value))).unwrap();
        assert!(elements == spot.elements, "the state is not that of the branch applied in a straight line");
        assert_eq!(self.node.state_hash(), spot.multiset.hash());
        let mut coins = BTreeMap::new();
        snapshot.for_each_coin(|outpoint, coin| drop(coins.insert(outpoint, held(coin)))).unwrap();
        assert!(coins == spot.books.coins, "coins: {coins:#?}\nbooks: {:#?}", spot.books.coins);
        check_assets(&elements, &spot.books);
        spot.books.audit();
    }

    /// Gives the branch that is followed to a node that knows nothing else.
    fn replay(&self) {
        let mut straight = self.chain.node("straight");
        straight.ledger.set_catching_up(true);
        straight.take_all(&self.tree.branch(&self.node.tip()));
        assert_eq!((straight.tip(), straight.state_hash()), (self.node.tip(), self.node.state_hash()));
    }
}

fn held(coin: Coin) -> Held {
    let assets = coin.assets.into_iter().map(|carried| match carried.asset {
        AssetReference::Existing(asset) => ((asset, carried.token), carried.quantity),
        AssetReference::New => panic!("a coin of an asset without id"),
    });
    Held {
        owner: coin.owner,
        amount: coin.amount.0,
        assets: assets.collect(),
        height: coin.height.0,
        coinbase: coin.coinbase,
    }
}

/// Holds the issued totals and tokens of a state against the books.
fn check_assets(elements: &BTreeMap<StateKey, StateValue>, books: &Books) {
    let issued: BTreeMap<Txid, u128> = elements
        .iter()
        .filter_map(|(key, value)| match (key, value) {
            (StateKey::Entity(id), StateValue::Entity(entity)) => match entity.kind {
                EntityKind::Asset { issued, .. } => Some((*id, u128::from(issued))),
                _ => None,
            },
            _ => None,
        })
        .collect();
    let booked = books.assets.iter().map(|(id, asset)| (*id, asset.issued)).collect();
    assert_eq!(issued, booked, "issued totals: state, and books");
    let tokens = elements.keys().filter_map(|key| match key {
        StateKey::Token(asset, token) => Some((*asset, Some(token.clone()))),
        _ => None,
    });
    assert_eq!(tokens.collect::<Vec<Unit>>(), books.tokens.keys().cloned().collect::<Vec<Unit>>());
}

fn cases() -> u32 {
    std::env::var(CASES_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(CASES)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_comes_out_of_thin_air_whatever_branches_a_node_follows(
        setup in setup(),
        steps in vec(step(), 1..40),
    ) {
        let mut history = History::new(setup);
        for step in &steps {
            history.step(step);
        }
    }
}

/// The property says little about histories in which nothing happens.
#[test]
fn random_histories_confirm_refuse_and_reorganise() {
    let mut runner = TestRunner::deterministic();
    let mut all = Tally::default();
    for _ in 0..8 {
        let (setup, steps) = (setup(), vec(step(), 30)).new_tree(&mut runner).unwrap().current();
        let mut history = History::new(setup);
        steps.iter().for_each(|step| history.step(step));
        history.replay();
        let tally = history.tally;
        all.confirmed += tally.confirmed;
        all.refused += tally.refused;
        all.reorganised += tally.reorganised;
        all.deepest = all.deepest.max(tally.deepest);
    }
    assert!(all.confirmed > 100 && all.refused > 40 && all.reorganised > 10 && all.deepest > 3, "{all:?}");
}
