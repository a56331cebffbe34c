//! Entities: names, creators and the place of the creating transaction.

use rota_chain::amount::Height;
use rota_chain::codec::encode;
use rota_chain::permission::Permission;
use rota_consensus::rule::EntityRule;
use rota_consensus::state::StateView;

use crate::chain_builder::Chain;
use crate::transaction_builder::{broken, party};

fn create(chain: &Chain, name: &str) -> Result<(), rota_consensus::rule::Rule> {
    chain.propose(chain.write().author(&party("alice")).create(name)).map(|_| ())
}

#[test]
fn a_name_has_at_most_32_bytes() {
    let chain = Chain::new();
    assert!(create(&chain, &"1234567890".repeat(3)).is_ok());
    assert!(create(&chain, "12345678901234567890123456789012").is_ok());
    let refusal = create(&chain, "123456789012345678901234567890123").unwrap_err();
    assert_eq!(refusal, EntityRule::NameLong { length: 33, limit: 32 }.into());
    broken(refusal, "entity-name-long");
    broken(create(&chain, &"é".repeat(17)).unwrap_err(), "entity-name-long");
}

#[test]
fn a_name_is_text_and_no_reference() {
    let chain = Chain::new();
    for name in ["*", "1-2-3"] {
        broken(create(&chain, name).unwrap_err(), "entity-name-form");
    }
    let mut writing = chain.write().author(&party("alice")).create("x");
    if let rota_chain::operation::Operation::CreateStream(stream) = &mut writing.body.outputs[0].operations[0] {
        stream.name = vec![0xc3, 0x28];
    }
    broken(chain.refusal(writing), "entity-name-form");
    assert!(create(&chain, "détails ✓").is_ok());
}

#[test]
fn a_name_is_taken_whatever_the_case_of_its_ascii_letters() {
    let mut chain = Chain::new();
    chain.confirm(chain.write().author(&party("alice")).create("By-É"));
    for name in ["By-É", "by-É", "BY-É", "root", "ROOT"] {
        let refusal = create(&chain, name).unwrap_err();
        assert_eq!(refusal, EntityRule::NameTaken { name: name.to_owned() }.into());
        broken(refusal, "entity-name-taken");
    }
    assert!(create(&chain, "by-é").is_ok(), "letters beyond ASCII are not folded");
}

#[test]
fn a_name_is_taken_by_a_transaction_before_in_the_same_block() {
    let mut chain = Chain::new();
    let twins: Vec<_> = (0..2).map(|_| chain.sign(chain.write().author(&party("alice")).create("twin"))).collect();
    assert_eq!(chain.pool(twins.clone()).len(), 1);
    let block = chain.block_by(&party("alice"), twins);
    broken(chain.offer(block).unwrap_err(), "entity-name-taken");
}

#[test]
fn entities_without_name_do_not_collide() {
    let mut chain = Chain::new();
    for _ in 0..2 {
        let txid = chain.confirm(chain.write().author(&party("alice")).create(""));
        assert!(chain.state.entity(&txid).unwrap().is_some());
    }
    assert_eq!(chain.state.entity_named(b"").unwrap(), None);
}

#[test]
fn creating_needs_create_of_one_author_and_those_who_hold_it_are_the_creators() {
    let mut chain = Chain::new();
    let [alice, bob, carol, dave] = ["alice", "bob", "carol", "dave"].map(party);
    chain
        .confirm(chain.write().author(&alice).grant(&bob, "create").grant(&carol, "send,admin").grant(&dave, "create"));
    broken(chain.refusal(chain.write().author(&carol).create("s")), "entity-create");
    let txid = chain.confirm(chain.write().author(&bob).author(&carol).author(&dave).create("s"));
    let entity = chain.state.entity(&txid).unwrap().unwrap();
    assert_eq!(entity.creators, [bob.lock(), dave.lock()]);
    assert!(chain.may_on(txid, &dave, Permission::Admin));
    assert!(!chain.may_on(txid, &carol, Permission::Write));
}

#[test]
fn an_entity_remembers_where_its_transaction_begins_in_the_block() {
    let mut chain = Chain::new();
    let alice = party("alice");
    let txs: Vec<_> =
        ["one", "two", "three"].map(|name| chain.sign(chain.write().author(&alice).create(name))).to_vec();
    let height = chain.mine(txs.clone());
    let (block, _) = &chain.blocks[0];
    let bytes = encode(block.as_ref());
    for tx in txs {
        let entity = chain.state.entity(&tx.txid()).unwrap().unwrap();
        assert_eq!(entity.height, height);
        let there = &bytes[entity.offset as usize..];
        assert!(there.starts_with(&encode(&tx)), "at {}", entity.offset);
    }
    let root = chain.genesis.transactions[0].txid();
    let entity = chain.state.entity(&root).unwrap().unwrap();
    assert_eq!(entity.height, Height(0));
    let there = &encode(&chain.genesis)[entity.offset as usize..];
    assert!(there.starts_with(&encode(&chain.genesis.transactions[0])));
}

#[test]
fn a_name_is_free_again_when_its_block_is_undone() {
    let mut chain = Chain::new();
    chain.confirm(chain.write().author(&party("alice")).create("s"));
    assert!(create(&chain, "s").is_err());
    chain.undo();
    assert!(create(&chain, "s").is_ok());
}
