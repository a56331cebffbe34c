//! A bare HTTP/1.1 exchange over TCP: requests are written byte for byte, so that wrong ones can be sent.

use std::net::Ipv4Addr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest wait for an answer to a raw request.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// A response as far as it came before the connection closed or was complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status code; 0 when the connection closed without an answer.
    pub status: u16,
    /// Head of the response, lower case.
    pub head: String,
    /// Body bytes.
    pub body: Vec<u8>,
}

/// The value of an Authorization header.
pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// The head of a POST whose body is said to be `length` bytes long.
pub fn post_head(authorization: &str, length: u64) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {authorization}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Posts a body and reads the answer.
pub async fn post(port: u16, authorization: &str, body: &[u8]) -> Reply {
    let mut request = post_head(authorization, body.len() as u64).into_bytes();
    request.extend_from_slice(body);
    exchange(port, &request).await
}

/// Sends raw bytes and reads the answer; writing may fail when the other side has answered already.
pub async fn exchange(port: u16, request: &[u8]) -> Reply {
    let work = async {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.expect("the port answers");
        let (mut reader, mut writer) = stream.split();
        let send = async {
            // A server that refuses by the head may close before the body is through: not a failure here.
            let _ = writer.write_all(request).await;
        };
        let mut bytes = Vec::new();
        let receive = read_reply(&mut reader, &mut bytes);
        tokio::join!(send, receive);
        parse(&bytes)
    };
    tokio::time::timeout(ANSWER_LIMIT, work)
        .await
        .unwrap_or_else(|_| panic!("port {port} left a request of {} bytes without an answer", request.len()))
}

async fn read_reply(reader: &mut (impl tokio::io::AsyncRead + Unpin), bytes: &mut Vec<u8>) {
    let mut chunk = vec![0; 65_536];
    while !is_complete(bytes) {
        match reader.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

fn split(bytes: &[u8]) -> Option<(String, &[u8])> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((String::from_utf8_lossy(&bytes[..end]).to_lowercase(), &bytes[end + 4..]))
}

fn is_complete(bytes: &[u8]) -> bool {
    let Some((head, body)) = split(bytes) else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|value| value.trim().parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

fn parse(bytes: &[u8]) -> Reply {
    let (head, body) = split(bytes).unwrap_or((String::new(), &[]));
    let status = head.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    Reply { status, head, body: body.to_vec() }
}

#[test]
fn a_reply_is_complete_when_its_announced_length_has_come() {
    assert!(!is_complete(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"));
    assert!(is_complete(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"));
    let reply = parse(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
    assert_eq!((reply.status, reply.body.as_slice()), (404, b"no".as_slice()));
    assert_eq!(parse(b"").status, 0);
}
