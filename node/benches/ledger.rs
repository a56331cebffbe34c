//! The inner loops of a node: decode, hash, verify with and without the cache, admit to the pool; decode and check a block
//! of 10,000 items, apply it to a state in memory, take it in with indexes and syncs, undo it; read pages.
//! `cargo bench -p rota-node --bench ledger`; figures in docs/performance.md.
#![allow(clippy::unwrap_used, reason = "a bench ends by panicking")]
#![allow(missing_docs, reason = "criterion's macros make items of their own")]

mod world;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use rota_chain::block::Block;
use rota_chain::codec::{decode, encode};
use rota_chain::lock::Lock;
use rota_chain::transaction::Transaction;
use rota_consensus::signature::SignatureCache;
use rota_consensus::state::Overlay;
use rota_consensus::transaction::apply_transaction;
use rota_node::ledger::{check_block, next_place};
use rota_node::pool::{Pool, PoolLimits};
use rota_storage::index::{Order, Selector};
use world::{Plain, World, item, key, verify};

/// Items of the block.
const ITEMS: u64 = 10_000;
/// Items admitted to one pool.
const ADMITTED: u64 = 1_000;

fn transactions(criterion: &mut Criterion) {
    let plain = Plain::new();
    let one = item(&plain.rules, plain.stream, 1);
    let bytes = encode(&one);
    criterion.bench_function("decode a transaction of one item", |bencher| {
        bencher.iter(|| decode::<Transaction>(black_box(&bytes)).unwrap());
    });
    criterion.bench_function("hash a transaction of one item, both ways", |bencher| {
        bencher.iter(|| (black_box(&one).txid(), black_box(&one).full_hash()));
    });
    criterion.bench_function("verify a signature, not in the cache", |bencher| {
        bencher.iter_batched(
            || (SignatureCache::new(plain.rules.genesis, [7; 32]), one.clone()),
            |(cache, transaction)| verify(&plain.rules, &cache, transaction),
            BatchSize::SmallInput,
        );
    });
    verify(&plain.rules, &plain.signatures, one.clone());
    criterion.bench_function("verify a signature, in the cache", |bencher| {
        bencher.iter_batched(
            || one.clone(),
            |transaction| verify(&plain.rules, &plain.signatures, transaction),
            BatchSize::SmallInput,
        );
    });
    let items = plain.items(ADMITTED);
    let mut group = criterion.benchmark_group("pool");
    group.throughput(Throughput::Elements(ADMITTED));
    group.bench_function("admit 1,000 items", |bencher| {
        let empty = || Pool::new(Arc::clone(&plain.state), next_place(&plain.tip), PoolLimits::default(), 1);
        bencher.iter_batched(
            || (empty(), items.clone()),
            |(mut pool, items)| {
                for tx in items {
                    pool.admit(tx, true, 0, &plain.rules).unwrap();
                }
                pool
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn application(criterion: &mut Criterion) {
    let plain = Plain::new();
    let items = plain.items(ITEMS);
    let place = next_place(&plain.tip);
    let mut group = criterion.benchmark_group("10,000 items");
    group.sample_size(10).throughput(Throughput::Elements(ITEMS));
    group.bench_function("apply to a state in memory", |bencher| {
        bencher.iter(|| {
            let mut overlay = Overlay::new(&*plain.state);
            for tx in &items {
                let changes = apply_transaction(&overlay, tx, &plain.rules, place).unwrap().changes;
                overlay.absorb(changes);
            }
            overlay.into_changes()
        });
    });
    group.finish();
}

fn blocks(criterion: &mut Criterion) {
    let mut world = World::new();
    let items = world.items(1, ITEMS);
    world.submit(items);
    let block = world.block();
    let mut group = criterion.benchmark_group("a block of 10,000 items");
    group.sample_size(10).throughput(Throughput::Elements(ITEMS));
    let bytes = encode(&*block);
    group.bench_function("decode it", |bencher| bencher.iter(|| decode::<Block>(black_box(&bytes)).unwrap()));
    group.bench_function("check, signatures not in the cache", |bencher| {
        bencher.iter_batched(
            || SignatureCache::new(world.rules.genesis, [7; 32]),
            |cache| check_block(Arc::clone(&block), &world.rules, &cache).unwrap(),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("check, signatures in the cache", |bencher| {
        bencher.iter(|| check_block(Arc::clone(&block), &world.rules, &world.signatures).unwrap());
    });
    group.bench_function("make it of the pool", |bencher| bencher.iter(|| world.block()));
    world.ledger.accept_block(Arc::clone(&block), true);
    let hash = block.hash();
    // Of what is undone and done again only one half is timed, though both are carried out.
    let mut timed = |undo: bool, rounds: u64| {
        let mut total = Duration::ZERO;
        for _ in 0..rounds {
            let began = Instant::now();
            world.ledger.invalidate(hash).unwrap();
            total += if undo { began.elapsed() } else { Duration::ZERO };
            let began = Instant::now();
            world.ledger.reconsider(hash).unwrap();
            total += if undo { Duration::ZERO } else { began.elapsed() };
        }
        total
    };
    group.bench_function("undo it", |bencher| bencher.iter_custom(|rounds| timed(true, rounds)));
    group.bench_function("apply it, with state, indexes, pool and syncs", |bencher| {
        bencher.iter_custom(|rounds| timed(false, rounds));
    });
    group.finish();
    let snapshot = world.ledger.store().snapshot().unwrap();
    let publisher = Lock::Key(key().public_key().key_hash());
    let pages = [
        ("read a page of ten items", Selector::All, 10),
        ("read a page of ten items of a key", Selector::Key(b"key"), 10),
        ("read a page of ten items of a publisher", Selector::Publisher(&publisher), 10),
        ("read a page of a hundred items", Selector::All, 100),
    ];
    for (name, selector, count) in pages {
        let mut first = 0;
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                first = (first + 7_919) % (ITEMS - count);
                let reader = snapshot.stream(&world.stream).unwrap().unwrap();
                let rows = reader.page(Order::Chain, selector, first..first + count).unwrap();
                assert_eq!(rows.len() as u64, count);
                rows.iter().map(|row| snapshot.item_transaction(row).unwrap().unwrap()).collect::<Vec<_>>()
            });
        });
    }
}

criterion_group!(benches, transactions, application, blocks);
criterion_main!(benches);
