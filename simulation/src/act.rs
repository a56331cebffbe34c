//! Carrying a node's parts: what sync says to do, what the ledger is asked, and what each hears of the other. The same
//! functions decide as in a real node; here they only take turns.

use rota_chain::hash::BlockHash;
use rota_node::ledger::{BlockOutcome, LedgerEvent};
use rota_node::sync::{Offer, SyncAction, SyncInput, check_delivered, input_of};

use crate::node::Job;
use crate::peer::Message;
use crate::plan::Sabotage;
use crate::world::{Due, World};

/// Most microseconds between two steps of a ledger.
const STEP: u64 = 4_000;

impl World {
    /// Gives a node's sync machine an input and does what it says.
    ///
    /// # Errors
    /// If storage fails.
    pub fn feed(&mut self, node: usize, input: SyncInput) -> anyhow::Result<()> {
        let now = self.now;
        let Some(state) = self.nodes.get_mut(node) else { return Ok(()) };
        state.set_clock(now);
        let moment = state.moment(now);
        let Some(running) = state.running.as_mut() else { return Ok(()) };
        let actions = running.sync.handle(moment, input);
        let (news, life) = (running.sync.has_news() && !running.news, state.life);
        if news {
            running.news = true;
            self.after(20_000, Due::Tick { node, life, again: false });
        }
        for action in actions {
            self.act(node, action)?;
        }
        Ok(())
    }

    fn act(&mut self, node: usize, action: SyncAction) -> anyhow::Result<()> {
        match action {
            SyncAction::Request { peer, query, request } => {
                self.note(node, &query.0.to_le_bytes(), || {
                    let text: String = format!("{request:?}").chars().take(50).collect();
                    format!("asks {query:?} of {peer:?}: {text}")
                });
                self.ask(node, peer, query, request);
            }
            SyncAction::Block(block) => self.queue_job(node, Job::Block(block)),
            SyncAction::Transactions(delivered) => self.queue_job(node, Job::Relay(delivered)),
            SyncAction::AnnounceTransactions(hashes) => {
                for part in hashes.chunks(rota_p2p::limit::MAX_TRANSACTIONS as usize) {
                    self.tell(node, |_| true, &Message::Transactions(part.to_vec()));
                }
            }
            SyncAction::AnnounceBlock(hash) => {
                if !self.withholds(node) {
                    self.announce_block(node, hash)?;
                }
            }
            SyncAction::Misbehaving { peer, reason } => self.accuse(node, peer, &reason),
            SyncAction::Behind(behind) => {
                if let Some(running) = self.running_mut(node) {
                    running.behind = behind;
                }
                self.judge_connections(node);
            }
            SyncAction::GovernanceForks(forks) => {
                if self.plan.sabotage != Some(Sabotage::NoReport) {
                    self.queue_job(node, Job::Forks(forks));
                }
            }
            SyncAction::CatchingUp(catching_up) => self.queue_job(node, Job::CatchingUp(catching_up)),
        }
        Ok(())
    }

    fn accuse(&mut self, node: usize, peer: rota_p2p::PeerHandle, reason: &str) {
        let Some(other) = self.connections.get(&peer).map(|connection| connection.other(node)) else { return };
        self.note(node, b"accuse", || format!("accuses node {other}: {reason}"));
        let honest = |index: usize| self.nodes.get(index).is_some_and(crate::node::Node::is_honest);
        if honest(node) && honest(other) {
            let detail = format!("node {node} accuses node {other}: {reason}");
            self.checks.fail("no honest node accuses another", detail);
        } else {
            self.checks.counts.accused += 1;
        }
        self.after(1_000, Due::Close { connection: peer });
    }

    /// Asks a node's ledger for something, after what it was asked before.
    pub fn queue_job(&mut self, node: usize, job: Job) {
        let pause = self.travel.between(50, STEP);
        let Some(state) = self.nodes.get_mut(node) else { return };
        let life = state.life;
        let Some(running) = state.running.as_mut() else { return };
        running.jobs.push_back(job);
        if running.jobs.len() == 1 {
            self.after(pause, Due::Job { node, life });
        }
    }

    /// A node's ledger takes its next step.
    ///
    /// # Errors
    /// If storage fails though it was not told to.
    pub fn job(&mut self, node: usize) -> anyhow::Result<()> {
        let now = self.now;
        let Some(state) = self.nodes.get_mut(node) else { return Ok(()) };
        state.set_clock(now);
        let life = state.life;
        let Some(running) = state.running.as_mut() else { return Ok(()) };
        let Some(job) = running.jobs.pop_front() else { return Ok(()) };
        let more = !running.jobs.is_empty();
        let inputs = self.carry_out(node, job);
        let Some(state) = self.nodes.get_mut(node) else { return Ok(()) };
        state.note_synced();
        if state.stopped_writing() {
            // The process ended within the step: nobody hears of it.
            self.crash(node, false)?;
            return Ok(());
        }
        if more {
            let pause = self.travel.between(50, STEP);
            self.after(pause, Due::Job { node, life });
        }
        // Events and verdicts come by two ways: either may be first.
        let verdict_first = self.travel.chance(500);
        let mut inputs = inputs.into_iter();
        if verdict_first {
            for input in inputs.by_ref() {
                self.feed(node, input)?;
            }
        }
        self.take_events(node)?;
        for input in inputs {
            self.feed(node, input)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, node: usize, job: Job) -> Vec<SyncInput> {
        match job {
            Job::Block(block) => {
                let hash = block.hash();
                let Some(running) = self.running_mut(node) else { return Vec::new() };
                let outcome = running.ledger.accept_block(block, false);
                self.note(node, &hash.0, || format!("takes block {hash}: {}", World::outcome(&outcome)));
                vec![SyncInput::Block { hash, outcome }]
            }
            Job::Own(block) => {
                let hash = block.hash();
                let Some(running) = self.running_mut(node) else { return Vec::new() };
                let outcome = running.ledger.accept_block(block, true);
                running.making = false;
                if !matches!(outcome, BlockOutcome::Applied | BlockOutcome::Stored | BlockOutcome::Known) {
                    running.miner.failed();
                }
                self.note(node, &hash.0, || format!("made block {hash}: {}", World::outcome(&outcome)));
                self.own_block(node, hash, &outcome);
                self.look_soon(node);
                Vec::new()
            }
            Job::Relay(delivered) => {
                let (rules, signatures) = (self.chain.rules.clone(), self.chain.signatures.clone());
                let checked = delivered.into_iter().map(|one| check_delivered(one, &rules, &signatures)).collect();
                let mut offer = Offer::of(checked);
                let Some(running) = self.running_mut(node) else { return Vec::new() };
                let outcomes = running.ledger.relay_all(std::mem::take(&mut offer.transactions));
                let verdicts = offer.verdicts(outcomes);
                for one in &verdicts {
                    self.note(node, &one.delivered.hash.0, || {
                        let verdict: String = format!("{:?}", one.verdict).chars().take(120).collect();
                        format!("takes transaction {}: {verdict}", one.delivered.hash)
                    });
                }
                vec![SyncInput::Relayed(verdicts)]
            }
            Job::Submit(transaction) => {
                self.submit(node, transaction);
                Vec::new()
            }
            Job::Forks(forks) => {
                if let Some(running) = self.running_mut(node) {
                    running.ledger.note_governance_forks(forks);
                }
                Vec::new()
            }
            Job::CatchingUp(catching_up) => {
                if let Some(running) = self.running_mut(node) {
                    running.ledger.set_catching_up(catching_up);
                }
                Vec::new()
            }
        }
    }

    fn own_block(&mut self, node: usize, hash: BlockHash, outcome: &BlockOutcome) {
        let honest = self.nodes.get(node).is_some_and(crate::node::Node::is_honest);
        if matches!(outcome, BlockOutcome::Applied) {
            self.newest = Some((self.now, hash));
            self.checks.counts.blocks += 1;
        }
        if honest && matches!(outcome, BlockOutcome::Invalid(_) | BlockOutcome::Message(_)) {
            let detail = format!("node {node} made {hash}: {}", World::outcome(outcome));
            self.checks.fail("an honest miner makes valid blocks", detail);
        }
    }

    /// Hands a node's events of the ledger on, and looks at its state.
    ///
    /// # Errors
    /// If storage fails.
    pub fn take_events(&mut self, node: usize) -> anyhow::Result<()> {
        loop {
            let Some(running) = self.running_mut(node) else { return Ok(()) };
            let Ok(event) = running.events.try_recv() else { return Ok(()) };
            let rests = running.decision.is_some_and(|decision| decision.rests());
            match &event {
                LedgerEvent::Tip { applied, undone, .. } => {
                    let (applied, undone) = (applied.clone(), undone.len());
                    self.observe_switch(node, &applied, undone)?;
                    self.look_soon(node);
                }
                LedgerEvent::Admitted { .. } if rests => self.look_soon(node),
                LedgerEvent::Admitted { .. } => {}
                LedgerEvent::Ended { txid, reason } => {
                    let (txid, reason) = (*txid, reason.clone());
                    self.note(node, &txid.0, || format!("transaction {txid} ended: {reason}"));
                }
            }
            let moved = matches!(event, LedgerEvent::Tip { .. });
            self.feed(node, input_of(event))?;
            if moved {
                self.judge_connections(node);
            }
        }
    }

    fn observe_switch(
        &mut self,
        node: usize,
        applied: &[(BlockHash, rota_chain::amount::Height)],
        undone: usize,
    ) -> anyhow::Result<()> {
        let now = self.now;
        if let Some(running) = self.running_mut(node) {
            running.tip_since = now;
        }
        let (honest, name) = (self.nodes.get(node).is_some_and(crate::node::Node::is_honest), format!("node {node}"));
        let Some(running) = self.running(node) else { return Ok(()) };
        let (snapshot, tip) = (running.view.snapshot(), running.view.tip());
        self.note(node, &tip.hash.0, || {
            format!("is at block {} at {}, {} applied, {undone} undone", tip.hash, tip.height.0, applied.len())
        });
        self.checks.state(&name, &snapshot)?;
        for (hash, _) in applied {
            self.checks.applied(honest, &name, *hash, &snapshot)?;
        }
        if undone > 0 {
            self.checks.counts.reorganisations += 1;
            self.checks.counts.deepest = self.checks.counts.deepest.max(undone as u64);
        }
        Ok(())
    }

    /// Looks at the state of a node that was just started.
    ///
    /// # Errors
    /// If storage fails.
    pub fn observe_start(&mut self, node: usize) -> anyhow::Result<()> {
        let Some(running) = self.running(node) else { return Ok(()) };
        let (snapshot, tip) = (running.view.snapshot(), running.view.tip());
        let name = format!("node {node}, started,");
        self.checks.state(&name, &snapshot)?;
        let hashes = snapshot.block_hashes(0..tip.height.0 + 1)?;
        for hash in hashes {
            if self.checks.seen(&hash).is_none() {
                self.checks.applied(true, &name, hash, &snapshot)?;
            }
        }
        Ok(())
    }
}
