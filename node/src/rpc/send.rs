//! Sending native currency and assets, with data if the caller attaches some.

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::RpcError;
use rota_api::params::Params;
use rota_chain::amount::Amount;
use rota_chain::asset::AssetReference;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::permission::Permission;
use rota_chain::transaction::Output;
use rota_consensus::authority;
use rota_wallet::select::Holding;
use serde_json::Value;

use super::amount::{self, Amounts, Balance};
use super::payment::{self, Source};
use super::resolve::{address, cannot_receive, cannot_send, needing, own_author, own_key, state_error};
use super::wallet::note;
use super::{Answer, Answerer, attachment};
use crate::context::Context;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("send", Answerer::Later(|ctx, params| amounts(ctx, params, Form { from: false, data: false }))),
    ("sendfrom", Answerer::Later(|ctx, params| amounts(ctx, params, Form { from: true, data: false }))),
    ("sendwithdata", Answerer::Later(|ctx, params| amounts(ctx, params, Form { from: false, data: true }))),
    ("sendwithdatafrom", Answerer::Later(|ctx, params| amounts(ctx, params, Form { from: true, data: true }))),
    ("sendasset", Answerer::Later(|ctx, params| one_asset(ctx, params, false))),
    ("sendassetfrom", Answerer::Later(|ctx, params| one_asset(ctx, params, true))),
];

/// Which of the calls that take amounts.
#[derive(Clone, Copy, Debug)]
struct Form {
    from: bool,
    data: bool,
}

/// What is sent.
#[derive(Debug)]
pub struct Payment {
    /// Whose coins pay; none for any of this wallet.
    pub from: Option<Lock>,
    /// What is paid, to whom.
    pub outputs: Vec<Output>,
    /// Data as the caller gave it.
    pub data: Option<Value>,
}

fn amounts(ctx: Arc<Context>, params: Params, form: Form) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let at = usize::from(form.from);
        let from = if form.from { from_address(&ctx, params.text(0)?)? } else { None };
        let to = address(&ctx, params.text(at)?)?;
        let given = params.value(at + 1).clone();
        let data = form.data.then(|| params.value(at + 2).clone());
        let (comment, comment_to) = if form.data { ("", "") } else { comments(&params, at + 2)? };
        let worker = Arc::clone(&ctx);
        let work = tokio::task::spawn_blocking(move || amount::read(&worker, &given));
        let output = work.await.map_err(RpcError::internal)??.output(to);
        let txid = pay(&ctx, Payment { from, outputs: vec![output], data }).await?;
        note::keep(&ctx, &txid, comment, comment_to).await;
        Ok(Value::from(txid.to_string()))
    })
}

fn one_asset(ctx: Arc<Context>, params: Params, with_from: bool) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let at = usize::from(with_from);
        let from = if with_from { from_address(&ctx, params.text(0)?)? } else { None };
        let to = address(&ctx, params.text(at)?)?;
        let mut amounts = Amounts::default();
        {
            let asset = amount::asset(&ctx.view.read(), params.text(at + 1)?)?;
            if !asset.fungible {
                let error = RpcError::not_supported("Tokens are sent by send and sendfrom, which name them");
                return Err(error.rule("asset-token-needed"));
            }
            let quantity = asset.quantity(params.value(at + 2))?;
            amounts.add(AssetReference::Existing(asset.txid), None, quantity)?;
        }
        amounts.amount = match params.given(at + 3) {
            Some(value) => amount::native(&ctx, value)?,
            None => Amount(ctx.rules.minimum_per_output),
        };
        let (comment, comment_to) = comments(&params, at + 4)?;
        let txid = pay(&ctx, Payment { from, outputs: vec![amounts.output(to)], data: None }).await?;
        note::keep(&ctx, &txid, comment, comment_to).await;
        Ok(Value::from(txid.to_string()))
    })
}

fn comments(params: &Params, at: usize) -> Result<(&str, &str), RpcError> {
    Ok((params.text_or(at, "")?, params.text_or(at + 1, "")?))
}

/// The address that pays; none for `*`, which lets the wallet choose.
///
/// # Errors
/// -5 if it is no address of one key (others pay by `createrawsendfrom`), -709 if its key is not here.
pub fn from_address(ctx: &Context, text: &str) -> Result<Option<Lock>, RpcError> {
    if text == "*" {
        return Ok(None);
    }
    let lock = address(ctx, text)?;
    if lock.key_hash().is_none() {
        let sentence = "Invalid address: addresses of several keys pay by createrawsendfrom";
        let error = RpcError::new(rota_api::Code::InvalidAddressOrKey, sentence);
        return Err(error.rule("address-one-key").got(text));
    }
    own_key(ctx, &lock)?;
    Ok(Some(lock))
}

/// Pays: chooses coins, signs and submits. When this returns, the transaction is journaled and in the pool.
///
/// # Errors
/// -6 or -704 if the coins at hand do not suffice, -704 if a recipient may not receive or nobody may send.
pub async fn pay(ctx: &Arc<Context>, payment: Payment) -> Result<Txid, RpcError> {
    let Payment { from, mut outputs, data } = payment;
    check_recipients(ctx, &outputs)?;
    let needs = needs(&outputs)?;
    let attached = match data {
        None => None,
        Some(value) => Some(attachment::read(ctx, value).await?),
    };
    let author = match &attached {
        // Data needs nobody's right; an item needs an author who may write to its stream.
        Some((attached, _)) if attached.stream.is_some() || needs.is_empty() => {
            Some(author(ctx, from, attached.stream)?)
        }
        None if needs.is_empty() => Some(author(ctx, from, None)?),
        _ => None,
    };
    let held = attached.map(|(attached, safe)| {
        outputs.push(Output::operation(attached.operation));
        ctx.offchain.hold(safe)
    });
    let source = from.map_or(Source::Wallet, Source::Address);
    let paid = payment::submit(ctx, source, author.into_iter().collect(), outputs, needs).await;
    if let (Err(_), Some(held)) = (&paid, held) {
        held.forget();
    }
    paid
}

/// What coins must hold for outputs.
///
/// # Errors
/// -8 if it does not fit.
pub fn needs(outputs: &[Output]) -> Result<Holding, RpcError> {
    let mut balance = Balance::default();
    balance.pay(outputs);
    balance.side(-1)
}

/// -704 unless every address that is paid may receive.
///
/// # Errors
/// -704, or -32603 if storage fails.
pub fn check_recipients(ctx: &Context, outputs: &[Output]) -> Result<(), RpcError> {
    let view = ctx.view.read();
    let height = view.pool.place().height;
    for output in outputs.iter().filter(|output| output.is_coin(false)) {
        let Some(to) = output.recipient else { continue };
        if !output.has_value() && ctx.rules.anyone.receive_empty {
            continue;
        }
        let may = authority::may(view.pool.state(), &ctx.rules, Permission::Receive, &to, height);
        if !may.map_err(state_error)? {
            return Err(cannot_receive(ctx, &to));
        }
    }
    Ok(())
}

/// The address that gives its authority: it may send, and write to the stream if there is one.
fn author(ctx: &Context, from: Option<Lock>, stream: Option<Txid>) -> Result<Lock, RpcError> {
    let view = ctx.view.read();
    let (state, height) = (view.pool.state(), view.pool.place().height);
    if let Some(from) = &from
        && !authority::may(state, &ctx.rules, Permission::Send, from, height).map_err(state_error)?
    {
        return Err(cannot_send(ctx, from));
    }
    let (rule, permissions) = if stream.is_some() { ("stream-write", "write, send") } else { ("tx-send", "send") };
    let may = |lock: &Lock| {
        if !authority::may(state, &ctx.rules, Permission::Send, lock, height)? {
            return Ok(false);
        }
        stream.map_or(Ok(true), |stream| authority::may_on(state, stream, Permission::Write, lock, height))
    };
    own_author(ctx, from, may).map_err(needing(rule, permissions))
}
