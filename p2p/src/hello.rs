//! The hello: what two nodes tell each other first, and the sentences of a refusal. See docs/protocol/peer.md.

use borsh::{BorshDeserialize, BorshSerialize};
use rota_chain::amount::Height;
use rota_chain::hash::{BlockHash, ParamsHash};

use crate::limit::{MAX_NAME, MAX_REASON};

/// Height and id of a node's applied tip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Tip {
    /// Its height.
    pub height: Height,
    /// Its id.
    pub hash: BlockHash,
}

/// How a node introduces itself.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Hello {
    /// The chain's name.
    pub chain_name: String,
    /// The chain's chain-params-hash.
    pub params_hash: ParamsHash,
    /// Number of the peer protocol the node speaks.
    pub version: u32,
    /// The software, as `/Rota:0.1.0/`.
    pub software: String,
    /// The applied tip.
    pub tip: Tip,
    /// Seconds since 1970 by the node's clock.
    pub time: u64,
    /// The port the node listens on, 0 for none.
    pub port: u16,
    /// Random number of the running node: tells it from another with the same key.
    pub nonce: u64,
}

impl Hello {
    /// What is out of bounds in a hello though it decodes.
    pub(crate) fn out_of_bounds(&self) -> Option<String> {
        for (what, text) in [("chain name", &self.chain_name), ("software", &self.software)] {
            if text.len() > MAX_NAME || text.chars().any(char::is_control) {
                return Some(format!("{what} of {} bytes, the limit is {MAX_NAME} printable ones", text.len()));
            }
        }
        None
    }
}

/// Why a connection ends before the peers talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum RefusalCause {
    /// The nodes serve different chains.
    OtherChain,
    /// The chains have one name and different parameters.
    OtherParameters,
    /// The address may not connect.
    NoPermission,
    /// The two nodes have a connection already.
    AlreadyConnected,
    /// Another running node uses the same address.
    DuplicateIdentity,
    /// The address or host is banned.
    Banned,
}

/// What one side says first, or to hear whether the other is alive.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) enum Greeting {
    /// From the side that dialled, once.
    Hello(Hello),
    /// From either side, any time.
    Ping,
}

/// What the other side answers.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) enum GreetingAnswer {
    /// The peers may talk.
    Welcome(Hello),
    /// They may not.
    Refused {
        /// The cause, for programs.
        cause: RefusalCause,
        /// The sentence, for people.
        reason: String,
    },
    /// The answer to a ping.
    Pong,
}

/// The sentence for an address without the right to connect.
#[must_use]
pub fn no_permission(address: &str, chain: &str) -> String {
    format!("{address} has no connect permission on {chain}: ask for grant {address} connect")
}

/// The sentence for an address that is connected from elsewhere.
#[must_use]
pub fn already_connected(address: &str, host: &str) -> String {
    format!("{address} is already connected from {host}: give this node its own (handshakelocal)")
}

/// Why two hellos do not fit.
pub(crate) fn mismatch(ours: &Hello, theirs: &Hello) -> Option<(RefusalCause, String)> {
    if ours.chain_name != theirs.chain_name {
        let reason = format!("this node serves chain {}, not {}", ours.chain_name, theirs.chain_name);
        return Some((RefusalCause::OtherChain, reason));
    }
    if ours.params_hash != theirs.params_hash {
        let reason = format!(
            "the parameters of chain {} differ: chain-params-hash {} here, {} there",
            ours.chain_name, ours.params_hash, theirs.params_hash
        );
        return Some((RefusalCause::OtherParameters, reason));
    }
    None
}

/// A peer's sentence, made fit for a log line.
pub(crate) fn cleaned(reason: &str) -> String {
    reason.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(chain: &str, hash: u8) -> Hello {
        Hello {
            chain_name: chain.to_owned(),
            params_hash: ParamsHash([hash; 32]),
            version: 1,
            software: "/Rota:0.1.0/".to_owned(),
            tip: Tip { height: Height(0), hash: BlockHash::ZERO },
            time: 0,
            port: 0,
            nonce: 0,
        }
    }

    #[test]
    fn hellos_of_one_chain_fit() {
        assert_eq!(mismatch(&hello("a", 1), &hello("a", 1)), None);
    }

    #[test]
    fn another_chain_and_other_parameters_are_told_apart() {
        let (cause, reason) = mismatch(&hello("a", 1), &hello("b", 1)).unzip();
        assert_eq!(cause, Some(RefusalCause::OtherChain));
        assert_eq!(reason.as_deref(), Some("this node serves chain a, not b"));
        let cause = mismatch(&hello("a", 1), &hello("a", 2)).map(|(cause, _)| cause);
        assert_eq!(cause, Some(RefusalCause::OtherParameters));
    }

    #[test]
    fn a_hello_with_a_long_or_unprintable_name_is_out_of_bounds() {
        assert!(hello("a", 1).out_of_bounds().is_none());
        assert!(hello(&"a".repeat(MAX_NAME + 1), 1).out_of_bounds().is_some());
        assert!(hello("a\nb", 1).out_of_bounds().is_some());
    }

    #[test]
    fn a_reason_cannot_forge_log_lines() {
        assert_eq!(cleaned("a\nmisbehaving peer"), "amisbehaving peer");
        assert_eq!(cleaned(&"x".repeat(5_000)).len(), MAX_REASON);
    }
}
