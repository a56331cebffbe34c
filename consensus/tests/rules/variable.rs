//! Variables: who may create and set them, and where their value stands.

use rota_chain::hash::Txid;
use rota_chain::operation::Operation;
use rota_chain::permission::Permission;
use rota_chain::variable::{CreateVariable, SetVariable};
use rota_consensus::rule::VariableRule;
use rota_consensus::state::{EntityKind, StateView};

use crate::chain_builder::Chain;
use crate::transaction_builder::{Writing, broken, party};

fn create(writing: Writing, name: &str, restrict_write: bool) -> Writing {
    let create = CreateVariable { name: name.as_bytes().to_vec(), restrict_write, value: b"1".to_vec() };
    writing.operation(Operation::CreateVariable(create))
}

fn set(writing: Writing, variable: Txid) -> Writing {
    writing.operation(Operation::SetVariable(SetVariable { variable, value: b"2".to_vec() }))
}

fn last(chain: &Chain, variable: Txid) -> Txid {
    match chain.state.entity(&variable).unwrap().unwrap().kind {
        EntityKind::Variable { last, .. } => last,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_variable_remembers_who_set_it_last() {
    let mut chain = Chain::new();
    let alice = party("alice");
    let rate = chain.confirm(create(chain.write().author(&alice), "rate", true));
    assert_eq!(last(&chain, rate), rate);
    let rights = [Permission::Admin, Permission::Activate, Permission::Write];
    assert!(rights.into_iter().all(|right| chain.may_on(rate, &alice, right)));
    let later = chain.confirm(set(chain.write().author(&alice), rate));
    assert_eq!(last(&chain, rate), later);
    chain.undo();
    assert_eq!(last(&chain, rate), rate);
}

#[test]
fn creating_a_variable_needs_create_and_a_free_name() {
    let mut chain = Chain::new();
    let (alice, bob) = (party("alice"), party("bob"));
    chain.confirm(chain.write().author(&alice).grant(&bob, "send"));
    broken(chain.refusal(create(chain.write().author(&bob), "rate", true)), "entity-create");
    broken(chain.refusal(create(chain.write().author(&alice), "root", true)), "entity-name-taken");
    broken(chain.refusal(create(chain.write().author(&alice), "1-2-3", true)), "entity-name-form");
}

#[test]
fn setting_a_variable_needs_write_on_it() {
    let mut chain = Chain::new();
    let (alice, bob) = (party("alice"), party("bob"));
    chain.confirm(chain.write().author(&alice).grant(&bob, "send"));
    let closed = chain.confirm(create(chain.write().author(&alice), "closed", true));
    let open = chain.confirm(create(chain.write().author(&alice), "open", false));
    let by_bob = |variable| set(chain.write().author(&bob), variable);
    assert_eq!(chain.refusal(by_bob(closed)), VariableRule::Write { variable: closed }.into());
    broken(chain.refusal(by_bob(closed)), "variable-write");
    assert!(chain.propose(by_bob(open)).is_ok());
    broken(chain.refusal(by_bob(Txid([4; 32]))), "variable-missing");
    chain.confirm(chain.write().author(&alice).grant_on(closed, &bob, "write"));
    assert!(chain.propose(set(chain.write().author(&bob), closed)).is_ok());
}
