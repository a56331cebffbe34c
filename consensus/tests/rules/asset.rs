//! Assets and tokens: who may issue them, how much, and that units neither appear nor vanish.

use rota_chain::amount::{Amount, Height};
use rota_chain::asset::{AssetQuantity, AssetReference, AssetRules, IssueAsset, IssueMore, UpdateAsset};
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::permission::Permission;
use rota_chain::transaction::{OutPoint, Output};
use rota_consensus::ops::asset::{MAX_ISSUED, MAX_MULTIPLE};
use rota_consensus::rule::AssetRule;
use rota_consensus::state::{EntityKind, StateView};

use crate::chain_builder::{Chain, coin_of};
use crate::transaction_builder::{Party, Writing, broken, party};

const OPEN: AssetRules = AssetRules {
    open: true,
    fungible: true,
    can_open: false,
    can_close: false,
    restrict_send: false,
    restrict_receive: false,
    restrict_issue: true,
    total_limit: None,
    issue_limit: None,
};

fn of(asset: AssetReference, token: Option<&str>, quantity: u64) -> AssetQuantity {
    AssetQuantity { asset, token: token.map(|token| token.as_bytes().to_vec()), quantity }
}

fn carrying(recipient: &Party, assets: Vec<AssetQuantity>) -> Output {
    Output { recipient: Some(recipient.lock()), amount: Amount::ZERO, assets, operations: Vec::new() }
}

/// Issues `quantity` units of a new asset to alice.
fn issue(writing: Writing, name: &str, rules: AssetRules, quantity: u64) -> Writing {
    let operation = Operation::IssueAsset(IssueAsset {
        name: name.as_bytes().to_vec(),
        multiple: 1,
        rules,
        quantity,
        details: Vec::new(),
    });
    let assets = if quantity == 0 { Vec::new() } else { vec![of(AssetReference::New, None, quantity)] };
    writing.output(Output { operations: vec![operation], ..carrying(&party("alice"), assets) })
}

/// Issues more of an asset, or a token, to alice.
fn more(writing: Writing, asset: Txid, token: Option<&str>, quantity: u64) -> Writing {
    let operation = Operation::IssueMore(IssueMore {
        asset,
        token: token.map(|token| token.as_bytes().to_vec()),
        quantity,
        details: Vec::new(),
    });
    let assets = if quantity == 0 { Vec::new() } else { vec![of(AssetReference::Existing(asset), token, quantity)] };
    writing.output(Output { operations: vec![operation], ..carrying(&party("alice"), assets) })
}

fn update(writing: Writing, asset: Txid, open: bool) -> Writing {
    writing.operation(Operation::UpdateAsset(UpdateAsset { asset, open }))
}

fn send(chain: &Chain, coin: OutPoint, from: &Party, outputs: &[(&Party, Txid, u64)]) -> Writing {
    outputs.iter().fold(chain.write().spend(coin, from), |writing, (to, asset, quantity)| {
        writing.output(carrying(to, vec![of(AssetReference::Existing(*asset), None, *quantity)]))
    })
}

/// A chain with an asset of 100 units in alice's hands; bob may send and receive, and nothing else.
fn with_asset(rules: AssetRules) -> (Chain, Txid, OutPoint) {
    let mut chain = Chain::new();
    let alice = party("alice");
    chain.confirm(chain.write().author(&alice).grant(&party("bob"), "send,receive"));
    let asset = chain.confirm(issue(chain.write().author(&alice), "gold", rules, 100));
    (chain, asset, coin_of(asset, 0))
}

fn by_alice(chain: &Chain) -> Writing {
    chain.write().author(&party("alice"))
}

fn state_of(chain: &Chain, asset: Txid) -> (AssetRules, u64) {
    match chain.state.entity(&asset).unwrap().unwrap().kind {
        EntityKind::Asset { rules, issued, .. } => (rules, issued),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_issuer_gets_the_units_and_every_right_on_the_asset() {
    let (chain, asset, coin) = with_asset(OPEN);
    let held = chain.state.coin(coin).unwrap().unwrap();
    assert_eq!(held.assets, [of(AssetReference::Existing(asset), None, 100)]);
    assert_eq!(state_of(&chain, asset), (OPEN, 100));
    let rights = [Permission::Admin, Permission::Activate, Permission::Issue, Permission::Send, Permission::Receive];
    assert!(rights.into_iter().all(|right| chain.may_on(asset, &party("alice"), right)));
    assert!(rights.into_iter().all(|right| !chain.may_on(asset, &party("bob"), right)));
}

#[test]
fn issuing_needs_the_issue_permission() {
    let (chain, ..) = with_asset(OPEN);
    let refusal = chain.refusal(issue(chain.write().author(&party("bob")), "tin", OPEN, 0));
    assert_eq!(refusal, AssetRule::Issue.into());
    broken(refusal, "asset-issue");
}

#[test]
fn an_asset_shares_its_names_with_all_entities() {
    let (chain, ..) = with_asset(OPEN);
    broken(chain.refusal(issue(by_alice(&chain), "GOLD", OPEN, 1)), "entity-name-taken");
    broken(chain.refusal(by_alice(&chain).create("gold")), "entity-name-taken");
    broken(chain.refusal(issue(by_alice(&chain), "*", OPEN, 1)), "entity-name-form");
}

#[test]
fn exactly_what_is_issued_is_placed() {
    let chain = Chain::new();
    let placed = |quantity: u64, extra: Vec<AssetQuantity>| {
        issue(by_alice(&chain), "gold", OPEN, quantity).output(carrying(&party("alice"), extra))
    };
    assert!(chain.propose(placed(5, Vec::new())).is_ok());
    let refusal = chain.refusal(placed(5, vec![of(AssetReference::New, None, 1)]));
    assert_eq!(refusal, AssetRule::Unbalanced { inputs: 0, issued: 5, outputs: 6 }.into());
    broken(refusal, "asset-unbalanced");
    let token = placed(0, vec![of(AssetReference::New, Some("t"), 1)]);
    broken(chain.refusal(token), "asset-not-issued");
    let without = by_alice(&chain).output(carrying(&party("alice"), vec![of(AssetReference::New, None, 1)]));
    broken(chain.refusal(without), "asset-not-issued");
}

#[test]
fn a_multiple_is_at_least_one_and_bounded() {
    let chain = Chain::new();
    for (multiple, allowed) in [(0, false), (1, true), (MAX_MULTIPLE, true), (MAX_MULTIPLE + 1, false)] {
        let mut writing = issue(by_alice(&chain), "gold", OPEN, 1);
        if let Operation::IssueAsset(issue) = &mut writing.body.outputs[0].operations[0] {
            issue.multiple = multiple;
        }
        match chain.propose(writing) {
            Ok(_) => assert!(allowed, "{multiple}"),
            Err(rule) => {
                assert!(!allowed, "{multiple}");
                broken(rule, "asset-multiple");
            }
        }
    }
}

#[test]
fn units_balance_for_each_asset() {
    let (mut chain, asset, coin) = with_asset(OPEN);
    let (alice, bob) = (party("alice"), party("bob"));
    for outputs in [vec![(&bob, asset, 99)], vec![(&bob, asset, 60), (&alice, asset, 41)], Vec::new()] {
        let writing = send(&chain, coin, &alice, &outputs).pay(&alice, 0);
        broken(chain.refusal(writing), "asset-unbalanced");
    }
    let unknown = Txid([9; 32]);
    broken(chain.refusal(send(&chain, coin, &alice, &[(&bob, asset, 100), (&bob, unknown, 1)])), "asset-unbalanced");
    let sent = chain.confirm(send(&chain, coin, &alice, &[(&bob, asset, 60), (&alice, asset, 40)]));
    let held = |index| chain.state.coin(coin_of(sent, index)).unwrap().unwrap();
    assert_eq!((held(0).owner, held(0).assets[0].quantity), (bob.lock(), 60));
    assert_eq!((held(1).owner, held(1).assets[0].quantity), (alice.lock(), 40));
    assert_eq!(chain.state.coin(coin).unwrap(), None);
}

#[test]
fn units_need_a_recipient_a_quantity_and_one_place_an_output() {
    let (chain, asset, coin) = with_asset(OPEN);
    let alice = party("alice");
    let all = of(AssetReference::Existing(asset), None, 100);
    let nobody = Output { recipient: None::<Lock>, ..carrying(&alice, vec![all.clone()]) };
    broken(chain.refusal(chain.write().spend(coin, &alice).output(nobody)), "asset-no-recipient");
    let nothing = carrying(&alice, vec![all.clone(), of(AssetReference::Existing(asset), Some("t"), 0)]);
    broken(chain.refusal(chain.write().spend(coin, &alice).output(nothing)), "asset-nothing");
    let half = of(AssetReference::Existing(asset), None, 50);
    let twice = carrying(&alice, vec![half.clone(), half]);
    broken(chain.refusal(chain.write().spend(coin, &alice).output(twice)), "asset-twice");
}

#[test]
fn sums_of_units_that_do_not_fit_are_refused() {
    let (chain, asset, coin) = with_asset(OPEN);
    let alice = party("alice");
    broken(
        chain.refusal(send(&chain, coin, &alice, &[(&alice, asset, u64::MAX), (&alice, asset, 101)])),
        "asset-overflow",
    );
    broken(chain.refusal(issue(by_alice(&chain), "tin", OPEN, MAX_ISSUED + 1)), "asset-overflow");
    broken(chain.refusal(more(by_alice(&chain), asset, None, MAX_ISSUED)), "asset-overflow");
    assert!(chain.propose(more(by_alice(&chain), asset, None, MAX_ISSUED - 100)).is_ok());
}

#[test]
fn more_is_issued_of_an_open_asset_by_those_who_may() {
    let (mut chain, asset, _) = with_asset(OPEN);
    let bob = party("bob");
    chain.confirm(more(by_alice(&chain), asset, None, 7));
    assert_eq!(state_of(&chain, asset).1, 107);
    let by_bob = || more(chain.write().author(&bob), asset, None, 1);
    broken(chain.refusal(by_bob()), "asset-issue-more");
    chain.confirm(by_alice(&chain).grant_on(asset, &bob, "issue"));
    assert!(chain.propose(more(chain.write().author(&bob), asset, None, 1)).is_ok());
    let (closed, tin, _) = with_asset(AssetRules { open: false, ..OPEN });
    broken(closed.refusal(more(by_alice(&closed), tin, None, 1)), "asset-closed");
    let (anybody, lead, _) = with_asset(AssetRules { restrict_issue: false, ..OPEN });
    assert!(anybody.propose(more(anybody.write().author(&bob), lead, None, 1)).is_ok());
    broken(chain.refusal(more(by_alice(&chain), Txid([3; 32]), None, 1)), "asset-missing");
}

#[test]
fn two_issuances_in_one_transaction_add_up() {
    let (mut chain, asset, _) = with_asset(AssetRules { total_limit: Some(110), ..OPEN });
    let two = |a, b| more(more(by_alice(&chain), asset, None, a), asset, None, b);
    broken(chain.refusal(two(6, 5)), "asset-total-limit");
    chain.confirm(two(6, 4));
    assert_eq!(state_of(&chain, asset).1, 110);
}

#[test]
fn limits_hold_for_each_issuance_and_in_total() {
    let limited = AssetRules { total_limit: Some(150), issue_limit: Some(100), ..OPEN };
    let (mut chain, asset, _) = with_asset(limited);
    broken(chain.refusal(issue(by_alice(&chain), "tin", limited, 101)), "asset-issue-limit");
    broken(chain.refusal(more(by_alice(&chain), asset, None, 101)), "asset-issue-limit");
    broken(chain.refusal(more(by_alice(&chain), asset, None, 51)), "asset-total-limit");
    chain.confirm(more(by_alice(&chain), asset, None, 50));
    broken(chain.refusal(more(by_alice(&chain), asset, None, 1)), "asset-total-limit");
    chain.undo();
    assert!(chain.propose(more(by_alice(&chain), asset, None, 1)).is_ok(), "undone units do not count");
}

#[test]
fn a_token_is_issued_once_and_moves_by_its_name() {
    let rules = AssetRules { fungible: false, ..OPEN };
    let mut chain = Chain::new();
    let alice = party("alice");
    broken(chain.refusal(issue(by_alice(&chain), "art", rules, 5)), "asset-token-needed");
    let art = chain.confirm(issue(by_alice(&chain), "art", rules, 0));
    assert_eq!(chain.state.coin(coin_of(art, 0)).unwrap(), None, "an issue of nothing makes no coin of itself");
    let mut placed = issue(by_alice(&chain), "none", rules, 0);
    placed.body.outputs[0].assets.push(of(AssetReference::New, None, 0));
    let none = chain.confirm(placed);
    let held = chain.state.coin(coin_of(none, 0)).unwrap().unwrap();
    assert_eq!(held.assets, [of(AssetReference::Existing(none), None, 0)], "unless the output says that it holds none");
    let emptied = chain.write().spend(coin_of(none, 0), &alice).pay(&alice, 0);
    assert!(chain.propose(emptied).is_ok(), "nothing of it has to be kept");
    let mut some = issue(by_alice(&chain), "some", OPEN, 5);
    some.body.outputs.push(carrying(&alice, vec![of(AssetReference::New, None, 0)]));
    broken(chain.refusal(some), "asset-nothing");
    broken(chain.refusal(more(by_alice(&chain), art, None, 5)), "asset-token-needed");
    assert!(chain.propose(more(by_alice(&chain), art, None, 0)).is_ok(), "details alone may be added");
    broken(chain.refusal(more(by_alice(&chain), art, Some("mona"), 0)), "asset-nothing");
    broken(chain.refusal(more(by_alice(&chain), art, Some(""), 1)), "asset-token-form");
    let mona = chain.confirm(more(by_alice(&chain), art, Some("mona"), 3));
    assert_eq!(chain.state.token(&art, b"mona").unwrap(), Some(mona));
    broken(chain.refusal(more(by_alice(&chain), art, Some("mona"), 1)), "asset-token-taken");
    let twice = more(more(by_alice(&chain), art, Some("new"), 1), art, Some("new"), 1);
    broken(chain.refusal(twice), "asset-token-taken");
    let renamed = chain
        .write()
        .spend(coin_of(mona, 0), &alice)
        .output(carrying(&alice, vec![of(AssetReference::Existing(art), Some("lisa"), 3)]));
    broken(chain.refusal(renamed), "asset-unbalanced");
    let split = chain
        .write()
        .spend(coin_of(mona, 0), &alice)
        .output(carrying(&alice, vec![of(AssetReference::Existing(art), Some("mona"), 1)]))
        .output(carrying(&alice, vec![of(AssetReference::Existing(art), Some("mona"), 2)]));
    assert!(chain.propose(split).is_ok());
    let (fungible, gold, _) = with_asset(OPEN);
    broken(fungible.refusal(more(by_alice(&fungible), gold, Some("bar"), 1)), "asset-fungible");
}

#[test]
fn an_asset_opens_and_closes_only_as_it_was_made() {
    let (mut chain, asset, _) = with_asset(AssetRules { can_open: true, can_close: true, ..OPEN });
    let bob = party("bob");
    broken(chain.refusal(update(chain.write().author(&bob), asset, false)), "asset-update");
    chain.confirm(update(by_alice(&chain), asset, false));
    broken(chain.refusal(more(by_alice(&chain), asset, None, 1)), "asset-closed");
    chain.confirm(update(by_alice(&chain), asset, true));
    assert!(chain.propose(more(by_alice(&chain), asset, None, 1)).is_ok());
    let (fixed, gold, _) = with_asset(OPEN);
    broken(fixed.refusal(update(by_alice(&fixed), gold, false)), "asset-fixed");
    broken(fixed.refusal(update(by_alice(&fixed), gold, true)), "asset-fixed");
    broken(fixed.refusal(update(by_alice(&fixed), Txid([3; 32]), true)), "asset-missing");
}

#[test]
fn a_restricted_asset_asks_its_own_rights_of_both_sides() {
    let (mut chain, asset, coin) = with_asset(AssetRules { restrict_send: true, restrict_receive: true, ..OPEN });
    let (alice, bob) = (party("alice"), party("bob"));
    let to_bob = || send(&chain, coin, &alice, &[(&bob, asset, 100)]);
    assert_eq!(chain.refusal(to_bob()), AssetRule::Receive { asset, address: bob.lock() }.into());
    broken(chain.refusal(to_bob()), "asset-receive");
    chain.confirm(by_alice(&chain).grant_on(asset, &bob, "receive"));
    let sent = chain.confirm(send(&chain, coin, &alice, &[(&bob, asset, 100)]));
    let back = |chain: &Chain| send(chain, coin_of(sent, 0), &bob, &[(&alice, asset, 100)]);
    broken(chain.refusal(back(&chain)), "asset-send");
    chain.confirm(by_alice(&chain).grant_on(asset, &bob, "send"));
    assert!(chain.propose(back(&chain)).is_ok());
    assert_eq!(chain.tip(), Height(5));
}

#[test]
fn strangers_swap_units_neither_can_take_alone() {
    let (mut chain, gold, coin) = with_asset(OPEN);
    let (alice, bob) = (party("alice"), party("bob"));
    chain.confirm(by_alice(&chain).grant(&bob, "issue"));
    let silver = chain.confirm({
        let writing = issue(chain.write().author(&bob), "silver", OPEN, 50);
        let mut writing = writing;
        writing.body.outputs[0].recipient = Some(bob.lock());
        writing
    });
    // Alice offers 100 of gold for 50 of silver; bob completes it.
    let pay = |to: &Party, asset, quantity| carrying(to, vec![of(AssetReference::Existing(asset), None, quantity)]);
    let offer = |chain: &Chain| chain.write().spend_in_part(coin, &alice).output(pay(&alice, silver, 50));
    let complete = offer(&chain).spend_in_part(coin_of(silver, 0), &bob).output(pay(&bob, gold, 100));
    assert!(chain.propose(complete).is_ok());
    broken(chain.refusal(offer(&chain)), "asset-unbalanced");
    let greedy = offer(&chain).spend_in_part(coin_of(silver, 0), &bob).output(pay(&bob, gold, 101));
    broken(chain.refusal(greedy), "asset-unbalanced");
}
