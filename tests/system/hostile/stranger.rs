//! Strangers: without connect, of another chain, with a stolen key, two hundred at once, silent ones.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rota_chain::hash::ParamsHash;
use rota_p2p::raw::{Door, Greeted};
use rota_p2p::{Hello, PeerKey, RefusalCause};
use serde_json::json;
use tokio::net::TcpSocket;

use super::arena::{Arena, Expected};
use crate::harness::view::text;

/// Connections at once.
const CROWD: usize = 200;

/// Connects and says nothing.
async fn silent(from: SocketAddr, to: SocketAddr) -> std::io::Result<tokio::net::TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(from)?;
    socket.connect(to).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_get_no_further_than_the_porch_and_are_told_why() {
    let arena = Arena::open().await;
    let no_permission = Expected::Refused("no connect permission");
    arena
        .attack("every protocol without connect", no_permission, (2, 6), async |_| {
            let peer = arena.connect(&arena.stranger()).await.ok()?;
            for door in Door::ALL {
                let opened = peer.open(&door.name(&arena.params_hash)).await;
                let porch = matches!(door, Door::Join | Door::Hello | Door::Ping);
                let refused = opened.as_ref().err().map(std::io::Error::kind) == Some(ErrorKind::Unsupported);
                assert!(opened.is_ok() == porch && refused != porch, "{door:?}: {:?}", opened.err());
            }
            let offence = Instant::now();
            let greeted = peer.greet(&arena.params_hash, &arena.hello()).await.ok()?;
            assert!(matches!(greeted, Greeted::Refused(RefusalCause::NoPermission, _)), "{greeted:?}");
            arena.parted(&peer, offence).await
        })
        .await;
    arena
        .attack("another chain", Expected::Refused("the parameters of chain c differ"), (2, 6), async |_| {
            let peer = arena.connect(&arena.stranger()).await.ok()?;
            let offence = Instant::now();
            let hello = Hello { params_hash: ParamsHash([9; 32]), ..arena.hello() };
            let greeted = peer.greet(&arena.params_hash, &hello).await.ok()?;
            assert!(matches!(greeted, Greeted::Refused(RefusalCause::OtherParameters, _)), "{greeted:?}");
            arena.parted(&peer, offence).await
        })
        .await;
    arena
        .attack("a stolen copy of a wallet", Expected::Refused("is already connected from"), (2, 4), async |_| {
            let b = arena.chain.node("b");
            let secret = text(&b.call("dumpprivkey", json!([b.address().await])).await);
            let secret = arena.set.address_scheme().decode_private_key(&secret).unwrap();
            let thief = arena.connect(&PeerKey::from_private_key(&secret).unwrap()).await.ok()?;
            let offence = Instant::now();
            let greeted = thief.greet(&arena.params_hash, &arena.hello()).await.ok()?;
            assert!(matches!(greeted, Greeted::Refused(RefusalCause::DuplicateIdentity, _)), "{greeted:?}");
            arena.parted(&thief, offence).await
        })
        .await;
    arena.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_connections_keeps_no_member_out() {
    let arena = Arena::open().await;
    arena
        .attack("200 connections of strangers", Expected::Borne, (1, 4), async |_| {
            let host = arena.host();
            let mut crowd = Vec::new();
            for _ in 0..CROWD {
                crowd.extend(arena.connect_from(host, &arena.stranger()).await);
            }
            let open = crowd.iter().filter(|peer| peer.is_open()).count();
            assert!(open <= 16, "{open} connections of one host's strangers are open");
            None
        })
        .await;
    arena
        .attack("200 silent connections of ten hosts", Expected::Borne, (1, 1), async |_| {
            let mut crowd = Vec::new();
            for _ in 0..10 {
                let host = arena.host();
                for _ in 0..CROWD / 10 {
                    crowd.extend(silent(host, arena.place()).await);
                }
            }
            let begun = Instant::now();
            arena.enter().await;
            assert!(begun.elapsed() < Duration::from_secs(8), "a member waited {:?}", begun.elapsed());
            None
        })
        .await;
    arena.settle().await;
}
