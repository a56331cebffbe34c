//! A front with a handful of methods, and a client that sends exactly the bytes it is given.

use crate::rpc::http::{Bound, FrontConfig, Phase, UserSettings, Users, serve};
use jsonrpsee::{Methods, RpcModule};
use rota_api::method::MethodList;
use rota_api::{Code, RpcError};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};

/// `rota:secret` in base64.
pub(super) const BASIC: &str = "Authorization: Basic cm90YTpzZWNyZXQ=\r\n";

/// What tests hold of a running front.
pub(super) struct World {
    pub(super) address: SocketAddr,
    pub(super) bound: Bound,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) shutdown: watch::Sender<bool>,
    pub(super) gate: Arc<Gate>,
    _methods: watch::Sender<Methods>,
}

/// Lets calls of `wait` and `subscribe` through, and counts them; counts what `count` sends, and its ends.
#[derive(Default)]
pub(super) struct Gate {
    pub(super) open: Notify,
    pub(super) entered: AtomicUsize,
    pub(super) passed: AtomicUsize,
    pub(super) changed: Notify,
}

impl Gate {
    async fn pass(&self) {
        let opened = self.open.notified();
        self.step(&self.entered);
        opened.await;
        self.step(&self.passed);
    }

    fn step(&self, counter: &AtomicUsize) {
        counter.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    /// Waits until a counter has reached a number.
    pub(super) async fn reached(&self, counter: &AtomicUsize, number: usize) {
        loop {
            let changed = self.changed.notified();
            if counter.load(Ordering::SeqCst) >= number {
                return;
            }
            changed.await;
        }
    }
}

fn given(params: &jsonrpsee::types::Params<'_>) -> Value {
    params.as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
}

fn methods(gate: &Arc<Gate>) -> Methods {
    let mut module = RpcModule::new(Arc::clone(gate));
    for name in ["stop", "getinitstatus", "help", "getinfo"] {
        module.register_method(name, move |_, _, _| name).unwrap();
    }
    module.register_method("echo", |params, _, _| given(&params)).unwrap();
    module
        .register_method("unknownstream", |_, _, _| -> Result<Value, RpcError> {
            Err(RpcError::new(Code::EntityNotFound, "Stream with this name not found: \"é\""))
        })
        .unwrap();
    module
        .register_method("long", |params, _, _| {
            let count = given(&params)[0].as_u64().unwrap();
            "x".repeat(usize::try_from(count).unwrap())
        })
        .unwrap();
    for name in ["wait", "subscribe"] {
        let answer = |_, gate: Arc<Arc<Gate>>, _| async move {
            gate.pass().await;
            json!("done")
        };
        module.register_async_method(name, answer).unwrap();
    }
    module
        .register_subscription("count", "count", "uncount", |params, pending, gate, _| async move {
            let until = given(&params)[0].as_u64().unwrap();
            let Ok(sink) = pending.accept().await else { return };
            for number in 0..until {
                let message = serde_json::value::to_raw_value(&number).unwrap();
                if sink.send(message).await.is_err() {
                    break;
                }
                gate.step(&gate.entered);
            }
            sink.closed().await;
            gate.step(&gate.passed);
        })
        .unwrap();
    module
        .register_async_method("boom", |params, _, _| async move {
            if params.as_str().is_none() {
                panic!("boom");
            }
            json!("no boom")
        })
        .unwrap();
    module.into()
}

/// The user `rota` with the password `secret`, and further ones.
pub(super) fn users(allow_methods: &str, salted: &[&str], lists: &[&str]) -> Users {
    let node = match allow_methods {
        "" => MethodList::ALL,
        text => MethodList::read(text).0,
    };
    let node = &Arc::new(node);
    Users::read(UserSettings { user: "rota", password: "secret", salted, lists, node }).unwrap()
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut FrontConfig)) -> Self {
        let mut config = FrontConfig::new("chain1", users("", &[], &[]), vec!["127.0.0.1:0".parse().unwrap()]);
        change(&mut config);
        let gate = Arc::new(Gate::default());
        let (methods_sender, methods) = watch::channel(methods(&gate));
        let (phase, phase_receiver) = watch::channel(Phase::Ready);
        let (shutdown, shutdown_receiver) = watch::channel(false);
        let bound = serve(config, methods, phase_receiver, shutdown_receiver).await.unwrap();
        Self { address: bound.addresses[0], bound, phase, shutdown, gate, _methods: methods_sender }
    }

    pub(super) async fn connect(&self) -> Wire {
        Wire { stream: TcpStream::connect(self.address).await.unwrap(), rest: Vec::new() }
    }

    /// One call on a connection of its own, with good credentials.
    pub(super) async fn post(&self, body: &str) -> Response {
        let mut wire = self.connect().await;
        wire.send(&post(BASIC, body)).await;
        wire.response().await
    }
}

/// A POST with these further header lines.
pub(super) fn post(headers: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// One connection.
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    rest: Vec<u8>,
}

/// One response, read by its Content-Length.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Response {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Status and body in one, for comparing.
    pub(super) fn both(&self) -> (u16, &str) {
        (self.status, &self.body)
    }

    /// Status, error code, id.
    pub(super) fn failure(&self) -> (u16, i64, Value) {
        let reply: Value = serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"));
        assert_eq!(reply["result"], Value::Null);
        assert_eq!(self.header("content-type"), Some("application/json"));
        (self.status, reply["error"]["code"].as_i64().unwrap(), reply["id"].clone())
    }
}

impl Wire {
    pub(super) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next response; panics if the connection ends before it does.
    pub(super) async fn response(&mut self) -> Response {
        self.try_response().await.unwrap_or_else(|| panic!("closed after {:?}", String::from_utf8_lossy(&self.rest)))
    }

    pub(super) async fn try_response(&mut self) -> Option<Response> {
        let head_end = loop {
            if let Some(at) = self.rest.windows(4).position(|window| window == b"\r\n\r\n") {
                break at;
            }
            self.read_more().await?;
        };
        let head = String::from_utf8(self.rest[..head_end].to_vec()).unwrap();
        let mut response = Response { status: head[9..12].parse().unwrap(), head, body: String::new() };
        assert_eq!(response.header("transfer-encoding"), None, "old clients do not read chunks");
        let length: usize = match response.status {
            100 => 0,
            _ => response.header("content-length").expect("a length").parse().unwrap(),
        };
        let from = head_end + 4;
        while self.rest.len() < from + length {
            self.read_more().await?;
        }
        response.body = String::from_utf8(self.rest[from..from + length].to_vec()).unwrap();
        self.rest.drain(..from + length);
        Some(response)
    }

    /// Whether the other side closes without sending more.
    pub(super) async fn ends(&mut self) -> bool {
        self.rest.is_empty() && self.read_more().await.is_none()
    }

    async fn read_more(&mut self) -> Option<()> {
        let mut chunk = vec![0; 64 * 1024];
        let count = self.stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        self.rest.extend_from_slice(&chunk[..count]);
        Some(())
    }
}
