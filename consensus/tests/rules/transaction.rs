//! Transactions as a whole: their form, who answers for them, and who may send and receive.

use rota_chain::amount::Amount;
use rota_chain::filter::{CreateLibrary, LibraryUpdateMode, UpdateLibrary};
use rota_chain::hash::Txid;
use rota_chain::operation::{Genesis, Operation};
use rota_chain::permission::Permission;
use rota_chain::transaction::{Output, Transaction};
use rota_consensus::rule::{Rule, TransactionRule};

use crate::chain_builder::{Chain, coin_of};
use crate::transaction_builder::{broken, party};

#[test]
fn an_unknown_version_is_refused() {
    let chain = Chain::new();
    let mut writing = chain.write().author(&party("alice")).create("s");
    writing.body.version = 2;
    assert_eq!(chain.refusal(writing), TransactionRule::Version { version: 2 }.into());
    broken(TransactionRule::Version { version: 2 }, "tx-version");
}

#[test]
fn a_transaction_may_be_as_large_as_the_chain_allows_and_no_larger() {
    let size = {
        let chain = Chain::new();
        chain.sign(chain.write().author(&party("alice")).create("s")).size()
    };
    let limit = |limit: usize| Chain::with(|rules| rules.maximum_transaction_size = u32::try_from(limit).unwrap());
    let create = |chain: &Chain| chain.propose(chain.write().author(&party("alice")).create("s"));
    assert!(create(&limit(size)).is_ok());
    broken(create(&limit(size - 1)).unwrap_err(), "tx-size");
}

#[test]
fn something_must_come_out_and_somebody_must_answer() {
    let chain = Chain::new();
    broken(chain.refusal(chain.write().author(&party("alice"))), "tx-no-outputs");
    broken(chain.refusal(chain.write().pay(&party("alice"), 0)), "tx-nobody");
}

#[test]
fn a_coinbase_stands_nowhere_but_first_in_a_block() {
    let mut chain = Chain::new();
    let height = chain.tip().next();
    let pay = Output::payment(party("alice").lock(), Amount::ZERO);
    let coinbase = Transaction::coinbase(height, vec![pay]);
    broken(chain.judge(coinbase.clone()).unwrap_err(), "tx-coinbase");
    let block = chain.block_by(&party("alice"), vec![coinbase]);
    broken(chain.offer(block).unwrap_err(), "tx-coinbase");
}

#[test]
fn a_coin_is_spent_once_in_a_transaction() {
    let mut chain = Chain::new();
    let alice = party("alice");
    let txid = chain.confirm(chain.write().author(&alice).pay(&alice, 0));
    let coin = coin_of(txid, 0);
    let twice = chain.write().spend(coin, &alice).spend(coin, &alice).pay(&alice, 0);
    assert_eq!(chain.refusal(twice), TransactionRule::InputTwice { outpoint: coin }.into());
    broken(TransactionRule::InputTwice { outpoint: coin }, "tx-input-twice");
}

#[test]
fn an_author_is_listed_once() {
    let chain = Chain::new();
    let alice = party("alice");
    broken(chain.refusal(chain.write().author(&alice).author(&alice).create("s")), "tx-author-twice");
}

#[test]
fn outputs_that_only_carry_data_are_counted() {
    let chain = Chain::with(|rules| rules.maximum_data_outputs = 2);
    let publish = |count: usize| {
        (0..count).fold(chain.write().author(&party("alice")), |writing, _| writing.publish(root(&chain), "k"))
    };
    assert!(chain.propose(publish(2)).is_ok());
    assert_eq!(chain.refusal(publish(3)), TransactionRule::DataOutputs { count: 3, limit: 2 }.into());
    broken(TransactionRule::DataOutputs { count: 3, limit: 2 }, "tx-data-outputs");
}

#[test]
fn a_transaction_creates_one_entity_at_most() {
    let chain = Chain::new();
    let two = chain.write().author(&party("alice")).create("one").create("two");
    broken(chain.refusal(two), "tx-many-entities");
}

#[test]
fn the_genesis_operation_stands_in_the_genesis_block_alone() {
    let chain = Chain::new();
    let operation = Operation::Genesis(Genesis { rules: chain.rules_hash(), description: Vec::new() });
    broken(chain.refusal(chain.write().author(&party("alice")).operation(operation)), "tx-genesis-operation");
}

#[test]
fn operations_of_later_versions_are_refused_by_name() {
    let chain = Chain::new();
    let entity = Txid([1; 32]);
    let operations = [
        Operation::CreateLibrary(CreateLibrary {
            name: b"l".to_vec(),
            update_mode: LibraryUpdateMode::None,
            code: Vec::new(),
        }),
        Operation::UpdateLibrary(UpdateLibrary { library: entity, name: Vec::new(), code: Vec::new() }),
    ];
    for operation in operations {
        broken(chain.refusal(chain.write().author(&party("alice")).operation(operation)), "tx-operation-off");
    }
}

#[test]
fn every_author_and_owner_needs_send() {
    let mut chain = Chain::new();
    let (alice, bob) = (party("alice"), party("bob"));
    chain.confirm(chain.write().author(&alice).grant(&bob, "receive"));
    let txid = chain.confirm(chain.write().author(&alice).pay(&bob, 0));
    let denied = Rule::from(TransactionRule::Send { address: bob.lock() });
    broken(denied.clone(), "tx-send");
    let publish = |authors: &[&str]| {
        authors.iter().fold(chain.write(), |w, name| w.author(&party(name))).publish(root(&chain), "k")
    };
    assert_eq!(chain.refusal(publish(&["bob"])), denied);
    assert_eq!(chain.refusal(publish(&["alice", "bob"])), denied);
    let spend = chain.write().author(&alice).spend(coin_of(txid, 0), &bob).pay(&alice, 0);
    assert_eq!(chain.refusal(spend.clone()), denied);
    chain.confirm(chain.write().author(&alice).grant(&bob, "send"));
    assert!(chain.propose(spend).is_ok());
}

#[test]
fn a_recipient_of_a_payment_needs_receive_and_a_recipient_of_a_grant_does_not() {
    let mut chain = Chain::with(|rules| rules.anyone.receive_empty = false);
    let (alice, bob) = (party("alice"), party("bob"));
    let pay = chain.write().author(&alice).pay(&bob, 0);
    assert_eq!(chain.refusal(pay.clone()), TransactionRule::Receive { address: bob.lock() }.into());
    broken(TransactionRule::Receive { address: bob.lock() }, "tx-receive");
    chain.confirm(chain.write().author(&alice).grant(&bob, "receive"));
    assert!(chain.propose(pay).is_ok());
}

#[test]
fn who_may_receive_nothing_may_still_not_receive_something() {
    let mut chain = Chain::with(|rules| {
        rules.anyone.receive_empty = true;
        rules.initial_block_reward = 100;
    });
    let (alice, bob) = (party("alice"), party("bob"));
    assert!(chain.propose(chain.write().author(&alice).pay(&bob, 0)).is_ok());
    chain.mine_to(3);
    let coin = chain.reward_of(rota_chain::amount::Height(1));
    broken(chain.refusal(chain.write().spend(coin, &alice).pay(&bob, 100)), "tx-receive");
}

#[test]
fn one_author_with_the_right_is_enough_and_owners_answer_where_no_author_is_listed() {
    let mut chain = Chain::new();
    let (alice, bob) = (party("alice"), party("bob"));
    chain.confirm(chain.write().author(&alice).grant(&bob, "send,receive"));
    let txid = chain.confirm(chain.write().author(&alice).pay(&bob, 0).pay(&alice, 0));
    let (of_bob, of_alice) = (coin_of(txid, 0), coin_of(txid, 1));
    let grant = |writing: crate::transaction_builder::Writing| writing.grant(&bob, "create");
    assert!(chain.propose(grant(chain.write().author(&bob).author(&alice))).is_ok());
    broken(chain.refusal(grant(chain.write().author(&bob))), "perm-denied");
    assert!(chain.propose(grant(chain.write().spend(of_bob, &bob).spend(of_alice, &alice))).is_ok());
    // An author is listed: the owners of coins answer no more.
    broken(chain.refusal(grant(chain.write().author(&bob).spend(of_alice, &alice))), "perm-denied");
}

#[test]
fn rights_are_judged_before_the_transaction_that_changes_them() {
    let mut chain = Chain::new();
    let (alice, bob, carol) = (party("alice"), party("bob"), party("carol"));
    // She takes her own right in output 0 and still grants in output 1: both take effect together.
    let farewell = chain.write().author(&alice).revoke(&alice, "admin").grant(&bob, "admin");
    chain.confirm(farewell);
    assert!(chain.may(&bob, Permission::Admin) && !chain.may(&alice, Permission::Admin));
    // An activator grants, in a transaction in which bob makes the activator administrator: too early for create.
    chain.confirm(chain.write().author(&bob).grant(&carol, "activate"));
    let coin = chain.confirm(chain.write().author(&bob).pay(&carol, 0).pay(&bob, 0));
    let early = chain
        .write()
        .spend(coin_of(coin, 1), &bob)
        .spend_in_part(coin_of(coin, 0), &carol)
        .grant(&carol, "admin")
        .grant(&alice, "create");
    broken(chain.refusal(early), "perm-denied");
}

fn root(chain: &Chain) -> Txid {
    chain.genesis.transactions[0].txid()
}
