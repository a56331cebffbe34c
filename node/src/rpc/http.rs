//! The HTTP front for JSON-RPC: sockets, connections, the way of one request from socket to reply. Old clients'
//! habits are met here and in the files below, and nowhere else: docs/protocol/rpc.md lists them.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONNECTION, CONTENT_TYPE, EXPECT, HeaderValue, RETRY_AFTER, SERVER, WWW_AUTHENTICATE};
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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

mod access;
mod body;
mod call;
mod config;
mod door;
mod envelope;
mod message;
mod reply;
mod session;
mod socket;
mod tls;
mod upgrade;
mod user;

pub use access::{allow_nets, bind_addresses};
pub use config::{FrontConfig, FrontError, Phase, REPLY_LIMIT};
pub use envelope::{Asked, read_body};
pub use tls::{Certificate, TlsError, TlsFiles};
pub use user::{UserSettings, Users};

use crate::rpc::reach::Reach;
use body::kibibytes;
use call::Caller;
use door::{CONNECTION_LIMIT, Door, Place, Refusals};
use envelope::Fault;
use socket::PatientStream;

/// Largest head of a request: eight times what the original takes, since proxies add headers.
const HEAD_LIMIT: usize = 64 * 1024;

/// Memory for larger bodies being received or worked on, as a multiple of the limit of one body.
const BODY_MEMORY_FACTOR: u64 = 4;

/// How long a reply after a wrong password is held back, to slow down guessing.
const WRONG_PASSWORD_DELAY: Duration = Duration::from_millis(250);

/// Wrong passwords that are being held back at once; further ones wait for their turn, on their own connections. It bounds
/// both guesses and lines of the log to 128 a second, however many connections guess.
const WRONG_PASSWORDS: usize = 32;

/// WebSockets at once: three quarters of the connections, so that calls over HTTP find room beside them.
const SESSION_LIMIT: usize = CONNECTION_LIMIT / 4 * 3;

/// Seconds after which who was told that the node is busy may ask again: calls take far less, so that places are free.
const RETRY_SECONDS: u16 = 1;

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
    /// What is shown where TLS is spoken.
    pub certificate: Option<Arc<Certificate>>,
}

/// From where calls can come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Openness {
    /// This machine alone.
    Local,
    /// Other machines, unencrypted.
    Plain,
    /// Other machines, over TLS.
    Encrypted,
}

impl Bound {
    /// From where calls can come.
    #[must_use]
    pub fn openness(&self) -> Openness {
        match self.addresses.iter().all(|address| address.ip().is_loopback()) {
            true => Openness::Local,
            false if self.certificate.is_some() => Openness::Encrypted,
            false => Openness::Plain,
        }
    }
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
    let certificate = config.tls.as_ref().map(Certificate::load).transpose()?.map(Arc::new);
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
    if certificate.is_none() {
        for address in addresses.iter().filter(|address| !address.ip().is_loopback()) {
            tracing::warn!(
                %address,
                "JSON-RPC listens beyond this machine, unencrypted, for addresses in rpcallowip: see rpcssl"
            );
        }
    }
    let front = Arc::new(Front::new(config, certificate.clone(), methods, phase));
    let task = tokio::spawn(accept_all(front, listeners, shutdown));
    Ok(Bound { addresses, task, certificate })
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
                let ip = peer.ip().to_canonical();
                let foreign = !access::allowed(ip, &front.config.allow_ips);
                match front.door.enter(ip, foreign) {
                    Some(place) => {
                        connections.spawn(connection(Arc::clone(&front), stream, peer, place, stopping.clone()));
                    }
                    None => front.refuse_connection(&stream),
                }
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

/// One connection, until it ends or has to leave for another one.
async fn connection(
    front: Arc<Front>,
    stream: TcpStream,
    peer: SocketAddr,
    place: Arc<Place>,
    shutdown: watch::Receiver<bool>,
) {
    // Without this, a small reply may wait for the client to acknowledge the one before.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small replies may be delayed");
    }
    let served = {
        let (front, place) = (Arc::clone(&front), Arc::clone(&place));
        async move {
            let Some(certificate) = front.certificate.clone() else {
                let stream = PatientStream::new(stream, front.config.timeout, Arc::clone(&place));
                return talk(front, stream, peer, place, shutdown).await;
            };
            if certificate.is_expected_by(&stream).await {
                let stream = PatientStream::new(stream, front.config.timeout, Arc::clone(&place));
                if let Some(stream) = certificate.accept(stream).await {
                    talk(front, stream, peer, place, shutdown).await;
                }
            }
        }
    };
    tokio::select! {
        () = served => {}
        () = place.told_to_leave() => tracing::debug!(%peer, "a connection that kept the node waiting made room"),
    }
}

/// HTTP over a stream, and the WebSocket that it may become.
async fn talk<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    front: Arc<Front>,
    stream: S,
    peer: SocketAddr,
    place: Arc<Place>,
    mut shutdown: watch::Receiver<bool>,
) {
    let timeout = front.config.timeout;
    let ip = peer.ip().to_canonical();
    // Holds the one upgrade that a connection can make, until HTTP is through with it.
    let (upgrades, mut upgraded) = mpsc::channel(1);
    let service = service_fn({
        let front = Arc::clone(&front);
        move |request| {
            let (front, upgrades, place) = (Arc::clone(&front), upgrades.clone(), Arc::clone(&place));
            async move { Ok::<_, Infallible>(front.answer(request, ip, &upgrades, &place).await) }
        }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(timeout)
        .max_header_size(HEAD_LIMIT)
        .half_close(true)
        // Names of headers mean the same in any case, but not every old client knows that.
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service)
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
    if let Ok(entry) = upgraded.try_recv() {
        session::run(front, entry, peer, shutdown).await;
    }
}

/// A WebSocket that is to begin.
struct Entry {
    upgrade: OnUpgrade,
    reach: Arc<Reach>,
    permit: OwnedSemaphorePermit,
}

/// What all connections share.
struct Front {
    config: FrontConfig,
    certificate: Option<Arc<Certificate>>,
    caller: Arc<Caller>,
    door: Arc<Door>,
    refusals: Refusals,
    wrong_passwords: Semaphore,
    body_memory: Arc<Semaphore>,
    session_places: Arc<Semaphore>,
    sessions: AtomicUsize,
}

impl Front {
    fn new(
        config: FrontConfig,
        certificate: Option<Arc<Certificate>>,
        methods: watch::Receiver<Methods>,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        let memory = kibibytes(config.body_limit.saturating_mul(BODY_MEMORY_FACTOR));
        Self {
            certificate,
            caller: Arc::new(Caller::new(&config, methods, phase)),
            door: Arc::new(Door::new(config.connections)),
            refusals: Refusals::default(),
            wrong_passwords: Semaphore::new(WRONG_PASSWORDS),
            body_memory: Arc::new(Semaphore::new(memory as usize)),
            session_places: Arc::new(Semaphore::new(SESSION_LIMIT.min(config.connections))),
            sessions: AtomicUsize::new(0),
            config,
        }
    }

    /// One fixed line to a connection too many. A fresh socket has room for it, so nothing waits; who speaks TLS could not
    /// read it.
    fn refuse_connection(&self, stream: &TcpStream) {
        const REPLY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 20\r\nRetry-After: 1\r\n\
            Connection: close\r\n\r\nToo many connections";
        if let Some(count) = self.refusals.due() {
            tracing::warn!(limit = self.config.connections, count, "too many JSON-RPC connections");
        }
        if self.certificate.is_none()
            && let Err(error) = stream.try_write(REPLY)
        {
            tracing::debug!(%error, "a refused connection got no answer");
        }
    }

    /// One request to one response. Whatever is refused before the body is wanted is refused without it.
    async fn answer(
        &self,
        mut request: Request<Incoming>,
        ip: IpAddr,
        upgrades: &mpsc::Sender<Entry>,
        place: &Place,
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
        let reach = match self.config.users.check(request.headers()) {
            Ok(reach) => reach,
            Err(refusal) => {
                place.is_strange();
                if refusal.wrong {
                    self.hold_back(ip).await;
                }
                let mut response = empty(StatusCode::UNAUTHORIZED);
                response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"jsonrpc\""));
                return self.without_body(request.into_body(), response).await;
            }
        };
        if wants_upgrade {
            place.is_busy();
            return self.upgrade(&mut request, upgrades, reach);
        }
        place.waits();
        let (head, body) = request.into_parts();
        let waits_for_leave = head.headers.contains_key(EXPECT);
        let (bytes, _memory) = match self.read_body(body, waits_for_leave).await {
            Ok(received) => received,
            Err(refusal) => return refusal,
        };
        place.is_busy();
        let reply = Arc::clone(&self.caller).answer(bytes, reach).await;
        place.waits();
        reply.map_or_else(busy, |(status, body)| json(status, body))
    }

    /// Lets a wrong password cost time. Nothing is held meanwhile but the guesser's own connection.
    async fn hold_back(&self, ip: IpAddr) {
        let turn = tokio::time::timeout(self.config.timeout, self.wrong_passwords.acquire()).await;
        if turn.is_ok() {
            tracing::warn!(%ip, "JSON-RPC user or password wrong");
            tokio::time::sleep(WRONG_PASSWORD_DELAY).await;
        }
    }

    /// Switches to a WebSocket, which begins when this answer has gone out.
    fn upgrade(
        &self,
        request: &mut Request<Incoming>,
        upgrades: &mpsc::Sender<Entry>,
        reach: Arc<Reach>,
    ) -> Response<Full<Bytes>> {
        if !upgrade::is_own_origin(request.headers()) {
            tracing::warn!("a web page of another origin wanted a WebSocket");
            return closing(empty(StatusCode::FORBIDDEN));
        }
        if self.caller.is_stopping() {
            return closing(busy(self.caller.busy_text()));
        }
        let Ok(permit) = Arc::clone(&self.session_places).try_acquire_owned() else {
            return closing(busy("Too many WebSockets"));
        };
        let response = upgrade::answer(request);
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return closing(response);
        }
        match upgrades.try_send(Entry { upgrade: hyper::upgrade::on(request), reach, permit }) {
            Ok(()) => response,
            Err(_) => closing(empty(StatusCode::BAD_REQUEST)),
        }
    }
}

/// What the sender of too large a message is told.
fn oversize_message() -> String {
    let limit = session::MESSAGE_LIMIT;
    let sentence = format!("Message larger than the limit of {limit} bytes: send it by POST");
    message::written(&Err(Fault::invalid_request(sentence)), "null")
}

fn json(status: u16, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
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

/// 503, and when to ask again.
fn busy(text: &'static str) -> Response<Full<Bytes>> {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
    response
}

fn closing(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests;
