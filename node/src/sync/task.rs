//! Carries events between the peer room, the ledger and the machine; checks transactions and answers peers off the
//! threads that must not wait.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use rayon::prelude::*;
use rota_chain::address::AddressScheme;
use rota_chain::block::Block;
use rota_chain::codec::encoded_length;
use rota_chain::hash::BlockHash;
use rota_consensus::block::CheckedBlock;
use rota_consensus::rule::Rule;
use rota_consensus::rules::Rules;
use rota_consensus::signature::SignatureCache;
use rota_p2p::{Admission, Event, GateRules, Handle, PeerHandle, Request, RequestId, Response};
use rota_params::runtime::RuntimeSettings;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio::task::JoinSet;

use super::carry::{Checked, Offer, check_delivered, input_of};
use super::serve;
use super::{Delivered, LiveFacts, Now, PeerSync, Sync, SyncAction, SyncInput};
use crate::context::unix_time;
use crate::ledger::{LedgerEvent, LedgerHandle, check_block};
use crate::offchain::Offchain;
use crate::pause::Paused;
use crate::view::SharedView;

/// How long announcements are gathered.
const NEWS_TIME: Duration = Duration::from_millis(20);
/// How often time alone is an input, in gathering times.
const TICKS: u32 = 5;
/// How often figures of peers are shown, in gathering times: a second.
const FIGURES: u32 = 50;
/// Blocks on their way to the ledger: more than the machine gives without a verdict.
const BLOCKS: usize = 16;
/// Checked blocks that wait for the ledger: one while one is taken.
const BLOCKS_AHEAD: usize = 1;
/// Checked batches on their way to the ledger: one waits while one is taken.
const BATCHES: usize = 2;
/// Transactions checked together: enough for all cores.
const TOGETHER: usize = 1_000;
/// Verdicts on their way to the machine.
const VERDICTS: usize = 64;
/// Most requests of peers answered at once; the rest wait in the peer room's bounds.
const ANSWERS: usize = 8;

/// Bytes a second that one peer's requests are answered with: more than a node that catches up can check, and far less than
/// what small requests could make this node read, encode and encrypt.
const SERVED_RATE: f64 = 32.0 * 1_048_576.0;
/// Share of a core that making the answers to one peer takes for long: some answers of few bytes are much work.
const SERVED_SHARE: f64 = 0.1;

/// Requests of peers answered at once: on half of the cores, so that peers who ask for much leave the rest to callers.
fn answers() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / 2).clamp(1, ANSWERS)
}

/// A peer's clock this far from ours is worth a warning: half of what a block may lie ahead at least.
pub const SKEW_SECONDS: u64 = 60;

/// Makes the rules of the gate at this moment; the argument tells whether the node is behind.
pub type MakeGate = Box<dyn Fn(bool) -> GateRules + Send + std::marker::Sync>;
/// Places of nodes to tell peers of.
pub type Places = Arc<dyn Fn() -> Vec<SocketAddr> + Send + std::marker::Sync>;

/// Parts sync is made of.
pub struct SyncParts {
    /// The peer room.
    pub handle: Handle,
    /// What readers see.
    pub view: Arc<SharedView>,
    /// The one writer.
    pub ledger: LedgerHandle,
    /// The chain's rules.
    pub rules: Arc<Rules>,
    /// Which transactions' signatures verify.
    pub signatures: Arc<SignatureCache>,
    /// What is paused.
    pub paused: Arc<Paused>,
    /// Settings.
    pub settings: Arc<RwLock<RuntimeSettings>>,
    /// Off-chain items.
    pub offchain: Arc<Offchain>,
    /// How addresses are written.
    pub scheme: AddressScheme,
    /// Where figures of peers are shown.
    pub board: Arc<Mutex<HashMap<PeerHandle, PeerSync>>>,
    /// Who may connect now.
    pub gate: MakeGate,
    /// Places to tell peers of.
    pub places: Places,
    /// Where events go that are none of sync's: those that are, and their end, go there too.
    pub notes: mpsc::Sender<Event>,
}

/// Runs until the peer room or the ledger ends.
pub async fn run(parts: SyncParts, mut events: mpsc::Receiver<Event>) {
    let mut ledger_events = parts.ledger.subscribe_events();
    let (verdicts, mut done) = mpsc::channel(VERDICTS);
    let (to_check, unchecked) = mpsc::channel(BATCHES);
    let mut driver = Driver::new(parts, verdicts, unchecked);
    let mut beat = tokio::time::interval(NEWS_TIME);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut beats = 0u32;
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => driver.on_event(event).await,
                None => return,
            },
            event = ledger_events.recv() => match event {
                Ok(event) => driver.on_ledger(event, &mut ledger_events).await,
                Err(broadcast::error::RecvError::Lagged(_)) => driver.missed_events().await,
                Err(broadcast::error::RecvError::Closed) => return,
            },
            Some(input) = done.recv() => driver.feed(input).await,
            permit = to_check.reserve(), if !driver.unchecked.is_empty() => match permit {
                Ok(permit) => permit.send(take_batch(&mut driver.unchecked)),
                Err(_) => return,
            },
            Some(_) = driver.tasks.join_next() => {}
            _ = beat.tick() => {
                beats = beats.wrapping_add(1);
                if beats.is_multiple_of(TICKS) || driver.machine.has_news() {
                    driver.feed(SyncInput::Tick).await;
                }
                if beats.is_multiple_of(FIGURES) {
                    driver.show_figures();
                }
            }
        }
    }
}

struct Driver {
    parts: SyncParts,
    machine: Sync<LiveFacts>,
    started: Instant,
    to_ledger: mpsc::Sender<Arc<Block>>,
    /// Delivered transactions for which the checks have no room yet; the machine bounds them.
    unchecked: VecDeque<Delivered>,
    answers: Arc<Semaphore>,
    /// One turn for each peer that asked.
    turns: HashMap<PeerHandle, Arc<Semaphore>>,
    tasks: JoinSet<()>,
    behind: bool,
}

fn take_batch(unchecked: &mut VecDeque<Delivered>) -> Vec<Delivered> {
    let count = unchecked.len().min(TOGETHER);
    unchecked.drain(..count).collect()
}

impl Driver {
    fn new(parts: SyncParts, verdicts: mpsc::Sender<SyncInput>, unchecked: mpsc::Receiver<Vec<Delivered>>) -> Driver {
        let (view, rules) = (Arc::clone(&parts.view), Arc::clone(&parts.rules));
        let facts = LiveFacts::new(view, rules, Arc::clone(&parts.paused), Arc::clone(&parts.settings));
        let now = Now { steady: Duration::ZERO, unix: unix_time() };
        let machine = Sync::new(facts, Arc::clone(&parts.rules), now);
        let (to_ledger, blocks) = mpsc::channel(BLOCKS);
        let (checked_blocks, to_give) = mpsc::channel(BLOCKS_AHEAD);
        let (checked, to_relay) = mpsc::channel(BATCHES);
        let mut tasks = JoinSet::new();
        tasks.spawn(check_blocks(Arc::clone(&parts.rules), Arc::clone(&parts.signatures), blocks, checked_blocks));
        tasks.spawn(give_blocks(parts.ledger.clone(), to_give, verdicts.clone()));
        tasks.spawn(check(Arc::clone(&parts.rules), Arc::clone(&parts.signatures), unchecked, checked));
        tasks.spawn(relay(parts.ledger.clone(), to_relay, verdicts));
        Driver {
            parts,
            machine,
            started: Instant::now(),
            to_ledger,
            unchecked: VecDeque::new(),
            answers: Arc::new(Semaphore::new(answers())),
            turns: HashMap::new(),
            tasks,
            behind: false,
        }
    }

    fn now(&self) -> Now {
        Now { steady: self.started.elapsed(), unix: unix_time() }
    }

    async fn feed(&mut self, input: SyncInput) {
        let now = self.now();
        let long =
            matches!(&input, SyncInput::Response { result: Ok(Response::Headers(headers)), .. } if headers.len() > 64);
        let actions = if long {
            tokio::task::block_in_place(|| self.machine.handle(now, input))
        } else {
            self.machine.handle(now, input)
        };
        for action in actions {
            self.act(action).await;
        }
    }

    /// A closed peer room is noticed by its events; what was to be sent then is of no use.
    async fn act(&mut self, action: SyncAction) {
        let handle = &self.parts.handle;
        match action {
            SyncAction::Request { peer, query, request } => {
                let _ = handle.request(peer, query, request).await;
            }
            SyncAction::Block(block) => {
                let _ = self.to_ledger.send(block).await;
            }
            SyncAction::Transactions(delivered) => self.unchecked.extend(delivered),
            SyncAction::AnnounceTransactions(hashes) => {
                let _ = handle.announce_transactions(hashes).await;
            }
            SyncAction::AnnounceBlock(hash) => {
                self.tasks.spawn(announce_block(handle.clone(), Arc::clone(&self.parts.view), hash));
            }
            SyncAction::Misbehaving { peer, reason } => {
                let _ = handle.misbehaving(peer, reason).await;
            }
            SyncAction::Behind(behind) => {
                self.behind = behind;
                let _ = handle.set_gate((self.parts.gate)(behind)).await;
            }
            SyncAction::GovernanceForks(forks) => {
                let ledger = self.parts.ledger.clone();
                self.tasks.spawn(async move {
                    let _ = ledger.call(move |ledger| ledger.note_governance_forks(forks)).await;
                });
            }
            SyncAction::CatchingUp(catching_up) => {
                let ledger = self.parts.ledger.clone();
                self.tasks.spawn(async move {
                    let _ = ledger.call(move |ledger| ledger.set_catching_up(catching_up)).await;
                });
            }
        }
    }

    async fn on_event(&mut self, event: Event) {
        let input = match event {
            Event::PeerConnected { peer, address, admission, ref hello, .. } => {
                self.warn_of_skew(&event);
                let input = SyncInput::Connected { peer, address, full: admission == Admission::Full, tip: hello.tip };
                self.note(event);
                input
            }
            Event::PeerDisconnected { peer, ref reason } => {
                tracing::info!(%peer, "peer disconnected: {reason}");
                self.turns.remove(&peer);
                self.note(event);
                SyncInput::Disconnected(peer)
            }
            Event::Request { peer, request_id, request } => {
                self.answer(peer, request_id, request);
                return;
            }
            Event::Response { peer, query, result } => SyncInput::Response { peer, query, result },
            Event::TransactionsAnnounced { peer, hashes } => SyncInput::TransactionsAnnounced { peer, hashes },
            Event::BlockAnnounced { peer, compact } => SyncInput::BlockAnnounced { peer, compact },
            other => {
                self.note(other);
                return;
            }
        };
        let met = matches!(input, SyncInput::Connected { .. });
        self.feed(input).await;
        if met {
            // A peer that callers are shown has its figures.
            self.show_figures();
        }
    }

    /// The book learns less from a flood of events than it costs to wait for it.
    fn note(&self, event: Event) {
        let _ = self.parts.notes.try_send(event);
    }

    fn warn_of_skew(&self, event: &Event) {
        let Event::PeerConnected { peer, address, remote, inbound, hello, .. } = event else { return };
        let address = self.parts.scheme.encode_key_hash(address);
        tracing::info!(
            %peer, %remote, %address, inbound, software = %hello.software, height = hello.tip.height.0, "peer connected"
        );
        let now = unix_time();
        if now.abs_diff(hello.time) >= SKEW_SECONDS {
            let ahead = i128::from(hello.time) - i128::from(now);
            tracing::warn!(%address, %remote, "the peer's clock is {ahead} s ahead of this node's: blocks of a clock \
                that is wrong are held back; check the time here and there");
        }
    }

    fn answer(&mut self, peer: PeerHandle, id: RequestId, request: Request) {
        let asker = self.machine.address(peer);
        let (handle, view, offchain) =
            (self.parts.handle.clone(), Arc::clone(&self.parts.view), Arc::clone(&self.parts.offchain));
        let places = if matches!(request, Request::Addresses) { (self.parts.places)() } else { Vec::new() };
        let answers = Arc::clone(&self.answers);
        let turn = Arc::clone(self.turns.entry(peer).or_insert_with(|| Arc::new(Semaphore::new(1))));
        self.tasks.spawn(async move {
            let Ok(_turn) = turn.acquire_owned().await else { return };
            let Ok(permit) = answers.acquire_owned().await else { return };
            let work = move || {
                let chunks = |stream, hashes: &[_]| offchain.answer(&view, asker, stream, hashes);
                serve::answer(&view, &places, request, chunks)
            };
            let Ok((response, price)) = tokio::task::spawn_blocking(move || priced(work)).await else { return };
            drop(permit);
            let _ = handle.respond(id, response).await;
            // The next turn of this peer comes when this answer's share of time is over.
            tokio::time::sleep(price).await;
        });
    }

    /// Takes all events that wait, then tells the new tip once.
    async fn on_ledger(&mut self, first: LedgerEvent, more: &mut broadcast::Receiver<LedgerEvent>) {
        let mut tip = None;
        let mut next = Some(first);
        while let Some(event) = next {
            if let LedgerEvent::Tip { tip: new, .. } = &event {
                tip = Some(*new);
            }
            self.feed(input_of(event)).await;
            next = match more.try_recv() {
                Ok(event) => Some(event),
                Err(TryRecvError::Lagged(_)) => {
                    self.missed_events().await;
                    None
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => None,
            };
        }
        if let Some(tip) = tip {
            let told = rota_p2p::Tip { height: tip.height, hash: tip.hash };
            let _ = self.parts.handle.set_tip(told).await;
            let _ = self.parts.handle.set_gate((self.parts.gate)(self.behind)).await;
        }
    }

    async fn missed_events(&mut self) {
        tracing::warn!("peers are told late: the ledger was faster than its events were read");
        let tip = self.parts.view.tip();
        self.feed(SyncInput::Forgotten).await;
        self.feed(SyncInput::Tip { applied: vec![tip.hash], undone: true }).await;
        let _ = self.parts.handle.set_tip(rota_p2p::Tip { height: tip.height, hash: tip.hash }).await;
        let _ = self.parts.handle.set_gate((self.parts.gate)(self.behind)).await;
    }

    fn show_figures(&self) {
        *self.parts.board.lock().unwrap_or_else(PoisonError::into_inner) = self.machine.figures();
    }
}

/// Makes an answer; and how long the peer's next request waits for it.
fn priced(work: impl FnOnce() -> Response) -> (Response, Duration) {
    let before = thread_time();
    let response = work();
    let sent = Duration::from_secs_f64(encoded_length(&response) as f64 / SERVED_RATE);
    let made = thread_time().saturating_sub(before).mul_f64(1.0 / SERVED_SHARE - 1.0);
    (response, sent.max(made))
}

/// Processor time of this thread so far; nothing where the system does not tell.
fn thread_time() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_THREAD) else { return Duration::ZERO };
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(u64::try_from(micros).unwrap_or(0))
}

/// A block, and what came of the checks that need no state.
type BlockCheck = (Arc<Block>, Result<CheckedBlock, Rule>);

/// Checks blocks on all cores while the ledger applies those before them.
async fn check_blocks(
    rules: Arc<Rules>,
    signatures: Arc<SignatureCache>,
    mut blocks: mpsc::Receiver<Arc<Block>>,
    checked: mpsc::Sender<BlockCheck>,
) {
    while let Some(block) = blocks.recv().await {
        let (rules, signatures) = (Arc::clone(&rules), Arc::clone(&signatures));
        let work = move || {
            let result = check_block(Arc::clone(&block), &rules, &signatures);
            (block, result)
        };
        let Ok(result) = tokio::task::spawn_blocking(work).await else { return };
        if checked.send(result).await.is_err() {
            return;
        }
    }
}

/// Gives the ledger blocks one by one.
async fn give_blocks(ledger: LedgerHandle, mut blocks: mpsc::Receiver<BlockCheck>, verdicts: mpsc::Sender<SyncInput>) {
    while let Some((block, checked)) = blocks.recv().await {
        let hash = block.hash();
        let Ok(outcome) = ledger.block(block, checked).await else { return };
        if verdicts.send(SyncInput::Block { hash, outcome }).await.is_err() {
            return;
        }
    }
}

/// Checks form and signatures of delivered transactions on all cores.
async fn check(
    rules: Arc<Rules>,
    signatures: Arc<SignatureCache>,
    mut batches: mpsc::Receiver<Vec<Delivered>>,
    checked: mpsc::Sender<Vec<Checked>>,
) {
    while let Some(batch) = batches.recv().await {
        let (rules, signatures) = (Arc::clone(&rules), Arc::clone(&signatures));
        let verify = move |delivered| check_delivered(delivered, &rules, &signatures);
        let work = move || batch.into_par_iter().map(verify).collect::<Vec<Checked>>();
        let Ok(results) = tokio::task::spawn_blocking(work).await else { return };
        if checked.send(results).await.is_err() {
            return;
        }
    }
}

/// Gives checked transactions to the ledger.
async fn relay(ledger: LedgerHandle, mut batches: mpsc::Receiver<Vec<Checked>>, verdicts: mpsc::Sender<SyncInput>) {
    while let Some(batch) = batches.recv().await {
        let mut offer = Offer::of(batch);
        let transactions = std::mem::take(&mut offer.transactions);
        let outcomes = ledger.relay(transactions).await;
        if verdicts.send(SyncInput::Relayed(offer.verdicts(outcomes))).await.is_err() {
            return;
        }
    }
}

/// Tells peers of a block of the active chain.
async fn announce_block(handle: Handle, view: Arc<SharedView>, hash: BlockHash) {
    let work = move || serve::compact(&view.snapshot(), &hash);
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(Some(compact))) => {
            let _ = handle.announce_block(compact).await;
        }
        Ok(Ok(None)) | Err(_) => {}
        Ok(Err(error)) => tracing::error!(%hash, %error, "a block cannot be announced"),
    }
}

#[cfg(test)]
mod tests {
    use rota_p2p::BlockBody;

    use super::*;

    #[test]
    fn an_answer_of_few_bytes_that_takes_long_to_make_makes_its_peer_wait() {
        let work = Duration::from_millis(20);
        let (_, price) = priced(|| {
            let begun = thread_time();
            while thread_time() - begun < work {
                std::hint::spin_loop();
            }
            Response::Headers(Vec::new())
        });
        assert!(price >= work * 9, "{price:?}");
    }

    #[test]
    fn a_long_answer_makes_its_peer_wait_for_its_bytes() {
        let (_, price) = priced(|| Response::Blocks(vec![BlockBody::Bytes(vec![0; 4 << 20])]));
        assert!(price >= Duration::from_millis(125), "{price:?}");
    }
}
