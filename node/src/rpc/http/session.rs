//! The life of a WebSocket: messages in, replies and notifications out, signs of life, and the end. What a message says
//! is read in `message`.

use super::message::Line;
use super::{Entry, Front};
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use hyper::body::Bytes;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use jsonrpsee::core::server::MethodSink;
use serde_json::value::RawValue;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};

/// Largest message: the hexadecimal form of the largest transaction of a default chain. It is smaller than a body over
/// HTTP, since a message is in memory before it can be weighed: with every connection sending one, 8 GiB.
pub(super) const MESSAGE_LIMIT: usize = 16 * 1024 * 1024;

/// Requests of one connection at once; further ones are not read before one of them is answered. A quarter of the calls
/// that run at once, so that a connection cannot take all places.
pub(super) const CALLS: usize = 16;

/// Replies, and notifications, that wait for the connection to take them; whoever has more waits with it.
const WAITING: usize = 8;

/// Largest frame that is sent; longer messages are several. A socket keeps memory for the largest that it has sent until it
/// ends: with all WebSockets in use 96 MiB.
const FRAME: usize = 256 * 1024;

/// A connection without any sign of life is ended after this many of the intervals at which it is asked for one.
const SILENT_INTERVALS: u32 = 4;

/// How long the client has to confirm the end.
const CLOSING_TIME: Duration = Duration::from_secs(1);

/// How much of a message above the limit is read and dropped, as a multiple of the limit, so that its sender gets to
/// read why.
const DISCARD_FACTOR: usize = 16;

/// Bytes kept for reading and writing ahead, of each connection.
const SOCKET_BUFFER: usize = 16 * 1024;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client left, or was silent for too long.
    Gone,
    /// It sent too large a message.
    Oversize,
    /// Others' large messages took all memory for such.
    Busy,
    /// The node stops.
    Stopping,
}

impl End {
    fn frame(self) -> Option<CloseFrame> {
        match self {
            End::Gone => None,
            End::Oversize => {
                let reason = format!("a message has at most {MESSAGE_LIMIT} bytes");
                Some(CloseFrame { code: CloseCode::Size, reason: reason.into() })
            }
            End::Busy => Some(CloseFrame { code: CloseCode::Again, reason: "too many large requests at once".into() }),
            End::Stopping => Some(CloseFrame { code: CloseCode::Away, reason: "the node is stopping".into() }),
        }
    }
}

/// Serves a WebSocket from its handshake to its end.
pub(super) async fn run(front: Arc<Front>, entry: Entry, peer: SocketAddr, stop: watch::Receiver<bool>) {
    let Entry { upgrade, reach, permit: _permit } = entry;
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => return tracing::debug!(%peer, %error, "a WebSocket did not begin"),
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_LIMIT))
        .max_frame_size(Some(MESSAGE_LIMIT))
        .read_buffer_size(SOCKET_BUFFER)
        .write_buffer_size(SOCKET_BUFFER);
    let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    tracing::debug!(%peer, "a WebSocket begins");
    let (sink, mut stream) = socket.split();
    let (notify, notifications) = mpsc::channel(WAITING);
    let (reply, replies) = mpsc::channel(WAITING);
    let (finish, finished) = oneshot::channel();
    let number = front.sessions.fetch_add(1, Ordering::Relaxed);
    let reader = Reader {
        line: Arc::new(Line::new(number, MethodSink::new(notify), reach)),
        reply,
        calls: Arc::new(Semaphore::new(CALLS)),
        running: JoinSet::new(),
        stop,
        front: Arc::clone(&front),
    };
    let interval = front.config.timeout;
    let writing = write(sink, replies, notifications, finished, interval);
    let reading = async {
        let end = reader.run(&mut stream).await;
        let _ = finish.send(end.frame());
        end
    };
    let (sink, end) = run_both(writing, reading).await;
    tracing::debug!(%peer, ?end, "a WebSocket ends");
    if let Some(sink) = sink {
        part(sink, stream, end, interval).await;
    }
}

/// Writes and reads until both are through. A connection that cannot be written to is not read from any further.
async fn run_both<S>(writing: impl Future<Output = Option<S>>, reading: impl Future<Output = End>) -> (Option<S>, End) {
    let (mut writing, mut reading) = (std::pin::pin!(writing), std::pin::pin!(reading));
    tokio::select! {
        sink = &mut writing => (sink, End::Gone),
        end = &mut reading => (writing.await, end),
    }
}

/// What takes messages in.
struct Reader {
    line: Arc<Line>,
    reply: mpsc::Sender<Bytes>,
    calls: Arc<Semaphore>,
    running: JoinSet<()>,
    stop: watch::Receiver<bool>,
    front: Arc<Front>,
}

impl Reader {
    /// Takes messages until the end. Calls that run when the node stops are answered before it.
    async fn run(mut self, stream: &mut SplitStream<Socket>) -> End {
        let mut stop = self.stop.clone();
        let end = tokio::select! {
            end = self.take_all(stream) => end,
            _ = stop.wait_for(|stop| *stop) => End::Stopping,
        };
        if end != End::Gone {
            while self.running.join_next().await.is_some() {}
        }
        end
    }

    async fn take_all(&mut self, stream: &mut SplitStream<Socket>) -> End {
        let silence = self.front.config.timeout * SILENT_INTERVALS;
        loop {
            let Ok(place) = Arc::clone(&self.calls).acquire_owned().await else { return End::Gone };
            while self.running.try_join_next().is_some() {}
            let bytes = loop {
                match tokio::time::timeout(silence, stream.next()).await {
                    Ok(Some(Ok(Message::Text(text)))) => break Bytes::from(text),
                    Ok(Some(Ok(Message::Binary(bytes)))) => break bytes,
                    Ok(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => {}
                    Ok(Some(Err(Error::Capacity(CapacityError::MessageTooLong { .. })))) => {
                        let _ = self.reply.send(Bytes::from(super::oversize_message())).await;
                        return End::Oversize;
                    }
                    Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) | Err(_) => return End::Gone,
                }
            };
            let memory = match self.front.message_memory(bytes.len()).await {
                Some(memory) => memory,
                None => return End::Busy,
            };
            let (caller, line, reply) = (Arc::clone(&self.front.caller), Arc::clone(&self.line), self.reply.clone());
            self.running.spawn(async move {
                let _held = (place, memory);
                if let Some(bytes) = caller.answer_message(bytes, line).await {
                    let _ = reply.send(bytes).await;
                }
            });
        }
    }
}

/// Writes what waits, and asks for signs of life, until told how to close; then what still waits, and the end. None if
/// the connection broke.
async fn write(
    mut sink: SplitSink<Socket, Message>,
    mut replies: mpsc::Receiver<Bytes>,
    mut notifications: mpsc::Receiver<Box<RawValue>>,
    mut finished: oneshot::Receiver<Option<CloseFrame>>,
    interval: Duration,
) -> Option<SplitSink<Socket, Message>> {
    let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + interval, interval);
    ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let frame = loop {
        let text = tokio::select! {
            frame = &mut finished => break frame.ok().flatten(),
            Some(reply) = replies.recv() => Some(reply),
            Some(notification) = notifications.recv() => Some(String::from(Box::<str>::from(notification)).into()),
            _ = ping.tick() => None,
        };
        match text {
            Some(text) => send_text(&mut sink, text).await?,
            None => sink.send(Message::Ping(Bytes::new())).await.ok()?,
        }
    };
    replies.close();
    while let Some(reply) = replies.recv().await {
        send_text(&mut sink, reply).await?;
    }
    if frame.is_some() {
        sink.send(Message::Close(frame)).await.ok()?;
    }
    Some(sink)
}

/// Sends a message of text. Frame by frame, since the socket copies a frame and moves what is left of it at every write. None
/// if the connection broke.
async fn send_text(sink: &mut SplitSink<Socket, Message>, mut text: Bytes) -> Option<()> {
    let mut kind = Data::Text;
    loop {
        let piece = text.split_to(text.len().min(FRAME));
        let is_last = text.is_empty();
        sink.send(Message::Frame(Frame::message(piece, OpCode::Data(kind), is_last))).await.ok()?;
        if is_last {
            return Some(());
        }
        kind = Data::Continue;
    }
}

/// Waits a moment for the client to have read the end: what it sends meanwhile is dropped.
async fn part(sink: SplitSink<Socket, Message>, mut stream: SplitStream<Socket>, end: End, interval: Duration) {
    match end {
        End::Gone => {
            // The answer to the client's own end may still have to go out.
            let _ = tokio::time::timeout(CLOSING_TIME, stream.next()).await;
        }
        End::Busy | End::Stopping => {
            let drained = async { while let Some(Ok(_)) = stream.next().await {} };
            let _ = tokio::time::timeout(CLOSING_TIME, drained).await;
        }
        End::Oversize => {
            let Ok(mut socket) = stream.reunite(sink) else { return };
            let (mut chunk, mut dropped) = (vec![0; SOCKET_BUFFER], 0);
            while dropped < MESSAGE_LIMIT * DISCARD_FACTOR
                && let Ok(Ok(count)) = tokio::time::timeout(interval, socket.get_mut().read(&mut chunk)).await
                && count > 0
            {
                dropped += count;
            }
        }
    }
}
