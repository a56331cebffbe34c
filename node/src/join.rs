//! Joining a chain: fetching its parameters from a seed, and what this node tells joiners.

use std::time::Duration;

use borsh::{BorshDeserialize, BorshSerialize};
use rota_chain::block::Block;
use rota_chain::codec::{decode, encode};
use rota_chain::key::PrivateKey;
use rota_p2p::{JoinAnswer, JoinAnswers, PeerKey};
use rota_params::ParameterSet;

use crate::genesis;

/// How long a seed may take to answer.
const SEED_TIME: Duration = Duration::from_secs(15);

/// What a permitted joiner gets: parameters, and the genesis block they were sealed with.
#[derive(BorshSerialize, BorshDeserialize)]
struct Whole {
    parameters: Vec<u8>,
    genesis: Block,
}

/// The answers to joiners of this chain.
pub fn answers(set: &ParameterSet, genesis: &Block) -> JoinAnswers {
    let whole = Whole { parameters: set.to_wire(false), genesis: genesis.clone() };
    JoinAnswers { minimal: set.to_wire(true), full: encode(&whole) }
}

/// What a seed told.
pub enum Outcome {
    /// This node may connect: the chain's parameters and its genesis block.
    Permitted(Box<ParameterSet>, Box<Block>),
    /// It may not: enough to show its address.
    NotPermitted(Box<ParameterSet>),
}

/// Asks a seed.
///
/// # Errors
/// A sentence that says what is wrong and names the seed.
pub async fn ask(seed: &str, key: &PrivateKey, chain: &str) -> anyhow::Result<Outcome> {
    let joined = rota_p2p::join(seed, PeerKey::from_private_key(key)?, chain, SEED_TIME).await?;
    match joined.answer {
        JoinAnswer::Refused { reason } => anyhow::bail!("{seed} refused: {reason}"),
        JoinAnswer::Minimal { parameters, .. } => {
            let set = ParameterSet::from_wire(&parameters)?;
            check_name(&set, chain, seed)?;
            Ok(Outcome::NotPermitted(Box::new(set)))
        }
        JoinAnswer::Full { parameters } => {
            let whole: Whole = decode(&parameters)?;
            let set = ParameterSet::from_wire(&whole.parameters)?;
            check_name(&set, chain, seed)?;
            anyhow::ensure!(
                genesis::matches(&whole.genesis, &set),
                "{seed} sent a genesis block that does not match its parameters: do not trust it"
            );
            Ok(Outcome::Permitted(Box::new(set), Box::new(whole.genesis)))
        }
    }
}

fn check_name(set: &ParameterSet, chain: &str, seed: &str) -> anyhow::Result<()> {
    anyhow::ensure!(set.chain_name() == chain, "{seed} belongs to chain {:?}, not to {chain:?}", set.chain_name());
    Ok(())
}
