//! Floods: topics, meshes, claims, bytes, and transactions that nobody signed or that name what does not exist.

use std::time::{Duration, Instant};

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use rota_chain::data::{Data, DataFormat};
use rota_chain::digest::full_digest;
use rota_chain::hash::{BlockHash, Txid};
use rota_chain::key::PrivateKey;
use rota_chain::lock::Lock;
use rota_chain::operation::Operation;
use rota_chain::stream::{ItemData, Publish};
use rota_chain::transaction::{Body, Output, TRANSACTION_VERSION, Transaction};
use rota_chain::witness::Witness;
use rota_p2p::raw::{Door, RawPeer};

use super::arena::{Arena, Expected};
use super::gossip;
use crate::harness::peer::HandMade;

/// Longest flood: a node that bears it for so long does not end it.
const FLOOD: Duration = Duration::from_secs(12);
/// Topics, meshes or claims in one message.
const TOGETHER: u64 = 200;

/// Writes message after message on a protocol until the connection ends; gives how long that took.
async fn flood(arena: &Arena, peer: &RawPeer, door: Door, message: impl Fn(u64) -> Vec<u8>) -> Option<Duration> {
    let offence = Instant::now();
    let writing = async {
        let mut stream = peer.open(&door.name(&arena.params_hash)).await?;
        for number in 0.. {
            stream.write_all(&message(number)).await?;
            stream.flush().await?;
        }
        std::io::Result::Ok(())
    };
    tokio::select! {
        _ = writing => {}
        () = peer.closed() => {}
        () = tokio::time::sleep(FLOOD) => {}
    }
    arena.parted(peer, offence).await
}

fn novel(message: u64) -> impl Iterator<Item = String> {
    (0..TOGETHER).map(move |topic| format!("/rota/novel/{message}/{topic}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_gossip_end_the_connection_and_leave_no_trace() {
    let arena = Arena::open().await;
    let topic = format!("/rota/{}/tx", arena.params_hash);
    let named = || Expected::Named("flood");
    arena
        .attack("subscriptions to novel topics", named(), (1, 2), async |_| {
            let peer = arena.enter().await;
            flood(&arena, &peer, Door::Gossip, |number| gossip::subscriptions(novel(number))).await
        })
        .await;
    arena
        .attack("GRAFT of novel topics", named(), (1, 2), async |_| {
            let peer = arena.enter().await;
            flood(&arena, &peer, Door::Gossip, |number| gossip::grafts(novel(number))).await
        })
        .await;
    arena
        .attack("PRUNE of novel topics for ever", named(), (1, 2), async |_| {
            let peer = arena.enter().await;
            flood(&arena, &peer, Door::Gossip, |number| gossip::prunes(novel(number), u64::MAX >> (number % 64))).await
        })
        .await;
    arena
        .attack("claims to have what does not exist", named(), (1, 2), async |_| {
            let peer = arena.enter().await;
            let id = |number: u64, place: u64| {
                let mut id = [0; 32];
                id[..8].copy_from_slice(&number.to_be_bytes());
                id[8..16].copy_from_slice(&place.to_be_bytes());
                id
            };
            flood(&arena, &peer, Door::Gossip, |number| {
                gossip::haves(&topic, (0..TOGETHER).map(|place| id(number, place)))
            })
            .await
        })
        .await;
    arena
        .attack("pings without end", named(), (1, 2), async |_| {
            let peer = arena.enter().await;
            let offence = Instant::now();
            let stream = peer.open(&Door::Ping.name(&arena.params_hash)).await.ok()?;
            let (mut echo, mut noise) = stream.split();
            let writing =
                async { while noise.write_all(&[0x5a; 32 << 10]).await.is_ok() && noise.flush().await.is_ok() {} };
            let mut nothing = futures::io::sink();
            let reading = futures::io::copy(&mut echo, &mut nothing);
            tokio::select! {
                _ = futures::future::join(writing, reading) => {}
                () = peer.closed() => {}
                () = tokio::time::sleep(FLOOD) => {}
            }
            arena.parted(&peer, offence).await
        })
        .await;
    arena.settle().await;
}

/// Who makes transactions by hand.
struct Author {
    key: PrivateKey,
    genesis: BlockHash,
    last_height: u32,
}

impl Author {
    async fn new(arena: &Arena) -> Author {
        let genesis = arena.target().hash_at(0).await.parse().expect("a block hash");
        let height = u32::try_from(arena.target().height().await).expect("a low height");
        Author { key: arena.member(), genesis, last_height: height + 40 }
    }

    /// A transaction that publishes to a stream, different for each number. `signed` says whether by its author.
    fn publication(&self, stream: Txid, number: u64, signed: bool) -> Transaction {
        let lock = Lock::Key(self.key.public_key().key_hash());
        let data = ItemData::Onchain(Data { format: DataFormat::Raw, bytes: number.to_be_bytes().to_vec() });
        let publish = Publish { stream, keys: vec![b"key".to_vec()], data };
        let body = Body {
            version: TRANSACTION_VERSION,
            inputs: Vec::new(),
            outputs: vec![Output::operation(Operation::Publish(publish))],
            authors: vec![lock],
            lock_time: 0,
            last_height: self.last_height,
            nonce: number,
        };
        let digest = if signed { full_digest(&self.genesis, &body.txid(), &lock) } else { [7; 32] };
        let witness = Witness::Key { key: self.key.public_key(), signature: self.key.sign(&digest) };
        Transaction { body, witnesses: vec![witness] }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_transactions_stop_nobody_elses() {
    let arena = Arena::open().await;
    arena
        .attack("transactions that nobody signed", Expected::Named("breaks a rule"), (1, 3), async |_| {
            let author = Author::new(&arena).await;
            let peer = HandMade::enter(&author.key, &arena.set, arena.target()).await;
            let made = (0..1_000).map(|number| author.publication(arena.stream, number, false)).collect();
            let offence = peer.offer(made, FLOOD).await.expect("it is asked for what it announced");
            peer.parted(FLOOD).await.then(|| offence.elapsed())
        })
        .await;
    let author = Author::new(&arena).await;
    let peer = HandMade::enter(&author.key, &arena.set, arena.target()).await;
    arena
        .attack("orphans", Expected::Borne, (1, u64::MAX), async |round| {
            let missing = Txid([0x77; 32]);
            let made = (0..500).map(|number| author.publication(missing, round * 1_000 + number, true)).collect();
            // It is asked for ever fewer.
            let asked = peer.offer(made, Duration::from_secs(2)).await;
            assert!(asked.is_some() || round > 0, "it was not asked for what it announced");
            None
        })
        .await;
    assert!(peer.is_connected(), "what may be honest ended the connection");
    arena.settle().await;
}
