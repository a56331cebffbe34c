//! Watching the chain over a WebSocket: methods, and the shape of what watchers are told. See docs/protocol/rpc.md.

use crate::method::{ARRAY, BOOL, INT, Method, OBJECT, STR, optional, required};
use serde::Serialize;
use serde_json::value::RawValue;

/// The methods of this family.
pub const METHODS: &[Method] = &[
    Method::new("watchblocks", "Tells each block that joins or leaves the active chain. Over a WebSocket only.")
        .takes(&[FROM, optional("verbose", BOOL, "false")])
        .example(&["-1", "true"]),
    Method::new("unwatchblocks", "Ends a subscription of watchblocks.").takes(&[SUBSCRIPTION]).example(&["1"]),
    Method::new(
        "watchstreamitems",
        "Tells the items of a followed stream as blocks confirm them. Over a WebSocket only.",
    )
    .takes(&[
        required("stream", STR),
        FROM,
        optional("keys", STR.or(ARRAY), "*"),
        optional("publishers", STR.or(ARRAY), "*"),
    ])
    .example(&["stream1", "100", "key1"]),
    Method::new("unwatchstreamitems", "Ends a subscription of watchstreamitems.")
        .takes(&[SUBSCRIPTION])
        .example(&["1"]),
    Method::new("watchtransactions", "Tells all transactions as blocks confirm them. Over a WebSocket only.")
        .takes(&[FROM, optional("verbose", BOOL, "true"), optional("unconfirmed", BOOL, "false")])
        .example(&["100", "false", "true"]),
    Method::new("unwatchtransactions", "Ends a subscription of watchtransactions.")
        .takes(&[SUBSCRIPTION])
        .example(&["1"]),
];

const FROM: crate::method::Parameter = optional("from", INT.or(OBJECT), "the present tip");
const SUBSCRIPTION: crate::method::Parameter = required("subscription", INT);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WatchEvent {
    /// A block joined the active chain, on top of what was told before.
    Connected,
    /// The last block told left the active chain.
    Disconnected,
    /// Transactions came into the pool.
    Unconfirmed,
}

/// One notification of a subscription.
#[derive(Debug, Serialize)]
pub struct WatchNotification {
    /// What happened.
    pub event: WatchEvent,
    /// Height of the block; none for what waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Its hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// The block as `listblocks` shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block: Option<Box<RawValue>>,
    /// Items as `liststreamitems` shows them verbosely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<Vec<Box<RawValue>>>,
    /// Transactions as `getrawtransaction` shows them verbosely, or their ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transactions: Option<Vec<Box<RawValue>>>,
    /// Whether the next notification goes on with the same block.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<bool>,
}

impl WatchNotification {
    /// An event about a block, or about none, without members of its own.
    #[must_use]
    pub const fn bare(event: WatchEvent, height: Option<u32>, hash: Option<String>) -> Self {
        Self { event, height, hash, block: None, items: None, transactions: None, more: None }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::{WatchEvent, WatchNotification};
    use serde_json::value::RawValue;

    #[test]
    fn a_notification_shows_what_it_has_and_the_event_first() {
        let item = RawValue::from_string(r#"{"a": 1}"#.to_owned()).unwrap();
        let told = WatchNotification {
            items: Some(vec![item]),
            more: Some(false),
            ..WatchNotification::bare(WatchEvent::Connected, Some(7), Some("ab".to_owned()))
        };
        assert_eq!(
            serde_json::to_string(&told).unwrap(),
            r#"{"event":"connected","height":7,"hash":"ab","items":[{"a": 1}],"more":false}"#
        );
        let left = WatchNotification::bare(WatchEvent::Disconnected, Some(7), Some("ab".to_owned()));
        assert_eq!(serde_json::to_string(&left).unwrap(), r#"{"event":"disconnected","height":7,"hash":"ab"}"#);
    }
}
