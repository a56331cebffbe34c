//! Frames that are none: of any bytes, of a length beyond all limits, on every protocol.

use std::time::Instant;

use futures::AsyncWriteExt as _;
use rota_p2p::raw::{Door, RawPeer};
use rota_p2p::{PeerKey, Protocol};

use super::arena::{Arena, Expected};
use super::gossip;

/// Frames that a stranger sends on one connection, each on a stream of its own.
const FRAMES: u64 = 100;
/// Bytes of a length prefix that promises a gigabyte.
const GIGABYTE: [u8; 4] = (1u32 << 30).to_le_bytes();

const EXCHANGES: [Door; 3] =
    [Door::Exchange(Protocol::Sync), Door::Exchange(Protocol::Pool), Door::Exchange(Protocol::Chunk)];

/// A frame whose content decodes to nothing.
fn malformed(number: u64) -> Vec<u8> {
    let content = vec![0xff_u8.wrapping_sub((number % 5) as u8); 16 + (number % 40) as usize];
    [(content.len() as u32).to_le_bytes().to_vec(), content].concat()
}

/// Says something on a protocol; what the node then does is seen by the end of the connection.
async fn say(arena: &Arena, peer: &RawPeer, door: Door, bytes: &[u8]) -> std::io::Result<()> {
    let mut stream = peer.open(&door.name(&arena.params_hash)).await?;
    stream.write_all(bytes).await?;
    stream.flush().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_sends_frames_that_are_none_is_named_and_disconnected_at_once() {
    let arena = Arena::open().await;
    let rounds = arena.scale.frames / FRAMES;
    arena
        .attack("malformed frames of strangers", Expected::Named("hello: "), (rounds, u64::MAX), async |round| {
            let peer = arena.connect(&arena.stranger()).await.ok()?;
            let offence = Instant::now();
            let sent = (0..FRAMES).map(|frame| {
                let (arena, peer) = (&arena, &peer);
                async move {
                    // The connection ends under the first of them.
                    let _ = say(arena, peer, Door::Hello, &malformed(round * FRAMES + frame)).await;
                }
            });
            tokio::join!(futures::future::join_all(sent), arena.parted(&peer, offence)).1
        })
        .await;
    arena
        .attack("malformed frames of members", Expected::Named("request: "), (3, 6), async |round| {
            let peer = arena.enter().await;
            let offence = Instant::now();
            let _ = say(&arena, &peer, EXCHANGES[round as usize % 3], &malformed(round)).await;
            arena.parted(&peer, offence).await
        })
        .await;
    arena
        .attack("a length of 1 GB", Expected::Named("frame of 1073741824 bytes"), (3, 6), async |round| {
            let peer = arena.enter().await;
            let offence = Instant::now();
            let _ = say(&arena, &peer, EXCHANGES[round as usize % 3], &GIGABYTE).await;
            arena.parted(&peer, offence).await
        })
        .await;
    arena
        .attack("a malformed announcement", Expected::Named("announcement: "), (2, 4), async |round| {
            let peer = arena.enter().await;
            let topic = format!("/rota/{}/{}", arena.params_hash, ["block", "tx"][round as usize % 2]);
            let message = [
                gossip::subscriptions([topic.clone()].into_iter()),
                gossip::published(&topic, format!("no block {round}").as_bytes()),
            ];
            let offence = Instant::now();
            let _ = say(&arena, &peer, Door::Gossip, &message.concat()).await;
            arena.parted(&peer, offence).await
        })
        .await;
    arena.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offender_that_comes_back_at_once_is_not_let_in() {
    let arena = Arena::open().await;
    let key = PeerKey::from_private_key(&arena.member()).unwrap();
    let host = arena.host();
    let peer = RawPeer::connect(host, arena.place(), &key).await.unwrap();
    say(&arena, &peer, EXCHANGES[0], &malformed(0)).await.unwrap();
    arena.parted(&peer, Instant::now()).await.expect("an end");
    // The same address from another host: it proves itself, and the connection ends at once.
    let again = arena.connect(&key).await;
    let greeted = match &again {
        Ok(peer) => peer.greet(&arena.params_hash, &arena.hello()).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    assert!(greeted.is_err(), "an offender was greeted: {greeted:?}");
    // Other addresses from the same host get in now and then, not as often as they like.
    let mut let_in = 0;
    for _ in 0..30 {
        let_in += usize::from(RawPeer::connect(host, arena.place(), &arena.stranger()).await.is_ok());
    }
    assert!(let_in < 20, "{let_in} of 30 connections of a host that offended were taken");
    arena.enter().await;
    arena.settle().await;
}
