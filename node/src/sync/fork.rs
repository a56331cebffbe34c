//! Governance forks among peers' branches: those that weigh less than ours are not fetched, so their headers tell.

use rota_chain::hash::BlockHash;

use super::{ChainFacts, Sync, SyncAction};
use crate::ledger::GovernanceFork;

/// What was judged and told last.
#[derive(Debug, Default)]
pub(super) struct Forks {
    judged: Vec<BlockHash>,
    tip: BlockHash,
    told: Vec<GovernanceFork>,
}

impl<V: ChainFacts> Sync<V> {
    /// Tells the ledger which peers follow a branch that this node will not, if that changed.
    pub(super) fn judge_forks(&mut self) {
        let mut tips: Vec<BlockHash> = self.peers.values().filter_map(|peer| peer.last_header).collect();
        tips.sort_unstable();
        tips.dedup();
        let tip = self.facts.tip();
        tips.retain(|other| *other != tip.hash);
        if tips == self.forks.judged && self.forks.tip == tip.hash {
            return;
        }
        let found: Vec<GovernanceFork> = tips.iter().filter_map(|tip| self.governance_fork(tip)).collect();
        (self.forks.judged, self.forks.tip) = (tips, tip.hash);
        if found != self.forks.told {
            self.forks.told.clone_from(&found);
            self.out.push(SyncAction::GovernanceForks(found));
        }
    }

    /// The fork that a peer's last block ends, if it would undo a protected change.
    fn governance_fork(&self, tip: &BlockHash) -> Option<GovernanceFork> {
        let ahead = self.tree.get(tip).map(|node| node.height);
        let height =
            ahead.or_else(|| self.facts.block(tip).filter(|known| !known.invalid).map(|known| known.height))?;
        let (mut next, mut made) = (*tip, None);
        while let Some(node) = self.tree.get(&next) {
            made = Some(node.header.header.miner);
            next = node.header.header.previous;
        }
        let (fork_height, first) = self.facts.fork_of(&next)?;
        let protected = self.facts.is_protected(fork_height, &first.or(made)?);
        protected.then_some(GovernanceFork { tip: *tip, height, fork_height })
    }
}
