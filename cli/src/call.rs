//! One call: words to parameters, request shown, sent, answer or error printed, exit status found.

use rota_api::client::request_body;
use rota_api::method::{find, read_words};
use rota_api::{Client, ClientError};
use serde_json::Value;
use std::io::{IsTerminal as _, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::file::expanded;
use crate::pretty::pretty;
use crate::print::{escaped, output, printed};
use crate::target::{RequestOut, Target};

/// The status of a call that did not reach the node, or had no answer.
const NOT_ANSWERED: u8 = 1;

/// A target and the connection to it.
pub struct Session {
    target: Target,
    client: Client,
}

impl Session {
    /// A session; nothing is sent yet.
    pub fn new(target: Target) -> Self {
        let client = Client::new(&target.address, &target.user, &target.password);
        let client = client.with_chain(&target.chain).with_timeout(target.timeout);
        let client = match &target.trust {
            Some(trust) => client.with_trust(trust.clone()),
            None => client,
        };
        Self { target, client }
    }

    /// The chain's name.
    pub fn chain(&self) -> &str {
        &self.target.chain
    }

    /// Calls a method and prints what comes of it. Gives the exit status.
    pub async fn perform(&self, method: &str, words: &[String]) -> u8 {
        let words = match expanded(words, std::io::stdin()) {
            Ok(words) => words,
            Err(fault) => return complain(&format!("error: {fault}\n"), NOT_ANSWERED),
        };
        let params = match read_words(find(method), &words) {
            Ok(params) => params,
            Err(fault) => return complain(&format!("error: {fault}\n"), NOT_ANSWERED),
        };
        let id = Value::from(request_id());
        let body = escaped(&request_body(method, &Value::Array(params), &id, Some(self.chain())));
        match self.target.request_out {
            RequestOut::Null => {}
            RequestOut::Stdout => output(&format!("{body}\n\n")),
            RequestOut::Stderr => drop(write!(std::io::stderr(), "{body}\n\n")),
        }
        match self.client.call_body(body).await {
            Ok(result) => {
                output(&if self.target.pretty {
                    pretty(&result, std::io::stdout().is_terminal())
                } else {
                    printed(&result)
                });
                0
            }
            Err(error) => complain(&self.explain(&error), exit_status(&error)),
        }
    }

    fn explain(&self, error: &ClientError) -> String {
        let Target { chain, address, conf, .. } = &self.target;
        match error {
            ClientError::Rpc { code, message, data } => {
                let more = data.as_ref().and_then(Value::as_str).map_or(String::new(), |data| format!("\n{data}\n"));
                format!("error code: {code}\nerror message:\n{message}\n{more}")
            }
            ClientError::Connect { cause, .. } => format!(
                "error: cannot reach the node of {chain} at {address}: {cause}\n\
                 Is it running? It is started with: noded {chain} -daemon\n\
                 If it listens elsewhere, say so with -rpcconnect and -rpcport.\n"
            ),
            ClientError::Tls { cause, .. } => format!(
                "error: no TLS with the node of {chain} at {address}: {cause}\n\
                 Its certificate, or that of who issued it, belongs into -rpcsslcertificatechainfile.\n\
                 If it does not speak TLS, say so with -rpcssl=0.\n"
            ),
            ClientError::Unauthorized => format!(
                "error: the node at {address} does not accept this user or password: \
                 compare rpcuser and rpcpassword in {}\n",
                conf.display()
            ),
            other => format!("error: {address}: {other}\n"),
        }
    }
}

/// The exit status: the error code without its sign modulo 256, 1 where that would be 0 or there is no code.
fn exit_status(error: &ClientError) -> u8 {
    let low = error.code().map_or(0, |code| code.unsigned_abs() % 256);
    u8::try_from(low).ok().filter(|status| *status != 0).unwrap_or(NOT_ANSWERED)
}

fn complain(text: &str, status: u8) -> u8 {
    // A closed stderr is no reason to fail otherwise.
    let _ = std::io::stderr().write_all(text.as_bytes());
    status
}

/// Eight digits that differ from call to call, a hyphen, Unix time.
fn request_id() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let digits = 10_000_000 + (u64::from(now.subsec_nanos()) ^ (u64::from(std::process::id()) << 8)) % 90_000_000;
    format!("{digits}-{}", now.as_secs())
}

#[cfg(test)]
mod tests {
    use super::{exit_status, request_id};
    use rota_api::ClientError;

    #[test]
    fn the_exit_status_is_the_code_modulo_256() {
        let status = |code| exit_status(&ClientError::Rpc { code, message: String::new(), data: None });
        for (code, expected) in [(-703, 191), (-708, 196), (-716, 204), (-1, 1), (-8, 8), (-32601, 89), (-512, 1)] {
            assert_eq!(status(code), expected, "{code}");
        }
        assert_eq!(exit_status(&ClientError::Unauthorized), 1);
    }

    #[test]
    fn a_request_id_is_eight_digits_a_hyphen_and_a_time() {
        let id = request_id();
        let (digits, time) = id.split_once('-').unwrap_or_default();
        assert_eq!(digits.len(), 8, "{id}");
        assert!(digits.bytes().chain(time.bytes()).all(|byte| byte.is_ascii_digit()), "{id}");
        assert!(time.len() >= 10);
    }
}
