//! The state and its hash: the same whatever path led there.

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use rota_chain::amount::Height;
use rota_chain::hash::Txid;
use rota_chain::permission::{BlockRange, Permission};
use rota_chain::transaction::Transaction;
use rota_consensus::state::{MemoryState, Overlay, StateKey, StateValue, StateView};

use crate::chain_builder::{Chain, coin_of, inverse};
use crate::transaction_builder::{Party, party};

const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
const RIGHTS: [&str; 8] = ["send,receive", "create", "admin", "mine", "activate", "issue", "connect", "low1,high2"];

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Block(Vec<Wish>, usize),
    Undo(usize),
}

/// A transaction that somebody tries; most are valid at some time.
#[derive(Clone, Debug)]
enum Wish {
    Grant(usize, usize, usize, u8),
    Create(usize, u8),
    Publish(usize),
    Rule(usize, usize),
    Pay(usize, usize, u8),
}

fn wish() -> impl Strategy<Value = Wish> {
    let who = || 0..NAMES.len();
    // Alice, who may everything at first, acts as often as all others together.
    let actor = || prop_oneof![3 => Just(0), 4 => who()];
    prop_oneof![
        4 => (actor(), who(), 0..RIGHTS.len(), any::<u8>()).prop_map(|(a, b, r, n)| Wish::Grant(a, b, r, n)),
        2 => (actor(), any::<u8>()).prop_map(|(a, n)| Wish::Create(a, n)),
        1 => actor().prop_map(Wish::Publish),
        1 => (actor(), who()).prop_map(|(a, b)| Wish::Rule(a, b)),
        3 => (actor(), who(), any::<u8>()).prop_map(|(a, b, n)| Wish::Pay(a, b, n)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (proptest::collection::vec(wish(), 0..5), 0..NAMES.len())
            .prop_map(|(wishes, miner)| Step::Block(wishes, miner)),
        1 => (1usize..4).prop_map(Step::Undo),
    ]
}

fn new_chain() -> Chain {
    Chain::with(|rules| {
        rules.initial_block_reward = 1_000;
        rules.reward_spendable_delay = 2;
        rules.consensus_admin = 400_000;
        rules.consensus_mine = 500_000;
        rules.mining_diversity = 300_000;
    })
}

fn who(index: usize) -> Party {
    party(NAMES[index])
}

/// The wish as a transaction; coins are those of rewards on the present branch.
fn write(chain: &Chain, wish: &Wish, last_stream: Txid) -> Transaction {
    let writing = match wish {
        Wish::Grant(by, to, right, range) => {
            let range = match range % 4 {
                0 => BlockRange::NEVER,
                1 => BlockRange { start: 0, end: 12 },
                _ => BlockRange::ALWAYS,
            };
            chain.write().author(&who(*by)).grant_range(&who(*to), RIGHTS[*right], range)
        }
        Wish::Create(by, name) => chain.write().author(&who(*by)).create_closed(&format!("s{}", name % 6)),
        Wish::Publish(by) => chain.write().author(&who(*by)).publish(last_stream, "k"),
        Wish::Rule(by, to) => chain.write().author(&who(*by)).grant_on(last_stream, &who(*to), "write,admin"),
        Wish::Pay(by, to, pick) => {
            let height = Height(u32::from(*pick) % chain.tip().0.max(1) + 1);
            let coin = if height <= chain.tip() { chain.reward_of(height) } else { coin_of(last_stream, 0) };
            chain.write().spend(coin, &who(*by)).pay(&who(*to), 600).pay(&who(*by), 400)
        }
    };
    chain.sign(writing)
}

/// Plays a history; gives how many transactions were confirmed.
fn play(chain: &mut Chain, steps: &[Step]) -> usize {
    let mut hashes = vec![chain.hash()];
    let mut confirmed = 0;
    for step in steps {
        match step {
            Step::Undo(count) => {
                for _ in 0..*count {
                    if chain.undo().is_some() {
                        hashes.pop();
                        assert_eq!(Some(&chain.hash()), hashes.last());
                    }
                }
            }
            Step::Block(wishes, first) => {
                let created = chain.blocks.iter().rev().flat_map(|(block, _)| &block.transactions);
                let stream = created
                    .map(Transaction::txid)
                    .find(|txid| chain.state.entity(txid).unwrap().is_some())
                    .unwrap_or_else(|| chain.genesis.transactions[0].txid());
                let wanted = wishes.iter().map(|wish| write(chain, wish, stream)).collect();
                let taken = chain.pool(wanted);
                let turn = (0..NAMES.len()).map(|index| who((first + index) % NAMES.len()));
                for miner in turn.collect::<Vec<_>>() {
                    if chain.mine_by(&miner, taken.clone()).is_ok() {
                        confirmed += taken.len();
                        hashes.push(chain.hash());
                        break;
                    }
                }
            }
        }
    }
    confirmed
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_state_hash_does_not_depend_on_the_path(steps in proptest::collection::vec(step(), 1..30)) {
        let mut chain = new_chain();
        play(&mut chain, &steps);
        assert_eq!(chain.state.multiset().hash(), chain.hash(), "kept up to date and computed anew");
        let mut straight = new_chain();
        for (block, _) in &chain.blocks {
            straight.offer((**block).clone()).expect("a block of the branch");
        }
        assert_eq!(straight.hash(), chain.hash());
        while chain.undo().is_some() {}
        assert_eq!(chain.hash(), new_chain().hash());
    }
}

#[test]
fn random_histories_do_confirm_transactions() {
    let steps: Vec<Step> = (0..20)
        .map(|index| {
            let wishes = vec![
                Wish::Grant(0, index % 4, index % RIGHTS.len(), 2),
                Wish::Create(0, u8::try_from(index).unwrap()),
                Wish::Pay(0, 0, u8::try_from(index).unwrap()),
            ];
            Step::Block(wishes, 0)
        })
        .collect();
    let mut chain = new_chain();
    assert!(play(&mut chain, &steps) > 20);
    assert!(chain.tip().0 > 10);
}

#[test]
fn changes_and_their_inverse_leave_everything_as_it_was() {
    let mut chain = new_chain();
    let (alice, bob) = (party("alice"), party("bob"));
    chain.mine_to(4);
    let coin = chain.reward_of(Height(1));
    let writing =
        chain.write().author(&alice).spend(coin, &alice).grant(&bob, "send,mine").create("s").pay(&alice, 1_000);
    let (before, elements) = (chain.multiset.clone(), chain.state.multiset());
    chain.confirm(writing);
    let (_, changes) = chain.blocks.last().unwrap();
    let mut multiset = chain.multiset.clone();
    assert_ne!(multiset, before);
    inverse(changes).apply_to(&mut multiset);
    assert_eq!(multiset, before);
    chain.undo();
    assert_eq!(chain.state.multiset(), elements);
}

#[test]
fn an_overlay_lists_holders_as_if_its_changes_were_committed() {
    let mut chain = new_chain();
    let writing = chain.write().author(&party("alice")).grant(&party("bob"), "mine").grant(&party("carol"), "mine");
    chain.confirm(writing);
    let dave = chain.sign(
        chain.write().author(&party("alice")).grant(&party("dave"), "mine,low1,issue").revoke(&party("bob"), "mine"),
    );
    let changes = chain.judge(dave).unwrap().changes;
    let mut overlay = Overlay::new(&chain.state);
    overlay.absorb(changes.clone());
    let mut committed: MemoryState = chain.state.clone();
    committed.commit(changes);
    for permission in Permission::ALL {
        assert_eq!(
            overlay.holders(None, permission).unwrap(),
            committed.holders(None, permission).unwrap(),
            "{permission}"
        );
    }
    assert_eq!(overlay.holders(None, Permission::Mine).unwrap().len(), 4);
    let root = Some(chain.genesis.transactions[0].txid());
    assert_eq!(overlay.holders(root, Permission::Write).unwrap().len(), 1);
}

#[test]
fn an_element_that_ends_as_it_began_changes_no_hash() {
    let chain = new_chain();
    let mut overlay = Overlay::new(&chain.state);
    let key = StateKey::LastMined(party("bob").hash());
    overlay.put(key.clone(), Some(StateValue::LastMined(Height(9)))).unwrap();
    assert_eq!(overlay.last_mined(party("bob").hash()).unwrap(), Some(Height(9)));
    overlay.put(key, None).unwrap();
    let mut multiset = chain.multiset.clone();
    overlay.changes().apply_to(&mut multiset);
    assert_eq!(multiset, chain.multiset);
}

#[test]
fn the_state_before_genesis_is_empty_and_the_header_says_so() {
    let chain = new_chain();
    assert_eq!(chain.genesis.header().state_hash, MemoryState::default().multiset().hash());
}

#[test]
fn an_element_changed_twice_in_a_block_counts_once_and_is_undone_at_once() {
    let mut chain = new_chain();
    let (alice, bob) = (party("alice"), party("bob"));
    chain.confirm(chain.write().author(&alice).grant(&bob, "low1"));
    let before = chain.hash();
    let ranges = [7, 8, 9].map(|end| BlockRange { start: 0, end });
    let grants = ranges.map(|range| chain.sign(chain.write().author(&alice).grant_range(&bob, "low1", range)));
    chain.mine(grants.to_vec());
    assert_eq!(chain.record(&bob, Permission::Low1).range, ranges[2]);
    assert_eq!(chain.state.multiset().hash(), chain.hash());
    chain.undo();
    assert_eq!(chain.record(&bob, Permission::Low1).range, BlockRange::ALWAYS);
    assert_eq!(chain.hash(), before);
    assert_eq!(chain.state.multiset().hash(), before);
}
