//! Atomic exchange: setting an output aside, offering it for something else, and taking, showing and disabling offers.
//! Two parties share nothing but hexadecimal text. What each signs covers its own coin and what it gets for it
//! (docs/protocol/witness.md), so that nobody changes the terms of another. Who offers what is in `terms`.

mod terms;

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::{Code, ParameterRule, RpcError};
use rota_api::params::Params;
use rota_chain::amount::Amount;
use rota_chain::codec::{encode, encoded_length};
use rota_chain::lock::Lock;
use rota_chain::permission::Permission;
use rota_chain::transaction::{Body, Coverage, Input, OutPoint, Output, Transaction};
use rota_consensus::authority;
use rota_consensus::state::{Coin, StateView};
use rota_wallet::select::Holding;
use serde_json::{Value, json};

use self::terms::Terms;
use super::amount::{self, Amounts};
use super::payment::{self, Choosing, Source, WITNESS_BYTES};
use super::raw::action;
use super::raw::build::Added;
use super::raw::read_transaction;
use super::raw::sign::{Previous, check_not_signed};
use super::resolve::{self, heavy, output_index, shape, state_error, txid, wallet_error};
use super::send::{check_recipients, from_address};
use super::unspent::unlock_spent;
use super::{Answer, Answerer, attachment};
use crate::context::Context;
use crate::offchain::Safe;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("preparelockunspent", Answerer::Later(|ctx, params| prepare(ctx, params, false))),
    ("preparelockunspentfrom", Answerer::Later(|ctx, params| prepare(ctx, params, true))),
    ("createrawexchange", Answerer::Later(|ctx, params| heavy(ctx, params, create))),
    ("appendrawexchange", Answerer::Later(|ctx, params| heavy(ctx, params, append))),
    ("completerawexchange", Answerer::Later(complete)),
    ("decoderawexchange", Answerer::Later(|ctx, params| heavy(ctx, params, decode))),
    ("disablerawtransaction", Answerer::Later(disable)),
];

fn exchange_error(sentence: impl Into<String>) -> RpcError {
    RpcError::new(Code::Exchange, sentence)
}

/// An output with exactly what was asked for, at an address of this wallet, locked unless the caller says otherwise.
fn prepare(ctx: Arc<Context>, params: Params, with_from: bool) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let at = usize::from(with_from);
        let from = if with_from { from_address(&ctx, params.text(0)?)? } else { None };
        let given = params.value(at).clone();
        let lock = params.boolean_or(at + 1, true)?;
        let worker = Arc::clone(&ctx);
        let work = tokio::task::spawn_blocking(move || amount::read(&worker, &given));
        let amounts = work.await.map_err(RpcError::internal)??;
        if !amounts.operations.is_empty() {
            return Err(RpcError::parameter(ParameterRule::Unknown, "What is offered in an exchange carries no data")
                .got("data"));
        }
        set_aside(&ctx, from, amounts, lock).await
    })
}

async fn set_aside(ctx: &Arc<Context>, from: Option<Lock>, amounts: Amounts, lock: bool) -> Answer {
    let default = from.or_else(|| ctx.wallet.default_lock());
    let to = default.ok_or_else(|| RpcError::new(Code::KeypoolRanOut, "This wallet has no address"))?;
    let mut output = amounts.output(to);
    let mut body = resolve::body(ctx, Vec::new(), vec![output.clone()]);
    let needs = super::send::needs(&body.outputs)?;
    let bytes = encoded_length(&body) + WITNESS_BYTES;
    let reservation = if needs.is_empty() && payment::fee_of(ctx, bytes) == Amount::ZERO {
        check_recipients(ctx, &body.outputs)?;
        body.authors = vec![to];
        None
    } else {
        let source = from.map_or_else(|| Source::Addresses(own_keys(ctx)), Source::Address);
        let chosen = payment::choose(ctx, source, needs, Choosing { bytes, ..Choosing::default() }).await?;
        // Who held it offers it: one address, which may send and receive.
        let owner = chosen.coins.first().map(|coin| coin.owner);
        output.recipient = from.or(owner).or(Some(to));
        body.inputs.clone_from(&chosen.inputs);
        body.outputs = std::iter::once(output).chain(chosen.change.iter().cloned()).collect();
        Some(chosen.reservation)
    };
    let outpoint = OutPoint { txid: body.txid(), index: 0 };
    // Locked before anybody can see it.
    if lock && !lock_coin(ctx, outpoint)? {
        return Err(action::many_locked());
    }
    let sent = resolve::submit_body(Arc::clone(ctx), body).await;
    drop(reservation);
    if let (Err(_), true) = (&sent, lock) {
        ctx.coins.unlock(&[outpoint]);
    }
    sent.map(|txid| json!({"txid": txid.to_string(), "vout": 0}))
}

fn lock_coin(ctx: &Context, outpoint: OutPoint) -> Result<bool, RpcError> {
    if ctx.coins.lock([outpoint]) {
        return Ok(true);
    }
    unlock_spent(ctx)?;
    Ok(ctx.coins.lock([outpoint]))
}

/// Addresses of one key of this wallet: others cannot offer.
fn own_keys(ctx: &Context) -> Vec<Lock> {
    let locks = ctx.wallet.locks().into_iter().map(|info| info.lock);
    locks.filter(|lock| lock.key_hash().is_some() && ctx.wallet.can_sign(lock)).collect()
}

/// What one party puts in, and what it asks for.
#[derive(Debug)]
struct Leg {
    input: Input,
    output: Output,
    owner: Lock,
}

impl Leg {
    /// Reads transaction, index and quantities at three positions.
    ///
    /// # Errors
    /// -715 if the output is spent, unknown or not of this wallet, -5 if several keys own it, -704 if its owner may not
    /// send and receive.
    fn read(ctx: &Context, params: &Params, at: usize) -> Result<Leg, RpcError> {
        let outpoint =
            OutPoint { txid: txid(params.text(at)?, "txid")?, index: output_index(params.integer(at + 1)?)? };
        let asked = amount::read(ctx, params.value(at + 2))?;
        let missing = |what: &str| {
            let OutPoint { txid, index } = outpoint;
            let error = RpcError::new(Code::WalletOutputNotFound, format!("Output {index} of {txid} {what}"));
            error.got(outpoint.to_string())
        };
        let coin = coin(ctx, outpoint)?.ok_or_else(|| missing("is spent or unknown"))?;
        if coin.owner.key_hash().is_none() {
            let sentence = "Invalid address: outputs of several keys cannot be exchanged";
            let error = RpcError::new(Code::InvalidAddressOrKey, sentence).rule("address-one-key");
            return Err(error.got(ctx.scheme.encode(&coin.owner)));
        }
        if !ctx.wallet.can_sign(&coin.owner) {
            return Err(missing("does not belong to this wallet"));
        }
        check_owner(ctx, &coin.owner)?;
        let input = Input { outpoint, coverage: Coverage::Part };
        Ok(Leg { input, output: asked.output(coin.owner), owner: coin.owner })
    }
}

/// A coin, waiting ones included.
fn coin(ctx: &Context, outpoint: OutPoint) -> Result<Option<Coin>, RpcError> {
    ctx.view.read().pool.state().coin(outpoint).map_err(state_error)
}

/// -704 unless an address may send, and receive what it asks for.
fn check_owner(ctx: &Context, owner: &Lock) -> Result<(), RpcError> {
    let view = ctx.view.read();
    let (state, height) = (view.pool.state(), view.pool.place().height);
    for right in [Permission::Send, Permission::Receive] {
        if !authority::may(state, &ctx.rules, right, owner, height).map_err(state_error)? {
            let sentence = format!("The address of this output doesn't have {} permission", right.name());
            let rule = if right == Permission::Send { "tx-send" } else { "tx-receive" };
            let error = RpcError::no_permission(sentence).rule(rule).got(ctx.scheme.encode(owner));
            return Err(error.allowed(right.name()));
        }
    }
    Ok(())
}

fn sign(ctx: &Context, tx: &mut Transaction) -> Result<bool, RpcError> {
    let owner = |outpoint| resolve::coin_owner(ctx, outpoint);
    let done = ctx.wallet.sign_transaction(tx, &ctx.rules.genesis, owner, &[]).map_err(wallet_error)?;
    Ok(done.is_complete())
}

fn create(ctx: &Context, params: &Params) -> Answer {
    let Leg { input, output, .. } = Leg::read(ctx, params, 0)?;
    // The coin makes the offer unrepeatable: it holds until that is spent.
    let body = Body { inputs: vec![input], last_height: 0, ..resolve::body(ctx, Vec::new(), vec![output]) };
    let mut tx = Transaction { body, witnesses: Vec::new() };
    if !sign(ctx, &mut tx)? {
        return Err(
            exchange_error("The offer cannot be signed with the keys of this wallet").rule("exchange-signature")
        );
    }
    Ok(action::text(&tx))
}

/// An exchange that came as text and holds so far, with room for one more party.
fn open(ctx: &Context, text: &str) -> Result<Transaction, RpcError> {
    let tx = read_transaction(ctx, text).map_err(super::raw::script_code)?;
    Terms::read(ctx, &tx)?;
    check_not_signed(ctx, &tx)?;
    if tx.body.inputs.len() != tx.body.outputs.len() {
        return Err(
            exchange_error("This exchange has outputs beyond its inputs: nobody can be added").rule("exchange-form")
        );
    }
    Ok(tx)
}

fn append(ctx: &Context, params: &Params) -> Answer {
    let mut tx = open(ctx, params.text(0)?)?;
    let leg = Leg::read(ctx, params, 1)?;
    add(ctx, &mut tx, leg, None)?;
    let signed = sign(ctx, &mut tx)?;
    let complete = signed && Terms::read(ctx, &tx)?.is_balanced();
    shape(&rota_api::raw::Signed { hex: hex::encode(encode(&tx)), complete })
}

/// Adds a party; the last one covers all of it, with data if there is some.
fn add(ctx: &Context, tx: &mut Transaction, leg: Leg, last: Option<Vec<Output>>) -> Result<(), RpcError> {
    if tx.body.inputs.iter().any(|input| input.outpoint == leg.input.outpoint) {
        return Err(exchange_error("This output is offered in the exchange already").rule("exchange-twice"));
    }
    let coverage = if last.is_some() { Coverage::Full } else { Coverage::Part };
    let outputs = std::iter::once(leg.output).chain(last.unwrap_or_default()).collect();
    let added = Added { inputs: vec![Input { coverage, ..leg.input }], outputs, authors: Vec::new() };
    added.to(ctx, tx, &Previous::default())
}

fn complete(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let attached = match params.given(4) {
            None => None,
            Some(value) => Some(attachment::read(&ctx, value.clone()).await?),
        };
        let (fresh, data) = match attached {
            None => (Safe::default(), None),
            Some((attached, safe)) => (safe, Some((attached.operation, attached.stream))),
        };
        let held = ctx.offchain.hold(fresh);
        let worker = Arc::clone(&ctx);
        let work = tokio::task::spawn_blocking(move || {
            let mut tx = open(&worker, params.text(0)?)?;
            let leg = Leg::read(&worker, &params, 1)?;
            if let Some((_, Some(stream))) = &data {
                attachment::check_writer(&worker, &leg.owner, *stream)?;
            }
            let data = data.map(|(operation, _)| Output::operation(operation));
            add(&worker, &mut tx, leg, Some(data.into_iter().collect()))?;
            if !sign(&worker, &mut tx)? || !Terms::read(&worker, &tx)?.is_balanced() {
                return Err(exchange_error("Incomplete exchange: what is offered is not what is asked for")
                    .rule("exchange-unbalanced"));
            }
            Ok(action::text(&tx))
        });
        let done = work.await.map_err(RpcError::internal)?;
        if done.is_err() {
            held.forget();
        }
        done
    })
}

fn decode(ctx: &Context, params: &Params) -> Answer {
    let tx = read_transaction(ctx, params.text(0)?)?;
    let verbose = params.boolean_or(1, false)?;
    Terms::read(ctx, &tx)?.shown(ctx, verbose)
}

/// Spends an input of ours to the address that owns it, so that what was signed for it can no longer be sent.
fn disable(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let tx = read_transaction(&ctx, params.text(0)?)?;
        let (outpoint, coin) = own_input(&ctx, &tx)?;
        check_owner(&ctx, &coin.owner)?;
        let output = Output { assets: coin.assets.clone(), ..Output::payment(coin.owner, coin.amount) };
        let mut body = resolve::body(&ctx, Vec::new(), vec![output]);
        body.inputs = vec![Input { outpoint, coverage: Coverage::Full }];
        body.last_height = 0;
        let fee = payment::fee_of(&ctx, encoded_length(&body) + WITNESS_BYTES);
        let mut reservation = None;
        if fee > Amount::ZERO {
            let bytes = encoded_length(&body) + WITNESS_BYTES;
            let choosing = Choosing { bytes, ..Choosing::default() };
            let chosen = payment::choose(&ctx, Source::Address(coin.owner), Holding::default(), choosing).await?;
            if chosen.inputs.iter().any(|input| input.outpoint == outpoint) {
                body.outputs = chosen.change;
                body.inputs = chosen.inputs;
            } else {
                body.inputs.extend(chosen.inputs);
                body.outputs.extend(chosen.change);
            }
            reservation = Some(chosen.reservation);
        }
        let id = resolve::submit_body(Arc::clone(&ctx), body).await?;
        drop(reservation);
        ctx.coins.unlock(&[outpoint]);
        Ok(Value::from(id.to_string()))
    })
}

fn own_input(ctx: &Context, tx: &Transaction) -> Result<(OutPoint, Coin), RpcError> {
    for input in &tx.body.inputs {
        if let Some(coin) = coin(ctx, input.outpoint)?
            && ctx.wallet.can_sign(&coin.owner)
        {
            return Ok((input.outpoint, coin));
        }
    }
    let sentence = "This transaction has no unspent input of this wallet: there is nothing that spending could disable";
    Err(RpcError::new(Code::InputsNotMine, sentence))
}
