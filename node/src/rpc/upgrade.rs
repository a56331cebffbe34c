//! Upgrades of the chain's parameters: proposing, approving and listing them.

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::error::{EntityKind as Wanted, ParameterRule, RpcError};
use rota_api::params::{Params, Selection};
use rota_chain::amount::Height;
use rota_chain::filter::Approve;
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::permission::Permission;
use rota_chain::transaction::Output;
use rota_chain::upgrade::{CreateUpgrade, ParameterChange};
use rota_consensus::authority;
use rota_consensus::ops::upgrade::{Skip, votes_missing};
use rota_consensus::state::{Approval, Entity, EntityKind, StateView};
use rota_params::Parameter;
use rota_params::kind::Kind;
use rota_params::table::{PROTOCOLS_SUPPORTED, protocol_is_supported};
use rota_storage::EntityList;
use serde_json::{Map, Value};

use super::entity::Catalogue;
use super::resolve::{self, entity_in, state_error, submit_outputs};
use super::{Answer, Answerer};
use crate::context::{Context, unix_time};
use crate::rpc::publish::from_address;
use crate::view::View;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] =
    &[("listupgrades", Answerer::Now(list)), ("approvefrom", Answerer::Later(approve))];

/// Reads the proposal of an upgrade: name, `false`, and `{startblock?, PARAMETER: value, ...}`.
///
/// # Errors
/// -8 for a wrong form or an unknown parameter.
pub fn proposal(name: Vec<u8>, open: &Value, changes: &Value) -> Result<Operation, RpcError> {
    if open != &Value::Bool(false) {
        let error = RpcError::parameter(ParameterRule::Word, "Invalid open flag, an upgrade takes false");
        return Err(error.got(open.clone()).allowed(false));
    }
    let refused = || RpcError::mistyped(changes, "obj", "Invalid upgrade, should be object");
    let members = changes.as_object().ok_or_else(refused)?;
    let (mut start, mut wanted) = (0, Vec::new());
    for (word, value) in members {
        if word == "startblock" {
            let height = value.as_u64().and_then(|height| u32::try_from(height).ok());
            let sentence = "Invalid startblock, should be a block height";
            start = height.ok_or_else(|| RpcError::not_whole(value, format!("0 to {}", u32::MAX), sentence))?;
        } else {
            wanted.push(change(word, value)?);
        }
    }
    if wanted.is_empty() {
        return Err(RpcError::parameter(ParameterRule::Missing, "Missing parameters to change"));
    }
    Ok(Operation::CreateUpgrade(CreateUpgrade { name, start, changes: wanted }))
}

fn change(word: &str, value: &Value) -> Result<ParameterChange, RpcError> {
    if matches!(word, "protocol-version" | "protocolversion") {
        let version = value.as_u64().and_then(|version| u32::try_from(version).ok());
        return Err(match version.filter(|version| protocol_is_supported(*version)) {
            Some(version) => {
                let error = RpcError::not_supported("A chain keeps the protocol that it began with");
                error.rule("protocol-fixed").got(version)
            }
            None => {
                let error = RpcError::not_allowed(format!("Unknown protocol version; known are {}", protocols()));
                error.rule("protocol-unknown").got(value.clone()).allowed(protocols())
            }
        });
    }
    let unknown = || {
        let sentence = format!("Unknown parameter: {}", resolve::short(word));
        RpcError::parameter(ParameterRule::Unknown, sentence).got(word)
    };
    let parameter = Parameter::find(word).ok_or_else(unknown)?;
    let value = match (parameter.row().kind, value) {
        (Kind::Bool, Value::Bool(flag)) => i64::from(*flag),
        (Kind::Bool, _) => {
            return Err(RpcError::mistyped(value, "bool", "Invalid parameter type, should be boolean"));
        }
        (_, value) => {
            let refused = || RpcError::mistyped(value, "int", "Invalid parameter type, should be integer");
            value.as_i64().ok_or_else(refused)?
        }
    };
    Ok(ParameterChange { name: parameter.name().as_bytes().to_vec(), value })
}

/// The protocols that this software runs, as ranges.
fn protocols() -> String {
    let ranges: Vec<String> = PROTOCOLS_SUPPORTED.iter().map(|(first, last)| format!("{first}-{last}")).collect();
    ranges.join(", ")
}

/// Who may propose an upgrade holds admin besides create.
///
/// # Errors
/// -704 if nobody of the wallet does.
pub fn author(ctx: &Context, view: &View, from: Option<Lock>) -> Result<Lock, RpcError> {
    let (state, height) = (view.pool.state(), view.pool.place().height);
    let may = |lock: &Lock| {
        Ok(authority::may(state, &ctx.rules, Permission::Create, lock, height)?
            && authority::may(state, &ctx.rules, Permission::Admin, lock, height)?)
    };
    resolve::own_author(ctx, from, may).map_err(resolve::needing("upgrade-admin", "create, admin"))
}

/// Answers approvefrom: a vote of an administrator for or against an upgrade.
fn approve(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let from = from_address(&ctx, params.text(0)?)?;
        let approve = match params.value(2) {
            Value::Bool(approve) => *approve,
            Value::Object(members) => {
                let sentence = "Missing or invalid approve field, should be boolean";
                let refused = || match members.get("approve") {
                    Some(value) => RpcError::mistyped(value, "bool", sentence),
                    None => RpcError::parameter(ParameterRule::Missing, sentence).allowed("approve"),
                };
                members.get("approve").and_then(Value::as_bool).ok_or_else(refused)?
            }
            other => {
                let sentence = "Invalid approve flag, should be boolean or object";
                return Err(RpcError::mistyped(other, "bool or obj", sentence));
            }
        };
        let (upgrade, author) = {
            let view = ctx.view.read();
            let (txid, entity) = entity_in(&view, params.text(1)?, Wanted::Any)?;
            if !matches!(entity.kind, EntityKind::Upgrade { .. }) {
                let error = RpcError::not_supported("Only upgrades are approved").rule("entity-kind");
                return Err(error.got(txid.to_string()).allowed("upgrade"));
            }
            let state = view.pool.state();
            if state.approval(&txid).map_err(state_error)?.is_some_and(|approval| approval.approved.is_some()) {
                let error = RpcError::not_allowed("Upgrade already approved").rule("upgrade-approved");
                return Err(error.got(txid.to_string()));
            }
            let height = view.pool.place().height;
            let may = |lock: &Lock| authority::may(state, &ctx.rules, Permission::Admin, lock, height);
            let author = resolve::own_author(&ctx, from, may);
            (txid, author.map_err(resolve::needing("upgrade-vote", "admin"))?)
        };
        let timestamp = u32::try_from(unix_time()).unwrap_or(u32::MAX);
        let vote = Approve { entity: upgrade, stream: None, update: Vec::new(), approve, timestamp };
        let outputs = vec![Output::operation(Operation::Approve(vote))];
        submit_outputs(Arc::clone(&ctx), vec![author], outputs).await.map(|txid| txid.to_string().into())
    })
}

/// Answers listupgrades: in the order of the last thing that happened to each.
fn list(ctx: &Context, params: &Params) -> Answer {
    let view = ctx.view.read();
    let upgrades: Vec<Txid> = match params.identifier_selection(0)? {
        Selection::These(words) => {
            let named = words.iter().map(|word| entity_in(&view, word, Wanted::Upgrade).map(|(txid, _)| txid));
            named.collect::<Result<_, _>>()?
        }
        Selection::All => {
            let catalogue = Catalogue::at(ctx, &view, EntityList::Upgrades);
            catalogue.all()?
        }
    };
    let state = view.pool.state();
    let mut shown = Vec::with_capacity(upgrades.len());
    for txid in upgrades {
        let Some(entity) = state.entity(&txid).map_err(state_error)? else { continue };
        let approval = state.approval(&txid).map_err(state_error)?.unwrap_or_default();
        let last = approval.applied.or(approval.approved).unwrap_or(entity.height);
        let missing = votes_missing(state, &ctx.rules, &approval, view.pool.place().height).map_err(state_error)?;
        shown.push((last, upgrade(ctx, &txid, &entity, &approval, missing)));
    }
    shown.sort_by_key(|(last, _)| *last);
    Ok(Value::Array(shown.into_iter().map(|(_, value)| value).collect()))
}

fn upgrade(ctx: &Context, txid: &Txid, entity: &Entity, approval: &Approval, missing: u32) -> Value {
    let (start, changes) = match &entity.kind {
        EntityKind::Upgrade { start, changes } => (*start, changes.as_slice()),
        _ => (0, [].as_slice()),
    };
    let skipped = |index: usize| approval.skipped.iter().find(|(at, _)| *at as usize == index).map(|(_, skip)| *skip);
    let (mut all, mut applied, mut left) = (Map::new(), Map::new(), Map::new());
    for (index, change) in changes.iter().enumerate() {
        let name = String::from_utf8_lossy(&change.name).into_owned();
        let value = shown_value(&name, change.value);
        match skipped(index) {
            Some(skip) => left.insert(name.clone(), sentence(skip).into()),
            None => applied.insert(name.clone(), value.clone()),
        };
        all.insert(name, value);
    }
    let mut map = Map::new();
    if !entity.name.is_empty() {
        map.insert("name".into(), String::from_utf8_lossy(&entity.name).into_owned().into());
    }
    map.insert("createtxid".into(), txid.to_string().into());
    map.insert("params".into(), Value::Object(all));
    map.insert("startblock".into(), start.into());
    map.insert("approved".into(), approval.approved.is_some().into());
    let done = approval.applied;
    map.insert("appliedblock".into(), done.map_or(Value::Null, |Height(height)| height.into()));
    map.insert("appliedparams".into(), done.map_or(Value::Null, |_| Value::Object(applied)));
    map.insert("skippedparams".into(), done.map_or(Value::Null, |_| Value::Object(left)));
    map.insert("admins".into(), approval.votes.iter().map(|lock| ctx.scheme.encode(lock)).collect());
    map.insert("required".into(), missing.into());
    Value::Object(map)
}

fn shown_value(name: &str, value: i64) -> Value {
    match Parameter::find(name).map(|parameter| parameter.row().kind) {
        Some(Kind::Bool) => Value::from(value != 0),
        _ => Value::from(value),
    }
}

const fn sentence(skip: Skip) -> &'static str {
    match skip {
        Skip::NotUpgradable => "This parameter cannot be changed on this chain",
        Skip::Range => "The value is out of the parameter's range",
        Skip::Factor => "New parameter value must be between half and double previous value",
        Skip::Gap => "Too few blocks since the last change of this parameter (timing-upgrade-min-gap)",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
    use serde_json::json;

    use super::*;

    fn read(changes: &Value) -> Result<Operation, RpcError> {
        proposal(b"u".to_vec(), &Value::Bool(false), changes)
    }

    #[test]
    fn a_proposal_names_parameters_in_either_spelling() {
        let Operation::CreateUpgrade(create) =
            read(&json!({"startblock": 9, "maximumblocksize": 9_000_000, "anyone-can-send": true})).unwrap()
        else {
            panic!("no upgrade");
        };
        assert_eq!(create.start, 9);
        let shown: Vec<(&[u8], i64)> = create.changes.iter().map(|c| (c.name.as_slice(), c.value)).collect();
        let expected: [(&[u8], i64); 2] = [(b"maximum-block-size", 9_000_000), (b"anyone-can-send", 1)];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_proposal_of_nothing_or_of_wrong_types_is_refused() {
        for changes in [json!({}), json!({"startblock": 1}), json!({"maximum-block-size": "x"}), json!({"nonsense": 1})]
        {
            assert_eq!(read(&changes).unwrap_err().code.number(), -8, "{changes}");
        }
        assert_eq!(read(&json!({"anyone-can-send": 1})).unwrap_err().code.number(), -8);
        let open = proposal(Vec::new(), &Value::Bool(true), &json!({"anyone-can-send": true}));
        assert_eq!(open.unwrap_err().code.number(), -8);
    }
}
