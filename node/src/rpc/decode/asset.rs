//! Assets as transactions show them: quantities in outputs and inputs, and what is issued.

use rota_api::asset::AssetRestrict;
use rota_api::error::RpcError;
use rota_api::number::amount_value;
use rota_chain::asset::{AssetQuantity, AssetReference, IssueAsset, IssueMore};
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::transaction::Transaction;
use rota_consensus::state::{Entity, EntityKind};
use serde_json::{Map, Value, json};

use super::moment::{Known, Moment};
use super::output::View;
use crate::rpc::{data, resolve};

/// An asset or one of its tokens.
pub type Unit = (Txid, Option<Vec<u8>>);

/// What a quantity is of, in the transaction that has it.
#[must_use]
pub fn unit(own: Txid, quantity: &AssetQuantity) -> Unit {
    let asset = match quantity.asset {
        AssetReference::New => own,
        AssetReference::Existing(asset) => asset,
    };
    (asset, quantity.token.clone())
}

/// Raw units as the API prints them.
#[must_use]
pub fn quantity_value(multiple: u64, raw: i128) -> Value {
    let raw = i64::try_from(raw).unwrap_or(if raw < 0 { i64::MIN } else { i64::MAX });
    amount_value(raw, i64::try_from(multiple).unwrap_or(i64::MAX))
}

/// Raw units a displayed unit of an asset; 1 for what is none.
#[must_use]
pub fn multiple(entity: Option<&Entity>) -> u64 {
    match entity.map(|entity| &entity.kind) {
        Some(EntityKind::Asset { multiple, .. }) => *multiple,
        _ => 1,
    }
}

/// Writes the name and reference of an asset, with its issuing transaction where the chain's form is shown.
fn write_name(txid: &Txid, entity: Option<&Entity>, view: View, map: &mut Map<String, Value>) {
    if let Some(entity) = entity.filter(|entity| !entity.name.is_empty()) {
        map.insert("name".into(), String::from_utf8_lossy(&entity.name).into_owned().into());
    }
    if view == View::Chain {
        map.insert("issuetxid".into(), txid.to_string().into());
    }
    map.insert("assetref".into(), entity.and_then(|entity| resolve::reference(txid, entity)).into());
}

fn write_token(token: Option<&[u8]>, map: &mut Map<String, Value>) {
    if let Some(token) = token {
        map.insert("token".into(), String::from_utf8_lossy(token).into_owned().into());
    }
}

/// A quantity, or a change of one. The chain's form has raw units too.
///
/// # Errors
/// -32603 if storage fails.
pub fn quantity(moment: &Moment<'_>, unit: &Unit, raw: i128, view: View) -> Result<Map<String, Value>, RpcError> {
    let mut map = Map::new();
    let entity = moment.entity(&unit.0)?;
    write_name(&unit.0, entity.as_ref(), view, &mut map);
    write_token(unit.1.as_deref(), &mut map);
    map.insert("qty".into(), quantity_value(multiple(entity.as_ref()), raw));
    if view == View::Chain {
        map.insert("raw".into(), i64::try_from(raw).unwrap_or(i64::MAX).into());
    }
    Ok(map)
}

/// A quantity in an output, with the word for how it came there.
///
/// # Errors
/// -32603 if storage fails.
pub fn output_quantity(
    moment: &Moment<'_>,
    known: &Known,
    index: u32,
    held: &AssetQuantity,
    view: View,
) -> Result<Value, RpcError> {
    let mut map = quantity(moment, &unit(known.txid, held), i128::from(held.quantity), view)?;
    map.insert("type".into(), Arrival::of(&known.tx, index, held).word().into());
    Ok(Value::Object(map))
}

/// How a quantity came to its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Issued with the asset.
    IssueFirst,
    /// Issued later.
    IssueMore,
    /// Issued as a token.
    IssueToken,
    /// Moved.
    Transfer,
}

impl Arrival {
    /// How the quantity of the output at `index` came there. Where units of one kind are both spent and issued, the
    /// first output that holds exactly what is issued has the new ones.
    #[must_use]
    pub fn of(tx: &Transaction, index: u32, held: &AssetQuantity) -> Arrival {
        let AssetReference::Existing(asset) = held.asset else { return Arrival::IssueFirst };
        let issued: u64 = tx
            .operations()
            .filter_map(|(_, operation)| match operation {
                Operation::IssueMore(issue) if issue.asset == asset && issue.token == held.token => {
                    Some(issue.quantity)
                }
                _ => None,
            })
            .fold(0, u64::saturating_add);
        if issued == 0 {
            return Arrival::Transfer;
        }
        let same = |other: &AssetQuantity| other.asset == held.asset && other.token == held.token;
        let places = || {
            let outputs = (0u32..).zip(&tx.body.outputs);
            let held = outputs.flat_map(|(at, output)| output.assets.iter().map(move |held| (at, held)));
            held.filter(|(_, held)| same(held))
        };
        let all: u64 = places().map(|(_, held)| held.quantity).fold(0, u64::saturating_add);
        let first = places().find(|(_, held)| held.quantity == issued).map(|(at, _)| at);
        match all == issued || first == Some(index) {
            true if held.token.is_some() => Arrival::IssueToken,
            true => Arrival::IssueMore,
            false => Arrival::Transfer,
        }
    }

    /// The word for it in answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Arrival::IssueFirst => "issuefirst",
            Arrival::IssueMore => "issuemore",
            Arrival::IssueToken => "issuetoken",
            Arrival::Transfer => "transfer",
        }
    }
}

/// What an asset allows, in the order answers have.
fn write_rules(issue: &IssueAsset, units: bool, map: &mut Map<String, Value>) {
    let limit = |raw: Option<u64>| raw.map_or(Value::Null, |raw| quantity_value(issue.multiple, i128::from(raw)));
    let rules = issue.rules;
    map.insert("multiple".into(), issue.multiple.into());
    if units {
        map.insert("units".into(), quantity_value(issue.multiple, 1));
    }
    map.insert("open".into(), rules.open.into());
    let restrict =
        AssetRestrict { send: rules.restrict_send, receive: rules.restrict_receive, issue: rules.restrict_issue };
    map.insert("restrict".into(), serde_json::to_value(restrict).unwrap_or_else(|_| json!({})));
    map.insert("fungible".into(), rules.fungible.into());
    map.insert("canopen".into(), rules.can_open.into());
    map.insert("canclose".into(), rules.can_close.into());
    map.insert("totallimit".into(), limit(rules.total_limit));
    map.insert("issuelimit".into(), limit(rules.issue_limit));
}

/// The asset that a transaction issues or issues more of, none if it does neither: in the form of the chain, or in that
/// of a wallet, with quantities and who got them.
///
/// # Errors
/// -32603 if storage fails.
pub fn issued(moment: &Moment<'_>, known: &Known, view: View) -> Result<Option<Value>, RpcError> {
    for (_, operation) in known.tx.operations() {
        let map = match operation {
            Operation::IssueAsset(issue) => first_issue(moment, known, issue, view)?,
            Operation::IssueMore(issue) => more_issue(moment, known, issue, view)?,
            _ => continue,
        };
        return Ok(Some(Value::Object(map)));
    }
    Ok(None)
}

fn first_issue(
    moment: &Moment<'_>,
    known: &Known,
    issue: &IssueAsset,
    view: View,
) -> Result<Map<String, Value>, RpcError> {
    let mut map = Map::new();
    if view == View::Chain {
        map.insert("type".into(), "issuefirst".into());
        if !issue.name.is_empty() {
            map.insert("name".into(), String::from_utf8_lossy(&issue.name).into_owned().into());
        }
    } else {
        write_name(&known.txid, moment.entity(&known.txid)?.as_ref(), view, &mut map);
    }
    write_rules(issue, view == View::Node, &mut map);
    map.insert("details".into(), data::details(&issue.details));
    if view == View::Node {
        write_placed(moment, known, &(known.txid, None), issue.multiple, issue.quantity, &mut map);
    }
    Ok(map)
}

fn more_issue(
    moment: &Moment<'_>,
    known: &Known,
    issue: &IssueMore,
    view: View,
) -> Result<Map<String, Value>, RpcError> {
    let mut map = Map::new();
    if view == View::Chain {
        map.insert("type".into(), "issuemore".into());
    }
    let entity = moment.entity(&issue.asset)?;
    write_name(&issue.asset, entity.as_ref(), view, &mut map);
    write_token(issue.token.as_deref(), &mut map);
    map.insert("details".into(), data::details(&issue.details));
    if view == View::Node {
        let unit = (issue.asset, issue.token.clone());
        write_placed(moment, known, &unit, multiple(entity.as_ref()), issue.quantity, &mut map);
    }
    Ok(map)
}

/// Writes how much was issued, and who got it.
fn write_placed(
    moment: &Moment<'_>,
    known: &Known,
    issued: &Unit,
    multiple: u64,
    raw: u64,
    map: &mut Map<String, Value>,
) {
    map.insert("qty".into(), quantity_value(multiple, i128::from(raw)));
    map.insert("raw".into(), raw.into());
    let holds = |held: &AssetQuantity| unit(known.txid, held) == *issued;
    let with_units = known.tx.body.outputs.iter().filter(|output| output.assets.iter().any(holds));
    let mut locks: Vec<Lock> = with_units.filter_map(|output| output.recipient).collect();
    if locks.is_empty() {
        locks.extend(first_recipient(known));
    }
    let mut seen = std::collections::HashSet::new();
    locks.retain(|lock| seen.insert(*lock));
    map.insert("addresses".into(), locks.iter().map(|lock| moment.address(lock)).collect());
}

/// Whom a transaction that issues no units is for.
#[must_use]
pub fn first_recipient(known: &Known) -> Option<Lock> {
    known.tx.body.outputs.iter().find_map(|output| output.recipient)
}
