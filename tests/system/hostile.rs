//! Peers that mean no good, against real nodes with real load: every attack gets a line of figures. Small by default;
//! `scripts/prove peer` runs the same at length (`ROTA_HOSTILE=long`) and judges the figures too.

mod arena;
mod flood;
mod frame;
mod gossip;
mod object;
mod request;
mod stranger;
