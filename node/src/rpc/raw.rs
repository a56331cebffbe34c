//! Raw transactions: showing, signing and sending them, and scripts. Building them is in the files of the folder.

pub mod action;
pub mod build;
mod change;
mod draft;
mod entity;
pub mod sign;

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::{Code, ParameterRule, RpcError};
use rota_api::params::{Params, type_word};
use rota_api::raw::Signed;
use rota_chain::codec::{decode as read_bytes, encode};
use rota_chain::hash::hash160;
use rota_chain::lock::{Lock, ScriptHash};
use rota_chain::script::{payment_words, read_payment_script, read_redeem_script};
use rota_chain::transaction::Transaction;
use serde_json::{Value, json};

use self::sign::{Previous, Signer};
use super::decode::{self, Moment};
use super::resolve::{self, heavy, shape, short, txid};
use super::{Answer, Answerer};
use crate::context::Context;

/// Longest script that is looked at, in digits: sixteen keys take fewer.
const SCRIPT_DIGITS: usize = 2_048;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("getrawtransaction", Answerer::Later(|ctx, params| heavy(ctx, params, getrawtransaction))),
    ("createrawtransaction", Answerer::Later(build::create)),
    ("createrawsendfrom", Answerer::Later(build::create_from)),
    ("appendrawtransaction", Answerer::Later(build::append)),
    ("appendrawchange", Answerer::Later(|ctx, params| heavy(ctx, params, change::append_change))),
    ("appendrawdata", Answerer::Later(|ctx, params| heavy(ctx, params, build::append_data))),
    ("decoderawtransaction", Answerer::Later(|ctx, params| heavy(ctx, params, decoderawtransaction))),
    ("decodescript", Answerer::Now(decodescript)),
    ("signrawtransaction", Answerer::Later(|ctx, params| heavy(ctx, params, signrawtransaction))),
    ("sendrawtransaction", Answerer::Later(sendrawtransaction)),
];

/// Whether a parameter of any simple type asks for more.
fn truthy(params: &Params, index: usize) -> Result<bool, RpcError> {
    match params.given(index) {
        None => Ok(false),
        Some(Value::Bool(value)) => Ok(*value),
        Some(Value::Number(number)) if !number.is_f64() => Ok(number.as_i64() != Some(0)),
        Some(Value::String(text)) => Ok(!matches!(text.as_str(), "" | "0" | "false")),
        Some(other) => {
            let sentence = format!("Invalid value for 'verbose' parameter: {}", type_word(other));
            Err(RpcError::mistyped(other, "bool, int, real or str", sentence))
        }
    }
}

fn getrawtransaction(ctx: &Context, params: &Params) -> Answer {
    let id = txid(params.value(0).as_str().unwrap_or_default(), "parameter 1")?;
    let verbose = truthy(params, 1)?;
    let moment = Moment::now(ctx);
    let known = moment.transaction(&id)?.ok_or_else(|| RpcError::tx_not_found(&id.to_string()))?;
    if verbose {
        return decode::raw_transaction(&moment, &known);
    }
    Ok(Value::from(hex::encode(encode(known.tx.as_ref()))))
}

/// Reads a transaction from hexadecimal text: -22 for anything else.
pub fn read_transaction(ctx: &Context, text: &str) -> Result<Transaction, RpcError> {
    let refused =
        |cause: String| RpcError::new(Code::Deserialization, format!("TX decode failed: {cause}")).rule("tx-form");
    let limit = ctx.rules_now().map_err(resolve::state_error)?.maximum_transaction_size as usize;
    let size = text.len() / 2;
    if size > limit {
        return Err(refused(format!("{size} bytes, the limit is {limit}")).rule("tx-size").got(size).allowed(limit));
    }
    let bytes = hex::decode(text).map_err(|error| refused(error.to_string()))?;
    read_bytes(&bytes).map_err(|error| refused(error.to_string()))
}

fn decoderawtransaction(ctx: &Context, params: &Params) -> Answer {
    let tx = read_transaction(ctx, params.text(0)?)?;
    decode::transaction(ctx, &tx)
}

fn decodescript(ctx: &Context, params: &Params) -> Answer {
    let text = params.text(0)?;
    if text.len() > SCRIPT_DIGITS {
        let sentence = format!("argument has {} digits, at most {SCRIPT_DIGITS}", text.len());
        return Err(RpcError::parameter(ParameterRule::Size, sentence).got(text.len()).allowed(SCRIPT_DIGITS));
    }
    let script = hex::decode(text).map_err(|_| not_hexadecimal("argument", text))?;
    let wrapped = ctx.scheme.encode(&Lock::Multisig(ScriptHash(hash160(&script))));
    if let Some(keys) = read_redeem_script(&script) {
        let words: Vec<String> = keys.keys.iter().map(|key| hex::encode(key.0)).collect();
        let shown: Vec<String> = keys.keys.iter().map(|key| ctx.scheme.encode_key_hash(&key.key_hash())).collect();
        let asm = format!("{} {} {} OP_CHECKMULTISIG", keys.required, words.join(" "), keys.keys.len());
        return Ok(json!({
            "asm": asm, "reqSigs": keys.required, "type": "multisig", "addresses": shown, "p2sh": wrapped,
        }));
    }
    Ok(match read_payment_script(&script) {
        Some(lock) => {
            let kind = if lock.key_hash().is_some() { "pubkeyhash" } else { "scripthash" };
            let shown = [ctx.scheme.encode(&lock)];
            json!({"asm": payment_words(&lock), "reqSigs": 1, "type": kind, "addresses": shown, "p2sh": wrapped})
        }
        None => json!({
            "asm": if script.is_empty() { String::new() } else { hex::encode(&script) },
            "reqSigs": 1, "type": "nonstandard", "addresses": [], "p2sh": wrapped,
        }),
    })
}

fn not_hexadecimal(name: &str, text: &str) -> RpcError {
    let sentence = format!("{name} must be hexadecimal string (not '{}')", short(text));
    RpcError::parameter(ParameterRule::Form, sentence).got(text).allowed("hexadecimal digits")
}

/// The code that calls which add to a transaction have for text that is none.
pub(super) fn script_code(mut error: RpcError) -> RpcError {
    error.code = Code::Misc;
    error
}

fn signrawtransaction(ctx: &Context, params: &Params) -> Answer {
    let text = params.text(0)?;
    if hex::decode(text).is_err() {
        return Err(not_hexadecimal("argument 1", text));
    }
    let mut tx = read_transaction(ctx, text)?;
    let mut previous = Previous::default();
    if params.given(1).is_some() {
        for value in params.array(1)? {
            let refused = || RpcError::mistyped(value, "obj", "Previous output should be an object");
            let members = value.as_object().ok_or_else(refused)?;
            if !members.contains_key("scriptPubKey") {
                let error = RpcError::parameter(ParameterRule::Missing, "Missing scriptPubKey of a previous output");
                return Err(error.allowed("scriptPubKey"));
            }
            previous.learn(ctx, build::outpoint(members)?, members)?;
        }
    }
    let complete = Signer::read(ctx, params, 2, previous)?.sign(ctx, &mut tx)?;
    shape(&Signed { hex: hex::encode(encode(&tx)), complete })
}

fn sendrawtransaction(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let Some(text) = params.value(0).as_str() else {
            return Err(RpcError::unexpected_type(params.value(0), "str"));
        };
        let tx = read_transaction(&ctx, text)?;
        let id = tx.txid();
        if ctx.view.read().pool.get(&id).is_some() {
            return Ok(Value::from(id.to_string()));
        }
        let id = action::send(&ctx, tx).await?;
        Ok(Value::from(id.to_string()))
    })
}
