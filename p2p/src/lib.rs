//! What is said to peers: bytes, connections, limits. A room with two doors, [`Handle`] in and [`Event`] out, that
//! knows nothing of validity. See docs/protocol/peer.md.

pub mod ban;
mod behaviour;
pub mod codec;
pub mod config;
pub mod dial;
pub mod event;
pub mod gate;
mod gated;
pub mod handle;
pub mod hello;
pub mod identity;
pub mod join;
pub mod limit;
pub mod message;
mod offence;
mod pace;
pub mod peer;
pub mod raw;
mod swarm;
mod traffic;
mod transport;
pub mod wire;

pub use ban::Banned;
pub use config::Config;
pub use event::{Event, QueryId, RequestError, RequestId};
pub use gate::{Admission, GateRules, Permitted};
pub use handle::{Command, Handle, ReplyTo, Stopped};
pub use hello::{Hello, RefusalCause, Tip};
pub use identity::PeerKey;
pub use join::{JoinAnswer, JoinAnswers, JoinError, Joined, join};
pub use message::{BlockBody, ChunkBody, CompactBlock, Kind, Protocol, Refusal, Request, Response};
pub use peer::{PeerHandle, PeerInfo};
pub use swarm::{SpawnError, spawn};
