//! Tests of `party`: transactions of assets, and the index of all addresses.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rota_chain::amount::Amount;
use rota_chain::asset::{AssetQuantity, AssetReference, AssetRules, IssueAsset};
use rota_chain::codec::encode;
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::transaction::{OutPoint, Transaction};

use crate::fixture::{Chain, answers, author, publish};
use crate::index::party::{Kind, Pair, Used, uses};
use crate::index::{Indexes, Order, PairList, Selector, StreamReader, Subject};

/// An asset of which author `to` holds all.
fn asset(chain: &mut Chain, to: u8) -> Transaction {
    let issue = IssueAsset {
        name: b"gold".to_vec(),
        multiple: 1,
        rules: AssetRules { fungible: true, ..AssetRules::default() },
        quantity: 10,
        details: Vec::new(),
    };
    let mut transaction = chain.transaction(1, vec![Operation::IssueAsset(issue)]);
    let output = &mut transaction.body.outputs[0];
    output.recipient = Some(author(to));
    output.assets.push(AssetQuantity { asset: AssetReference::New, token: None, quantity: 10 });
    transaction
}

fn reader(chain: &Chain, subject: impl Into<Subject>) -> StreamReader {
    chain.store.snapshot().unwrap().index(subject).unwrap().unwrap()
}

fn list(chain: &Chain, subject: impl Into<Subject>, order: Order, selector: Selector<'_>) -> Vec<Txid> {
    let snapshot = chain.store.snapshot().unwrap();
    let page = reader(chain, subject).page(order, selector, 0..999).unwrap();
    page.iter().map(|row| snapshot.item_transaction(row).unwrap().unwrap().txid).collect()
}

fn coin(txid: Txid, index: u32) -> OutPoint {
    OutPoint { txid, index }
}

#[test]
fn an_asset_lists_what_issues_and_moves_it() {
    let mut chain = Chain::new();
    chain.extend(vec![]);
    let gold = asset(&mut chain, 2);
    let id = gold.txid();
    chain.extend(vec![gold]);
    let sent = chain.transfer(2, &[coin(id, 0)], &[(3, id, 4), (2, id, 6)]);
    let other = chain.transaction(2, vec![]);
    let sent_id = sent.txid();
    let base = chain.extend(vec![sent, other]);
    chain.store.subscribe(id, Indexes::PLAIN, false, true).unwrap();
    assert!(chain.store.index_history(id, |_| true).unwrap());
    let back = chain.transfer(3, &[coin(sent_id, 0)], &[(2, id, 4)]);
    let back_id = back.txid();
    chain.store.index_seen(&[(back_id, &back)]).unwrap();
    assert_eq!(reader(&chain, id).count(Order::Local, Selector::All).unwrap(), 3, "it is listed while it waits");
    chain.extend(vec![back]);
    for order in [Order::Chain, Order::Local] {
        assert_eq!(list(&chain, id, order, Selector::All), [id, sent_id, back_id]);
    }
    chain.store.commit(&chain.move_to(base)).unwrap();
    assert_eq!(list(&chain, id, Order::Chain, Selector::All), [id, sent_id]);
}

#[test]
fn an_explorer_finds_addresses_what_they_use_and_who_spent_an_output() {
    let mut chain = Chain::new();
    chain.store.subscribe(Subject::Explorer, Indexes::CHAIN, false, true).unwrap();
    chain.extend(vec![]);
    let (gold, stream) = (asset(&mut chain, 2), chain.stream("s"));
    let (id, stream_id) = (gold.txid(), stream.txid());
    let sent = chain.transfer(2, &[coin(id, 0)], &[(3, id, 10)]);
    let sent_id = sent.txid();
    let item = chain.item(3, stream_id, &["k"]);
    let item_id = item.txid();
    chain.extend(vec![gold, stream, sent, item]);
    let explorer = reader(&chain, Subject::Explorer);
    assert_eq!(explorer.count(Order::Chain, Selector::All).unwrap(), 6, "two coinbases too");
    assert_eq!(list(&chain, Subject::Explorer, Order::Chain, Selector::Publisher(&author(2))), [id, sent_id]);
    let used = |address: Lock, kind| explorer.pairs(PairList::Of(address, kind), 0..9).unwrap();
    let pair = |number: u8, used| Pair { address: author(number), used };
    assert_eq!(used(author(2), Kind::Asset), [pair(2, Used::Asset(id))]);
    assert_eq!(used(author(3), Kind::Asset), [pair(3, Used::Asset(id))]);
    assert_eq!(used(author(3), Kind::Stream), [pair(3, Used::Stream(stream_id))]);
    assert_eq!(used(author(2), Kind::Stream), []);
    let holders = explorer.pairs(PairList::By(Used::Asset(id)), 0..9).unwrap();
    assert_eq!(holders, [pair(2, Used::Asset(id)), pair(3, Used::Asset(id))]);
    assert_eq!(explorer.pairs(PairList::By(Used::Asset(id)), 1..2).unwrap(), [pair(3, Used::Asset(id))]);
    assert_eq!(explorer.pair_count(PairList::By(Used::Asset(id))).unwrap(), 2);
    let moved = Selector::Pair(&holders[0]);
    assert_eq!(list(&chain, Subject::Explorer, Order::Chain, moved), [id, sent_id], "giving counts, in one block too");
    let written = pair(3, Used::Stream(stream_id));
    assert_eq!(list(&chain, Subject::Explorer, Order::Chain, Selector::Pair(&written)), [item_id]);
    let spender = encode(&coin(id, 0));
    assert_eq!(list(&chain, Subject::Explorer, Order::Chain, Selector::Key(&spender)), [sent_id]);
    let unspent = encode(&coin(sent_id, 0));
    assert_eq!(list(&chain, Subject::Explorer, Order::Chain, Selector::Key(&unspent)), []);
}

/// Everything the index of addresses answers.
fn explored(chain: &Chain) -> Vec<String> {
    let mut lines = answers(&chain.store.snapshot().unwrap(), Subject::Explorer, &[Order::Chain]);
    let explorer = reader(chain, Subject::Explorer);
    for address in explorer.publishers(Order::Chain, 0..999).unwrap() {
        for kind in [Kind::Asset, Kind::Stream] {
            for pair in explorer.pairs(PairList::Of(address, kind), 0..999).unwrap() {
                let by = explorer.pairs(PairList::By(pair.used), 0..999).unwrap();
                let moved = list(chain, Subject::Explorer, Order::Chain, Selector::Pair(&pair));
                let totals = explorer.totals(&pair, 0..999).unwrap();
                assert_eq!(totals.len(), moved.len());
                assert_eq!(explorer.total(&pair).unwrap(), *totals.last().unwrap());
                lines.push(format!("{pair:?} {by:?} {moved:?} {totals:?}"));
            }
        }
    }
    lines
}

/// Compares the totals of addresses with the sums over their coins; but for rewards, which are a model's.
fn assert_totals_are_sums_of_coins(chain: &Chain) {
    let snapshot = chain.store.snapshot().unwrap();
    let explorer = reader(chain, Subject::Explorer);
    for address in explorer.publishers(Order::Chain, 0..999).unwrap().into_iter().filter(|known| *known != author(9)) {
        let coins = snapshot.coins_of(&address, None, 999).unwrap();
        for pair in explorer.pairs(PairList::Of(address, Kind::Asset), 0..999).unwrap() {
            let units = coins.iter().map(|(own, coin)| match pair.used {
                Used::Native => u128::from(coin.coin.amount.0),
                used => uses(&own.txid, Amount(0), &coin.coin.assets)
                    .filter(|(held, _)| *held == used)
                    .map(|(_, units)| units.unsigned_abs())
                    .sum(),
            });
            assert_eq!(explorer.total(&pair).unwrap(), units.sum::<u128>(), "{pair:?}");
        }
    }
}

#[test]
fn each_transaction_of_a_pair_has_the_total_after_it() {
    let mut chain = Chain::new();
    chain.store.subscribe(Subject::Explorer, Indexes::CHAIN, false, true).unwrap();
    chain.extend(vec![]);
    let (gold, stream, made) = (asset(&mut chain, 2), chain.stream("s"), chain.payment(&[], &[(2, 8)]));
    let (id, stream_id) = (gold.txid(), stream.txid());
    let sent = chain.transfer(2, &[coin(id, 0)], &[(3, id, 4), (2, id, 6)]);
    let back = chain.transfer(3, &[coin(sent.txid(), 0)], &[(2, id, 3), (3, id, 1)]);
    let base = chain.extend(vec![gold, stream, sent]);
    let paid = chain.payment(&[coin(made.txid(), 0)], &[(3, 5), (2, 3)]);
    let twice = chain.transaction(3, vec![publish(stream_id, &["k"]), publish(stream_id, &[])]);
    let once = chain.item(3, stream_id, &["k"]);
    chain.extend(vec![back, made, paid, twice, once]);
    let totals = |chain: &Chain, number: u8, used| {
        reader(chain, Subject::Explorer).totals(&Pair { address: author(number), used }, 0..9).unwrap()
    };
    assert_eq!(totals(&chain, 2, Used::Asset(id)), [10, 6, 9]);
    assert_eq!(totals(&chain, 3, Used::Asset(id)), [4, 1]);
    assert_eq!(totals(&chain, 2, Used::Native), [8, 3], "made and spent in one block");
    assert_eq!(totals(&chain, 3, Used::Native), [5]);
    assert_eq!(totals(&chain, 3, Used::Stream(stream_id)), [2, 3], "items, not transactions");
    let gold = Pair { address: author(2), used: Used::Asset(id) };
    assert_eq!(reader(&chain, Subject::Explorer).totals(&gold, 1..2).unwrap(), [6]);
    assert_totals_are_sums_of_coins(&chain);
    chain.store.commit(&chain.move_to(base)).unwrap();
    assert_eq!(totals(&chain, 2, Used::Asset(id)), [10, 6]);
    assert_eq!(totals(&chain, 3, Used::Stream(stream_id)), []);
    assert_eq!(reader(&chain, Subject::Explorer).total(&Pair { used: Used::Native, ..gold }).unwrap(), 0);
}

#[test]
fn an_index_of_addresses_that_lived_through_reorganisations_equals_one_made_anew() {
    let mut chain = Chain::new();
    chain.store.subscribe(Subject::Explorer, Indexes::CHAIN, false, true).unwrap();
    chain.extend(vec![]);
    let (gold, stream) = (asset(&mut chain, 0), chain.stream("s"));
    let (id, stream_id) = (gold.txid(), stream.txid());
    let base = chain.extend(vec![gold, stream]);
    // Where the asset is on each branch, and who holds it.
    let mut tips: Vec<(BlockHash, OutPoint, u8)> = vec![(base, coin(id, 0), 0)];
    let mut random = 4_711u64;
    let mut next = |limit: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % limit
    };
    for round in 0..40 {
        let (parent, mut held, mut holder) = tips[next(tips.len())];
        let mut transactions = Vec::new();
        for _ in 0..next(4) {
            let to = u8::try_from(next(4)).unwrap();
            let payment = chain.transfer(holder, &[held], &[(to, id, 10)]);
            (held, holder) = (coin(payment.txid(), 0), to);
            transactions.push(payment);
            transactions.push(chain.item(u8::try_from(next(4)).unwrap(), stream_id, &["k"]));
            // Native currency that a block makes, and partly spends.
            let made = chain.payment(&[], &[(to, 5), (0, 1)]);
            transactions.push(chain.payment(&[coin(made.txid(), 1)], &[(1, 1)]));
            transactions.insert(0, made);
        }
        let block = chain.make(Some(parent), transactions);
        tips.push((block, held, holder));
        chain.store.commit(&chain.move_to(block)).unwrap();
        assert_totals_are_sums_of_coins(&chain);
        if round % 10 == 9 {
            let kept = explored(&chain);
            assert!(chain.store.unsubscribe(Subject::Explorer).unwrap());
            chain.store.subscribe(Subject::Explorer, Indexes::CHAIN, false, true).unwrap();
            assert!(chain.store.index_history(Subject::Explorer, |_| true).unwrap());
            assert_eq!(explored(&chain), kept, "round {round}");
        }
    }
}
