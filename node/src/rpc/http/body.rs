//! Bodies of requests: how much memory they may take, how large they may be and how long they may take to come.

use super::envelope::{Fault, Reply};
use super::{Front, busy, closing, empty, json, plain};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::{Response, StatusCode};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Bodies up to this size are not counted against the memory for bodies: with all connections in use they take
/// 32 MiB.
const SMALL_BODY: u64 = 64 * 1024;

/// How much of an unwanted body is read and dropped so that the connection stays usable: enough for a first
/// request without credentials, which some clients always send.
const DISCARD_LIMIT: u64 = 1024 * 1024;

/// How much of a body above the limit is read and dropped so that the sender gets to read the answer, as a
/// multiple of the limit of one body: 1 GiB with the default.
const OVERSIZE_DISCARD_FACTOR: u64 = 16;

/// How long a whole body may take, as a multiple of the timeout for one piece of it.
const BODY_TIME_FACTOR: u32 = 10;

impl Front {
    /// The share of memory that a message of a WebSocket takes while it is worked on, none in time if others have it.
    /// Small messages take none.
    pub(super) async fn message_memory(&self, length: usize) -> Option<Option<OwnedSemaphorePermit>> {
        match length as u64 {
            length if length <= SMALL_BODY => Some(None),
            length => self.take_memory(length).await.ok().map(Some),
        }
    }

    /// Answers without having wanted the body. A small one is read, so that the connection stays usable.
    pub(super) async fn without_body(&self, body: Incoming, response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
        match self.discard(body, DISCARD_LIMIT).await {
            true => response,
            false => closing(response),
        }
    }

    /// The whole body, with the share of memory it takes; or the response that refuses it.
    pub(super) async fn read_body(
        &self,
        mut body: Incoming,
        waits_for_leave: bool,
    ) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Response<Full<Bytes>>> {
        let limit = self.config.body_limit;
        let announced = body.size_hint().upper();
        if announced.is_some_and(|length| length > limit) {
            return Err(self.refuse_oversize(body, waits_for_leave).await);
        }
        let mut memory = match announced {
            Some(length) if length <= SMALL_BODY => None,
            _ => Some(self.take_memory(announced.unwrap_or(limit)).await?),
        };
        let mut collected: Vec<u8> = Vec::with_capacity(announced.unwrap_or(SMALL_BODY) as usize);
        let deadline = tokio::time::Instant::now() + self.config.timeout * BODY_TIME_FACTOR;
        loop {
            let piece = tokio::time::timeout(self.config.timeout, body.frame());
            let Ok(Ok(piece)) = tokio::time::timeout_at(deadline, piece).await else {
                return Err(closing(plain(StatusCode::REQUEST_TIMEOUT, "The body took too long")));
            };
            match piece {
                None => break,
                Some(Err(error)) => {
                    tracing::debug!(%error, "a body broke off");
                    return Err(closing(empty(StatusCode::BAD_REQUEST)));
                }
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    if (collected.len() + data.len()) as u64 > limit {
                        drop(collected);
                        return Err(self.refuse_oversize(body, waits_for_leave).await);
                    }
                    // The usual body comes in one piece and is not copied.
                    if collected.is_empty() && announced == Some(data.len() as u64) {
                        return Ok((data, memory.take()));
                    }
                    // One step to the limit: memory is taken as it is written, and doubling would hold every size before.
                    if collected.capacity() - collected.len() < data.len() {
                        collected.reserve_exact(limit as usize - collected.len());
                    }
                    collected.extend_from_slice(&data);
                }
            }
        }
        Ok((Bytes::from(collected), memory))
    }

    async fn take_memory(&self, bytes: u64) -> Result<OwnedSemaphorePermit, Response<Full<Bytes>>> {
        let waiting = Arc::clone(&self.body_memory).acquire_many_owned(kibibytes(bytes));
        match tokio::time::timeout(self.config.timeout, waiting).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(closing(busy("Too many large requests at once"))),
        }
    }

    /// 413 with a JSON-RPC error. A sender that does not wait for leave reads nothing before it has sent, so what
    /// it sends is dropped first, within bounds.
    async fn refuse_oversize(&self, body: Incoming, waits_for_leave: bool) -> Response<Full<Bytes>> {
        let limit = self.config.body_limit;
        if !waits_for_leave {
            self.discard(body, limit.saturating_mul(OVERSIZE_DISCARD_FACTOR)).await;
        }
        let fault = Fault::invalid_request(format!("Request body larger than the limit of {limit} bytes"));
        let reply = Reply::fault(&fault, None);
        closing(json(StatusCode::PAYLOAD_TOO_LARGE.as_u16(), Bytes::from(reply.body)))
    }

    /// Reads and drops a body of at most `limit` bytes. False if there is more, or it takes too long.
    async fn discard(&self, mut body: Incoming, limit: u64) -> bool {
        if body.size_hint().lower() > limit {
            return false;
        }
        let deadline = tokio::time::Instant::now() + self.config.timeout * BODY_TIME_FACTOR;
        let mut seen = 0u64;
        loop {
            let piece = tokio::time::timeout(self.config.timeout, body.frame());
            match tokio::time::timeout_at(deadline, piece).await {
                Ok(Ok(None)) => return true,
                Ok(Ok(Some(Ok(frame)))) => seen += frame.data_ref().map_or(0, |data| data.len() as u64),
                _ => return false,
            }
            if seen > limit {
                return false;
            }
        }
    }
}

/// Kibibytes, rounded up: in which memory for bodies is counted.
pub(super) fn kibibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}
