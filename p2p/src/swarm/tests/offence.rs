//! What follows from misbehaviour and floods, and what a peer that does not read is given.

use futures::AsyncWriteExt;
use rota_chain::codec::encoded_length;

use super::raw::good_hello;
use super::*;
use crate::QueryId;
use crate::ban::Banned;
use crate::message::{Protocol, Refusal, Request, Response};
use crate::raw::{Door, Greeted, RawPeer, RawStream, answer, variable};
use crate::wire;

/// Connects from a host of its own and is welcome.
async fn entered(secret: u8, node: &Node) -> std::io::Result<RawPeer> {
    let from = SocketAddr::from(([127, 0, 3, secret], 0));
    let peer = RawPeer::connect(from, node.place, &key(secret)).await?;
    match peer.greet(&ParamsHash([3; 32]), &good_hello(7)).await? {
        Greeted::Welcome(_) => Ok(peer),
        Greeted::Refused(_, reason) => Err(std::io::Error::other(reason)),
    }
}

async fn said(peer: &RawPeer, door: Door, bytes: &[u8]) -> std::io::Result<RawStream> {
    let mut stream = peer.open(&door.name(&ParamsHash([3; 32]))).await?;
    stream.write_all(bytes).await?;
    stream.flush().await?;
    Ok(stream)
}

#[tokio::test]
async fn an_offender_that_comes_back_at_once_is_not_let_in_until_it_is_forgiven() {
    let mut node = Node::start(1, &[1, 2, 3]).await;
    let peer = entered(2, &node).await.unwrap();
    let _stream = said(&peer, Door::Exchange(Protocol::Pool), &[1, 0, 0, 0, 99]).await.unwrap();
    node.misbehaviour().await;
    peer.closed().await;
    assert!(entered(2, &node).await.is_err());
    assert!(entered(3, &node).await.is_ok(), "another is kept out too");
    node.handle.unban(Banned::Address(key(2).address())).await.unwrap();
    node.handle.unban(Banned::Host([127, 0, 3, 2].into())).await.unwrap();
    assert!(entered(2, &node).await.is_ok());
}

#[tokio::test]
async fn a_host_that_offended_cannot_connect_as_often_as_it_likes() {
    let mut node = Node::start(1, &[1, 2]).await;
    let peer = entered(2, &node).await.unwrap();
    let _stream = said(&peer, Door::Exchange(Protocol::Pool), &[1, 0, 0, 0, 99]).await.unwrap();
    node.misbehaviour().await;
    let connect = async |host: [u8; 4]| RawPeer::connect((host, 0).into(), node.place, &key(4)).await.is_ok();
    let mut taken = 0;
    for _ in 0..40 {
        taken += usize::from(connect([127, 0, 3, 2]).await);
    }
    assert!(taken < 30, "{taken} of 40 connections were taken");
    assert!(connect([127, 0, 3, 9]).await);
}

#[tokio::test]
async fn a_flood_of_gossip_messages_is_named_and_ends_the_connection() {
    let mut node = Node::start(1, &[1, 2]).await;
    let peer = entered(2, &node).await.unwrap();
    let mut stream = peer.open(&Door::Gossip.name(&ParamsHash([3; 32]))).await.unwrap();
    // Each is a whole message: a control part without content.
    ends_as(&mut node, &peer, send_without_end(&mut stream, &[2, 0x1a, 0].repeat(100)), "flood").await;
}

/// Sends the same again and again until the connection ends.
async fn send_without_end(stream: &mut RawStream, piece: &[u8]) {
    while stream.write_all(piece).await.is_ok() && stream.flush().await.is_ok() {}
}

/// What a peer does is named with these words, and ends its connection.
async fn ends_as(node: &mut Node, peer: &RawPeer, doing: impl Future<Output = ()>, words: &str) {
    let (reason, ()) = tokio::join!(node.misbehaviour(), doing);
    assert!(reason.contains(words), "{reason}");
    peer.closed().await;
}

/// A field of bytes in a message of gossip.
fn field(number: u64, bytes: &[u8]) -> Vec<u8> {
    [variable(number << 3 | 2), variable(bytes.len() as u64), bytes.to_vec()].concat()
}

#[tokio::test]
async fn many_gossip_messages_in_one_piece_are_a_flood_too() {
    let mut node = Node::start(1, &[1, 2]).await;
    let peer = entered(2, &node).await.unwrap();
    let params_hash = ParamsHash([3; 32]);
    let mut stream = peer.open(&Door::Gossip.name(&params_hash)).await.unwrap();
    let topic = format!("/rota/{params_hash}/tx");
    // Three hundred announcements of nothing in each piece, of which there are six a second.
    let flood = async {
        for piece in 0u64.. {
            let news = (0..300).flat_map(|number| {
                let data = [(300 * piece + number).to_le_bytes().to_vec(), vec![0; 4]].concat();
                field(2, &[field(2, &data), field(4, topic.as_bytes())].concat())
            });
            let news: Vec<u8> = news.collect();
            let piece = [variable(news.len() as u64), news].concat();
            if stream.write_all(&piece).await.is_err() || stream.flush().await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    };
    ends_as(&mut node, &peer, flood, "gossip flood").await;
}

#[tokio::test]
async fn a_request_that_is_not_answered_lets_nobody_send_without_end() {
    let mut node = Node::start(1, &[1, 2]).await;
    let peer = entered(2, &node).await.unwrap();
    let handle = node.connected().await;
    let request = Request::Headers { locator: vec![BlockHash([0; 32])], stop: BlockHash([0; 32]), limit: 1 };
    node.handle.request(handle, QueryId(1), request).await.unwrap();
    let mut stream = peer.open(&Door::Gossip.name(&ParamsHash([3; 32]))).await.unwrap();
    // Pieces of 100 kB of fields that gossip does not know.
    let piece = field(60, &vec![0; 100_000]);
    let piece = [variable(piece.len() as u64), piece].concat();
    ends_as(&mut node, &peer, send_without_end(&mut stream, &piece), "flood").await;
}

#[tokio::test]
async fn answers_that_a_peer_does_not_read_do_not_pile_up() {
    let mut node = Node::start(1, &[1, 2]).await;
    let peer = entered(2, &node).await.unwrap();
    let request = Request::Blocks { hashes: vec![BlockHash([1; 32])] };
    let mut large = block(1);
    large.transactions = vec![transaction(1); 4_000_000 / encoded_length(&transaction(1))];
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(said(&peer, Door::Exchange(request.protocol()), &wire::request_frame(&request)).await.unwrap());
        let id = node
            .wait(|event| match event {
                Event::Request { request_id, .. } => Some(request_id),
                _ => None,
            })
            .await;
        node.handle.respond(id, Response::Blocks(vec![large.clone().into()])).await.unwrap();
    }
    // Four of nearly 4 MB fit into 16 MiB; the last is told at once to come again.
    let busy = wire::response_frame(&Response::Refused(Refusal::Busy));
    let last = answer(streams.last_mut().unwrap(), 1 << 20).await.unwrap();
    assert_eq!(last, busy[4..]);
    // What is read makes room again.
    streams.pop();
    for stream in &mut streams {
        answer(stream, 8 << 20).await.unwrap();
    }
    let mut again = said(&peer, Door::Exchange(request.protocol()), &wire::request_frame(&request)).await.unwrap();
    let id = node
        .wait(|event| match event {
            Event::Request { request_id, .. } => Some(request_id),
            _ => None,
        })
        .await;
    node.handle.respond(id, Response::Blocks(vec![large.into()])).await.unwrap();
    assert!(answer(&mut again, 8 << 20).await.unwrap().len() > 1 << 20);
}
