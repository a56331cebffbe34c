//! The node itself: its state at a glance, pausing, settings, choosing the tip, the OpenRPC document and the end.

use std::sync::Arc;

use futures::future::BoxFuture;
use rota_api::control::{ChainTotals, Info, InitStatus, STOPPING};
use rota_api::error::{Code, ParameterRule, RpcError};
use rota_api::method::openrpc;
use rota_api::number::real_value;
use rota_api::params::{Params, type_word};
use rota_chain::amount::Height;
use rota_consensus::state::StateView;
use rota_params::conf;
use rota_params::kind::Kind;
use rota_params::runtime::{RuntimeError, RuntimeValue};
use rota_params::value::Value as ParameterValue;
use rota_storage::Snapshot;
use rota_storage::snapshot::EntityList;
use rota_wallet::EncryptionState;
use serde_json::{Map, Value, json};

use super::blockchain::{block_named, chain_kind, chain_rewards, chain_tips, difficulty, entry_of, ledger_error};
use super::resolve::{heavy, shape, short, state_error, stopped, storage_error};
use super::{Answer, Answerer, balance, explorer, mining, network};
use crate::context::Context;
use crate::pause::Task;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("getinfo", Answerer::Later(getinfo)),
    ("getchaintotals", Answerer::Later(|ctx, params| heavy(ctx, params, getchaintotals))),
    ("getinitstatus", Answerer::Now(getinitstatus)),
    (
        "rpc.discover",
        Answerer::Personal(|_, _, reach| Box::pin(async move { Ok(discover(&|name| reach.admits(name))) })),
    ),
    ("stop", Answerer::Now(stop)),
    ("pause", Answerer::Now(|ctx, params| set_paused(ctx, params, true))),
    ("resume", Answerer::Now(|ctx, params| set_paused(ctx, params, false))),
    ("clearmempool", Answerer::Later(clearmempool)),
    ("setlastblock", Answerer::Later(setlastblock)),
    ("getblockchainparams", Answerer::Now(getblockchainparams)),
    ("getruntimeparams", Answerer::Now(getruntimeparams)),
    ("setruntimeparam", Answerer::Later(setruntimeparam)),
    ("getdiagnostics", Answerer::Later(getdiagnostics)),
];

/// The release of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Format of answers that old clients read as the wallet's version.
const WALLET_VERSION: i64 = 60_000;
/// Format of the wallet's files, in the counting of old clients.
const WALLET_DATABASE_VERSION: i64 = 3;

/// The OpenRPC document over the methods that may be called here.
fn discover(admits: &dyn Fn(&str) -> bool) -> Value {
    openrpc(VERSION, admits)
}

/// The release as one number: two digits each for major, minor and patch, and a last pair for builds.
#[must_use]
pub fn version_number() -> i64 {
    VERSION.split('.').take(3).filter_map(|part| part.parse::<i64>().ok()).fold(0, |sum, part| sum * 100 + part) * 100
}

/// Wallet figures that several answers show.
#[derive(Debug)]
pub struct WalletFigures {
    /// Kept for old clients.
    pub version: i64,
    /// Format of the files.
    pub database_version: i64,
    /// Birth of the oldest spare key, or the start of the node.
    pub keypool_oldest: i64,
    /// Spare keys.
    pub keypool_size: i64,
    /// When an encrypted wallet locks itself, 0 if locked.
    pub unlocked_until: Option<i64>,
}

/// Wallet figures now.
#[must_use]
pub fn wallet_figures(ctx: &Context) -> WalletFigures {
    let started = i64::try_from(ctx.facts.started).unwrap_or(i64::MAX);
    WalletFigures {
        version: WALLET_VERSION,
        database_version: WALLET_DATABASE_VERSION,
        keypool_oldest: ctx.wallet.keypool_oldest().map_or(started, i64::from),
        keypool_size: i64::try_from(ctx.wallet.keypool_size()).unwrap_or(i64::MAX),
        unlocked_until: match ctx.wallet.state() {
            EncryptionState::NotEncrypted => None,
            EncryptionState::Locked => Some(0),
            EncryptionState::Unlocked { until } => Some(i64::try_from(until).unwrap_or(i64::MAX)),
        },
    }
}

/// What an operator should know, in sentences; empty if all is well.
#[must_use]
pub fn warnings(ctx: &Context) -> String {
    let mut sentences = Vec::new();
    if ctx.wallet.state() == EncryptionState::Locked {
        let peers = if ctx.network.handle().is_none() { "peers, " } else { "" };
        sentences.push(format!("The wallet is locked: {peers}mining and signing wait for walletpassphrase."));
    }
    sentences.extend(ctx.store.check_room().err().map(|low| format!("Nothing is taken in: {low}.")));
    sentences.extend(ctx.miner.borrow().warning.clone());
    sentences.join(" ")
}

fn getinfo(ctx: Arc<Context>, _params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let peers = ctx.network.peers().await;
        let (snapshot, tip) = {
            let view = ctx.view.read();
            (view.snapshot.clone(), view.tip)
        };
        let entry = entry_of(&snapshot, &tip.hash)?;
        let figures = wallet_figures(&ctx);
        let balance = balance::native_balance(Arc::clone(&ctx)).await?;
        let explored = explorer::totals(&ctx)?;
        let clock = network::clock_warning(network::time_offset(&peers));
        shape(&Info {
            version: VERSION.to_owned(),
            nodeversion: version_number(),
            edition: "Rota".to_owned(),
            protocolversion: i64::from(ctx.parameters.protocol_version()),
            chainname: ctx.directory.name().to_owned(),
            description: ctx.parameters.chain_description().to_owned(),
            protocol: ctx.parameters.chain_protocol().to_owned(),
            port: i64::from(ctx.facts.port),
            setupblocks: i64::from(ctx.rules.setup_first_blocks),
            nodeaddress: ctx.facts.node_address.clone(),
            burnaddress: ctx.scheme.burn_address(),
            incomingpaused: ctx.paused.is_paused(Task::Incoming),
            miningpaused: ctx.paused.is_paused(Task::Mining),
            offchainpaused: ctx.paused.is_paused(Task::Offchain),
            walletversion: figures.version,
            balance,
            walletdbversion: figures.database_version,
            reindex: ctx.settings().reindex,
            blocks: i64::from(tip.height.0),
            chainrewards: chain_rewards(&ctx, tip.height),
            assets: count(&snapshot, EntityList::Assets)?,
            streams: count(&snapshot, EntityList::Streams)?,
            addresses: explored.map(|(addresses, _)| addresses.cast_signed()),
            transactions: explored.map(|(_, transactions)| transactions.cast_signed()),
            peers: explored.map(|_| i64::try_from(peers.len()).unwrap_or(i64::MAX)),
            timeoffset: network::time_offset(&peers),
            connections: i64::try_from(peers.len()).unwrap_or(i64::MAX),
            proxy: String::new(),
            difficulty: difficulty(entry.header.header.bits),
            testnet: ctx.parameters.chain_is_testnet(),
            keypoololdest: figures.keypool_oldest,
            keypoolsize: figures.keypool_size,
            unlocked_until: figures.unlocked_until,
            paytxfee: balance::displayed(&ctx, ctx.coins.fee_rate().0.into()),
            relayfee: balance::relay_fee(&ctx),
            errors: [clock.unwrap_or_default(), warnings(&ctx)].join(" ").trim().to_owned(),
        })
    })
}

fn count(snapshot: &Snapshot, list: EntityList) -> Result<i64, RpcError> {
    snapshot.entity_count(list).map(i64::from).map_err(storage_error)
}

fn getchaintotals(ctx: &Context, _params: &Params) -> Answer {
    let (snapshot, tip) = {
        let view = ctx.view.read();
        (view.snapshot.clone(), view.tip.height)
    };
    let (addresses, transactions) = explorer::totals(ctx)?.unzip();
    shape(&ChainTotals {
        blocks: i64::from(tip.0),
        rewards: chain_rewards(ctx, tip),
        addresses: addresses.map(u64::cast_signed),
        transactions: transactions.map(u64::cast_signed),
        assets: count(&snapshot, EntityList::Assets)?,
        streams: count(&snapshot, EntityList::Streams)?,
        filters: 0,
        variables: count(&snapshot, EntityList::Variables)?,
        libraries: 0,
        upgrades: count(&snapshot, EntityList::Upgrades)?,
        licenses: 0,
    })
}

fn getinitstatus(_ctx: &Context, _params: &Params) -> Answer {
    shape(&InitStatus {
        version: VERSION.to_owned(),
        nodeversion: version_number(),
        initialized: true,
        connecttime: None,
        connectaddress: None,
        connectport: None,
        handshakelocal: None,
        lasterror: None,
    })
}

fn stop(ctx: &Context, _params: &Params) -> Answer {
    // Nobody listens only while the node stops already.
    let _ = ctx.shutdown.send(true);
    Ok(Value::from(STOPPING))
}

/// The tasks that a list names; -8 for an unknown one or none at all.
fn tasks(text: &str) -> Result<Vec<Task>, RpcError> {
    let task = |word: &str| match word.trim() {
        "incoming" => Ok(Task::Incoming),
        "mining" => Ok(Task::Mining),
        "offchain" => Ok(Task::Offchain),
        other => {
            let error = RpcError::parameter(ParameterRule::Word, format!("Invalid task: {}", short(other)));
            Err(error.got(other).allowed(["incoming", "mining", "offchain"]))
        }
    };
    text.split(',').map(task).collect()
}

fn set_paused(ctx: &Context, params: &Params, paused: bool) -> Answer {
    let text = params.text(0)?;
    for task in tasks(text)? {
        ctx.paused.set(task, paused);
    }
    let word = if paused { "Paused" } else { "Resumed" };
    tracing::info!(tasks = text, "{word}");
    Ok(Value::from(word))
}

fn must_be_paused(ctx: &Context) -> Result<(), RpcError> {
    if ctx.paused.is_paused(Task::Incoming) && ctx.paused.is_paused(Task::Mining) {
        return Ok(());
    }
    let error = RpcError::not_allowed("Incoming blocks and mining must be paused first: pause incoming,mining");
    Err(error.rule("node-not-paused").allowed("incoming, mining"))
}

fn clearmempool(ctx: Arc<Context>, _params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        must_be_paused(&ctx)?;
        ctx.ledger.call(|ledger| ledger.clear_pool()).await.map_err(stopped)?;
        Ok(Value::from("Mempool cleared"))
    })
}

fn setlastblock(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let text = params.text_or(0, "")?;
        must_be_paused(&ctx)?;
        let done = if text.is_empty() {
            ctx.ledger.call(|ledger| ledger.reconsider_branches()).await
        } else {
            let hash = last_block(&ctx, text)?;
            ctx.ledger.call(move |ledger| ledger.set_last_block(hash)).await
        };
        done.map_err(stopped)?.map_err(ledger_error)?;
        Ok(Value::from(ctx.view.tip().hash.to_string()))
    })
}

/// The block that `setlastblock` names: by hash, height, or steps before the tip.
fn last_block(ctx: &Context, text: &str) -> Result<rota_chain::hash::BlockHash, RpcError> {
    let snapshot = ctx.view.snapshot();
    let steps = text.strip_prefix('-').and_then(|steps| steps.parse::<i64>().ok());
    match steps {
        Some(steps) => {
            let height = i64::from(ctx.view.tip().height.0).saturating_sub(steps);
            block_named(&snapshot, &Value::from(height))
        }
        None => block_named(&snapshot, &Value::from(text)),
    }
}

fn getblockchainparams(ctx: &Context, params: &Params) -> Answer {
    let hyphens = params.boolean_or(0, true)?;
    let with_upgrades = params.given(1).is_none() || params.switch(1, "with-upgrades")?;
    let upgraded = match with_upgrades {
        true => ctx.view.snapshot().upgraded_parameters().map_err(state_error)?,
        false => Vec::new(),
    };
    let mut members = Map::new();
    for (parameter, value) in ctx.parameters.shown() {
        let name = if hyphens { parameter.name().to_owned() } else { parameter.compact_name() };
        let changed = upgraded.iter().find(|changed| changed.parameter == parameter as u8);
        let shown = match (changed, parameter.row().kind) {
            (Some(changed), Kind::Bool) => Value::from(changed.value != 0),
            (Some(changed), _) => Value::from(changed.value),
            (None, _) => value.map_or(Value::Null, parameter_value),
        };
        members.insert(name, shown);
    }
    Ok(Value::Object(members))
}

fn parameter_value(value: &ParameterValue) -> Value {
    match value {
        ParameterValue::Bool(value) => Value::from(*value),
        ParameterValue::U32(value) => Value::from(*value),
        ParameterValue::I32(value) => Value::from(*value),
        ParameterValue::I64(value) => Value::from(*value),
        ParameterValue::Decimal(value) => real_value(value.to_f64()),
        ParameterValue::Text(text) if text.is_empty() => Value::Null,
        ParameterValue::Text(text) => Value::from(text.as_str()),
        ParameterValue::Binary(bytes) if bytes.is_empty() => Value::Null,
        ParameterValue::Binary(bytes) => Value::from(hex::encode(bytes)),
    }
}

fn getruntimeparams(ctx: &Context, _params: &Params) -> Answer {
    let chosen = ctx.settings().handshakelocal.clone();
    let shown = chosen.or_else(|| ctx.network.handshake().map(|hash| ctx.scheme.encode_key_hash(&hash)));
    let members = ctx.settings().members(&shown.unwrap_or_default());
    let value = |value: RuntimeValue| match value {
        RuntimeValue::Bool(value) => Value::from(value),
        RuntimeValue::Integer(value) => Value::from(value),
        RuntimeValue::Real(value) => real_value(value),
        RuntimeValue::Text(text) => Value::from(text),
    };
    Ok(Value::Object(members.into_iter().map(|(name, setting)| (name.to_owned(), value(setting))).collect()))
}

fn runtime_value(value: &Value) -> Result<RuntimeValue, RpcError> {
    let refused = |sentence: String| RpcError::mistyped(value, "bool, int, real or str", sentence);
    match value {
        Value::Bool(value) => Ok(RuntimeValue::Bool(*value)),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(RuntimeValue::Integer(whole)),
            (None, Some(real)) => Ok(RuntimeValue::Real(real)),
            (None, None) => Err(refused("Invalid parameter value type".to_owned())),
        },
        Value::String(text) => Ok(RuntimeValue::Text(text.clone())),
        other => Err(refused(format!("Invalid parameter value type: {}", type_word(other)))),
    }
}

/// What a caller is told when a setting does not take a value.
fn setting_error(error: &RuntimeError, given: &Value) -> RpcError {
    let code = Code::from_number(error.code()).unwrap_or(Code::InvalidParameter);
    let refused = |rule: &'static str| RpcError::new(code, error.to_string()).rule(rule);
    match error {
        RuntimeError::Unsupported(name) => refused(ParameterRule::Word.name()).got(name.as_str()),
        RuntimeError::Type { expected, .. } => {
            refused(ParameterRule::Type.name()).got(type_word(given)).allowed(*expected)
        }
        RuntimeError::Value { value, allowed, .. } => {
            refused(ParameterRule::Range.name()).got(value.as_str()).allowed(*allowed)
        }
        RuntimeError::Address(text) => refused("address-form").got(text.as_str()),
    }
}

fn setruntimeparam(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let name = params.text(0)?.to_owned();
        let value = runtime_value(params.value(1))?;
        ctx.settings_mut().set(&name, &value).map_err(|error| setting_error(&error, params.value(1)))?;
        tracing::info!(name, value = value.to_text(), "a setting was changed");
        if ctx.facts.store_settings {
            conf::keep_value(&ctx.directory.runtime_conf(), &name, &value.to_text()).map_err(|error| {
                let path = ctx.directory.runtime_conf();
                RpcError::new(
                    Code::File,
                    format!("the setting holds, but cannot be kept in {}: {error}", path.display()),
                )
            })?;
        }
        if matches!(name.as_str(), "bantx" | "lockblock" | "lockadminminerounds") {
            let done = ctx.ledger.call(|ledger| ledger.reconsider_branches()).await;
            done.map_err(stopped)?.map_err(ledger_error)?;
        }
        if name == "handshakelocal" {
            ctx.network.identity_changed().await;
        }
        Ok(Value::Null)
    })
}

/// What is needed to find out why a chain stands still: an object, or with `verbose` left out its text in hexadecimal.
fn getdiagnostics(ctx: Arc<Context>, params: Params) -> BoxFuture<'static, Answer> {
    Box::pin(async move {
        let verbose = params.level(0, 0, 1)? == 1;
        let forks = ctx.ledger.call(|ledger| ledger.governance_forks()).await.map_err(stopped)?;
        let forks: Vec<Value> = forks.iter().map(|fork| governance_fork(&ctx, fork)).collect();
        let tips = chain_tips(&ctx).await?;
        let peers = network::peer_values(&ctx).await?;
        let tip = ctx.view.tip();
        let behind = |height: Height| json!({"height": height.0, "hash": tip.hash.to_string(), "time": tip.time.0});
        let answer = json!({
            "chain": {"name": ctx.directory.name(), "kind": chain_kind(&ctx), "tip": behind(tip.height)},
            "node": {"version": VERSION, "nodeaddress": ctx.facts.node_address, "warnings": warnings(&ctx)},
            "storage": {"syncs": rota_storage::sync_count::syncs()},
            "chaintips": tips,
            "governanceforks": forks,
            "miners": mining::miners(&ctx, true)?,
            "peers": peers,
        });
        Ok(if verbose { answer } else { Value::from(hex::encode(answer.to_string())) })
    })
}

/// A branch refused because it would undo settled changes of admins or miners, and how to choose it all the same.
fn governance_fork(ctx: &Context, fork: &crate::ledger::GovernanceFork) -> Value {
    let tip = ctx.view.tip();
    json!({
        "ourtip": tip.hash.to_string(),
        "ourheight": tip.height.0,
        "othertip": fork.tip.to_string(),
        "otherheight": fork.height.0,
        "forkheight": fork.fork_height.0,
        "choose": format!(
            "to follow the other branch: setruntimeparam lockblock {0}, or pause incoming,mining and setlastblock {0}",
            fork.tip
        ),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;
    use rota_api::method::MethodList;

    #[test]
    fn tasks_are_named_with_commas_between_them() {
        assert_eq!(tasks("incoming,mining").unwrap(), [Task::Incoming, Task::Mining]);
        assert_eq!(tasks("offchain").unwrap(), [Task::Offchain]);
        for text in ["", "nonsense", "mining,", "minin"] {
            assert_eq!(tasks(text).unwrap_err().code, Code::InvalidParameter, "{text}");
        }
    }

    #[test]
    fn the_openrpc_document_describes_the_methods_that_may_be_called() {
        let few = MethodList::read("rpc.discover,publish").0;
        let names = |document: &Value| -> Vec<String> {
            let methods = document["methods"].as_array().unwrap();
            methods.iter().map(|method| method["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names(&discover(&|name| few.admits(name))), ["help", "rpc.discover", "publish"]);
        let all = discover(&|name| MethodList::ALL.admits(name));
        assert!(names(&all).len() > 200);
        assert_eq!(all["info"]["version"], VERSION);
    }

    #[test]
    fn the_release_as_a_number_grows_with_the_release() {
        assert!(version_number() > 0 && version_number() % 100 == 0);
    }

    #[test]
    fn settings_take_every_simple_json_type_and_no_other() {
        assert_eq!(runtime_value(&json!(-1)).unwrap(), RuntimeValue::Integer(-1));
        assert_eq!(runtime_value(&json!(2.5)).unwrap(), RuntimeValue::Real(2.5));
        assert_eq!(runtime_value(&json!("x")).unwrap(), RuntimeValue::Text("x".to_owned()));
        assert!(runtime_value(&json!(null)).is_err() && runtime_value(&json!([])).is_err());
    }
}
