//! Carrying a node's miner: it looks, and when its time has come a block is made and offered to its ledger.

use std::sync::{Arc, PoisonError};

use rota_chain::amount::Timestamp;
use rota_chain::block::Block;
use rota_chain::lock::{KeyHash, Lock};
use rota_node::miner::{Decision, Draft, Surroundings, assemble, draft};

use crate::node::Job;
use crate::world::{Due, World};

/// Most microseconds that making a block takes.
const MAKING: u64 = 100_000;

impl World {
    /// A node's miner looks again at once.
    pub fn look_soon(&mut self, node: usize) {
        self.look_after(node, 1_000);
    }

    fn look_after(&mut self, node: usize, pause: u64) {
        let Some(state) = self.nodes.get_mut(node) else { return };
        let life = state.life;
        let Some(running) = state.running.as_mut() else { return };
        running.look += 1;
        let number = running.look;
        self.after(pause, Due::Look { node, life, number });
    }

    /// A node's miner decides what to do.
    ///
    /// # Errors
    /// If storage fails.
    pub fn look(&mut self, node: usize) -> anyhow::Result<()> {
        let now = self.now;
        let rules = self.chain.rules_of(node);
        let Some(state) = self.nodes.get_mut(node) else { return Ok(()) };
        state.set_clock(now);
        let seconds = state.milliseconds() as f64 / 1e3;
        let (Some(running), random) = (state.running.as_mut(), &mut state.random) else { return Ok(()) };
        let around = Surroundings {
            now: seconds,
            creation: 0.0,
            fork_seen: running.ledger.has_rival(),
            peers: running.peers.len(),
            paused: false,
            wallet_locked: false,
        };
        let settings = running.settings.read().unwrap_or_else(PoisonError::into_inner).clone();
        let own = running.wallet.key_hashes();
        let facts = running.gatherer.gather(&running.view, &rules, settings, own, around)?;
        let decision = running.miner.decide(&facts, || random.unit());
        let changed = running.decision != Some(decision);
        running.decision = Some(decision);
        if changed {
            self.note(node, b"decide", || format!("miner: {decision:?}"));
        }
        match decision {
            Decision::Mine(address) => self.make(node, address),
            Decision::Wait { .. } => {
                let pause = u64::try_from(decision.pause(seconds).as_micros()).unwrap_or(u64::MAX);
                self.look_after(node, pause.max(1_000));
                Ok(())
            }
        }
    }

    fn make(&mut self, node: usize, address: KeyHash) -> anyhow::Result<()> {
        let Some(life) = self.nodes.get(node).map(|node| node.life) else { return Ok(()) };
        let Some(block) = self.signed_block(node, address, |draft| draft)? else { return Ok(()) };
        if let Some(running) = self.running_mut(node) {
            running.making = true;
        }
        let pause = self.travel.between(1_000, MAKING);
        self.after(pause, Due::Made { node, life, block });
        Ok(())
    }

    /// A block for a node's tip, filled by the node itself, then changed and signed by its wallet.
    ///
    /// # Errors
    /// If storage or the wallet fails.
    pub fn signed_block(
        &mut self,
        node: usize,
        address: KeyHash,
        change: impl FnOnce(Draft) -> Draft,
    ) -> anyhow::Result<Option<Arc<Block>>> {
        let rules = self.chain.rules_of(node);
        let Some(state) = self.nodes.get(node) else { return Ok(None) };
        let seconds = state.milliseconds() / 1_000;
        let Some(running) = state.running.as_ref() else { return Ok(None) };
        let time = Timestamp(u32::try_from(seconds).unwrap_or(u32::MAX));
        let bits = running.ledger.next_bits(time)?;
        let draft = change(draft(&running.view, &rules, &[], address, bits, seconds)?);
        let signed = running.wallet.sign_block(draft.header, &rules.genesis, &Lock::Key(address))?;
        Ok(Some(assemble(signed, draft.transactions)))
    }

    /// A block is made: the ledger gets it.
    pub fn made(&mut self, node: usize, block: Arc<Block>) {
        self.queue_job(node, Job::Own(block));
    }
}
