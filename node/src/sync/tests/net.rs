//! A network of machines over ledgers in memory: what they say is carried after a fixed delay.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rota_chain::amount::{Amount, Height, Timestamp};
use rota_chain::block::{BLOCK_VERSION, Block, BlockHeader, SignedHeader};
use rota_chain::hash::{BlockHash, FullHash, StateHash, Txid};
use rota_chain::key::PrivateKey;
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::merkle::merkle_root;
use rota_chain::transaction::{OutPoint, Output, Transaction};
use rota_consensus::coin;
use rota_consensus::rule::{BlockRule, CoinRule, Rule, TransactionRule};
use rota_consensus::rules::Rules;
use rota_p2p::{BlockBody, CompactBlock, PeerHandle, QueryId, Refusal, Request, RequestError, Response};
use rota_params::ParameterSet;

use crate::ledger::BlockOutcome;
use crate::sync::peer::Query;
use crate::sync::{ChainFacts, Delivered, KnownBlock, Now, Relayed, Sync, SyncAction, SyncInput, Verdict};
use crate::view::Tip;

/// How long a message travels.
const DELAY: Duration = Duration::from_millis(5);
/// How often time alone is told.
const TICK: Duration = Duration::from_millis(100);
/// When a request without answer ends, as in the peer room.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The rules of the test chain.
pub fn rules() -> Arc<Rules> {
    let set = ParameterSet::with_defaults("testing", 20_013).unwrap();
    Arc::new(Rules::new(&set))
}

fn miner(number: u8) -> PrivateKey {
    PrivateKey::from_bytes([number; 32]).unwrap()
}

/// The first block.
pub fn genesis() -> Block {
    block_at(BlockHash::ZERO, 0, Vec::new(), 1)
}

/// A block on `parent` at a height, by a miner.
pub fn block(parent: &Block, height: u32, transactions: Vec<Transaction>, by: u8) -> Block {
    block_at(parent.hash(), height, transactions, by)
}

fn block_at(previous: BlockHash, height: u32, mut transactions: Vec<Transaction>, by: u8) -> Block {
    let key = miner(by);
    let miner = key.public_key().key_hash();
    let reward = if height == 0 { Amount::ZERO } else { coin::reward(&rules(), Height(height)) };
    transactions.insert(0, Transaction::coinbase(Height(height), vec![Output::payment(Lock::Key(miner), reward)]));
    let hashes: Vec<FullHash> = transactions.iter().map(Transaction::full_hash).collect();
    let header = BlockHeader {
        version: BLOCK_VERSION,
        previous,
        merkle_root: merkle_root(&hashes),
        state_hash: StateHash::ZERO,
        time: Timestamp(1_000 + height),
        bits: 0,
        nonce: 0,
        miner,
    };
    Block { signed: header.sign(&rules().genesis, &key), transactions }
}

/// Empty blocks above `parent`, which is the first.
pub fn blocks_on(parent: &Block, count: u32, by: u8) -> Vec<Block> {
    let (mut blocks, mut previous) = (Vec::new(), parent.hash());
    for height in 1..=count {
        let block = block_at(previous, height, Vec::new(), by);
        previous = block.hash();
        blocks.push(block);
    }
    blocks
}

/// A transaction, another for each number; far from the heights of coinbases.
pub fn transaction(number: u32) -> Transaction {
    Transaction::coinbase(Height(1_000_000 + number), Vec::new())
}

/// What all nodes agree on about transactions.
#[derive(Default)]
struct World {
    needs: HashMap<FullHash, Txid>,
    broken: HashSet<FullHash>,
    without_room: HashSet<FullHash>,
}

#[derive(Default)]
struct Memory {
    blocks: HashMap<BlockHash, (Arc<Block>, Height)>,
    active: Vec<BlockHash>,
    invalid: HashSet<BlockHash>,
    forbidden: HashSet<BlockHash>,
    withheld: HashSet<BlockHash>,
    held: HashMap<BlockHash, u64>,
    pool: BTreeMap<FullHash, Arc<Transaction>>,
    own: BTreeSet<FullHash>,
    confirmed: HashSet<Txid>,
    no_miners: bool,
    single_miner: bool,
    strangers: HashSet<KeyHash>,
    paused: bool,
    protected_from: Option<Height>,
}

/// One node's facts.
#[derive(Clone)]
struct Facts(Rc<RefCell<Memory>>);

impl Memory {
    fn tip(&self) -> Tip {
        let height = Height(u32::try_from(self.active.len()).unwrap() - 1);
        Tip { hash: *self.active.last().unwrap(), height, time: Timestamp(0), median_time: Timestamp(0) }
    }

    /// Takes a block in and gives the outcome, blocks applied, and whether any was undone.
    fn accept(&mut self, block: &Arc<Block>, now: u64) -> (BlockOutcome, Vec<BlockHash>, bool) {
        let (hash, nothing) = (block.hash(), Vec::new());
        if self.blocks.contains_key(&hash) {
            return (BlockOutcome::Known, nothing, false);
        }
        let Some((_, parent)) = self.blocks.get(&block.header().previous) else {
            return (BlockOutcome::Orphan, nothing, false);
        };
        let height = parent.next();
        if let Some(until) = self.held.get(&hash).filter(|until| **until > now) {
            return (BlockOutcome::Future { until: *until }, nothing, false);
        }
        if block.computed_merkle_root() != block.header().merkle_root {
            return (BlockOutcome::Message(BlockRule::MerkleRoot), nothing, false);
        }
        if self.forbidden.contains(&hash) || self.invalid.contains(&block.header().previous) {
            self.invalid.insert(hash);
            return (BlockOutcome::Invalid(BlockRule::Nonce { nonce: 1 }.into()), nothing, false);
        }
        self.blocks.insert(hash, (Arc::clone(block), height));
        if height <= self.tip().height {
            return (BlockOutcome::Stored, nothing, false);
        }
        let (applied, undone) = self.activate(hash);
        (BlockOutcome::Applied, applied, undone)
    }

    fn activate(&mut self, tip: BlockHash) -> (Vec<BlockHash>, bool) {
        let (mut branch, mut next) = (Vec::new(), tip);
        while !self.active.contains(&next) {
            branch.push(next);
            next = self.blocks[&next].0.header().previous;
        }
        branch.reverse();
        let keep = self.active.iter().position(|hash| *hash == next).unwrap() + 1;
        let undone = self.active.len() > keep;
        self.active.truncate(keep);
        self.active.extend(&branch);
        for hash in &branch {
            for transaction in &self.blocks[hash].0.transactions {
                self.pool.remove(&transaction.full_hash());
                self.own.remove(&transaction.full_hash());
                self.confirmed.insert(transaction.txid());
            }
        }
        (branch, undone)
    }

    fn has(&self, txid: &Txid) -> bool {
        self.confirmed.contains(txid) || self.pool.values().any(|waiting| waiting.txid() == *txid)
    }

    fn admit(&mut self, transaction: &Arc<Transaction>, world: &World) -> Verdict {
        let hash = transaction.full_hash();
        if world.broken.contains(&hash) {
            return Verdict::Bad(TransactionRule::NoOutputs.into());
        }
        if world.without_room.contains(&hash) {
            return Verdict::Postponed;
        }
        if self.has(&transaction.txid()) {
            return Verdict::Known;
        }
        if let Some(txid) = world.needs.get(&hash).filter(|txid| !self.has(txid)) {
            let outpoint = OutPoint { txid: *txid, index: 0 };
            return Verdict::Refused(Rule::Coin(CoinRule::Missing { outpoint }));
        }
        self.pool.insert(hash, Arc::clone(transaction));
        Verdict::Taken
    }

    fn answer(&self, request: &Request) -> Response {
        match request {
            Request::Headers { locator, limit, .. } => {
                let known = locator.iter().find_map(|hash| self.active.iter().position(|active| active == hash));
                let first = known.unwrap_or(0) + 1;
                let headers = self.active.iter().skip(first).take(*limit as usize);
                Response::Headers(headers.map(|hash| self.blocks[hash].0.signed).collect())
            }
            Request::Blocks { hashes } => {
                let given = hashes.iter().filter(|hash| !self.withheld.contains(hash));
                let found = given.filter_map(|hash| self.blocks.get(hash));
                Response::Blocks(found.map(|(block, _)| Block::clone(block).into()).collect())
            }
            Request::Transactions { hashes } => Response::Transactions(
                hashes.iter().filter_map(|hash| self.pool.get(hash).map(|tx| Transaction::clone(tx))).collect(),
            ),
            Request::TransactionsById { txids } => {
                let found = self.pool.values().filter(|waiting| txids.contains(&waiting.txid()));
                Response::Transactions(found.map(|tx| Transaction::clone(tx)).collect())
            }
            Request::PoolInventory { after, limit } => {
                let mut hashes: Vec<FullHash> = self.pool.keys().filter(|hash| *hash > after).copied().collect();
                let more = hashes.len() > *limit as usize;
                hashes.truncate(*limit as usize);
                Response::PoolInventory { hashes, more }
            }
            Request::BlockTransactions { block, indexes } => match self.blocks.get(block) {
                Some((block, _)) => Response::BlockTransactions(
                    indexes.iter().map(|index| block.transactions[*index as usize].clone()).collect(),
                ),
                None => Response::Refused(Refusal::Unknown),
            },
            Request::Chunks { .. } | Request::Addresses => Response::Refused(Refusal::NotServed),
        }
    }
}

impl ChainFacts for Facts {
    fn tip(&self) -> Tip {
        self.0.borrow().tip()
    }

    fn block(&self, hash: &BlockHash) -> Option<KnownBlock> {
        let memory = self.0.borrow();
        if memory.invalid.contains(hash) {
            return Some(KnownBlock { height: Height(0), work: 0, invalid: true });
        }
        let (_, height) = memory.blocks.get(hash)?;
        Some(KnownBlock { height: *height, work: u128::from(height.0), invalid: false })
    }

    fn active(&self, height: Height) -> Option<BlockHash> {
        self.0.borrow().active.get(height.0 as usize).copied()
    }

    fn may_mine(&self, _: &KeyHash) -> bool {
        !self.0.borrow().no_miners
    }

    fn could_mine(&self, miner: &KeyHash, parent: &BlockHash) -> bool {
        let memory = self.0.borrow();
        !memory.active.contains(parent) || !memory.strangers.contains(miner)
    }

    fn held_mine(&self, miner: &KeyHash) -> bool {
        !self.0.borrow().strangers.contains(miner)
    }

    fn takes_turns(&self) -> bool {
        !self.0.borrow().single_miner
    }

    fn pool_lacks(&self, hashes: &[FullHash]) -> Vec<FullHash> {
        let memory = self.0.borrow();
        hashes.iter().filter(|hash| !memory.pool.contains_key(hash)).copied().collect()
    }

    fn pool_has_room(&self, transactions: &[&Transaction]) -> Vec<bool> {
        vec![true; transactions.len()]
    }

    fn has_transaction(&self, txid: &Txid) -> bool {
        self.0.borrow().has(txid)
    }

    fn pool_find(&self, hashes: &[FullHash]) -> Vec<Option<Arc<Transaction>>> {
        let memory = self.0.borrow();
        hashes.iter().map(|hash| memory.pool.get(hash).cloned()).collect()
    }

    fn pool_own(&self, limit: usize) -> Vec<FullHash> {
        self.0.borrow().own.iter().take(limit).copied().collect()
    }

    fn incoming_paused(&self) -> bool {
        self.0.borrow().paused
    }

    fn fork_of(&self, hash: &BlockHash) -> Option<(Height, Option<KeyHash>)> {
        let memory = self.0.borrow();
        let (mut next, mut first) = (*hash, None);
        loop {
            let (block, height) = memory.blocks.get(&next)?;
            if memory.active.contains(&next) {
                return Some((*height, first));
            }
            first = Some(block.header().miner);
            next = block.header().previous;
        }
    }

    fn is_protected(&self, fork: Height, _: &KeyHash) -> bool {
        self.0.borrow().protected_from.is_some_and(|from| fork <= from)
    }
}

struct Node {
    machine: Sync<Facts>,
    memory: Rc<RefCell<Memory>>,
    peers: BTreeSet<usize>,
    said: Vec<SyncAction>,
    asked: Vec<(usize, Request)>,
    silent: bool,
    corrupt: bool,
    lose: usize,
    headers: Option<Vec<SignedHeader>>,
}

/// A network under a simulated clock.
pub struct Net {
    nodes: Vec<Node>,
    world: World,
    queue: BTreeMap<(Duration, u64), (usize, SyncInput)>,
    order: u64,
    now: Duration,
    misbehaving: Vec<String>,
    lose_announcements: bool,
}

impl Net {
    /// Nodes at the genesis block, not connected, for which no tip is fresh.
    pub fn new(count: usize) -> Net {
        let mut rules = (*rules()).clone();
        rules.target_block_time = 0;
        Net::with(count, Arc::new(rules))
    }

    /// Nodes by these rules; blocks are as old as the run.
    pub fn with(count: usize, rules: Arc<Rules>) -> Net {
        let first = Arc::new(genesis());
        let node = |_| {
            let mut memory = Memory::default();
            memory.blocks.insert(first.hash(), (Arc::clone(&first), Height(0)));
            memory.active.push(first.hash());
            let memory = Rc::new(RefCell::new(memory));
            let now = Now { steady: Duration::ZERO, unix: 0 };
            Node {
                machine: Sync::new(Facts(Rc::clone(&memory)), Arc::clone(&rules), now),
                memory,
                peers: BTreeSet::new(),
                said: Vec::new(),
                asked: Vec::new(),
                silent: false,
                corrupt: false,
                lose: 0,
                headers: None,
            }
        };
        Net {
            nodes: (0..count).map(node).collect(),
            world: World::default(),
            queue: BTreeMap::new(),
            order: 0,
            now: Duration::ZERO,
            misbehaving: Vec::new(),
            lose_announcements: false,
        }
    }

    /// The number under which others know a node.
    pub fn handle(node: usize) -> PeerHandle {
        PeerHandle(node as u64)
    }

    pub fn height(&self, node: usize) -> u32 {
        self.nodes[node].memory.borrow().tip().height.0
    }

    pub fn tip(&self, node: usize) -> BlockHash {
        self.nodes[node].memory.borrow().tip().hash
    }

    /// Whether a node took a block in, on whatever branch.
    pub fn knows(&self, node: usize, hash: &BlockHash) -> bool {
        self.nodes[node].memory.borrow().blocks.contains_key(hash)
    }

    pub fn pool(&self, node: usize) -> usize {
        self.nodes[node].memory.borrow().pool.len()
    }

    pub fn headers_held(&self, node: usize) -> usize {
        self.nodes[node].machine.tree.len()
    }

    /// Bytes of bodies that wait for those below them.
    pub fn bytes_held(&self, node: usize) -> usize {
        self.nodes[node].machine.tree.here_bytes
    }

    /// A node tells of a block and does not give it.
    pub fn withhold(&mut self, node: usize, hash: BlockHash) {
        self.nodes[node].memory.borrow_mut().withheld.insert(hash);
    }

    /// What a node said, requests aside.
    pub fn said(&self, node: usize) -> &[SyncAction] {
        &self.nodes[node].said
    }

    /// Announcements of transactions a node made.
    pub fn announcements(&self, node: usize) -> usize {
        self.said(node).iter().filter(|said| matches!(said, SyncAction::AnnounceTransactions(_))).count()
    }

    /// How many of a node's requests to another are of a kind.
    pub fn asked(&self, node: usize, of: usize, which: impl Fn(&Request) -> bool) -> usize {
        self.nodes[node].asked.iter().filter(|(peer, request)| *peer == of && which(request)).count()
    }

    /// What peers were accused of.
    pub fn misbehaving(&self) -> &[String] {
        &self.misbehaving
    }

    /// Gives a node blocks without anybody noticing.
    pub fn give(&mut self, node: usize, blocks: &[Block]) {
        for block in blocks {
            self.nodes[node].memory.borrow_mut().accept(&Arc::new(block.clone()), u64::MAX);
        }
    }

    /// A node makes a block.
    pub fn mine(&mut self, node: usize, block: Block) {
        let (_, applied, undone) = self.nodes[node].memory.borrow_mut().accept(&Arc::new(block), u64::MAX);
        self.input(node, SyncInput::Tip { applied, undone });
    }

    /// A caller submits a transaction.
    pub fn submit(&mut self, node: usize, transaction: Transaction) {
        let (hash, txid) = (transaction.full_hash(), transaction.txid());
        self.put_in_pool(node, transaction);
        self.nodes[node].memory.borrow_mut().own.insert(hash);
        self.input(node, SyncInput::Admitted { hash, txid, grants: false });
    }

    /// Puts a transaction into a pool without anybody noticing.
    pub fn put_in_pool(&mut self, node: usize, transaction: Transaction) {
        self.nodes[node].memory.borrow_mut().pool.insert(transaction.full_hash(), Arc::new(transaction));
    }

    pub fn needs(&mut self, child: &Transaction, parent: &Transaction) {
        self.world.needs.insert(child.full_hash(), parent.txid());
    }

    pub fn break_rule(&mut self, transaction: &Transaction) {
        self.world.broken.insert(transaction.full_hash());
    }

    /// Says whether pools have room for a transaction.
    pub fn room_for(&mut self, transaction: &Transaction, room: bool) {
        if room {
            self.world.without_room.remove(&transaction.full_hash());
        } else {
            self.world.without_room.insert(transaction.full_hash());
        }
    }

    /// A block that one node finds invalid.
    pub fn forbid(&mut self, hash: BlockHash, at: usize) {
        self.nodes[at].memory.borrow_mut().forbidden.insert(hash);
    }

    /// A block that one node finds too far ahead until a second.
    pub fn hold_until(&mut self, node: usize, hash: BlockHash, second: u64) {
        self.nodes[node].memory.borrow_mut().held.insert(hash, second);
    }

    pub fn no_miners(&mut self, node: usize) {
        self.nodes[node].memory.borrow_mut().no_miners = true;
    }

    /// A node that knows of no right of a miner.
    /// No miner waits for another at this node's tip.
    pub fn single_miner(&mut self, node: usize) {
        self.nodes[node].memory.borrow_mut().single_miner = true;
    }

    pub fn stranger(&mut self, node: usize, by: u8) {
        self.nodes[node].memory.borrow_mut().strangers.insert(miner(by).public_key().key_hash());
    }

    /// A node that refuses branches which leave its own at a height or below.
    pub fn protect(&mut self, node: usize, from: Height) {
        self.nodes[node].memory.borrow_mut().protected_from = Some(from);
    }

    pub fn pause(&mut self, node: usize, paused: bool) {
        self.nodes[node].memory.borrow_mut().paused = paused;
    }

    /// A node that answers nothing but headers and inventories.
    pub fn silent(&mut self, node: usize) {
        self.nodes[node].silent = true;
    }

    /// A node whose blocks have other transactions.
    pub fn corrupt(&mut self, node: usize) {
        self.nodes[node].corrupt = true;
    }

    pub fn lose_next_answers(&mut self, node: usize, count: usize) {
        self.nodes[node].lose = count;
    }

    /// What a node answers to the next question for headers.
    pub fn answer_next_headers(&mut self, node: usize, headers: Vec<SignedHeader>) {
        self.nodes[node].headers = Some(headers);
    }

    /// Makes a node's machine wait for the answer to a question for headers.
    pub fn expect_headers(&mut self, node: usize, of: usize, query: QueryId) {
        self.nodes[node].machine.queries.insert(query, (Net::handle(of), Query::Headers));
    }

    pub fn lose_announcements(&mut self, lose: bool) {
        self.lose_announcements = lose;
    }

    /// Connects two nodes; each sees the other as permitted.
    pub fn connect(&mut self, one: usize, other: usize) {
        self.connect_as(one, other, true);
        self.connect_as(other, one, true);
    }

    /// Connects a node to one it does not know yet, which answers it.
    pub fn connect_behind(&mut self, one: usize, other: usize) {
        self.connect_as(one, other, false);
    }

    fn connect_as(&mut self, one: usize, other: usize, full: bool) {
        let tip = self.nodes[other].memory.borrow().tip();
        let tip = rota_p2p::Tip { height: tip.height, hash: tip.hash };
        self.nodes[one].peers.insert(other);
        let address = KeyHash([u8::try_from(other).unwrap(); 20]);
        self.input(one, SyncInput::Connected { peer: Net::handle(other), address, full, tip });
    }

    pub fn disconnect(&mut self, one: usize, other: usize) {
        self.nodes[one].peers.remove(&other);
        self.nodes[other].peers.remove(&one);
        self.input(one, SyncInput::Disconnected(Net::handle(other)));
        self.input(other, SyncInput::Disconnected(Net::handle(one)));
    }

    fn send(&mut self, after: Duration, to: usize, input: SyncInput) {
        self.order += 1;
        self.queue.insert((self.now + after, self.order), (to, input));
    }

    /// Lets time pass and carries everything that is due.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let next_tick = self.now + TICK;
            while let Some(first) = self.queue.first_entry().filter(|first| first.key().0 <= next_tick) {
                let ((at, _), (node, input)) = first.remove_entry();
                self.now = self.now.max(at);
                self.input(node, input);
            }
            self.now = next_tick;
            for node in 0..self.nodes.len() {
                self.input(node, SyncInput::Tick);
            }
        }
    }

    /// Gives a node an input now and carries out what it says.
    pub fn input(&mut self, node: usize, input: SyncInput) {
        let now = Now { steady: self.now, unix: self.now.as_secs() };
        let actions = self.nodes[node].machine.handle(now, input);
        for action in actions {
            self.act(node, action);
        }
    }

    fn act(&mut self, node: usize, action: SyncAction) {
        match action {
            SyncAction::Request { peer, query, request } => {
                let other = usize::try_from(peer.0).unwrap();
                self.nodes[node].asked.push((other, request.clone()));
                let (after, result) = self.answer(other, &request);
                if self.nodes[node].peers.contains(&other) {
                    self.send(after, node, SyncInput::Response { peer, query, result });
                }
                return;
            }
            SyncAction::Block(ref block) => {
                let (outcome, applied, undone) = self.nodes[node].memory.borrow_mut().accept(block, self.now.as_secs());
                if !applied.is_empty() {
                    self.send(Duration::ZERO, node, SyncInput::Tip { applied, undone });
                }
                self.send(Duration::ZERO, node, SyncInput::Block { hash: block.hash(), outcome });
                return;
            }
            SyncAction::Transactions(delivered) => {
                self.relay(node, delivered);
                return;
            }
            SyncAction::AnnounceTransactions(ref hashes) if !self.lose_announcements => {
                for other in self.nodes[node].peers.clone() {
                    let input = SyncInput::TransactionsAnnounced { peer: Net::handle(node), hashes: hashes.clone() };
                    self.send(DELAY, other, input);
                }
            }
            SyncAction::AnnounceBlock(hash) => {
                let block = self.nodes[node].memory.borrow().blocks.get(&hash).map(|(block, _)| Arc::clone(block));
                let block = block.unwrap();
                for other in self.nodes[node].peers.clone() {
                    let compact = CompactBlock::new(block.signed, block.full_hashes());
                    self.send(DELAY, other, SyncInput::BlockAnnounced { peer: Net::handle(node), compact });
                }
            }
            SyncAction::Misbehaving { peer, ref reason } => {
                self.misbehaving.push(reason.clone());
                self.disconnect(node, usize::try_from(peer.0).unwrap());
            }
            SyncAction::AnnounceTransactions(_)
            | SyncAction::Behind(_)
            | SyncAction::CatchingUp(_)
            | SyncAction::GovernanceForks(_) => {}
        }
        self.nodes[node].said.push(action);
    }

    fn answer(&mut self, other: usize, request: &Request) -> (Duration, Result<Response, RequestError>) {
        let asked = &mut self.nodes[other];
        let talks = matches!(request, Request::Headers { .. } | Request::PoolInventory { .. });
        if asked.silent && !talks {
            return (TIMEOUT, Err(RequestError::TimedOut));
        }
        if matches!(request, Request::Headers { .. })
            && let Some(headers) = asked.headers.take()
        {
            return (2 * DELAY, Ok(Response::Headers(headers)));
        }
        if asked.lose > 0 {
            asked.lose -= 1;
            return (TIMEOUT, Err(RequestError::TimedOut));
        }
        let mut response = asked.memory.borrow().answer(request);
        if let (true, Response::Blocks(blocks)) = (asked.corrupt, &mut response) {
            for body in blocks {
                if let BlockBody::Block(block) = body {
                    block.transactions.push(transaction(77));
                }
            }
        }
        (2 * DELAY, Ok(response))
    }

    fn relay(&mut self, node: usize, delivered: Vec<Delivered>) {
        let mut results = Vec::new();
        for one in delivered {
            let verdict = self.nodes[node].memory.borrow_mut().admit(&one.transaction, &self.world);
            let admitted = matches!(verdict, Verdict::Taken);
            let (hash, txid) = (one.hash, one.transaction.txid());
            results.push(Relayed { delivered: one, verdict });
            if admitted {
                self.send(Duration::ZERO, node, SyncInput::Admitted { hash, txid, grants: false });
            }
        }
        self.send(Duration::ZERO, node, SyncInput::Relayed(results));
    }
}
