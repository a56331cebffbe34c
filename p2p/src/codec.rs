//! Frames on a stream: four bytes of length, then canonical bytes. A length is checked before memory is taken.
//! Bytes that do not decode are handed on as [`Malformed`], so that the peer that sent them can be named.

use std::io;
use std::marker::PhantomData;

use borsh::{BorshDeserialize, BorshSerialize};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::StreamProtocol;
use libp2p::request_response;
use rota_chain::codec::{decode, encode, encoded_length};

use crate::config::FrameLimits;
use crate::limit::{CAUTIOUS_CAPACITY, REQUEST_FRAME};
use crate::message::{Kind, Protocol, Request, Response};

/// Why a frame is not what its protocol says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The length exceeds the limit.
    #[error("frame of {got} bytes, the limit is {limit}")]
    TooLong {
        /// The length given.
        got: u32,
        /// The limit.
        limit: u32,
    },
    /// The bytes do not decode, or hold more than allowed.
    #[error("{0}")]
    Content(String),
}

/// Reads one frame.
pub(crate) async fn read_frame<T>(io: &mut T, limit: u32) -> io::Result<Result<Vec<u8>, Malformed>>
where
    T: AsyncRead + Unpin + Send,
{
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let got = u32::from_le_bytes(length);
    if got > limit {
        return Ok(Err(Malformed::TooLong { got, limit }));
    }
    let mut bytes = Vec::with_capacity((got as usize).min(CAUTIOUS_CAPACITY));
    io.take(u64::from(got)).read_to_end(&mut bytes).await?;
    if bytes.len() != got as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Ok(bytes))
}

/// Writes one frame.
pub(crate) async fn write_frame<T>(io: &mut T, bytes: &[u8], limit: u32) -> io::Result<()>
where
    T: AsyncWrite + Unpin + Send,
{
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length <= limit);
    let Some(length) = length else {
        let text = format!("frame of {} bytes, the limit is {limit}", bytes.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    };
    io.write_all(&length.to_le_bytes()).await?;
    io.write_all(bytes).await
}

fn decoded<T: BorshDeserialize>(frame: Result<Vec<u8>, Malformed>) -> Result<T, Malformed> {
    decode(&frame?).map_err(|error| Malformed::Content(error.0))
}

/// A protocol with one small request and one small answer: join and hello.
pub(crate) struct PairCodec<Q, A> {
    request_limit: u32,
    answer_limit: u32,
    types: PhantomData<fn() -> (Q, A)>,
}

impl<Q, A> PairCodec<Q, A> {
    pub fn new(request_limit: u32, answer_limit: u32) -> PairCodec<Q, A> {
        PairCodec { request_limit, answer_limit, types: PhantomData }
    }
}

impl<Q, A> Clone for PairCodec<Q, A> {
    fn clone(&self) -> Self {
        PairCodec::new(self.request_limit, self.answer_limit)
    }
}

impl<Q, A> request_response::Codec for PairCodec<Q, A>
where
    Q: BorshSerialize + BorshDeserialize + Send + 'static,
    A: BorshSerialize + BorshDeserialize + Send + 'static,
{
    type Protocol = StreamProtocol;
    type Request = Result<Q, Malformed>;
    type Response = Result<A, Malformed>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Self::Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        Ok(decoded(read_frame(io, self.request_limit).await?))
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Self::Response>
    where
        T: AsyncRead + Unpin + Send,
    {
        Ok(decoded(read_frame(io, self.answer_limit).await?))
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: Self::Request) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let request = request.map_err(io::Error::other)?;
        write_frame(io, &encode(&request), self.request_limit).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, answer: Self::Response) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let answer = answer.map_err(io::Error::other)?;
        write_frame(io, &encode(&answer), self.answer_limit).await
    }
}

/// The codec of one request protocol. One instance serves one stream and remembers what was asked on it.
#[derive(Clone)]
pub(crate) struct ExchangeCodec {
    protocol: Protocol,
    frames: FrameLimits,
    asked: Option<Kind>,
}

impl ExchangeCodec {
    pub fn new(protocol: Protocol, frames: FrameLimits) -> ExchangeCodec {
        ExchangeCodec { protocol, frames, asked: None }
    }

    /// The codec of a stream on which an answer of this kind is awaited.
    pub fn asking(kind: Kind, frames: FrameLimits) -> ExchangeCodec {
        ExchangeCodec { protocol: kind.protocol(), frames, asked: Some(kind) }
    }

    fn check_request(&mut self, request: Request) -> Result<Request, Malformed> {
        if request.protocol() != self.protocol {
            let text = format!("{:?} asked on the {} protocol", request.kind(), self.protocol.word());
            return Err(Malformed::Content(text));
        }
        if let Some(text) = request.out_of_bounds() {
            return Err(Malformed::Content(text));
        }
        self.asked = Some(request.kind());
        Ok(request)
    }

    fn answer_limit(&self) -> u32 {
        self.asked.map_or(0, |kind| self.frames.of(kind))
    }

    fn check_response(&self, response: Response) -> Result<Response, Malformed> {
        match response.kind() {
            Some(kind) if Some(kind) != self.asked => {
                Err(Malformed::Content(format!("{kind:?} answered, {:?} asked", self.asked)))
            }
            _ => Ok(response),
        }
    }
}

impl request_response::Codec for ExchangeCodec {
    type Protocol = StreamProtocol;
    type Request = Result<Request, Malformed>;
    type Response = Result<Response, Malformed>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Self::Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        let request = decoded(read_frame(io, REQUEST_FRAME).await?);
        Ok(request.and_then(|request| self.check_request(request)))
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Self::Response>
    where
        T: AsyncRead + Unpin + Send,
    {
        let response = decoded(read_frame(io, self.answer_limit()).await?);
        Ok(response.and_then(|response| self.check_response(response)))
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: Self::Request) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let request = request.and_then(|request| self.check_request(request)).map_err(io::Error::other)?;
        write_frame(io, &encode(&request), REQUEST_FRAME).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, response: Self::Response) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let limit = self.answer_limit();
        let response = response.and_then(|response| self.check_response(response)).map_err(io::Error::other)?;
        write_frame(io, &encode(&trimmed(response, limit)), limit).await
    }
}

/// Bytes before the elements of a list in an answer: variant and count, and a flag after them.
const LIST_FRAME: usize = 6;

/// Cuts an answer's list so that it fits into a frame; always a prefix.
fn trimmed(response: Response, limit: u32) -> Response {
    let room = (limit as usize).saturating_sub(LIST_FRAME);
    match response {
        Response::Headers(list) => Response::Headers(prefix(list, room)),
        Response::Blocks(list) => Response::Blocks(prefix(list, room)),
        Response::Transactions(list) => Response::Transactions(prefix(list, room)),
        Response::BlockTransactions(list) => Response::BlockTransactions(prefix(list, room)),
        Response::Chunks(list) => Response::Chunks(prefix(list, room)),
        Response::Addresses(list) => Response::Addresses(prefix(list, room)),
        Response::PoolInventory { hashes, more } => {
            let count = hashes.len();
            let hashes = prefix(hashes, room);
            Response::PoolInventory { more: more || hashes.len() < count, hashes }
        }
        Response::Refused(refusal) => Response::Refused(refusal),
    }
}

fn prefix<T: BorshSerialize>(mut list: Vec<T>, room: usize) -> Vec<T> {
    let mut left = room;
    let fitting = list.iter().position(|element| match left.checked_sub(encoded_length(element)) {
        Some(rest) => {
            left = rest;
            false
        }
        None => true,
    });
    if let Some(fitting) = fitting {
        list.truncate(fitting);
    }
    list
}

#[cfg(test)]
mod tests;
