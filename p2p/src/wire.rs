//! Frames and announcements without a network: each is read as the room reads it, and written again. For fuzzing and for
//! peers made by hand; the room itself reads from streams.

use std::io;

use borsh::{BorshDeserialize, BorshSerialize};
use futures::executor::block_on;
use futures::io::Cursor;
use libp2p::StreamProtocol;
use libp2p::request_response::Codec;
use rota_chain::codec::{decode, encode};

use crate::codec::{ExchangeCodec, Malformed, PairCodec};
use crate::config::FrameLimits;
use crate::hello::{Greeting, GreetingAnswer, Hello, RefusalCause};
use crate::join::{JoinAnswer, JoinRequest, join_codec};
use crate::limit::{BODIES_FRAME, GOSSIP_MESSAGE, HELLO_FRAME};
use crate::message::{CompactBlock, Kind, Protocol, Request, Response, TransactionNews};

/// Everything a peer can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// A frame with what a joiner asks.
    JoinRequest,
    /// A frame with what a joiner is told.
    JoinAnswer,
    /// A frame with a hello or ping.
    Greeting,
    /// A frame with the answer to it.
    GreetingAnswer,
    /// A frame with a request on a protocol.
    Request(Protocol),
    /// A frame with the answer to a request of a kind.
    Response(Kind),
    /// An announcement of transactions, without a frame.
    Transactions,
    /// An announcement of a block, without a frame.
    Block,
}

/// Why bytes are not read.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// The peer that sent them misbehaves.
    #[error("malformed: {0}")]
    Malformed(#[from] Malformed),
    /// The stream ends too early.
    #[error("{0}")]
    Stream(#[from] io::Error),
}

impl Wire {
    /// Reads bytes as the room does, and gives the canonical bytes of what they say, frame included. What follows a
    /// frame is not looked at.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn reread(self, bytes: &[u8]) -> Result<Vec<u8>, Unread> {
        let frames = FrameLimits { block: BODIES_FRAME, chunk: BODIES_FRAME };
        let hello = || PairCodec::<Greeting, GreetingAnswer>::new(HELLO_FRAME, HELLO_FRAME);
        match self {
            Wire::JoinRequest => request(join_codec(), bytes),
            Wire::JoinAnswer => response(join_codec(), bytes),
            Wire::Greeting => request(hello(), bytes),
            Wire::GreetingAnswer => response(hello(), bytes),
            Wire::Request(protocol) => request(ExchangeCodec::new(protocol, frames), bytes),
            Wire::Response(kind) => response(ExchangeCodec::asking(kind, frames), bytes),
            Wire::Transactions => announcement::<TransactionNews>(bytes),
            Wire::Block => announcement::<CompactBlock>(bytes),
        }
    }
}

fn framed(value: &impl BorshSerialize) -> Vec<u8> {
    let bytes = encode(value);
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [length.to_le_bytes().as_slice(), &bytes].concat()
}

fn request<C, Q>(mut codec: C, bytes: &[u8]) -> Result<Vec<u8>, Unread>
where
    C: Codec<Protocol = StreamProtocol, Request = Result<Q, Malformed>>,
    Q: BorshSerialize,
{
    let read = block_on(codec.read_request(&StreamProtocol::new("/wire"), &mut Cursor::new(bytes)))?;
    Ok(framed(&read?))
}

fn response<C, A>(mut codec: C, bytes: &[u8]) -> Result<Vec<u8>, Unread>
where
    C: Codec<Protocol = StreamProtocol, Response = Result<A, Malformed>>,
    A: BorshSerialize,
{
    let read = block_on(codec.read_response(&StreamProtocol::new("/wire"), &mut Cursor::new(bytes)))?;
    Ok(framed(&read?))
}

fn announcement<T: BorshSerialize + BorshDeserialize>(bytes: &[u8]) -> Result<Vec<u8>, Unread> {
    let (got, limit) = (bytes.len(), GOSSIP_MESSAGE);
    if got > limit {
        let cut = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        return Err(Malformed::TooLong { got: cut(got), limit: cut(limit) }.into());
    }
    let value: T = decode(bytes).map_err(|error| Malformed::Content(error.0))?;
    Ok(encode(&value))
}

/// The frame of a hello.
#[must_use]
pub fn hello(hello: &Hello) -> Vec<u8> {
    framed(&Greeting::Hello(hello.clone()))
}

/// The frame of a ping.
#[must_use]
pub fn ping() -> Vec<u8> {
    framed(&Greeting::Ping)
}

/// The frame of the answer that takes a peer.
#[must_use]
pub fn welcome(hello: &Hello) -> Vec<u8> {
    framed(&GreetingAnswer::Welcome(hello.clone()))
}

/// The frame of the answer that does not.
#[must_use]
pub fn refused(cause: RefusalCause, reason: &str) -> Vec<u8> {
    framed(&GreetingAnswer::Refused { cause, reason: reason.to_owned() })
}

/// The frame of the answer to a ping.
#[must_use]
pub fn pong() -> Vec<u8> {
    framed(&GreetingAnswer::Pong)
}

/// The frame of what a joiner asks.
#[must_use]
pub fn join_request(chain_name: &str) -> Vec<u8> {
    framed(&JoinRequest { chain_name: chain_name.to_owned() })
}

/// The frame of what a joiner is told.
#[must_use]
pub fn join_answer(answer: &JoinAnswer) -> Vec<u8> {
    framed(answer)
}

/// The frame of a request.
#[must_use]
pub fn request_frame(request: &Request) -> Vec<u8> {
    framed(request)
}

/// The frame of an answer.
#[must_use]
pub fn response_frame(response: &Response) -> Vec<u8> {
    framed(response)
}

/// The announcement of transactions.
#[must_use]
pub fn transactions(salt: u64, hashes: Vec<rota_chain::hash::FullHash>) -> Vec<u8> {
    encode(&TransactionNews { salt, hashes })
}
