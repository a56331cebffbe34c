//! What is promised to callers of the JSON-RPC API: methods and their parameters, shapes of answers, error
//! codes, number formats, and a client. Filling the shapes is the node's work.

pub mod address;
pub mod asset;
pub mod blockchain;
pub mod client;
pub mod control;
pub mod cursor;
pub mod error;
pub mod exchange;
pub mod explorer;
pub mod feed;
pub mod filter;
pub mod json;
pub mod legacy;
pub mod method;
pub mod mining;
pub mod network;
pub mod number;
pub mod params;
pub mod path;
pub mod permission;
pub mod raw;
pub mod stream;
pub mod variable;
pub mod wallet;
pub mod watch;

pub use client::{Client, ClientError};
pub use error::{Code, ParameterRule, RpcError};
pub use method::Method;
pub use params::{Page, Params, Selection};
