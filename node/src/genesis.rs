//! Making the genesis block of a new chain, and holding a stored or received one against the parameters.

use std::sync::Arc;

use rota_chain::amount::{Height, Timestamp};
use rota_chain::block::{Block, GenesisPlan};
use rota_chain::hash::{BlockHash, ParamsHash};
use rota_chain::key::PrivateKey;
use rota_chain::multiset::Multiset;
use rota_chain::operation::Genesis;
use rota_chain::stream::{CreateStream, StreamRestriction};
use rota_consensus::block::apply_genesis;
use rota_consensus::rules::Rules;
use rota_consensus::work;
use rota_params::hash::rules_hash;
use rota_params::{GenesisFields, ParameterError, ParameterSet};
use rota_storage::kv::Durability;
use rota_storage::{AppliedBlock, BlockEntry, BlockStatus, Location, StorageError, Store, Tip, TipCommit, UndoBlock};

/// Makes the genesis block of a generated parameter set and seals the set with it.
///
/// # Errors
/// [`ParameterError`] if the set cannot be sealed.
pub fn make(set: &mut ParameterSet, key: &PrivateKey, now: u64) -> Result<Block, ParameterError> {
    let time = Timestamp(u32::try_from(now).unwrap_or(u32::MAX));
    let bits = work::minimum_bits(set.pow_minimum_bits());
    let root_stream = Some(set.root_stream_name().as_bytes().to_vec()).filter(|name| !name.is_empty()).map(|name| {
        let restriction = StreamRestriction { write: !set.root_stream_open(), ..StreamRestriction::default() };
        CreateStream { name, restriction, salted: false, details: Vec::new() }
    });
    let genesis =
        Genesis { rules: ParamsHash(rules_hash(set)), description: set.chain_description().as_bytes().to_vec() };
    let plan = GenesisPlan { genesis, root_stream, time, bits, empty_state: Multiset::new().hash() };
    let block = plan.build(key);
    let header = block.header();
    set.seal(&GenesisFields {
        pubkey: key.public_key().0,
        version: header.version,
        timestamp: header.time.0,
        nbits: header.bits,
        nonce: header.nonce,
        pubkey_hash: header.miner.0,
        hash: block.hash(),
    })?;
    Ok(block)
}

/// Checks that a block is the genesis block of these parameters: its id and the hash of the rules in it.
pub fn matches(block: &Block, set: &ParameterSet) -> bool {
    let id = Some(block.hash()) == set.genesis_hash();
    id && apply_genesis(block, &Rules::new(set), ParamsHash(rules_hash(set))).is_ok()
}

/// Stores the genesis block as the first of the chain.
///
/// # Errors
/// If it does not match the parameters, or storage fails.
pub fn store(
    store: &Store,
    block: Block,
    stored: Option<Location>,
    set: &ParameterSet,
    now: u64,
) -> anyhow::Result<()> {
    let rules = Rules::new(set);
    let changes = apply_genesis(&block, &rules, ParamsHash(rules_hash(set)))?;
    let hash = block.hash();
    let mut multiset = Multiset::new();
    changes.apply_to(&mut multiset);
    let body = match stored {
        Some(location) => location,
        None => store.append_block(&block)?,
    };
    let undo = store.append_undo(&UndoBlock::of(&changes))?;
    store.sync_files()?;
    let entry = BlockEntry {
        header: block.signed,
        height: Height(0),
        chainwork: if rules.anyone.mine { work::weight(block.header().bits) } else { 1 },
        size: u32::try_from(block.size()).unwrap_or(u32::MAX),
        transactions: 1,
        body: Some(body),
        undo: Some(undo),
        status: BlockStatus::Applied,
        sequence: 0,
        received: now,
        governance: false,
    };
    let applied = vec![AppliedBlock::new(Arc::new(block), entry, changes)];
    let tip = Tip { hash, height: Height(0) };
    store.commit(&TipCommit { undone: Vec::new(), applied, multiset, tip, durability: Durability::Synced })?;
    Ok(())
}

/// Checks that a database belongs to these parameters: the stored genesis block matches.
///
/// # Errors
/// A sentence that says what to do.
pub fn check_stored(store: &Store, set: &ParameterSet) -> anyhow::Result<()> {
    let snapshot = store.snapshot()?;
    let stored: Option<BlockHash> = snapshot.block_hash(Height(0))?;
    let Some(hash) = stored else { anyhow::bail!("the database holds no genesis block: start with -reindex") };
    let block = snapshot.block(&hash)?.ok_or_else(|| anyhow::anyhow!("the genesis block {hash} cannot be read"))?;
    anyhow::ensure!(
        matches(&block, set),
        "the database belongs to another chain: its genesis block is {hash}, params.dat demands another"
    );
    Ok(())
}

/// Why a search of the block files ended before their end.
enum Search {
    Found(Location, Box<Block>),
    Failed(StorageError),
}

impl From<StorageError> for Search {
    fn from(error: StorageError) -> Search {
        Search::Failed(error)
    }
}

/// Finds the genesis block in the block files and stores it again, after the database was emptied; a rebuild that
/// goes on has it already.
///
/// # Errors
/// If the files do not hold it, or storage fails.
pub fn restore(store: &Store, set: &ParameterSet, now: u64) -> anyhow::Result<()> {
    if store.snapshot()?.tip().is_some() {
        return Ok(());
    }
    let search = store.for_each_stored_block(|location, block| match Some(block.hash()) == set.genesis_hash() {
        true => Err(Search::Found(location, Box::new(block))),
        false => Ok(()),
    });
    let (location, block) = match search {
        Err(Search::Found(location, block)) => (location, *block),
        Err(Search::Failed(error)) => return Err(error.into()),
        Ok(()) => anyhow::bail!(
            "the block files do not hold the genesis block: restore them, or join the chain anew in another directory"
        ),
    };
    self::store(store, block, Some(location), set, now)
}
