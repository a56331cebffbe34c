//! Permissions: who may grant what, implied rights, ranges, and rights on entities.

use rota_chain::hash::Txid;
use rota_chain::permission::{BlockRange, Permission};
use rota_consensus::authority::granting_right;
use rota_consensus::ops::permission::{applicable, global};
use rota_consensus::rule::PermissionRule;
use rota_consensus::state::EntityKind;

use crate::chain_builder::Chain;
use crate::transaction_builder::{broken, party, several};

/// Rights that an activator may grant, and those that need an administrator.
const BY_ACTIVATOR: [&str; 6] = ["connect", "send", "receive", "low1", "low2", "low3"];
const BY_ADMIN: [&str; 8] = ["create", "issue", "mine", "activate", "admin", "high1", "high2", "high3"];

/// A chain on which bob holds the rights given and nothing else.
fn bob_with(rights: &str) -> Chain {
    let mut chain = Chain::new();
    chain.confirm(chain.write().author(&party("alice")).grant(&party("bob"), rights));
    chain
}

#[test]
fn the_first_node_holds_everything_but_the_custom_rights() {
    let chain = Chain::new();
    for permission in global() {
        let custom = permission.number() >= Permission::Low1.number();
        assert_eq!(chain.may(&party("alice"), permission), !custom, "{permission}");
    }
}

#[test]
fn rights_imply_weaker_ones() {
    let implied = [
        ("connect", "connect"),
        ("send", "send"),
        ("receive", "receive"),
        ("issue", "issue send"),
        ("create", "create send"),
        ("mine", "mine connect"),
        ("activate", "activate connect send receive"),
        ("admin", "admin activate connect send receive"),
        ("low1", "low1"),
        ("high1", "high1"),
    ];
    for (granted, held) in implied {
        let chain = bob_with(granted);
        for permission in global() {
            let expected = held.split(' ').any(|name| name == permission.name());
            assert_eq!(chain.may(&party("bob"), permission), expected, "{permission} by {granted}");
        }
    }
}

#[test]
fn activators_grant_the_lower_rights_and_administrators_all() {
    let carol = party("carol");
    for (granter, allowed) in [
        ("activate", &BY_ACTIVATOR[..]),
        ("admin", &[&BY_ACTIVATOR[..], &BY_ADMIN[..]].concat()[..]),
        ("create,issue,mine,send,high1", &[][..]),
    ] {
        let chain = bob_with(granter);
        for permission in BY_ACTIVATOR.iter().chain(&BY_ADMIN) {
            let expected = allowed.contains(permission);
            for writing in [
                chain.write().author(&party("bob")).grant(&carol, permission),
                chain.write().author(&party("bob")).revoke(&carol, permission),
            ] {
                match chain.propose(writing) {
                    Ok(_) => assert!(expected, "{granter} changes {permission}"),
                    Err(rule) => {
                        assert!(!expected, "{granter} does not change {permission}");
                        broken(rule, "perm-denied");
                    }
                }
            }
        }
    }
}

#[test]
fn a_mixed_list_needs_the_strongest_right() {
    let chain = bob_with("activate");
    let (bob, carol) = (party("bob"), party("carol"));
    let mixed = chain.write().author(&bob).grant(&carol, "send,create");
    assert_eq!(chain.refusal(mixed), PermissionRule::Denied { permission: Permission::Create }.into());
}

#[test]
fn the_table_of_granting_rights_covers_every_right() {
    for permission in Permission::ALL {
        let by_activator =
            BY_ACTIVATOR.contains(&permission.name()) || [Permission::Write, Permission::Read].contains(&permission);
        let expected = if by_activator { Permission::Activate } else { Permission::Admin };
        assert_eq!(granting_right(permission), expected, "{permission}");
    }
}

#[test]
fn a_range_holds_from_its_start_to_before_its_end() {
    let mut chain = Chain::new();
    let (alice, bob) = (party("alice"), party("bob"));
    let range = BlockRange { start: 4, end: 6 };
    chain.confirm(chain.write().author(&alice).grant_range(&bob, "send", range));
    for height in 2..9 {
        assert_eq!(chain.tip().next().0, height);
        assert_eq!(chain.may(&bob, Permission::Send), (4..6).contains(&height), "block {height}");
        chain.mine(Vec::new());
    }
}

#[test]
fn a_grant_replaces_the_whole_range_and_an_inverted_one_holds_never() {
    let mut chain = Chain::new();
    let (alice, bob) = (party("alice"), party("bob"));
    let ranges = [(100, 200), (0, 100), (200, 100), (100, 100)];
    for (start, end) in ranges {
        let range = BlockRange { start, end };
        chain.confirm(chain.write().author(&alice).grant_range(&bob, "send", range));
        let record = chain.record(&bob, Permission::Send);
        assert_eq!(record.range, range);
        assert_eq!(record.granters, [alice.lock()]);
        assert!(record.votes.is_empty());
        assert_eq!(chain.may(&bob, Permission::Send), (start, end) == (0, 100));
    }
    chain.confirm(chain.write().author(&alice).grant(&bob, "send"));
    chain.confirm(chain.write().author(&alice).revoke(&bob, "send"));
    assert!(!chain.may(&bob, Permission::Send));
    assert_eq!(chain.record(&bob, Permission::Send).range, BlockRange::NEVER);
}

#[test]
fn of_two_grants_in_one_transaction_the_later_holds() {
    let mut chain = Chain::new();
    let (alice, bob) = (party("alice"), party("bob"));
    chain.confirm(chain.write().author(&alice).grant(&bob, "send").revoke(&bob, "send"));
    assert!(!chain.may(&bob, Permission::Send));
}

#[test]
fn nothing_prevents_the_last_administrator_from_leaving() {
    let mut chain = Chain::new();
    let alice = party("alice");
    chain.confirm(chain.write().author(&alice).revoke(&alice, "admin,activate"));
    broken(chain.refusal(chain.write().author(&alice).grant(&party("bob"), "send")), "perm-denied");
}

#[test]
fn rights_of_everybody_need_no_grant_and_reach_the_whole_chain_alone() {
    let chain = Chain::with(|rules| {
        rules.anyone.send = true;
        rules.anyone.create = true;
    });
    let bob = party("bob");
    assert!(chain.may(&bob, Permission::Send) && chain.may(&bob, Permission::Create));
    assert!(!chain.may(&bob, Permission::Receive));
    assert!(chain.propose(chain.write().author(&bob).create("s")).is_ok());
    let chain = Chain::with(|rules| {
        rules.anyone.admin = true;
        rules.anyone.send = true;
    });
    let root = chain.genesis.transactions[0].txid();
    for permission in BY_ACTIVATOR.iter().chain(&BY_ADMIN) {
        let writing = chain.write().author(&bob).grant(&party("carol"), permission);
        assert!(chain.propose(writing).is_ok(), "{permission}");
    }
    let on_root = chain.write().author(&bob).grant_on(root, &bob, "write");
    broken(chain.refusal(on_root), "perm-denied");
}

#[test]
fn what_everybody_may_implies_nothing_else() {
    let chain = Chain::with(|rules| {
        rules.anyone.mine = true;
        rules.anyone.create = true;
    });
    let bob = party("bob");
    assert!(chain.may(&bob, Permission::Mine) && chain.may(&bob, Permission::Create));
    assert!(!chain.may(&bob, Permission::Connect) && !chain.may(&bob, Permission::Send));
}

#[test]
fn a_grant_names_recipient_and_rights() {
    let chain = Chain::new();
    let (alice, bob) = (party("alice"), party("bob"));
    broken(chain.refusal(chain.write().author(&alice).grant(&bob, "")), "perm-empty");
    let mut nobody = chain.write().author(&alice).grant(&bob, "send");
    nobody.body.outputs[0].recipient = None;
    broken(chain.refusal(nobody), "perm-no-recipient");
}

#[test]
fn rights_apply_where_they_exist() {
    let chain = Chain::new();
    let (alice, bob) = (party("alice"), party("bob"));
    let root = chain.genesis.transactions[0].txid();
    for permission in Permission::ALL {
        let name = permission.name();
        let global = chain.propose(chain.write().author(&alice).grant(&bob, name));
        let on_stream = chain.propose(chain.write().author(&alice).grant_on(root, &bob, name));
        let custom = permission.number() >= Permission::Low1.number();
        let on_both = custom || name == "admin" || name == "activate";
        let of_streams = name == "write" || name == "read";
        assert_eq!(global.is_ok(), !of_streams, "global {name}");
        assert_eq!(on_stream.is_ok(), on_both || of_streams, "stream {name}");
        for refusal in [global.err(), on_stream.err()].into_iter().flatten() {
            assert_eq!(refusal, PermissionRule::NotApplicable { permission }.into());
            broken(refusal, "perm-not-applicable");
        }
    }
    let variable = EntityKind::Variable { restrict_write: true, last: root };
    assert!(!applicable(&variable).contains(&Permission::Read));
}

#[test]
fn rights_on_an_entity_that_does_not_exist_are_refused() {
    let chain = Chain::new();
    let entity = Txid([9; 32]);
    let writing = chain.write().author(&party("alice")).grant_on(entity, &party("bob"), "write");
    let refusal = chain.refusal(writing);
    assert_eq!(refusal, PermissionRule::NoEntity { entity }.into());
    broken(refusal.clone(), "perm-no-entity");
    assert!(refusal.may_pass(), "the entity may come");
}

#[test]
fn several_keys_may_hold_any_right_but_mine() {
    let chain = Chain::new();
    let (alice, group) = (party("alice"), several(1, &["x", "y"]));
    broken(chain.refusal(chain.write().author(&alice).grant(&group, "send,mine")), "perm-mine-multisig");
    let others = "connect,send,receive,create,issue,activate,admin";
    assert!(chain.propose(chain.write().author(&alice).grant(&group, others)).is_ok());
}

#[test]
fn an_entity_is_ruled_by_its_own_administrators_and_activators() {
    let mut chain = Chain::new();
    let (alice, bob, carol) = (party("alice"), party("bob"), party("carol"));
    chain.confirm(chain.write().author(&alice).grant(&bob, "create").grant(&carol, "send"));
    let stream = chain.confirm(chain.write().author(&bob).create_closed("bobs"));
    for right in ["admin", "activate", "write", "read"] {
        assert!(chain.may_on(stream, &bob, right.parse().unwrap()), "{right}");
        assert!(!chain.may_on(stream, &alice, right.parse().unwrap()), "{right}");
    }
    // The chain's administrator has no power over it.
    broken(chain.refusal(chain.write().author(&alice).grant_on(stream, &carol, "write")), "perm-denied");
    chain.confirm(chain.write().author(&bob).grant_on(stream, &carol, "activate"));
    let by_carol = |rights: &str| chain.propose(chain.write().author(&carol).grant_on(stream, &alice, rights));
    for rights in ["write", "read", "low2"] {
        assert!(by_carol(rights).is_ok(), "{rights}");
    }
    for rights in ["admin", "activate", "high2", "write,high2"] {
        broken(by_carol(rights).unwrap_err(), "perm-denied");
    }
    assert!(!chain.may_on(stream, &carol, Permission::Write));
    assert!(!chain.may_on(stream, &carol, Permission::Admin));
}

#[test]
fn administrators_of_an_entity_may_remove_each_other_and_the_creator_too() {
    let mut chain = bob_with("create");
    let (alice, bob, carol) = (party("alice"), party("bob"), party("carol"));
    chain.confirm(chain.write().author(&alice).grant(&carol, "send"));
    let stream = chain.confirm(chain.write().author(&bob).create_closed("bobs"));
    chain.confirm(chain.write().author(&bob).grant_on(stream, &carol, "admin"));
    let range = BlockRange::NEVER;
    chain.confirm(chain.write().author(&carol).grant_for(Some(stream), &bob, "write,admin,activate", range));
    broken(chain.refusal(chain.write().author(&bob).publish(stream, "k")), "stream-write");
    broken(chain.refusal(chain.write().author(&bob).grant_on(stream, &bob, "write")), "perm-denied");
}
