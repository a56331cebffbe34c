//! Entities in the forms that transactions built by hand have: `{"create": ..}` and `{"update": ..}`.

use rota_api::error::{ParameterRule, RpcError};
use rota_chain::asset::{IssueAsset, IssueMore, UpdateAsset};
use rota_chain::operation::Operation;
use rota_chain::stream::CreateStream;
use rota_chain::variable::{CreateVariable, SetVariable};
use rota_consensus::state::EntityKind;
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::rpc::asset::terms::{TERMS, Terms};
use crate::rpc::resolve::{self, unknown_field};
use crate::rpc::{create, variable};

pub use crate::rpc::create::details;

/// The operation that `{"create": ..}` stands for. Units of a new asset are counted once all outputs are known.
///
/// # Errors
/// -8 for a wrong form, -702 for kinds that this version does not have.
pub fn create(members: &Map<String, Value>) -> Result<Operation, RpcError> {
    match members.get("create").and_then(Value::as_str) {
        Some("stream") => stream(members),
        Some("asset") => asset(members),
        Some("variable") => new_variable(members),
        Some(kind @ ("upgrade" | "txfilter" | "streamfilter" | "library")) => {
            Err(crate::rpc::not_answered(&format!("create {kind}")))
        }
        _ => {
            let error = RpcError::parameter(ParameterRule::Word, "Invalid new entity type");
            let given = members.get("create").cloned().unwrap_or_default();
            Err(error.got(given).allowed(["stream", "asset", "variable"]))
        }
    }
}

fn known(members: &Map<String, Value>, names: &[&str]) -> Result<(), RpcError> {
    match members.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(unknown_field(name, names)),
        None => Ok(()),
    }
}

fn name(members: &Map<String, Value>, what: &str) -> Result<Vec<u8>, RpcError> {
    members.get("name").map_or_else(|| Ok(Vec::new()), |name| create::name(name, what))
}

/// A stream; without a word about it only those with its write right publish.
fn stream(members: &Map<String, Value>) -> Result<Operation, RpcError> {
    known(members, &["create", "name", "open", "restrict", "salted", "details"])?;
    let mut options = Map::new();
    for name in ["restrict", "salted"] {
        if let Some(value) = members.get(name) {
            options.insert(name.to_owned(), value.clone());
        }
    }
    let open = members.get("open").map(is_open);
    let (mut restriction, salted) = create::options(&Value::Object(options))?;
    match open.transpose()? {
        Some(open) => restriction.write |= !open,
        None if !members.contains_key("restrict") => restriction.write = true,
        None => {}
    }
    let details = details(members.get("details"))?;
    Ok(Operation::CreateStream(CreateStream { name: name(members, "stream")?, restriction, salted, details }))
}

fn is_open(value: &Value) -> Result<bool, RpcError> {
    value.as_bool().ok_or_else(|| RpcError::mistyped(value, "bool", "Invalid open field, should be boolean"))
}

fn asset(members: &Map<String, Value>) -> Result<Operation, RpcError> {
    let names: Vec<&str> = TERMS.into_iter().chain(["create", "multiple", "details"]).collect();
    known(members, &names)?;
    let one = Value::from(1);
    let given = members.get("multiple").unwrap_or(&one);
    let sentence = "Invalid multiple, should be a whole number above 0";
    let refused = || RpcError::not_whole(given, format!("1 to {}", i64::MAX), sentence);
    let multiple = given.as_i64().filter(|multiple| *multiple > 0).ok_or_else(refused)?;
    let terms: Map<String, Value> =
        TERMS.iter().filter_map(|name| Some(((*name).to_owned(), members.get(*name)?.clone()))).collect();
    let Terms { name, rules } = Terms::read(&json!(terms), multiple)?;
    let details = details(members.get("details"))?;
    let multiple = multiple.unsigned_abs();
    Ok(Operation::IssueAsset(IssueAsset { name, multiple, rules, quantity: 0, details }))
}

fn new_variable(members: &Map<String, Value>) -> Result<Operation, RpcError> {
    known(members, &["create", "name", "open", "value"])?;
    let value = variable::bytes(members.get("value").unwrap_or(&Value::Null))?;
    Ok(Operation::CreateVariable(CreateVariable { name: name(members, "variable")?, restrict_write: true, value }))
}

/// The operations that `{"update": ..}` stands for: details or opening of an asset, a variable's value.
///
/// # Errors
/// -8 for a wrong form, -708 for an unknown entity, -702 for a stream: nothing of it changes.
pub fn update(ctx: &Context, members: &Map<String, Value>) -> Result<Vec<Operation>, RpcError> {
    let identifier = members.get("update").unwrap_or(&Value::Null);
    let refused = || RpcError::mistyped(identifier, "str", "Invalid update field, should be string");
    let identifier = identifier.as_str().ok_or_else(refused)?;
    let (txid, entity) = resolve::entity(ctx, identifier)?;
    match entity.kind {
        EntityKind::Asset { .. } => {
            known(members, &["update", "details", "open"])?;
            let mut operations = Vec::new();
            if let Some(value) = members.get("details") {
                let details = details(Some(value))?;
                operations.push(Operation::IssueMore(IssueMore { asset: txid, token: None, quantity: 0, details }));
            }
            if let Some(open) = members.get("open") {
                operations.push(Operation::UpdateAsset(UpdateAsset { asset: txid, open: is_open(open)? }));
            }
            if operations.is_empty() {
                return Err(RpcError::missing_field("details or open"));
            }
            Ok(operations)
        }
        EntityKind::Variable { .. } => {
            known(members, &["update", "value"])?;
            let value = members.get("value").ok_or_else(|| RpcError::missing_field("value"))?;
            Ok(vec![Operation::SetVariable(SetVariable { variable: txid, value: variable::bytes(value)? })])
        }
        EntityKind::Stream { .. } | EntityKind::Upgrade { .. } => {
            let error = RpcError::not_supported("Only assets and variables are updated").rule("entity-kind");
            Err(error.got(identifier).allowed("asset or variable"))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
    use super::*;

    fn made(value: Value) -> Result<Operation, RpcError> {
        create(value.as_object().unwrap())
    }

    #[test]
    fn a_stream_is_closed_unless_it_is_said_to_be_open() {
        let write = |value: Value| match made(value).unwrap() {
            Operation::CreateStream(create) => create.restriction.write,
            other => panic!("{other:?}"),
        };
        assert!(!write(json!({"create": "stream", "name": "a", "open": true})));
        assert!(write(json!({"create": "stream", "name": "a"})));
        assert!(write(json!({"create": "stream", "open": false})));
        assert!(!write(json!({"create": "stream", "restrict": "offchain"})));
    }

    #[test]
    fn an_asset_has_its_terms_and_no_units_of_its_own() {
        let made =
            made(json!({"create": "asset", "name": "c", "multiple": 10, "open": true, "totallimit": 5})).unwrap();
        let Operation::IssueAsset(issue) = made else { panic!("{made:?}") };
        assert_eq!((issue.multiple, issue.quantity, issue.rules.total_limit), (10, 0, Some(50)));
        assert!(issue.rules.open && issue.rules.fungible);
    }

    #[test]
    fn what_no_entity_has_is_refused() {
        for value in [
            json!({"create": "nonsense", "name": "x"}),
            json!({"create": 5}),
            json!({"create": "stream", "name": "x", "nonsense": 1}),
            json!({"create": "asset", "name": "x", "nonsense": 1}),
            json!({"create": "asset", "name": "x", "multiple": 0}),
            json!({"create": "asset", "name": "x", "multiple": 1.5}),
            json!({"create": "stream", "open": "yes"}),
            json!({"create": "variable", "name": "x", "details": {}}),
        ] {
            assert_eq!(made(value.clone()).unwrap_err().code.number(), -8, "{value}");
        }
        assert_eq!(made(json!({"create": "library", "name": "x"})).unwrap_err().code.number(), -702);
    }
}
