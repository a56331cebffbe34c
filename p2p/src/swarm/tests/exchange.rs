//! Requests and answers between two nodes.

use rota_chain::codec::encode;
use rota_chain::hash::{ChunkHash, FullHash, Txid};

use super::*;
use crate::event::{QueryId, RequestError, RequestId};
use crate::limit::OUTBOUND_REQUESTS;
use crate::message::{BlockBody, ChunkBody, Refusal, Request, Response};

impl Node {
    async fn asked(&mut self) -> (RequestId, Request) {
        self.wait(|event| match event {
            Event::Request { request_id, request, .. } => Some((request_id, request)),
            _ => None,
        })
        .await
    }
}

fn every_kind() -> Vec<(Request, Response)> {
    let chunk = ChunkBody { hash: ChunkHash([5; 32]), salt: vec![1; 16], bytes: vec![7; 100_000] };
    let place: SocketAddr = "10.1.2.3:2917".parse().unwrap();
    vec![
        (
            Request::Headers { locator: vec![BlockHash([1; 32])], stop: BlockHash::ZERO, limit: 2_000 },
            Response::Headers((0..2_000).map(header_fast).collect()),
        ),
        (Request::Blocks { hashes: vec![BlockHash([1; 32])] }, Response::Blocks(vec![block(3).into()])),
        (Request::Transactions { hashes: vec![FullHash([1; 32])] }, Response::Transactions(vec![transaction(4)])),
        (Request::TransactionsById { txids: vec![Txid([1; 32])] }, Response::Transactions(vec![transaction(5)])),
        (
            Request::PoolInventory { after: FullHash::ZERO, limit: 100 },
            Response::PoolInventory { hashes: vec![FullHash([8; 32])], more: true },
        ),
        (Request::Chunks { stream: Txid([6; 32]), hashes: vec![ChunkHash([5; 32])] }, Response::Chunks(vec![chunk])),
        (
            Request::BlockTransactions { block: BlockHash([1; 32]), indexes: vec![0, 2] },
            Response::BlockTransactions(vec![transaction(6)]),
        ),
        (Request::Addresses, Response::Addresses(vec![place])),
    ]
}

/// A header with another header's signature: enough to be carried.
fn header_fast(time: u32) -> SignedHeader {
    static ONE: std::sync::OnceLock<SignedHeader> = std::sync::OnceLock::new();
    let mut header = *ONE.get_or_init(|| header(0));
    header.header.time = Timestamp(time);
    header
}

#[tokio::test]
async fn each_kind_of_request_is_answered() {
    let (a, mut b, of_b, of_a) = pair().await;
    for (request, response) in every_kind() {
        let (answer, ()) = tokio::join!(a.handle.ask(of_b, request.clone()), async {
            let (peer, id, asked) = b
                .wait(|event| match event {
                    Event::Request { peer, request_id, request } => Some((peer, request_id, request)),
                    _ => None,
                })
                .await;
            assert_eq!((peer, asked), (of_a, request.clone()));
            b.handle.respond(id, response.clone()).await.unwrap();
        });
        assert_eq!(answer, Ok(response));
    }
}

#[tokio::test]
async fn an_answer_comes_as_an_event_under_the_number_given() {
    let (mut a, mut b, of_b, _) = pair().await;
    a.handle.request(of_b, QueryId(42), Request::Addresses).await.unwrap();
    let (id, _) = b.asked().await;
    b.handle.respond(id, Response::Addresses(Vec::new())).await.unwrap();
    let answered = a
        .wait(|event| match event {
            Event::Response { peer, query, result } => Some((peer, query, result)),
            _ => None,
        })
        .await;
    assert_eq!(answered, (of_b, QueryId(42), Ok(Response::Addresses(Vec::new()))));
}

#[tokio::test]
async fn the_side_that_was_dialled_asks_too() {
    let (mut a, b, _, of_a) = pair().await;
    let (answer, ()) = tokio::join!(b.handle.ask(of_a, Request::Addresses), async {
        let (id, _) = a.asked().await;
        a.handle.respond(id, Response::Refused(Refusal::Unknown)).await.unwrap();
    });
    assert_eq!(answer, Err(RequestError::Refused(Refusal::Unknown)));
}

#[tokio::test]
async fn a_request_of_a_peer_that_leaves_fails() {
    let (a, mut b, of_b, _) = pair().await;
    let (answer, ()) = tokio::join!(a.handle.ask(of_b, Request::Addresses), async {
        b.asked().await;
        b.handle.shutdown().await;
    });
    assert_eq!(answer, Err(RequestError::Disconnected));
    let answer = a.handle.ask(of_b, Request::Addresses).await;
    assert_eq!(answer, Err(RequestError::NotConnected));
}

#[tokio::test]
async fn a_request_out_of_bounds_is_not_sent() {
    let (a, _b, of_b, _) = pair().await;
    let request = Request::Blocks { hashes: vec![BlockHash::ZERO; 17] };
    let error = a.handle.ask(of_b, request).await.unwrap_err();
    assert_eq!(error, RequestError::OutOfBounds("17 blocks asked for, the limit is 16".to_owned()));
}

#[tokio::test]
async fn requests_beyond_the_cap_of_a_peer_are_busy_at_once() {
    let (a, mut b, of_b, _) = pair().await;
    for number in 0..=OUTBOUND_REQUESTS as u64 {
        a.handle.request(of_b, QueryId(number), Request::Addresses).await.unwrap();
    }
    let mut a = a;
    let refused = a
        .wait(|event| match event {
            Event::Response { query, result: Err(error), .. } => Some((query, error)),
            _ => None,
        })
        .await;
    assert_eq!(refused, (QueryId(OUTBOUND_REQUESTS as u64), RequestError::Busy));
    for _ in 0..OUTBOUND_REQUESTS {
        let (id, _) = b.asked().await;
        b.handle.respond(id, Response::Addresses(Vec::new())).await.unwrap();
    }
    for _ in 0..OUTBOUND_REQUESTS {
        a.wait(|event| matches!(event, Event::Response { result: Ok(_), .. }).then_some(())).await;
    }
}

#[tokio::test]
async fn a_peer_we_only_sync_from_is_asked_for_headers_and_nothing_else() {
    let (mut a, mut b) = (Node::start(1, &[1]).await, Node::start(2, &[1, 2]).await);
    b.handle.set_tip(tip(5)).await.unwrap();
    a.keep(&b).await;
    let (of_b, of_a) = (a.connected().await, b.connected().await);
    let headers = Request::Headers { locator: Vec::new(), stop: BlockHash::ZERO, limit: 10 };
    let (answer, ()) = tokio::join!(a.handle.ask(of_b, headers.clone()), async {
        let (id, _) = b.asked().await;
        b.handle.respond(id, Response::Headers(vec![header(1)])).await.unwrap();
    });
    assert_eq!(answer, Ok(Response::Headers(vec![header(1)])));
    let chunks = Request::Chunks { stream: Txid([6; 32]), hashes: Vec::new() };
    assert_eq!(a.handle.ask(of_b, Request::Addresses).await, Err(RequestError::NotConnected));
    assert_eq!(a.handle.ask(of_b, chunks.clone()).await, Err(RequestError::NotConnected));
    assert_eq!(b.handle.ask(of_a, headers).await, Err(RequestError::Refused(Refusal::NotServed)));
    assert_eq!(b.handle.ask(of_a, chunks).await, Err(RequestError::Unsupported));
}

#[tokio::test]
async fn blocks_beyond_the_frame_are_left_out_of_the_answer() {
    let mut small = config(&[1, 2]);
    small.max_block_bytes = 1 << 20;
    let (mut a, mut b) = (Node::with(1, small.clone()).await, Node::with(2, small).await);
    a.keep(&b).await;
    let (of_b, _) = (a.connected().await, b.connected().await);
    // Nine blocks of half a megabyte: the frame of 4 MB holds eight less a little.
    let mut big = block(1);
    while big.size() < 512 << 10 {
        big.transactions.extend((0..2_000).map(transaction));
    }
    let request = Request::Blocks { hashes: vec![big.hash(); 9] };
    let (answer, ()) = tokio::join!(a.handle.ask(of_b, request), async {
        let (id, _) = b.asked().await;
        b.handle.respond(id, Response::Blocks(vec![BlockBody::Bytes(encode(&big)); 9])).await.unwrap();
    });
    let Ok(Response::Blocks(blocks)) = answer else { panic!("{answer:?}") };
    assert_eq!(blocks.len(), (4 << 20) / big.size());
    assert!(blocks.iter().all(|body| *body == BlockBody::Block(big.clone())));
}
