//! Who mines when: miners and what this node waits for, and figures of old clients.

use std::collections::BTreeSet;

use rota_api::error::RpcError;
use rota_api::mining::{MinerEntry, MiningInfo};
use rota_api::number::real_value;
use rota_api::params::Params;
use rota_chain::amount::Height;
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::permission::{BlockRange, Permission};
use rota_consensus::mining::{earliest, permitted_miners, spacing};
use rota_consensus::state::{StateError, StateView};
use rota_storage::{BlockEntry, Snapshot};
use rota_wallet::EncryptionState;
use serde_json::Value;

use super::blockchain::{chain_kind, difficulty, entry_of, hash_at};
use super::control::warnings;
use super::resolve::{shape, state_error};
use super::{Answer, Answerer};
use crate::context::{Context, unix_time};
use crate::miner::{MinerState, MinerStatus};
use crate::pause::Task;
use crate::view::View;

/// Bytes of a block that only holds its coinbase, about.
const EMPTY_BLOCK_BYTES: usize = 300;

/// The methods answered here.
pub const ANSWERS: &[(&str, Answerer)] = &[
    ("listminers", Answerer::Now(|ctx, params| miners(ctx, params.verbose(0)?).map(Value::Array))),
    ("getmininginfo", Answerer::Now(getmininginfo)),
    ("getnetworkhashps", Answerer::Now(getnetworkhashps)),
    ("getgenerate", Answerer::Now(|ctx, _| Ok(Value::from(ctx.settings().gen_enabled)))),
    ("setgenerate", Answerer::Now(setgenerate)),
    ("gethashespersec", Answerer::Now(|_, _| Ok(Value::from(0)))),
    ("getblocktemplate", Answerer::Now(|_, _| Err(unsupported("getblocktemplate")))),
    ("prioritisetransaction", Answerer::Now(|_, _| Err(unsupported("prioritisetransaction")))),
];

fn unsupported(name: &str) -> RpcError {
    let error =
        RpcError::not_supported(format!("{name} is not supported: blocks take transactions in order of arrival"));
    error.rule("not-available").got(name)
}

/// What the chain says of a miner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChainState {
    None,
    Permitted,
    Diversity,
    PendingRevoke,
    PendingGrant,
}

impl ChainState {
    const fn name(self) -> &'static str {
        match self {
            ChainState::None => "no-mine-permissions",
            ChainState::Permitted => "mining-permitted",
            ChainState::Diversity => "waiting-mining-diversity",
            ChainState::PendingRevoke => "mining-permitted-pending-revoke",
            ChainState::PendingGrant => "pending-mine-permissions",
        }
    }

    /// Whether this alone keeps the address from mining the next block.
    const fn bars(self) -> bool {
        matches!(self, ChainState::None | ChainState::Diversity | ChainState::PendingGrant)
    }
}

/// The miners, those who may mine soonest first, of those the most recent first.
pub fn miners(ctx: &Context, verbose: bool) -> Result<Vec<Value>, RpcError> {
    let status = status_now(ctx);
    let view = ctx.view.read();
    let height = view.pool.place().height;
    let mut entries = Vec::new();
    for miner in known_miners(ctx, &view).map_err(state_error)? {
        let Some(facts) = miner_facts(ctx, &view, miner, height).map_err(state_error)? else { continue };
        entries.push(entry(ctx, &status, miner, facts, verbose));
    }
    entries.sort_by_key(|entry| {
        (entry.diversitywaitblocks.unwrap_or(i64::MAX), std::cmp::Reverse(entry.lastmined.unwrap_or(-1)))
    });
    entries.iter().map(shape).collect()
}

/// What the miner does. It looks at switches when it wakes; callers see at once what they have switched.
fn status_now(ctx: &Context) -> MinerStatus {
    let status = ctx.miner.borrow().clone();
    let state = if !ctx.settings().gen_enabled {
        MinerState::Disabled
    } else if ctx.paused.is_paused(Task::Mining) {
        MinerState::Paused
    } else if ctx.wallet.state() == EncryptionState::Locked {
        MinerState::WalletLocked
    } else {
        return status;
    };
    MinerStatus { state, until: None, ..status }
}

/// Who holds mine or is about to; where anyone may mine, this node's addresses too.
fn known_miners(ctx: &Context, view: &View) -> Result<BTreeSet<KeyHash>, StateError> {
    let own = if ctx.rules.anyone.mine { ctx.wallet.key_hashes() } else { Vec::new() };
    let mut miners: BTreeSet<KeyHash> = own.into_iter().collect();
    for holder in [view.snapshot.holders(None, Permission::Mine)?, view.pool.state().holders(None, Permission::Mine)?] {
        miners.extend(holder.into_iter().filter_map(|(lock, _)| lock.key_hash()));
    }
    Ok(miners)
}

/// What the chain knows of a miner.
#[derive(Clone, Copy, Debug)]
struct MinerFacts {
    state: ChainState,
    range: BlockRange,
    waits: Option<u32>,
    last: Option<Height>,
    spacing: u32,
}

/// What the chain knows of a miner; none if it neither may mine nor is about to.
fn miner_facts(ctx: &Context, view: &View, miner: KeyHash, height: Height) -> Result<Option<MinerFacts>, StateError> {
    let key =
        rota_consensus::state::PermissionKey { entity: None, permission: Permission::Mine, address: Lock::Key(miner) };
    let snapshot = &view.snapshot;
    let range = |record: Option<rota_consensus::state::PermissionRecord>| record.unwrap_or_default().range;
    let confirmed = range(snapshot.permission(key)?);
    let waiting = range(view.pool.state().permission(key)?);
    let anyone = ctx.rules.anyone.mine;
    if confirmed.is_empty() && waiting.is_empty() && !anyone {
        return Ok(None);
    }
    let earliest = earliest(snapshot, &ctx.rules, miner, height)?;
    let state = match (anyone || confirmed.contains(height), anyone || waiting.contains(height)) {
        (true, _) if earliest > height => ChainState::Diversity,
        (true, true) => ChainState::Permitted,
        (true, false) => ChainState::PendingRevoke,
        (false, true) => ChainState::PendingGrant,
        (false, false) => ChainState::None,
    };
    Ok(Some(MinerFacts {
        state,
        range: confirmed,
        waits: (anyone || confirmed.contains(height)).then(|| earliest.0.saturating_sub(height.0)),
        last: snapshot.last_mined(miner)?,
        spacing: spacing(permitted_miners(snapshot, height)?, ctx.rules.mining_diversity),
    }))
}

fn entry(ctx: &Context, status: &MinerStatus, miner: KeyHash, facts: MinerFacts, verbose: bool) -> MinerEntry {
    let local = ctx.wallet.can_sign(&Lock::Key(miner));
    let chosen = status.address.is_none_or(|address| address == miner);
    let local_state = local.then(|| local_state(facts.state, status.state, chosen).to_owned());
    let acts = local && chosen && !facts.state.bars();
    MinerEntry {
        address: ctx.scheme.encode_key_hash(&miner),
        islocal: local,
        permitted: matches!(facts.state, ChainState::Permitted | ChainState::Diversity | ChainState::PendingRevoke),
        diversitywaitblocks: facts.waits.map(i64::from),
        startblock: verbose.then_some(i64::from(facts.range.start)),
        endblock: verbose.then_some(i64::from(facts.range.end)),
        lastmined: facts.last.map(|height| i64::from(height.0)),
        chainstate: facts.state.name().to_owned(),
        localstate: local_state,
        waituntil: status.until.filter(|_| acts).and_then(|until| i64::try_from(until).ok()),
        reason: local.then(|| reason(facts, status, chosen)),
        warning: status.warning.clone(),
    }
}

/// The word for what this node does with a local miner.
fn local_state(chain: ChainState, miner: MinerState, chosen: bool) -> &'static str {
    match (chain.bars(), miner) {
        (true, _) => chain.name(),
        (false, MinerState::Mining) if !chosen => "other-local-address-mining",
        (false, MinerState::WaitingBlockTime | MinerState::WaitingTurnover) if !chosen => {
            "other-local-address-preferred"
        }
        (false, MinerState::NotPermitted | MinerState::WaitingDiversity) => MinerState::Selecting.name(),
        (false, state) => state.name(),
    }
}

/// Why this node does or does not mine with a local address, in a sentence.
fn reason(facts: MinerFacts, status: &MinerStatus, chosen: bool) -> String {
    let seconds = status.until.map(|until| until.saturating_sub(unix_time()));
    let when = seconds.map_or_else(String::new, |seconds| format!(", in {seconds} s"));
    match facts.state {
        ChainState::None => return "the address has no mine permission for the next block".to_owned(),
        ChainState::PendingGrant => return "its mine permission waits to be confirmed".to_owned(),
        ChainState::Diversity => {
            let waits = facts.waits.unwrap_or_default();
            let spacing = facts.spacing;
            return format!("mining diversity lets it mine one block in {spacing}: {waits} blocks of others to go");
        }
        ChainState::Permitted | ChainState::PendingRevoke => {}
    }
    let sentence = match status.state {
        MinerState::Selecting | MinerState::NotPermitted | MinerState::WaitingDiversity => "it looks at a new tip",
        MinerState::Disabled => "mining is switched off (gen=0)",
        MinerState::Paused => "mining is paused: resume mining",
        MinerState::WalletLocked => "the wallet is locked: walletpassphrase",
        MinerState::RequiresPeers => "mining needs a connected peer (miningrequirespeers)",
        MinerState::WaitingTransactions => "enough empty blocks: it waits for a transaction (mineemptyrounds)",
        MinerState::WaitingLockBlock => "the block of lockblock is not on the active chain",
        MinerState::WaitingBlockTime if chosen => "it waits for its time to make the next block",
        MinerState::WaitingTurnover if chosen => "it waits whether others make the next block (miningturnover)",
        MinerState::Mining if chosen => "it makes a block",
        MinerState::WaitingBlockTime | MinerState::WaitingTurnover | MinerState::Mining => {
            "another local address is to make the next block"
        }
    };
    format!("{sentence}{when}")
}

fn getmininginfo(ctx: &Context, _params: &Params) -> Answer {
    let (snapshot, tip, waiting, bytes) = {
        let view = ctx.view.read();
        (view.snapshot.clone(), view.tip, view.pool.len(), view.pool.bytes())
    };
    let entry = entry_of(&snapshot, &tip.hash)?;
    let count = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let room = usize::try_from(ctx.rules_now().map_err(state_error)?.maximum_block_size).unwrap_or(usize::MAX);
    shape(&MiningInfo {
        blocks: i64::from(tip.height.0),
        currentblocksize: count(bytes.saturating_add(EMPTY_BLOCK_BYTES).min(room)),
        currentblocktx: count(waiting),
        difficulty: difficulty(entry.header.header.bits),
        errors: warnings(ctx),
        genproclimit: 1,
        networkhashps: hashes_per_second(&snapshot, &entry, 120)?,
        pooledtx: count(waiting),
        testnet: ctx.parameters.chain_is_testnet(),
        chain: chain_kind(ctx).to_owned(),
        generate: ctx.settings().gen_enabled,
        hashespersec: 0.0,
    })
}

/// Work a second over the last blocks up to `last`.
fn hashes_per_second(snapshot: &Snapshot, last: &BlockEntry, blocks: u32) -> Result<f64, RpcError> {
    let first = last.height.0.saturating_sub(blocks.max(1));
    let first = entry_of(snapshot, &hash_at(snapshot, i64::from(first))?)?;
    let seconds = last.header.header.time.0.saturating_sub(first.header.header.time.0);
    if seconds == 0 {
        return Ok(0.0);
    }
    let work = last.chainwork.saturating_sub(first.chainwork);
    Ok((work as f64 / f64::from(seconds)).floor())
}

fn getnetworkhashps(ctx: &Context, params: &Params) -> Answer {
    let blocks = u32::try_from(params.integer_or(0, 120)?).unwrap_or(120);
    let height = params.integer_or(1, -1)?;
    let snapshot = ctx.view.snapshot();
    let height = if height < 0 { i64::from(ctx.view.tip().height.0) } else { height };
    let entry = entry_of(&snapshot, &hash_at(&snapshot, height)?)?;
    Ok(real_value(hashes_per_second(&snapshot, &entry, blocks)?))
}

fn setgenerate(ctx: &Context, params: &Params) -> Answer {
    let Some(on) = params.value(0).as_bool() else {
        let sentence = "generate should be boolean: mining single blocks on demand is not supported";
        return Err(RpcError::mistyped(params.value(0), "bool", sentence));
    };
    if let Some(threads) = params.given(1).filter(|threads| !threads.is_i64()) {
        let sentence = "genproclimit should be a whole number: it is kept for old callers";
        return Err(RpcError::mistyped(threads, "int", sentence));
    }
    ctx.settings_mut().gen_enabled = on;
    tracing::info!(on, "mining was switched by setgenerate");
    Ok(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bars_an_address_comes_before_what_the_miner_does() {
        assert_eq!(local_state(ChainState::Diversity, MinerState::Mining, false), "waiting-mining-diversity");
        assert_eq!(local_state(ChainState::None, MinerState::Paused, true), "no-mine-permissions");
        assert_eq!(local_state(ChainState::Permitted, MinerState::Paused, true), "mining-paused");
        assert_eq!(local_state(ChainState::Permitted, MinerState::WaitingBlockTime, true), "waiting-block-time");
        assert_eq!(
            local_state(ChainState::Permitted, MinerState::WaitingBlockTime, false),
            "other-local-address-preferred"
        );
        assert_eq!(local_state(ChainState::PendingRevoke, MinerState::Mining, false), "other-local-address-mining");
    }
}
