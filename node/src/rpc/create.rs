//! create and createfrom: making a stream, a variable or an upgrade, and what all makers of entities share. Assets are made in
//! `asset`; other entities are refused as not in this version.

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::{Code, ParameterRule, RpcError};
use rota_api::params::Params;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::permission::Permission;
use rota_chain::stream::{CreateStream, MAX_DETAILS, StreamRestriction};
use rota_chain::transaction::Output;
use rota_chain::variable::CreateVariable;
use rota_consensus::authority;
use rota_consensus::ops::entity::{MAX_ENTITY_NAME, is_reference_shaped};
use rota_consensus::state::StateView;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::rpc::publish::from_address;
use crate::rpc::{Answer, Answerer, data, resolve, upgrade, variable};
use crate::view::View;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] =
    &[("create", Answerer::Later(create)), ("createfrom", Answerer::Later(create_from))];

fn create(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move { make(ctx, &params, None, 0).await })
}

fn create_from(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let from = from_address(&ctx, params.text(0)?)?;
        make(ctx, &params, from, 1).await
    })
}

async fn make(ctx: Arc<Context>, params: &Params, from: Option<Lock>, at: usize) -> Answer {
    let operation = match params.text(at)? {
        "stream" => stream(params, at + 1)?,
        "variable" => variable(params, at + 1)?,
        "upgrade" => {
            upgrade::proposal(name(params.value(at + 1), "upgrade")?, params.value(at + 2), params.value(at + 3))?
        }
        kind @ ("txfilter" | "streamfilter" | "library") => {
            return Err(crate::rpc::not_answered(&format!("create {kind}")));
        }
        other => {
            let error = RpcError::parameter(ParameterRule::Word, "Invalid entity type").got(other);
            return Err(error.allowed(["stream", "variable", "upgrade"]));
        }
    };
    let author = {
        let view = ctx.view.read();
        let name = match &operation {
            Operation::CreateStream(create) => &create.name,
            Operation::CreateVariable(create) => &create.name,
            Operation::CreateUpgrade(create) => &create.name,
            _ => return Err(RpcError::internal("what is created has no name")),
        };
        check_free(&view, name)?;
        match &operation {
            Operation::CreateUpgrade(_) => upgrade::author(&ctx, &view, from)?,
            _ => author(&ctx, &view, from, Permission::Create)?,
        }
    };
    let output = Output::operation(operation);
    resolve::submit_outputs(ctx, vec![author], vec![output]).await.map(|txid| txid.to_string().into())
}

fn stream(params: &Params, at: usize) -> Result<Operation, RpcError> {
    let (restriction, salted) = options(params.value(at + 1))?;
    let name = name(params.value(at), "stream")?;
    let details = details(params.given(at + 2))?;
    Ok(Operation::CreateStream(CreateStream { name, restriction, salted, details }))
}

/// A variable: only those with its write right set it.
fn variable(params: &Params, at: usize) -> Result<Operation, RpcError> {
    match params.value(at + 1) {
        Value::Bool(true) => {}
        Value::Bool(false) => {
            let error = RpcError::parameter(ParameterRule::Word, "Invalid open flag, a variable takes true");
            return Err(error.got(false).allowed(true));
        }
        other => return Err(RpcError::mistyped(other, "bool", "Invalid open flag, should be boolean")),
    }
    let name = name(params.value(at), "variable")?;
    let value = variable::bytes(params.value(at + 2))?;
    Ok(Operation::CreateVariable(CreateVariable { name, restrict_write: true, value }))
}

/// The name of a new entity; empty for none.
///
/// # Errors
/// -8 for what is no name; `what` says of which kind the entity is.
pub fn name(value: &Value, what: &str) -> Result<Vec<u8>, RpcError> {
    let refused = || RpcError::mistyped(value, "str", format!("Invalid {what} name, should be string"));
    let text = value.as_str().ok_or_else(refused)?;
    if text == "*" {
        return Err(RpcError::parameter(ParameterRule::Form, format!("Invalid {what} name: *")).got(text));
    }
    if is_reference_shaped(text) {
        let sentence = format!("Invalid {what} name, has the form of a reference");
        return Err(RpcError::parameter(ParameterRule::Form, sentence).got(text));
    }
    if text.len() > MAX_ENTITY_NAME {
        let length = text.len();
        let sentence = format!("Invalid {what} name: {length} bytes, the limit is {MAX_ENTITY_NAME}");
        return Err(RpcError::parameter(ParameterRule::Size, sentence).got(length).allowed(MAX_ENTITY_NAME));
    }
    Ok(text.as_bytes().to_vec())
}

/// -705 if an entity, waiting ones included, has this name.
///
/// # Errors
/// -705, or -32603 if storage fails.
pub fn check_free(view: &View, name: &[u8]) -> Result<(), RpcError> {
    let named =
        if name.is_empty() { None } else { view.pool.state().entity_named(name).map_err(resolve::state_error)? };
    if named.is_some() { Err(RpcError::name_taken()) } else { Ok(()) }
}

/// What is forbidden and whether chunks are salted: a boolean for open, or `{restrict?, salted?}`.
///
/// # Errors
/// -8 for another form, -702 for restrictions that there are not or that contradict each other.
pub fn options(value: &Value) -> Result<(StreamRestriction, bool), RpcError> {
    let map = match value {
        Value::Bool(open) => return Ok((StreamRestriction { write: !open, ..StreamRestriction::default() }, false)),
        Value::Object(map) => map,
        other => {
            return Err(RpcError::mistyped(other, "bool or obj", "Invalid open flag, should be boolean or object"));
        }
    };
    let (mut restriction, mut salted) = (StreamRestriction::default(), None);
    for (name, value) in map {
        match name.as_str() {
            "restrict" => {
                let refused = || RpcError::mistyped(value, "str", "Invalid restrict field, should be string");
                restriction = restrictions(value.as_str().ok_or_else(refused)?)?;
            }
            "salted" => {
                let refused = || RpcError::mistyped(value, "bool", "Invalid salted, should be boolean");
                salted = Some(value.as_bool().ok_or_else(refused)?);
            }
            other => {
                let sentence = "Invalid field, should be restrict or salted";
                let error = RpcError::parameter(ParameterRule::Unknown, sentence).got(other);
                return Err(error.allowed(["restrict", "salted"]));
            }
        }
    }
    if restriction.read && salted == Some(false) {
        let error = RpcError::not_supported("A stream restricted in reading is always salted: leave salted out");
        return Err(error.rule("stream-restriction").got(false).allowed(true));
    }
    Ok((restriction, salted.unwrap_or(restriction.read)))
}

fn restrictions(words: &str) -> Result<StreamRestriction, RpcError> {
    let mut restriction = StreamRestriction::default();
    for word in words.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        match word {
            "write" => restriction.write = true,
            "read" => restriction.read = true,
            "onchain" => restriction.onchain = true,
            "offchain" => restriction.offchain = true,
            other => {
                let error = RpcError::not_supported("Unsupported restriction").rule(ParameterRule::Word.name());
                return Err(error.got(other).allowed(["write", "read", "onchain", "offchain"]));
            }
        }
    }
    // Items that only some may read are never on the chain.
    restriction.onchain |= restriction.read;
    if restriction.onchain && restriction.offchain {
        let error = RpcError::not_supported("Stream cannot be restricted from both onchain and offchain items");
        return Err(error.rule("stream-restriction").got(words));
    }
    Ok(restriction)
}

/// Details of an entity or an issuance: an object, kept as its text; nothing for an empty one.
///
/// # Errors
/// -8 for anything else, or too long.
pub fn details(value: Option<&Value>) -> Result<Vec<u8>, RpcError> {
    let empty = Map::new();
    let map = match value {
        None => &empty,
        Some(value) => value.as_object().ok_or_else(|| RpcError::mistyped(value, "obj", "Invalid details"))?,
    };
    if map.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = data::json_bytes(value.unwrap_or(&Value::Null))?;
    if bytes.len() > MAX_DETAILS as usize {
        let sentence = format!("Details of {} bytes exceed {MAX_DETAILS}", bytes.len());
        return Err(RpcError::parameter(ParameterRule::Size, sentence).got(bytes.len()).allowed(MAX_DETAILS));
    }
    Ok(bytes)
}

/// The address that makes an entity: it holds `right` on the chain, create or issue, and may send.
///
/// # Errors
/// -704 if none does.
pub fn author(ctx: &Context, view: &View, from: Option<Lock>, right: Permission) -> Result<Lock, RpcError> {
    let (state, height) = (view.pool.state(), view.pool.place().height);
    let may = |lock: &Lock| {
        Ok(authority::may(state, &ctx.rules, right, lock, height)?
            && authority::may(state, &ctx.rules, Permission::Send, lock, height)?)
    };
    let rule = if right == Permission::Issue { "asset-issue" } else { "entity-create" };
    let right = right.name();
    let needed = format!("{right}, send");
    resolve::own_author(ctx, from, may).map_err(|error| match (error.code, from) {
        (Code::InsufficientPermissions, Some(from)) => {
            let sentence = format!("from-address doesn't have {right} permission");
            RpcError::no_permission(sentence).rule(rule).got(ctx.scheme.encode(&from)).allowed(needed)
        }
        (Code::InsufficientPermissions, None) => {
            let sentence = format!("This wallet contains no address with {right} permission");
            RpcError::no_permission(sentence).rule(rule).allowed(needed)
        }
        _ => error,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use serde_json::json;

    fn code<T: std::fmt::Debug>(answer: Result<T, RpcError>) -> i32 {
        answer.unwrap_err().code.number()
    }

    #[test]
    fn options_say_what_is_forbidden() {
        assert_eq!(options(&json!(true)).unwrap(), (StreamRestriction::default(), false));
        assert!(options(&json!(false)).unwrap().0.write);
        assert_eq!(options(&json!({})).unwrap(), (StreamRestriction::default(), false));
        assert_eq!(options(&json!({"restrict": ""})).unwrap().0, StreamRestriction::default());
        let (both, salted) = options(&json!({"restrict": "write,onchain", "salted": true})).unwrap();
        assert!(both.write && both.onchain && !both.offchain && salted);
        assert_eq!(code(options(&json!({"restrict": "read", "salted": false}))), -702);
        let (read, salted) = options(&json!({"restrict": "read"})).unwrap();
        assert!(read.read && read.onchain && salted);
    }

    #[test]
    fn contradictory_and_unknown_restrictions_are_not_supported() {
        for words in ["onchain,offchain", "read,offchain", "nonsense"] {
            assert_eq!(code(options(&json!({"restrict": words}))), -702, "{words}");
        }
        for value in
            [json!({"nonsense": 1}), json!({"restrict": true}), json!({"salted": "yes"}), json!("true"), json!(1)]
        {
            assert_eq!(code(options(&value)), -8, "{value}");
        }
    }

    #[test]
    fn a_name_has_at_most_32_bytes_and_no_form_of_its_own() {
        assert_eq!(name(&json!("x".repeat(32)), "stream").unwrap().len(), 32);
        for value in [json!("x".repeat(33)), json!("*"), json!("1-2-3"), json!(5)] {
            assert_eq!(code(name(&value, "stream")), -8, "{value}");
        }
    }

    #[test]
    fn a_variable_takes_true_and_any_value() {
        let made = |open, value| variable(&Params::new(vec![json!("v"), open, value]), 0);
        let Operation::CreateVariable(create) = made(json!(true), json!({"a": [1]})).unwrap() else { unreachable!() };
        assert!(create.restrict_write);
        assert_eq!((create.name.as_slice(), create.value.as_slice()), (&b"v"[..], &br#"{"a":[1]}"#[..]));
        for open in [json!(false), json!("yes"), json!({"open": true}), json!(null)] {
            assert_eq!(code(made(open.clone(), json!(1))), -8, "{open}");
        }
    }

    #[test]
    fn details_are_an_object_and_nothing_else() {
        assert_eq!(details(None).unwrap(), b"");
        assert_eq!(details(Some(&json!({}))).unwrap(), b"");
        assert_eq!(details(Some(&json!({"b": 1, "a": 2}))).unwrap(), br#"{"b":1,"a":2}"#);
        assert_eq!(code(details(Some(&json!("text")))), -8);
        assert_eq!(code(details(Some(&json!(["a"])))), -8);
    }
}
