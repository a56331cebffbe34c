//! Quantities of assets and native currency as explorers show them: native currency has neither name nor issuing
//! transaction.

use rota_api::error::RpcError;
use rota_chain::hash::Txid;
use rota_chain::transaction::Output;
use serde_json::{Map, Value};

use crate::rpc::decode::Moment;
use crate::rpc::decode::asset::{self, Unit, unit};
use crate::rpc::decode::output::View;

/// A quantity or a change of one, of native currency if no asset is named.
///
/// # Errors
/// -32603 if storage fails.
pub(super) fn quantity(moment: &Moment<'_>, of: Option<&Unit>, raw: i128) -> Result<Map<String, Value>, RpcError> {
    if let Some(of) = of {
        let mut map = asset::quantity(moment, of, raw, View::Chain)?;
        if !map.contains_key("name") {
            map.insert("name".into(), Value::Null);
        }
        return Ok(map);
    }
    let mut map = Map::new();
    map.insert("name".into(), Value::Null);
    map.insert("issuetxid".into(), Value::Null);
    map.insert("assetref".into(), "".into());
    map.insert("qty".into(), moment.amount(raw));
    map.insert("raw".into(), i64::try_from(raw).unwrap_or(i64::MAX).into());
    Ok(map)
}

/// All that an output of transaction `own` holds, native currency last.
///
/// # Errors
/// -32603 if storage fails.
pub(super) fn held(moment: &Moment<'_>, own: Txid, output: &Output) -> Result<Vec<Value>, RpcError> {
    let assets = output.assets.iter().map(|held| (Some(unit(own, held)), i128::from(held.quantity)));
    let native = (output.amount.0 > 0).then_some((None, i128::from(output.amount.0)));
    let all = assets.chain(native);
    all.map(|(of, raw)| quantity(moment, of.as_ref(), raw).map(Value::Object)).collect()
}
