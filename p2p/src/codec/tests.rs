//! Frames and what they carry, without a network.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on may stop")]

use futures::io::Cursor;
use libp2p::request_response::Codec;
use rota_chain::hash::{BlockHash, ChunkHash, FullHash, Txid};

use super::*;
use crate::message::{ChunkBody, Refusal};

const NAME: StreamProtocol = StreamProtocol::new("/rota/test");
const FRAMES: FrameLimits = FrameLimits { block: 4 << 20, chunk: 1 << 20 };

fn codec(protocol: Protocol) -> ExchangeCodec {
    ExchangeCodec::new(protocol, FRAMES)
}

async fn written_request(protocol: Protocol, request: Request) -> io::Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    codec(protocol).write_request(&NAME, &mut bytes, Ok(request)).await?;
    Ok(bytes.into_inner())
}

async fn answer(request: Request, response: Response) -> Result<Response, Malformed> {
    let protocol = request.protocol();
    let (mut asking, mut answering) = (codec(protocol), codec(protocol));
    let mut there = Cursor::new(Vec::new());
    asking.write_request(&NAME, &mut there, Ok(request)).await.unwrap();
    let mut there = Cursor::new(there.into_inner());
    answering.read_request(&NAME, &mut there).await.unwrap().unwrap();
    let mut back = Cursor::new(Vec::new());
    answering.write_response(&NAME, &mut back, Ok(response)).await.unwrap();
    asking.read_response(&NAME, &mut Cursor::new(back.into_inner())).await.unwrap()
}

#[tokio::test]
async fn a_length_above_the_limit_is_refused_before_its_bytes_come() {
    let mut bytes = Cursor::new(u32::MAX.to_le_bytes().to_vec());
    let frame = read_frame(&mut bytes, 1_000).await.unwrap();
    assert_eq!(frame, Err(Malformed::TooLong { got: u32::MAX, limit: 1_000 }));
}

#[tokio::test]
async fn a_frame_that_ends_early_is_an_error() {
    let mut bytes = Cursor::new([8, 0, 0, 0, 1, 2].to_vec());
    assert!(read_frame(&mut bytes, 1_000).await.is_err());
}

#[tokio::test]
async fn a_request_arrives_as_it_was_sent() {
    let request = Request::Headers { locator: vec![BlockHash([1; 32])], stop: BlockHash::ZERO, limit: 2_000 };
    let bytes = written_request(Protocol::Sync, request.clone()).await.unwrap();
    let read = codec(Protocol::Sync).read_request(&NAME, &mut Cursor::new(bytes)).await.unwrap();
    assert_eq!(read, Ok(request));
}

#[tokio::test]
async fn a_request_on_the_wrong_protocol_is_malformed() {
    let bytes =
        written_request(Protocol::Chunk, Request::Chunks { stream: Txid([6; 32]), hashes: vec![ChunkHash([1; 32])] })
            .await
            .unwrap();
    let read = codec(Protocol::Sync).read_request(&NAME, &mut Cursor::new(bytes)).await.unwrap();
    assert!(matches!(read, Err(Malformed::Content(_))));
}

#[tokio::test]
async fn a_request_out_of_bounds_is_neither_written_nor_read() {
    let request = Request::Headers { locator: Vec::new(), stop: BlockHash::ZERO, limit: 2_001 };
    assert!(written_request(Protocol::Sync, request.clone()).await.is_err());
    let mut bytes = Cursor::new(Vec::new());
    write_frame(&mut bytes, &encode(&request), REQUEST_FRAME).await.unwrap();
    let read = codec(Protocol::Sync).read_request(&NAME, &mut Cursor::new(bytes.into_inner())).await.unwrap();
    assert_eq!(read, Err(Malformed::Content("2001 headers asked for, the limit is 2000".to_owned())));
}

#[tokio::test]
async fn indexes_that_do_not_ascend_are_out_of_bounds() {
    let request = |indexes| Request::BlockTransactions { block: BlockHash::ZERO, indexes };
    assert_eq!(request(vec![0, 1, 5]).out_of_bounds(), None);
    assert!(request(vec![1, 1]).out_of_bounds().is_some());
    assert!(request(vec![2, 1]).out_of_bounds().is_some());
}

#[tokio::test]
async fn bytes_after_a_request_are_malformed() {
    let mut bytes = encode(&Request::Addresses);
    bytes.push(0);
    let mut framed = Cursor::new(Vec::new());
    write_frame(&mut framed, &bytes, REQUEST_FRAME).await.unwrap();
    let read = codec(Protocol::Pool).read_request(&NAME, &mut Cursor::new(framed.into_inner())).await.unwrap();
    assert!(matches!(read, Err(Malformed::Content(_))));
}

#[tokio::test]
async fn an_answer_of_another_kind_is_malformed() {
    let (mut asking, mut bytes) = (codec(Protocol::Pool), Cursor::new(Vec::new()));
    asking.write_request(&NAME, &mut bytes, Ok(Request::Addresses)).await.unwrap();
    let mut framed = Cursor::new(Vec::new());
    write_frame(&mut framed, &encode(&Response::Transactions(Vec::new())), 1_000).await.unwrap();
    let read = asking.read_response(&NAME, &mut Cursor::new(framed.into_inner())).await.unwrap();
    assert!(matches!(read, Err(Malformed::Content(_))));
}

#[tokio::test]
async fn a_refusal_answers_any_request() {
    let refused = Response::Refused(Refusal::Busy);
    assert_eq!(answer(Request::Addresses, refused.clone()).await, Ok(refused));
}

#[tokio::test]
async fn an_answer_is_cut_to_the_prefix_that_fits_its_frame() {
    let chunk = |n: u8| ChunkBody { hash: ChunkHash([n; 32]), salt: vec![n; 32], bytes: vec![n; 400 << 10] };
    let request = Request::Chunks { stream: Txid([6; 32]), hashes: (1..=3).map(|n| ChunkHash([n; 32])).collect() };
    let answer = answer(request, Response::Chunks((1..=3).map(chunk).collect())).await;
    assert_eq!(answer, Ok(Response::Chunks(vec![chunk(1), chunk(2)])));
}

#[tokio::test]
async fn a_full_page_of_inventory_fits_its_frame() {
    let hashes: Vec<FullHash> = (0..10_000_u32)
        .map(|n| {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&n.to_be_bytes());
            FullHash(hash)
        })
        .collect();
    let page = Response::PoolInventory { hashes, more: false };
    let request = Request::PoolInventory { after: FullHash::ZERO, limit: 10_000 };
    assert_eq!(answer(request, page.clone()).await, Ok(page));
}

#[test]
fn the_largest_requests_fit_the_request_frame() {
    let indexes = (0..crate::limit::MAX_COMPACT_HASHES).collect();
    let request = Request::BlockTransactions { block: BlockHash::ZERO, indexes };
    assert!(encoded_length(&request) <= REQUEST_FRAME as usize);
}

#[tokio::test]
async fn a_list_of_chunks_longer_than_the_limit_is_malformed_before_it_is_looked_at() {
    let chunks =
        |count: u8| Request::Chunks { stream: Txid([6; 32]), hashes: (0..count).map(|n| ChunkHash([n; 32])).collect() };
    let read = async |request: &Request| {
        let mut frame = Cursor::new(Vec::new());
        write_frame(&mut frame, &encode(request), REQUEST_FRAME).await.unwrap();
        codec(Protocol::Chunk).read_request(&NAME, &mut Cursor::new(frame.into_inner())).await.unwrap()
    };
    assert_eq!(read(&chunks(64)).await, Ok(chunks(64)));
    assert!(matches!(read(&chunks(65)).await, Err(Malformed::Content(_))));
    assert!(written_request(Protocol::Chunk, chunks(65)).await.is_err());
}
