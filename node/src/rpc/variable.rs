//! Variables: setting and reading named JSON values, and the values they have had. Creating one is in `create`.

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::{Code, EntityKind as Wanted, ParameterRule, RpcError};
use rota_api::params::{ALL_ENTRIES, Page, Params};
use rota_api::variable::{VariableEntry, VariablePlace, VariableValue};
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::permission::Permission;
use rota_chain::stream::MAX_DETAILS;
use rota_chain::transaction::Output;
use rota_chain::variable::SetVariable;
use rota_consensus::authority;
use rota_consensus::state::{Entity, EntityKind};
use rota_storage::EntityList;
use serde_json::Value;

use crate::context::Context;
use crate::rpc::cache::blocking;
use crate::rpc::decode::Moment;
use crate::rpc::entity::{Catalogue, Step};
use crate::rpc::entries::Entries;
use crate::rpc::publish::from_address;
use crate::rpc::{Answer, Answerer, data, resolve};
use crate::view::View;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("setvariablevalue", Answerer::Later(set)),
    ("setvariablevaluefrom", Answerer::Later(set_from)),
    ("getvariablevalue", Answerer::Now(value)),
    ("getvariableinfo", Answerer::Now(info)),
    ("listvariables", Answerer::Later(list)),
    ("getvariablehistory", Answerer::Later(history)),
];

/// The page that holds the last step alone.
const LAST: Page = Page { count: 1, start: -1 };

fn set(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move { put(ctx, &params, None, 0).await })
}

fn set_from(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let from = from_address(&ctx, params.text(0)?)?;
        put(ctx, &params, from, 1).await
    })
}

async fn put(ctx: Arc<Context>, params: &Params, from: Option<Lock>, at: usize) -> Answer {
    let identifier = params.text(at)?;
    let value = bytes(params.value(at + 1))?;
    let (variable, author) = {
        let view = ctx.view.read();
        let (variable, entity) = resolve::entity_in(&view, identifier, Wanted::Variable)?;
        (variable, writer(&ctx, &view, from, variable, &entity.kind)?)
    };
    let output = Output::operation(Operation::SetVariable(SetVariable { variable, value }));
    resolve::submit_outputs(ctx, vec![author], vec![output]).await.map(|txid| txid.to_string().into())
}

/// The address that sets a variable: one that may write it and send.
fn writer(ctx: &Context, view: &View, from: Option<Lock>, variable: Txid, kind: &EntityKind) -> Result<Lock, RpcError> {
    let (state, height) = (view.pool.state(), view.pool.place().height);
    let open = matches!(kind, EntityKind::Variable { restrict_write: false, .. });
    let may = |lock: &Lock| {
        Ok((open || authority::may_on(state, variable, Permission::Write, lock, height)?)
            && authority::may(state, &ctx.rules, Permission::Send, lock, height)?)
    };
    resolve::own_author(ctx, from, may).map_err(|error| match (error.code, from) {
        (Code::InsufficientPermissions, Some(from)) => {
            let sentence = "from-address may not set this variable: it needs its write permission, and send";
            RpcError::no_permission(sentence)
                .rule("variable-write")
                .got(ctx.scheme.encode(&from))
                .allowed("write, send")
        }
        (Code::InsufficientPermissions, None) => {
            let sentence = "This wallet contains no address with write permission for this variable, and send";
            RpcError::no_permission(sentence).rule("variable-write").allowed("write, send")
        }
        _ => error,
    })
}

/// The bytes that a value has on the chain: its JSON text, `null` for none.
///
/// # Errors
/// -8 if it is too long or nested too deeply.
pub fn bytes(value: &Value) -> Result<Vec<u8>, RpcError> {
    let bytes = data::json_bytes(value)?;
    if bytes.len() > MAX_DETAILS as usize {
        let sentence = format!("A value of {} bytes exceeds {MAX_DETAILS}", bytes.len());
        return Err(RpcError::parameter(ParameterRule::Size, sentence).got(bytes.len()).allowed(MAX_DETAILS));
    }
    Ok(bytes)
}

fn value(ctx: &Context, params: &Params) -> Answer {
    let (catalogue, txid, _) = Catalogue::named(ctx, EntityList::Variables, params.value(0))?;
    last(&catalogue, &txid).map(|step| shown(&step))
}

/// The step that set a variable's present value.
fn last(catalogue: &Catalogue<'_>, variable: &Txid) -> Result<Step, RpcError> {
    let missing = || resolve::storage_error("a variable has no value");
    let mut last = None;
    catalogue.for_history(variable, LAST, |step| {
        last = Some(step.clone());
        Ok(())
    })?;
    last.ok_or_else(missing)
}

/// The value that a step set; null where bytes that others made are no JSON.
fn shown(step: &Step) -> Value {
    readable(match step.operation() {
        Some(Operation::CreateVariable(create)) => create.value.as_slice(),
        Some(Operation::SetVariable(set)) => set.value.as_slice(),
        _ => &[],
    })
}

/// A value's bytes as JSON; null for bytes that others made and that are none.
#[must_use]
pub fn readable(bytes: &[u8]) -> Value {
    data::json_value(bytes).unwrap_or_default()
}

fn info(ctx: &Context, params: &Params) -> Answer {
    let verbose = params.verbose(1)?;
    let (catalogue, txid, entity) = Catalogue::named(ctx, EntityList::Variables, params.value(0))?;
    resolve::shape(&described(&catalogue, &txid, &entity, verbose)?)
}

fn list(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let verbose = params.verbose(1)?;
        Catalogue::answer(&ctx, (EntityList::Variables, "listvariables"), &params, 2, |catalogue, variables| {
            let mut entries = Entries::new();
            for txid in variables {
                let Some(entity) = catalogue.entity(&txid)? else { continue };
                entries.push(resolve::shape(&described(catalogue, &txid, &entity, verbose)?)?)?;
            }
            Ok(entries.finish())
        })
    })
}

fn described(
    catalogue: &Catalogue<'_>,
    txid: &Txid,
    entity: &Entity,
    verbose: bool,
) -> Result<VariableEntry, RpcError> {
    let last = last(catalogue, txid)?;
    let name = (!entity.name.is_empty()).then(|| String::from_utf8_lossy(&entity.name).into_owned());
    Ok(VariableEntry {
        name,
        createtxid: txid.to_string(),
        variableref: resolve::reference(txid, entity),
        historylen: catalogue.history_count(txid)?.cast_signed(),
        value: shown(&last),
        lastwriters: writers(&catalogue.moment, &last),
        lasttxid: verbose.then(|| last.known.txid.to_string()),
        lastvout: verbose.then(|| last.vout.into()),
    })
}

fn writers(moment: &Moment<'_>, step: &Step) -> Vec<String> {
    step.authors().iter().map(|lock| moment.address(lock)).collect()
}

fn history(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    blocking(move || {
        let verbose = params.verbose(1)?;
        let paging = params.paging(2, 3, ALL_ENTRIES)?;
        let (catalogue, txid, _) = Catalogue::named(&ctx, EntityList::Variables, params.value(0))?;
        let moment = &catalogue.moment;
        catalogue.answer_history("getvariablehistory", &txid, paging, |step| {
            resolve::shape(&VariableValue {
                value: shown(step),
                writers: writers(moment, step),
                place: verbose.then(|| place(moment, step)),
            })
        })
    })
}

fn place(moment: &Moment<'_>, step: &Step) -> VariablePlace {
    let mined = step.known.mined;
    VariablePlace {
        txid: step.known.txid.to_string(),
        vout: step.vout.into(),
        confirmations: moment.confirmations(&step.known),
        blockhash: mined.map(|mined| mined.hash.to_string()),
        blockindex: mined.map(|mined| mined.index.into()),
        blocktime: mined.map(|mined| mined.time.into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_any_json_up_to_the_limit() {
        assert_eq!(bytes(&Value::Null).unwrap(), b"null");
        assert_eq!(bytes(&json!({"z": 1.5, "a": [null, "x"]})).unwrap(), br#"{"z":1.5,"a":[null,"x"]}"#);
        let longest = "x".repeat(MAX_DETAILS as usize - 2);
        assert_eq!(bytes(&json!(longest)).unwrap().len(), MAX_DETAILS as usize);
        assert_eq!(bytes(&json!(longest + "x")).unwrap_err().code.number(), -8);
    }
}
