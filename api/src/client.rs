//! An asynchronous client: one keep-alive connection, over TLS if it is told whom to trust, remade when the node closed
//! it. A call is sent a second time only if nothing of it had left this side.

use crate::error::Code;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

mod trust;

pub use trust::{Trust, TrustError};

/// How long a call may take unless said otherwise: long enough for a subscription to index a long history.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(900);

/// How long connecting may take: the node is on this machine or near.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing listens there, or the connection could not be made.
    #[error("cannot connect to {address}: {cause}")]
    Connect {
        /// `host:port`.
        address: String,
        /// What the system said.
        cause: String,
    },
    /// Something listens there, and there is no TLS with it that can be trusted.
    #[error("no TLS with {address}: {cause}")]
    Tls {
        /// `host:port`.
        address: String,
        /// What the TLS library said.
        cause: String,
    },
    /// User or password are wrong.
    #[error("user or password not accepted (HTTP 401)")]
    Unauthorized,
    /// This address may not call.
    #[error("calls from this address are not allowed (HTTP 403): see rpcallowip")]
    Forbidden,
    /// An HTTP status without a JSON-RPC reply.
    #[error("HTTP status {status}: {text}")]
    Http {
        /// The status.
        status: u16,
        /// The body, as far as it is text.
        text: String,
    },
    /// The node answered with an error.
    #[error("error code {code}: {message}")]
    Rpc {
        /// The number on the wire.
        code: i32,
        /// The sentence.
        message: String,
        /// More to read, if any.
        data: Option<Value>,
    },
    /// The connection broke, or the reply is not what the protocol says.
    #[error("broken reply: {0}")]
    Protocol(String),
    /// No reply in time.
    #[error("no reply within {0:?}")]
    Timeout(Duration),
}

impl ClientError {
    /// The code of an error that the node answered with.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Rpc { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether the node answered with this code.
    #[must_use]
    pub fn is(&self, code: Code) -> bool {
        self.code() == Some(code.number())
    }
}

/// A client of one node. Calls made at once wait for each other; make one client for each parallel caller.
pub struct Client {
    address: String,
    authorization: HeaderValue,
    chain: Option<String>,
    timeout: Duration,
    trust: Option<Trust>,
    next_id: AtomicU64,
    connection: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

/// The reply's envelope, its result still as text.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<EnvelopeError>,
}

#[derive(Deserialize)]
struct EnvelopeError {
    code: i32,
    message: String,
    #[serde(default)]
    data: Option<Value>,
}

impl Client {
    /// A client for the node at `host:port`. Connects at the first call.
    #[must_use]
    pub fn new(address: impl Into<String>, user: &str, password: &str) -> Self {
        let token = STANDARD.encode(format!("{user}:{password}"));
        let mut authorization =
            HeaderValue::from_str(&format!("Basic {token}")).unwrap_or_else(|_| HeaderValue::from_static("Basic"));
        authorization.set_sensitive(true);
        Self {
            address: address.into(),
            authorization,
            chain: None,
            timeout: DEFAULT_TIMEOUT,
            trust: None,
            next_id: AtomicU64::new(1),
            connection: Mutex::new(None),
        }
    }

    /// The same client, naming the chain in each request, so that a node of another chain refuses.
    #[must_use]
    pub fn with_chain(mut self, chain: &str) -> Self {
        self.chain = Some(chain.to_owned());
        self
    }

    /// The same client with another time limit for each call.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same client, speaking TLS with nodes that `trust` accepts.
    #[must_use]
    pub fn with_trust(mut self, trust: Trust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// Calls a method. `params` is an array, or null for none.
    pub async fn call(&self, method: &str, params: Value) -> Result<Value, ClientError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.call_body(request_body(method, &params, &Value::from(id), self.chain.as_deref())).await
    }

    /// Sends a request body and takes the result out of the envelope.
    pub async fn call_body(&self, body: String) -> Result<Value, ClientError> {
        let (status, bytes) = self.post(Bytes::from(body)).await?;
        if status == StatusCode::UNAUTHORIZED {
            return Err(ClientError::Unauthorized);
        }
        if status == StatusCode::FORBIDDEN {
            return Err(ClientError::Forbidden);
        }
        let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(&bytes) else {
            let text = String::from_utf8_lossy(&bytes).trim().to_owned();
            return Err(match status.is_success() {
                true => ClientError::Protocol(text),
                false => ClientError::Http { status: status.as_u16(), text },
            });
        };
        if let Some(EnvelopeError { code, message, data }) = envelope.error {
            return Err(ClientError::Rpc { code, message, data });
        }
        let result = envelope.result.map_or("null", RawValue::get);
        serde_json::from_str(result).map_err(|error| ClientError::Protocol(error.to_string()))
    }

    /// Posts any body and gives status and reply as they are.
    pub async fn post(&self, body: Bytes) -> Result<(StatusCode, Bytes), ClientError> {
        tokio::time::timeout(self.timeout, self.exchange(body)).await.unwrap_or(Err(ClientError::Timeout(self.timeout)))
    }

    async fn exchange(&self, body: Bytes) -> Result<(StatusCode, Bytes), ClientError> {
        let mut connection = self.connection.lock().await;
        let mut request = self.request(body)?;
        let broken = |error: hyper::Error| ClientError::Protocol(error.to_string());
        // A kept connection may have been closed meanwhile; hyper gives the request back if it was not begun.
        if let Some(mut sender) = connection.take()
            && sender.ready().await.is_ok()
        {
            match sender.try_send_request(request).await {
                Ok(response) => {
                    let status = response.status();
                    let bytes = response.into_body().collect().await.map_err(broken)?.to_bytes();
                    *connection = Some(sender);
                    return Ok((status, bytes));
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(broken(error.into_error())),
                },
            }
        }
        let mut sender = self.connect().await?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        let bytes = response.into_body().collect().await.map_err(broken)?.to_bytes();
        *connection = Some(sender);
        Ok((status, bytes))
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, ClientError> {
        Request::post("/")
            .header(HOST, &self.address)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| ClientError::Protocol(error.to_string()))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, ClientError> {
        let failed = |cause: String| ClientError::Connect { address: self.address.clone(), cause };
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.address))
            .await
            .map_err(|_| failed(format!("no answer within {CONNECT_TIMEOUT:?}")))?
            .map_err(|error| failed(error.to_string()))?;
        // Without this, small requests wait for the reply to the last one to be acknowledged.
        stream.set_nodelay(true).map_err(|error| failed(error.to_string()))?;
        let Some(trust) = &self.trust else {
            return begin(stream).await.map_err(failed);
        };
        let untrusted = |cause: String| ClientError::Tls { address: self.address.clone(), cause };
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, trust.connect(&self.address, stream))
            .await
            .map_err(|_| untrusted(format!("no handshake within {CONNECT_TIMEOUT:?}")))?
            .map_err(untrusted)?;
        begin(stream).await.map_err(failed)
    }
}

/// Begins HTTP on a stream.
async fn begin<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
) -> Result<SendRequest<Full<Bytes>>, String> {
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        // An error here reaches the caller through its sender.
        let _ = connection.await;
    });
    Ok(sender)
}

/// One request in the old envelope, compact; members method, params, id and, if given, chain_name.
#[must_use]
pub fn request_body(method: &str, params: &Value, id: &Value, chain: Option<&str>) -> String {
    let method = Value::from(method);
    match chain {
        Some(chain) => {
            format!(r#"{{"method":{method},"params":{params},"id":{id},"chain_name":{}}}"#, Value::from(chain))
        }
        None => format!(r#"{{"method":{method},"params":{params},"id":{id}}}"#),
    }
}

#[cfg(test)]
mod tests;
