//! The task that fetches off-chain data of followed streams: it notes what the ledger brings, and asks peers in rounds
//! for what is not here, until it came or the stream is no longer followed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use rota_chain::amount::Height;
use rota_chain::data::chunk_hash;
use rota_chain::hash::{BlockHash, ChunkHash, Txid};
use rota_chain::operation::Operation;
use rota_chain::stream::ItemData;
use rota_chain::transaction::Transaction;
use rota_p2p::{Admission, ChunkBody, Handle, PeerHandle, Request, Response};
use rota_storage::StorageError;
use rota_storage::chunk::{Chunk, ChunkOwner, PendingChunk};
use rota_storage::index::Subscription;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;

use super::queue::{self, Step};
use super::{Offchain, follow, reader};
use crate::context::Context;
use crate::ledger::LedgerEvent;
use crate::pause::Task;

/// Waiting chunks looked at together.
pub(super) const PAGE: usize = 1_024;
/// Chunks asked of a peer together: what is missing of them is asked of the next.
const GROUP_CHUNKS: usize = 16;
/// Bytes asked of a peer together: an answer's least frame holds them.
const GROUP_BYTES: u64 = 4 << 20;
/// Groups under way at once.
const GROUPS: usize = 4;
/// Peers asked for a group in one round; another round begins with others.
const PEERS_A_ROUND: usize = 8;
/// How often the queue is looked at when nothing wakes the task: retries are due then.
const LOOK: Duration = Duration::from_secs(1);
/// How long a chunk that nobody had waits at first; the wait doubles up to `chunkquerytimeout`.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Blocks looked through at the start: those whose items an earlier run may not have noted before it ended.
const START_BLOCKS: u32 = 256;

/// Notes and fetches until the node stops.
pub async fn run(ctx: Arc<Context>) {
    let stop = ctx.shutdown.subscribe();
    tokio::join!(note(Arc::clone(&ctx), stop.clone()), fetch(ctx, stop));
}

/// Follows the ledger and notes what is to be fetched.
async fn note(ctx: Arc<Context>, mut stop: watch::Receiver<bool>) {
    let mut events = ctx.ledger.subscribe_events();
    let tip = ctx.view.tip().height;
    let mut noted = tip;
    follow::resume(&ctx).await;
    note_heights(&ctx, tip.0.saturating_sub(START_BLOCKS)..=tip.0).await;
    note_pool(&ctx).await;
    loop {
        let event = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            event = events.recv() => event,
        };
        match event {
            Ok(LedgerEvent::Admitted { txid, entry, .. }) => {
                // What has left the pool by now is noted with its block.
                let tx = entry.upgrade().map(|entry| Arc::clone(entry.tx.transaction()));
                let Some(tx) = tx.filter(|tx| concerns(tx)) else { continue };
                let worker = Arc::clone(&ctx);
                working(&ctx, move || note_transaction(&worker, txid, &tx)).await;
            }
            Ok(LedgerEvent::Tip { tip, applied, .. }) => {
                note_blocks(&ctx, applied.into_iter().map(|(hash, _)| hash).collect()).await;
                noted = tip.height;
            }
            Ok(LedgerEvent::Ended { .. }) => {}
            Err(RecvError::Lagged(missed)) => {
                tracing::debug!(missed, "blocks are looked through again for off-chain items");
                let tip = ctx.view.tip().height;
                note_heights(&ctx, noted.0.saturating_sub(START_BLOCKS)..=tip.0).await;
                note_pool(&ctx).await;
                noted = tip;
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// Whether off-chain data of a stream is to be fetched.
fn fetched(ctx: &Context) -> impl Fn(&Txid) -> bool {
    move |stream| ctx.store.subscription(stream).is_some_and(|known| known.retrieve)
}

/// Follows the stream or asset that a transaction creates, if so set, and notes its off-chain items.
fn note_transaction(ctx: &Context, txid: Txid, tx: &Transaction) -> Result<(), StorageError> {
    follow::follow_new(ctx, txid, tx)?;
    ctx.offchain.want_transaction(txid, tx, &fetched(ctx))
}

/// Runs storage work on a thread for it; faults are logged, since a later look finds the same items.
async fn working(ctx: &Arc<Context>, work: impl FnOnce() -> Result<(), StorageError> + Send + 'static) {
    if let Ok(Err(error)) = tokio::task::spawn_blocking(work).await {
        let waiting = ctx.offchain.figures.queue().chunks.waiting;
        tracing::error!(%error, waiting, "off-chain items cannot be noted");
    }
}

async fn note_heights(ctx: &Arc<Context>, heights: std::ops::RangeInclusive<u32>) {
    let snapshot = ctx.view.snapshot();
    let hashes = heights.filter_map(|height| snapshot.block_hash(Height(height)).ok().flatten());
    note_blocks(ctx, hashes.collect()).await;
}

async fn note_blocks(ctx: &Arc<Context>, hashes: Vec<BlockHash>) {
    let worker = Arc::clone(ctx);
    working(ctx, move || {
        let snapshot = worker.view.snapshot();
        for hash in hashes {
            let Some(block) = snapshot.block(&hash)? else { continue };
            for tx in block.transactions.iter().filter(|tx| concerns(tx)) {
                note_transaction(&worker, tx.txid(), tx)?;
            }
        }
        Ok(())
    })
    .await;
}

/// Whether a transaction creates what may be followed, or carries an off-chain item.
fn concerns(tx: &Transaction) -> bool {
    tx.operations().any(|(_, operation)| match operation {
        Operation::CreateStream(_) | Operation::IssueAsset(_) => true,
        Operation::Publish(publish) => matches!(publish.data, ItemData::Offchain(_)),
        _ => false,
    })
}

async fn note_pool(ctx: &Arc<Context>) {
    let waiting: Vec<_> = ctx.view.read().pool.entries().cloned().collect();
    let worker = Arc::clone(ctx);
    working(ctx, move || {
        for entry in waiting {
            note_transaction(&worker, entry.tx.txid(), entry.tx.transaction())?;
        }
        Ok(())
    })
    .await;
}

/// When a chunk that nobody had is looked for again.
#[derive(Clone, Copy, Debug)]
struct Retry {
    due: Instant,
    rounds: u32,
}

type Wanted = (ChunkHash, PendingChunk);

/// Asks peers for what waits.
async fn fetch(ctx: Arc<Context>, mut stop: watch::Receiver<bool>) {
    let mut retries: HashMap<queue::Wanted, Retry> = HashMap::new();
    let mut first_peer = 0usize;
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = ctx.offchain.wake.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
        if ctx.paused.is_paused(Task::Offchain) || ctx.offchain.figures.queue().chunks.waiting == 0 {
            continue;
        }
        let Some(handle) = ctx.network.handle() else { continue };
        let peers: Vec<PeerHandle> =
            ctx.network.peers().await.iter().filter(|p| p.admission == Admission::Full).map(|p| p.peer).collect();
        if peers.is_empty() {
            continue;
        }
        first_peer = first_peer.wrapping_add(1);
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            () = pass(&ctx, &handle, &peers, first_peer, &mut retries) => {}
        }
    }
}

/// One look at the whole queue: everything that is due is asked for.
async fn pass(
    ctx: &Arc<Context>,
    handle: &Handle,
    peers: &[PeerHandle],
    first_peer: usize,
    retries: &mut HashMap<queue::Wanted, Retry>,
) {
    let mut after = None;
    loop {
        let store = Arc::clone(&ctx.store);
        let page = tokio::task::spawn_blocking(move || store.pending_chunks(after, PAGE)).await;
        let Ok(Ok(page)) = page else { return };
        let Some(last) = page.last() else { break };
        after = Some(key(last));
        let now = Instant::now();
        let due =
            page.into_iter().filter(|wanted| retries.get(&key(wanted)).is_none_or(|retry| retry.due <= now)).collect();
        let worker = Arc::clone(ctx);
        let Ok(due) = tokio::task::spawn_blocking(move || still_wanted(&worker, due)).await else { return };
        for left in round(ctx, handle, peers, first_peer, due).await {
            put_off(retries, left, ctx.offchain.settings.query_time);
        }
        if ctx.paused.is_paused(Task::Offchain) {
            return;
        }
    }
    retries.retain(|wanted, _| ctx.offchain.figures.is_queued(wanted));
}

/// What a chunk in the queue is found by.
const fn key(wanted: &Wanted) -> queue::Wanted {
    (wanted.0, wanted.1.stream)
}

/// Leaves out and forgets chunks of streams that are no longer followed, of items that were purged, and those that
/// another stream has brought. Chunks of streams that this node may not read wait until it may.
fn still_wanted(ctx: &Context, due: Vec<Wanted>) -> Vec<Wanted> {
    let address = ctx.network.handshake();
    let mut readable: HashMap<Txid, bool> = HashMap::new();
    let mut wanted = Vec::with_capacity(due.len());
    for (hash, pending) in due {
        let stream = pending.stream;
        if !ctx.offchain.is_wanted(ctx.store.subscription(stream), &hash, &pending) {
            if let Err(error) = ctx.store.remove_pending_chunk(&hash, stream) {
                tracing::warn!(%hash, %error, "a chunk that is not wanted any more stays in the queue");
            }
            ctx.offchain.figures.dequeue(&(hash, stream), pending.size);
            continue;
        }
        let may =
            readable.entry(stream).or_insert_with(|| reader::may_read(&ctx.view, stream, address).unwrap_or_default());
        if *may {
            wanted.push((hash, pending));
        }
    }
    wanted
}

fn put_off(retries: &mut HashMap<queue::Wanted, Retry>, wanted: queue::Wanted, longest: Duration) {
    let retry = retries.entry(wanted).or_insert(Retry { due: Instant::now(), rounds: 0 });
    retry.due = Instant::now() + wait_after(retry.rounds, longest);
    retry.rounds = retry.rounds.saturating_add(1);
}

/// How long to wait after so many rounds in vain.
fn wait_after(rounds: u32, longest: Duration) -> Duration {
    FIRST_WAIT.saturating_mul(2u32.saturating_pow(rounds)).min(longest)
}

/// Splits what is due into groups of one stream that one answer holds.
fn groups(mut due: Vec<Wanted>) -> Vec<Vec<Wanted>> {
    due.sort_by_key(|(_, pending)| pending.stream);
    let mut groups: Vec<Vec<Wanted>> = Vec::new();
    let mut bytes = 0u64;
    for wanted in due {
        bytes = bytes.saturating_add(u64::from(wanted.1.size));
        match groups.last_mut() {
            Some(group)
                if group.len() < GROUP_CHUNKS
                    && bytes <= GROUP_BYTES
                    && group.last().is_some_and(|last| last.1.stream == wanted.1.stream) =>
            {
                group.push(wanted);
            }
            _ => {
                bytes = u64::from(wanted.1.size);
                groups.push(vec![wanted]);
            }
        }
    }
    groups
}

/// Asks peers for these chunks; gives back those that nobody had.
async fn round(
    ctx: &Arc<Context>,
    handle: &Handle,
    peers: &[PeerHandle],
    first_peer: usize,
    due: Vec<Wanted>,
) -> Vec<queue::Wanted> {
    for (_, pending) in &due {
        ctx.offchain.figures.count(Step::Query, pending.size);
    }
    let asked = groups(due).into_iter().enumerate().map(|(number, group)| {
        let start = first_peer.wrapping_add(number) % peers.len().max(1);
        let order: Vec<PeerHandle> = peers.iter().cycle().skip(start).take(peers.len()).copied().collect();
        fetch_group(Arc::clone(ctx), handle.clone(), order, group)
    });
    futures::stream::iter(asked).buffer_unordered(GROUPS).concat().await
}

/// Asks one peer after the other for what is missing of a group.
async fn fetch_group(
    ctx: Arc<Context>,
    handle: Handle,
    peers: Vec<PeerHandle>,
    mut group: Vec<Wanted>,
) -> Vec<queue::Wanted> {
    for (_, pending) in &group {
        ctx.offchain.figures.retrieve(pending.size, true);
    }
    for peer in peers.into_iter().take(PEERS_A_ROUND) {
        while !group.is_empty() {
            let before = group.len();
            group = ask(&ctx, &handle, peer, group).await;
            if group.len() == before {
                break;
            }
        }
    }
    for (_, pending) in &group {
        ctx.offchain.figures.retrieve(pending.size, false);
        ctx.offchain.figures.count(Step::Unanswered, pending.size);
    }
    group.iter().map(key).collect()
}

/// Asks a peer once; gives back what it did not deliver.
async fn ask(ctx: &Arc<Context>, handle: &Handle, peer: PeerHandle, group: Vec<Wanted>) -> Vec<Wanted> {
    let figures = &ctx.offchain.figures;
    for (_, pending) in &group {
        figures.count(Step::Request, pending.size);
    }
    let Some((_, first)) = group.first() else { return group };
    let (stream, hashes) = (first.stream, group.iter().map(|(hash, _)| *hash).collect());
    let asked = handle.ask(peer, Request::Chunks { stream, hashes });
    let bodies = match tokio::time::timeout(ctx.offchain.settings.request_time, asked).await {
        Ok(Ok(Response::Chunks(bodies))) => bodies,
        Ok(Ok(_)) => Vec::new(),
        Ok(Err(error)) => {
            tracing::debug!(?peer, %error, "a peer did not deliver off-chain data");
            Vec::new()
        }
        Err(_) => Vec::new(),
    };
    let worker = Arc::clone(ctx);
    let taken = tokio::task::spawn_blocking(move || worker.offchain.take(group, bodies)).await;
    let Ok(taken) = taken else { return Vec::new() };
    if taken.bad {
        let broke = "it delivered a chunk that was not asked for, or has another hash";
        // A room that is closed has no peers to be told of.
        let _ = handle.misbehaving(peer, broke).await;
    }
    for (_, pending) in &taken.left {
        ctx.offchain.figures.count(Step::Undelivered, pending.size);
    }
    taken.left
}

/// What an answer left open.
#[derive(Debug)]
struct Taken {
    left: Vec<Wanted>,
    bad: bool,
}

impl Offchain {
    /// Whether a chunk in the queue is still to be fetched for its stream.
    fn is_wanted(&self, subscription: Option<Subscription>, hash: &ChunkHash, pending: &PendingChunk) -> bool {
        let PendingChunk { stream, txid, vout, .. } = *pending;
        let look = || -> Result<bool, StorageError> {
            Ok(!self.store.is_purged(stream, txid, vout)? && !self.share(stream, hash)?)
        };
        let followed = subscription.is_some_and(|known| known.retrieve || pending.asked);
        followed
            && look().unwrap_or_else(|error| {
                tracing::error!(%hash, %error, "a chunk of the queue cannot be looked up");
                false
            })
    }

    /// Keeps a chunk for its stream, unless its item was purged meanwhile.
    fn keep(&self, hash: &ChunkHash, chunk: &Chunk, pending: &PendingChunk) -> Result<(), StorageError> {
        let PendingChunk { stream, txid, vout, .. } = *pending;
        if self.store.is_purged(stream, txid, vout)? {
            return self.store.remove_pending_chunk(hash, stream);
        }
        self.store.put_chunk(hash, &chunk.salt, &chunk.bytes, ChunkOwner::Stream(stream))
    }

    /// Keeps what a peer delivered and is what it was asked for.
    fn take(&self, group: Vec<Wanted>, bodies: Vec<ChunkBody>) -> Taken {
        let mut open: HashMap<ChunkHash, PendingChunk> = group.iter().copied().collect();
        let (mut bad, mut kept) = (false, HashSet::new());
        for body in bodies {
            let size = u32::try_from(body.bytes.len()).unwrap_or(u32::MAX);
            let Some(pending) = open.get(&body.hash) else {
                bad |= !kept.contains(&body.hash);
                continue;
            };
            let hash = body.hash;
            let Some(chunk) = fitting(body, pending) else {
                self.figures.count(Step::Bad, size);
                bad = true;
                continue;
            };
            match self.keep(&hash, &chunk, pending) {
                Ok(()) => {
                    self.figures.retrieve(pending.size, false);
                    self.figures.dequeue(&(hash, pending.stream), pending.size);
                    self.figures.count(Step::Delivered, pending.size);
                    open.remove(&hash);
                    kept.insert(hash);
                }
                Err(error) => tracing::error!(%hash, %error, "off-chain data cannot be kept"),
            }
        }
        let left = group.into_iter().filter(|(hash, _)| open.contains_key(hash)).collect();
        Taken { left, bad }
    }
}

/// A chunk as its item divides it into salt and data, if what a peer delivered has its hash. That is of both together:
/// where the salt ends neither the peer decides nor another item. That an item lies about the size is not the peer's fault.
fn fitting(body: ChunkBody, pending: &PendingChunk) -> Option<Chunk> {
    if chunk_hash(&body.salt, &body.bytes) != body.hash {
        return None;
    }
    let salt_size = usize::from(pending.salt_size);
    if body.salt.len() == salt_size {
        return Some(Chunk { salt: body.salt, bytes: body.bytes });
    }
    let mut salt = [body.salt, body.bytes].concat();
    let bytes = salt.split_off(salt_size.min(salt.len()));
    Some(Chunk { salt, bytes })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use rota_chain::data::{ChunkReference, ChunkedData, DataFormat};

    use super::super::Fetched;
    use super::*;

    const STREAM: Txid = Txid([7; 32]);

    fn wanted(number: u8, size: u32) -> Wanted {
        let stream = Txid([0; 32]);
        let pending = PendingChunk { stream, txid: Txid([1; 32]), vout: 0, size, salt_size: 0, asked: false };
        (ChunkHash([number; 32]), pending)
    }

    #[test]
    fn groups_hold_no_more_than_one_answer_and_every_chunk_once() {
        let many: Vec<Wanted> = (0..40).map(|number| wanted(number, 10)).collect();
        let sizes: Vec<usize> = groups(many).iter().map(Vec::len).collect();
        assert_eq!(sizes, [16, 16, 8]);
        let large: Vec<Wanted> = (0..5).map(|number| wanted(number, 3 << 20)).collect();
        assert_eq!(groups(large).iter().map(Vec::len).collect::<Vec<_>>(), [1; 5]);
        assert!(groups(Vec::new()).is_empty());
        let mut two: Vec<Wanted> = (0..6).map(|number| wanted(number, 10)).collect();
        for (_, pending) in two.iter_mut().step_by(2) {
            pending.stream = Txid([9; 32]);
        }
        let streams: Vec<Vec<Txid>> =
            groups(two).iter().map(|group| group.iter().map(|(_, pending)| pending.stream).collect()).collect();
        assert_eq!(streams, [[Txid([0; 32]); 3], [Txid([9; 32]); 3]], "a request names one stream");
    }

    #[test]
    fn the_wait_for_a_chunk_nobody_has_doubles_up_to_the_limit() {
        let longest = Duration::from_secs(25);
        let seconds: Vec<u64> = (0..7).map(|rounds| wait_after(rounds, longest).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 25, 25]);
        assert_eq!(wait_after(u32::MAX, longest), longest);
    }

    /// The offer of one node, and what another noted to fetch.
    fn offered() -> (Offchain, Offchain, Vec<ChunkBody>, [tempfile::TempDir; 2]) {
        let (there, folder) = super::super::tests::offchain();
        let (here, other) = super::super::tests::offchain();
        let mut cutter = there.cutter(STREAM, rota_chain::data::DataFormat::Raw, true);
        cutter.push(b"first").unwrap();
        cutter.push(b"second").unwrap();
        let (chunked, _) = cutter.finish();
        here.want(STREAM, Txid([8; 32]), 0, &chunked).unwrap();
        let bodies = there.serve(STREAM, &chunked.chunks.iter().map(|chunk| chunk.hash).collect::<Vec<_>>());
        (there, here, bodies, [folder, other])
    }

    fn queue(offchain: &Offchain) -> Vec<Wanted> {
        let group = offchain.store.pending_chunks(None, PAGE).unwrap();
        for (_, pending) in &group {
            offchain.figures.retrieve(pending.size, true);
        }
        group
    }

    #[test]
    fn what_a_peer_delivers_is_kept_and_leaves_the_queue() {
        let (_there, here, bodies, _folders) = offered();
        let hashes: Vec<ChunkHash> = bodies.iter().map(|body| body.hash).collect();
        let taken = here.take(queue(&here), bodies);
        assert!(taken.left.is_empty() && !taken.bad);
        assert_eq!(here.figures().queue(), super::super::QueueFigures::default());
        assert_eq!(here.figures().totals().chunks.delivered, 2);
        assert_eq!(here.serve(STREAM, &hashes).len(), 2);
        assert!(here.store.pending_chunks(None, PAGE).unwrap().is_empty());
    }

    #[test]
    fn a_chunk_with_another_hash_is_refused_and_stays_wanted() {
        let (_there, here, mut bodies, _folders) = offered();
        bodies[0].bytes.push(0);
        let taken = here.take(queue(&here), bodies.clone());
        assert!(taken.bad);
        assert_eq!(taken.left.iter().map(|(hash, _)| *hash).collect::<Vec<_>>(), [bodies[0].hash]);
        assert_eq!(here.figures().totals().chunks.baddelivered, 1);
        assert!(!here.store.has_chunk(&bodies[0].hash).unwrap());
    }

    #[test]
    fn a_chunk_cut_elsewhere_between_salt_and_data_is_kept_as_its_item_says() {
        let (there, here, mut bodies, _folders) = offered();
        let hashes: Vec<ChunkHash> = bodies.iter().map(|body| body.hash).collect();
        let data: Vec<Vec<u8>> = bodies.iter().map(|body| body.bytes.clone()).collect();
        for body in &mut bodies {
            let moved = body.salt.pop().unwrap();
            body.bytes.insert(0, moved);
        }
        let taken = here.take(queue(&here), bodies);
        assert!(taken.left.is_empty() && !taken.bad);
        let kept = here.serve(STREAM, &hashes);
        assert_eq!(kept.iter().map(|body| body.bytes.clone()).collect::<Vec<_>>(), data);
        assert_eq!(kept, there.serve(STREAM, &hashes));
    }

    #[test]
    fn an_item_that_lies_about_the_size_is_no_fault_of_who_delivers_its_chunk() {
        let (there, here, bodies, _folders) = offered();
        let hashes: Vec<ChunkHash> = bodies.iter().map(|body| body.hash).collect();
        let mut group = queue(&here);
        for (_, pending) in &mut group {
            (pending.size, pending.salt_size) = (1, 0);
        }
        let taken = here.take(group, bodies);
        assert!(!taken.bad && taken.left.is_empty());
        // An item that tells the truth reads it all the same.
        let chunks = hashes
            .iter()
            .zip(there.serve(STREAM, &hashes))
            .map(|(hash, body)| ChunkReference { size: u32::try_from(body.bytes.len()).unwrap(), hash: *hash });
        let honest = ChunkedData { format: DataFormat::Raw, salt_size: 16, chunks: chunks.collect() };
        let read: Vec<u8> = [b"first".as_slice(), b"second"].concat();
        assert_eq!(here.read(&honest).unwrap(), Fetched::Here(read));
        assert_eq!(here.read_part(&honest, 3..7).unwrap(), Fetched::Here(b"stse".to_vec()));
        let liar = ChunkedData { salt_size: 0, ..honest };
        assert!(matches!(here.status(&liar).unwrap(), Fetched::Broken(_)));
    }

    #[test]
    fn a_chunk_nobody_asked_for_is_refused() {
        let (_there, here, bodies, _folders) = offered();
        let group: Vec<Wanted> = queue(&here).into_iter().filter(|(hash, _)| *hash == bodies[0].hash).collect();
        let taken = here.take(group, bodies.clone());
        assert!(taken.bad && taken.left.is_empty());
        assert!(!here.store.has_chunk(&bodies[1].hash).unwrap());
    }
}
