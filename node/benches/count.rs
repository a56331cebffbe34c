//! Three inner loops for an instruction counter, which counts in `measured` alone: `count decode|admit|apply`. Run by
//! `scripts/guard`, which compares the counts with those that were agreed on.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a program of the build")]

mod world;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;

use rota_chain::codec::{decode, encode};
use rota_chain::transaction::Transaction;
use rota_consensus::state::Overlay;
use rota_consensus::transaction::apply_transaction;
use rota_node::ledger::next_place;
use rota_node::pool::{Pool, PoolLimits};
use world::{Plain, item};

/// How often each loop turns.
const TURNS: u64 = 300;

/// What is counted: the only frame in which the counter is on.
#[inline(never)]
fn measured<R>(work: impl FnOnce() -> R) -> R {
    black_box(work())
}

fn main() -> ExitCode {
    let plain = Plain::new();
    match std::env::args().nth(1).as_deref() {
        Some("decode") => {
            let bytes = encode(&item(&plain.rules, plain.stream, 1));
            measured(|| {
                for _ in 0..TURNS {
                    let transaction: Transaction = decode(black_box(&bytes)).unwrap();
                    black_box((transaction.txid(), transaction.full_hash()));
                }
            });
        }
        Some("admit") => {
            let items = plain.items(TURNS);
            let mut pool = Pool::new(Arc::clone(&plain.state), next_place(&plain.tip), PoolLimits::default(), 1);
            measured(|| {
                for tx in items {
                    pool.admit(tx, true, 0, &plain.rules).unwrap();
                }
            });
        }
        Some("apply") => {
            let items = plain.items(TURNS);
            let mut overlay = Overlay::new(&*plain.state);
            let place = next_place(&plain.tip);
            measured(|| {
                for tx in &items {
                    let changes = apply_transaction(&overlay, tx, &plain.rules, place).unwrap().changes;
                    overlay.absorb(changes);
                }
            });
        }
        _ => {
            eprintln!("count decode|admit|apply");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
