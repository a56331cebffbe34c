//! What a node tells the peer room at its start.

use std::net::SocketAddr;

use rota_chain::address::AddressScheme;
use rota_chain::hash::ParamsHash;

use crate::gate::GateRules;
use crate::hello::Tip;
use crate::limit::{BODIES_FRAME, FRAME_SLACK, MAX_CONNECTIONS};
use crate::message::Kind;

/// The peer protocol this code speaks, told in the hello.
pub const PROTOCOL_VERSION: u32 = 1;

/// Settings of the peer room.
#[derive(Debug, Clone)]
pub struct Config {
    /// The chain's name.
    pub chain_name: String,
    /// The chain's chain-params-hash: part of every protocol name.
    pub params_hash: ParamsHash,
    /// How the chain writes addresses, for sentences.
    pub address_scheme: AddressScheme,
    /// Where to listen.
    pub listen: Vec<SocketAddr>,
    /// The software, as `/Rota:0.1.0/`.
    pub software: String,
    /// The applied tip at the start.
    pub tip: Tip,
    /// Who may connect at the start.
    pub gate: GateRules,
    /// The chain's maximum-block-size.
    pub max_block_bytes: u32,
    /// The chain's maximum-chunk-size.
    pub max_chunk_bytes: u32,
    /// Connections in all.
    pub max_connections: u32,
}

impl Config {
    /// Settings with the usual limits, listening nowhere, behind an empty gate.
    #[must_use]
    pub fn new(chain_name: &str, params_hash: ParamsHash, address_scheme: AddressScheme, tip: Tip) -> Config {
        Config {
            chain_name: chain_name.to_owned(),
            params_hash,
            address_scheme,
            listen: Vec::new(),
            software: concat!("/Rota:", env!("CARGO_PKG_VERSION"), "/").to_owned(),
            tip,
            gate: GateRules::default(),
            max_block_bytes: 8 << 20,
            max_chunk_bytes: 1 << 20,
            max_connections: MAX_CONNECTIONS,
        }
    }

    pub(crate) fn frames(&self) -> FrameLimits {
        let frame = |bytes: u32| bytes.saturating_add(FRAME_SLACK).max(BODIES_FRAME);
        FrameLimits { block: frame(self.max_block_bytes), chunk: frame(self.max_chunk_bytes) }
    }
}

/// Frame limits that depend on the chain's parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FrameLimits {
    /// An answer with blocks or transactions: one block of the largest size fits.
    pub block: u32,
    /// An answer with chunks: one chunk of the largest size fits.
    pub chunk: u32,
}

impl FrameLimits {
    /// The frame limit of an answer.
    pub fn of(&self, kind: Kind) -> u32 {
        match kind {
            Kind::Headers => crate::limit::HEADERS_FRAME,
            Kind::PoolInventory => crate::limit::INVENTORY_FRAME,
            Kind::Addresses => crate::limit::ADDRESSES_FRAME,
            Kind::Blocks | Kind::Transactions | Kind::BlockTransactions => self.block,
            Kind::Chunks => self.chunk,
        }
    }
}
