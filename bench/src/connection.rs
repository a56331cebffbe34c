//! One keep-alive HTTP/1.1 connection: prepared bytes out, a length-delimited body in, nothing parsed that is
//! not needed.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::arguments::Target;

/// Longest head of a response; nodes send some hundred bytes.
const MAX_HEAD: usize = 16 * 1024;
/// Longest body of a response: the largest list of ten items of 64 MiB is far out of a benchmark's reach.
const MAX_BODY: usize = 256 << 20;

/// How long a connection may lie idle before it is opened anew: nodes close one that is idle for half a minute.
const IDLE: Duration = Duration::from_secs(10);

/// A connection to a node.
pub struct Connection {
    stream: TcpStream,
    address: (String, u16),
    used: Instant,
    head: String,
    request: Vec<u8>,
    response: Vec<u8>,
    body_start: usize,
}

impl Connection {
    /// Connects; nothing is sent yet.
    pub async fn open(target: &Target) -> anyhow::Result<Self> {
        let address = (target.host.clone(), target.port);
        let stream = connect(&address).await?;
        let token = STANDARD.encode(format!("{}:{}", target.user, target.password));
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {}:{}\r\nAuthorization: Basic {token}\r\nContent-Type: application/json\r\n\
             Content-Length: ",
            target.host, target.port
        );
        let (request, response) = (Vec::new(), Vec::new());
        Ok(Self { stream, address, used: Instant::now(), head, request, response, body_start: 0 })
    }

    /// Sends a JSON-RPC body and gives the body of the answer, whatever its status.
    pub async fn exchange(&mut self, body: &[u8]) -> anyhow::Result<&[u8]> {
        if self.used.elapsed() > IDLE {
            self.stream = connect(&self.address).await?;
        }
        self.request.clear();
        self.request.extend_from_slice(self.head.as_bytes());
        self.request.extend_from_slice(body.len().to_string().as_bytes());
        self.request.extend_from_slice(b"\r\n\r\n");
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request).await.context("the node closed the connection")?;
        self.read_response().await?;
        self.used = Instant::now();
        Ok(&self.response[self.body_start..])
    }

    /// Calls a method outside the measured path, and gives its result.
    pub async fn call(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        let body = json!({"method": method, "params": params, "id": 0}).to_string();
        let answer = self.exchange(body.as_bytes()).await?;
        let mut envelope: Value = serde_json::from_slice(answer)
            .with_context(|| format!("{method} was not answered with JSON (wrong user or password?)"))?;
        if !envelope["error"].is_null() {
            bail!("{method} was refused: {}", envelope["error"]);
        }
        Ok(envelope["result"].take())
    }

    async fn read_response(&mut self) -> anyhow::Result<()> {
        self.response.clear();
        let mut whole = None;
        loop {
            if whole.is_none() {
                whole = whole_length(&self.response)?;
            }
            if let Some((start, length)) = whole
                && self.response.len() >= start + length
            {
                ensure!(self.response.len() == start + length, "the node sent more than it announced");
                self.body_start = start;
                return Ok(());
            }
            let count = self.stream.read_buf(&mut self.response).await.context("reading an answer")?;
            ensure!(count > 0, "the node closed the connection before it had answered");
        }
    }
}

async fn connect(address: &(String, u16)) -> anyhow::Result<TcpStream> {
    let (host, port) = (address.0.as_str(), address.1);
    let stream = TcpStream::connect((host, port)).await.with_context(|| format!("cannot connect to {host}:{port}"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Where the body starts and how long it is, once the head is complete.
fn whole_length(response: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let Some(end) = response.windows(4).position(|window| window == b"\r\n\r\n") else {
        ensure!(response.len() <= MAX_HEAD, "a response head of over {MAX_HEAD} bytes");
        return Ok(None);
    };
    let head = std::str::from_utf8(&response[..end]).context("a response head that is no text")?;
    let length = head
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .context("a response without Content-Length")?;
    ensure!(length <= MAX_BODY, "a response body of {length} bytes, the limit is {MAX_BODY}");
    Ok(Some((end + 4, length)))
}

/// Whether an answer's envelope says that there was no error. Looks at the end alone, where it stands.
pub fn succeeded(answer: &[u8]) -> bool {
    const SIGN: &[u8] = b"\"error\":null";
    // Behind the sign come at most the id and a closing brace.
    let tail = &answer[answer.len().saturating_sub(128)..];
    tail.windows(SIGN.len()).any(|window| window == SIGN)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test reports a failure by panicking")]

    use super::*;

    #[test]
    fn a_head_tells_where_its_body_ends() {
        assert_eq!(whole_length(b"HTTP/1.1 200 OK\r\nContent-Le").unwrap(), None);
        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
        assert_eq!(whole_length(response).unwrap(), Some((response.len() - 5, 5)));
        assert!(whole_length(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(whole_length(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n").is_err());
        assert!(whole_length(&vec![b'x'; MAX_HEAD + 1]).is_err());
    }

    #[test]
    fn success_is_read_from_the_envelope() {
        assert!(succeeded(br#"{"result":"aa","error":null,"id":1}"#));
        assert!(!succeeded(br#"{"result":null,"error":{"code":-8,"message":"x"},"id":1}"#));
        assert!(!succeeded(b""));
    }

    #[tokio::test]
    async fn answers_in_pieces_are_put_together_on_one_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 4096];
            for round in 0..2 {
                let count = stream.read(&mut bytes).await.unwrap();
                assert!(bytes[..count].ends_with(b"\r\n\r\n{}"));
                for part in ["HTTP/1.1 200 OK\r\nContent-", "Length: 9\r\n\r\nround", &format!(" {round}  ")] {
                    stream.write_all(part.as_bytes()).await.unwrap();
                    stream.flush().await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        });
        let target = Target { host: "127.0.0.1".to_owned(), port, user: "u".to_owned(), password: "p".to_owned() };
        let mut connection = Connection::open(&target).await.unwrap();
        assert_eq!(connection.exchange(b"{}").await.unwrap(), b"round 0  ");
        assert_eq!(connection.exchange(b"{}").await.unwrap(), b"round 1  ");
    }

    #[tokio::test]
    async fn a_connection_that_lay_idle_is_opened_anew_and_loses_no_request() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            for round in 0..2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = [0; 4096];
                assert!(stream.read(&mut bytes).await.unwrap() > 0);
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{round}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let target = Target { host: "127.0.0.1".to_owned(), port, user: "u".to_owned(), password: "p".to_owned() };
        let mut connection = Connection::open(&target).await.unwrap();
        assert_eq!(connection.exchange(b"{}").await.unwrap(), b"0");
        connection.used = connection.used.checked_sub(IDLE * 2).unwrap();
        assert_eq!(connection.exchange(b"{}").await.unwrap(), b"1");
    }
}
