//! One output as answers show it: its script, permissions, items and data, and the entity that it creates.

use rota_api::error::RpcError;
use rota_api::raw::ScriptPubKey;
use rota_api::stream::StreamRestrict;
use rota_chain::data::{Data, DataFormat};
use rota_chain::hash::Txid;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::permission::{Grant, Permission};
use rota_chain::script::{data_script, payment_script, payment_words};
use rota_chain::stream::{CreateStream, ItemData, Publish, StreamRestriction};
use rota_chain::transaction::Output;
use rota_consensus::state::EntityKind;
use serde_json::{Map, Value, json};

use super::asset;
use super::moment::{Known, Moment};
use crate::offchain::Fetched;
use crate::rpc::{data, resolve};

/// Which form items have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// What the chain holds: off-chain data stays a reference.
    Chain,
    /// What this node holds: off-chain data is shown where it is here.
    Node,
}

/// What an output carries besides its script and amount.
#[derive(Debug, Default)]
pub struct Parts {
    /// Quantities of assets.
    pub assets: Vec<Value>,
    /// Grants.
    pub permissions: Vec<Value>,
    /// Data of no stream.
    pub data: Vec<Value>,
    /// Items.
    pub items: Vec<Value>,
    /// A variable that is created or set.
    pub variable: Option<Value>,
}

impl Parts {
    /// What the output at `index` carries.
    ///
    /// # Errors
    /// -32603 if storage fails.
    pub fn of(moment: &Moment<'_>, known: &Known, index: u32, output: &Output, view: View) -> Result<Parts, RpcError> {
        let mut parts = Parts::default();
        for quantity in &output.assets {
            parts.assets.push(asset::output_quantity(moment, known, index, quantity, view)?);
        }
        for operation in &output.operations {
            match operation {
                Operation::Grant(grant) => parts.permissions.push(permission(moment, grant)?),
                Operation::Publish(publish) => parts.items.push(item(moment, known, index, publish, view)?),
                Operation::Data(piece) => parts.data.push(inline(moment, known.txid, index, piece)),
                Operation::CreateVariable(create) => {
                    parts.variable = Some(variable(moment, known, index, known.txid, &create.value)?);
                }
                Operation::SetVariable(set) => {
                    parts.variable = Some(variable(moment, known, index, set.variable, &set.value)?);
                }
                _ => {}
            }
        }
        Ok(parts)
    }

    /// Writes what is there, in the order answers have.
    pub fn write(self, map: &mut Map<String, Value>) {
        let lists =
            [("assets", self.assets), ("permissions", self.permissions), ("data", self.data), ("items", self.items)];
        for (name, list) in lists {
            if !list.is_empty() {
                map.insert(name.into(), Value::Array(list));
            }
        }
        if let Some(variable) = self.variable {
            map.insert("variable".into(), variable);
        }
    }
}

/// A value given to a variable, with who gave it.
fn variable(moment: &Moment<'_>, known: &Known, index: u32, variable: Txid, value: &[u8]) -> Result<Value, RpcError> {
    let mut map = Map::new();
    if let Some(entity) = moment.entity(&variable)? {
        if !entity.name.is_empty() {
            map.insert("name".into(), String::from_utf8_lossy(&entity.name).into_owned().into());
        }
        map.insert("createtxid".into(), variable.to_string().into());
        map.insert("variableref".into(), resolve::reference(&variable, &entity).into());
    } else {
        map.insert("createtxid".into(), variable.to_string().into());
        map.insert("variableref".into(), Value::Null);
    }
    let writers = known.tx.answering_locks(index);
    map.insert("writers".into(), writers.iter().map(|lock| moment.address(lock)).collect());
    map.insert("value".into(), crate::rpc::variable::readable(value));
    Ok(Value::Object(map))
}

/// The standard form of an output's lock.
#[must_use]
pub fn script(moment: &Moment<'_>, output: &Output) -> Value {
    let shown = match &output.recipient {
        Some(lock) => ScriptPubKey {
            asm: payment_words(lock),
            hex: hex::encode(payment_script(lock)),
            req_sigs: Some(1),
            kind: kind(Some(lock)).into(),
            addresses: Some(vec![moment.address(lock)]),
        },
        None => ScriptPubKey {
            asm: "OP_RETURN".into(),
            hex: hex::encode(data_script()),
            req_sigs: None,
            kind: kind(None).into(),
            addresses: None,
        },
    };
    serde_json::to_value(shown).unwrap_or_default()
}

/// The word for an output's kind.
#[must_use]
pub const fn kind(recipient: Option<&Lock>) -> &'static str {
    match recipient {
        Some(Lock::Key(_)) => "pubkeyhash",
        Some(Lock::Multisig(_)) => "scripthash",
        None => "nulldata",
    }
}

/// Rights that grants on the whole chain show, in order; low and high ones stand in a list of their own.
const GLOBAL: [Permission; 8] = [
    Permission::Connect,
    Permission::Send,
    Permission::Receive,
    Permission::Create,
    Permission::Issue,
    Permission::Mine,
    Permission::Admin,
    Permission::Activate,
];
const STREAM: [Permission; 4] = [Permission::Write, Permission::Read, Permission::Admin, Permission::Activate];
const ASSET: [Permission; 5] =
    [Permission::Send, Permission::Receive, Permission::Issue, Permission::Admin, Permission::Activate];
const VARIABLE: [Permission; 3] = [Permission::Write, Permission::Admin, Permission::Activate];
const CUSTOM: [Permission; 6] =
    [Permission::Low1, Permission::Low2, Permission::Low3, Permission::High1, Permission::High2, Permission::High3];

/// A grant as outputs show it.
fn permission(moment: &Moment<'_>, grant: &Grant) -> Result<Value, RpcError> {
    let mut map = Map::new();
    let mut rights = GLOBAL.as_slice();
    let mut entity_value = Value::Null;
    if let Some(txid) = grant.entity
        && let Some(entity) = moment.entity(&txid)?
    {
        rights = match entity.kind {
            EntityKind::Stream { .. } => &STREAM,
            EntityKind::Asset { .. } => &ASSET,
            EntityKind::Variable { .. } => &VARIABLE,
            EntityKind::Upgrade { .. } => &[],
        };
        entity_value = resolve::entity_value(&txid, &entity);
    }
    map.insert("for".into(), entity_value);
    for right in rights {
        map.insert(right.name().into(), grant.permissions.contains(*right).into());
    }
    let custom = CUSTOM.iter().filter(|right| grant.permissions.contains(**right)).map(|right| right.name());
    map.insert("custom".into(), custom.collect());
    map.insert("startblock".into(), grant.range.start.into());
    map.insert("endblock".into(), grant.range.end.into());
    map.insert("timestamp".into(), grant.timestamp.into());
    Ok(Value::Object(map))
}

/// An item as transactions show it.
fn item(moment: &Moment<'_>, known: &Known, index: u32, publish: &Publish, view: View) -> Result<Value, RpcError> {
    let mut map = Map::new();
    map.insert("type".into(), "stream".into());
    let entity = moment.entity(&publish.stream)?;
    if let Some(entity) = entity.as_ref().filter(|entity| !entity.name.is_empty()) {
        map.insert("name".into(), String::from_utf8_lossy(&entity.name).into_owned().into());
    }
    if view == View::Chain {
        map.insert("createtxid".into(), publish.stream.to_string().into());
    }
    let reference = entity.as_ref().and_then(|entity| resolve::reference(&publish.stream, entity));
    map.insert("streamref".into(), reference.into());
    let publishers = known.tx.answering_locks(index);
    map.insert("publishers".into(), publishers.iter().map(|lock| moment.address(lock)).collect());
    map.insert("keys".into(), keys(publish).into());
    map.insert("offchain".into(), matches!(publish.data, ItemData::Offchain(_)).into());
    match view {
        View::Chain => item_on_chain(moment, known, index, publish, &mut map),
        View::Node => {
            let shown = shown_data(moment, known.txid, index, publish)?;
            map.insert("available".into(), shown.available.into());
            if let Some(error) = shown.error {
                map.insert("error".into(), error.into());
            }
            map.insert("data".into(), shown.data);
        }
    }
    Ok(Value::Object(map))
}

/// Keys as text; bytes that are not UTF-8 are shown with the replacement character.
#[must_use]
pub fn keys(publish: &Publish) -> Vec<String> {
    publish.keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect()
}

fn item_on_chain(moment: &Moment<'_>, known: &Known, index: u32, publish: &Publish, map: &mut Map<String, Value>) {
    match &publish.data {
        ItemData::Onchain(piece) => {
            map.insert("data".into(), inline(moment, known.txid, index, piece));
        }
        ItemData::Offchain(chunked) => {
            map.insert("data".into(), data::reference(known.txid, index, chunked.format, chunked.size()));
            map.insert("saltsize".into(), chunked.salt_size.into());
            let chunks = chunked.chunks.iter();
            let chunks = chunks.map(|chunk| json!({"hash": chunk.hash.to_string(), "size": chunk.size}));
            map.insert("chunks".into(), chunks.collect());
        }
    }
}

/// Data in a transaction: shown, or referred to where it is long.
fn inline(moment: &Moment<'_>, txid: Txid, index: u32, piece: &Data) -> Value {
    let size = piece.bytes.len() as u64;
    if size > moment.max_shown {
        return data::reference(txid, index, piece.format, size);
    }
    data::shown(piece.format, &piece.bytes)
}

/// The data of an item as this node can show it.
#[derive(Debug)]
pub struct ShownData {
    /// Whether all of it is here and sound.
    pub available: bool,
    /// Why not, if it is not just missing.
    pub error: Option<String>,
    /// What stands for it.
    pub data: Value,
    /// How it is shown.
    pub format: DataFormat,
}

/// The data of an item, read from the chunk store where it is off the chain.
///
/// # Errors
/// -32603 if storage fails.
pub fn shown_data(moment: &Moment<'_>, txid: Txid, index: u32, publish: &Publish) -> Result<ShownData, RpcError> {
    let chunked = match &publish.data {
        ItemData::Onchain(piece) => {
            let data = inline(moment, txid, index, piece);
            return Ok(ShownData { available: true, error: None, data, format: piece.format });
        }
        ItemData::Offchain(chunked) => chunked,
    };
    let (format, size) = (chunked.format, chunked.size());
    let long = size > moment.max_shown;
    let offchain = &moment.ctx.offchain;
    let fetched = if long { offchain.status(chunked) } else { offchain.read(chunked) };
    let (available, error, data) = match fetched.map_err(resolve::storage_error)? {
        Fetched::Here(_) if long => (true, None, data::reference(txid, index, format, size)),
        Fetched::Here(bytes) => (true, None, data::shown(format, &bytes)),
        Fetched::Missing => (false, None, data::reference(txid, index, format, size)),
        Fetched::Broken(error) => (false, Some(error), Value::Null),
    };
    Ok(ShownData { available, error, data, format })
}

/// The entity that a transaction creates, none if it creates none. Verbose shows whether chunks are salted.
///
/// # Errors
/// -32603 if storage fails.
pub fn created(moment: &Moment<'_>, known: &Known, verbose: bool) -> Result<Option<Value>, RpcError> {
    for (_, operation) in known.tx.operations() {
        if let Operation::CreateStream(create) = operation {
            return stream(moment, known, create, verbose).map(Some);
        }
    }
    Ok(None)
}

fn stream(moment: &Moment<'_>, known: &Known, create: &CreateStream, verbose: bool) -> Result<Value, RpcError> {
    let mut map = Map::new();
    map.insert("type".into(), "stream".into());
    if !create.name.is_empty() {
        map.insert("name".into(), String::from_utf8_lossy(&create.name).into_owned().into());
    }
    let entity = moment.entity(&known.txid)?;
    let reference = entity.as_ref().and_then(|entity| resolve::reference(&known.txid, entity));
    map.insert("streamref".into(), reference.into());
    if moment.old_api {
        map.insert("open".into(), (!create.restriction.write).into());
    }
    map.insert("restrict".into(), serde_json::to_value(restrict(create.restriction)).unwrap_or_default());
    if verbose {
        map.insert("salted".into(), create.salted.into());
    }
    map.insert("details".into(), data::details(&create.details));
    Ok(Value::Object(map))
}

/// What a stream forbids, as answers show it.
#[must_use]
pub const fn restrict(restriction: StreamRestriction) -> StreamRestrict {
    StreamRestrict {
        write: restriction.write,
        read: restriction.read,
        onchain: restriction.onchain,
        offchain: restriction.offchain,
    }
}
