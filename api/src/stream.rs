//! Streams and their items: methods and answers.

use crate::method::{ANY, ARRAY, BOOL, INT, Method, OBJECT, STR, optional, required};
use serde::Serialize;
use serde_json::Value;

/// The methods of this family.
pub const METHODS: &[Method] = &[
    Method::new("create", "Creates a stream, or another named thing of the chain.").takes(&[required("entity-type", STR), required("name", STR), required("options", BOOL.or(OBJECT)), optional("extra", ANY, "")]).example(&["stream", "stream1", "false", r#"{"purpose":"orders"}"#]),
    Method::new("createfrom", "Creates a stream or another named thing in the name of one of your addresses.").takes(&[required("from-address", STR), required("entity-type", STR), required("name", STR), required("options", BOOL.or(OBJECT)), optional("extra", ANY, "")]).example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "stream", "stream1", "true"]),
    Method::new("liststreams", "Lists streams, all or chosen ones, by pages.").takes(&[optional("streams", STR.or(ARRAY), "*"), optional("verbose", BOOL, "false"), optional("count", INT, "2147483647"), optional("start", INT.or(OBJECT), "-count")]).example(&["*", "true"]),
    Method::new("getstreaminfo", "Describes one stream.").takes(&[required("stream", STR), optional("verbose", BOOL, "false")]).example(&["stream1", "true"]),
    Method::new("subscribe", r#"Follows streams or assets and indexes their history; returns when that is done, or at once with a trailing {"wait":false}."#).takes(&[required("entities", STR.or(ARRAY)), optional("rescan", BOOL.or(OBJECT), "true"), optional("parameters", STR.or(OBJECT), ""), optional("wait", OBJECT, r#"{"wait": true}"#)]).example(&["stream1"]).slow(),
    Method::new("unsubscribe", "Stops following streams or assets.").takes(&[required("entities", STR.or(ARRAY)), optional("purge", BOOL, "false")]).example(&["stream1"]),
    Method::new("trimsubscribe", "Drops single indexes of followed streams.").takes(&[required("streams", STR.or(ARRAY)), required("parameters", STR)]).example(&["stream1", "keys-local"]),
    Method::new("publish", "Writes an item to a stream and returns its transaction id.").takes(&[required("stream", STR), required("keys", STR.or(ARRAY)), required("data", STR.or(OBJECT)), optional("options", STR, r#""""#)]).example(&["stream1", "key1", r#"{"json":{"a":1}}"#]),
    Method::new("publishfrom", "Writes an item in the name of one of your addresses.").takes(&[required("from-address", STR), required("stream", STR), required("keys", STR.or(ARRAY)), required("data", STR.or(OBJECT)), optional("options", STR, r#""""#)]).example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "stream1", r#"["key1","key2"]"#, "48656c6c6f"]),
    Method::new("publishmulti", "Writes several items in one transaction.").takes(&[required("stream", STR), required("items", ARRAY), optional("options", STR, r#""""#)]).example(&["stream1", r#"[{"key":"key1","data":"00"},{"key":"key2","data":{"text":"hello"}}]"#]),
    Method::new("publishmultifrom", "Writes several items in one transaction in the name of one of your addresses.").takes(&[required("from-address", STR), required("stream", STR), required("items", ARRAY), optional("options", STR, r#""""#)]).example(&["18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "stream1", r#"[{"key":"key1","data":"00"}]"#]),
    Method::new("getstreamitem", "Shows the item of a stream that a transaction carries.").takes(&[required("stream", STR), required("txid", STR), optional("verbose", BOOL, "false")]).example(&["stream1", "19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32", "true"]),
    Method::new("liststreamtxitems", "Shows the items that given transactions carry.").takes(&[required("stream", STR), required("txids", STR.or(ARRAY)), optional("verbose", BOOL, "false")]).example(&["stream1", "19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32"]),
    Method::new("liststreamitems", "Lists items of a stream in order, by default the last ten.").takes(&[required("stream", STR), optional("verbose", BOOL, "false"), optional("count", INT, "10"), optional("start", INT.or(OBJECT), "-count"), optional("local-ordering", BOOL, "false")]).example(&["stream1", "false", "10", "-10"]),
    Method::new("liststreamkeyitems", "Lists the items with a key.").takes(&[required("stream", STR), required("key", STR), optional("verbose", BOOL, "false"), optional("count", INT, "10"), optional("start", INT.or(OBJECT), "-count"), optional("local-ordering", BOOL, "false")]).example(&["stream1", "key1"]),
    Method::new("liststreampublisheritems", "Lists the items of a publisher.").takes(&[required("stream", STR), required("address", STR), optional("verbose", BOOL, "false"), optional("count", INT, "10"), optional("start", INT.or(OBJECT), "-count"), optional("local-ordering", BOOL, "false")]).example(&["stream1", "18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR"]),
    Method::new("liststreamblockitems", "Lists the items in chosen blocks.").takes(&[required("stream", STR), required("blocks", STR.or(INT).or(ARRAY).or(OBJECT)), optional("verbose", BOOL, "false"), optional("count", INT, "2147483647"), optional("start", INT.or(OBJECT), "-count")]).example(&["stream1", "10-20"]),
    Method::new("liststreamqueryitems", "Lists the items that match every given key, publisher and condition on their JSON.").takes(&[required("stream", STR), required("query", OBJECT), optional("verbose", BOOL, "false"), optional("count", INT, "2147483647"), optional("start", INT.or(OBJECT), "-count")]).example(&["stream1", r#"{"key":"key1","json":{"path":"$.price","op":"<","value":100}}"#]),
    Method::new("liststreamkeys", "Lists the keys of a stream with their number of items.").takes(&[required("stream", STR), optional("keys", STR.or(ARRAY), "*"), optional("verbose", BOOL, "false"), optional("count", INT, "2147483647"), optional("start", INT.or(OBJECT), "-count"), optional("local-ordering", BOOL, "false")]).example(&["stream1", "*", "true"]),
    Method::new("liststreampublishers", "Lists the publishers of a stream with their number of items.").takes(&[required("stream", STR), optional("addresses", STR.or(ARRAY), "*"), optional("verbose", BOOL, "false"), optional("count", INT, "2147483647"), optional("start", INT.or(OBJECT), "-count"), optional("local-ordering", BOOL, "false")]).example(&["stream1"]),
    Method::new("getstreamkeysummary", "Merges the JSON items of a key into one object.").takes(&[required("stream", STR), required("key", STR), required("mode", STR.or(ARRAY))]).example(&["stream1", "key1", "jsonobjectmerge,ignoreother"]),
    Method::new("getstreampublishersummary", "Merges the JSON items of a publisher into one object.").takes(&[required("stream", STR), required("address", STR), required("mode", STR.or(ARRAY))]).example(&["stream1", "18111oMvrcsReDsUTtucC8Yp1XiPtjG2QcPHjR", "jsonobjectmerge,ignoreother"]),
    Method::new("gettxoutdata", "Gives the data in an output of a transaction, whole or in part.").takes(&[required("txid", STR), required("vout", INT), optional("count-bytes", INT, "all"), optional("start-byte", INT, "0")]).example(&["19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32", "0"]),
    Method::new("txouttobinarycache", "Copies the data of an output to the binary cache.").takes(&[required("identifier", STR), required("txid", STR), required("vout", INT), optional("count-bytes", INT, "all"), optional("start-byte", INT, "0")]).example(&["hCTZz7Nt", "19bc8685c1ed3c12e92fb7e8cdde98aead2e329afc929b884b6a50cb17daed32", "0"]),
    Method::new("createbinarycache", "Opens an empty item in the binary cache and returns its identifier."),
    Method::new("appendbinarycache", "Adds bytes to an item of the binary cache and returns its size.").takes(&[required("identifier", STR), required("data-hex", STR)]).example(&["hCTZz7Nt", "48656c6c6f"]),
    Method::new("deletebinarycache", "Deletes an item from the binary cache.").takes(&[required("identifier", STR)]).example(&["hCTZz7Nt"]),
    Method::new("storechunk", "Stores a piece of off-chain data and returns its hash.").takes(&[required("data-hex", STR)]).example(&["48656c6c6f"]).hidden(),
    Method::new("retrievestreamitems", "Fetches off-chain data of chosen items.").takes(&[required("stream", STR), required("selector", STR.or(ARRAY).or(OBJECT))]).example(&["stream1", "all"]).slow(),
    Method::new("purgestreamitems", "Deletes off-chain data of chosen items from this node.").takes(&[required("stream", STR), required("selector", STR.or(ARRAY).or(OBJECT))]).example(&["stream1", r#"{"blocks":"1-100"}"#]),
    Method::new("purgepublisheditems", "Deletes off-chain data that this node published.").takes(&[required("selector", STR.or(ARRAY).or(OBJECT))]).example(&[r#"{"blocks":"1-100"}"#]),
];

/// One item of a stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StreamItem {
    /// Who answers for it.
    pub publishers: Vec<String>,
    /// Its keys.
    pub keys: Vec<String>,
    /// The first key; with v1apicompatible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether only its hash is on the chain.
    pub offchain: bool,
    /// Whether the data is here.
    pub available: bool,
    /// Why the data is not shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Hexadecimal text, `{text}`, `{json}`, a [`DataReference`], or null beside an error.
    pub data: Value,
    /// Blocks since it was mined, 0 while unconfirmed.
    pub confirmations: i64,
    /// True in a coinbase, else absent; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generated: Option<bool>,
    /// Its block; verbose, confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blockhash: Option<String>,
    /// Height of its block; verbose, confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blockheight: Option<i64>,
    /// Position of its transaction; verbose, confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blockindex: Option<i64>,
    /// Time of its block, Unix time; confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocktime: Option<i64>,
    /// Its transaction.
    pub txid: String,
    /// Its output; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vout: Option<i64>,
    /// False after a conflict; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid: Option<bool>,
    /// The earlier of receipt and block time; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<i64>,
    /// When it was first seen here; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timereceived: Option<i64>,
    /// Private note; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Private note; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What stands for data that is too large to show, or is not here.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct DataReference {
    /// Its transaction.
    pub txid: String,
    /// Its output.
    pub vout: i64,
    /// `raw`, `text` or `json`.
    pub format: String,
    /// Bytes.
    pub size: i64,
}

/// One line of `liststreamkeys` or `liststreampublishers`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct KeyEntry {
    /// The key, in `liststreamkeys`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The publisher, in `liststreampublishers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// Number of items.
    pub items: i64,
    /// Those of them that are confirmed.
    pub confirmed: i64,
    /// The first item; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<StreamItem>,
    /// The last item; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<StreamItem>,
}

/// One stream in `liststreams` and `getstreaminfo`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StreamEntry {
    /// Absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The transaction that created it.
    pub createtxid: String,
    /// Its reference, null while unconfirmed.
    pub streamref: Option<String>,
    /// Whether anyone may write; with v1apicompatible.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub open: Option<bool>,
    /// What needs permission.
    pub restrict: StreamRestrict,
    /// Whether off-chain hashes are salted; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub salted: Option<bool>,
    /// The fields it was created with.
    pub details: Value,
    /// Who created it; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creators: Option<Vec<String>>,
    /// Its approved filters; verbose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filters: Option<Vec<StreamFilterEntry>>,
    /// Whether this node follows it; `liststreams`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscribed: Option<bool>,
    /// Whether off-chain data is fetched; subscribed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrieve: Option<bool>,
    /// Whether it may be fetched; subscribed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canretrieve: Option<bool>,
    /// What is indexed; subscribed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub indexes: Option<StreamIndexes>,
    /// Whether the indexes are complete; subscribed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synchronized: Option<bool>,
    /// Share of the history that is indexed, while it is not complete.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::number::serialize_some_real")]
    pub progress: Option<f64>,
    /// Number of items; subscribed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<i64>,
    /// Those of them that are confirmed; subscribed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<i64>,
    /// Number of keys; subscribed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys: Option<i64>,
    /// Number of publishers; subscribed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publishers: Option<i64>,
}

/// What needs permission in a stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StreamRestrict {
    /// Writing needs permission.
    pub write: bool,
    /// Reading needs permission.
    pub read: bool,
    /// Items on the chain are refused.
    pub onchain: bool,
    /// Items off the chain are refused.
    pub offchain: bool,
}

/// What a subscription indexes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StreamIndexes {
    /// All items in chain order.
    pub items: bool,
    /// Items by key.
    pub keys: bool,
    /// Items by publisher.
    pub publishers: bool,
    /// All items in order of arrival.
    #[serde(rename = "items-local")]
    pub items_local: bool,
    /// Items by key in order of arrival.
    #[serde(rename = "keys-local")]
    pub keys_local: bool,
    /// Items by publisher in order of arrival.
    #[serde(rename = "publishers-local")]
    pub publishers_local: bool,
}

/// One approved filter of a stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StreamFilterEntry {
    /// Absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The transaction that created it.
    pub createtxid: String,
    /// Its reference, null while unconfirmed.
    pub filterref: Option<String>,
}

/// What `retrievestreamitems` queued, or `purgestreamitems` and `purgepublisheditems` removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ChunkCounts {
    /// Number of chunks.
    pub chunks: u64,
    /// Their bytes.
    pub bytes: u64,
}
