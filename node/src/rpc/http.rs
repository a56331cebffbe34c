//! The HTTP front for JSON-RPC: sockets, connections, the way of one request from socket to reply. Old clients'
//! habits are met here and in the files below, and nowhere else: docs/protocol/rpc.md lists them.

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, EXPECT, HeaderValue, SERVER, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method as HttpMethod, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use jsonrpsee::Methods;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

mod access;
mod call;
mod config;
mod envelope;
mod message;
mod session;
mod socket;
mod upgrade;

pub use access::{allow_net, bind_addresses};
pub use config::{FrontConfig, FrontError, Phase};
pub use envelope::{Asked, read_body};

use access::Credentials;
use call::Caller;
use envelope::{Fault, Reply};
use socket::PatientStream;

/// Most connections at once: half of the 1,024 descriptors a process usually may open, the rest being files and
/// peers. Further ones get 503 at once.
const CONNECTION_LIMIT: usize = 512;

/// Largest head of a request: eight times what the original takes, since proxies add headers.
const HEAD_LIMIT: usize = 64 * 1024;

/// Bodies up to this size are not counted against the memory for bodies: with all connections in use they take
/// 32 MiB.
const SMALL_BODY: u64 = 64 * 1024;

/// Memory for larger bodies being received or worked on, as a multiple of the limit of one body.
const BODY_MEMORY_FACTOR: u64 = 4;

/// How much of an unwanted body is read and dropped so that the connection stays usable: enough for a first
/// request without credentials, which some clients always send.
const DISCARD_LIMIT: u64 = 1024 * 1024;

/// How much of a body above the limit is read and dropped so that the sender gets to read the answer, as a
/// multiple of the limit of one body: 1 GiB with the default.
const OVERSIZE_DISCARD_FACTOR: u64 = 16;

/// How long a whole body may take, as a multiple of the timeout for one piece of it.
const BODY_TIME_FACTOR: u32 = 10;

/// How long a reply after a wrong password is held back, to slow down guessing.
const WRONG_PASSWORD_DELAY: Duration = Duration::from_millis(250);

/// How long open connections may go on when the node stops: the reply to `stop` and other last words.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Pause after the system refused to accept a connection, so that a lack of descriptors costs no processor time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The name this server gives itself.
const SERVER_NAME: &str = concat!("rota-json-rpc/", env!("CARGO_PKG_VERSION"));

/// A front that is listening.
#[derive(Debug)]
pub struct Bound {
    /// Where it listens, with the real ports.
    pub addresses: Vec<SocketAddr>,
    /// Ends after shutdown, when all connections are closed.
    pub task: JoinHandle<()>,
}

/// Binds all addresses and serves until `shutdown` holds true. `methods` may change while the node starts; until
/// `phase` is ready only `stop` and `getinitstatus` are passed on.
///
/// An address given as loopback of IPv6 may fail if another one is bound: not every machine has it.
pub async fn serve(
    config: FrontConfig,
    methods: watch::Receiver<Methods>,
    phase: watch::Receiver<Phase>,
    shutdown: watch::Receiver<bool>,
) -> Result<Bound, FrontError> {
    if config.password.is_empty() {
        return Err(FrontError::NoPassword);
    }
    let mut listeners = Vec::new();
    for address in &config.binds {
        match TcpListener::bind(address).await {
            Ok(listener) => listeners.push(listener),
            Err(error) if address.is_ipv6() && address.ip().is_loopback() && !listeners.is_empty() => {
                tracing::debug!(%address, %error, "no loopback of this family");
            }
            Err(error) => return Err(FrontError::bind(*address, &error)),
        }
    }
    if listeners.is_empty() {
        return Err(FrontError::NoAddress);
    }
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>();
    let addresses = addresses.map_err(|error| FrontError::Io(error.to_string()))?;
    for address in addresses.iter().filter(|address| !address.ip().is_loopback()) {
        tracing::warn!(%address, "JSON-RPC listens beyond this machine, unencrypted, for addresses in rpcallowip");
    }
    let front = Arc::new(Front::new(config, methods, phase));
    let task = tokio::spawn(accept_all(front, listeners, shutdown));
    Ok(Bound { addresses, task })
}

async fn accept_all(front: Arc<Front>, listeners: Vec<TcpListener>, shutdown: watch::Receiver<bool>) {
    let mut loops = JoinSet::new();
    for listener in listeners {
        loops.spawn(accept_loop(Arc::clone(&front), listener, shutdown.clone()));
    }
    while loops.join_next().await.is_some() {}
}

async fn accept_loop(front: Arc<Front>, listener: TcpListener, mut shutdown: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let stopping = shutdown.clone();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            () = told_to_stop(&mut shutdown) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let stream = match Arc::clone(&front.connections).try_acquire_owned() {
                    Ok(permit) => (stream, permit),
                    Err(_) => {
                        refuse_connection(&stream);
                        continue;
                    }
                };
                connections.spawn(connection(Arc::clone(&front), stream, peer, stopping.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let last_words = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_GRACE, last_words).await.is_err() {
        tracing::debug!("connections that were still open are cut off");
    }
}

/// Waits for the word to stop. A sender that is gone means the same: nobody is left to ask for the end.
async fn told_to_stop(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// One fixed line to a connection too many. A fresh socket has room for it, so nothing waits.
fn refuse_connection(stream: &TcpStream) {
    const REPLY: &[u8] =
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 20\r\nConnection: close\r\n\r\nToo many connections";
    tracing::warn!(limit = CONNECTION_LIMIT, "too many JSON-RPC connections");
    if let Err(error) = stream.try_write(REPLY) {
        tracing::debug!(%error, "a refused connection got no answer");
    }
}

async fn connection(
    front: Arc<Front>,
    (stream, _permit): (TcpStream, OwnedSemaphorePermit),
    peer: SocketAddr,
    mut shutdown: watch::Receiver<bool>,
) {
    let timeout = front.config.timeout;
    let io = TokioIo::new(PatientStream::new(stream, timeout));
    let ip = peer.ip().to_canonical();
    // Holds the one upgrade that a connection can make, until HTTP is through with it.
    let (upgrades, mut upgraded) = mpsc::channel(1);
    let service = service_fn({
        let front = Arc::clone(&front);
        move |request| {
            let (front, upgrades) = (Arc::clone(&front), upgrades.clone());
            async move { Ok::<_, Infallible>(front.answer(request, ip, &upgrades).await) }
        }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(timeout)
        .max_header_size(HEAD_LIMIT)
        .half_close(true)
        // Names of headers mean the same in any case, but not every old client knows that.
        .title_case_headers(true)
        .serve_connection(io, service)
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = &mut serving => ended,
        () = told_to_stop(&mut shutdown) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a JSON-RPC connection ended early");
    }
    if let Ok(upgrade) = upgraded.try_recv() {
        session::run(front, upgrade, peer, shutdown).await;
    }
}

/// What all connections share.
struct Front {
    config: FrontConfig,
    credentials: Credentials,
    caller: Arc<Caller>,
    connections: Arc<Semaphore>,
    body_memory: Arc<Semaphore>,
    sessions: AtomicUsize,
}

impl Front {
    fn new(config: FrontConfig, methods: watch::Receiver<Methods>, phase: watch::Receiver<Phase>) -> Self {
        let memory = kibibytes(config.body_limit.saturating_mul(BODY_MEMORY_FACTOR));
        Self {
            credentials: Credentials::new(&config.user, &config.password),
            caller: Arc::new(Caller::new(&config, methods, phase)),
            connections: Arc::new(Semaphore::new(CONNECTION_LIMIT)),
            body_memory: Arc::new(Semaphore::new(memory as usize)),
            sessions: AtomicUsize::new(0),
            config,
        }
    }

    /// One request to one response. Whatever is refused before the body is wanted is refused without it.
    async fn answer(
        &self,
        mut request: Request<Incoming>,
        ip: IpAddr,
        upgrades: &mpsc::Sender<OnUpgrade>,
    ) -> Response<Full<Bytes>> {
        if !access::allowed(ip, &self.config.allow_ips) {
            tracing::debug!(%ip, "address not in rpcallowip");
            return closing(empty(StatusCode::FORBIDDEN));
        }
        let wants_upgrade = upgrade::is_wanted(&request);
        if request.uri().path() != "/" {
            return self.without_body(request.into_body(), empty(StatusCode::NOT_FOUND)).await;
        }
        if request.method() != HttpMethod::POST && !wants_upgrade {
            let mut response = empty(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return self.without_body(request.into_body(), response).await;
        }
        if let Err(refusal) = self.credentials.check(request.headers()) {
            if refusal.wrong {
                tracing::warn!(%ip, "JSON-RPC user or password wrong");
                tokio::time::sleep(WRONG_PASSWORD_DELAY).await;
            }
            let mut response = empty(StatusCode::UNAUTHORIZED);
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"jsonrpc\""));
            return self.without_body(request.into_body(), response).await;
        }
        if wants_upgrade {
            return self.upgrade(&mut request, upgrades);
        }
        let (head, body) = request.into_parts();
        let waits_for_leave = head.headers.contains_key(EXPECT);
        let (bytes, _memory) = match self.read_body(body, waits_for_leave).await {
            Ok(received) => received,
            Err(refusal) => return refusal,
        };
        match Arc::clone(&self.caller).answer(bytes).await {
            Some(reply) => json(reply),
            None => plain(StatusCode::SERVICE_UNAVAILABLE, self.caller.busy_text()),
        }
    }

    /// Switches to a WebSocket, which begins when this answer has gone out.
    fn upgrade(&self, request: &mut Request<Incoming>, upgrades: &mpsc::Sender<OnUpgrade>) -> Response<Full<Bytes>> {
        if !upgrade::is_own_origin(request.headers()) {
            tracing::warn!("a web page of another origin wanted a WebSocket");
            return closing(empty(StatusCode::FORBIDDEN));
        }
        if self.caller.is_stopping() {
            return closing(plain(StatusCode::SERVICE_UNAVAILABLE, self.caller.busy_text()));
        }
        let response = upgrade::answer(request);
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return closing(response);
        }
        match upgrades.try_send(hyper::upgrade::on(request)) {
            Ok(()) => response,
            Err(_) => closing(empty(StatusCode::BAD_REQUEST)),
        }
    }

    /// The share of memory that a message of a WebSocket takes while it is worked on, none in time if others have it.
    /// Small messages take none.
    async fn message_memory(&self, length: usize) -> Option<Option<OwnedSemaphorePermit>> {
        match length as u64 {
            length if length <= SMALL_BODY => Some(None),
            length => self.take_memory(length).await.ok().map(Some),
        }
    }

    /// Answers without having wanted the body. A small one is read, so that the connection stays usable.
    async fn without_body(&self, body: Incoming, response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
        match self.discard(body, DISCARD_LIMIT).await {
            true => response,
            false => closing(response),
        }
    }

    /// The whole body, with the share of memory it takes; or the response that refuses it.
    async fn read_body(
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
        let mut collected: Vec<u8> = Vec::with_capacity(announced.unwrap_or(0).min(SMALL_BODY) as usize);
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
            _ => Err(closing(plain(StatusCode::SERVICE_UNAVAILABLE, "Too many large requests at once"))),
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
        let mut reply = Reply::fault(&fault, None);
        reply.status = StatusCode::PAYLOAD_TOO_LARGE.as_u16();
        closing(json(reply))
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

/// What the sender of too large a message is told.
fn oversize_message() -> String {
    let limit = session::MESSAGE_LIMIT;
    let sentence = format!("Message larger than the limit of {limit} bytes: send it by POST");
    message::written(&Err(Fault::invalid_request(sentence)), "null")
}

fn kibibytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

fn json(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(SERVER, HeaderValue::from_static(SERVER_NAME));
    response
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

fn closing(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests;
