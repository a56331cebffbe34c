//! Building transactions by hand: from given inputs, from an address, and adding to what came as text.

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::{ParameterRule, RpcError};
use rota_api::params::Params;
use rota_chain::amount::Amount;
use rota_chain::codec::encoded_length;
use rota_chain::lock::Lock;
use rota_chain::transaction::{Body, Coverage, Input, MAX_AUTHORS, MAX_INPUTS, OutPoint, Output, Transaction};
use rota_chain::witness::MAX_MULTISIG_KEYS;
use serde_json::{Map, Value};

use super::action::{self, Action};
use super::draft::{Draft, settle};
use super::sign::{Previous, Signer, arrange, check_not_signed};
use super::{read_transaction, script_code};
use crate::context::Context;
use crate::rpc::Answer;
use crate::rpc::amount::Balance;
use crate::rpc::attachment::check_writer;
use crate::rpc::payment::{self, Choosing, Source, WITNESS_BYTES};
use crate::rpc::permission::built::check_granter;
use crate::rpc::resolve::{self, address, output_index, txid};

/// The inputs and authors that a caller gives.
#[derive(Debug, Default)]
struct Given {
    inputs: Vec<Input>,
    authors: Vec<Lock>,
    previous: Previous,
}

impl Given {
    fn read(ctx: &Context, list: &[Value]) -> Result<Given, RpcError> {
        if list.len() > MAX_INPUTS as usize {
            let sentence = format!("A transaction has at most {MAX_INPUTS} inputs");
            return Err(RpcError::parameter(ParameterRule::Size, sentence).got(list.len()).allowed(MAX_INPUTS));
        }
        let mut given = Given::default();
        for value in list {
            let refused = || RpcError::mistyped(value, "obj", "Invalid input, should be object");
            let members = value.as_object().ok_or_else(refused)?;
            match members.get("address") {
                Some(author) => given.author(ctx, author)?,
                None => given.input(ctx, members)?,
            }
        }
        Ok(given)
    }

    fn author(&mut self, ctx: &Context, value: &Value) -> Result<(), RpcError> {
        let refused = || RpcError::mistyped(value, "str", "Invalid address of an author, should be string");
        let text = value.as_str().ok_or_else(refused)?;
        add_author(&mut self.authors, address(ctx, text)?)
    }

    fn input(&mut self, ctx: &Context, members: &Map<String, Value>) -> Result<(), RpcError> {
        let outpoint = outpoint(members)?;
        self.previous.learn(ctx, outpoint, members)?;
        self.inputs.push(Input { outpoint, coverage: Coverage::Full });
        Ok(())
    }
}

fn add_author(authors: &mut Vec<Lock>, author: Lock) -> Result<(), RpcError> {
    if authors.contains(&author) {
        return Err(RpcError::parameter(ParameterRule::Twice, "Invalid parameter, an author is given twice"));
    }
    if authors.len() >= MAX_AUTHORS as usize {
        let sentence = format!("A transaction has at most {MAX_AUTHORS} authors");
        return Err(RpcError::parameter(ParameterRule::Size, sentence).got(authors.len() + 1).allowed(MAX_AUTHORS));
    }
    authors.push(author);
    Ok(())
}

/// Reads `{"txid": .., "vout": ..}`.
///
/// # Errors
/// -8 for anything else.
pub fn outpoint(members: &Map<String, Value>) -> Result<OutPoint, RpcError> {
    let refused = |name: &str, allowed: &str| {
        let sentence = format!("Invalid parameter, missing {name} key");
        match members.get(name) {
            Some(value) => RpcError::mistyped(value, allowed, sentence),
            None => RpcError::parameter(ParameterRule::Missing, sentence).allowed(name),
        }
    };
    let id = members.get("txid").and_then(Value::as_str);
    let id = txid(id.ok_or_else(|| refused("txid", "str"))?, "txid")?;
    let index = members.get("vout").and_then(Value::as_i64);
    let index = output_index(index.ok_or_else(|| refused("vout", "int"))?)?;
    Ok(OutPoint { txid: id, index })
}

/// The data of a call: an array, or nothing.
fn data_of(params: &Params, at: usize) -> Result<&[Value], RpcError> {
    if params.given(at).is_some() { params.array(at) } else { Ok(&[]) }
}

/// A body of inputs and outputs. With inputs it has no last height: the coins make it unique.
fn body(ctx: &Context, inputs: Vec<Input>, authors: Vec<Lock>, mut outputs: Vec<Output>) -> Body {
    settle(&mut outputs);
    let body = resolve::body(ctx, authors, outputs);
    let last_height = if inputs.is_empty() { body.last_height } else { 0 };
    Body { inputs, last_height, ..body }
}

/// Answers createrawtransaction.
pub(super) fn create(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let worker = Arc::clone(&ctx);
        let work = tokio::task::spawn_blocking(move || {
            let given = inputs(&worker, &params, 0)?;
            let action = Action::read(params.text_or(3, "")?)?;
            let signer = Signer::read(&worker, &params, 4, given.previous)?;
            if params.given(1).is_none() {
                let sentence = "Invalid addresses, should be object or array of objects";
                return Err(RpcError::mistyped(params.value(1), "obj or array", sentence));
            }
            let mut draft = Draft::read(&worker, params.value(1), data_of(&params, 2)?)?;
            let fresh = std::mem::take(&mut draft.fresh);
            let body = body(&worker, given.inputs, given.authors, draft.outputs());
            Ok::<_, RpcError>((body, signer, action, fresh))
        });
        let (body, signer, action, fresh) = work.await.map_err(RpcError::internal)??;
        action::finish(&ctx, Transaction { body, witnesses: Vec::new() }, signer, action, fresh).await
    })
}

fn inputs(ctx: &Context, params: &Params, at: usize) -> Result<Given, RpcError> {
    let value = params.value(at);
    Given::read(ctx, value.as_array().ok_or_else(|| RpcError::unexpected_type(value, "array"))?)
}

/// Answers appendrawtransaction.
pub(super) fn append(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let worker = Arc::clone(&ctx);
        let work = tokio::task::spawn_blocking(move || {
            let mut tx = read_transaction(&worker, params.text(0)?)?;
            let given = inputs(&worker, &params, 1)?;
            let action = Action::read(params.text_or(4, "")?)?;
            let signer = Signer::read(&worker, &params, 5, given.previous)?;
            let mut draft = Draft::read(&worker, params.value(2), data_of(&params, 3)?)?;
            let fresh = std::mem::take(&mut draft.fresh);
            let added = Added { inputs: given.inputs, authors: given.authors, outputs: draft.outputs() };
            if let Err(error) = added.to(&worker, &mut tx, &signer.previous) {
                worker.offchain.hold(fresh).forget();
                return Err(error);
            }
            Ok::<_, RpcError>((tx, signer, action, fresh))
        });
        let (tx, signer, action, fresh) = work.await.map_err(RpcError::internal)??;
        action::finish(&ctx, tx, signer, action, fresh).await
    })
}

/// What is added to a transaction that exists as text.
#[derive(Debug, Default)]
pub struct Added {
    /// Inputs behind those that are there.
    pub inputs: Vec<Input>,
    /// Authors behind those that are there.
    pub authors: Vec<Lock>,
    /// Outputs behind those that are there.
    pub outputs: Vec<Output>,
}

impl Added {
    /// Adds it; witnesses that still hold are kept.
    ///
    /// # Errors
    /// -701 if somebody has signed the whole body, -8 for an author given twice.
    pub fn to(self, ctx: &Context, tx: &mut Transaction, previous: &Previous) -> Result<(), RpcError> {
        if self.inputs.is_empty() && self.authors.is_empty() && self.outputs.is_empty() {
            return Ok(());
        }
        check_not_signed(ctx, tx)?;
        let before = tx.body.outputs.len();
        tx.body.inputs.extend(self.inputs);
        tx.body.outputs.extend(self.outputs);
        for author in self.authors {
            add_author(&mut tx.body.authors, author)?;
        }
        // What is covered in part stays as it is.
        let free = if tx.part_inputs() == 0 { 0 } else { before };
        if let Some(outputs) = tx.body.outputs.get_mut(free..) {
            settle(outputs);
        }
        let _ = arrange(ctx, tx, previous);
        Ok(())
    }
}

/// Answers appendrawdata.
pub(super) fn append_data(ctx: &Context, params: &Params) -> Answer {
    let mut tx = read_transaction(ctx, params.text(0)?).map_err(script_code)?;
    let mut draft = Draft::read(ctx, &Value::Null, std::slice::from_ref(params.value(1)))?;
    let held = ctx.offchain.hold(std::mem::take(&mut draft.fresh));
    let added = Added { outputs: draft.outputs(), ..Added::default() };
    if let Err(error) = added.to(ctx, &mut tx, &Previous::default()) {
        held.forget();
        return Err(error);
    }
    Ok(action::text(&tx))
}

/// Answers createrawsendfrom.
pub(super) fn create_from(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let from = address(&ctx, params.text(0)?)?;
        if !ctx.wallet.contains(&from) {
            return Err(RpcError::address_not_in_wallet(params.text(0)?));
        }
        let worker = Arc::clone(&ctx);
        let work = tokio::task::spawn_blocking(move || {
            let action = Action::read(params.text_or(3, "")?)?;
            let signer = Signer::read(&worker, &params, 4, Previous::default())?;
            let draft = Draft::read(&worker, params.value(1), data_of(&params, 2)?)?;
            if let Err(error) = check_author(&worker, &from, &draft) {
                worker.offchain.hold(draft.fresh).forget();
                return Err(error);
            }
            Ok((draft, signer, action))
        });
        let (mut draft, signer, action) = work.await.map_err(RpcError::internal)??;
        let fresh = std::mem::take(&mut draft.fresh);
        let funded = fund(&ctx, from, draft.outputs()).await;
        match funded {
            Ok((body, _reservation)) => {
                action::finish(&ctx, Transaction { body, witnesses: Vec::new() }, signer, action, fresh).await
            }
            Err(error) => {
                ctx.offchain.hold(fresh).forget();
                Err(error)
            }
        }
    })
}

/// Whether the address may do what it is asked to, as far as that is its own right.
fn check_author(ctx: &Context, from: &Lock, draft: &Draft) -> Result<(), RpcError> {
    if draft.is_empty() {
        let sentence = "Either addresses object or data array should not be empty";
        return Err(RpcError::parameter(ParameterRule::Missing, sentence).allowed("addresses or data"));
    }
    draft.grants.iter().try_for_each(|grant| check_granter(ctx, from, grant))?;
    draft.streams.iter().try_for_each(|stream| check_writer(ctx, from, *stream))
}

/// A body of outputs that an address pays for and gives its authority to.
async fn fund(
    ctx: &Arc<Context>,
    from: Lock,
    outputs: Vec<Output>,
) -> Result<(Body, Option<crate::coin::Reservation>), RpcError> {
    let mut balance = Balance::default();
    balance.pay(&outputs);
    let needs = balance.side(-1)?;
    let mut body = body(ctx, Vec::new(), vec![from], outputs);
    let signatures = if from.key_hash().is_some() { 1 } else { MAX_MULTISIG_KEYS as usize };
    let bytes = encoded_length(&body) + signatures * WITNESS_BYTES;
    if needs.is_empty() && payment::fee_of(ctx, bytes) == Amount::ZERO {
        return Ok((body, None));
    }
    let choosing = Choosing { bytes, ..Choosing::default() };
    let chosen = payment::choose(ctx, Source::Watched(from), needs, choosing).await?;
    body.inputs = chosen.inputs;
    body.outputs.extend(chosen.change);
    body.last_height = 0;
    Ok((body, Some(chosen.reservation)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use rota_api::error::Code;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_input_is_named_by_transaction_and_index() {
        let id = "ab".repeat(32);
        let read = |value: Value| outpoint(value.as_object().unwrap());
        assert_eq!(read(json!({"txid": id, "vout": 7})).unwrap().index, 7);
        let refused = [
            json!({"txid": "zz", "vout": 0}),
            json!({"txid": id}),
            json!({"txid": id, "vout": -1}),
            json!({"txid": id, "vout": "0"}),
            json!({"txid": id, "vout": 4_294_967_296_u64}),
            json!({"vout": 0}),
        ];
        for value in refused {
            assert_eq!(read(value.clone()).unwrap_err().code, Code::InvalidParameter, "{value}");
        }
    }

    #[test]
    fn authors_are_unique_and_few() {
        let lock = |seed: u8| Lock::Key(rota_chain::lock::KeyHash([seed; 20]));
        let mut authors = Vec::new();
        for seed in 0..16 {
            add_author(&mut authors, lock(seed)).unwrap();
        }
        assert!(add_author(&mut authors, lock(99)).is_err() && add_author(&mut authors, lock(0)).is_err());
    }
}
