//! The wallet's transactions, coins and secrets.

pub mod follow;
pub mod history;
pub mod legacy;
pub mod note;

use std::path::Path;
use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::{Code, ParameterRule, RpcError};
use rota_api::params::Params;
use rota_api::wallet::WalletInfo;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_wallet::{MAX_KEYPOOL, WalletError};
use serde_json::Value;

use super::address::rescan;
use super::balance::wallet_holding;
use super::control::wallet_figures;
use super::decode::{Moment, Whose, wallet_transaction};
use super::resolve::{address, heavy, shape, storage_error, txid, wallet_error};
use super::{Answer, Answerer};
use crate::context::{Context, unix_time};
use history::{Wanted, Which};

/// Spare keys unless `keypoolrefill` is told otherwise.
const SPARE_KEYS: i64 = 100;
/// Longest time a wallet is unlocked for: a hundred years, so that sums of times never overflow.
const LONGEST_UNLOCK: i64 = 100 * 365 * 86_400;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("getwalletinfo", Answerer::Later(|ctx, params| heavy(ctx, params, getwalletinfo))),
    ("getwallettransaction", Answerer::Later(|ctx, params| heavy(ctx, params, getwallettransaction))),
    ("getaddresstransaction", Answerer::Later(|ctx, params| heavy(ctx, params, getaddresstransaction))),
    ("listwallettransactions", Answerer::Later(|ctx, params| heavy(ctx, params, listwallettransactions))),
    ("listaddresstransactions", Answerer::Later(|ctx, params| heavy(ctx, params, listaddresstransactions))),
    ("backupwallet", Answerer::Later(|ctx, params| heavy(ctx, params, backupwallet))),
    ("dumpwallet", Answerer::Later(|ctx, params| heavy(ctx, params, dumpwallet))),
    ("importwallet", Answerer::Later(|ctx, params| heavy(ctx, params, importwallet))),
    ("encryptwallet", Answerer::Later(|ctx, params| heavy(ctx, params, encryptwallet))),
    ("walletpassphrase", Answerer::Later(walletpassphrase)),
    ("walletpassphrasechange", Answerer::Later(|ctx, params| heavy(ctx, params, walletpassphrasechange))),
    ("walletlock", Answerer::Now(walletlock)),
    ("keypoolrefill", Answerer::Later(|ctx, params| heavy(ctx, params, keypoolrefill))),
    ("resendwallettransactions", Answerer::Now(|_, _| Ok(Value::Null))),
    ("settxfee", Answerer::Now(legacy::settxfee)),
    ("estimatefee", Answerer::Now(legacy::no_estimate)),
    ("estimatepriority", Answerer::Now(legacy::no_estimate)),
    ("getaccount", Answerer::Now(legacy::no_accounts)),
    ("getaccountaddress", Answerer::Now(legacy::no_accounts)),
    ("getaddressesbyaccount", Answerer::Now(legacy::no_accounts)),
    ("setaccount", Answerer::Now(legacy::no_accounts)),
    ("getreceivedbyaccount", Answerer::Now(legacy::no_accounts)),
    ("listaccounts", Answerer::Now(legacy::no_accounts)),
    ("listreceivedbyaccount", Answerer::Now(legacy::no_accounts)),
    ("move", Answerer::Now(legacy::no_accounts)),
    ("sendmany", Answerer::Now(legacy::no_accounts)),
    ("sendfromaccount", Answerer::Now(legacy::no_accounts)),
];

fn getwalletinfo(ctx: &Context, _params: &Params) -> Answer {
    let figures = wallet_figures(ctx);
    let (balance, coins) = wallet_holding(ctx)?;
    shape(&WalletInfo {
        walletversion: figures.version,
        balance,
        walletdbversion: figures.database_version,
        txcount: i64::try_from(ctx.view.read().pool.entries().filter(|entry| entry.own).count()).unwrap_or(i64::MAX),
        utxocount: i64::try_from(coins).unwrap_or(i64::MAX),
        keypoololdest: figures.keypool_oldest,
        keypoolsize: figures.keypool_size,
        unlocked_until: figures.unlocked_until,
        rescan: follow::progress(ctx),
    })
}

/// A transaction id of the wallet calls: malformed is -8.
fn id_param(params: &Params, index: usize) -> Result<Txid, RpcError> {
    txid(params.text(index)?, "txid")
}

fn one_transaction(ctx: &Context, id: Txid, whose: Whose, verbose: bool, missing: &str) -> Answer {
    let moment = Moment::now(ctx);
    let refused = || RpcError::new(Code::TxNotFound, missing).got(id.to_string());
    let known = moment.transaction(&id)?.ok_or_else(refused)?;
    let mut shown = wallet_transaction(&moment, &known, whose, verbose)?.ok_or_else(refused)?;
    note::show(&note::all(ctx), &id, &mut shown);
    Ok(shown)
}

fn getwallettransaction(ctx: &Context, params: &Params) -> Answer {
    let id = id_param(params, 0)?;
    let (watch_only, verbose) = (params.boolean_or(1, false)?, params.boolean_or(2, false)?);
    one_transaction(ctx, id, Whose::Wallet { watch_only }, verbose, "No address of this wallet is involved in it")
}

fn getaddresstransaction(ctx: &Context, params: &Params) -> Answer {
    let lock = own_address(ctx, params)?;
    let id = id_param(params, 1)?;
    let verbose = params.boolean_or(2, false)?;
    one_transaction(ctx, id, Whose::Address(lock), verbose, "This transaction was not found for this address")
}

/// An address that this wallet owns or watches: -709 otherwise.
fn own_address(ctx: &Context, params: &Params) -> Result<Lock, RpcError> {
    let text = params.text(0)?;
    let lock = address(ctx, text)?;
    if ctx.wallet.contains(&lock) {
        return Ok(lock);
    }
    let sentence = format!("Address {text} is not in this wallet: importaddress watches it");
    Err(RpcError::new(Code::AddressNotFound, sentence).got(text))
}

fn listwallettransactions(ctx: &Context, params: &Params) -> Answer {
    let which = Which::read(params, 0)?;
    let (watch_only, verbose) = (params.boolean_or(2, false)?, params.boolean_or(3, false)?);
    history::list(ctx, Wanted { whose: Whose::Wallet { watch_only }, method: "listwallettransactions", which, verbose })
}

fn listaddresstransactions(ctx: &Context, params: &Params) -> Answer {
    let lock = own_address(ctx, params)?;
    let which = Which::read(params, 1)?;
    let verbose = params.boolean_or(3, false)?;
    history::list(ctx, Wanted { whose: Whose::Address(lock), method: "listaddresstransactions", which, verbose })
}

fn backupwallet(ctx: &Context, params: &Params) -> Answer {
    ctx.wallet.backup(Path::new(params.text(0)?)).map_err(file_error(Code::Wallet))?;
    Ok(Value::Null)
}

fn dumpwallet(ctx: &Context, params: &Params) -> Answer {
    ctx.wallet.dump(Path::new(params.text(0)?)).map_err(file_error(Code::File))?;
    Ok(Value::Null)
}

/// What a caller is told when a file of his cannot be written or read.
fn file_error(code: Code) -> impl Fn(WalletError) -> RpcError {
    move |error| match error {
        WalletError::Open { .. } => RpcError::new(code, error.to_string()),
        other => wallet_error(other),
    }
}

fn importwallet(ctx: &Context, params: &Params) -> Answer {
    rescan(ctx, params, 1)?;
    let imported = ctx.wallet.import_dump(Path::new(params.text(0)?)).map_err(file_error(Code::File))?;
    follow::all(&ctx.store, &ctx.wallet).map_err(storage_error)?;
    follow::rescan(ctx)?;
    tracing::info!(new = imported.new, known = imported.known, failed = imported.failed, "a wallet dump was imported");
    if imported.failed > 0 {
        let sentence = format!("{} lines of the file are no keys of this chain", imported.failed);
        return Err(RpcError::new(Code::Wallet, sentence).rule("dump-lines").got(imported.failed).allowed(0));
    }
    Ok(Value::Null)
}

fn encryptwallet(ctx: &Context, params: &Params) -> Answer {
    ctx.wallet.encrypt(params.text(0)?).map_err(|error| match error {
        WalletError::Io { .. } | WalletError::Randomness(_) => RpcError::new(Code::EncryptionFailed, error.to_string()),
        other => wallet_error(other),
    })?;
    Ok(Value::from("wallet encrypted: make a new backup; older ones and dumps still hold the keys in readable form"))
}

fn walletpassphrase(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let answer = heavy(Arc::clone(&ctx), params, unlock).await?;
        // Peers may have waited for the identity's key.
        ctx.network.identity_changed().await;
        Ok(answer)
    })
}

fn unlock(ctx: &Context, params: &Params) -> Answer {
    let (passphrase, given) = (params.text(0)?, params.integer(1)?);
    let refused = |_| {
        let error = RpcError::parameter(ParameterRule::Range, "timeout should be non-negative");
        error.got(given).allowed("0 or more")
    };
    let seconds = u64::try_from(given.min(LONGEST_UNLOCK)).map_err(refused)?;
    ctx.wallet.unlock(passphrase, unix_time().saturating_add(seconds)).map_err(wallet_error)?;
    tracing::info!(seconds, "the wallet was unlocked");
    Ok(Value::Null)
}

fn walletpassphrasechange(ctx: &Context, params: &Params) -> Answer {
    let (old, new) = (params.text(0)?, params.text(1)?);
    ctx.wallet.change_passphrase(old, new).map_err(wallet_error)?;
    Ok(Value::Null)
}

fn walletlock(ctx: &Context, _params: &Params) -> Answer {
    ctx.wallet.lock().map_err(wallet_error)?;
    Ok(Value::Null)
}

fn keypoolrefill(ctx: &Context, params: &Params) -> Answer {
    let size = params.integer_or(0, SPARE_KEYS)?;
    let refused = |_| {
        let error = RpcError::parameter(ParameterRule::Range, "Invalid parameter, expected valid size");
        error.got(size).allowed(format!("0 to {MAX_KEYPOOL}"))
    };
    let size = u32::try_from(size).map_err(refused)?;
    ctx.wallet.keypool_refill(size).map_err(wallet_error)?;
    Ok(Value::Null)
}
