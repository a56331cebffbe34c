//! What a scenario is written with: chains of real nodes, links between them that can be cut, calls,
//! console runs, and waits that end when a condition holds. No assertion about the product lives here.

pub mod binary;
pub mod chain;
pub mod console;
pub mod http;
pub mod link;
pub mod node;
pub mod peer;
pub mod port;
pub mod process_table;
pub mod rpc;
pub mod socket;
pub mod view;
pub mod wait;
