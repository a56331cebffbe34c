//! Keeping the wallet's index of transactions in step with its addresses: new keys, imported ones, and their past.

use std::path::Path;

use rota_api::error::RpcError;
use rota_api::wallet::Rescan;
use rota_chain::address::AddressScheme;
use rota_chain::amount::Height;
use rota_chain::lock::Lock;
use rota_storage::index::Subject;
use rota_storage::index::wallet::WalletAddress;
use rota_storage::{StorageError, Store};
use rota_wallet::{AddressInfo, Wallet};

use crate::context::Context;
use crate::rpc::resolve::storage_error;
use crate::rpc::stream::subscribe::complete;

/// Addresses handed to storage at a time: a batch of some megabytes.
const ADDRESSES: usize = 10_000;

/// Steps of indexing that a start waits for: a fraction of a second.
const STEPS_AT_START: usize = 4;

fn address(info: &AddressInfo, past: Option<Height>) -> WalletAddress {
    WalletAddress { lock: info.lock, mine: info.is_mine, past }
}

/// Refuses a wallet that has lost what the database knows it had: its end may be gone with the keys in it.
///
/// # Errors
/// A sentence that says what to do.
pub fn expect_whole(store: &Store, wallet: &Wallet, scheme: AddressScheme, path: &Path) -> anyhow::Result<()> {
    let kept = |(lock, mine): &(Lock, bool)| wallet.info(lock).is_some_and(|info| info.is_mine || !mine);
    let lost: Vec<Lock> = store.wallet_members().iter().filter(|member| !kept(member)).map(|(lock, _)| *lock).collect();
    let Some(first) = lost.first() else { return Ok(()) };
    anyhow::bail!(
        "wallet-key-lost: the wallet file in {} lacks {} of the addresses that this node had, {} among them: restore it \
         from a backup, or start with -reindex to go on without them",
        path.display(),
        lost.len(),
        scheme.encode(first)
    )
}

/// Lists every address of the wallet that the index does not list yet, with its past: at start, before blocks come.
///
/// # Errors
/// [`StorageError`].
pub fn all(store: &Store, wallet: &Wallet) -> Result<(), StorageError> {
    let unknown =
        |info: &AddressInfo| store.wallet_member(&info.lock).is_none_or(|row| info.is_mine && row.mine.is_none());
    let past = |info: &AddressInfo| Some(info.start.map_or(Height(0), Height));
    let new: Vec<WalletAddress> =
        wallet.locks().iter().filter(|info| unknown(info)).map(|info| address(info, past(info))).collect();
    // The first call makes the index, if there are no addresses too.
    store.add_wallet_addresses(new.get(..ADDRESSES.min(new.len())).unwrap_or_default())?;
    for part in new.chunks(ADDRESSES).skip(1) {
        store.add_wallet_addresses(part)?;
    }
    Ok(())
}

/// Indexes the first part of the wallet's past, if it is to be indexed: all of a short chain.
///
/// # Errors
/// [`StorageError`].
pub fn begin(store: &Store) -> Result<(), StorageError> {
    for _ in 0..STEPS_AT_START {
        if store.subscription(Subject::WalletAnew).is_none() || store.index_history_step(Subject::WalletAnew)?.complete
        {
            break;
        }
    }
    Ok(())
}

/// Lists addresses that the wallet gained, from the next block on: keys made just now, or addresses whose past nobody
/// asks for.
///
/// # Errors
/// -32603 if storage fails.
pub fn gained(ctx: &Context, locks: &[Lock]) -> Result<(), RpcError> {
    imported(ctx, locks, None)
}

/// Lists addresses that the wallet gained. Those with a past from some height on are listed whole once
/// [`rescan`] is done.
///
/// # Errors
/// -32603 if storage fails.
pub fn imported(ctx: &Context, locks: &[Lock], past: Option<Height>) -> Result<(), RpcError> {
    let infos = locks.iter().filter_map(|lock| ctx.wallet.info(lock));
    let addresses: Vec<WalletAddress> = infos.map(|info| address(&info, past)).collect();
    ctx.store.add_wallet_addresses(&addresses).map(drop).map_err(storage_error)
}

/// Makes the wallet's index anew, if an address with a past came in: in steps that hold up nothing else, with a line in
/// the log for each tenth; getwalletinfo shows how far it is. Not for an asynchronous thread.
///
/// # Errors
/// -32603 if storage fails.
pub fn rescan(ctx: &Context) -> Result<(), RpcError> {
    complete(ctx, Subject::WalletAnew).map_err(storage_error)
}

/// How far that is, none unless it is going on.
#[must_use]
pub fn progress(ctx: &Context) -> Option<Rescan> {
    let next = ctx.store.subscription(Subject::WalletAnew)?.next?;
    Some(Rescan { block: i64::from(next.0), of: i64::from(ctx.view.tip().height.0) })
}
