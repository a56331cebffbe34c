//! JSON-RPC calls to a node by the credentials in its node.conf.

use std::path::Path;
use std::time::Duration;

use rota_api::client::{Client, ClientError};

/// Longest wait for the answer to one call; every method used here answers in seconds.
const CALL_LIMIT: Duration = Duration::from_secs(60);

/// Why a call gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The error code of the answer; 0 when there was no answer to read.
    pub code: i64,
    /// The message of the answer, or what stood in the way.
    pub message: String,
}

/// Reads `user` and `password` from a node.conf; `None` until both are written.
pub fn credentials(conf: &Path) -> Option<(String, String)> {
    let text = std::fs::read_to_string(conf).ok()?;
    let value = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == name).then(|| value.trim().to_owned())
        })
    };
    Some((value("rpcuser")?, value("rpcpassword")?))
}

/// A typed client of the node on this port; it connects at its first call.
pub fn client(port: u16, conf: &Path) -> Result<Client, Refusal> {
    let (user, password) = credentials(conf)
        .ok_or_else(|| Refusal { code: 0, message: format!("no credentials in {}", conf.display()) })?;
    Ok(Client::new(format!("127.0.0.1:{port}"), &user, &password).with_timeout(CALL_LIMIT))
}

impl From<ClientError> for Refusal {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Rpc { code, message, .. } => Self { code: code.into(), message },
            other => Self { code: 0, message: other.to_string() },
        }
    }
}

#[test]
fn an_error_answer_keeps_its_code_and_a_broken_connection_has_none() {
    let refusal = Refusal::from(ClientError::Rpc { code: -703, message: "no".to_owned(), data: None });
    assert_eq!((refusal.code, refusal.message.as_str()), (-703, "no"));
    assert_eq!(Refusal::from(ClientError::Unauthorized).code, 0);
}

#[test]
fn credentials_are_read_only_when_both_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.conf");
    std::fs::write(&path, "# own\nrpcuser=u\n").unwrap();
    assert_eq!(credentials(&path), None);
    std::fs::write(&path, "# own\nrpcuser=u\nrpcpassword = p=q\n").unwrap();
    assert_eq!(credentials(&path), Some(("u".to_owned(), "p=q".to_owned())));
}
